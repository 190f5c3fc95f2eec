# edgekit's two commands are `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
BIN := .venv/bin
READY := .venv/.ready
INSTALLING := .venv/.installing
SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))

.PHONY: help demo test check lint fast bench pythons clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' Makefile

demo: $(READY)  ## train, quantize, verify and bundle the model the project is about
	$(BIN)/edgekit build mobilenet_v1 --alpha 0.25 --rho 0.571 --target coral

test: $(READY) lint  ## everything: lint, types, all tests
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY) lint fast  ## under a minute: lint, types, the fast tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q -m "not slow"

bench: $(READY)  ## instructions of all models on all boards, and how fast the commands start
	$(BIN)/python benchmarks/instructions.py $(BENCH)
	$(BIN)/python benchmarks/startup.py

# Each Python gets the wheel and its core dependencies; tests that need torch are skipped.
pythons: $(READY)  ## the fast tests against the wheel, without torch, on every Python found
	rm -rf build/pythons
	$(BIN)/python -m hatchling build -t wheel -d build/pythons
	@set -e; failed=; for python in $(PYTHONS); do \
	  $$python -c '$(SUPPORTED)' 2>/dev/null || { echo "-- $$python: not here"; continue; }; \
	  venv=build/pythons/$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	  echo "-- $$python"; \
	  $$python -m venv $$venv; \
	  $$venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	    "$$(echo build/pythons/*.whl)[emulate]" pytest hypothesis; \
	  $$venv/bin/pytest -q -m "not slow" -p no:cacheprovider || failed="$$failed $$python"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean:  ## remove bundles, packages and caches; .venv stays
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# An interrupted setup repairs itself. A .venv without pip, or of another Python, is made anew; where
# pip was stopped, .installing is still there, and what it may have left half-done is replaced.
$(READY): pyproject.toml constraints.txt
	@$(BIN)/python -c 'import pip; $(SUPPORTED)' 2>/dev/null || { \
	  $(PYTHON) -c '$(SUPPORTED)' 2>/dev/null || { \
	    echo "edgekit needs Python 3.10 to 3.13. $(PYTHON) is: $$($(PYTHON) --version 2>&1 | tail -1)"; \
	    echo "Name another one: make PYTHON=python3.11 ..."; exit 1; }; \
	  $(PYTHON) -m venv --clear .venv || { \
	    echo "$(PYTHON) cannot make a virtual environment."; \
	    echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }; }
	@touch $(INSTALLING)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  $(if $(wildcard $(INSTALLING)),--ignore-installed) -e '.[dev]'
	@mv $(INSTALLING) $@
