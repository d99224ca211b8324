# SPDX-License-Identifier: GPL-2.0-only
# `make lab` and `make test` are all that most people need; `make` alone lists the rest.

PYTHON = python3
LAB_ARGS =
PYTEST_ARGS =
BENCH_ARGS =
CONFORMANCE_ARGS =
SURVEY_ARGS = --write docs/running.md
FUZZ_API_ARGS = --rounds 10
FUZZ_ARGS = --runs 20000 --seconds 600
# notebooks and most tests wait now and then: two workers on two cores, four at most
WORKERS = -n auto --maxprocesses 4 --dist loadgroup

BIN = .venv/bin
RUN = PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help venv lab test test-all check notebooks bench bench-widgets bench-grading samples sample-index survey conformance record site lock clean
.NOTPARALLEL:

help:
	@echo "make lab          the course in JupyterLab (sets up .venv the first time)"
	@echo "make test         the tests that need nothing but Python packages, under 3 minutes"
	@echo "make test-all     adds real tools, the browser, the distribution's whole module tree"
	@echo "make check        ruff and mypy"
	@echo "make notebooks    every notebook from top to bottom"
	@echo "make bench        the speed of the loader beside other readers of ELF files"
	@echo "make bench-widgets  how quickly widgets answer in a browser, and what they weigh"
	@echo "make bench-grading  100 submissions: kmodsim grade beside nbgrader autograde"
	@echo "make conformance  kmodsim beside the recorded real kernel: one table"
	@echo "make record       asks the real kernel in QEMU anew and says what moved (KMODSIM_PACKAGE_ROOT=…)"
	@echo "make survey       runs the init functions of the distribution's modules, writes docs/running.md"
	@echo "make fuzz         20,000 broken modules into the loader (FUZZ_ARGS=--runs=200000), bad pointers into the rest"
	@echo "make samples      builds the sample modules again from their C sources"
	@echo "make sample-index makes modprobe's indexes of the modules that come along again (needs depmod)"
	@echo "make venv         only sets up .venv, as lab does"
	@echo "make site         the course and the documents as pages, to be read without Jupyter"
	@echo "make lock         writes requirements/*.txt anew from pyproject.toml"
	@echo "make clean        removes .venv and all caches"
	@echo "Variables: PYTHON=python3.12  LAB_ARGS=--no-browser  PYTEST_ARGS='-k relocation'  BENCH_ARGS=--quick"
	@echo "           KMODSIM_TREE=/path/to/lib/modules/6.1.0-56-amd64"

# --- what is installed: .venv/.lab is younger than all that it depends on -----------------------------------------------

SETUP = @command -v $(PYTHON) >/dev/null 2>&1 || { echo "kmodsim: no $(PYTHON) here, Python 3.11 or newer is needed"; exit 1; }; \
	$(PYTHON) requirements/install.py

.venv/.lab: requirements/lab.txt requirements/uv.txt requirements/install.py pyproject.toml
	$(SETUP) lab

.venv/.test: requirements/test.txt requirements/uv.txt requirements/install.py pyproject.toml
	$(SETUP) test

.venv/.all: requirements/all.txt requirements/uv.txt requirements/install.py pyproject.toml
	$(SETUP) all

venv: .venv/.lab

# --- the two commands ----------------------------------------------------------------------------------------------------

# Jupyter asks root, the only user of many containers, to say so
lab: .venv/.lab
	@root=; [ "$$(id -u)" != 0 ] || root=--allow-root; \
	$(RUN) jupyter lab $$root --ServerApp.root_dir="$(CURDIR)" $(LAB_ARGS) notebooks/00-start-here.ipynb

test: .venv/.test
	@$(RUN) python -m pytest -m "core or notebook" $(WORKERS) $(PYTEST_ARGS)

# --- the rest ------------------------------------------------------------------------------------------------------------

test-all: .venv/.all
	@$(RUN) python -m pytest -m "not bench" $(WORKERS) $(PYTEST_ARGS)

notebooks: .venv/.test
	@$(RUN) python -m pytest -m notebook $(WORKERS) $(PYTEST_ARGS)

check: .venv/.all
	@$(RUN) ruff check --output-format concise .
	@$(RUN) mypy

bench: .venv/.all
	@$(RUN) python -m tests.bench.run $(BENCH_ARGS)

bench-widgets: .venv/.all
	@$(RUN) python -m tests.bench.widgets $(BENCH_ARGS)

bench-grading: .venv/.all
	@$(RUN) python -m tests.bench.grading $(BENCH_ARGS)

conformance: .venv/.all
	@$(RUN) python -m tests.conformance.table $(CONFORMANCE_ARGS)

# Status 1 when something moved. Answers are written; memories are not, for they hold addresses on the heap
record: .venv/.all
	@for what in errno-table samples sequences; do $(RUN) python -m tests.realkernel $$what || exit 2; done
	@moved=0; for what in chosen all; do $(RUN) python -m tests.realkernel.coming again $$what || moved=1; done; \
	git diff --stat --exit-code -- tests/truth || moved=1; [ $$moved = 1 ] || echo "nothing moved"; exit $$moved

# Writes docs/running.md
survey: .venv/.all
	@$(RUN) python -m tests.survey $(SURVEY_ARGS)

fuzz: .venv/.test
	@$(RUN) python -m tests.fuzz.run $(FUZZ_ARGS)
	@$(RUN) python -m tests.fuzz.api $(FUZZ_API_ARGS)

samples: .venv/.lab
	@$(RUN) python -m kmodsim.samplebuild

sample-index: .venv/.lab
	@$(RUN) python -m kmodsim.sampleindex

# No address of a registry in them, and the versions of the smaller set hold in the larger one
LOCK = $(RUN) uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-package kmodsim

lock:
	@[ -x $(BIN)/uv ] || { echo "kmodsim: no uv in .venv, run make venv first"; exit 1; }
	@$(LOCK) requirements/uv.in -o requirements/uv.txt
	@$(LOCK) pyproject.toml requirements/build.in --extra lab -o requirements/lab.txt
	@$(LOCK) pyproject.toml requirements/build.in --extra lab --extra test -c requirements/lab.txt -o requirements/test.txt
	@$(LOCK) pyproject.toml requirements/build.in --extra lab --extra test --extra browser --extra bench --extra docs \
		--extra dev --extra cluster -c requirements/test.txt -o requirements/all.txt

# Everything in it works when opened from disk
site: .venv/.all
	@$(RUN) sphinx-build -q -W --keep-going -b html -c docs/site . build/site
	@echo "build/site/docs/index.html"

clean:
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .hypothesis build kmodsim.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
