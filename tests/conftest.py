"""Settings of the whole suite."""

import os
import signal
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import pytest
from hypothesis import HealthCheck, settings

# The first example of a property pays for compilation, so no example has a deadline.
_COMMON = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
# The same examples in every run: a suite that passes for one passes for all. Those that look
# for new ones are run by hand.
settings.register_profile("dev", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("explore", max_examples=100, **_COMMON)
settings.register_profile("nightly", max_examples=20_000, **_COMMON)
# A shell that runs this in the background (`nohup make test &`, some CI) has it ignore Ctrl-C, and
# every child with it. Tests send that signal: they get the handler that Python has at a terminal.
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what only a process that compiles kernels can do: `make test` runs that, too."""
    from rnn_engine.kernels.compiler import LIBRARY

    skip = pytest.mark.skip(reason="the kernels come from the library: for RNN_ENGINE_KERNELS=jit")
    for item in items:
        if LIBRARY is not None and item.get_closest_marker("jit"):
            item.add_marker(skip)
