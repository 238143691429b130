# ridgebench: `make bench` and `make test` need python >= 3.11, git and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= small
# Further options of `ridgebench bench`, such as BENCH='--machine NAME'.
BENCH ?=
# Processes of `make test`: some tests wait for other processes rather than compute.
WORKERS ?= 3
# What the tests exercise: everything.
EXTRAS := bench,report,conda,brain,docs,encoders,videogpt,games,peers,slurm,ssh,tls,dev

# Files stay together, the longest first (tests/longest_first.py).
IN_PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: bench test durations lint report docs clean help
.DEFAULT_GOAL := help

help:
	@echo "make bench    benchmark this machine: BLAS x threads x nodes x strategy (PROFILE=small)"
	@echo "make report   publish the pages again from the recorded results"
	@echo "make test     run the tests"
	@echo "make durations  the same; writes down how long each file takes, for its order"
	@echo "make lint     run ruff, mypy and import-linter"
	@echo "make docs     build the documentation site: build/docs/index.html"
	@echo "make clean    remove .venv, build outputs and caches; results stay"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ridgebench needs Python 3.11 or newer; set PYTHON=... (found %s)" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# One stamp per set of extras: what is up to date is not done again.
$(VENV)/.bench: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[bench,report]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.bench

bench: $(VENV)/.bench
	$(BIN)/ridgebench bench --profile $(PROFILE) $(BENCH)

report: $(VENV)/.bench
	$(BIN)/ridgebench report

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(IN_PARALLEL)

durations: $(VENV)/.dev
	$(BIN)/python -m pytest $(IN_PARALLEL) --write-durations

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --preview --select PLC2701 bench_core encoders benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet docs build/docs
	@echo "build/docs/index.html"

clean:
	rm -rf $(VENV) .asv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
