"""What `dir`, completion and reprs show."""

import types
import typing
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, layers, losses, optimizers
from rnn_engine.variable import Variable

NAMES = """
    activations backend callbacks config constraints initializers layers losses metrics models
    optimizers preprocessing random regularizers saving utils
"""
MODULES = NAMES.split()


@pytest.mark.parametrize("name", ["", *MODULES])
def test_dir_of_a_module_shows_what_is_for_programs(name: str) -> None:
    module = getattr(rnn_engine, name) if name else rnn_engine
    shown = [n for n in dir(module) if not n.startswith("__")]
    assert not {"Any", "np", "gc", "sys", "os", "checks", "kernels", "registry"} & set(shown)
    assert set(getattr(module, "__all__", ())) <= {*shown, "registry"}
    own = f"{module.__name__}."
    for one in shown:
        assert not one.startswith("_")
        value = vars(module).get(one)  # those in a table are not loaded for this
        if isinstance(value, types.ModuleType) and module is not rnn_engine:
            assert value.__name__.startswith(own)


def test_completion_of_objects_shows_no_inner_works() -> None:
    model = rnn_engine.Sequential([layers.SimpleRNN(2), layers.Dense(1)])
    model.compile("adam", "mse")
    for value in (model, *model.layers, model.optimizer, losses.MeanSquaredError()):
        names = dir(value)
        assert not [n for n in names if n.startswith("_") and not n.startswith("__")]
        assert not {"bind", "kernel_dtype", "logits_form", "lr", "path_prefix"} & set(names)
    assert {"fit", "predict", "gradients", "summary", "layers", "history"} <= set(dir(model))
    assert {"units", "kernel", "forward", "backward", "get_weights"} <= set(
        dir(layers.Dense(1))
    ) | {"kernel"}


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (optimizers.Adam(0.25), ["Adam(", "learning_rate=0.25", "iterations=0"]),
        (losses.Huber(delta=2.0), ["Huber(", "delta=2.0", "reduction='sum_over_batch_size'"]),
        (callbacks.EarlyStopping("loss", patience=3), ["EarlyStopping(", "patience=3", "'loss'"]),
        (Variable(np.array([1.5, 2.0]), name="w"), ["path=w", "value=[1.5, 2. ]"]),
        (callbacks.LambdaCallback(on_epoch_end=print), ["LambdaCallback("]),
    ],
)
def test_reprs_say_what_it_is(value: Any, parts: list[str]) -> None:
    for part in parts:
        assert part in repr(value)
    assert " at 0x" not in repr(value)


def test_the_repr_of_a_history_has_the_last_figures() -> None:
    model = rnn_engine.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0)
    assert repr(history) == f"<History of 3 epochs; loss: {history.history['loss'][-1]:.4g}>"
    assert "nothing recorded" in repr(callbacks.History())


def test_what_a_type_checker_learns() -> None:
    hints = {name: typing.get_type_hints(getattr(rnn_engine.Model, name))["return"] for name in
             ("fit", "evaluate", "predict", "train_on_batch", "predict_on_batch")}  # fmt: skip
    assert hints["fit"] is callbacks.History
    assert hints["predict"] is hints["predict_on_batch"] is np.ndarray
    assert hints["evaluate"] == hints["train_on_batch"] == float | list[float] | dict[str, float]


def test_a_softmax_of_one_unit_warns_as_in_keras() -> None:
    with pytest.warns(UserWarning, match="Did you mean to use a sigmoid instead"):
        layers.Dense(1, "softmax")(np.ones((2, 3)))
    layers.Dense(2, "softmax")(np.ones((2, 3)))


def test_an_input_shape_is_a_tuple() -> None:
    with pytest.raises(ValueError, match=r"input_shape=\(4,\)"):
        layers.Dense(1, input_shape=4)
