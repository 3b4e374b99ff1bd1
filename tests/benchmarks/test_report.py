"""Tables, files and the chart, from figures that were never measured."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report, summary
from benchmarks.results import from_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.516e-6, "4.52 µs"),
        (1.0, "1.00 s"),
        (0.9999, "1.00 s"),
        (0.0123, "12.3 ms"),
        (123.4, "123 s"),
        (9.997e-3, "10.0 ms"),
        (5e-9, "5.00 ns"),
    ],
)
def test_seconds(value, text):
    assert report.seconds(value) == text


@given(st.floats(1e-9, 900.0))
def test_seconds_are_right_to_three_digits(value):
    number, unit = report.seconds(value).split()
    factor = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    assert float(number.replace(",", "")) * factor == pytest.approx(value, rel=6e-3)


def test_other_amounts():
    assert report.size(33.5e6) == "33.5 MB"
    assert report.size(512) == "512 B"
    assert report.times(2.134) == "2.13×"
    assert report.times(12.34) == "12.3×"
    assert report.times(2268.7) == "2,269×"
    assert report.rate(1.18e11) == "118 GFLOP/s"
    assert report.percent(0.874) == "87%"
    assert report.percent(0.0123) == "1.2%"


def test_terminal_tells_everything(run):
    text = report.terminal(run)
    assert "2026-01-02 03:04 UTC; A Processor, 256-bit vectors" in text
    assert "2 threads for every side" in text
    assert "numba 1.2, jax 3.4" in text
    assert "200 on all" in text
    assert "OpenVINO: not measured, not installed (openvino)" in text
    assert "OpenVINO, forward/2x4x1x5: differs: h is off by 2.0e-01" in text
    assert "Not run (out of time): predict/1x1x1x1" in text
    assert "40,960" in text
    line = next(x for x in text.splitlines() if x.startswith("64 × 128 × 64 × 128"))
    for cell in ("1.00 ms", "8.00 ms", "JAX", "2.00×", "FMA", "2.01 ms"):
        assert cell in line


def test_tables_are_even(run):
    for kind in {row.case.kind for row in run.rows}:
        for _, (head, body) in report.tables(run, kind, ratios=True):
            assert {len(line) for line in body} == {len(head)}


def test_sides_that_do_nothing_of_a_kind_get_no_column(run):
    ((_, (head, _)),) = report.tables(run, "gradients", ratios=False)
    assert "PyTorch" in head
    assert "ONNX Runtime" not in head
    main, alone = report.tables(run, "forward", ratios=False)
    assert "ONNX Runtime" not in main[1][0]
    assert len(alone[1][1]) == 4


def test_wide_spread_is_said(run):
    row = run.find("cold_start")
    row.sides["keras-graph"].samples = [3.0, 6.0, 9.0]
    ((_, (_, body)),) = report.tables(run, "cold_start", ratios=False)
    assert "6.00 s ±25%" in body[0]


def test_markdown_is_well_formed(run):
    text = report.markdown(run, "benchmark.png")
    assert text.startswith("# ")
    assert "![Time of each peer over rnn_engine's](benchmark.png)" in text
    assert "8.00 ms (8.00×)" in text
    assert "`python benchmarks/run.py`" in text
    lines = text.splitlines()
    for above, line in pairwise(lines):
        if line.startswith("|") and above.startswith("|"):
            assert line.count("|") == above.count("|")
    assert "![" not in report.markdown(run, None)


def test_files(run, tmp_path):
    data, text = report.write(run, tmp_path / "new", None)
    assert from_json(json.loads(data.read_text(encoding="utf-8"))) == run
    assert text.read_text(encoding="utf-8") == report.markdown(run, None)


def test_short_table(run, tmp_path, capsys, monkeypatch):
    data, _ = report.write(run, tmp_path, None)
    monkeypatch.setattr(summary.sys, "argv", ["summary", str(data), "forward/64x128x64x128"])
    summary.main()
    head, _, line = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert dict(zip([c.strip() for c in head.strip("|").split("|")], cells, strict=True)) == {
        "work": "SimpleRNN, Forward, last output", "B × T × F × U": "64 × 128 × 64 × 128",
        "rnn_engine": "1.00 ms", "fastest peer": "JAX", "ratio": "2.00×", "Keras": "8.00×",
        "of peak": "201%",
    }  # fmt: skip


def test_chart(run, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    from benchmarks import chart

    path = tmp_path / "chart.png"
    assert chart.draw(run, path)
    picture = imread(path)
    assert picture.shape[0] > 800
    assert picture.shape[1] > 1500
    # White paper, and the engine's red somewhere on it.
    assert picture[:, :, :3].mean() > 0.8
    red = (picture[:, :, 0] > 0.7) & (picture[:, :, 1] < 0.15) & (picture[:, :, 2] < 0.25)
    assert red.sum() > 1000


def test_no_chart_of_nothing(run, tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import chart

    run.rows = [row for row in run.rows if row.case.tag == "growth-t"]
    assert not chart.draw(run, tmp_path / "chart.png")
    assert not (tmp_path / "chart.png").exists()
