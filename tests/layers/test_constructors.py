"""What every layer's constructor takes and refuses, as Keras's does."""

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

KITS = (rnn_engine, keras)

MAKERS = {
    "Dropout": lambda kit, **options: kit.layers.Dropout(0.5, **options),
    "SimpleRNN": lambda kit, **options: kit.layers.SimpleRNN(3, **options),
    "SimpleRNNCell": lambda kit, **options: kit.layers.SimpleRNNCell(3, **options),
    "Sequential": lambda kit, **options: kit.Sequential([kit.layers.Dense(3)], **options),
}
BAD = [{"name": "a/b"}, {"name": 3}, {"trainable": "x"}, {"trainable": None}, {"trainable": 1}]
BAD_SEEDS = [{"seed": 1.5}, {"seed": "a"}, {"seed": True}]
REFUSED = [
    (name, options)
    for name in MAKERS
    for options in BAD + (BAD_SEEDS if name != "Sequential" else [])
]


@pytest.mark.parametrize(("name", "options"), REFUSED, ids=str)
def test_refused(name, options):
    (argument,) = options
    for kit in KITS:
        with pytest.raises(ValueError, match=argument if kit is rnn_engine else None):
            MAKERS[name](kit, **options)


@pytest.mark.parametrize("options", [{"name": ""}, {"name": "ä b"}, {"trainable": False}], ids=str)
@pytest.mark.parametrize("name", MAKERS)
def test_taken(name, options):
    ours, theirs = (MAKERS[name](kit, **options) for kit in KITS)
    for argument in options:
        assert getattr(ours, argument) == getattr(theirs, argument)


def test_an_input_may_have_an_empty_name():
    ours, theirs = (kit.layers.InputLayer((3,), name="") for kit in KITS)
    assert ours.name == theirs.name == ""


def test_a_layer_that_draws_nothing_does_not_look_at_its_seed():
    for kit in KITS:
        assert kit.layers.Dropout(0.0, seed=1.5).seed == 1.5


def test_negative_seeds_are_seeds():
    x = np.ones((2, 50), "float32")
    once, again, other = (rnn_engine.layers.Dropout(0.5, seed=s) for s in (-1, -1, -2))
    np.testing.assert_array_equal(once(x, training=True), again(x, training=True))
    assert (again(x, training=True) != other(x, training=True)).any()


@pytest.mark.parametrize("autocast", [True, False])
def test_autocast(autocast):
    for kit in KITS:
        layer = kit.layers.Dense(2, autocast=autocast)
        assert layer.autocast is autocast
        assert "autocast" not in layer.get_config()


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Embedding", (3, 2)),
        ("EinsumDense", ("ab,bc->ac", 2)),
        ("Dense", (2,)),
        ("LSTM", (2,)),
        ("Dropout", (0.1,)),
        ("Conv1D", (2, 3)),
        ("Conv2D", (2, 3)),
        ("Conv1DTranspose", (2, 3)),
        ("DepthwiseConv1D", (3,)),
        ("SeparableConv1D", (2, 3)),
    ],
)
def test_config_tells_of_the_penalty_on_activity_where_keras_does(name, args):
    for penalty in (None, "l2"):
        options = {} if penalty is None else {"activity_regularizer": penalty}
        ours = getattr(rnn_engine.layers, name)(*args, **options)
        mine = ours.get_config()
        wanted = getattr(keras.layers, name)(*args, **options).get_config()
        assert ("activity_regularizer" in mine) == ("activity_regularizer" in wanted)
        assert (mine.get("activity_regularizer") is None) == (penalty is None)
        again = type(ours).from_config(mine)
        assert again.get_config() == mine
