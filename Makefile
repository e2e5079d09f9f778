# Two commands do everything on a machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What to install instead of the newest OpenTelemetry, or of anything else, e.g. OTEL="opentelemetry-sdk==1.40.0".
OTEL ?=
# Dependency groups of the tests.
GROUPS_OF_TESTS ?= test contrib package frameworks
ARGS ?=
CORE := not neighbour and not programs and not suite

.PHONY: demo test check lint core docs bench clean

demo: $(VENV)/.installed
	$(BIN)/python -m bridge demo $(ARGS)

test: $(VENV)/.installed-tests
	$(BIN)/python -m pytest $(ARGS)

# The quick half, before each commit: under five minutes on two cores.
check: lint core

lint: $(VENV)/.installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What needs no neighbour and starts no program for each claim, on all processors.
core: $(VENV)/.installed-tests
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "$(CORE)" $(ARGS)

# The site, into site/; a broken link or a page that is in no menu is a fault.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

# A table for each claim about speed and memory; ARGS=--full for the rounds that docs/performance.md has.
bench: $(VENV)/.installed-tests
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python benchmarks/all.py $(ARGS)

# Dependency groups need a pip of 25.1 or later; a new virtual environment may bring an older one.
$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made: on Debian, apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"

$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . $(OTEL)
	touch $@

$(VENV)/.installed-tests: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable . $(addprefix --group ,$(GROUPS_OF_TESTS)) $(OTEL)
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

clean:
	rm -rf $(VENV) .neighbours build dist site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
