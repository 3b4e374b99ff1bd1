"""Models of layers that files hold, made of any package with Keras's names; Keras's side of it.

``python tests/saving/matrix_models.py write FOLDER`` and ``... read FOLDER`` run with a version of
Keras alone; see `tests.saving.matrix`. With ``layers`` behind there is a model of each layer, too.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

ENDINGS = (".keras", ".h5", ".weights.h5")
BATCH, STEPS, FEATURES = 3, 6, 4
TEXTS = ["a rose is a rose", "is it a rose", "it is not"]


def _row(package: Any, *layers: Any) -> Any:
    return package.Sequential([package.layers.Input((STEPS, FEATURES)), *layers])


def _masked(package: Any) -> Any:
    ns = package.layers
    return _row(package, ns.Masking(), ns.LSTM(4, return_sequences=True), ns.GRU(3), ns.Dense(2))


def _tokens(package: Any) -> Any:
    ns = package.layers
    return package.Sequential([
        ns.Input((STEPS,), dtype="int32"), ns.Embedding(9, 4, mask_zero=True), ns.GRU(3),
        ns.Dense(2),
    ])  # fmt: skip


def _text(package: Any) -> Any:
    ns = package.layers
    words = ns.TextVectorization(output_sequence_length=5)
    words.adapt(TEXTS)
    return package.Sequential(
        [ns.Input((1,), dtype="string"), words, ns.Embedding(9, 4, mask_zero=True), ns.LSTM(3)]
    )


def _nested(package: Any) -> Any:
    """A model in a model, and a layer in two places of a graph."""
    ns = package.layers
    x, dense = ns.Input((STEPS, FEATURES)), ns.Dense(FEATURES, "tanh")
    inner = package.Sequential([ns.Input((STEPS, FEATURES)), ns.SimpleRNN(4), ns.Dense(3)])
    return package.Model(x, ns.Concatenate()([inner(dense(dense(x))), ns.GRU(2)(x)]))


def _conv(package: Any) -> Any:
    ns = package.layers
    return _row(
        package, ns.Conv1D(5, 3, padding="causal", activation="relu"), ns.BatchNormalization(),
        ns.Conv1D(4, 3, padding="same"), ns.LayerNormalization(), ns.MaxPooling1D(2), ns.Flatten(),
        ns.Dense(2, "softmax"),
    )  # fmt: skip


def _attending(package: Any) -> Any:
    ns = package.layers
    x = ns.Input((STEPS, FEATURES))
    y = ns.LSTM(4, return_sequences=True)(x)
    return package.Model(x, ns.Dense(2)(ns.MultiHeadAttention(2, 3)(y, y)))


# Name: the model, made of a package: rnn_engine or Keras.
MODELS: dict[str, Callable[[Any], Any]] = {
    "SimpleRNN": lambda p: _row(p, p.layers.SimpleRNN(5), p.layers.Dense(2)),
    "LSTM": lambda p: _row(p, p.layers.LSTM(5, return_sequences=True), p.layers.Dense(2)),
    "GRU": lambda p: _row(p, p.layers.GRU(5, return_sequences=True), p.layers.Dense(2)),
    "GRU reset before": lambda p: _row(
        p, p.layers.GRU(5, return_sequences=True, reset_after=False), p.layers.Dense(2)
    ),
    "Bidirectional": lambda p: _row(p, p.layers.Bidirectional(p.layers.LSTM(4)), p.layers.Dense(2)),
    "stacked": lambda p: _row(
        p, p.layers.LSTM(4, return_sequences=True), p.layers.Dropout(0.5),
        p.layers.GRU(3, return_sequences=True), p.layers.SimpleRNN(3),
    ),
    "cells": lambda p: _row(
        p, p.layers.RNN([p.layers.LSTMCell(3), p.layers.GRUCell(2)], return_sequences=True)
    ),
    "masked": _masked,
    "tokens": _tokens,
    "text": _text,
    "nested, shared": _nested,
    "conv, norms": _conv,
    "attention": _attending,
}  # fmt: skip


def _of(place: str) -> Any:
    """Return a module of the tests by its place, which needs nothing of rnn_engine."""
    path = Path(__file__).parents[1] / place
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(place)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


_OTHERS: dict[str, Any] = {}


def add_layers() -> None:
    """Put a model of each layer among the models, called like its class."""
    each = _of("saving/each_layer.py")

    def alone(package: Any, name: str) -> Any:
        found = {key: getattr(package.layers, key) for key in dir(package.layers)}
        ns = type("Side", (), {**found, "Sequential": package.Sequential})
        layer, shape = each.LAYERS[name](ns), each.INPUTS.get(name, (each.STEPS, each.FEATURES))
        first = ns.Input(shape, dtype="int32" if name in each.OF_INDICES else "float32")
        return package.Sequential([first, *(layer if isinstance(layer, each.Many) else [layer])])

    def called(package: Any, name: str, case: Any) -> Any:
        xs = [package.layers.Input(shape) for shape in case.shapes]
        layer = getattr(package.layers, name)(**case.options)
        given = xs if case.spread else [xs if case.several else xs[0]]
        return package.Model(xs if len(xs) > 1 else xs[0], layer(*given, **case.call))

    for name in each.LAYERS:
        rng, shape = np.random.default_rng(1), each.INPUTS.get(name, (each.STEPS, each.FEATURES))
        whole = rng.integers(0, 11, (BATCH, *shape)).astype(np.int32)
        x = whole if name in each.OF_INDICES else rng.normal(size=whole.shape).astype(np.float32)
        MODELS[f"{name}."], _OTHERS[f"{name}."] = partial(alone, name=name), x
    for name, cases in _of("layers/catalogue.py").CASES.items():
        case = next(case for case in cases if not any(case.masked))
        xs = case.inputs("float32")
        MODELS[f"{name}."] = partial(called, name=name, case=case)
        _OTHERS[f"{name}."] = xs if len(xs) > 1 else xs[0]


def inputs(name: str) -> Any:
    """Return a batch for a model."""
    if name in _OTHERS:
        return _OTHERS[name]
    rng = np.random.default_rng(1)
    if name == "text":
        return np.array(TEXTS, dtype=object)[:, None]
    if name == "tokens":
        return rng.integers(0, 9, (BATCH, STEPS)).astype(np.int32)
    x = rng.normal(size=(BATCH, STEPS, FEATURES)).astype(np.float32)
    if name == "masked":
        x[0, 4:] = x[1, :2] = x[2, 3] = 0
    return x


def scatter(model: Any) -> Any:
    """Give a model weights of which none is like another, and return it."""
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.1, 0.9, np.shape(w)) - 0.4 * (np.ndim(w) > 1)
              for w in model.get_weights()]  # fmt: skip
    model.set_weights([
        value.astype(getattr(w, "dtype", "float32"))
        for value, w in zip(values, model.get_weights(), strict=True)
    ])  # fmt: skip
    return model


# --- what runs with Keras alone -----------------------------------------------------------


def _predicted(model: Any, name: str) -> np.ndarray:
    x = inputs(name)
    if name == "text":
        import tensorflow

        x = tensorflow.constant(x.astype(str))
    return np.asarray(model(x))


def write(folder: Path) -> None:
    """Save every model in every format, with what it predicts; note what cannot be."""
    import keras

    said = {}
    for name, make in MODELS.items():
        try:
            model = scatter(make(keras))
            np.save(folder / f"{name}.npy", _predicted(model, name))
        except Exception as error:
            said.update({name + ending: _told(error) for ending in ENDINGS})
            continue
        for ending in ENDINGS:
            try:
                path = str(folder / f"{name}{ending}")
                (model.save_weights if ending == ".weights.h5" else model.save)(path)
            except Exception as error:
                said[name + ending] = _told(error)
    (folder / "said.json").write_text(json.dumps(said))


def read(folder: Path) -> None:
    """Load every file, and leave what it predicts; note what cannot be loaded."""
    import keras

    said = {}
    for name, make in MODELS.items():
        for ending in ENDINGS:
            path = folder / f"{name}{ending}"
            if not path.exists():
                continue
            try:
                if ending == ".weights.h5":
                    model = make(keras)
                    model.load_weights(path)
                else:
                    model = keras.models.load_model(path)
                np.save(f"{path}.npy", _predicted(model, name))
            except Exception as error:
                said[name + ending] = _told(error)
    (folder / "said.json").write_text(json.dumps(said))


def _told(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    needs = [line for line in lines if "requires TensorFlow" in line]
    return f"{type(error).__name__}: {(needs or lines or [''])[-1][:160]}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if find_spec("tensorflow") is None:  # the environments of `make keras-versions` have JAX
        os.environ.setdefault("KERAS_BACKEND", "jax")
    if sys.argv[3:] == ["layers"]:
        add_layers()
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
