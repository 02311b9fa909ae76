PYTHON ?= python3
BIN := .venv/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help demo arc-fault wrist-exercises appliances deps-firmware deps-browser test test-slow test-all check docs schemas audit clean
help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt torch
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,docs,mlflow,optuna,parallel,ray,slurm,wandb]'
	touch $@

demo: .venv/installed         ## install once, then the main job on real data
	$(BIN)/nas-lightning nas_model_size=s

# The examples: their data are made once, into data/.
arc-fault wrist-exercises appliances: .venv/installed
	test -d data/$(EXAMPLE) || $(BIN)/python examples/$(EXAMPLE)/make_data.py data/$(EXAMPLE)
	$(BIN)/nas-lightning examples/$(EXAMPLE)/$(CONFIG) dataset.input_data_path=data/$(EXAMPLE)

arc-fault: EXAMPLE := arc_fault
arc-fault: CONFIG := config_nas.yaml
wrist-exercises: EXAMPLE := wrist_exercises
wrist-exercises: CONFIG := config.yaml
appliances: EXAMPLE := appliances
appliances: CONFIG := config.yaml

deps-firmware:   ## Debian and Ubuntu: the Arm compiler and the emulator, for firmware that is measured (900 MB)
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends \
	    gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc libc6-dev make

deps-browser:    ## Debian and Ubuntu: Chromium, for the tests that open the pages of runs (300 MB)
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends chromium

# A file stays on one process, for its tests share runs; files go out by name, so that those that run longest come early.
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test: .venv/installed check   ## install once, then lint, types and the tests that take up to 10 seconds
	$(PYTEST) -m "not slow"

test-slow: .venv/installed    ## the other tests
	$(PYTEST) -m slow

test-all: test test-slow      ## all that CI runs

check: .venv/installed        ## lint, format, types and unsafe calls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml nas_lightning hydra_plugins

# Not with --quiet: it silences the warnings that --strict counts.
docs: .venv/installed         ## the pages of docs/ and a reference of the public names as a site, site/index.html
	$(BIN)/mkdocs build --strict

schemas: .venv/installed      ## the JSON schemas of the files of a run, from their records
	$(BIN)/python -m nas_lightning.schemas

# Without --strict a package that nobody could be asked about counts as one without vulnerabilities.
STRICT := --strict

audit: .venv/installed        ## known vulnerabilities of the tested set; needs the network, and fails without it
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip $(STRICT)

clean:                        ## remove the environment and what runs left
	rm -rf .venv outputs multirun site
