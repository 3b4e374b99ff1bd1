"""StringLookup against Keras: vocabularies, modes, unknown and masked strings."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.layers.preprocessing import StringLookup
from rnn_engine.layers.preprocessing.hashing import fingerprint64, siphash64

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

WORDS = st.sampled_from(["a", "b", "ab", "é", "", "#", "[UNK]", "日本", "zz", "A"])
MODES = ["int", "one_hot", "multi_hot", "count", "tf_idf"]


def same(ours, theirs):
    theirs = theirs.numpy()
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    else:
        np.testing.assert_array_equal(ours, theirs)


def grids(words=WORDS, min_rows=1):
    def build(shape):
        size = int(np.prod(shape))
        return st.lists(words, min_size=size, max_size=size).map(
            lambda flat: np.array(flat, dtype=object).reshape(shape)
        )

    sizes = st.tuples(st.integers(min_rows, 4), st.integers(1, 4))
    return sizes.flatmap(build)


@given(
    data=grids(),
    inputs=grids(),
    mode=st.sampled_from(MODES),
    mask_token=st.sampled_from([None, "", "#"]),
    num_oov=st.sampled_from([1, 2, 3]),
    max_tokens=st.sampled_from([None, 6, 12]),
    pad=st.booleans(),
    salt=st.sampled_from([None, 7, [1, 2**40]]),
    rank=st.sampled_from([0, 1, 2]),
)
def test_adapted_is_keras(data, inputs, mode, mask_token, num_oov, max_tokens, pad, salt, rank):
    arguments = {
        "max_tokens": max_tokens,
        "num_oov_indices": num_oov,
        "mask_token": mask_token,
        "output_mode": mode,
        "pad_to_max_tokens": pad and max_tokens is not None,
        "salt": salt,
    }
    ours, theirs = StringLookup(**arguments), keras.layers.StringLookup(**arguments)
    if not set(data.ravel()) - {mask_token, "[UNK]"}:
        data[0, 0] = "a"  # Keras needs one term
    ours.adapt(data)
    theirs.adapt(tf.constant(data.tolist()))
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.get_vocabulary(False) == theirs.get_vocabulary(False)
    assert ours.vocabulary_size() == theirs.vocabulary_size()
    for _ in range(rank, 2):
        inputs = inputs[0]
    expected = theirs(tf.constant(inputs.tolist() if rank else inputs))
    same(ours(inputs), expected)
    same(ours(inputs.tolist() if rank else inputs), expected)


@given(
    vocabulary=st.lists(WORDS.filter(lambda w: w not in ("", "[UNK]")), min_size=1, unique=True),
    inputs=grids(),
    mode=st.sampled_from(MODES),
    special=st.booleans(),
    mask_token=st.sampled_from([None, ""]),
    seed=st.integers(0, 9),
)
def test_given_vocabulary_is_keras(vocabulary, inputs, mode, special, mask_token, seed):
    if special:
        front = [""] if mask_token is not None and mode == "int" else []
        vocabulary = [*front, "[UNK]", *vocabulary]
    arguments = {"vocabulary": vocabulary, "output_mode": mode, "mask_token": mask_token}
    if mode == "tf_idf":
        arguments["idf_weights"] = np.random.default_rng(seed).random(len(vocabulary)).tolist()
    ours, theirs = StringLookup(**arguments), keras.layers.StringLookup(**arguments)
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    same(ours(inputs), theirs(tf.constant(inputs.tolist())))
    with pytest.raises(ValueError, match="Cannot adapt"):
        ours.adapt(["x"])


@pytest.mark.parametrize("mode", ["int", "multi_hot", "count"])
@pytest.mark.parametrize("mask_token", [None, ""])
def test_without_an_index_for_the_unknown(mode, mask_token):
    arguments = {
        "vocabulary": ["b", "a", "c"],
        "num_oov_indices": 0,
        "mask_token": mask_token,
        "output_mode": mode,
    }
    ours, theirs = StringLookup(**arguments), keras.layers.StringLookup(**arguments)
    inputs = np.array([["a", "b"], ["c", "a"]])
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    assert ours.vocabulary_size() == theirs.vocabulary_size()
    same(ours(inputs), theirs(tf.constant(inputs.tolist())))


@given(
    indices=st.lists(st.integers(-1, 7), min_size=1, max_size=6),
    mask_token=st.sampled_from([None, ""]),
    num_oov=st.integers(0, 2),
)
def test_invert_is_keras(indices, mask_token, num_oov):
    arguments = {
        "vocabulary": ["a", "é", "ccc"],
        "invert": True,
        "mask_token": mask_token,
        "num_oov_indices": num_oov,
    }
    ours = StringLookup(**arguments)([indices, indices])
    theirs = keras.layers.StringLookup(**arguments)([indices, indices]).numpy()
    assert ours.tolist() == [[term.decode() for term in row] for row in theirs.tolist()]


def test_round_trip_of_strings():
    words = ["tea", "milk", "sugar"]
    there, back = StringLookup(vocabulary=words), StringLookup(vocabulary=words, invert=True)
    assert back(there([["milk", "x"], ["tea", "sugar"]])).tolist() == [
        ["milk", "[UNK]"],
        ["tea", "sugar"],
    ]


@given(data=st.binary(max_size=300))
def test_hashes_are_tensorflows(data):
    buckets = 2**61 - 1
    fast = tf.strings.to_hash_bucket_fast([data], buckets).numpy()[0]
    assert fingerprint64(data) % buckets == fast
    strong = tf.strings.to_hash_bucket_strong([data], buckets, [3, 2**62 + 5]).numpy()[0]
    assert siphash64(data, (3, 2**62 + 5)) % buckets == strong


@pytest.mark.parametrize("length", [*range(36), 63, 64, 65, 66, 127, 128, 129, 192, 1000])
def test_hashes_of_every_length_class(length):
    data = bytes((i * 37 + length) % 256 for i in range(length))
    buckets = 2**61 - 1
    assert fingerprint64(data) % buckets == tf.strings.to_hash_bucket_fast([data], buckets)[0]
    strong = tf.strings.to_hash_bucket_strong([data], buckets, [11, 13])[0]
    assert siphash64(data, (11, 13)) % buckets == strong


def test_by_hand():
    lookup = StringLookup(mask_token="")
    lookup.adapt(["b", "a", "c", "a", "", "b", "a"])
    assert lookup.get_vocabulary() == ["", "[UNK]", "a", "b", "c"]
    np.testing.assert_array_equal(lookup(["c", "", "x", "a"]), [4, 0, 1, 2])
    counts = StringLookup(vocabulary=["a", "b"], output_mode="count")
    np.testing.assert_array_equal(
        counts([["a", "b", "a"], ["x", "x", "b"]]), [[0, 2, 1], [2, 0, 1]]
    )


def test_ranks_above_two_count_over_the_last_axis():
    lookup = StringLookup(vocabulary=["a", "b"], output_mode="count")
    result = lookup([[["a", "a", "b"]], [["q", "b", "b"]]])
    np.testing.assert_array_equal(result, [[[0, 2, 1]], [[1, 0, 2]]])


def test_iterables_of_batches():
    def stream():
        while True:
            yield np.array([["a", "b"], ["a", "c"]])
            yield np.array([["d", "d"]])

    ours = StringLookup(output_mode="tf_idf")
    ours.adapt(stream(), steps=3)
    theirs = keras.layers.StringLookup(output_mode="tf_idf")
    theirs.adapt(
        tf.data.Dataset.from_generator(
            stream, output_signature=tf.TensorSpec((None, 2), tf.string)
        ),
        steps=3,
    )
    assert ours.get_vocabulary() == theirs.get_vocabulary()
    same(ours([["a", "d"]]), theirs(tf.constant([["a", "d"]])))


def test_bytes_and_arrays():
    lookup = StringLookup(vocabulary=["é", "b"])
    for inputs in (
        [b"\xc3\xa9", b"b"],
        np.array(["é", "b"]),
        np.array([b"\xc3\xa9", b"b"]),
        np.array(["é", "b"], dtype=object),
        ("é", "b"),
    ):
        np.testing.assert_array_equal(lookup(inputs), [1, 2])
    assert lookup(np.str_("b")) == 2
    assert lookup("b").shape == ()


def test_vocabulary_files(tmp_path):
    path = tmp_path / "terms.txt"
    path.write_text("a\nb c\né\n", encoding="utf-8")
    for given_ in (path, str(path)):
        lookup = StringLookup(vocabulary=given_)
        assert lookup.get_vocabulary() == ["[UNK]", "a", "b c", "é"]
        assert lookup.get_config()["vocabulary"] is None
    theirs = keras.layers.StringLookup(vocabulary=str(path))
    assert theirs.get_vocabulary() == ["[UNK]", "a", "b c", "é"]
    with pytest.raises(ValueError, match="does not exist"):
        StringLookup(vocabulary=str(tmp_path / "none.txt"))
    with pytest.raises(ValueError, match="does not go with"):
        StringLookup(vocabulary=str(path), output_mode="tf_idf", idf_weights=[1.0])
    with pytest.raises(ValueError, match="must not name a vocabulary file"):
        StringLookup.from_config({"vocabulary": str(path)})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"vocabulary": ["a", "b"], "mask_token": "", "num_oov_indices": 2, "salt": 3},
        {"vocabulary": np.array(["a", "b"]), "output_mode": "tf_idf", "idf_weights": [0.5, 2.0]},
        {"max_tokens": 9, "output_mode": "count", "pad_to_max_tokens": True},
    ],
    ids=str,
)
def test_config(arguments):
    lookup = StringLookup(name="words", **arguments)
    config = json.loads(json.dumps(lookup.get_config()))
    again = StringLookup.from_config(config)
    assert again.get_config() == lookup.get_config()
    theirs = keras.layers.StringLookup(name="words", **arguments).get_config()
    for key in config:
        if key not in ("vocabulary_size", "dtype"):  # a size of the output only; a policy
            assert config[key] == theirs[key], key
    assert set(theirs) - set(config) <= {"trainable", "dtype", "oov_method"}
    if "vocabulary" in arguments:
        np.testing.assert_array_equal(again([["a", "z"]]), lookup([["a", "z"]]))


@pytest.mark.parametrize("mode", ["int", "tf_idf"])
@pytest.mark.parametrize("pad", [False, True])
def test_assets(tmp_path, mode, pad):
    arguments = {"output_mode": mode, "max_tokens": 20, "pad_to_max_tokens": pad}
    lookup = StringLookup(**arguments)
    lookup.adapt([["x", "y"], ["y", "\r"], ["z", ""]])
    store = {}
    lookup.save_own_variables(store)
    lookup.save_assets(tmp_path)
    again = StringLookup(**arguments)
    again.load_own_variables(store)
    again.load_assets(tmp_path)
    assert again.get_vocabulary() == lookup.get_vocabulary()
    inputs = [["y", "z", "q", "\r"]]
    np.testing.assert_array_equal(again(inputs), lookup(inputs))
    lookup = StringLookup()
    lookup.adapt(["a\nb"])
    with pytest.raises(ValueError, match="line breaks"):
        lookup.save_assets(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_tokens": 1},
        {"pad_to_max_tokens": True},
        {"num_oov_indices": -1},
        {"output_mode": "two_hot"},
        {"invert": True, "output_mode": "count"},
        {"idf_weights": [1.0]},
        {"salt": "x"},
        {"salt": [1, 2, 3]},
        {"colour": "red"},
        {"vocabulary": []},
        {"vocabulary": ["a", "b", "a"]},
        {"vocabulary": ["a", ""], "mask_token": ""},
        {"vocabulary": ["a", "[UNK]"], "invert": True},
        {"vocabulary": ["a", "b", "c"], "max_tokens": 3},
        {"vocabulary": ["a"], "output_mode": "tf_idf"},
        {"vocabulary": ["a"], "output_mode": "tf_idf", "idf_weights": [1.0, 2.0]},
    ],
    ids=str,
)
def test_bad_arguments(arguments):
    word = "|".join(arguments)
    if arguments.get("mask_token") == "" or "[UNK]" in arguments.get("vocabulary", ()):
        word = "unexpected location in `vocabulary`"
    with pytest.raises(ValueError, match=word):
        StringLookup(**arguments)
    with pytest.raises(ValueError, match=r"."):
        keras.layers.StringLookup(**arguments)


def test_bad_inputs():
    lookup = StringLookup(vocabulary=["a"])
    with pytest.raises(TypeError, match=r"got 3 of type int at index \(0, 1\)"):
        lookup([["a", 3]])
    with pytest.raises(ValueError, match="rectangular"):
        lookup([["a"], ["a", "a"]])
    strict = StringLookup(vocabulary=["a"], num_oov_indices=0)
    with pytest.raises(ValueError, match="got 'q' as element 1"):
        strict(["a", "q"])
    for mode in MODES:
        with pytest.raises(RuntimeError, match="no vocabulary"):
            StringLookup(output_mode=mode)(["a"])
    with pytest.raises(ValueError, match="sparse must be False"):
        StringLookup(sparse=True, output_mode="count")
    with pytest.raises(ValueError, match="must be set"):
        StringLookup(output_mode="tf_idf").set_vocabulary(["a"])
    with pytest.raises(ValueError, match="should only be set if `output_mode` is"):
        StringLookup().set_vocabulary(["a"], [1.0])


def test_the_size_of_an_output_does_not_change():
    lookup = StringLookup(output_mode="count")
    lookup.adapt(["a", "b"])
    lookup.set_vocabulary(["c", "d"])
    assert lookup.get_vocabulary() == ["[UNK]", "c", "d"]
    with pytest.raises(RuntimeError, match="cannot change its size"):
        lookup.adapt(["a", "b", "c"])
    assert lookup.get_vocabulary() == ["[UNK]", "c", "d"]
    theirs = keras.layers.StringLookup(output_mode="count")
    theirs.adapt(["a", "b"])
    with pytest.raises(RuntimeError, match="cannot be changed"):
        theirs.adapt(["a", "b", "c"])


def test_adapting_again_starts_afresh():
    lookup = StringLookup()
    lookup.adapt(["a", "a", "b"])
    lookup.adapt(["b", "c", "c"])
    assert lookup.get_vocabulary() == ["[UNK]", "c", "b"]
    lookup.adapt([])
    assert lookup.get_vocabulary() == ["[UNK]", "c", "b"]
