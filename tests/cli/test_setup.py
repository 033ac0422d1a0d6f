"""Set-up: which steps run, in which order, and what a bare Python is told. No package is installed here."""

import importlib.util
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tinylib.cli import doctor, setup


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """Records every command instead of running it; `fail` names words that make a command fail."""
    log = SimpleNamespace(commands=[], fail=set())

    def call(*command, must=True):
        log.commands.append(" ".join(command))
        failed = any(word in command for word in log.fail)
        if failed and must:
            raise SystemExit("step failed")
        return int(failed)

    monkeypatch.setattr(setup, "call", call)
    monkeypatch.setattr(setup, "VENV", tmp_path)
    monkeypatch.setattr(setup, "PYTHON", tmp_path / "bin" / "python")
    monkeypatch.setattr(setup.subprocess, "run", lambda *a, **k: SimpleNamespace(stdout="", returncode=0))
    monkeypatch.setattr(sys, "platform", "linux")
    return log


def test_torch_comes_first_and_never_from_the_default_index(steps):
    setup.make_environment(())
    torch, project = [i for i, c in enumerate(steps.commands) if "torch==" in c], [i for i, c in enumerate(steps.commands) if " -e " in c]
    assert torch[0] < project[0]
    assert all("+cpu" in steps.commands[i] for i in torch)
    assert "-c" in steps.commands[project[0]] and "constraints.txt" in steps.commands[project[0]]


def test_the_cpu_index_is_asked_when_no_such_wheel_is_offered(steps, monkeypatch):
    monkeypatch.setattr(setup, "pip", lambda *a, must=True: steps.commands.append(" ".join(a)) or (0 if must else 1))
    setup.install_torch()
    assert steps.commands == ["install torch==2.13.0+cpu", f"install torch==2.13.0+cpu --index-url {setup.TORCH_CPU_INDEX}"]


def test_a_second_run_does_nothing(steps):
    setup.make_environment(())
    setup.PYTHON.parent.mkdir(parents=True)
    setup.PYTHON.touch()
    steps.commands.clear()
    setup.make_environment(())
    assert steps.commands == []
    setup.make_environment(("test",))
    assert steps.commands, "other extras are another environment"


def test_a_half_made_environment_is_made_again(steps):
    steps.fail = {"-e"}
    with pytest.raises(SystemExit):
        setup.make_environment(())
    steps.fail = set()
    steps.commands.clear()
    setup.make_environment(())
    assert any(" -e " in c for c in steps.commands)


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_or_pip_gets_one_sentence(monkeypatch, module, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found(name))
    assert setup.run(SimpleNamespace(test=False)) == 1
    message = capsys.readouterr().err.strip()
    assert module in message and "\n" not in message


def test_an_old_python_gets_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    assert "3.11" in setup.python_problem()


def test_a_missing_program_fails_only_under_ci(monkeypatch, capsys):
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    assert setup.install_system_programs() == 1
    monkeypatch.delenv("CI")
    assert setup.install_system_programs() == 0
    assert "chromium" in capsys.readouterr().err


def test_importing_tinylib_loads_neither_torch_nor_numpy():
    code = "import sys, tinylib; assert not {'torch', 'numpy'} & set(sys.modules); print('light')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "light\n"


def test_doctor_names_a_missing_package_and_the_remedy(monkeypatch, capsys):
    version = doctor.importlib.metadata.version

    def without_qiskit(name):
        if name == "qiskit":
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", without_qiskit)
    assert doctor.run(None) == 1
    printed = capsys.readouterr().out
    assert "qiskit: not installed; run `make setup`" in printed


def test_doctor_is_content_here(capsys):
    assert doctor.run(None) == 0
    assert "The labs can run." in capsys.readouterr().out


def test_doctor_tells_when_the_data_folder_is_gone(monkeypatch, capsys):
    monkeypatch.setenv("TINYLIB_DATA", "/nowhere/at/all")
    assert doctor.run(None) == 1
    assert "TINYLIB_DATA" in capsys.readouterr().out
