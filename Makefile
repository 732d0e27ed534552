# AgentOS: `make demo` shows it, `make test` tests it; both set everything up first.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint types beauty bench docs stress local-model live-cli recording lock clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch .venv/ready

demo: setup  ## a roadmap worked off by a simulated team, and a task that is really done (AGENTOS_MODEL: by a model)
	$(BIN)/agentos demo

test: setup  ## every test, in parallel
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

beauty: setup  ## size and shape of the code, beside the last committed figures
	$(BIN)/python tests/beauty.py

bench: setup  ## the figures of docs/benchmarks.md, as ratios
	$(BIN)/python tests/bench.py

stress: setup  ## the long runs at full size, one after another; figures printed
	$(BIN)/python tests/stress

local-model: setup  ## ten tiny tasks for a real small model on this machine (500 MB once); SIZE=1.5b for a larger one
	$(BIN)/python tests/live/local_model.py $(or $(SIZE),0.5b)

live-cli: setup  ## one task by each coding command line (or CLI=claude), from its registry, against a scripted server
	$(BIN)/python tests/live/coding_cli.py $(CLI)

recording: setup  ## the recording that the demo plays, made again by a scripted server (AGENTOS_MODEL: by a model)
	$(BIN)/python tests/live/recording.py

docs: setup  ## the generated parts of docs/
	$(BIN)/python docs/build.py

lock: setup  ## requirements.lock anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv
