"""Every program below examples/ runs from start to end, and learns what it says it learns."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# Enough training to show that it learns, small enough for the suite.
QUICK = {
    "quickstart": [],
    "co2_forecast": ["--epochs", "20", "--out", "plots"],
    "text_characters": ["--epochs", "4", "--units", "64", "--length", "40"],
    "audio_frames": ["--epochs", "4", "--plucks", "2", "--out", "sounds"],
    "video_frames": ["--epochs", "20", "--videos", "1500", "--out", "pictures"],
    "long_sequences": [
        "--tasks",
        "adding,text",
        "--lengths",
        "8",
        "--seeds",
        "1",
        "--updates",
        "300",
        "--out",
        "pictures",
    ],
    "user_actions": ["--epochs", "8", "--sessions", "600"],
}


def run(name: str, folder: Path) -> str:
    """Run one example as a user does, from a folder of its own; return what it printed."""
    if name in ("co2_forecast", "video_frames", "long_sequences"):
        pytest.importorskip("matplotlib")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *QUICK[name]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def figure(output: str, label: str) -> float:
    """Return the number that stands after `label` at the beginning of a line."""
    found = re.search(rf"^\s*{re.escape(label)}\s+([0-9.]+)", output, flags=re.MULTILINE)
    assert found, f"no line {label!r} in:\n{output}"
    return float(found[1])


def losses(output: str) -> list[float]:
    return [float(loss) for loss in re.findall(r"training loss ([0-9.]+)", output)]


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(QUICK)


def test_quickstart(tmp_path):
    output = run("quickstart", tmp_path)
    assert 0 < figure(output, "Loss after training:") < 1000
    assert len(re.findall(r"^ ?\[+ *-?[0-9.]+ *\]+$", output, flags=re.MULTILINE)) == 2


def test_co2_forecast_beats_the_naive_forecasts(tmp_path):
    output = run("co2_forecast", tmp_path)
    network = figure(output, "SimpleRNN")
    # The naive ones learn nothing, so their errors are facts about the series.
    assert figure(output, "persistence") == 1.264
    assert figure(output, "seasonal naive") == 1.703
    assert figure(output, "seasonal change") == 0.385
    assert figure(output, "least squares") == 0.316
    assert network < 0.4
    assert re.search(r"^(No difference|SimpleRNN wins|Least squares wins)", output, re.MULTILINE)
    trained = re.findall(r"training loss ([0-9.]+) to ([0-9.]+)", output)
    assert len(trained) > 1
    assert all(float(last) < 0.5 * float(first) for first, last in trained)
    picture = (tmp_path / "plots" / "co2_forecast.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_text_beats_single_characters(tmp_path):
    output = run("text_characters", tmp_path)
    assert figure(output, "pairs of characters") < figure(output, "single characters")
    assert figure(output, "SimpleRNN") < figure(output, "single characters") - 0.5
    assert "shall i compare thee to a " in output


def test_audio_beats_persistence(tmp_path):
    output = run("audio_frames", tmp_path)
    assert figure(output, "SimpleRNN") < 0.75 * figure(output, "persistence")
    assert (tmp_path / "sounds" / "held_out_plucks.wav").read_bytes()[:4] == b"RIFF"


def test_video_beats_persistence(tmp_path):
    output = run("video_frames", tmp_path)
    assert losses(output)[-1] < 0.3 * losses(output)[0]
    assert figure(output, "SimpleRNN") < 0.6 * figure(output, "persistence")
    assert figure(output, "constant velocity") < 0.1 * figure(output, "persistence")
    assert (tmp_path / "pictures" / "video_frames.png").read_bytes().startswith(b"\x89PNG")


def test_long_sequences_learns_short_ones(tmp_path):
    output = run("long_sequences", tmp_path)
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \| (-?[\d.]+) \(", output, flags=re.MULTILINE)
    solved = {(task, cell): float(share) for task, cell, share in rows}
    assert len(solved) == 10
    assert all(solved["text", cell] > 0.8 for cell in ("SimpleRNN", "LSTM", "GRU"))
    assert solved["adding", "GRU"] > 0.5
    picture = (tmp_path / "pictures" / "long_sequences.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_user_actions_beat_the_most_frequent_one(tmp_path):
    output = run("user_actions", tmp_path)
    network = figure(output, "SimpleRNN")
    assert network > figure(output, "most frequent action") + 0.05
    assert network < figure(output, "who knows the simulation") + 0.02
