# `make help` lists what there is. Everything runs from .venv, which `make install` makes.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv is fetched where it is missing
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --override requirements/overrides.txt pyproject.toml
# the real-model, browser, fault and slow tests have a target of their own
SLOW := real_model or browser or fault or slow
export PYTHONPATH := $(CURDIR)

.PHONY: help install demo test test-slow kill-table ci check format bench serve worker lock snapshot clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## make .venv with everything for development

$(VENV)/.installed: requirements/dev.txt pyproject.toml | $(filter .tools/bin/uv,$(UV))
	test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) $(VENV)
	$(UV) pip sync -q --python $(BIN)/python --require-hashes --compile-bytecode requirements/dev.txt
	$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

.tools/bin/uv: requirements/uv.txt
	$(PYTHON) -m venv .tools
	.tools/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt

demo: install ## a real small model evaluated by a sentence, on this machine alone
	$(BIN)/python scripts/demo.py

test: install ## the tests, but for the slow ones, with their line coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not ($(SLOW))" -n 3 --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-slow: install ## the tests with a real model, a browser, faults, and whole conversations
	$(BIN)/pytest -m "$(SLOW)" -n 2 --dist loadfile

check: install ## lint, format, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/docs.py --check
	$(BIN)/python scripts/slack_pictures.py --check

kill-table: install ## kill processes at 40 random moments (test-slow: 10) and print what came of it; SEED=N: others
	SCOPEBOT_KILL_MOMENTS=40 SCOPEBOT_KILL_SEED=$(or $(SEED),1) $(BIN)/pytest tests/fault/test_kill_table.py

ci: check test test-slow ## all of it

format: install ## lint and format, mending what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## measure, beside the bare thing
	$(BIN)/python bench/bot_process.py
	$(BIN)/python bench/benchmarks_search.py
	$(BIN)/python bench/intents/run.py --no-llm
	$(BIN)/python bench/first_score.py
	$(BIN)/python bench/perf_fidelity.py
	$(BIN)/python bench/slack_burst.py
	$(BIN)/python bench/feishu_burst.py

bench-intents: install ## how well sentences are understood; OPENAI_BASE_URL, SCOPEBOT_LLM_MODEL: beside a model
	$(BIN)/python bench/intents/run.py $(ARGS)

serve: install ## run the bot
	$(BIN)/scopebot serve

worker: install ## run a worker (needs REDIS_URL)
	$(BIN)/scopebot worker

lock: | $(filter .tools/bin/uv,$(UV)) ## pin every version with its hashes
	$(COMPILE) -o requirements/bot.txt
	$(COMPILE) --extra worker -o requirements/worker.txt
	$(COMPILE) --extra worker --extra rag -o requirements/rag.txt
	$(COMPILE) --extra worker --extra demo --extra dev -o requirements/dev.txt
	echo 'uv' | $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links - -o requirements/uv.txt

snapshot: install ## write the catalog of the pinned EvalScope
	$(BIN)/python scripts/snapshot_catalog.py

clean: ## remove what was installed and built
	rm -rf $(VENV) .tools build dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache htmlcov
