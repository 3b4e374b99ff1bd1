"""A layer that stands in several places does so in files, JSON and clones, inside others too."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine.models import clone_model, load_model, model_from_json
from tests.saving import cases
from tests.saving.cases import assert_same

pytest.importorskip("h5py")


def twice_distributed(ns, sequential):
    d = ns.Dense(4, "tanh")
    return sequential([ns.Input((5, 4)), ns.TimeDistributed(d), ns.TimeDistributed(d)])


def alone_and_distributed(ns, sequential):
    d = ns.Dense(4, "tanh")
    return sequential([ns.Input((5, 4)), d, ns.TimeDistributed(d), ns.Dense(2)])


def cell_of_two(ns, sequential):
    c = ns.SimpleRNNCell(4)
    return sequential([ns.Input((5, 4)), ns.RNN(c, return_sequences=True), ns.RNN(c)])


def cell_of_a_stack(ns, sequential):
    c = ns.SimpleRNNCell(4)
    return sequential([ns.Input((5, 4)), ns.RNN([c, c])])


def alone_and_nested(ns, sequential):
    d = ns.Dense(4, "tanh")
    return sequential([ns.Input((5, 4)), d, sequential([ns.Input((5, 4)), d, ns.Dense(3)])])


# Keras's own arrays trip over NumPy 2's `copy`; nothing of ours warns so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MODELS = [
    twice_distributed,
    alone_and_distributed,
    cell_of_two,
    cell_of_a_stack,
    alone_and_nested,
]
X = np.random.default_rng(3).normal(size=(2, 5, 4)).astype("f4")


def ours(make):
    model = make(rnn_engine.layers, rnn_engine.Sequential)
    cases.scatter(model)
    return model


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("ending", [".npz", ".keras", ".h5", ".safetensors"])
def test_files(make, ending, tmp_path):
    model = ours(make)
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    assert len(again.weights) == len(model.weights)
    assert_same(again, model)
    np.testing.assert_array_equal(again(X), model(X))


@pytest.mark.parametrize("make", MODELS)
def test_json_and_clones(make):
    model = ours(make)
    for again in (model_from_json(model.to_json()), clone_model(model)):
        assert len(again.weights) == len(model.weights)
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(X), model(X))
        assert not {id(v) for v in again.weights} & {id(v) for v in model.weights}


def test_clones_of_inner_models():
    model = ours(alone_and_nested)
    again = clone_model(model, recursive=True)
    assert again.layers[0] is again.layers[1].layers[0]
    made = []
    clone_model(
        model,
        clone_function=lambda layer: (
            made.append(layer) or type(layer).from_config(layer.get_config())
        ),
    )
    assert made == model.layers


@pytest.mark.parametrize("make", MODELS)
def test_files_of_keras(make, tmp_path):
    """Those that Keras itself can load are loaded here, and ours there."""
    keras = pytest.importorskip("keras")
    theirs = make(keras.layers, keras.Sequential)
    theirs.save(tmp_path / "k.keras")
    try:
        wanted = keras.models.load_model(tmp_path / "k.keras")
    except (TypeError, ValueError):
        pytest.skip("Keras cannot load its own file")
    again = load_model(tmp_path / "k.keras")
    assert len(again.weights) == len(wanted.weights) == len(theirs.weights)
    np.testing.assert_allclose(again(X), np.asarray(theirs(X)), rtol=1e-5, atol=1e-6)
    model = ours(make)
    model.save(tmp_path / "m.keras")
    back = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(np.asarray(back(X)), model(X), rtol=1e-5, atol=1e-6)


class Hides(rnn_engine.layers.Layer):
    """Holds a layer that its config says nothing of."""

    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.inner = rnn_engine.layers.Dense(4) if inner is None else inner

    @property
    def sublayers(self):
        return [self.inner]

    def create_weights(self, input_shape):
        self.inner.build(input_shape)

    def forward(self, x, training=False, mask=None):
        return self.inner.forward(x, training)

    def backward(self, dy, saved, need_dx=True):
        return self.inner.backward(dy, saved, need_dx)


@pytest.mark.parametrize("ending", [".npz", ".keras", ".h5", ".safetensors"])
def test_what_cannot_be_told_is_refused_at_save(ending, tmp_path):
    d = rnn_engine.layers.Dense(4)
    model = rnn_engine.Sequential([rnn_engine.layers.Input((4,)), d, Hides(d, name="hides")])
    with pytest.raises(ValueError, match="'dense.*hides.*get_config"):
        model.save(tmp_path / f"m{ending}")
    assert not list(tmp_path.iterdir())
    alone = rnn_engine.Sequential([rnn_engine.layers.Input((4,)), Hides(name="hides")])
    alone.save(tmp_path / f"m{ending}")
    assert_same(load_model(tmp_path / f"m{ending}", {"Hides": Hides}), alone)
