"""A model around each layer, and what both sides' files are compared by."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from tests.layers.catalogue import CASES
from tests.saving.each_layer import FEATURES, INPUTS, LAYERS, OF_INDICES, STEPS, Many

BATCH = 3

for _name, _cases in CASES.items():
    if not _cases[0].several:
        LAYERS[_name] = lambda ns, name=_name, case=_cases[0]: getattr(ns, name)(**case.options)
        INPUTS[_name] = _cases[0].shapes[0]

# These say nothing by themselves: a base class, the input, the model around.
WITHOUT_CASE = {"BatchInside", "Functional", "ONNXCell", "InputLayer", "Sequential", "Wrapper"}
# They take strings: see test_texts.py.
WITHOUT_CASE |= {"StringLookup", "TextVectorization"}
# Files have the name of its function only.
WITHOUT_CASE |= {"Lambda"}
# These do not stand in a chain.
WITHOUT_CASE |= {name for name, cases in CASES.items() if cases[0].several}


def names() -> list[str]:
    """Return the names of all cases, and of registered classes that have none."""
    classes = {cls.__name__ for cls in registry.unique()}
    return sorted((classes | set(LAYERS)) - WITHOUT_CASE)


def side(package: Any) -> Any:
    """Return the layers of a package, with its `Sequential`."""
    names = {name: getattr(package.layers, name) for name in dir(package.layers)}
    return type("Side", (), {**names, "Sequential": package.Sequential})


def make(name: str, package: Any, dtype: str = "float32") -> Any:
    """Return the built model of a case, `package` ours or Keras."""
    ns = side(package)
    layer = LAYERS[name](ns)
    shape = INPUTS.get(name, (STEPS, FEATURES))
    first = ns.Input(shape, dtype="int32" if name in OF_INDICES else dtype)
    return package.Sequential([first, *(layer if isinstance(layer, Many) else [layer])])


def scatter(model: Any, seed: int = 0) -> None:
    """Give a model asymmetric weights."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.uniform(0.1, 0.9, np.shape(w)).astype(np.float32) for w in model.get_weights()]
    )


def inputs(name: str, seed: int = 1) -> np.ndarray:
    """Return a batch of inputs of a case."""
    rng = np.random.default_rng(seed)
    shape = (BATCH, *INPUTS.get(name, (STEPS, FEATURES)))
    if name in OF_INDICES:
        return rng.integers(0, 11, shape).astype(np.int32)
    return rng.normal(size=shape).astype(np.float32)


def assert_same(got: Any, wanted: Any) -> None:
    """Assert that two models, or lists of variables, hold the same numbers to the bit."""
    got, wanted = (v.get_weights() if hasattr(v, "get_weights") else v for v in (got, wanted))
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def small_model(package: Any, optimizer: Any = "adam", **compiling: Any) -> Any:
    """Return a compiled recurrent model of three layers."""
    ns = package.layers
    model = package.Sequential(
        [
            ns.Input((STEPS, FEATURES)),
            ns.SimpleRNN(4, return_sequences=True),
            ns.SimpleRNN(3),
            ns.Dense(2),
        ]
    )
    scatter(model)
    model.compile(optimizer, "mse", **compiling)
    return model


def data(n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y for `small_model`."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, STEPS, FEATURES)).astype(np.float32)
    return x, rng.normal(size=(n, 2)).astype(np.float32)
