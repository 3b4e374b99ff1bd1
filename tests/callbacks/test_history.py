"""`History.to_frame`, `History.plot`, and the table of a model in a notebook."""

import sys
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, layers

X = np.linspace(-1, 1, 24).reshape(12, 2)


def trained(**options: Any) -> callbacks.History:
    model = rnn_engine.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model.fit(X, X[:, 0], verbose=0, **options)


def test_frame_has_a_row_an_epoch() -> None:
    history = trained(epochs=4, validation_split=0.25)
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "mae", "val_loss", "val_mae"]
    assert frame.index.tolist() == history.epoch == [0, 1, 2, 3]
    assert frame.index.name == "epoch"
    assert frame.to_dict("list") == history.history


def test_frame_where_some_epochs_validate() -> None:
    history = trained(epochs=5, validation_data=(X, X[:, 0]), validation_freq=2)
    column = history.to_frame()["val_loss"]
    assert column.isna().tolist() == [True, False, True, False, True]
    assert column.dropna().tolist() == history.history["val_loss"]


def test_frame_of_several_fits_and_of_foreign_entries() -> None:
    history = trained(epochs=2)
    model = history.model
    model.fit(X, X[:, 0], epochs=5, initial_epoch=2, callbacks=[history], verbose=0)
    history.history["extra"] = [7.0]
    frame = history.to_frame()
    assert frame.index.tolist() == [0, 1, 2, 3, 4]
    assert frame["extra"].tolist()[0] == 7.0
    assert frame["extra"].isna().sum() == 4
    assert callbacks.History().to_frame().empty


def test_plot_draws_what_was_recorded(tmp_path: Any) -> None:
    history = trained(epochs=4, validation_data=(X, X[:, 0]), validation_freq=2)
    figure = history.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "mae"]
    training, validation = figure.axes[0].lines
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    assert training.get_ydata().tolist() == history.history["loss"]
    assert validation.get_xdata().tolist() == [2, 4]
    assert validation.get_ydata().tolist() == history.history["val_loss"]
    assert len(history.plot(["mae"]).axes) == 1
    figure.savefig(tmp_path / "h.png")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("names", [["nothing"], [], None])
def test_plot_of_what_is_not_there(names: Any) -> None:
    history = callbacks.History()
    with pytest.raises(ValueError, match="names must be among what is recorded"):
        history.plot(names)


@pytest.mark.parametrize(
    ("package", "method", "extra"),
    [("pandas", "to_frame", "pandas"), ("matplotlib.figure", "plot", "plot")],
)
def test_without_the_package(monkeypatch: Any, package: str, method: str, extra: str) -> None:
    history = trained()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'rnn_engine\[{extra}\]'"):
        getattr(history, method)()


def test_a_model_is_a_table_in_a_notebook() -> None:
    model = rnn_engine.Sequential(
        [layers.Input((5, 3)), layers.LSTM(4, name="<b>&"), layers.Dense(2)], name="m<i>"
    )
    html = model._repr_html_()
    assert "m&lt;i&gt;" in html
    assert "&lt;b&gt;&amp; (LSTM)" in html
    assert "<b>&" not in html
    assert ">128</td>" in html
    assert ">(None, 4)</td>" in html
    assert "Total params: 138" in html
    assert html.count("<tr>") == 3
    graph = rnn_engine.Model(x := rnn_engine.Input((3,)), layers.Add()([x, layers.Dense(3)(x)]))
    assert "Connected to" in graph._repr_html_()
    assert "unbuilt" in rnn_engine.Sequential([layers.Dense(2)])._repr_html_()
