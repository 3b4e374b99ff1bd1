"""The report of a training, with pictures: HTML in one file, or Markdown with a folder."""

import base64
import html
import io
import os
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import rnn_engine
from rnn_engine.cli.training import Result
from rnn_engine.tables import Table

_LONGEST = 200
"""Rows that the picture of forecasts shows: more would be a grey band."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right }
th:first-child, td:first-child { text-align: left } tr { border-bottom: 1px solid #ddd }
img { max-width: 100% } pre { overflow-x: auto; background: #f6f6f6; padding: .6rem }
"""

Part = tuple[str, Any]
"""Heading, section, text or code with its text, a table with rows, or a picture with a name."""


def write(path: str, result: Result, table: Table, command: str) -> list[str]:
    """Write the report; return the files that it consists of.

    Parameters
    ----------
    path : str
        Ends in ``.md`` for Markdown, whose pictures go into a folder beside it, else HTML.
    result : Result
    table : Table
        The data.
    command : str
        What was typed.
    """
    parts = _parts(result, table, command)
    if path.endswith(".md"):
        return _write_markdown(path, parts)
    with open(path, "w", encoding="utf-8") as file:
        file.write(_html(parts))
    return [path]


def _parts(result: Result, table: Table, command: str) -> list[Part]:
    figures, windows = result.figures, result.plan.windows
    name = "the series" if result.plan.target is None else str(result.plan.target)
    rows: list[list[Any]] = [["on held-out rows", "model", "last value repeated"]]
    for label, key in (("mean absolute error", "mae"), ("root mean square error", "rmse")):
        rows.append([label, figures[key], figures[f"naive_{key}"]])
    parts: list[Part] = [
        ("heading", f"Forecast of {name}"),
        ("text", _verdict(figures)),
        ("table", rows),
        ("picture", ("forecast", _forecast_picture(result, table))),
        ("picture", ("errors", _error_picture(figures))),
    ]
    if figures["coverage"]:
        shares = [["interval for", "held, on the test"]]
        shares += [[f"{float(c):.0%}", f"{v:.1%}"] for c, v in figures["coverage"].items()]
        parts += [
            ("text", "Intervals are conformal: quantiles of the absolute errors on the first half "
             "of the held-out rows. The test is the second half."),
            ("table", shares),
        ]  # fmt: skip
    ahead = [["step", "forecast of the next rows"]]
    x = windows.inputs(table.values[-windows.lags :])
    outputs = result.model.predict(x, verbose=0)
    forecast = windows.forecasts(outputs, table.values[-1:, :1])[0]
    ahead += [[i, value] for i, value in enumerate(forecast, 1)]  # type: ignore[list-item]
    columns = ", ".join(map(str, [name, *result.plan.exog]))
    lines: list[str] = []
    result.model.summary(print_fn=lines.append, line_length=80)
    return [
        *parts,
        ("table", ahead),
        ("section", "How it was trained"),
        ("text", f"{figures['train_windows']} windows of {windows.lags} rows ({columns}), each "
         f"with the next {windows.horizon}; {figures['windows']} windows test."),
        ("picture", ("training", result.model.history.plot())),
        ("code", command),
        ("code", "\n".join(lines).rstrip()),
        ("text", f"rnn_engine {rnn_engine.__version__}"),
    ]  # fmt: skip


def _verdict(figures: dict[str, Any]) -> str:
    ratio = figures["mae"] / figures["naive_mae"] if figures["naive_mae"] else np.inf
    if ratio < 1:
        return (
            f"The mean absolute error is {ratio:.0%} of that of repeating the last value, on "
            f"{figures['windows']} windows that were not trained on."
        )
    return (
        f"The model does not beat repeating the last value: its mean absolute error is "
        f"{ratio:.2f} times as large, on {figures['windows']} windows that were not trained on."
    )


def _figure() -> tuple[Any, Any]:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _forecast_picture(result: Result, table: Table) -> Any:
    figure, axes = _figure()
    rows = result.origins[-_LONGEST:] + 1
    at = rows if table.index is None else table.index[rows]
    if table.index is not None and table.index.dtype.kind not in "Mif":
        at = rows
    forecast = result.forecasts[-_LONGEST:, 0]
    axes.plot(at, result.actual[-_LONGEST:, 0], "k-", lw=1, label="actual")
    axes.plot(at, forecast, "C0-", lw=1.5, label="forecast, one step ahead")
    if "0.9" in result.plan.widths:
        width = result.plan.widths["0.9"][0]
        axes.fill_between(at, forecast - width, forecast + width, alpha=0.2, label="90% interval")
    if table.index is not None and table.index.dtype.kind == "M":
        figure.autofmt_xdate()
    axes.set_ylabel("" if result.plan.target is None else str(result.plan.target))
    axes.legend()
    return figure


def _error_picture(figures: dict[str, Any]) -> Any:
    figure, axes = _figure()
    for key, label in (("mae", "model"), ("naive_mae", "last value repeated")):
        values = figures["by_step"][key]
        axes.plot(range(1, len(values) + 1), values, "o-", label=label)
    axes.set(xlabel="steps ahead", ylabel="mean absolute error")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float | np.floating) else str(value)


def _png(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, dpi=110, format="png")
    return target.getvalue()


def _html(parts: list[Part]) -> str:
    body = []
    for kind, content in parts:
        if kind == "picture":
            name, figure = content
            data = base64.b64encode(_png(figure)).decode()
            body.append(f'<p><img alt="{name}" src="data:image/png;base64,{data}"></p>')
        elif kind == "table":
            rows = [[html.escape(_cell(value)) for value in row] for row in content]
            head = "".join(f"<th>{cell}</th>" for cell in rows[0])
            lines = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows[1:])
            inner = "".join(f"<tr>{line}</tr>" for line in lines)
            body.append(f"<table><tr>{head}</tr>{inner}</table>")
        else:
            tag = {"heading": "h1", "section": "h2", "text": "p", "code": "pre"}[kind]
            body.append(f"<{tag}>{html.escape(content)}</{tag}>")
    title = html.escape(parts[0][1])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>{chr(10).join(body)}</body></html>\n"
    )


def _write_markdown(path: str, parts: list[Part]) -> list[str]:
    folder = f"{path.removesuffix('.md')}_files"
    os.makedirs(folder, exist_ok=True)
    files, lines = [path], []
    for kind, content in parts:
        if kind == "picture":
            name, figure = content
            files.append(os.path.join(folder, f"{name}.png"))
            with open(files[-1], "wb") as file:
                file.write(_png(figure))
            place = os.path.basename(folder).replace(" ", "%20")
            lines.append(f"![{name}]({place}/{name}.png)")
        elif kind == "table":
            rows = [[_cell(value).replace("|", "\\|") for value in row] for row in content]
            rules = ["---", *["---:"] * (len(rows[0]) - 1)]
            lines.append("\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rules, *rows[1:]]))
        elif kind == "code":
            lines.append("\n".join(f"    {line}" for line in content.splitlines()))
        else:
            lines.append({"heading": "# ", "section": "## ", "text": ""}[kind] + content)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n\n".join(lines) + "\n")
    return files
