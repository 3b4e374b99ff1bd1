"""Batches padded on one side: sorted by length, and the same bits as one row at a time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_engine
from rnn_engine.kernels.recurrent.rows import Rows
from rnn_engine.layers import SimpleRNN

lengths = st.lists(st.integers(0, 6), min_size=1, max_size=9)


def padded(lengths, steps=6, left=False):
    mask = np.arange(steps)[:, None] < np.asarray(lengths)
    return mask[::-1].copy() if left else mask


@given(lengths, st.booleans())
def test_rows_are_sorted_and_none_is_lost(lengths, left):
    mask = padded(lengths, left=left)
    rows = Rows(mask)
    order = np.arange(len(lengths)) if rows.order is None else rows.order
    counts = np.asarray(lengths)[order]
    assert (np.diff(counts) <= 0).all()
    assert sorted(order) == list(range(len(lengths)))
    for a, b in pairwise(order):
        assert lengths[a] > lengths[b] or a < b
    np.testing.assert_array_equal(rows.mask, mask[:, order])
    if rows.back is not None:
        np.testing.assert_array_equal(order[rows.back], np.arange(len(lengths)))


@given(lengths, st.booleans())
def test_what_is_open_of_the_inputs_is_gathered(lengths, left):
    rows = Rows(padded(lengths, left=left))
    if rows.order is None:
        return
    x = np.random.default_rng(1).normal(size=(len(lengths), 6, 3)).astype("float32")
    out = np.full((6, len(lengths), 3), 7.0, np.float32)
    rows.gather(x, out)
    wanted = np.where(rows.mask[..., None], x[rows.order].transpose(1, 0, 2), np.float32(7))
    np.testing.assert_array_equal(out, wanted)


def test_holes_are_left_as_they_are():
    mask = np.array([[True, True], [False, True], [True, False]])
    assert Rows(mask).order is None
    assert Rows(mask).mask is mask


@given(lengths, st.integers(1, 4))
def test_shares_cover_every_row_once(lengths, tasks):
    bounds, most = Rows(padded(sorted(lengths, reverse=True))).shares(tasks)
    assert len(bounds) == tasks + 1
    assert (bounds[0], bounds[-1]) == (0, len(lengths))
    assert (np.diff(bounds) >= 0).all()
    assert most == np.diff(bounds).max()


@given(lengths, st.integers(2, 4))
def test_no_share_is_a_row_larger_than_its_part(lengths, tasks):
    lengths = sorted(lengths, reverse=True)
    bounds, _ = Rows(padded(lengths)).shares(tasks)
    work = 6 + 7 * np.asarray(lengths)
    for low, high in pairwise(bounds):
        assert work[low:high].sum() <= work.sum() / tasks + work.max()


def test_long_rows_weigh_more():
    assert Rows(padded([100] * 8 + [1] * 8, steps=100)).shares(2)[0][1] < 8


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"go_backwards": True}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_has_the_bits_it_has_alone(options, dtype):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((17, 9, 5)).astype(dtype)
    mask = padded(rng.integers(0, 10, 17), steps=9).T.copy()
    layer = SimpleRNN(11, activation="gelu", dtype=dtype, **options)
    layer.build(x.shape)
    y, saved = layer.forward(x, True, mask)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx = layer.backward(dy, saved)
    whole = [weight.grad.copy() for weight in layer.weights]
    for weight in layer.weights:
        weight.grad.fill(0)
    for i in range(17):
        one, kept = layer.forward(x[i : i + 1], True, mask[i : i + 1])
        np.testing.assert_array_equal(one[0], y[i])
        np.testing.assert_array_equal(layer.backward(dy[i : i + 1], kept)[0], dx[i])
    for weight, total in zip(layer.weights, whole, strict=True):
        scale = np.abs(total).max()
        np.testing.assert_allclose(
            weight.grad / scale, total / scale, atol=1e-5 if dtype == "float32" else 1e-13
        )
    assert not dx[~mask].any()


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_gradients_by_padded_inputs_have_the_bits_of_sequences_without_padding(name):
    """Also where a sum is so long that it is cut into blocks."""
    rng = np.random.default_rng(7)
    layer = getattr(rnn_engine.layers, name)(300 if name == "SimpleRNN" else 90)
    x = rng.standard_normal((3, 5, 4)).astype(np.float32)
    layer.build(x.shape)
    lengths = [2, 5, 3]
    dy = rng.standard_normal((3, layer.units)).astype(np.float32)
    _, saved = layer.forward(x, True, padded(lengths, steps=5).T.copy())
    dx = layer.backward(dy, saved)
    for i, length in enumerate(lengths):
        _, saved = layer.forward(x[i : i + 1, :length].copy(), True)
        alone = layer.backward(dy[i : i + 1], saved)
        np.testing.assert_array_equal(dx[i, :length], alone[0])


def test_threads_change_no_bit():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((24, 40, 16)).astype(np.float32)
    mask = padded(rng.integers(1, 41, 24), steps=40).T.copy()
    layer = SimpleRNN(48)
    layer.build(x.shape)
    dy = rng.standard_normal((24, 48)).astype(np.float32)
    before, found = rnn_engine.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            rnn_engine.set_num_threads(threads)
            for weight in layer.weights:
                weight.grad.fill(0)
            y, saved = layer.forward(x, True, mask)
            dx = layer.backward(dy, saved)
            found.append([y, dx, *(weight.grad.copy() for weight in layer.weights)])
    finally:
        rnn_engine.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
