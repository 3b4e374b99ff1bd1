"""rnn_engine: recurrent networks on the CPU, in NumPy and Numba, with Keras's names.

A Keras program runs when its import changes::

    import rnn_engine as keras

    model = keras.Sequential([keras.layers.SimpleRNN(5, input_shape=(4, 1)), keras.layers.Dense(1)])
"""

import gc
import sys
from typing import Any

# Nothing that an import makes goes away again: looking for what does took 15 ms of 85 while
# it runs, and 4 ms after it if all that is new were not moved to the oldest generation. (The first
# collection of everything, at the latest at exit, looks at it all the same.)
_collects = gc.isenabled()
gc.disable()
try:
    from rnn_engine import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        initializers,
        layers,
        losses,
        metrics,
        models,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        utils,
    )
    from rnn_engine.graph import KerasTensor, Operation
    from rnn_engine.initializers import Initializer
    from rnn_engine.kernels.threads import get_num_threads, set_num_threads
    from rnn_engine.layers import Input, Layer
    from rnn_engine.lazy import MissingModules, SecondName, lazily, show_public
    from rnn_engine.losses import Loss
    from rnn_engine.metrics import Metric
    from rnn_engine.model import Model
    from rnn_engine.optimizers import Optimizer
    from rnn_engine.regularizers import Regularizer
    from rnn_engine.sequential import Sequential
    from rnn_engine.system import info, warmup
    from rnn_engine.variable import Variable
finally:
    if _collects:
        if gc.get_freeze_count() == 0:  # else it would thaw what the program has frozen
            gc.freeze()
            gc.unfreeze()
        gc.enable()

__version__ = "0.1.0"

# The package is its own `keras`: `from rnn_engine import keras`, `rnn_engine.keras.layers`
# and `from rnn_engine.keras.layers import Dense` stand for what begins with tensorflow.
# The modules are named under it, so that none of them is ever loaded a second time.
keras = sys.modules[__name__]
for _name in [_n for _n in sys.modules if _n.startswith(f"{__name__}.")]:
    sys.modules[_name.replace(__name__, f"{__name__}.keras", 1)] = sys.modules[_name]
sys.modules[f"{__name__}.keras"] = keras
del _name
# Those that are loaded later are found under it, too: before Python looks for files.
sys.meta_path.insert(0, SecondName(f"{__name__}.keras", __name__))
# What is missing says what to use instead, in every module: see `missing`.
sys.meta_path.append(MissingModules())

_ENVIRONMENT = "autograph device distribute executing_eagerly get_logger logging sysconfig test"
# TensorFlow's functions beside Keras, as names of ops.
_TENSORFLOW = (
    "Tensor TensorShape abs acos acosh add add_n argmax argmin argsort asin asinh atan atan2 "
    "atanh bool boolean_mask broadcast_to cast clip_by_global_norm clip_by_norm clip_by_value "
    "complex128 complex64 concat cond constant convert_to_tensor cos cosh cumsum "
    "custom_gradient divide double dtypes einsum ensure_shape equal exp expand_dims eye fill "
    "float16 float32 float64 floor function gather gather_nd greater greater_equal identity "
    "int16 int32 int64 int8 is_tensor less less_equal linalg linspace logical_and logical_not "
    "logical_or map_fn math matmul maximum meshgrid minimum multiply name_scope negative "
    "newaxis nn norm not_equal numpy_function one_hot ones ones_like pad pow print py_function "
    "range rank reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min "
    "reduce_prod reduce_sum repeat reshape reverse roll round scatter_nd searchsorted "
    "sequence_mask shape sigmoid sign sin sinh size slice sort split sqrt square squeeze stack "
    "stop_gradient subtract tan tanh tensor_scatter_nd_update tensordot tile transpose truediv "
    "uint16 uint32 uint64 uint8 unique unstack where while_loop zeros zeros_like"
)
# Its initializers, by their names there.
_MADE = {
    "constant": "Constant",
    "ones": "Ones",
    "random_normal": "RandomNormal",
    "random_uniform": "RandomUniform",
    "zeros": "Zeros",
}
_find = lazily(
    __name__,
    {
        **{name: f"rnn_engine.ops.tf_names:{name}" for name in _TENSORFLOW.split()},
        "compat": "rnn_engine.compat",
        "data": "rnn_engine.data",
        "datasets": "rnn_engine.datasets",
        "distributed": "rnn_engine.distributed",
        "dtype_policies": "rnn_engine.dtype_policies",
        "DTypePolicy": "rnn_engine.dtype_policies:DTypePolicy",
        "FloatDTypePolicy": "rnn_engine.dtype_policies:DTypePolicy",
        "inspect": "rnn_engine.inspect",
        "mixed_precision": "rnn_engine.mixed_precision",
        "fit_many": "rnn_engine.many:fit_many",
        "GradientTape": "rnn_engine.autodiff.tape:GradientTape",
        "UnconnectedGradients": "rnn_engine.autodiff.tape:UnconnectedGradients",
        "ops": "rnn_engine.ops",
        "sklearn": "rnn_engine.sklearn",
        "streaming": "rnn_engine.streaming",
        "set_random_seed": "rnn_engine.random:set_seed",
        "TensorSpec": "rnn_engine.data:TensorSpec",
        "tree": "rnn_engine.tree",
        "nest": "rnn_engine.tree",
        "strings": "rnn_engine.strings",
        "train": "rnn_engine.train",
        "InputSpec": "rnn_engine.layers.input_spec:InputSpec",
        **{
            f"{name}_initializer": f"rnn_engine.initializers:{made}" for name, made in _MADE.items()
        },
        **{name: f"rnn_engine.environment:{name}" for name in _ENVIRONMENT.split()},
    },
)


def __getattr__(name: str) -> Any:
    return _find(name)


for _module in (
    activations, backend, callbacks, config, constraints, initializers, losses, metrics, models,
    optimizers, preprocessing, random, regularizers, saving,
):  # fmt: skip
    vars(_module).setdefault("__getattr__", lazily(_module.__name__, {}))
del _module

_PUBLIC = """
    activations backend callbacks config constraints initializers layers losses metrics models
    optimizers preprocessing random regularizers saving utils
"""
for _name in _PUBLIC.split():
    show_public(sys.modules[f"{__name__}.{_name}"])
show_public(keras)
del _name


def version() -> str:
    """Return the version of this library. Mirrors `keras.version`."""
    return __version__


__all__ = [
    "Initializer",
    "Input",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "get_num_threads",
    "info",
    "initializers",
    "keras",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "random",
    "regularizers",
    "saving",
    "set_num_threads",
    "utils",
    "version",
    "warmup",
]
