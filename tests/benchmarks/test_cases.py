"""The grid, its names, and how a user picks from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import cases
from benchmarks.cases import Case, full_grid, parse_size, quick_grid, select, with_dtype

GRID = full_grid()
sizes = st.tuples(*[st.integers(1, 10**6)] * 4)


def test_names_are_unique_and_kinds_known():
    names = [case.name for case in GRID]
    assert len(set(names)) == len(names)
    assert {case.kind for case in GRID} == set(cases.KINDS)


def test_every_size_of_the_grid_is_run_both_ways():
    for size in (*cases.GRID, *(odd for odd, _ in cases.ODD)):
        for kind in cases.LAYER_KINDS:
            assert Case(kind, *size).name in {case.name for case in GRID}


def test_growth_covers_two_decades():
    for tag, axis in (("growth-t", "time"), ("growth-b", "batch")):
        for kind in cases.LAYER_KINDS:
            rows = [c for c in GRID if c.tag == tag and c.kind == kind]
            values = sorted(getattr(c, axis) for c in rows)
            assert values[-1] >= 100 * values[0]


def test_quick_is_a_part_of_the_grid():
    assert {c.name for c in quick_grid()} <= {c.name for c in GRID}
    assert len(quick_grid()) == len(cases.QUICK)
    assert [case.kind for case in quick_grid()[:3]] == ["forward", "gradients", "fit"]


def test_flops_by_hand():
    assert Case("forward", 64, 128, 64, 128).flops == 2 * 64 * 128 * 128 * (64 + 128)
    assert Case("gradients", 64, 128, 64, 128).flops == 6 * 64 * 128 * 128 * (64 + 128)
    fit = Case("fit", 32, 50, 8, 32, samples=4096)
    assert fit.flops == 6 * 4096 * 50 * 32 * (8 + 32)
    assert Case("cold_start").flops == 0
    assert Case("forward", 64, 128, 64, 128, cell="GRU").flops == 3 * 2 * 64 * 128 * 128 * 192


def test_streamed_weights_by_hand():
    assert Case("forward", 1, 1000, 64, 256).stream_bytes == 1000 * 256 * 256 * 4
    double = Case("gradients", 1, 1000, 64, 256, dtype="float64")
    assert double.stream_bytes == 2 * 1000 * 256 * 256 * 8


@given(sizes)
def test_sizes_round_trip(size):
    assert parse_size(Case("forward", *size).size) == size


@pytest.mark.parametrize("text", ["", "1x2x3", "1x2x3x4x5", "0x1x1x1", "ax1x1x1", "1x-2x3x4"])
def test_parse_size_refuses(text):
    with pytest.raises(ValueError, match="a size is batch x time x features x units"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cold_start", ["cold_start"]),
        ("fit/32*", ["fit/32x50x8x32"]),
        ("forward/2x4x1x5", ["forward/2x4x1x5"]),
        ("7x3x2x9", ["forward/7x3x2x9", "gradients/7x3x2x9"]),
        ("gradients/7x3x2x9", ["gradients/7x3x2x9"]),
        (" cold_start , cold_start ", ["cold_start"]),
        ("import,fit/7x3x2x9", ["import", "fit/7x3x2x9"]),
        ("forward/GRU/2x4x1x5", ["forward/GRU/2x4x1x5"]),
        ("LSTM/7x3x2x9", ["forward/LSTM/7x3x2x9", "gradients/LSTM/7x3x2x9"]),
    ],
)
def test_select(text, expected):
    assert [case.name for case in select(text, GRID)] == expected


def test_select_by_kind_tag_and_all():
    assert select(None, GRID) == GRID
    assert {c.kind for c in select("forward", GRID)} == {"forward"}
    assert {c.tag for c in select("odd", GRID)} == {"odd"}
    assert select("forward/1x1x1x1", GRID)[0].tag == "user"


def test_a_known_size_keeps_its_tag():
    assert select("17x73x13x97", GRID)[0].tag == "odd"


def test_every_cell_has_the_grid_and_the_programs():
    for cell in cases.CELLS:
        found = {c.name.replace(f"{cell}/", "") for c in select(cell, GRID)}
        wanted = [Case(kind, *size).name for kind in cases.LAYER_KINDS for size in cases.GRID]
        wanted += [Case(kind, *size).name for kind, size, _ in cases.PROGRAMS]
        assert set(wanted) <= found


@pytest.mark.parametrize(
    "text",
    ["fit/GRU", "GRU/fit/1x2x3x4", "backward", "forward/1x2x3", "cold_start/1x2x3x4", ",", "x"],
)
def test_select_refuses(text):
    with pytest.raises(ValueError, match=r"--cases|a size is"):
        select(text, GRID)


def test_with_dtype_changes_all_and_repeats_none():
    found = with_dtype(GRID, "float64")
    assert {c.dtype for c in found if c.size} == {"float64"}
    assert {"cold_start", "import"} <= {c.name for c in found}
    assert len({c.name for c in found}) == len(found)
    assert with_dtype(GRID, None) == GRID
