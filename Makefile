# CONTRIBUTING.md says what each verb is for; ARGS are passed on: make live ARGS="--source demo"
.PHONY: help env live serve test nbdev_test py_test mutants faults fuzz soak js_test prep check bench service_bench train docs
ENV := .venv/made-$(shell pwd | cksum | cut -d' ' -f1)
META := settings.ini setup.py

help:        ## this list
	@sed -n 's/^\([a-z_]*:\)[^#]*##/\1/p' Makefile

live: $(ENV)-slim        ## the camera in JupyterLab
	@.venv/bin/camredact live $(ARGS)

serve: $(ENV)-slim        ## the same camera over HTTP, with a page for telephones
	@.venv/bin/python -c 'import fastapi, uvicorn, websockets, httptools, python_multipart' 2>/dev/null || .venv/bin/python -m pip install -qq -e '.[service]'
	@.venv/bin/camredact serve $(ARGS)

test: $(ENV)-dev nbdev_test py_test js_test        ## everything: notebooks, pytest, front end

nbdev_test: $(ENV)-dev        ## the notebooks alone
	@.ci/tools
	.venv/bin/nbdev-test --do-print $(ARGS)

py_test: $(ENV)-dev        ## pytest alone
	@.ci/tools
	.venv/bin/pytest tests $(ARGS)

mutants: $(ENV)-dev        ## the tests against broken builds: each must fail
	.venv/bin/pytest tests/quick/test_mutants.py -m mutants $(ARGS)

faults: $(ENV)-dev        ## every fault in every state, 200 times each, into cards/metrics.json
	@.ci/tools
	.venv/bin/python tests/faults.py $(ARGS)

fuzz: $(ENV)-dev        ## ten minutes of files that were made to hurt
	.venv/bin/python tests/fuzz.py $(ARGS) 2>/dev/null

soak: $(ENV)-dev        ## an hour at full rate: memory and age, into cards/metrics.json
	@.ci/tools
	.venv/bin/python tests/soak.py $(ARGS)

js_test: $(ENV)-dev        ## the front end alone, in Node
	"$$(.ci/tools node)" --test --test-reporter=spec tests/js/*.test.*js

prep: $(ENV)-dev        ## export, clean, README, cards: before a commit
	.venv/bin/nbdev-export && .venv/bin/nbdev-clean && .venv/bin/python nbs/_docs.py readme && .venv/bin/python cards/cards.py

check: $(ENV)-dev        ## seconds: lint, and whether prep would change anything
	.venv/bin/ruff check . && .ci/no-op && .venv/bin/pytest tests/quick/test_hygiene.py

bench: $(ENV)-dev        ## measures, into cards/metrics.json
	@.ci/tools
	.venv/bin/python tests/bench.py $(ARGS)

service_bench: $(ENV)-dev        ## the service under load, into cards/metrics.json
	.venv/bin/python tests/service_load.py --note $(ARGS)

train: $(ENV)-dev        ## trains: make train ARGS="--help"
	.venv/bin/camredact train $(ARGS)

docs: $(ENV)-dev        ## README.md, and a site in _docs/html
	.venv/bin/python -m pip install -qq -e '.[docs]'
	.venv/bin/python nbs/_docs.py readme site

env: $(ENV)-dev        ## .venv with everything that tests and training need

$(ENV)-%: $(META)
	@.ci/env $*
	@touch $@ $(if $(filter dev,$*),$(ENV)-slim)
