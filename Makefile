# Every task of the project. CI and the documents call only these.
SHELL := /bin/bash -eu -o pipefail
.DEFAULT_GOAL := help
PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
INSTALLED := .venv/installed
# What is trained, served and watched: `make serve TASK=rain` works in workspaces/rain, the flights in this folder.
TASK ?= flights
ROOT := $(if $(filter flights,$(TASK)),.,workspaces/$(TASK))
ifeq ($(wildcard $(ROOT)/params.yaml),)
$(error TASK must be one of: $(strip flights $(patsubst workspaces/%/params.yaml,%,$(wildcard workspaces/*/params.yaml))), got '$(TASK)'; a task's folder is workspaces/<name>)
endif

# Processes that test side by side, a file of tests at a time.
WORKERS ?= 2

export PATH := $(CURDIR)/$(BIN):$(PATH)
# Telemetry of BentoML, DVC and MLflow is off in every task.
export BENTOML_DO_NOT_TRACK := True
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install demo test dag repro release serve replay monitor ui lint types format lock proto clients fuzz-env fuzz bench clean \
  cluster-up cluster-demo cluster-test cluster-down checkov stack dashboards dashboards-test examples compose-env

help: ## List every task
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST) \
	  | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi
	@echo
	@echo "  TASK=<name> does demo, repro, release, serve, replay, monitor, stack, ui and clean for the task in workspaces/<name>."
	@echo
	@echo "  On Linux, PyPI's torch brings 2.5 GB of CUDA. 'make install TORCH_INDEX=<address of PyTorch's CPU wheels>'"
	@echo "  (or 'make demo TORCH_INDEX=...') takes the CPU build instead; pytorch.org, 'Get started', names the address."

install: $(INSTALLED) ## Make .venv with the locked versions

$(INSTALLED): requirements/train.txt pyproject.toml
	@echo "Installing into .venv (2-3 minutes) ..."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python must be 3.11 or newer, got $$($(BIN)/python --version); say 'make PYTHON=python3.11 ...' after 'rm -r .venv'"; exit 1; }
	@if [ -n "$(TORCH_INDEX)" ]; then \
	  $(BIN)/pip install --quiet --index-url "$(TORCH_INDEX)" "$$(grep '^torch==' requirements/train.txt)"; fi
	$(BIN)/pip install --quiet --requirement requirements/train.txt
	@# setuptools warns of what an editable installation is; that is shown only when it fails.
	@$(BIN)/pip install --quiet --no-deps --editable . 2> .venv/editable.log || { cat .venv/editable.log >&2; exit 1; }
	@touch $@

demo: ## Everything, in under ten minutes: train, release, serve, replay half a year, monitor, judge
	@started=$${WINDSOCK_DEMO_STARTED:-$$(date +%s)}; export WINDSOCK_DEMO_STARTED=$$started; \
	$(MAKE) --no-print-directory install && windsock demo --root $(ROOT)

test: install ## Every test (half an hour on two cores; WORKERS=1: one after the other)
	python -m pytest --numprocesses $(WORKERS) --dist loadfile

repro: install ## Run the pipeline: what changed, and nothing else
	cd $(ROOT) && dvc repro

dag: install ## Write dvc.yaml of every workspace from the stages and their imports
	for root in . workspaces/*/; do windsock pipeline build --root "$$root"; done

release: install ## Verify the candidate, copy it to the store, make it champion
	windsock release --root $(ROOT)

serve: install ## Serve the champion over REST (3000) and gRPC (3001)
	windsock serve --root $(ROOT)

replay: install ## Send the months after the model's as-of date to the running service
	windsock replay --root $(ROOT)

monitor: install ## Report quality, drift and latency by month (MONITOR='--clock event' after a replay)
	windsock monitor --root $(ROOT)$(if $(MONITOR), $(MONITOR))

stack: install ## Service, monitor, Prometheus and Alertmanager as local processes
	windsock stack --root $(ROOT)

dashboards: install ## Write dashboards and alert rules anew, from monitoring/boards/ and the objectives
	windsock dashboards build

examples: install ## Write docs/examples/ anew, from the schema of the flights
	python docs/examples/write.py docs/examples

dashboards-test: install ## Every query of every panel and rule on a live service, and an incident from alarm to all-clear (4 minutes)
	python -m pytest -m live

compose-env: install ## Passwords and your user id for compose.yaml, into .env, and the prober's token; existing ones are kept
	@test -e .env || { umask 077; printf 'WINDSOCK_UID=%s\nWINDSOCK_GID=%s\nPOSTGRES_PASSWORD=%s\nGRAFANA_PASSWORD=%s\n' \
	  "$$(id -u)" "$$(id -g)" "$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(24))')" \
	  "$$($(PYTHON) -c 'import secrets; print(secrets.token_hex(12))')" > .env; }
	@test -e secrets/probe-token || { umask 077; windsock tokens add probe --scope probe --rows-per-second 5 > secrets/probe-token; }
	@mkdir -p state/compose; echo "Grafana: user admin, password in .env"

ui: install ## Open MLflow on http://127.0.0.1:5000
	mlflow ui --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(ROOT)/artifacts/mlflow.db}" --host 127.0.0.1 --port 5000

lint: install ## Style, import rules, formatting
	ruff check .
	ruff format --check .
	lint-imports

types: install ## mypy, strict, tests included
	mypy

format: install ## Let ruff mend what it can
	ruff check --fix .
	ruff format .

lock: install ## Compile requirements/*.txt anew from pyproject.toml
	requirements/compile

proto: install ## Generate the gRPC code from its .proto
	python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. services/generated/open_inference.proto

clients: ## Make .venv-clients with stock Open Inference Protocol clients, for contract tests
	test -x .venv-clients/bin/python || $(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --requirement requirements/clients.txt
	requirements/perf-analyzer .venv-clients

fuzz-env: ## Make .venv-fuzz with schemathesis, for a test of the OpenAPI document
	test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/pip install --quiet --requirement requirements/fuzz.txt

fuzz: install fuzz-env ## 3,000 requests made up from the OpenAPI document, each time other ones
	FUZZ_CASES=3000 FUZZ_SEED=$$RANDOM python -m pytest -q -s tests/contract/service/fuzz

bench: install ## The service beside FastAPI and MLServer, what the spool costs, and files -> reports/benchmarks/ (BENCH=--short: two minutes)
	python -m benchmarks.serving $(BENCH)
	test -n "$(BENCH)" || { python -m benchmarks.results.page; python -m benchmarks.spool; python -m benchmarks.log; python -m benchmarks.score; }

cluster-up: install ## Everything in a kind cluster on this machine: build, load, apply, wait (needs docker, kind, kubectl)
	@test -f artifacts/store/champion || { windsock cluster check && $(MAKE) --no-print-directory repro release; }
	windsock cluster up

cluster-demo: install ## A week of flights through the cluster, their labels, the monitor's page, targets and alerts
	windsock cluster demo

cluster-test: install ## Tests that need the cluster -> reports/cluster.json
	python -m pytest -m cluster --timeout=900 tests/e2e/cluster

cluster-down: install ## Delete the cluster with volumes, secrets and kubeconfig; images stay
	windsock cluster down

checkov: ## Make .venv-checkov, which judges the manifests in `make test`
	test -x .venv-checkov/bin/checkov || $(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet --requirement requirements/checkov.txt

clean: ## Remove what the pipeline and the demo made; keeps .venv, keys and released models
	cd $(ROOT) && rm -rf data artifacts/train artifacts/compress artifacts/candidate state reports/monitoring reports/demo.html
