# AvatarSync suite. `make demo` and `make test` are all a newcomer needs: each installs what is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OUT ?= reports/demo
WORKERS ?= 2
ifdef TOOLS
export AVATARSYNC_TOOLS := $(abspath $(TOOLS))
endif

.DEFAULT_GOAL := help
.PHONY: help demo report test test-slow test-tools bench-datapipe bench-benchmark bench-model check format clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

demo: .venv/.core ## raw video -> shards -> model -> report, on the embedded sample (about ten minutes)
	$(BIN)/avatarsync demo --out $(OUT)

report: .venv/.core ## render reports/ from the runs and records that are committed there
	$(BIN)/python -m datapipe.performance --render
	$(BIN)/python -m model.performance --render
	$(BIN)/python -m benchmark.performance --render
	$(BIN)/avatarsync bench render

test: .venv/.dev ## the fast tests
	$(BIN)/python -m pytest -m "not slow and not tools" -n $(WORKERS) --dist loadfile

test-slow: .venv/.dev ## the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not tools"

test-tools: .venv/.dev ## make the tool environments (TOOLS=DIR: there) and run their backends' tests (about half an hour)
	$(BIN)/avatarsync tools create vision speech
	$(BIN)/avatarsync tools check
	$(BIN)/avatarsync tools list
	$(BIN)/python -m pytest -m tools -rs

bench-datapipe: .venv/.bench ## measure how fast a build is, into reports/performance (about twenty minutes)
	$(BIN)/python -m datapipe.performance --out reports/performance

bench-benchmark: .venv/.bench-tools ## measure how fast an evaluation is, into reports/performance (about twenty minutes)
	$(BIN)/python -m benchmark.performance --out reports/performance

bench-model: .venv/.bench ## measure how fast the generator is, into reports/performance (about ten minutes)
	$(BIN)/python -m model.performance --out reports/performance

check: .venv/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p datapipe -p model -p benchmark
	$(BIN)/lint-imports

format: .venv/.dev ## apply the formatter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the demo and the tests made (downloads and .venv stay)
	rm -rf reports/demo out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

distclean: clean ## remove .venv too
	rm -rf .venv

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || { echo "error: Python 3.11 is needed, found: $(PYTHON)"; echo "hint: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	"$(PYTHON)" -m venv .venv

.venv/.core: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing AvatarSync into .venv (about 2.5 GB, a minute or two)"
	$(PIP) install --prefer-binary -c constraints.txt -e '.[assets]'
	@touch $@

.venv/.dev: .venv/.core
	@echo "installing the development tools"
	$(PIP) install --prefer-binary -c constraints.txt -e '.[assets,dev]'
	@touch $@

.venv/.bench: .venv/.core
	@echo "installing what builds and scans are measured against"
	$(PIP) install --prefer-binary -c constraints.txt -e '.[assets,bench]'
	@touch $@

.venv/.bench-tools: .venv/.bench benchmark/performance/tools/requirements.txt
	@echo "installing the tools that an evaluation is measured against, apart, into .venv/bench-tools"
	rm -rf .venv/bench-tools
	$(PIP) install --no-deps --target .venv/bench-tools -r benchmark/performance/tools/requirements.txt
	@touch $@
