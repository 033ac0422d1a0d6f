"""A JupyterLab of our own and a page in a headless Chromium: what the browser tests drive."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SETTINGS = {        # no pop-ups; every cell stays in the page, also those out of sight
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    "docmanager-extension/plugin": {"autosave": False},
}


def chromium() -> str:
    """Path of the browser; one line on how to get it when there is none."""
    path = next((p for p in map(shutil.which, PROGRAMS) if p), None)
    if path is None:
        raise FileNotFoundError("The browser tests need Chromium. On Debian: sudo apt install chromium; elsewhere put `chromium` or `google-chrome` on PATH.")
    return path


def need_chromium():
    """One line instead of a trace when the browser is missing: a failure under CI=true, elsewhere named as not tested."""
    try:
        chromium()
    except FileNotFoundError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))


class Server:
    """JupyterLab on 127.0.0.1 at a free port, showing `folder/books`; `stop` ends it with its kernels."""

    def __init__(self, folder: Path):
        self.folder, self.books = folder, folder / "books"
        self.books.mkdir()
        self._log = (folder / "server.log").open("w")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
                   "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--ServerApp.password=", "--ServerApp.allow_root=True",
                   f"--ServerApp.root_dir={self.books}"]
        self._process = subprocess.Popen(command, env=self._environment(), cwd=folder, stdout=self._log, stderr=self._log)
        self._wait()

    def _environment(self):
        settings = self.folder / "settings"
        for name, values in SETTINGS.items():
            path = settings / f"@jupyterlab/{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        home = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
                "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "TINYLIB_HOME": "home", "IPYTHONDIR": "ipython"}
        paths = {name: str(self.folder / part) for name, part in home.items()}
        return {**os.environ, **paths, "PYTHONPATH": str(ROOT), "TINYLIB_LEARNER": "demo", "JUPYTER_PLATFORM_DIRS": "1"}

    def _wait(self, seconds=120):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise RuntimeError("JupyterLab did not start:\n" + (self.folder / "server.log").read_text()[-2000:])

    def end_kernels(self):
        """Shut down every kernel, so that labs driven one after the other do not pile up in memory."""
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=30) as reply:
            sessions = json.load(reply)
        for session in sessions:
            end = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(end, timeout=60).close()

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class LabPage:
    """One notebook in the browser, driven as a learner would: by its menus, its cells and the keyboard."""

    def __init__(self, page, server: Server):
        self.page, self.server = page, server

    def open(self, notebook: str) -> None:
        """Show the notebook and wait until its kernel is idle."""
        self.page.goto(f"{self.server.url}/lab/tree/{notebook}?reset", wait_until="domcontentloaded")
        self.page.locator(".jp-Notebook").wait_for(timeout=90_000)
        self.page.locator(".jp-StatusBar-TextItem, .jp-StatusBar-GroupItem").filter(has_text="| Idle").first.wait_for(timeout=90_000)

    def cells(self):
        return self.page.locator(".jp-Notebook .jp-Cell")

    def run_all(self, seconds: float = 120) -> None:
        """Run > Run All Cells, clicked again if nothing began, until no cell waits."""
        running = self.page.locator(".jp-InputPrompt").filter(has_text="[")
        for _ in range(5):
            self.cells().first.click()
            self._menu("Run", "Run All Cells")
            if self._appears(self.page.locator(".jp-InputPrompt >> text=/\\[(\\*|\\d+)\\]/").first, 4000):
                break
        assert running.count(), "the notebook did not start to run"
        self.wait_until_idle(seconds)

    def wait_until_idle(self, seconds: float = 120) -> None:
        """No cell shows [*] any more."""
        self.page.wait_for_function("() => ![...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.includes('[*]'))",
                                    timeout=seconds * 1000)

    def _menu(self, menu, entry):
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()

    def _appears(self, locator, milliseconds) -> bool:
        try:
            locator.wait_for(timeout=milliseconds)
            return True
        except Exception:
            return False

    def rewrite(self, index: int, source: str) -> None:
        """Replace the source of cell `index` (0 is the first) and run it."""
        cell = self.cells().nth(index)
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(source)
        self.run(index)

    def run(self, index: int) -> None:
        """Run cell `index` with Ctrl+Enter and wait for it."""
        cell = self.cells().nth(index)
        before = cell.locator(".jp-InputPrompt").inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        prompt = cell.locator(".jp-InputPrompt").element_handle()
        self.page.wait_for_function("([e, before]) => /\\[\\d+\\]/.test(e.textContent) && e.textContent !== before", arg=[prompt, before], timeout=60_000)

    def card(self, index: int):
        """The last card under cell `index`."""
        card = self.cells().nth(index).locator(".tinylib-card").last
        card.wait_for(timeout=10_000)
        return card

    def theme(self, name: str) -> None:
        """Settings > Theme: "JupyterLab Light" or "JupyterLab Dark"."""
        self.page.locator(".lm-MenuBar-itemLabel").get_by_text("Settings", exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).hover()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()
        self.page.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str("Light" in name).lower())
