"""What is not here says what to use instead, wherever a program asks for it."""

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

import rnn_engine
from rnn_engine import missing

CLASSES = {"Model": rnn_engine.Model, "Optimizer": rnn_engine.optimizers.Optimizer}
PLACES = [place for place in missing.INSTEAD if place not in CLASSES]

# How a program asks for a name, and the error that it gets.
WAYS = {
    "import {module} as m; m.{name}": (AttributeError, "module '{real}' has no attribute"),
    "from {module} import {name}": (ImportError, "cannot import name '{name}' from '{real}'"),
}
OF_PACKAGES = {
    "import {module}.{name}": (ModuleNotFoundError, "No module named '{module}.{name}'"),
    "from {module}.{name} import x": (ModuleNotFoundError, "No module named '{module}.{name}'"),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_name_of_the_table_exists(place: str) -> None:
    """What has come into being is struck out of the table."""
    module = import_module(f"rnn_engine.{place}".rstrip("."))
    for name in missing.INSTEAD[place]:
        assert not hasattr(module, name), name
        with pytest.raises(ModuleNotFoundError):
            import_module(f"{module.__name__}.{name}")


@pytest.mark.parametrize("kind", CLASSES)
def test_no_attribute_of_the_table_exists(kind: str) -> None:
    for name in missing.INSTEAD[kind]:
        assert not hasattr(CLASSES[kind], name), name
        with pytest.raises(AttributeError) as caught:
            getattr(CLASSES[kind], name)
        assert missing.advice(kind, name) in str(caught.value)


@pytest.mark.parametrize("package", ["rnn_engine", "rnn_engine.keras"])
@pytest.mark.parametrize("place", PLACES)
def test_every_way_to_ask_is_answered(place: str, package: str) -> None:
    real, module = (f"{top}.{place}".rstrip(".") for top in ("rnn_engine", package))
    ways = {**WAYS, **(OF_PACKAGES if hasattr(import_module(module), "__path__") else {})}
    for name in missing.INSTEAD[place]:
        found = missing.advice(real, name)
        assert found
        assert "{" not in found
        for way, (error, opening) in ways.items():
            with pytest.raises(error) as caught:
                exec(way.format(module=module, name=name), {})
            text = str(caught.value)
            assert text.startswith(opening.format(module=module, name=name, real=real)), text
            assert text.endswith(found), text


def test_methods_of_old() -> None:
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(1)])
    with pytest.raises(AttributeError, match="'Sequential' object has no attribute .* fit,"):
        _ = model.fit_generator
    adam = rnn_engine.optimizers.Adam()
    with pytest.raises(AttributeError, match="'Adam' object has no attribute 'lr'.*learning_rate"):
        _ = adam.lr


def test_other_names_are_missing_as_ever() -> None:
    layers = rnn_engine.layers
    with pytest.raises(AttributeError) as caught:
        _ = layers.Dens
    assert str(caught.value) == "module 'rnn_engine.layers' has no attribute 'Dens'"
    assert caught.value.name == "Dens"
    with pytest.raises(ImportError, match="cannot import name 'Dens' from"):
        exec("from rnn_engine.layers import Dens")
    with pytest.raises(ModuleNotFoundError):
        import_module("rnn_engine.layers.dens")
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(1)])
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = model.fitt
    # What a property raises is not replaced.
    with pytest.raises(AttributeError, match="input"):
        _ = model.input_shape
    assert getattr(model, "predict_classes", None) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rnn_engine.optimizers.Adam(lr=0.1),
         r"Argument\(s\) not recognized: {'lr': 0.1}. 'lr' is 'learning_rate' today"),
        (lambda: rnn_engine.layers.Dense(2, init="zeros", W_regularizer="l2"),
         "Unrecognized keyword arguments passed to Dense: .*'init' is 'kernel_initializer' today, "
         "'W_regularizer' is 'kernel_regularizer' today"),
        (lambda: rnn_engine.layers.SimpleRNN(2, consume_less="mem", wrong=1),
         "Unrecognized keyword arguments passed to SimpleRNN: .*'implementation' today"),
    ],
)  # fmt: skip
def test_arguments_of_old(make: Any, words: str) -> None:
    """Keras's words first, then what the argument is called today."""
    with pytest.raises(ValueError, match=words):
        make()


def test_the_table_is_not_loaded_before_it_is_asked() -> None:
    program = """
import sys, rnn_engine as keras
model = keras.Sequential([keras.layers.SimpleRNN(2), keras.layers.Dense(1)])
model.compile("adam", "mse")
print("rnn_engine.missing" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n", done.stderr
