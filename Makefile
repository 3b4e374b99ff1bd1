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

# The levels of CPU that the library of kernels is made for, each of which takes a core for 90 seconds:
# all of this machine, or `make KERNEL_LEVELS="avx2 sse" kernels`.
KERNEL_LEVELS ?=
RUN := "$(VENV)/bin/python"
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check
SOURCES := $(wildcard rnn_engine reference benchmarks examples tests docs)

# Quiet start of TensorFlow; its rounding stays as a user gets it.
export TF_CPP_MIN_LOG_LEVEL ?= 3

# Whether the library is what its sources make; whether it can be made: a file that needs the
# headers of Python and of C is compiled and linked.
FRESH = $(RUN) -P rnn_engine/kernels/library.py $(KERNEL_LEVELS)
CAN_BUILD = { include="$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("include"))')" && \
	printf '\043include <Python.h>\n\043include <dlfcn.h>\n' | \
	$(CC) -shared -fPIC -I"$$include" -x c - -o /dev/null 2>/dev/null; }
ABLE = case "$$(uname -sm)" in "Linux x86_64" | "Linux aarch64") ;; *) false ;; esac
BUILD = echo "Compiling the kernels ahead (minutes)" && RNN_ENGINE_KERNELS=jit \
	$(RUN) -m rnn_engine.kernels.build $(if $(KERNEL_LEVELS),--levels $(KERNEL_LEVELS))
# First line of the targets that run on the library by default, and of those that must have it.
KERNELS = @$(FRESH) || { if ! { $(ABLE); } || [ "$$RNN_ENGINE_KERNELS" = jit ]; then :; \
	elif $(CAN_BUILD); then $(BUILD); \
	else echo "No C compiler with Python's headers ($(CC)): Numba compiles kernels as they are called."; \
	fi; }
define MUST_KERNELS
@{ $(ABLE); } || { echo "make: the library is made on Linux, on x86-64 and 64-bit ARM; elsewhere Numba compiles kernels" \
	"as they are called (docs/building.md)." >&2; exit 1; }
@$(FRESH) || $(CAN_BUILD) || { \
	echo "make: the library of kernels needs a C compiler and linker with the headers of Python, which" \
		"$(CC) is not (Debian: apt install gcc libc6-dev python3-dev; CC=... names another)." >&2; \
	exit 1; }
@$(FRESH) || { $(BUILD); }
endef

N ?= 10000
kills: N = 1000
.PHONY: help demo examples test explore nightly fuzz kills matrix sweep keras-versions soak verify accuracy \
	bench ulp lint format docs kernels wheel reproducible arm \
	release-check clean clean-kernels distclean

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
PYTEST = $(RUN) -m pytest -q -n $(JOBS) --dist worksteal \
	-o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
# Tests of kernels, and those that need some compiled: they run on both kinds.
OF_KERNELS = tests/kernels tests/export/test_kept_code.py tests/losses/test_losses.py \
	tests/optimizers/test_kernels.py tests/test_main.py

test: $(VENV)/test.stamp  ## the whole suite, against Keras
	$(KERNELS)
	@if [ -z '$(ARGS)' ] && [ "$$RNN_ENGINE_KERNELS" != jit ] && $(FRESH); then \
		echo "Tests of kernels that Numba compiles"; \
		RNN_ENGINE_KERNELS=jit $(PYTEST) $(OF_KERNELS) && echo "The suite"; fi
	$(PYTEST) $(ARGS)

KERAS ?= 3.0.5 3.3.3 3.6.0 3.8.0 3.12.0
# Its files are read only; it needs Python 3.11. `make KERAS2= matrix` leaves it out.
KERAS2 ?= 2.15.0
OLD_KERAS = $(foreach v,$(1),"$(VENV)-keras-$(v)/bin/python")
keras-versions: $(VENV)/test.stamp $(KERAS:%=$(VENV)-keras-%/made.stamp)  ## what is saved here opens in older versions of Keras
	rm -rf out/versions && mkdir -p out/versions
	$(RUN) -m tests.saving.versions write out/versions
	set -e; for python in $(call OLD_KERAS,$(KERAS)); do \
		KERAS_BACKEND=jax "$$python" tests/saving/versions.py read out/versions; done

matrix: $(VENV)/test.stamp $(patsubst %,$(VENV)-keras-%/made.stamp,$(KERAS) $(KERAS2))  ## round trips: format × version × layer × direction (ARGS=--layers: each layer)
	$(RUN) -m tests.saving.matrix --keras $(call OLD_KERAS,$(KERAS2) $(KERAS)) $(ARGS)

