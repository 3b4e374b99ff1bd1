"""Every layer is written as ONNX and read back, or stands in a table of what is not, and why."""

import itertools

import numpy as np
import onnx
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.layers.base import registry
from rnn_engine.saving import from_onnx, to_onnx
from tests.layers.catalogue import CASES
from tests.saving import cases
from tests.saving.onnx_files.graphs import run

# Layers of text have tests of their own: test_text.py. These are no layers of a model by
# themselves, or a program.
LEFT_OUT = {
    "BatchInside", "Functional", "InputLayer", "Lambda", "ONNXCell", "Sequential", "StringLookup",
    "TextVectorization", "Wrapper",
}  # fmt: skip
REFUSED = {"Hashing": "nothing like it"}
NOT_BACK = {
    "ConvLSTM1D": "its body reads no sequence",
    "ConvLSTM2D": "its body reads no sequence",
    "ConvLSTM3D": "its body reads no sequence",
    "Concatenate {'axis': 0}": "puts batches together",
}
NAMES = sorted(({cls.__name__ for cls in registry.unique()} | set(cases.LAYERS)) - LEFT_OUT)


def models_of(name):
    """Yield models of one layer, their inputs, and what they are."""
    if name not in CASES:
        yield cases.make(name, rnn_engine), [cases.inputs(name)], name
        return
    some = [case for case in CASES[name] if not any(case.masked)]
    for case in some if len(some) < 25 else some[::3]:
        inputs = [layers.Input(shape) for shape in case.shapes]
        layer = getattr(layers, name)(**case.options)
        given = inputs if case.spread else [inputs if case.several else inputs[0]]
        model = rnn_engine.Model(inputs, layer(*given, **case.call))
        yield model, case.inputs("float32"), f"{name} {case.options}"


def outputs(found):
    return [np.asarray(y) for y in (found if isinstance(found, list | tuple) else [found])]


def assert_close(found, wanted, what):
    assert [y.shape for y in found] == [y.shape for y in wanted], what
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read(name, tmp_path):
    path = tmp_path / "m.onnx"
    for model, xs, what in models_of(name):
        cases.scatter(model)
        if name in REFUSED:
            with pytest.raises(ValueError, match=REFUSED[name]):
                to_onnx(model, path)
            continue
        to_onnx(model, path)
        given = xs if len(xs) > 1 else xs[0]
        wanted = outputs(model(given))
        names = [port.name for port in onnx.load(path).graph.input]
        assert_close(run(path, dict(zip(names, xs, strict=True))), wanted, what)
        reason = NOT_BACK.get(name) or NOT_BACK.get(what)
        if reason:
            with pytest.raises(ValueError, match=reason):
                from_onnx(path)
            continue
        assert_close(outputs(from_onnx(path)(given)), wanted, what)


SETTINGS = list(itertools.product((False, True), repeat=4))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("masked", [False, True])
def test_conv_lstm(masked, data_format, tmp_path):
    rng, path = np.random.default_rng(3), tmp_path / "m.onnx"
    for sequences, turned, zero, started in SETTINGS:
        rnn_engine.utils.clear_session()
        x = rng.normal(size=(3, 6, 5, 4, 2)).astype("f4")
        x = x if data_format == "channels_last" else np.moveaxis(x, -1, 2)
        inputs, given, options = [layers.Input((None, *x.shape[2:]))], [x], {}
        layer = layers.ConvLSTM2D(
            3, (3, 2), padding="same", data_format=data_format, go_backwards=turned,
            return_sequences=sequences, return_state=True, recurrent_activation="hard_sigmoid",
        )  # fmt: skip
        layer.zero_output_for_mask = zero
        if masked:
            inputs.append(layers.Input((None,), dtype="bool"))
            given.append(rng.random((3, 6)) < 0.5)
            options["mask"] = inputs[-1]
        if started:
            shape = layer.compute_output_shape((None, *inputs[0].shape[1:]))[1][1:]
            options["initial_state"] = [layers.Input(shape) for _ in range(2)]
            inputs += options["initial_state"]
            given += [rng.normal(size=(3, *shape)).astype("f4") for _ in range(2)]
        model = rnn_engine.Model(inputs, list(layer(inputs[0], **options)))
        cases.scatter(model)
        to_onnx(model, path)
        wanted = outputs(model(given if len(given) > 1 else given[0]))
        names = [port.name for port in onnx.load(path).graph.input]
        found = run(path, dict(zip(names, given, strict=True)))
        assert_close(found, wanted, f"{sequences} {turned} {zero} {started}")


def test_a_model_at_each_step(tmp_path):
    inner = rnn_engine.Sequential([layers.Input((4,)), layers.Dense(3, "relu"), layers.Dense(2)])
    model = rnn_engine.Sequential(
        [layers.Input((5, 4)), layers.TimeDistributed(inner), layers.GRU(2)]
    )
    cases.scatter(model)
    to_onnx(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("f4")
    name = onnx.load(tmp_path / "m.onnx").graph.input[0].name
    assert_close(run(tmp_path / "m.onnx", {name: x}), [model(x)], "written")
    assert_close([from_onnx(tmp_path / "m.onnx")(x)], [model(x)], "read")
