"""One JupyterLab and one browser for all browser tests; screenshots go to TINYLIB_SCREENSHOTS or to pytest's temporary folder."""

import os
from pathlib import Path

import jupyter_page
import pytest
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    jupyter_page.need_chromium()
    server = jupyter_page.Server(tmp_path_factory.mktemp("workspace"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser():
    jupyter_page.need_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=jupyter_page.chromium(), args=jupyter_page.FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def lab_page(browser, server):
    context = browser.new_context(viewport={"width": 1200, "height": 850})
    page = context.new_page()
    yield jupyter_page.LabPage(page, server)
    context.close()
    server.end_kernels()


@pytest.fixture
def screenshots(tmp_path):
    folder = Path(os.environ.get("TINYLIB_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