$(VENV)-keras-2.%/made.stamp:
	$(PYTHON) -m venv "$(@D)"
	"$(@D)/bin/pip" install -q keras==2.$* tensorflow-cpu==$(basename 2.$*).*
	touch "$@"

$(VENV)-keras-%/made.stamp:
	$(PYTHON) -m venv "$(@D)"
	"$(@D)/bin/pip" install -q keras==$* h5py scipy packaging "numpy<2.1" "jax[cpu]<0.5"
	touch "$@"

MODELS ?= models
sweep: $(VENV)/test.stamp  ## load the model files in MODELS=folder that other programs wrote
	$(RUN) -m tests.saving.sweep $(MODELS)

fuzz: $(VENV)/test.stamp  ## N damaged files of each format are loaded or refused (N=10000)
	$(RUN) -m tests.saving.fuzz_pool --runs $(N)

explore: $(VENV)/test.stamp  ## the suite with 100 cases a property, new ones in every run
	$(KERNELS)
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal --hypothesis-profile=explore $(ARGS)

kills: $(VENV)/test.stamp  ## N saves and N/5 trainings ended by SIGKILL, nothing lost (N=1000)
	NUMBA_NUM_THREADS=1 $(RUN) -m tests.saving.kills --kills $(N)

nightly: $(VENV)/test.stamp  ## the suite with 20,000 random cases a property (hours)
	$(KERNELS)
	$(RUN) -m pytest -q -n $(JOBS) --dist worksteal --hypothesis-profile=nightly $(ARGS)

soak: $(VENV)/test.stamp  ## 10,000 fits and 100,000 predictions, cold starts of 16 processes (minutes)
	$(KERNELS)
	SOAK_FITS=10000 SOAK_PREDICTS=100000 COLD_PROCESSES=16 $(RUN) -m pytest -q -s \
		tests/test_memory.py tests/kernels/test_cache.py $(ARGS)

verify: $(VENV)/test.stamp  ## the table: engine, float64 oracle and Keras, row by row
	$(KERNELS)
	$(RUN) -m reference.verify $(ARGS)

accuracy: $(VENV)/test.stamp  ## the RMS errors of every cell beside Keras's (minutes)
	$(KERNELS)
	$(RUN) -m reference.accuracy $(ARGS)

bench: $(VENV)/bench.stamp  ## speed next to every peer (ARGS=--quick: two minutes)
	$(KERNELS)
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

kernels: $(VENV)/runtime.stamp  ## the library of kernels, if it is older than its sources (minutes)
	$(MUST_KERNELS)

# The same sources make the same bytes; what a zip says of their age is that of the last commit.
wheel reproducible release-check: export SOURCE_DATE_EPOCH ?= \
	$(or $(shell git log -1 --format=%ct 2>/dev/null),315532800)
wheel: $(VENV)/release.stamp  ## a wheel with the library, in dist
	$(MUST_KERNELS)
	$(RUN) -m build --wheel --no-isolation --outdir dist
	@ls dist/*-abi3-manylinux*.whl

PYTHONS ?= python3.11 python3.12 python3.13 python3.14
release-check: $(VENV)/release.stamp  ## wheels and sdist, in empty environments of PYTHONS
	$(MUST_KERNELS)
	$(RUN) -m tests.release $(PYTHONS)

LEVEL ?=
reproducible: $(VENV)/release.stamp  ## kernels of LEVEL=avx2 and the wheel, made twice: the same bytes (minutes)
	$(MUST_KERNELS)
	$(RUN) -m tests.reproducible $(LEVEL)

arm: $(VENV)/test.stamp  ## kernels for 64-bit ARM: built, and their bits compared (ARGS: docs/building.md)
	$(RUN) -m tests.arm $(ARGS)

clean:  ## removes what the tools and the examples wrote
	rm -rf out build dist rnn_engine.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

clean-kernels:  ## removes the library of kernels
	rm -rf rnn_engine/kernels/lib

distclean: clean clean-kernels  ## and the library and the environment
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

$(VENV)/%.stamp: requirements/%.txt $(wildcard requirements/*.txt) pyproject.toml setup.py | $(VENV)/pyvenv.cfg
	@echo "Installing requirements/$*.txt into $(VENV)"
	@$(PIP) -r requirements/build.txt -r $<
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@
