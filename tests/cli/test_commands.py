"""`rnn-engine`: every command with files and with pipes, its words, and its exit status."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import rnn_engine
from rnn_engine.__main__ import main
from rnn_engine.cli import plan as plans
from rnn_engine.forecasting import conformal_widths
from tests.kernels.process import environment

DAYS = pd.date_range("2020-01-01", periods=160, freq="D")
RNG = np.random.default_rng(4)
SALES = 10 + 3 * np.sin(np.arange(160) * 2 * np.pi / 7) + 0.2 * RNG.normal(size=160)
TABLE = pd.DataFrame(
    {"day": DAYS.strftime("%Y-%m-%d"), "sales": SALES, "temp|°": RNG.normal(size=160)}
)
OPTIONS = ["--window", "14", "--horizon", "7", "--epochs", "30", "--units", "8", "--batch-size",
           "16", "--learning-rate", "0.02", "--hold-out", "0.4"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """Return a folder with data and a trained model."""
    place: Path = tmp_path_factory.mktemp("cli")
    TABLE.to_csv(place / "sales.csv", index=False)
    arguments = ["train", str(place / "sales.csv"), "--target", "sales", "--exog", "temp|°"]
    assert main([*arguments, *OPTIONS, "--out", str(place / "m.keras"), "--quiet"]) == 0
    return place


def test_train_says_how_good_it_is(folder: Path, capsys: Any) -> None:
    out = str(folder / "again.keras")
    arguments = ["train", str(folder / "sales.csv"), "--target", "sales", "--exog", "temp|°"]
    assert main([*arguments, *OPTIONS, "--out", out, "--no-report"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^\d+ windows, none of them trained on$", text, flags=re.MULTILINE)
    assert f"wrote {out}\n" in text
    assert main([*arguments, *OPTIONS, "--out", out, "--no-report", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["mae"] < 0.5 * figures["naive_mae"]
    assert figures["files"] == [out]
    assert len(figures["by_step"]["mae"]) == 7
    assert 0.5 < figures["coverage"]["0.8"] <= 1
    # The same bits as the first time: the seed is an argument.
    first, second = (rnn_engine.models.load_model(folder / n) for n in ("m.keras", "again.keras"))
    assert all(map(np.array_equal, first.get_weights(), second.get_weights()))


def test_figures_by_hand(folder: Path, capsys: Any) -> None:
    """Windows, scales, intervals and errors from the model's file alone."""
    model, plan = rnn_engine.models.load_model(folder / "m.keras"), plans.load(folder / "m.keras")
    rows = TABLE[["sales", "temp|°"]].to_numpy()
    cut = 160 - 64
    assert plan.target == "sales"
    np.testing.assert_allclose(plan.windows.level, rows[:cut].mean(axis=0))
    np.testing.assert_allclose(plan.windows.scale, rows[:cut].std(axis=0))

    def forecast(origin: int) -> np.ndarray:
        window = (rows[origin - 13 : origin + 1] - rows[:cut].mean(axis=0)) / rows[:cut].std(axis=0)
        window[:, 0] -= window[-1, 0]
        output = model.predict(window[None].astype("float32"), verbose=0)[0]
        return output * rows[:cut, 0].std() + rows[origin, 0]

    origins = np.arange(cut - 1, 160 - 7)
    errors = np.array([rows[o + 1 : o + 8, 0] - forecast(o) for o in origins])
    middle = len(origins) // 2
    widths = conformal_widths(errors[: middle - 6], 0.8)
    np.testing.assert_allclose(plan.width(0.8), widths, rtol=1e-5)
    assert origins[middle - 7] + 7 < origins[middle] + 1, "no row is told on both sides"
    assert main(["predict", str(folder / "m.keras"), str(folder / "sales.csv"), "--coverage",
                 "0.8"]) == 0  # fmt: skip
    found = pd.read_csv(io.StringIO(capsys.readouterr().out), index_col="day", parse_dates=True)
    assert found.index.equals(pd.date_range("2020-06-09", periods=7, name="day"))
    wanted = forecast(159)
    np.testing.assert_allclose(found["forecast"], wanted, rtol=1e-5)
    np.testing.assert_allclose(found["upper"] - found["lower"], 2 * widths, rtol=1e-4)
    assert main(["evaluate", str(folder / "m.keras"), str(folder / "sales.csv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    everywhere = [rows[o + 1 : o + 8, 0] - forecast(o) for o in range(13, 153)]
    np.testing.assert_allclose(figures["mae"], np.abs(everywhere).mean(), rtol=1e-5)
    assert figures["windows"] == 140


def test_keras_reads_the_model(folder: Path) -> None:
    theirs = keras.saving.load_model(folder / "m.keras")
    ours = rnn_engine.models.load_model(folder / "m.keras")
    x = RNG.normal(size=(3, 14, 2)).astype("float32")
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs(x), atol=1e-5)


@pytest.mark.parametrize("kind", ["npy", "parquet", "tsv", "csv without dates"])
def test_kinds_of_files(folder: Path, tmp_path: Path, kind: str, capsys: Any) -> None:
    columns: list[str] = ["--target", "sales", "--exog", "temp|°"]
    source = tmp_path / f"d.{kind[:3] if kind.startswith('csv') else kind}"
    if kind == "npy":
        np.save(source, TABLE[["sales", "temp|°"]].to_numpy())
        columns = ["--target", "0", "--exog", "1"]
    elif kind == "parquet":
        pytest.importorskip("pyarrow")
        TABLE.set_index("day").to_parquet(source)
    elif kind == "tsv":
        TABLE.to_csv(source, index=False, sep="\t")
    else:
        TABLE.drop(columns="day").to_csv(source, index=False)
    out = str(tmp_path / "m.keras")
    assert main(["train", str(source), *columns, *OPTIONS, "--out", out, "--quiet",
                 "--no-report"]) == 0  # fmt: skip
    first = rnn_engine.models.load_model(folder / "m.keras").get_weights()
    for a, b in zip(first, rnn_engine.models.load_model(out).get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    target = tmp_path / "f.parquet" if kind == "parquet" else tmp_path / "f.csv"
    assert main(["predict", out, str(source), "--out", str(target)]) == 0
    found = pd.read_parquet(target) if kind == "parquet" else pd.read_csv(target)
    assert len(found["forecast"]) == 7
    if kind in ("npy", "csv without dates"):
        assert found["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert capsys.readouterr().out == ""


def test_every_origin(folder: Path, capsys: Any) -> None:
    arguments = ["predict", str(folder / "m.keras"), str(folder / "sales.csv")]
    assert main(arguments) == 0
    last = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert main([*arguments, "--every"]) == 0
    every = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert len(every) == 160 - 13
    assert every["day"].iloc[-1] == "2020-06-08"
    np.testing.assert_allclose(every.iloc[-1, 1:].astype(float), last["forecast"])


def command(*arguments: str, given: bytes = b"") -> Any:
    """Run `python -m rnn_engine` as a shell does."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "rnn_engine", *arguments], input=given, capture_output=True,
        timeout=300, env=environment(), check=False,
    )  # fmt: skip


def test_pipes(folder: Path, tmp_path: Path) -> None:
    data = (folder / "sales.csv").read_bytes()
    wanted = command("predict", str(folder / "m.keras"), str(folder / "sales.csv"))
    found = command("predict", str(folder / "m.keras"), "-", given=data)
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout == wanted.stdout
    assert found.stdout.count(b"\n") == 8
    model = rnn_engine.Sequential([rnn_engine.layers.SimpleRNN(2, input_shape=(3, 1))])
    model.save(tmp_path / "any.keras")
    x = RNG.normal(size=(4, 3, 1)).astype("float32")
    buffer = io.BytesIO()
    np.save(buffer, x)
    found = command("predict", str(tmp_path / "any.keras"), "-", given=buffer.getvalue())
    assert found.returncode == 0, found.stderr
    assert np.array_equal(np.load(io.BytesIO(found.stdout)), model.predict(x, verbose=0))


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_terminal_sees_a_bar(folder: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    arguments = ["train", str(folder / "sales.csv"), "--target", "sales", "--epochs", "3"]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rnn_engine", *arguments, "--no-report", "--out",
             str(tmp_path / "m.keras")],
            stderr=theirs, stdout=subprocess.DEVNULL, env=environment(), timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0
        text = os.read(ours, 100_000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert b"training" in text
    assert b"100%" in text


def test_any_model(folder: Path, tmp_path: Path, capsys: Any) -> None:
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(2,))])
    model.compile("sgd", "mse", metrics=["mae"])
    path = str(tmp_path / "any.npz")
    model.save(path)
    x = RNG.normal(size=(6, 2)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 2 * x)
    pd.DataFrame(x, columns=["a", "b"]).to_csv(tmp_path / "x.csv", index=False)
    wanted = model.predict(x, verbose=0)
    for source in ("x.npy", "x.csv"):
        assert (
            main(["predict", path, str(tmp_path / source), "--out", str(tmp_path / "o.npy")]) == 0
        )
        np.testing.assert_allclose(np.load(tmp_path / "o.npy"), wanted, rtol=1e-6)
    assert main(["predict", path, str(tmp_path / "x.npy"), "--out", str(tmp_path / "o.csv")]) == 0
    np.testing.assert_allclose(pd.read_csv(tmp_path / "o.csv"), wanted, rtol=1e-6)
    targets = ["--targets", str(tmp_path / "y.npy")]
    assert main(["evaluate", path, str(tmp_path / "x.npy"), *targets, "--json"]) == 0
    wanted = model.evaluate(x, 2 * x, verbose=0, return_dict=True)
    assert json.loads(capsys.readouterr().out) == pytest.approx(wanted)
    assert main(["evaluate", path, str(tmp_path / "x.npy"), *targets]) == 0
    assert capsys.readouterr().out.startswith("loss ")
    assert main(["evaluate", path, str(tmp_path / "x.npy")]) == 1
    assert "--targets" in capsys.readouterr().err


# --- reports ------------------------------------------------------------------------


def test_report_in_html(folder: Path) -> None:
    text = (folder / "m.html").read_text()
    assert "<h1>Forecast of sales</h1>" in text
    assert text.count("data:image/png;base64,iVBOR") == 3
    assert "that of repeating the last value" in text
    assert "temp|°" in text
    assert "rnn-engine train" in text
    assert "<th>interval for</th>" in text


def test_report_in_markdown_and_names_that_are_markup(tmp_path: Path, capsys: Any) -> None:
    name = "<b>a|b"
    source, report = tmp_path / "d.csv", tmp_path / "r.md"
    TABLE.rename(columns={"sales": name})[["day", name]].to_csv(source, index=False)
    base = ["train", str(source), "--target", name, *OPTIONS, "--epochs", "1"]
    assert main([*base, "--out", str(tmp_path / "m.keras"), "--report", str(report)]) == 0
    text = report.read_text()
    pictures = re.findall(r"!\[\w+\]\((r_files/\w+\.png)\)", text)
    assert len(pictures) == 3
    for one in pictures:
        assert (tmp_path / one).read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert all(one.split("/")[1] in printed for one in pictures)
    assert main([*base, "--out", str(tmp_path / "m.keras"), "--quiet"]) == 0
    page = (tmp_path / "m.html").read_text()
    assert "Forecast of &lt;b&gt;a|b" in page
    assert "<b>a" not in page


def test_a_report_says_when_the_model_is_no_good(tmp_path: Path) -> None:
    walk = np.cumsum(np.random.default_rng(0).normal(size=200))
    np.save(tmp_path / "walk.npy", walk)
    assert main(["train", str(tmp_path / "walk.npy"), *OPTIONS, "--out",
                 str(tmp_path / "m.keras"), "--quiet"]) == 0  # fmt: skip
    assert "does not beat repeating the last value" in (tmp_path / "m.html").read_text()


# --- what goes wrong ----------------------------------------------------------------


def bad_files(place: Path) -> None:
    (place / "empty.csv").write_text("")
    (place / "words.csv").write_text("day,v\n2020-01-01,many\n2020-01-02,few\n")
    (place / "late.csv").write_text("day,v\n2020-01-02,1\n2020-01-01,2\n")
    days = "".join(f"2020-01-{i:02},{i}\n" for i in range(1, 20))
    (place / "gap.csv").write_text(f"day,v\n{days}2020-01-20,\n")
    (place / "short.csv").write_text("v\n1\n2\n")
    (place / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00garbage")
    np.save(place / "pickled.npy", np.array([{}]), allow_pickle=True)
    (place / "bad.parquet").write_bytes(b"PAR1 no")
    (place / "rows.csv").write_text("day,v\n")
    (place / "german.csv").write_text("day,v\n31.01.2020,1\n01.02.2020,2\n")
    (place / "undated.csv").write_text("day,v\n2020-01-01,1\n,2\n2020-01-03,3\n")
    huge = "".join(f"{i % 7}e300\n" for i in range(60))
    (place / "huge.csv").write_text(f"v\n{huge}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.csv", "absent.csv"),
        ("empty.csv", "empty.csv cannot be read as csv"),
        ("words.csv", "column 'v' of .*words.csv must hold real numbers"),
        ("late.csv", "in the order of their index 'day', but row 1 is of 2020-01-01"),
        ("rows.csv", "rows.csv has no rows"),
        ("german.csv", "row 1 is of 01.02.2020, .* It is text; dates are read as 2024-01-31"),
        ("undated.csv", "in the order of their index 'day', but row 1 is of (nan|NaT)"),
        ("huge.csv", r"as large as 6e\+300 have no variance"),
        ("gap.csv", "must be finite, got nan in row 19"),
        ("short.csv", "2 rows are too few"),
        ("bad.npy", "bad.npy cannot be read as npy"),
        ("pickled.npy", "pickled.npy cannot be read as npy"),
        ("bad.parquet", "bad.parquet cannot be read as parquet"),
    ],
)
def test_data_of_no_use(tmp_path: Path, name: str, message: str, capsys: Any) -> None:
    bad_files(tmp_path)
    arguments = ["train", str(tmp_path / name), "--out", str(tmp_path / "m.keras")]
    assert main([*arguments, "--window", "3"]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in told if line.startswith("rnn-engine: ")]) == len(told) == 1
    assert re.search(message, told[0])
    assert not (tmp_path / "m.keras").exists()
    assert not (tmp_path / "m.html").exists()
    with pytest.raises((ValueError, OSError)):
        main([*arguments, "--window", "3", "--debug"])


def test_arrays_on_standard_input_are_no_larger_than_they_are() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    done = command("train", "-", "--out", "m.keras", given=data)
    assert done.returncode == 1
    assert done.stderr.startswith(b"rnn-engine: standard input cannot be read as npy: an array of")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cook"], "No such command 'cook'"),
        (["train", "d.csv"], "Missing option '--out'"),
        (["train", "d.csv", "--out", "m.h5"], "must end in .keras"),
        (["train", "d.csv", "--out", "m.keras", "--report", "r.pdf"], ".html or .md"),
        (["train", "d.csv", "--out", "m.keras", "--units", "0"], "--units"),
        (["train", "d.csv", "--out", "m.keras", "--cell", "rnn"], "--cell"),
        (["predict", "absent.keras", "d.csv"], "absent.keras"),
        (["info", "--what"], "--what"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "a", "b"], ["warmup", "--dtypes", "x"], ["cook"], ["--what"]]
)
def test_wrong_arguments_are_told_in_one_line(arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rnn-engine")
    assert line.endswith("--help.")


@pytest.mark.parametrize("name", ["show", "verify", "convert"])
def test_debug_shows_the_trace_of_every_command(name: str, tmp_path: Path, capsys: Any) -> None:
    arguments = [name, str(tmp_path / "absent.keras"), *["t.npz"] * (name == "convert")]
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "absent.keras" in line
    for place in (0, len(arguments)):
        with pytest.raises((ValueError, OSError), match="absent"):
            main([*arguments[:place], "--debug", *arguments[place:]])


def test_a_training_that_diverges_leaves_no_model(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.keras"
    options = ["--target", "sales", "--epochs", "3", "--learning-rate", "1e30", "--out", str(out)]
    done = command("train", str(folder / "sales.csv"), *options)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"rnn-engine: The training diverged in epoch 1: its loss or ")
    assert done.stderr.count(b"\n") == 1
    assert not out.exists()


def test_a_forecast_of_another_size_of_numbers_is_refused(folder: Path, tmp_path: Path) -> None:
    rows = "".join(f"{1e60 * (i % 5)},1\n" for i in range(60))
    (tmp_path / "huge.csv").write_text(f"sales,temp|°\n{rows}")
    for name in ("predict", "evaluate"):
        done = command(name, str(folder / "m.keras"), str(tmp_path / "huge.csv"))
        assert done.returncode == 1
        assert b"Values as large as 4e+60 overflow once they are scaled" in done.stderr
        assert done.stderr.count(b"\n") == 1


def test_gaps_in_dates_are_told(folder: Path, tmp_path: Path, capsys: Any) -> None:
    table = pd.read_csv(folder / "sales.csv").drop(index=range(20, 25))
    table.to_csv(tmp_path / "gaps.csv", index=False)
    days = table.iloc[[19, 20], 0].tolist()
    message = f"(none between {days[0]} 00:00:00 and {days[1]} 00:00:00)"
    assert main(["predict", str(folder / "m.keras"), str(tmp_path / "gaps.csv")]) == 0
    assert message in capsys.readouterr().err
    assert main(["predict", str(folder / "m.keras"), str(folder / "sales.csv")]) == 0
    assert capsys.readouterr().err == ""


def test_dates_of_parquet_go_on_into_the_forecast(
    folder: Path, tmp_path: Path, capsys: Any
) -> None:
    table = pd.read_csv(folder / "sales.csv")
    table.to_parquet(tmp_path / "columns.parquet")
    table.set_index(table.columns[0]).to_parquet(tmp_path / "index.parquet")
    found = []
    for path in (folder / "sales.csv", tmp_path / "columns.parquet"):
        assert main(["predict", str(folder / "m.keras"), str(path)]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    assert main(["predict", str(folder / "m.keras"), str(tmp_path / "index.parquet")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(found[0].splitlines())


def test_the_ending_tells_what_is_written(folder: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = ["predict", str(folder / "m.keras"), str(folder / "sales.csv"), "--out"]
    assert main([*arguments, str(tmp_path / "f.xlsx")]) == 1
    assert ".csv, .tsv, .npy, .parquet or be -, got" in capsys.readouterr().err
    assert main([*arguments, str(tmp_path / "no" / "f.csv")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    for ending, between in ((".csv", ","), (".tsv", "\t")):
        assert main([*arguments, str(tmp_path / f"f{ending}")]) == 0
        assert between in (tmp_path / f"f{ending}").read_text().splitlines()[0]


def test_an_array_on_a_terminal_is_readable(folder: Path, tmp_path: Path) -> None:
    """A terminal gets CSV; a pipe, npy."""
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(1, input_shape=(2,))])
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.ones((3, 2), np.float32))
    words = [sys.executable, "-P", "-m", "rnn_engine", "predict", "m.keras", "x.npy"]
    master, slave = os.openpty()
    subprocess.run(words, cwd=tmp_path, stdout=slave, env=environment(), check=True)
    os.close(slave)
    shown = os.read(master, 10_000).decode().split()
    os.close(master)
    assert len(shown) == 4
    assert float(shown[1]) == float(shown[3])


def test_wrong_models(folder: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "no.keras").write_bytes(b"PK nothing")
    csv = str(folder / "sales.csv")
    cases = [
        (["predict", str(tmp_path / "no.keras"), csv], "no.keras"),
        (["predict", str(folder / "m.keras"), csv, "--coverage", "0.7"], "0.5, 0.8"),
        (["evaluate", str(folder / "m.keras"), csv, "--targets", csv], "not of `train`"),
        (["train", csv, "--target", "x", "--out", str(tmp_path / "m.keras")], "no column 'x'"),
        (["train", csv, "--out", str(tmp_path / "absent" / "m.keras")], "no folder"),
    ]
    for arguments, message in cases:
        assert main(arguments) == 1
        assert message in capsys.readouterr().err


PLAN = {"target": "v", "exog": [], "widths": {"0.5": [1.0]}, "windows": {
    "lags": 3, "horizon": 1, "level": [0.0], "scale": [1.0], "relative": True,
    "known": 0}}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [(["windows", "lags"], 0), (["windows", "lags"], 2.5), (["windows", "lags"], "3"),
     (["windows", "scale"], [0.0]), (["windows", "level"], [1, 2]), (["windows", "level"], "x"),
     (["windows", "scale"], [float("nan")]), (["windows", "known"], 1), (["windows", "more"], 1),
     (["windows"], 3), (["widths"], {"0.5": [1, 2]}), (["exog"], [[]]), (["target"], {}),
     (["windows", "relative"], "yes")],
)  # fmt: skip
def test_a_plan_in_a_file_is_not_trusted(
    tmp_path: Path, path: Any, value: Any, capsys: Any
) -> None:
    import zipfile

    plan = json.loads(json.dumps(PLAN))
    place = plan
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    model = rnn_engine.Sequential([rnn_engine.layers.SimpleRNN(1, input_shape=(3, 1))])
    file = tmp_path / "m.keras"
    model.save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(plans.MEMBER, json.dumps(plan))
    with pytest.raises(ValueError, match=r"m\.keras: its forecast\.json"):
        plans.load(str(file))
    np.save(tmp_path / "d.npy", np.arange(9.0))
    assert main(["predict", str(file), str(tmp_path / "d.npy")]) == 1
    assert "m.keras: its forecast.json" in capsys.readouterr().err


def test_a_plan_that_is_not_the_models(tmp_path: Path, capsys: Any) -> None:
    model = rnn_engine.Sequential([rnn_engine.layers.SimpleRNN(2, input_shape=(4, 1))])
    plan = plans._plan_of({**PLAN, "target": None})
    plans.save(model, plan, str(tmp_path / "m.keras"))
    np.save(tmp_path / "d.npy", np.arange(9.0))
    for name in ("predict", "evaluate"):
        assert main([name, str(tmp_path / "m.keras"), str(tmp_path / "d.npy")]) == 1
    assert "its layers of (4, 1, 2)" in capsys.readouterr().err


# --- the others ---------------------------------------------------------------------


def test_bench(folder: Path, capsys: Any) -> None:
    quick = ["--seconds", "0.01", "--batch", "2"]
    assert main(["bench", *quick, "--steps", "3", "--units", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["model", "SimpleRNN", "LSTM", "GRU"]
    assert main(["bench", str(folder / "m.keras"), *quick, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["shape"] == [2, 14, 2]
    assert 0 < row["predict_one"] < row["train_batch"]


def test_info_and_version(capsys: Any) -> None:
    assert main(["info"]) == 0
    assert capsys.readouterr().out == rnn_engine.info() + "\n"
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnn-engine, version {rnn_engine.__version__}\n"


@pytest.mark.parametrize("name", ["train", "predict", "evaluate", "bench"])
def test_help_has_an_example(name: str, capsys: Any) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"\n    rnn-engine {name} " in f"{text} ".replace("\n", " \n").partition("Example")[2]


def test_ctrl_c(folder: Path, monkeypatch: Any, capsys: Any) -> None:
    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnn_engine.cli.commands.train", stop)
    arguments = ["train", str(folder / "sales.csv"), "--target", "sales"]
    assert main([*arguments, "--out", str(folder / "x.keras")]) == 130
    assert capsys.readouterr().err.endswith("rnn-engine: stopped\n")


def test_without_the_extra() -> None:
    code = "import sys; sys.modules['click'] = None; from rnn_engine.__main__ import main\n"

    def run(*arguments: str) -> Any:
        call = f"{code}sys.exit(main({list(arguments)!r}))"
        return subprocess.run(
            [sys.executable, "-P", "-c", call], capture_output=True, text=True, env=environment(),
            check=False,
        )  # fmt: skip

    done = run("train", "d.csv", "--out", "m.keras")
    assert done.returncode == 1
    assert "pip install 'rnn_engine[cli]'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert run("info").stdout.startswith("rnn_engine")
    assert run("--version").stdout == f"rnn-engine, version {rnn_engine.__version__}\n"
    assert run("cook").returncode == 2
    assert "rnn_engine[cli]" in run("--help").stdout
