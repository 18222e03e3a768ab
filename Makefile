# Every target does all the set-up it needs: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test check bench diagrams clean

run: $(STAMP)  ## start the bot on the embedded exchange
	$(BIN)/anchorwatch run $(ARGS)

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest -q $(ARGS)

check: $(STAMP)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)  ## measured ratios, printed
	$(BIN)/python -m tests.bench $(ARGS)

diagrams: $(STAMP)  ## redraw the committed diagrams from the tables
	$(BIN)/anchorwatch diagram --format svg --format mermaid --format json --format matrix --out diagrams/generated

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)
