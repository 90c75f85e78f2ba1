# make demo   sets everything up and runs two simulated stations with the whole line (SECONDS=90 CHECK=1: unattended)
# make test   sets everything up and runs every check            make check  its part without servers, under 3 minutes
# make long   fuzzing, long chaos, rehearsals                     make help   all targets
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SECONDS ?=
CHECK ?=
SEED ?=
KILLS ?=
LINES ?=
BROKER ?=
NAME ?=

GOLDEN_TESTS := tests/edge_agent/cli/test_config_commands.py tests/edge_agent/config/test_golden_errors.py \
	tests/edge_agent/config/test_image.py tests/collector/web/test_web_api.py

.PHONY: help demo check test long lint format unit sim chaos soak servers assets clean golden bench
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt tools/environment.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash tools/environment.sh
	@touch $@

demo: $(READY) assets ## two simulated stations, agents, collector and the page; Ctrl-C ends it (SECONDS=90 CHECK=1: unattended)
	@exec $(BIN)/python -m examples.demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(CHECK),--check)

check: $(READY) lint unit ## format, lint, types, layers, and every test that needs no server

lint: $(READY)
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/mypy --strict -p examples.station_sim -p examples.demo
	$(BIN)/lint-imports --no-cache | tail -n 3

unit: $(READY)
	$(BIN)/python -m pytest -q -m "not mosquitto and not influxdb and not chromium and not systemd and not programs and not long"

test: $(READY) assets servers lint ## everything that matters, with servers, browser and the demo
	$(BIN)/python -m pytest -q -m "not long"

long: $(READY) assets servers ## fuzzing, the long simulator and chaos runs
	$(BIN)/python -m pytest -q -m long --timeout 3600
	$(BIN)/python -m tests.sim --start 1000 --hours 200000
	$(BIN)/python -m tests.fuzz --runs 10000000
	$(BIN)/python -m tests.chaos --kills 300 --lines 2

sim: $(READY) ## the simulator once: make sim SEED=17
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED),--seeds 200)

chaos: $(READY) servers ## the real programs under kill -9 and faults: make chaos SEED=7 KILLS=1000 LINES=2
	$(BIN)/python -m tests.chaos --kills $(or $(KILLS),100) --lines $(or $(LINES),2) $(if $(SEED),--seed $(SEED)) --broker $(or $(BROKER),both)

servers: $(READY)
	@bash tools/servers.sh

assets: $(READY)
	@$(BIN)/python tools/assets.py

soak: $(READY) assets ## the demo for hours: memory, descriptors and threads must not grow: make soak HOURS=8
	$(BIN)/python -m tests.soak --hours $(or $(HOURS),1)

bench: $(READY) ## figures that the product is asked for, measured: make bench NAME=flash (all without NAME)
	$(BIN)/python -m benchmarks $(NAME)

golden: $(READY) ## writes golden help texts, messages, images, OpenAPI, schemas and the page of problems anew; read the difference before a commit
	$(BIN)/python tools/problems.py
	$(BIN)/python -m tools.schemas
	WRITE_GOLDEN=1 $(BIN)/python -m pytest -q $(GOLDEN_TESTS)

format: $(READY) ## rewrites the code's layout
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## removes the environment and what was made here
	rm -rf $(VENV) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis collector/web/static/vendor collector/web/assets/node_modules
