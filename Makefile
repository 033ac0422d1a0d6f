# make lab    opens the course         make test   all that CI runs
# make setup  only the environment     make check  the quick part of the tests
PYTHON ?= python3
VENV := .venv/bin
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export PYTHONDONTWRITEBYTECODE := 1
export JUPYTER_PLATFORM_DIRS := 1
PYTEST := $(VENV)/python -m pytest -q -p no:cacheprovider

.PHONY: setup setup-test lab test check test-long bench notebooks

setup:
	@$(PYTHON) tinylib/cli/setup.py

setup-test:
	@$(PYTHON) tinylib/cli/setup.py --test

lab: setup
	@$(VENV)/tinylib lab

check: setup-test
	$(VENV)/ruff check .
	$(VENV)/tinylib build --check
	$(PYTEST) tests/test_architecture.py tests/core tests/check tests/measure tests/cli --ignore tests/check/test_gate.py

test: setup-test
	$(VENV)/ruff check .
	$(VENV)/tinylib build --check
	$(PYTEST) -n 2 --durations=15 tests
	$(MAKE) notebooks

notebooks: setup-test
	$(VENV)/python tests/run_notebooks.py

test-long: setup-test
	$(PYTEST) -n 2 -m "long or not long" tests

bench: setup-test
	$(VENV)/python -m benchmarks
