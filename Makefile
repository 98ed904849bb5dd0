# Everything runs from .venv, made here by PYTHON (>= 3.11, with venv and pip) from the pinned
# versions of that Python: make test PYTHON=python3.13
PYTHON ?= python3
VENV ?= .venv
DEMO ?= runs/quickstart
BIN := $(VENV)/bin

TELL := import sys; print("%d.%d" % sys.version_info[:2] if sys.version_info >= (3, 11) else "")
VERSION := $(shell $(PYTHON) -c '$(TELL)' 2>/dev/null)
HAVE := $(shell $(BIN)/python -c '$(TELL)' 2>/dev/null)
# A Python without pins resolves the newest releases itself.
PINS := $(wildcard constraints/$(VERSION).txt)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(PINS))

.PHONY: demo test test-engines test-parity parity test-targets targets lint bench clean

demo: $(VENV)/installed
	$(BIN)/jaxbias run --config=configs/quickstart.py --workdir=$(DEMO)

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not engines"

# The tests that `make test` skips for want of PyTorch, in an environment of their own.
test-parity:
	$(MAKE) VENV=$(VENV)-parity parity

parity: $(VENV)/installed-parity
	$(BIN)/python -m pytest -m parity tests

# The tests that `make test` skips for want of the compiler of TPUs; no TPU is needed.
test-targets:
	$(MAKE) VENV=$(VENV)-targets targets

targets: $(VENV)/installed-dev $(VENV)/installed-tpu
	$(BIN)/python -m pytest -m targets tests

# The tests that `make test` skips for want of Slurm, Ray, schemas of Kubernetes and a server of S3.
test-engines: $(VENV)/installed-dev $(VENV)/installed-engines
	bash tests/launch/install.sh
	$(BIN)/python -m pytest -m engines tests

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# What the benchmarks compare with; each then runs as its first lines say.
bench: $(VENV)/installed-bench

clean:
	rm -rf $(VENV) $(VENV)-parity $(VENV)-targets build *.egg-info

# One that another Python made, or whose Python is gone, is made anew.
ifneq ($(HAVE),$(VERSION))
.PHONY: $(BIN)/python
endif
$(BIN)/python:
	$(if $(VERSION),,$(error '$(PYTHON)' is no Python >= 3.11; name one, as in: make test PYTHON=python3.13))
	@if [ -e $(VENV) ]; then echo "$(VENV) is not of Python $(VERSION): making it anew"; fi
	@$(if $(PINS),,echo "no pins for Python $(VERSION) in constraints/: installing newest releases")
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml $(PINS)
	$(INSTALL) -e .
	touch $@

# Torchvision without what it asks for, lest it bring a PyTorch of another build.
$(VENV)/installed-parity: $(VENV)/installed-dev
	$(INSTALL) --no-deps torchvision
	$(INSTALL) -e ".[parity]"
	touch $@

$(VENV)/installed-%: $(VENV)/installed
	$(INSTALL) -e ".[$*]"
	touch $@
