"""rnn_engine: recurrent networks on the CPU, in NumPy and Numba, with Keras's names.

A Keras program runs when its import changes::

    import rnn_engine as keras

    model = keras.Sequential([keras.layers.SimpleRNN(5, input_shape=(4, 1)), keras.layers.Dense(1)])
"""

import sys
from typing import TYPE_CHECKING, Any

from rnn_engine.lazy import MissingModules, SecondName, lazily, loading, places_in, show_public

with loading():  # fails here, not in the middle of a program, where nothing can run kernels
    from rnn_engine.kernels import compiler as _compiler  # noqa: F401

if TYPE_CHECKING:
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
    from rnn_engine.losses import Loss
    from rnn_engine.metrics import Metric
    from rnn_engine.model import Model
    from rnn_engine.optimizers import Optimizer
    from rnn_engine.regularizers import Regularizer
    from rnn_engine.sequential import Sequential
    from rnn_engine.system import info, warmup
    from rnn_engine.variable import Variable

__version__ = "0.1.0"

# The package is its own `keras`: `from rnn_engine import keras`, `rnn_engine.keras.layers`
# and `from rnn_engine.keras.layers import Dense` stand for what begins with tensorflow.
keras = sys.modules[__name__]
# Its modules are found under it: before Python looks for files, and loads them a second time.
# Editors write the imports of `keras.src` and `keras._tf_keras.keras` into programs of Keras 3.
_SECOND = [f"{__name__}.{_n}" for _n in ("keras", "src", "_tf_keras", "_tf_keras.keras")]
sys.modules.update(dict.fromkeys(_SECOND, keras))
sys.meta_path[:0] = [SecondName(_n, __name__) for _n in reversed(_SECOND)]
# What is missing says what to use instead, in every module: see `missing`.
sys.meta_path.append(MissingModules())

_MODULES = """
    activations backend callbacks config constraints initializers layers losses metrics models
    optimizers preprocessing random regularizers saving utils
"""
_NAMES = {
    "graph": "KerasTensor Operation",
    "initializers": "Initializer",
    "kernels.threads": "get_num_threads set_num_threads",
    "layers": "Input Layer",
    "losses": "Loss",
    "metrics": "Metric",
    "model": "Model",
    "optimizers": "Optimizer",
    "regularizers": "Regularizer",
    "sequential": "Sequential",
    "system": "info warmup",
    "variable": "Variable",
}

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
    "stop_gradient string subtract tan tanh tensor_scatter_nd_update tensordot tile transpose "
    "truediv uint16 uint32 uint64 uint8 unique unstack where while_loop zeros zeros_like"
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
        **{name: f"rnn_engine.{name}" for name in _MODULES.split()},
        **places_in(__name__, _NAMES),
        **{name: f"rnn_engine.ops.tf_names:{name}" for name in _TENSORFLOW.split()},
        "_tf_keras": "rnn_engine",
        "src": "rnn_engine",
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
    shown=False,  # most are TensorFlow's; those of Keras are in __all__
)


def __getattr__(name: str) -> Any:
    return _find(name)


show_public(__name__)


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
