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
# Of each version the first that is found; those that are not installed are left out.
PYTHONS ?= python3.11 python3.12 python3.13 python3.14 $(wildcard $(HOME)/.pyenv/versions/3.1[1-4].*/bin/python)
COVERAGE_ARGS ?=
RIVALS_ARGS ?=
REVOCATIONS_ARGS ?=
GROWTH_ARGS ?=
SIMULATION_ARGS ?=
MUTANTS_ARGS ?=
DISTRIBUTED_ARGS ?=
MATRIX_ARGS ?=
TEST_ARGS ?=
RELEASE_ARGS ?=
TEST_JOBS ?= 6
# The tests start hundreds of processes of Python, which would each compile linqi again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo page docs release-check figures stories test coverage bench served served-once generators big-log million-revocations store-growth rivals simulations smoke-storms mutants distributed long-tests matrix browsers lint types format pins clean coverage-of-intervals

help:
	@echo "make demo    show the main features: renewals, theft, an outage, storms, tuning (3 min)"
	@echo "make page    serve a page that shows a session at work, on http://localhost:8000/"
	@echo "make test    run the tests; PYTHON=python3.13 in an environment of its own"
	@echo "make coverage  run the tests with branch coverage, which takes twice as long"
	@echo "make bench   measure verification, renewal and the middleware"
	@echo "make served  measure what a served request costs on each CPython of PYTHONS, in one table"
	@echo "make big-log measure how fast the tuner reads 1 GB of access log"
	@echo "make generators  measure a request of the load generator beside other load generators (1 min)"
	@echo "make million-revocations  workers that start and reconnect with 10^6 revocations alive (3 min)"
	@echo "make store-growth  SQL stores with 10^6 sessions: indexes, sizes, and a purge beside requests (3 min)"
	@echo "make rivals  measure the same work done by other libraries (installs them; needs Node.js)"
	@echo "make coverage-of-intervals  how often the tuner's intervals hold the second half of a log (15 min)"
	@echo "make simulations   play renewal rules against each other (4 min)"
	@echo "make mutants break the middleware in many ways, each found by a storm of its own (30 min)"
	@echo "make long-tests  the tests that take minutes: the whole tuning loop, two environments, rivals (5 min)"
	@echo "make distributed   many workers on clusters, standbys and poolers that fail; the histories judged (15 min)"
	@echo "make browsers  every test of linqi.js in Chromium, Firefox and WebKit (needs their packages; 3 min)"
	@echo "make matrix  every framework on every ASGI server, wrapped and unwrapped, in one table (10 min)"
	@echo "make docs    build the documentation site in build/site, and check links, anchors and translations"
	@echo "make figures  draw the figures of the documentation again, and print the numbers in them"
	@echo "make stories play each worked story with its one command, and run its tests; one: make story-mcp_notes"
	@echo "make release-check  build the files of a release, and check them in bare environments"
	@echo "make lint    ruff          make types   mypy --strict"
	@echo "make pins    renew the pinned requirements          make clean"

demo: $(VENV)/demo.stamp
	$(BIN)/linqi demo $(DEMO_ARGS)

coverage-of-intervals: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m interval_coverage $(COVERAGE_ARGS)

page: $(VENV)/demo.stamp
	$(BIN)/linqi serve --lifetime-seconds 20 --buffer-seconds 8 $(PAGE_ARGS)

# Beside the environment of the tests: what it checks runs in bare environments.
release-check: $(VENV)/dev.stamp $(VENV)-release/stamp
	PYTHONPATH=tests PATH="$(CURDIR)/$(VENV)-release/bin:$$PATH" $(BIN)/python -m release_check $(RELEASE_ARGS)

docs: $(VENV)/dev.stamp
	PYTHONPATH=docs $(BIN)/python -m website
	$(BIN)/pytest -q -m site tests/test_website_in_browser.py

figures: $(VENV)/dev.stamp
	PYTHONPATH=docs $(BIN)/python -m figures

