"""What programs ask of TensorFlow around a model: devices, strategies, logging, switches.

There is one device, the CPU, and everything runs at once. So most of these answer truly and
change nothing; what has a counterpart here, as the number of threads, is set.
"""

import contextlib
import logging as _logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rnn_engine.kernels.threads import get_num_threads, set_num_threads


class PhysicalDevice(NamedTuple):
    """A device of the machine (`tf.config.PhysicalDevice`)."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device as kernels see it (`tf.config.LogicalDevice`)."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """Return the CPU, and no GPU or TPU (`tf.config.list_physical_devices`).

    Examples
    --------
    >>> list_physical_devices("GPU")
    []
    """
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if _asks_cpu(device_type) else []


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """Return the CPU, and no GPU or TPU (`tf.config.list_logical_devices`)."""
    return [LogicalDevice("/device:CPU:0", "CPU")] if _asks_cpu(device_type) else []


def _asks_cpu(device_type: str | None) -> bool:
    return device_type is None or device_type.upper() == "CPU"


def accepts(*args: Any, **kwargs: Any) -> None:
    """Take the arguments of a switch that has nothing to change here."""


def answers(value: Any) -> Callable[..., Any]:
    """Return a function that gives `value`, whatever it is asked."""
    return lambda *args, **kwargs: value


# --- tf.config ------------------------------------------------------------------


class threading:  # named as in TensorFlow
    """The number of threads (`tf.config.threading`)."""

    @staticmethod
    def set_intra_op_parallelism_threads(num_threads: int) -> None:
        """Set how many threads a kernel may use; 0 leaves them as they are."""
        if num_threads:
            set_num_threads(num_threads)

    @staticmethod
    def get_intra_op_parallelism_threads() -> int:
        """Return how many threads a kernel may use."""
        return get_num_threads()

    set_inter_op_parallelism_threads = staticmethod(accepts)
    get_inter_op_parallelism_threads = staticmethod(answers(1))


class experimental:
    """Early names of `tf.config`, and memory of devices that are not there."""

    list_physical_devices = staticmethod(list_physical_devices)
    list_logical_devices = staticmethod(list_logical_devices)
    set_memory_growth = staticmethod(accepts)
    set_virtual_device_configuration = staticmethod(accepts)
    set_visible_devices = staticmethod(accepts)
    set_synchronous_execution = staticmethod(accepts)
    enable_op_determinism = staticmethod(accepts)
    enable_mlir_graph_optimization = staticmethod(accepts)
    enable_tensor_float_32_execution = staticmethod(accepts)
    VirtualDeviceConfiguration = staticmethod(answers(None))


class optimizer:
    """Compilation of graphs (`tf.config.optimizer`), of which there is none here."""

    set_jit = staticmethod(accepts)
    get_jit = staticmethod(answers(""))
    set_experimental_options = staticmethod(accepts)
    get_experimental_options = staticmethod(answers({}))


get_visible_devices = list_physical_devices
set_visible_devices = accepts
set_logical_device_configuration = accepts
LogicalDeviceConfiguration = answers(None)
run_functions_eagerly = accepts
functions_run_eagerly = answers(True)
set_soft_device_placement = accepts
get_soft_device_placement = answers(True)
executing_eagerly = answers(True)


@contextlib.contextmanager
def device(device_name: Any = None) -> Iterator[None]:
    """Run a block on the CPU, whatever device is named (`tf.device`)."""
    yield


# --- tf.distribute ------------------------------------------------------------------


class Strategy:
    """One replica, on the CPU (`tf.distribute.Strategy`); what stands in `scope` runs as it is."""

    num_replicas_in_sync = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take any arguments."""

    @contextlib.contextmanager
    def scope(self) -> Iterator["Strategy"]:
        """Run a block."""
        yield self

    def run(self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        """Return ``fn(*args, **kwargs)``."""
        return fn(*args, **(kwargs or {}))

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """Return the dataset."""
        return dataset


class distribute:
    """Strategies, which all come to one replica (`tf.distribute`)."""

    @staticmethod
    def get_strategy() -> "Strategy":
        """Return the one there is."""
        return Strategy()

    MirroredStrategy = OneDeviceStrategy = MultiWorkerMirroredStrategy = Strategy

    has_strategy = staticmethod(answers(False))
    in_cross_replica_context = staticmethod(answers(True))


# --- logging, tests, versions -----------------------------------------------------------


def get_logger() -> _logging.Logger:
    """Return the logger of this package (`tf.get_logger`)."""
    return _logging.getLogger("rnn_engine")


class logging:
    """Levels and messages (`tf.compat.v1.logging`)."""

    DEBUG, INFO, WARN, ERROR, FATAL = 10, 20, 30, 40, 50

    @staticmethod
    def set_verbosity(level: Any) -> None:
        """Set the level of this package's logger."""
        get_logger().setLevel(level)

    @staticmethod
    def get_verbosity() -> int:
        """Return the level of this package's logger."""
        return get_logger().getEffectiveLevel()

    debug = staticmethod(get_logger().debug)
    info = staticmethod(get_logger().info)
    warn = warning = staticmethod(get_logger().warning)
    error = staticmethod(get_logger().error)


class autograph:
    """Translation to graphs, of which there is none (`tf.autograph`)."""

    set_verbosity = staticmethod(accepts)

    class experimental:
        """Decorators that leave a function as it is."""

        @staticmethod
        def do_not_convert(func: Any = None) -> Any:
            """Return the function."""
            return (lambda given: given) if func is None else func


class test:
    """What was built in (`tf.test`)."""

    is_gpu_available = staticmethod(answers(False))
    is_built_with_cuda = staticmethod(answers(False))
    is_built_with_gpu_support = staticmethod(answers(False))
    gpu_device_name = staticmethod(answers(""))


class sysconfig:
    """How it was built (`tf.sysconfig`)."""

    get_build_info = staticmethod(answers({"is_cuda_build": False}))
