# LiteMaaS on a sandbox, with nothing but Go and Python 3.11 installed. `make` lists what there is.
# The work is done by `python -m sandbox`; these are its names for people.
PYTHON ?= python3
SANDBOX = $(PYTHON) -m sandbox
CHECK = $(SANDBOX) run

.DEFAULT_GOAL := help
.PHONY: help up preview outputs verify down shell images images-list status toolchain venv test test-unit test-engine e2e test-images test-reconciler test-node lint format bench requirements clean

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

up: ## tools, environment, sandbox, preview, deployment, outputs (undo: make down)
	@$(SANDBOX) deploy $(if $(NODES),--nodes $(NODES))

preview: ## show what `make up` would change now; touches nothing
	@$(SANDBOX) pulumi preview --diff

outputs: ## print the stack's outputs: addresses, names
	@$(SANDBOX) pulumi stack output

verify: venv ## make the checks at the end of `make up` again, from here (CONTEXT=name: your cluster; ARGS="--model NAME")
	@$(if $(CONTEXT),.venv/bin/python -m verification --context $(CONTEXT),$(SANDBOX) verify --) $(ARGS)

down: ## destroy the deployment, stop the sandbox, leave nothing running (undo: make up)
	@$(SANDBOX) destroy

shell: ## a shell in which pulumi and kubectl use the sandbox (undo: exit)
	@$(SANDBOX) shell

images: ## build the images of a real node (about 10 minutes once; needs root)
	@$(SANDBOX) images

# What it prints may go into a file.
images-list: ## print every image with its use, for a mirror (STACK=name MIRROR=registry/path FORMAT=table, copy, idms or itms)
	@$(SANDBOX) venv >&2
	@.venv/bin/python -m config.image_list $(if $(STACK),--stack $(STACK)) $(if $(MIRROR),--mirror $(MIRROR)) $(if $(FORMAT),--format $(FORMAT))

status: ## show whether the sandbox is up and what in it is simulated
	@$(SANDBOX) status

toolchain: ## build the tools that are missing into the cache (about 20 minutes once)
	@$(SANDBOX) toolchain

venv: ## make .venv from the hashed pins (undo: make clean)
	@$(SANDBOX) venv

test: test-unit test-engine ## all tests: unit, then engine

test-unit: venv toolchain ## tests without a cluster: seconds
	@$(CHECK) pytest -q -n auto tests/unit

# Three on two cores: half of the time a worker waits for its cluster. Groups are made in tests/engine/conftest.py.
test-engine: venv toolchain ## tests on the real engine and sandboxes of their own: minutes
	@$(CHECK) pytest -q -n 3 --dist loadgroup --no-loadscope-reorder tests/engine

e2e: test-images test-reconciler test-node ## tests on a real node with real containers: minutes (needs root; undo: none needed)

test-images: venv toolchain ## tests of what is in the sandbox's images: a minute
	@$(CHECK) pytest -q -n 3 tests/e2e/images

test-reconciler: venv toolchain ## tests of registering models in a real LiteLLM: minutes (needs the images)
	@$(CHECK) pytest -q tests/e2e/reconciler

test-node: venv toolchain ## tests of the stack on a real node: minutes (needs the images)
	@$(CHECK) pytest -q tests/e2e --ignore=tests/e2e/images --ignore=tests/e2e/reconciler

lint: venv ## formatting, lint rules, types; changes nothing (fix: make format)
	@$(CHECK) ruff format --check .
	@$(CHECK) ruff check .
	@$(CHECK) pyright

format: venv ## format the code and fix what ruff can fix (undo: git checkout)
	@$(CHECK) ruff format .
	@$(CHECK) ruff check --fix .

bench: venv toolchain ## measure the program against a flat one that makes the same objects
	@$(CHECK) python -m tests.bench

requirements: ## compile requirements*.txt from requirements*.in (undo: git checkout)
	@$(SANDBOX) requirements

clean: ## stop the sandbox, delete it and .venv; the tools in the cache stay
	@$(SANDBOX) down --purge
	@rm -rf .venv .pytest_cache .ruff_cache
