# CONTRIBUTING.md says what each verb is for; ARGS are passed on: make live ARGS="--source demo"
.PHONY: help env lock live serve quick test lowest lint nbdev_test py_test js_test prep check measure bench train docs release
ENV := .venv/made-$(shell pwd | cksum | cut -d' ' -f1)
META := settings.ini setup.py locks/live.txt

help:        ## this list
	@sed -n 's/^\([a-z_]*:\)[^#]*##/\1/p' Makefile

live: $(ENV)-slim        ## the camera in JupyterLab
	@.venv/bin/camredact live $(ARGS)

serve: $(ENV)-slim        ## the same camera over HTTP, with a page for telephones
	@.venv/bin/camredact serve $(ARGS)

quick: $(ENV)-dev lint js_test        ## 90 seconds: lint, front end, core's notebooks, tests without browser, training or video
	.venv/bin/pytest -n 2 tests/quick tests/notebooks -k "quick or core" $(ARGS)

test: $(ENV)-dev lint js_test py_test        ## everything: lint, front end, notebooks, pytest

lowest: $(ENV)-dev        ## the service's tests with the lowest versions that settings.ini allows, in .cache/lowest
	@.ci/lowest $(ARGS)

nbdev_test: $(ENV)-dev        ## the notebooks alone: make nbdev_test ARGS=nbs/core
	@.ci/tools
	.venv/bin/python tests/kit/notebooks.py $(ARGS)

py_test: $(ENV)-dev        ## notebooks and pytest on two cores
	@.ci/tools
	.venv/bin/pytest -n 2 --dist loadgroup --durations=30 $(ARGS)

js_test: $(ENV)-dev        ## the front end alone, in Node
	"$$(.ci/tools node)" --test --test-reporter=spec tests/js/*.test.*js

prep: $(ENV)-dev        ## export, clean, README, cards: before a commit
	.venv/bin/nbdev-export && .venv/bin/nbdev-clean && .venv/bin/python nbs/_docs.py readme && .venv/bin/python nbs/experiments/cards.py

lint: $(ENV)-dev        ## ruff, mypy, and whether prep would change anything
	.venv/bin/ruff check . && .venv/bin/mypy && .ci/no-op

check: $(ENV)-dev lint        ## seconds: lint, rooms, what must never get into git
	.venv/bin/pytest tests/quick/test_hygiene.py

measure: $(ENV)-dev        ## measures and records, on an idle machine: make measure WHAT=soak; WHAT is a script of nbs/experiments
	@.ci/tools
	PYTHONPATH=tests .venv/bin/python nbs/experiments/$(WHAT).py $(ARGS)

bench: WHAT = live
bench: measure        ## the same for the live camera

train: $(ENV)-dev        ## trains: make train ARGS="--help"
	.venv/bin/camredact train $(ARGS)

docs: $(ENV)-dev        ## README.md, and a site in _docs/html; no network, no quarto
	.venv/bin/python nbs/_docs.py readme site

release: $(ENV)-dev        ## dist/: builds sdist and wheel, checks them, tries the wheel in an empty environment
	@.ci/release $(ARGS)

lock: $(ENV)-dev        ## locks/ anew: the newest versions that settings.ini allows, with hashes
	@.ci/lock

env: $(ENV)-dev        ## .venv with everything that tests and training need

$(ENV)-%: $(META)
	@.ci/env $*
	@touch $@ $(if $(filter dev,$*),$(ENV)-slim)