# A story is a folder that a reader may copy away: its tests need nothing of tests/.
STORIES = $(patsubst docs/examples/%/run.py,story-%,$(wildcard docs/examples/*/run.py))
stories: $(STORIES)

story-%: $(VENV)/dev.stamp
	$(BIN)/python docs/examples/$*/run.py
	$(BIN)/pytest -q -c pyproject.toml -p no:cacheprovider docs/examples/$*

SUITE = $(BIN)/python tests/suite.py -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/dev.stamp
	$(SUITE) $(TEST_ARGS)

coverage: $(VENV)/dev.stamp
	$(BIN)/coverage erase
	$(SUITE) --cov --cov-report= --cov-fail-under=0 $(TEST_ARGS)
	$(BIN)/coverage report $(if $(TEST_ARGS),--fail-under=0)

bench: $(VENV)/dev.stamp
	$(BIN)/linqi bench $(BENCH_ARGS)

served: $(VENV)/dev.stamp
	rm -f build/served-*.json
	@for python in $(PYTHONS); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
		[ -e build/served-$$version.json ] || $(MAKE) PYTHON=$$python served-once || exit 1; done
	$(BIN)/python -m linqi_bench.side_by_side build/served-*.json

served-once: SERVED := build/served-$(call version_of,$(PYTHON))
served-once: $(VENV)/dev.stamp
	mkdir -p build
	$(BIN)/linqi bench --only test_served $(BENCH_ARGS) --json $(SERVED).json --html $(SERVED).html

big-log: $(VENV)/dev.stamp
	$(BIN)/python tests/big_log.py

generators: $(VENV)/dev.stamp
	PYTHONPATH=loadtests $(BIN)/python -m generators $(GENERATORS_ARGS)

million-revocations: $(VENV)/dev.stamp
	$(BIN)/python tests/million_revocations.py $(REVOCATIONS_ARGS)

store-growth: $(VENV)/dev.stamp
	$(BIN)/python tests/store_growth.py $(GROWTH_ARGS)

rivals: $(VENV)/dev.stamp
	PYTHONPATH=bench $(BIN)/python -m rivals $(RIVALS_ARGS)

simulations: $(VENV)/dev.stamp
	$(BIN)/python tests/renewal_rules.py $(SIMULATION_ARGS)

smoke-storms: $(VENV)/dev.stamp
	$(BIN)/python -m linqi_storm.run.smoke

mutants: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANTS_ARGS)

long-tests: $(VENV)/dev.stamp
	$(BIN)/pytest -n $(TEST_JOBS) -m long $(TEST_ARGS)

distributed: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m distributed $(DISTRIBUTED_ARGS)

# Debian's packages chromium, firefox-esr, webkit2gtk-driver and xvfb.
browsers: $(VENV)/dev.stamp
	LINQI_BROWSERS="chromium firefox webkit" CI=true $(BIN)/pytest tests/test_browser.py tests/test_axios.py tests/test_engines.py

matrix: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m matrix $(MATRIX_ARGS)

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
	$(VENV)-pins/bin/pip install -q hatchling hatch-fancy-pypi-readme editables '.[serve,storm]'
	$(VENV)-pins/bin/pip freeze --exclude linqi > requirements/demo.txt
	$(VENV)-pins/bin/pip install -q --group dev '.[serve,storm,bench]'
	$(VENV)-pins/bin/pip freeze --exclude linqi > requirements/dev.txt
	rm -rf $(VENV)-pins
	$(PYTHON) -m venv $(VENV)-pins
	$(VENV)-pins/bin/pip install -q hatchling hatch-fancy-pypi-readme twine check-wheel-contents
	$(VENV)-pins/bin/pip freeze > requirements/release.txt
	rm -rf $(VENV)-pins

clean:
	rm -rf .venv .venv-3.* $(VENV)-pins $(VENV)-release .venv-rivals bench/rivals/node/node_modules build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "linqi needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "linqi needs Python 3.11 or newer; $(PYTHON) is older" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)-release/stamp: requirements/release.txt
	$(PYTHON) -m venv $(VENV)-release
	$(VENV)-release/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

# dev contains demo, so its stamp is one of demo as well. pip compiles in one process, and the tests
# of the packages too; a file that cannot be compiled is no error, as with pip.
$(VENV)/%.stamp: requirements/%.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile -r $<
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	$(BIN)/python -W ignore -m compileall -qq -j 0 -x /tests/ $(VENV)/lib || true
	touch $@ $(if $(filter dev,$*),$(VENV)/demo.stamp)
