# Everything starts here, on a machine with nothing but Python >= 3.11 and its pip:
#
#   make demo    install what the demo needs, mend a badly recorded take, show what changed
#   make test    install everything, run the tests
#   make slow    the tests that take long or install packages
#   make lint    format, style, types, the one-way doors
#   make docs    build the documents, strictly; stale reference pages and drawings fail, and say what renews them
#   make bench   measure speed and memory against the same work done by hand
#   make clean   remove what was built, the environment included
#
# Another interpreter: make test PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
TO_RUN := -e '.[effects,plots,repair]'
TO_DEVELOP := -e '.[all,train]' --group dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test slow lint docs bench clean

help:
	@sed -n 's/^#   make/make/p' Makefile

demo: $(VENV)/.ready-to-run
	$(BIN)/wavechain demo

test: $(VENV)/.ready-to-develop
	OMP_NUM_THREADS=1 $(RUN) pytest -n auto --maxprocesses 8 --dist loadscope

slow: $(VENV)/.ready-to-develop
	$(RUN) pytest -m slow

lint: $(VENV)/.ready-to-develop
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.ready-to-develop
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/drawings/make.py --check
	$(RUN) mkdocs build --strict --quiet

bench: $(VENV)/.ready-to-develop
	$(BIN)/python tests/benchmarks/bench.py

clean:
	rm -rf $(VENV) build dist site demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find core cli plugins tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run quick and a changed pyproject.toml install again. uv does in seconds what pip does in
# half a minute; where uv cannot be had or cannot reach an index that pip can (it reads no pip.conf), pip does the
# work. Dependency groups need pip 25.1, so the fallback renews pip first. Some systems ship venv without ensurepip:
# then the pip outside fetches one for the environment.
define install
	@$(RUN) pip --version >/dev/null 2>&1 || $(RUN) ensurepip >/dev/null 2>&1 \
	    || $(PYTHON) -m pip --python $(BIN)/python install --quiet pip
	@$(BIN)/uv --version >/dev/null 2>&1 || $(RUN) pip install --quiet --disable-pip-version-check uv \
	    || echo "uv is not to be had here; pip takes its place" >&2
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1) || { \
	    echo "installing with pip" >&2; \
	    $(RUN) pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && $(RUN) pip install --quiet $(1); }
endef

$(VENV)/.ready-to-run: pyproject.toml core/wavechain/__init__.py | $(BIN)/python
	$(call install,$(TO_RUN))
	@touch $@

$(VENV)/.ready-to-develop: pyproject.toml core/wavechain/__init__.py | $(BIN)/python
	$(call install,$(TO_DEVELOP))
	@touch $(VENV)/.ready-to-run $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("wavechain needs Python 3.11 or newer; $(PYTHON) is " + sys.version.split()[0] + ". Try: make PYTHON=python3.13 ...")'
	@$(PYTHON) -m venv --clear --without-pip $(VENV)
