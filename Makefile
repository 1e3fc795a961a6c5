# Needs make, pip and Python >= 3.12; everything else goes into .venv on first use.
# PYTHON=/path/to/python chooses the interpreter that .venv is made with.

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all lint format types notebooks benchmark ci clean

VENV := .venv
RUN := $(VENV)/bin/python
INSTALL := $(RUN) -m pip -qq --disable-pip-version-check install --no-input -c constraints.txt

# The development environment holds all that the demo needs, so the demo uses it where it exists.
ifneq ($(wildcard $(VENV)/.dev),)
DEMO_READY := $(VENV)/.dev
else
DEMO_READY := $(VENV)/.demo
endif

# An environment that was copied, moved or has lost its interpreter is made anew.
ifneq ($(shell [ -x $(RUN) ] && cat $(VENV)/.place 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/.place
endif

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(DEMO_READY)  ## Run the demonstration; writes demo/report.html
	@$(RUN) demo/run.py

test: export JAX_PLATFORMS = cpu
test: $(VENV)/.dev  ## Run the tests, without the slow ones
	@$(RUN) -m pytest -n 2

test-slow: export JAX_PLATFORMS = cpu
test-slow: $(VENV)/.dev  ## Run the slow tests only
	@$(RUN) -m pytest -n 2 -m slow

test-all: export JAX_PLATFORMS = cpu
test-all: $(VENV)/.dev  ## Run every test
	@$(RUN) -m pytest -n 2 -m "slow or not slow"

lint: $(VENV)/.dev  ## Check style and formatting
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

format: $(VENV)/.dev  ## Apply formatting and safe fixes
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

types: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
types: $(VENV)/.dev  ## Check types
	@$(RUN) -m pyright

notebooks: export JAX_PLATFORMS = cpu
notebooks: $(VENV)/.dev  ## Execute every notebook, leaving the files as they are
	@$(RUN) notebooks/execute.py --side-by-side 2

PEERS := .venv-peers
$(PEERS)/.ready: benchmarks/peers/requirements.txt | $(VENV)/.dev
	@$(RUN) -m venv --clear $(PEERS)
	@$(PEERS)/bin/python -m pip -qq --disable-pip-version-check install --no-input -r $<
	@touch $@

benchmark: export JAX_PLATFORMS = cpu
benchmark: $(VENV)/.dev $(PEERS)/.ready  ## Measure speed beside peers, which get an environment of their own
	@$(RUN) benchmarks/leaderboard.py --peers $(CURDIR)/$(PEERS)/bin/python
	@$(RUN) benchmarks/side_by_side.py --peers $(CURDIR)/$(PEERS)/bin/python
	@$(RUN) benchmarks/embedding_reward.py --peers $(CURDIR)/$(PEERS)/bin/python
	@$(RUN) benchmarks/gaussian_process.py --peers $(CURDIR)/$(PEERS)/bin/python
	@$(RUN) benchmarks/votes.py
	@$(RUN) benchmarks/centring.py
	@$(RUN) benchmarks/scaling.py

ci:  ## Run everything that continuous integration runs
	@./.ci/run

clean:  ## Remove the environment, builds and caches
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache demo/report.html
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.demo: $(VENV)/.place pyproject.toml constraints.txt
	@echo "Installing bayespref for the demo into $(VENV) (minutes the first time)"
	@$(INSTALL) -e '.[examples]'
	@touch $@

$(VENV)/.dev: $(VENV)/.place pyproject.toml constraints.txt
	@echo "Installing bayespref for development into $(VENV) (minutes the first time)"
	@$(INSTALL) -e '.[dev,examples]'
	@touch $@

# Candidates are run, not just found: a pyenv shim may exist and still fail.
$(VENV)/.place:
	@usable() { \
	  "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; \
	}; \
	found=; \
	if [ -n "$(PYTHON)" ]; then \
	  if usable "$(PYTHON)"; then found="$(PYTHON)"; else \
	    echo "PYTHON=$(PYTHON) is not a working Python >= 3.12 with venv and pip." >&2; exit 1; \
	  fi; \
	else \
	  for candidate in python3.12 python3.13 python3.14 python3 \
	      "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do \
	    if usable "$$candidate"; then found="$$candidate"; break; fi; \
	  done; \
	fi; \
	if [ -z "$$found" ]; then \
	  echo "Python >= 3.12 with venv and pip is missing: install it with pyenv (pyenv install 3.12)," \
	    "apt (apt install python3.12-venv), uv (uv python install 3.12, then make PYTHON=<its path>)" \
	    "or from python.org." >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" -c 'import platform; print("Python", platform.python_version())')"; \
	rm -rf $(VENV); "$$found" -m venv $(VENV) && printf '%s\n' "$(CURDIR)" > $@
