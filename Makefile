# edgekit's two commands: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check lint fast bench clean

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

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 10) <= sys.version_info < (3, 14) else \
	  "edgekit needs Python 3.10 to 3.13, this is " + sys.version.split()[0] + \
	  ": run make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
