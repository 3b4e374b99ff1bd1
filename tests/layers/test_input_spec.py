"""`InputSpec` of layers of one's own, against Keras."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

CASES: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"ndim": 3}, (2, 3)),
    ({"ndim": 3}, (2, 3, 4)),
    ({"min_ndim": 3}, (2, 3)),
    ({"max_ndim": 2}, (2, 3, 4)),
    ({"axes": {-1: 4}}, (2, 3)),
    ({"axes": {-1: 3}}, (2, 3)),
    ({"shape": (None, 4)}, (2, 3)),
    ({"shape": (None, 3)}, (2, 3)),
    ({"shape": (None, 3, 1), "allow_last_axis_squeeze": True}, (2, 3)),
    ({"dtype": "float64"}, (2, 3)),
]


def outcome(package: Any, settings: dict[str, Any], x: Any) -> str:
    class Own(package.layers.Layer):  # type: ignore[misc]  # one of two packages
        def __init__(self) -> None:
            super().__init__(name="own")
            self.input_spec = package.layers.InputSpec(**settings)

        def call(self, x: Any) -> Any:
            return x * 2

    try:
        Own()(x)
    except ValueError as error:
        return str(error).partition("\n")[0]
    return "fine"


@pytest.mark.parametrize(("settings", "shape"), CASES)
def test_the_words_are_kerass(settings: dict[str, Any], shape: tuple[int, ...]) -> None:
    for make in (np.ones, None):
        found = []
        for package in (keras, rnn_engine):
            if make is None:
                x = package.Input(shape[1:])
            else:
                x = package.ops.convert_to_tensor(np.ones(shape, "float32"))
            found.append(outcome(package, settings, x))
        if make is None:  # the batch is not known
            assert (found[0] == "fine") == (found[1] == "fine")
        else:
            assert found[0] == found[1]


def test_specs() -> None:
    for package in (keras, rnn_engine):
        with pytest.raises(TypeError, match="Argument `axes` must be a dict with integer keys"):
            package.InputSpec(axes={"a": 1})
        with pytest.raises(ValueError, match="Axis 3 is greater than the maximum allowed value: 1"):
            package.InputSpec(ndim=2, axes={3: 1})
        spec = package.InputSpec(min_ndim=2)
        assert type(spec).from_config(spec.get_config()).min_ndim == 2
