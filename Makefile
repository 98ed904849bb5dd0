# Everything runs from .venv, made here from pinned versions. Needs Python >= 3.11 with venv and pip.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= runs/quickstart

.PHONY: demo test lint bench clean

demo: .venv/installed
	$(BIN)/jaxbias run --config=configs/quickstart.py --workdir=$(DEMO)

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv build *.egg-info

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# The pins are for Python 3.11; newer Pythons resolve the newest releases themselves.
PINS := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" if sys.version_info[:2] == (3, 11) else "")')

.venv/installed: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS) -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check $(PINS) -e ".[dev]"
	touch $@
