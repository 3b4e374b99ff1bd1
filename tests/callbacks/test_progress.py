"""What fit, evaluate and predict print."""

import io
import re
import sys

import pytest

from rnn_engine import callbacks as cb
from rnn_engine.callbacks import progress
from tests.training.standin import make_data, make_model


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5000"), (-0.5, "-0.5000"), (1e-4, "1.0000e-04"), (float("nan"), "nan"), ("a", "a")],
)
def test_values(value, text):
    assert progress.format_value(value).startswith(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.4, "2s/step"), (0.0123, "12ms/step"), (4.2e-5, "42us/step"), (0, "0s/step")],
)
def test_step_times(seconds, text):
    assert progress.format_step_time(seconds) == text


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_a_pipe_gets_one_line_an_epoch(capsys, verbose):
    x, y = make_data()
    model = make_model(metrics=["mae"])
    model.fit(x, y, batch_size=4, epochs=2, verbose=verbose, validation_split=0.3)
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[2]] == ["Epoch 1/2", "Epoch 2/2"]
    number = r"[-+.e\d]+"
    values = " - ".join(f"{name}: {number}" for name in ("loss", "mae", "val_loss", "val_mae"))
    pattern = rf"2/2 - 0s - \d+[mu]?s/step - {values}"
    assert len(lines) == 4
    assert all(re.fullmatch(pattern, line) for line in (lines[1], lines[3])), lines


def test_silence(capsys):
    x, y = make_data()
    model = make_model()
    model.fit(x, y, validation_data=(x, y), verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    assert capsys.readouterr().out == ""


def test_evaluate_and_predict_and_a_single_epoch_have_no_title(capsys):
    x, y = make_data()
    model = make_model()
    model.fit(x, y, verbose=2)
    model.evaluate(x, y, verbose=2)
    model.predict(x, batch_size=3)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"1/1 - 0s - \S+ - loss: [.\d]+", lines[0])
    assert re.fullmatch(r"1/1 - 0s - \S+ - loss: [.\d]+", lines[1])
    assert re.fullmatch(r"4/4 - 0s - \S+", lines[2])
    assert len(lines) == 3


def test_an_unknown_number_of_steps_is_known_at_the_end(capsys):
    x, y = make_data()
    make_model().fit(((x, y) for _ in range(3)), verbose=2)
    assert capsys.readouterr().out.startswith("3/3 - 0s")


def test_a_terminal_gets_a_bar(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    x, y = make_data()
    make_model().fit(x, y, batch_size=2, epochs=2, verbose=1)
    text = stream.getvalue()
    for part in ("Epoch 1/2", "1/5", "3/5", "5/5", "loss: "):
        assert part in text
    assert "\r" in text


def test_a_bar_is_closed_when_training_breaks_off(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    closed = []
    monkeypatch.setattr(progress.Progress, "close", lambda self: closed.append(self._lines > 0))

    def fail(batch, logs):
        if batch == 2:
            raise RuntimeError("planted")

    x, y = make_data()
    with pytest.raises(RuntimeError, match="planted"):
        make_model().fit(
            x, y, batch_size=2, callbacks=[cb.LambdaCallback(on_train_batch_begin=fail)]
        )
    assert closed == [True]


def test_logs_are_computed_only_when_a_bar_is_drawn(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(progress, "INTERVAL", 1e9)
    x, y = make_data()
    model = make_model()
    asked = []
    results = model.get_metrics_result
    model.get_metrics_result = lambda: asked.append(1) or results()
    model.fit(x, y, batch_size=1, verbose=1)
    assert len(asked) == 2  # the first drawing, and the end of the epoch


def shown(text: str) -> list[str]:
    """Return the lines that a terminal shows after a text with its control characters."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[\d*[A-Z]|[\r\n]|[^\x1b\r\n]+", text):
        if token == "\r":
            column = 0
        elif token == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif token.endswith("A"):
            row -= int(token[2:-1])
        elif token == "\x1b[2K":
            lines[row] = " " * column
        else:
            lines[row] = lines[row][:column] + token + lines[row][column + len(token) :]
            column += len(token)
    return lines


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_every_figure_is_seen_at_any_width(monkeypatch, columns):
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    monkeypatch.setenv("COLUMNS", str(columns))
    x, y = make_data()
    model = make_model(metrics=["mae", "mse", "mape"])
    history = model.fit(x, y, batch_size=2, epochs=2, verbose=1, validation_data=(x, y)).history
    lines = shown(stream.getvalue())
    assert max(map(len, lines)) < columns
    text = " ".join(lines)
    for name, values in history.items():
        for value in values:
            assert f"{name}: {progress.format_value(value)}" in text
    assert (
        len(re.findall(r"5/5 \S{20} \d+s \d+[mu]?s/step (?:- )?loss", re.sub(" +", " ", text))) == 2
    )
    assert "Epoch 1/2" in lines[0]
    assert text.count("val_loss") == 2
    if columns == 300:
        assert len(lines) == 5


def test_a_notebook_keeps_the_figures_in_its_text(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    x, y = make_data()
    history = make_model().fit(x, y, batch_size=2, epochs=3, verbose=1, validation_data=(x, y))
    lines = [line.rpartition("\r")[2] for line in stream.getvalue().split("\n")]
    for epoch, value in enumerate(history.history["val_loss"]):
        assert f"val_loss: {progress.format_value(value)}" in lines[2 * epoch + 1]
    assert "\x1b" not in stream.getvalue()


def test_a_bar_in_ascii(monkeypatch):
    class Plain(Terminal):
        encoding = "ascii"

    stream = Plain()
    monkeypatch.setattr(sys, "stdout", stream)
    x, y = make_data()
    make_model().fit(x, y, batch_size=2, verbose=1)
    stream.getvalue().encode("ascii")
    assert "5/5 ====================" in stream.getvalue()
