# Every target does all the set-up it needs: a virtual environment in .venv, pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# ccxt and python-okx bring a hundred megabytes and versions of their own: they live apart.
CLIENTS := .venv-clients
# Runs of the simulation in `make proof`: hours.
SEEDS := 10000
# freqtrade and nautilus_trader pin what they share with us.
PEERS := .venv-bench

.PHONY: run test check simulate clients bench kill-test soak proof verify every-file week diagrams clean

run: $(STAMP)  ## start the bot on the embedded exchange
	$(BIN)/anchorwatch run $(ARGS)

test: $(STAMP)  ## the whole test suite, on every core
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

check: $(STAMP)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clients: $(STAMP) $(CLIENTS)/.installed  ## ccxt and python-okx trade on the embedded exchange
	$(BIN)/python -m pytest -q -m clients $(ARGS)

bench: $(STAMP) $(PEERS)/.installed  ## measured ratios, printed
	$(BIN)/python -m tests.bench $(ARGS)

kill-test: $(STAMP)  ## the real bot killed at many moments, and judged when it is back
	$(BIN)/python -m tests.kill $(ARGS)

soak: $(STAMP)  ## a virtual day on recorded candles, with everything going wrong
	$(BIN)/python -m tests.proof soak $(ARGS)

simulate: $(STAMP)  ## 200 seeds with everything going wrong, and a bot killed all along seven scenarios
	$(BIN)/anchorwatch simulate --seeds 200 $(ARGS)
	$(BIN)/anchorwatch simulate --sweep --every 7

proof: $(STAMP)  ## the big run, by hand: every world of the check, SEEDS runs of the simulation, and the long proofs
	@echo "commit $$(git describe --always --dirty=+ 2>/dev/null), $$(date -u +%F), $$(uname -sm), $$(getconf _NPROCESSORS_ONLN) cores, $$($(BIN)/python --version)"
	$(BIN)/python -m tests.proof soak $(ARGS)
	$(BIN)/python -m tests.proof shared $(ARGS)
	$(BIN)/python -m tests.machine.whole_files
	$(BIN)/python -m tests.backtest.foreseen_files
	$(BIN)/anchorwatch simulate --seeds $(SEEDS)
	$(BIN)/anchorwatch simulate --pairs
	$(BIN)/anchorwatch simulate --sweep
	$(BIN)/anchorwatch simulate --sweep --scenario entry --steps
	$(BIN)/python -m pytest -q -m proof tests/simulation/planted
	mkdir -p out
	$(BIN)/anchorwatch check --thorough --edits 1 --judged out/judged.jsonl
	$(BIN)/python -m tests.unprotected

verify: $(STAMP)  ## the user's document, proven line by line: out/verify.html
	mkdir -p out
	$(BIN)/anchorwatch verify --out out/verify.html --coverage out/coverage.html $(ARGS)

diagrams: $(STAMP)  ## redraw the committed diagrams from the tables
	$(BIN)/anchorwatch diagram --format svg --format mermaid --format json --format matrix --out diagrams/generated

clean:
	rm -rf $(VENV) $(CLIENTS) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

$(CLIENTS)/.installed: pyproject.toml
	test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[clients]'
	touch $@

# A peer that cannot be installed is left out of the benchmark, which says so.
$(PEERS)/.installed: pyproject.toml
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	for peer in $$($(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['bench'])"); do \
		$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check "$$peer" || echo "not installed: $$peer"; \
	done
	touch $@

every-file: $(STAMP)  ## the default strategy on every recorded file, held against its limits
	$(BIN)/python -m tests.backtest.every_file

week: $(STAMP)  ## a week of BTC and of ETH through the whole engine and the back-test: the same fills
	$(BIN)/python -m tests.backtest.week $(ARGS)
