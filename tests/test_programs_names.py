"""Names and values that programs ask for beside the models themselves."""

from importlib import import_module

import numpy as np
import pytest

import rnn_engine as tf
from rnn_engine.optimizers import SparseGrad


@pytest.mark.parametrize("name", ["src", "_tf_keras", "_tf_keras.keras"])
def test_names_that_editors_import_from(name: str) -> None:
    assert import_module(f"rnn_engine.{name}") is tf
    assert import_module(f"rnn_engine.{name}.layers") is tf.layers
    assert import_module(f"rnn_engine.{name}.datasets.imdb") is tf.datasets.imdb
    assert tf._tf_keras.keras.preprocessing.text.Tokenizer
    assert name not in dir(tf)


@pytest.mark.parametrize("name", ["api", "python"])
def test_names_that_are_gone_say_so(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="rnn_engine"):
        import_module(f"rnn_engine.{name}.keras")


def test_text_and_early_names_of_pipelines() -> None:
    assert tf.Input((1,), dtype=tf.string).dtype == "string"
    assert tf.constant(["a", "bc"], dtype=tf.string).tolist() == ["a", "bc"]
    words = tf.data.Dataset.from_generator(lambda: iter(["ab", "c"]), output_types=tf.string)
    assert [str(w) for w in words] == ["ab", "c"]
    assert tf.data.experimental.AUTOTUNE == tf.data.AUTOTUNE
    assert int(tf.data.experimental.cardinality(tf.data.Dataset.range(3))) == 3
    assert tf.data.Dataset.range(2).with_options(tf.data.Options()) is not None


def test_elements_are_tensors() -> None:
    pairs = tf.data.Dataset.from_tensor_slices((np.ones((4, 3)), np.arange(4))).batch(2)
    for x, y in pairs:
        x.set_shape((None, 3))
        assert (x.numpy().shape, y.numpy().tolist() in ([0, 1], [2, 3])) == ((2, 3), True)
        with pytest.raises(ValueError, match="not compatible"):
            x.set_shape((None, 4))
        with pytest.raises(ValueError, match="not compatible"):
            x.set_shape((3,))
    seen = []
    list(pairs.map(lambda x, y: seen.append(x.numpy().sum()) or y))
    assert seen == [6.0, 6.0]
    assert [type(n) for n in tf.data.Dataset.range(2).as_numpy_iterator()] == [np.int64] * 2


def test_one_number_is_a_key() -> None:
    best = tf.argmax(tf.constant([0.0, 2.0, 1.0]))
    assert {1: "found"}[best.numpy()] == "found"
    assert isinstance(tf.reduce_sum(tf.ones((2, 2))).numpy(), np.float32)


def test_rows_of_a_gradient_are_read_as_an_array() -> None:
    rows = SparseGrad([2, 0, 2], np.array([[3.0, 0.0], [0.0, 4.0], [1.0, 0.0]], "float32"), (3, 2))
    dense = np.array([[0, 4], [0, 0], [4, 0]], "float32")
    assert np.array_equal(np.asarray(rows), dense)
    assert np.array_equal(rows.numpy() + 1, rows + 1)
    assert float(tf.reduce_sum(tf.abs(rows))) == 8.0
    variable = tf.Variable(np.zeros((3, 2), "float32"))
    assert np.array_equal(variable.assign_add(rows).numpy(), dense)
    # As in TensorFlow the norm is that of the rows as they come, not of their sums.
    (clipped,), norm = tf.clip_by_global_norm([rows], 1.0)
    assert isinstance(clipped, SparseGrad)
    assert float(norm) == pytest.approx(26**0.5)
    assert np.asarray(clipped) == pytest.approx(dense / 26**0.5)
    assert np.asarray(tf.clip_by_norm(rows, 1.0)) == pytest.approx(dense / 26**0.5)
    assert len(rows) == 3


def test_inputs_by_their_names() -> None:
    x = np.ones((2, 3, 4), "float32")
    assert tf.layers.Dense(2)(inputs=x).shape == (2, 3, 2)
    assert tf.layers.LSTM(2)(sequences=x).shape == tf.layers.GRU(2)(inputs=x).shape == (2, 2)
    assert tf.layers.MultiHeadAttention(1, 2)(query=x, value=x).shape == x.shape
    with pytest.raises(TypeError, match="missing a required argument: 'inputs'"):
        tf.layers.Dense(2)(training=False)


def test_a_model_without_a_call_says_so() -> None:
    class Held(tf.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf.layers.Dense(1)

    model = Held()
    model.dense(np.ones((2, 3), "float32"))
    assert len(model.trainable_variables) == 2
    assert model.layers == [model.dense]
    with pytest.raises(NotImplementedError, match="call"):
        model(np.ones((2, 3), "float32"))
