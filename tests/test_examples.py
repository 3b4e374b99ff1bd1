"""Every program below examples/ runs from start to end, and learns what it says it learns.

Beside that, the simple methods that the networks are compared with are checked by hand or
against the library that they come from: a baseline that is wrong makes any network look good.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

# Enough training to show that it learns, small enough for the suite.
QUICK = {
    "quickstart": [],
    "co2_forecast": ["--epochs", "20", "--out", "out"],
    "next_word": ["--quick", "--out", "out", "--prompt", "The object is"],
    "forecast": ["--quick", "--out", "out"],
    "audio": ["--quick", "--out", "out"],
    "video": ["--quick", "--out", "out"],
    "user_actions": ["--quick", "--out", "out"],
    "long_sequences": [
        *("--tasks", "adding,text", "--lengths", "8", "--seeds", "1", "--updates", "300"),
        *("--out", "pictures"),
    ],
}
# What each needs of the extra `examples`.
NEEDS = {
    "co2_forecast": ["matplotlib"],
    "next_word": ["matplotlib"],
    "forecast": ["matplotlib", "statsmodels", "autograd"],
    "audio": ["matplotlib", "sklearn"],
    "video": ["matplotlib", "sklearn"],
    "user_actions": ["matplotlib"],
    "long_sequences": ["matplotlib"],
}


def run(name: str, folder: Path) -> str:
    """Run one example as a user does, from a folder of its own; return what it printed."""
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)
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


def load(name: str) -> ModuleType:
    """Import an example without running it."""
    for package in NEEDS.get(name, []):
        pytest.importorskip(package)
    specification = importlib.util.spec_from_file_location(
        f"example_{name}", EXAMPLES / f"{name}.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def figures(output: str, label: str) -> list[float]:
    """Return the numbers that stand after `label` at the beginning of a line."""
    found = re.search(rf"^\s*{re.escape(label)}\s+([0-9.][^\n]*)", output, flags=re.MULTILINE)
    assert found, f"no line {label!r} in:\n{output}"
    return [float(number) for number in re.findall(r"[0-9.]+", found[1])]


def figure(output: str, label: str) -> float:
    return figures(output, label)[0]


def assert_picture(path: Path) -> None:
    picture = path.read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(QUICK)


def test_data_name_their_source():
    source = (EXAMPLES / "data" / "SOURCE.md").read_text()
    data = {path.name for path in (EXAMPLES / "data").iterdir()} - {"SOURCE.md"}
    assert [name for name in data if name not in source] == []


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
    assert_picture(tmp_path / "out" / "co2_forecast.png")


# ---- the next word ---------------------------------------------------------------------------


def test_next_word_learns_more_than_single_words(tmp_path):
    output = run("next_word", tmp_path)
    singles = figure(output, "frequency of single words")
    trigrams = figure(output, "Kneser-Ney trigrams")
    assert trigrams < 0.8 * singles
    assert min(figure(output, cell) for cell in ("LSTM", "GRU", "SimpleRNN")) < 0.95 * singles
    # What the two know is not the same.
    assert figure(output, "half GRU, half trigrams") < trigrams
    assert len(re.findall(r"^  the object is .{40}", output, re.MULTILINE)) == 3
    assert_picture(tmp_path / "out" / "next_word.png")


def test_kneser_ney_by_hand():
    """Nine words; the discounts are 1/5, 2/3 and 5/7, each fraction worked out on paper."""
    chances = load("next_word").KneserNey([0, 1, 2, 0, 1, 1, 0, 1, 2], 3)
    assert [discount for _, discount in chances.orders] == pytest.approx([1 / 5, 2 / 3, 5 / 7])
    np.testing.assert_allclose(chances(), [0.4, 0.4, 0.2])
    # After 1: all three once, each less 2/3, and 2/3 of what single words expect.
    after_one = np.array([1 / 9 + 0.8 / 3, 1 / 9 + 0.8 / 3, 1 / 9 + 0.4 / 3])
    np.testing.assert_allclose(chances(2, 1), after_one)  # "2 1" never came
    # After 0 1: 2 twice, 1 once, less 5/7 each; two of them out of three give to the pairs.
    expected = np.array([0, 2 / 21, 9 / 21]) + 10 / 21 * after_one
    np.testing.assert_allclose(chances(0, 1), expected)


def test_kneser_ney_sums_to_one_after_every_history():
    words = np.random.default_rng(1).integers(6, size=200).tolist()
    chances = load("next_word").KneserNey(words, 7)
    for before in [(), (6,), *((v, w) for v in range(7) for w in range(7))]:
        after = chances(*before)
        assert after.min() > 0
        assert after.sum() == pytest.approx(1)


def test_the_text_is_prose():
    texts = load("next_word").paragraphs()
    words = " ".join(texts).split()
    assert len(texts) == len(set(texts))
    assert len(words) > 20_000
    # English has its little words; grammar, code and tables do not.
    assert np.isin(words, ["the", "a", "is", "of", "to", "and", "in"]).mean() > 0.15


# ---- a price and a temperature ---------------------------------------------------------------


def test_forecast_tells_who_wins(tmp_path):
    output = run("forecast", tmp_path)
    for part in output.split("sea temperature"):
        assert figure(part, "seasonal naive") > 1.2 * figure(part, "random walk")
        for cell in ("LSTM", "GRU", "SimpleRNN"):
            loss, _, low, middle, high = figures(part, cell)
            assert loss < 1.15 * figure(part, "random walk")
            assert low < 0.25 < middle < 0.75 < high
        assert len(re.findall(r"LSTM against .*Diebold-Mariano [+-]", part)) >= 3
    # A price that can be forecast would be news.
    assert "median, LSTM against random walk" in output
    assert_picture(tmp_path / "out" / "forecast.png")


def test_diebold_mariano_by_hand():
    test = load("forecast").diebold_mariano
    loss, other = np.array([2.0, 5, 4, 3]), np.array([1.0, 2, 1, 2])
    # The differences 1 3 3 1: mean 2, variance 1, covariance of neighbours -1/4.
    statistic, p = test(loss, other, 0)
    assert statistic == pytest.approx(2 / np.sqrt(1 / 4))
    assert p == pytest.approx(6.3342e-05, rel=1e-4)
    assert test(loss, other, 1)[0] == pytest.approx(2 / np.sqrt((1 - 2 * 0.5 * 0.25) / 4))
    assert test(other, loss, 1)[0] == -test(loss, other, 1)[0]


def test_pinball_by_hand():
    pinball = load("forecast").pinball
    loss = pinball(np.array([[2.0], [0.0]]), np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]))
    # One too low: 0.1 + 0.5 + 0.9, one too high: 0.9 + 0.5 + 0.1.
    np.testing.assert_allclose(loss, [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(pinball(np.array([2.0]), np.array([1.0, 2.0, 4.0])), 0.1, rtol=1e-6)


@pytest.mark.parametrize("which", [0, 1])
def test_simple_forecasts_are_those_of_statsmodels(which):
    example = load("forecast")
    from statsmodels.tsa.ar_model import AutoReg
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    series = example.load()[which]
    series = series._replace(values=series.values[:1000])
    end = 900
    now = np.array([end - 1])
    found = example.simple_methods(series, end, now)
    known = series.values[:end]
    steps = AutoReg(np.diff(known), series.lags).fit().forecast(series.ahead)
    np.testing.assert_allclose(found["AR (statsmodels)"][0], np.cumsum(steps), rtol=1e-6)
    season = {"seasonal": "add", "seasonal_periods": 24} if series.season == 24 else {}
    smooth = ETSModel(known, **season).fit(disp=0).forecast(series.ahead) - known[-1]
    np.testing.assert_allclose(found["ETS (statsmodels)"][0], smooth, atol=1e-6)
    # The naive one repeats the last season that is known.
    ahead = np.arange(1, series.ahead + 1)
    again = known[end - 1 + ahead - series.season] - known[-1]
    np.testing.assert_allclose(found["seasonal naive"][0], again)


def test_no_forecast_sees_what_comes_after():
    example = load("forecast")
    series = example.load()[0]
    series = series._replace(values=series.values[:800].copy())
    before = example.simple_methods(series, 700, np.array([750]))
    series.values[751:] += 10
    after = example.simple_methods(series, 700, np.array([750]))
    for name, guess in before.items():
        np.testing.assert_allclose(guess, after[name], err_msg=name)
    np.testing.assert_array_equal(
        example.windows(series, np.array([750]))[0][0], np.diff(series.values)[730:750]
    )


# ---- sound -----------------------------------------------------------------------------------


def test_audio_learns_the_effect_and_the_words(tmp_path):
    output = run("audio", tmp_path)
    curve = figure(output, "memoryless curve, 40 pieces")
    assert figure(output, "Hammerstein, 7 powers x 32 taps") < figure(
        output, "linear filter, 64 taps"
    )
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        assert figure(output, cell) < curve
    words = output.split("words of held-out takes")[1]
    assert figure(words, "nearest take by DTW") > 0.5
    assert figure(words, "LSTM") > 1.5 * figure(words, "always the same word")
    for name in ("dry", "effect", "lstm"):
        assert (tmp_path / "out" / f"audio_{name}.wav").read_bytes()[:4] == b"RIFF"
    assert_picture(tmp_path / "out" / "audio.png")


def test_each_simple_effect_is_exact_where_it_is_right():
    example = load("audio")
    draw = np.random.default_rng(1)
    dry, test = draw.uniform(-1, 1, (2, 4000))

    def fitted(name: str, make: object) -> float:
        wet, guess = make(dry), example.simple_effects(dry, make(dry), test)[name]
        assert wet.shape == dry.shape
        return example.esr(make(test), guess)

    assert fitted("memoryless curve, 40 pieces", np.tanh) < 1e-5
    assert (
        fitted("linear filter, 64 taps", lambda a: np.convolve(a, [1, 0.5, -0.2])[: len(a)]) < 1e-9
    )
    cube = lambda a: np.convolve(a**3, [1, 0.5])[: len(a)]  # noqa: E731
    assert fitted("Hammerstein, 7 powers x 32 taps", cube) < 1e-9
    assert fitted("linear filter, 64 taps", cube) > 0.05


def test_the_words_are_cut_apart():
    example = load("audio")
    spoken = example.takes(example.load())
    assert [len(takes) for takes in spoken] == [3, 3, 2, 2, 3, 3]
    lengths = np.array([len(take) for takes in spoken for take in takes]) / example.RATE
    assert 0.2 < lengths.min() < lengths.max() < 0.8


def test_dtw_by_hand():
    dtw = load("audio").dtw
    assert dtw(np.array([[0.0, 9], [9, 0]])) == 0
    # A frame that is spoken twice costs nothing; the way costs 1 + 0 + 2 at the least.
    assert dtw(np.array([[1.0, 9, 9], [9, 0, 9], [9, 9, 2]])) == pytest.approx(3 / 6)
    assert dtw(np.array([[0.0, 9], [0, 9], [9, 0]])) == 0


# ---- video -----------------------------------------------------------------------------------


def test_video_needs_the_order_of_its_frames(tmp_path):
    output = run("video", tmp_path)
    flow, average = figure(output, "optical flow"), figure(output, "frame average")
    assert flow > 0.95
    for cell in ("LSTM", "GRU"):
        direction = figure(output, cell)
        assert direction > max(0.8, average + 0.3)
        # Without the sense of the motion, half of the directions is the most.
        assert figure(output, f"{cell}, frames shuffled") < 0.5
    assert_picture(tmp_path / "out" / "video.png")


def test_flow_finds_a_known_motion():
    example = load("video")
    place = np.arange(example.SIZE) - 6.5
    frames = [
        np.exp(-((place - 0.5 * t) ** 2 + (place[:, None] + 0.25 * t) ** 2) / 8)
        for t in range(example.FRAMES)
    ]
    found = example.flow(np.array(frames)[None])
    np.testing.assert_allclose(found, [[0.5, -0.25]], atol=0.03)


def test_digits_move_where_they_are_said_to():
    example = load("video")
    one = np.zeros((1, 8, 8))
    one[0, 3:5, 3:5] = 1
    frames, direction, which = example.videos(one, 400, np.random.default_rng(1))
    assert set(which) == {0}
    bright = np.clip(frames - 0.5, 0, None)  # above the noise
    x, y = ((bright.sum(axis) @ np.arange(16)) / bright.sum((2, 3)) for axis in (2, 3))
    angle = np.arctan2(y[:, -1] - y[:, 0], x[:, -1] - x[:, 0])
    told = np.round(angle / (np.pi / 4)).astype(int) % 8
    assert np.mean(told == direction) > 0.9


# ---- user actions ----------------------------------------------------------------------------


def test_user_actions_beat_markov_but_not_who_knows(tmp_path):
    output = run("user_actions", tmp_path)
    best = figure(output, "who knows the simulator")
    assert figure(output, "most frequent action") < figure(output, "Markov, first order")
    assert figure(output, "Markov, first order") < figure(output, "Markov, second order")
    for cell in ("LSTM", "GRU", "SimpleRNN"):
        assert figure(output, "Markov, second order") < figure(output, cell) < best + 0.02
    assert len(re.findall(r"padded, masked [0-9.]+ +padded, no mask [0-9.]+", output)) == 3
    assert_picture(tmp_path / "out" / "user_actions.png")


def test_markov_by_hand():
    example = load("user_actions")
    chain = example.Markov(np.array([[1, 2, 1, 2, 1, 3, 0, 0]]), 1)
    # After the first action came 2 1 2 1 3: three different ones, five in all.
    base = np.full(len(example.ACTIONS), 3 / 8 / len(example.ACTIONS))
    base[[1, 2, 3]] += np.array([2, 2, 1]) / 8
    np.testing.assert_allclose(chain([]), base)
    # After 1: twice 2, once 3.
    expected = base * 2 / 5
    expected[[2, 3]] += np.array([2, 1]) / 5
    np.testing.assert_allclose(chain([1]), expected)
    np.testing.assert_allclose(chain([9]), base)  # never seen: the shorter history alone


def test_the_simulator_remembers():
    example = load("user_actions")
    draw = np.random.default_rng(1)
    sessions, known = example.simulate(50, draw)
    for session, odds in zip(sessions, known, strict=True):
        length = np.count_nonzero(session)
        assert (session[length:] == 0).all()
        np.testing.assert_allclose(odds[: length - 1].sum(axis=1), 1)
    # What was looked at first decides where the cart leads back to, whatever lies between.
    books, toys = ([example.HOME, first, 16, 16, 16, example.CART] for first in (9, 14))
    assert example.chances(books)[9] > 0.5 > example.chances(toys)[9]


def test_tops_by_hand():
    tops = load("user_actions").tops
    odds = np.zeros((1, 3, 8))
    odds[0, :, 1:] = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05]
    # First of the first, fifth of the second; the third is padding and does not count.
    assert tops(odds, np.array([[4, 1, 5, 0]])) == (0.5, 1.0)
    assert tops(odds, np.array([[4, 2, 6, 0]])) == (0.0, 0.5)


# ---- what was long ago -----------------------------------------------------------------------


def test_long_sequences_learns_short_ones(tmp_path):
    output = run("long_sequences", tmp_path)
    rows = re.findall(r"^\| (\w+) \| ([\w, ]+) \| (-?[\d.]+) \(", output, flags=re.MULTILINE)
    solved = {(task, cell): float(share) for task, cell, share in rows}
    assert len(solved) == 10
    assert all(solved["text", cell] > 0.8 for cell in ("SimpleRNN", "LSTM", "GRU"))
    assert solved["adding", "GRU"] > 0.5
    picture = (tmp_path / "pictures" / "long_sequences.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
