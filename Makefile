# Every target makes what it needs; the stamp files make the second run quick.
DEFAULT_PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
PYTHON ?= $(DEFAULT_PYTHON)
version_of = $(if $(1),$(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
# Another version of Python has an environment of its own: .venv-3.13 beside .venv.
VENV := $(if $(filter $(call version_of,$(DEFAULT_PYTHON)),$(call version_of,$(PYTHON))),.venv,.venv-$(call version_of,$(PYTHON)))
BIN := $(VENV)/bin
DEMO_ARGS ?=
PAGE_ARGS ?=
BENCH_ARGS ?=
RIVALS_ARGS ?=
TEST_ARGS ?=
TEST_JOBS ?= 3

.PHONY: help demo page test bench rivals lint types format pins clean

help:
	@echo "make demo    show the main features: renewals, theft, an outage, storms, tuning (3 min)"
	@echo "make page    serve a page that shows a session at work, on http://localhost:8000/"
	@echo "make test    run the tests with branch coverage; PYTHON=python3.13 in an environment of its own"
	@echo "make bench   measure verification, renewal and the middleware"
	@echo "make rivals  measure the same work done by other libraries (installs them; needs Node.js)"
	@echo "make lint    ruff          make types   mypy --strict"
	@echo "make pins    renew the pinned requirements          make clean"

demo: $(VENV)/demo.stamp
	$(BIN)/linqi demo $(DEMO_ARGS)

page: $(VENV)/demo.stamp
	$(BIN)/linqi serve --lifetime-seconds 20 --buffer-seconds 8 $(PAGE_ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/coverage erase
	$(BIN)/pytest -n $(TEST_JOBS) --dist loadfile --cov --cov-report= $(TEST_ARGS)
	$(BIN)/coverage report

bench: $(VENV)/dev.stamp
	$(BIN)/linqi bench $(BENCH_ARGS)

rivals: $(VENV)/dev.stamp
	PYTHONPATH=bench $(BIN)/python -m rivals $(RIVALS_ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Resolve afresh into an empty environment and write down what came of it.
pins:
	rm -rf $(VENV)-pins
	$(PYTHON) -m venv $(VENV)-pins
	$(VENV)-pins/bin/pip install -q --upgrade "pip>=25.1"
	$(VENV)-pins/bin/pip install -q hatchling editables '.[serve,storm]'
	$(VENV)-pins/bin/pip freeze --exclude linqi > requirements/demo.txt
	$(VENV)-pins/bin/pip install -q --group dev '.[serve,storm,bench]'
	$(VENV)-pins/bin/pip freeze --exclude linqi > requirements/dev.txt
	rm -rf $(VENV)-pins

clean:
	rm -rf .venv .venv-3.* $(VENV)-pins .venv-rivals bench/rivals/node/node_modules build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "linqi needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "linqi needs Python 3.11 or newer; $(PYTHON) is older" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# dev contains demo, so either stamp may serve the other's target in one environment.
$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r $<
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@
