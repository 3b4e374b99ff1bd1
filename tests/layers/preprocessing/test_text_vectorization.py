"""TextVectorization against Keras on random texts and options."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.layers.preprocessing import TextVectorization

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

# Letters beyond ASCII, punctuation of both kinds, blanks that split and blanks that do not.
LETTERS = "aAbBcCéÉß1 .,!?'-_«\t\n\x0b\x0c\r\x1c\x85\u00a0\u2003日"
TEXTS = st.lists(st.text(LETTERS, max_size=15), min_size=1, max_size=5)
STANDARDIZE = [None, "lower", "strip_punctuation", "lower_and_strip_punctuation"]


def same(ours, theirs):
    theirs = np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    else:
        np.testing.assert_array_equal(ours, theirs)


@given(
    data=TEXTS,
    inputs=TEXTS,
    standardize=st.sampled_from(STANDARDIZE),
    split=st.sampled_from(["whitespace", "character"]),
    ngrams=st.sampled_from([None, 1, 2, (2,), (3, 1)]),
    mode=st.sampled_from(["int", "multi_hot", "count", "tf_idf"]),
    max_tokens=st.sampled_from([None, 5, 40]),
    pad=st.booleans(),
    length=st.sampled_from([None, 1, 4, 20]),
    column=st.booleans(),
)
def test_split_texts_are_keras(
    data, inputs, standardize, split, ngrams, mode, max_tokens, pad, length, column
):
    arguments = {
        "max_tokens": max_tokens,
        "standardize": standardize,
        "split": split,
        "ngrams": ngrams,
        "output_mode": mode,
        "output_sequence_length": length if mode == "int" else None,
        "pad_to_max_tokens": pad and max_tokens is not None,
    }
    data = [*data, "a aa aaa"]  # Keras needs a term, also of three tokens
    ours, theirs = TextVectorization(**arguments), keras.layers.TextVectorization(**arguments)
    ours.adapt(data)
    theirs.adapt(data)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.vocabulary_size() == theirs.vocabulary_size()
    if column:
        inputs = [[text] for text in inputs]
    same(ours(inputs), theirs(tf.constant(inputs)))
    same(ours(np.array(inputs, dtype=object)), theirs(tf.constant(inputs)))


@given(
    rows=st.integers(1, 3),
    width=st.integers(1, 4),
    seed=st.integers(0, 200),
    mode=st.sampled_from(["int", "multi_hot", "count", "tf_idf", "one_hot"]),
    ngrams=st.sampled_from([None, (1,)]),
    rank=st.sampled_from([1, 2]),
)
def test_unsplit_texts_are_keras(rows, width, seed, mode, ngrams, rank):
    words = ["A b", "c.", "D", "é", "", "zz"]
    grid = np.random.default_rng(seed).choice(words, (rows, width)).tolist()
    arguments = {"split": None, "output_mode": mode, "ngrams": ngrams}
    ours, theirs = TextVectorization(**arguments), keras.layers.TextVectorization(**arguments)
    learned = [["A b", "c.", "D"], ["c.", "zz", "é"]]
    ours.adapt(learned)
    theirs.adapt(learned)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    inputs = grid if rank == 2 else grid[0]
    same(ours(inputs), theirs(tf.constant(inputs)))


def test_by_hand():
    layer = TextVectorization(output_sequence_length=3)
    layer.adapt(["Foo, bar!", "bar BAZ", "baz bar"])
    assert layer.get_vocabulary() == ["", "[UNK]", "bar", "baz", "foo"]
    np.testing.assert_array_equal(layer(["foo baz bar bar", "Quux"]), [[4, 3, 2], [1, 0, 0]])
    layer = TextVectorization(output_mode="tf_idf")
    layer.adapt(["a b", "a c", "a"])
    assert layer.get_vocabulary() == ["[UNK]", "a", "c", "b"]
    idf = np.log(1 + 3 / (1 + np.array([3, 1, 1])))
    want = [[idf.mean(), 2 * idf[0], 0, idf[2]]]
    np.testing.assert_allclose(layer(["a a b q"]), want, rtol=1e-6)


@pytest.mark.parametrize("mode", ["int", "count"])
def test_one_text_alone(mode):
    ours = TextVectorization(output_mode=mode, ngrams=2)
    theirs = keras.layers.TextVectorization(output_mode=mode, ngrams=2)
    for layer in (ours, theirs):
        layer.adapt(["foo bar", "bar baz"])
    same(ours("foo bar"), theirs("foo bar"))


def test_one_hot_is_filled_up():
    layer = TextVectorization(output_mode="one_hot", vocabulary=["a", "b"])
    np.testing.assert_array_equal(
        layer(["a x", "b"]), [[[0, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 0]]]
    )
    assert layer(["a", "b"]).shape == (2, 1, 3)


@pytest.mark.parametrize(
    "texts",
    [
        ["ab c", "ccc ab"],
        ["a  b", " c\t", "", "   "],
        ["a\nb", "c"],
        ["a", "\n", "b\n\nc"],
        ["a\x1cb c", "d"],
        ["A\x1fB", "c.\x1dd e"],
        ["é a", "b\u00a0c d"],
    ],
)
@pytest.mark.parametrize("standardize", [None, "lower"])
def test_tokens_stay_in_their_text(texts, standardize):
    """Line breaks, several blanks, and separators that are none for TensorFlow."""
    words = ["a", "b", "c", "d", "e", "ab", "ccc"]
    arguments = {"standardize": standardize, "vocabulary": words, "output_sequence_length": 5}
    ours, theirs = TextVectorization(**arguments), keras.layers.TextVectorization(**arguments)
    same(ours(texts), theirs(tf.constant(texts)))


def test_empty_texts():
    layer = TextVectorization(vocabulary=["a"])
    assert layer([]).shape == (0, 0)
    assert layer(["", " . "]).shape == (2, 0)
    np.testing.assert_array_equal(layer(["", "a"]), [[0], [2]])
    counts = TextVectorization(vocabulary=["a"], output_mode="count")
    np.testing.assert_array_equal(counts(["", "a"]), [[0, 0], [0, 1]])


def test_callables():
    layer = TextVectorization(
        standardize=lambda texts: np.char.replace(texts, "x", "a"),
        split=lambda texts: [text.split("|") for text in texts],
    )
    layer.adapt(["x|B b|B b", "c"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B b", "c", "a"]
    np.testing.assert_array_equal(layer([["a|c"], ["B b"]]), [[4, 3], [2, 0]])
    wrong = TextVectorization(split=lambda texts: [["a"]])
    with pytest.raises(ValueError, match="each of the 2 texts, got 1"):
        wrong.adapt(["a", "b"])


def test_iterables_of_batches():
    def stream():
        yield ["a b", "b c"]
        yield ["c c d"]
        yield ["never seen"]

    layer = TextVectorization()
    layer.adapt(stream(), steps=2)
    assert layer.get_vocabulary() == ["", "[UNK]", "c", "b", "d", "a"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"max_tokens": 9, "ngrams": (1, 3), "output_mode": "count", "pad_to_max_tokens": True},
        {"vocabulary": ["a", "b"], "output_sequence_length": 4, "standardize": None},
        {"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": [0.5], "split": "character"},
    ],
    ids=str,
)
def test_config(arguments):
    layer = TextVectorization(name="text", **arguments)
    config = json.loads(json.dumps(layer.get_config()))
    again = TextVectorization.from_config(config)
    assert again.get_config() == layer.get_config()
    theirs = keras.layers.TextVectorization(name="text", **arguments).get_config()
    own = layer.get_config()
    assert set(theirs) == set(own)
    assert own.pop("dtype") == theirs.pop("dtype")["config"]["name"]
    assert own == theirs
    if "vocabulary" in arguments:
        np.testing.assert_array_equal(again(["a q"]), layer(["a q"]))
    with pytest.raises(ValueError, match="must not name a vocabulary file"):
        TextVectorization.from_config({**config, "vocabulary": "/etc/hostname"})


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
def test_assets(tmp_path, mode):
    layer = TextVectorization(output_mode=mode)
    layer.adapt(["a b b", "c"])
    store = {}
    layer.save_own_variables(store)
    layer.save_assets(tmp_path)
    again = TextVectorization(output_mode=mode)
    again.load_own_variables(store)
    again.load_assets(tmp_path)
    assert again.get_vocabulary() == layer.get_vocabulary()
    np.testing.assert_array_equal(again(["a c q b"]), layer(["a c q b"]))


def test_set_vocabulary():
    layer = TextVectorization()
    layer.set_vocabulary(["", "[UNK]", "x", "y"])
    np.testing.assert_array_equal(layer(["y x z"]), [[3, 2, 1]])


@pytest.mark.parametrize(
    "arguments",
    [
        {"standardize": "upper"},
        {"split": "comma"},
        {"ngrams": [1, 2]},
        {"ngrams": 1.5},
        {"output_mode": "hot"},
        {"output_mode": "count", "output_sequence_length": 3},
        {"output_sequence_length": 2.5},
        {"max_tokens": 1},
        {"pad_to_max_tokens": True},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    word = list(arguments)[-1]
    with pytest.raises(ValueError, match=word):
        TextVectorization(**arguments)
    with pytest.raises(ValueError, match=word):
        keras.layers.TextVectorization(**arguments)


def test_bad_inputs():
    layer = TextVectorization(vocabulary=["a"])
    with pytest.raises(ValueError, match=r"last axis of size 1, got the shape \(1, 2\)"):
        layer([["a", "b"]])
    with pytest.raises(TypeError, match="inputs must hold strings, got 3"):
        layer([3])
    with pytest.raises(RuntimeError, match="no vocabulary"):
        TextVectorization()(["a"])
    with pytest.raises(ValueError, match="ragged must be False"):
        TextVectorization(ragged=True)
    with pytest.raises(ValueError, match="sparse must be False"):
        TextVectorization(sparse=True, output_mode="count")


def test_the_shape_may_be_left_out_of_build():
    results = []
    for kind in (TextVectorization, keras.layers.TextVectorization):
        layer = kind(vocabulary=["a", "b"])
        layer.build()
        results.append(np.asarray(layer(["b a c"])))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("shape", [(1300,), (1300, 1), (0,)])
def test_more_texts_than_are_counted_together(shape):
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(40)])
    texts = [" ".join(rng.choice(words, 1 + i % 9)) for i in range(int(np.prod(shape)))]
    layer = TextVectorization(output_mode="tf_idf" if shape == (1300,) else "int")
    layer.adapt(np.array(texts, dtype=object).reshape(shape))
    theirs = keras.layers.TextVectorization(output_mode=layer.output_mode)
    if not texts:
        assert layer.vocabulary_size() == 2
        return
    theirs.adapt(texts)
    assert layer.get_vocabulary() == theirs.get_vocabulary()
    if layer.output_mode == "tf_idf":
        np.testing.assert_allclose(layer(texts[:3]), np.array(theirs(texts[:3])), rtol=1e-5)
