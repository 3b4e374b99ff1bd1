"""Data adapters: every source gives the same batches, converted and checked once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.training.arrays import ArraySource, is_mapped, make_gather, split_validation
from rnn_engine.training.conversion import class_to_sample_weight, convert
from rnn_engine.training.data import PyDataset, make_source, unpack_x_y_sample_weight
from rnn_engine.training.form import DataForm
from rnn_engine.training.source import Epochs

DTYPES = ["float32", "float64", ">f4", ">f8", "int16", ">i4", "uint8", "bool", "float16"]


def copies(source):
    """Return the batches of one pass; each is copied, for buffers are shared."""
    return [tuple(None if a is None else a.copy() for a in batch) for batch in source.batches()]


@given(
    n=st.integers(1, 9),
    inner=st.lists(st.integers(1, 4), max_size=3),
    size=st.integers(1, 10),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from(["C", "F", "view", "readonly"]),
    shuffle=st.sampled_from([True, False, "batch"]),
    seed=st.integers(0, 99),
)
def test_batches_hold_the_samples_in_the_order_drawn(n, inner, size, dtype, order, shuffle, seed):
    rng = np.random.default_rng(seed)
    plain = (
        rng.integers(0, 2, size=(n, *inner))
        if dtype == "bool"
        else rng.integers(0, 100, size=(n, *inner))
    )
    x = plain.astype(dtype, order="F" if order == "F" else "C")
    if order == "view":
        x = np.repeat(x, 2, axis=0)[::2]
    if order == "readonly":
        x.setflags(write=False)
    y = np.arange(n)
    source = ArraySource(
        x,
        y,
        batch_size=size,
        shuffle=shuffle,
        time_major=True,
        rng=np.random.default_rng(seed),
    )
    batches = copies(source)
    rows = np.concatenate([b[1] for b in batches])
    assert sorted(rows) == list(range(n))
    assert rows.dtype == np.int64
    got = np.concatenate([b[0] for b in batches])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, plain[rows].astype("float32"))
    size = min(size, n)
    assert [len(b[0]) for b in batches] == [size] * (n // size) + ([n % size] if n % size else [])
    if shuffle is False:
        assert list(rows) == list(range(n))
    if shuffle == "batch":
        assert all((np.diff(b[1]) == 1).all() for b in batches)


def test_each_pass_has_a_new_order_and_a_seed_repeats_it():
    def passes(seed):
        rng = np.random.default_rng(seed)
        source = ArraySource(np.arange(50.0)[:, None], batch_size=7, shuffle=True, rng=rng)
        return [np.concatenate([b[0] for b in copies(source)]).ravel() for _ in range(2)]

    first, again, other = passes(1), passes(1), passes(2)
    assert (first[0] != first[1]).any()
    assert (first[0] != other[0]).any()
    np.testing.assert_array_equal(first, again)


def test_shuffled_rank_3_batches_are_time_major_in_memory():
    x = np.arange(2 * 3 * 4 * 5.0, dtype="float32").reshape(6, 4, 5)
    gather = make_gather(x, np.dtype("float32"), 4, True)
    batch = gather(np.array([5, 0, 3, 3]), 0, 4)
    assert batch.shape == (4, 4, 5)
    assert batch.transpose(1, 0, 2).flags.c_contiguous
    np.testing.assert_array_equal(batch, x[[5, 0, 3, 3]])
    in_order = gather(None, 4, 6)
    assert np.shares_memory(in_order, x)
    np.testing.assert_array_equal(in_order, x[4:6])


@pytest.mark.parametrize("dtype", ["float32", "int16", ">f8"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_mapped_file_is_never_copied_whole(tmp_path, dtype, shuffle):
    path = tmp_path / "x.dat"
    x = np.memmap(path, dtype, "w+", shape=(20, 3, 2))
    x[...] = np.arange(120).reshape(20, 3, 2)
    x.flush()
    mapped = np.memmap(path, dtype, "r", shape=(20, 3, 2))
    rng = np.random.default_rng(0)
    source = ArraySource(
        mapped, np.arange(20), batch_size=6, shuffle=shuffle, time_major=True, rng=rng
    )
    assert np.shares_memory(source.arrays[0], mapped)
    assert is_mapped(source.arrays[0])
    batches = copies(source)
    rows = np.concatenate([b[1] for b in batches])
    got = np.concatenate([b[0] for b in batches])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.asarray(x, "float32")[rows])


def test_integers_stay_integers_where_they_are_labels_or_indices():
    source = ArraySource(np.array([[1, 2]]), np.array([3]), form=DataForm.single(integers=True))
    x, y, _ = next(source.batches())
    assert x.dtype == np.int64
    assert y.dtype == np.int64
    assert convert(np.array([1, 2]), "x", "float32").dtype == np.float32
    assert convert(np.array([1], ">i4"), "x", "float32", True).dtype == np.dtype("int32")


def test_steps_without_a_batch_size_cut_the_samples_evenly():
    assert ArraySource(np.zeros((10, 1)), steps=4).batch_size == 3
    assert ArraySource(np.zeros((100, 1))).batch_size == 32


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array(["a", "b"]), "x must hold real numbers"),
        (np.array([1j]), "x must hold real numbers"),
        (np.array([object()]), "x must hold real numbers"),
        ([[1.0], [1.0, 2.0]], "x cannot be read as an array"),
        (np.float32(3), "Unrecognized data type|at least one axis"),
        ({"a": np.zeros(3)}, "Unrecognized data type"),
        ("text", "Unrecognized data type"),
        (None, "Unrecognized data type"),
        (7, "Unrecognized data type"),
        ([np.zeros((2, 1)), np.zeros((2, 1))], "x is a list of 2 arrays"),
        (np.zeros((0, 3)), "x has no samples"),
    ],
)
def test_bad_x_is_named(x, message):
    with pytest.raises(ValueError, match=message):
        make_source(x)


def test_a_list_of_one_array_is_that_array_and_nested_numbers_are_an_array():
    x = np.arange(6.0).reshape(3, 2)
    for given_x in ([x], (x,), x.tolist(), tuple(map(tuple, x))):
        (batch,) = copies(make_source(given_x))
        np.testing.assert_array_equal(batch[0], x)


def test_counts_must_agree():
    with pytest.raises(ValueError, match="x has 4, y has 3"):
        make_source(np.zeros((4, 1)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="sample_weight has 2"):
        make_source(np.zeros((4, 1)), np.zeros((4, 1)), np.ones(2))


class Batches(PyDataset):
    """Batch i holds i; counts what it is asked."""

    def __init__(self, n=5, **kwargs):
        super().__init__(**kwargs)
        self.n = n
        self.begun = self.ended = 0

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return np.full((2, 1), index), np.full((2, 1), -index)

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize(
    "options",
    [{}, {"workers": 3, "max_queue_size": 2}, {"workers": 2, "use_multiprocessing": True}],
)
def test_a_dataset_gives_its_batches_in_order(options):
    data = Batches(**options)
    batches = list(Epochs(make_source(data)).epoch())
    assert [int(x[0, 0]) for x, _, _ in batches] == [0, 1, 2, 3, 4]
    assert [int(y[0, 0]) for _, y, _ in batches] == [0, -1, -2, -3, -4]
    assert (data.begun, data.ended) == (1, 1)


def test_a_dataset_is_shuffled_by_batches():
    source = make_source(Batches(30), shuffle=True, rng=np.random.default_rng(0))
    order = [int(x[0, 0]) for x, _, _ in source.batches()]
    assert order != list(range(30))
    assert sorted(order) == list(range(30))


def test_duck_typed_and_endless_datasets():
    class Duck:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.full((1, 1), index)

    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return (np.full((1, 1), index),)

    assert [b[0].item() for b in make_source(Duck()).batches()] == [0, 1]
    endless = Epochs(make_source(Endless()), 3)
    assert [b[0].item() for b in endless.epoch()] == [0, 1, 2]
    assert [b[0].item() for b in endless.epoch()] == [3, 4, 5]


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="without batches"):
        make_source(Batches(0))


def test_targets_do_not_go_beside_a_dataset():
    for data, kind in ((Batches(), "PyDataset"), (iter([]), "generator")):
        with pytest.raises(ValueError, match=f"`x` as a {kind}, `y` should not"):
            make_source(data, np.zeros(3))
        with pytest.raises(ValueError, match="`sample_weight` should not"):
            make_source(data, None, np.zeros(3))


def test_a_bad_batch_is_named_by_its_number():
    good = (np.zeros((2, 1)), np.zeros((2, 1)))
    bad = (np.zeros((2, 1)), np.zeros((3, 1)))
    source = make_source(iter([good, bad]))
    with pytest.raises(ValueError, match=r"Batch 1: .*x has 2, y has 3"):
        list(source.batches())


def test_epochs_of_a_generator_go_on_and_warn_at_its_end():
    def count():
        yield from ((np.full((1, 1), i),) for i in range(5))

    epochs = Epochs(make_source(count()), 2)
    values = lambda: [b[0].item() for b in epochs.epoch()]  # noqa: E731
    assert values() == [0, 1]
    assert values() == [2, 3]
    with pytest.warns(UserWarning, match="ran out of data"):
        assert values() == [4]


def test_steps_of_arrays_go_through_a_pass_and_start_anew():
    x = np.arange(10.0)[:, None]
    epochs = Epochs(ArraySource(x, batch_size=4), 2)  # 3 batches in a pass
    firsts = lambda: [b[0][0, 0] for b in epochs.epoch()]  # noqa: E731
    assert firsts() == [0, 4]
    with pytest.warns(UserWarning, match="ran out of data"):
        assert firsts() == [8]
    assert firsts() == [0, 4]


def test_an_iterable_starts_again_each_epoch():
    data = [(np.full((1, 1), i), np.zeros((1, 1))) for i in range(3)]

    class Restarting:
        def __iter__(self):
            return iter(data)

    epochs = Epochs(make_source(Restarting()))
    assert epochs.num_batches is None
    for _ in range(2):
        assert [b[0].item() for b in epochs.epoch()] == [0, 1, 2]


def test_unpack():
    assert unpack_x_y_sample_weight(1) == (1, None, None)
    assert unpack_x_y_sample_weight([1]) == (1, None, None)
    assert unpack_x_y_sample_weight((1, 2)) == (1, 2, None)
    assert unpack_x_y_sample_weight((1, 2, 3)) == (1, 2, 3)
    for bad in ((), (1, 2, 3, 4)):
        with pytest.raises(ValueError, match="found a tuple"):
            unpack_x_y_sample_weight(bad)


def test_class_weights_of_labels_and_one_hot_rows():
    weight = {0: 2.0, 2: 0.5}
    expected = [2.0, 1.0, 0.5, 1.0]
    for y in ([0, 1, 2, 1], [[0], [1], [2], [1]], np.eye(3)[[0, 1, 2, 1]], [0.0, 1.0, 2.0, 1.0]):
        got = class_to_sample_weight(np.array(y), weight, "float32")
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match="class_weight needs targets"):
        class_to_sample_weight(None, weight, "float32")


def test_split_takes_the_tail():
    x = np.arange(10.0)
    (head, y_head, none), (tail, y_tail, _) = split_validation(x, -x, None, 0.25)
    assert none is None
    np.testing.assert_array_equal(head, x[:7])
    np.testing.assert_array_equal(tail, x[7:])
    np.testing.assert_array_equal(y_head, -x[:7])
    np.testing.assert_array_equal(y_tail, -x[7:])
    with pytest.raises(ValueError, match="not sufficient"):
        split_validation(x[:1], None, None, 0.5)
    with pytest.raises(ValueError, match="only supported for arrays"):
        split_validation(iter([]), None, None, 0.5)
