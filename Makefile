# Needs Python >= 3.11 with pip, and make; everything else is installed into VENV.
#
#   make demo      runtime only: the first program, then a forecast of a real series
#   make test      with TensorFlow: the whole test suite
#   make help      the other targets

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV ?= .venv
# The first Python on PATH that is new enough; `make PYTHON=/path/to/python` overrules it.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)
# Test processes side by side; 0 runs everything in one.
JOBS ?= 2
# More arguments for the program behind a target: `make test ARGS='-k dense'`.
ARGS ?=

RUN := "$(VENV)/bin/python"
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
SOURCES := $(wildcard rnn_engine reference benchmarks examples tests docs)

# Quiet start of TensorFlow; its rounding stays as a user gets it.
export TF_CPP_MIN_LOG_LEVEL ?= 3

N ?= 10000
kills: N = 1000
.PHONY: help demo examples test explore nightly fuzz kills matrix sweep keras-versions soak verify accuracy \
	bench ulp lint format docs release-check clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp  ## the first program, then a forecast of a real series (no TensorFlow)
	$(RUN) examples/quickstart.py
	$(RUN) examples/co2_forecast.py --out out $(ARGS)

USES := next_word forecast audio video user_actions
examples: $(VENV)/examples.stamp  ## the five uses beside their baselines (minutes; ARGS=--quick: less)
	set -e; for use in $(USES); do \
		echo "== examples/$$use.py"; $(RUN) examples/$$use.py --out out $(ARGS); done

# A test that hangs shows where and ends its process, which xdist names and replaces.
test: $(VENV)/test.stamp  ## the whole suite, against Keras
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal \
		-o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true $(ARGS)

KERAS ?= 3.0.5 3.3.3 3.6.0 3.8.0 3.12.0
keras-versions: $(VENV)/test.stamp  ## what is saved here opens in older versions of Keras
	rm -rf out/versions && mkdir -p out/versions
	$(RUN) -m tests.saving.versions write out/versions
	for v in $(KERAS); do \
		$(PYTHON) -m venv "$(VENV)-keras-$$v" && \
		"$(VENV)-keras-$$v/bin/pip" install -q keras==$$v h5py scipy packaging "numpy<2.1" "jax[cpu]<0.5" && \
		KERAS_BACKEND=jax "$(VENV)-keras-$$v/bin/python" tests/saving/versions.py read out/versions \
		|| exit 1; done

matrix: $(VENV)/test.stamp  ## round trips: format × layer × direction (ARGS="--keras PYTHON": more versions)
	$(RUN) -m tests.saving.matrix $(ARGS)

MODELS ?= models
sweep: $(VENV)/test.stamp  ## load the model files in MODELS=folder that other programs wrote
	$(RUN) -m tests.saving.sweep $(MODELS)

fuzz: $(VENV)/test.stamp  ## N damaged files of each format are loaded or refused (N=10000)
	$(RUN) -m tests.saving.fuzz --runs $(N)

explore: $(VENV)/test.stamp  ## the suite with 100 cases a property, new ones in every run
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal --hypothesis-profile=explore $(ARGS)

kills: $(VENV)/test.stamp  ## N saves and N/5 trainings ended by SIGKILL, nothing lost (N=1000)
	NUMBA_NUM_THREADS=1 $(RUN) -m tests.saving.kills --kills $(N)

nightly: $(VENV)/test.stamp  ## the suite with 20,000 random cases a property (hours)
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal --hypothesis-profile=nightly $(ARGS)

soak: $(VENV)/test.stamp  ## 10,000 fits and 100,000 predictions, cold starts of 16 processes (minutes)
	SOAK_FITS=10000 SOAK_PREDICTS=100000 COLD_PROCESSES=16 $(RUN) -m pytest -q -s \
		tests/test_memory.py tests/kernels/test_cache.py $(ARGS)

verify: $(VENV)/test.stamp  ## the table: engine, float64 oracle and Keras, row by row
	$(RUN) -m reference.verify $(ARGS)

accuracy: $(VENV)/test.stamp  ## the RMS errors of every cell beside Keras's (minutes)
	$(RUN) -m reference.accuracy $(ARGS)

bench: $(VENV)/bench.stamp  ## speed next to every peer (ARGS=--quick: two minutes)
	$(RUN) benchmarks/run.py $(ARGS)

ulp: $(VENV)/runtime.stamp  ## worst error of tanh and sigmoid over all 2^32 floats (minutes)
	$(RUN) -m reference.ulp $(ARGS)

lint: $(VENV)/lint.stamp  ## style, format and types; changes nothing
	$(RUN) -m ruff check $(SOURCES)
	$(RUN) -m ruff format --check $(SOURCES)
	$(RUN) -m mypy

format: $(VENV)/lint.stamp  ## puts the sources in the house's format
	$(RUN) -m ruff check --fix $(SOURCES)
	$(RUN) -m ruff format $(SOURCES)

docs: $(VENV)/docs.stamp  ## the documentation site in out/site; a warning is an error
	$(RUN) -m sphinx -q -W --keep-going -j auto -d out/doctrees docs out/site
	@echo "Open out/site/index.html"

PYTHONS ?= python3.11 python3.12 python3.13 python3.14
release-check: $(VENV)/release.stamp  ## wheel and sdist, in empty environments of PYTHONS
	$(RUN) -m tests.release $(PYTHONS)

clean:  ## removes what the tools and the examples wrote
	rm -rf out build dist rnn_engine.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## and the environment
	rm -rf "$(VENV)"

# One environment, one stamp for each list of pins, so that a second run starts at once.
# Some systems ship Python without ensurepip: there the pip that started this fills the
# environment from outside.
$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 on PATH; say make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "make: Python 3.11 or newer is needed, and $(PYTHON) is" \
			"$$("$(PYTHON)" --version 2>&1 || echo no Python)." >&2; \
		echo "Say make PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv "$(VENV)" >/dev/null 2>&1 || { \
		rm -rf "$(VENV)" \
		&& $(PYTHON) -m venv --without-pip "$(VENV)" \
		&& $(PYTHON) -m pip --python "$(VENV)/bin/python" install --quiet pip; }

$(VENV)/%.stamp: requirements/%.txt $(wildcard requirements/*.txt) pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "Installing requirements/$*.txt into $(VENV)"
	@$(PIP) -r requirements/build.txt -r $<
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@
