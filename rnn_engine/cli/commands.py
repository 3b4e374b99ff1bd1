"""The commands of ``rnn-engine``: arguments in, exit status out."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click
import numpy as np
import pandas

import rnn_engine
from rnn_engine.cli import data as files
from rnn_engine.cli import plan as plans
from rnn_engine.cli.bench import measure
from rnn_engine.cli.training import CELLS, Settings, train
from rnn_engine.forecasting import scores
from rnn_engine.tables import Table, gap, read_table

_POSITIVE = click.IntRange(min=1)
_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_HELP, epilog="`rnn-engine COMMAND --help` has examples.")
@click.version_option(rnn_engine.__version__, "--version", prog_name="rnn-engine")
@click.option("--debug", is_flag=True, help="Show the trace of an error; may stand anywhere.")
def group(debug: bool) -> None:
    """Recurrent networks from the shell: train, forecast, look at model files.

    Exit status: 0 done, 1 failed, 2 wrong arguments, 130 stopped by Ctrl-C.
    """


_PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


def _system(name: str, help_text: str) -> None:
    """Add a command that `rnn_engine.__main__` runs, which needs no click."""

    @group.command(name, help=help_text, add_help_option=False, context_settings=_PASSED_ON)
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        from rnn_engine.__main__ import system

        return system([name, *arguments])


_system("info", "CPU, threads, cache and versions: the text for an issue.")
_system("warmup", "Compile the kernels of ordinary programs ahead.")
_system("show", "Show what a model file holds, without running anything of it.")
_system("convert", "Write a model file in another format, which the name of the target tells.")
_system("verify", "Recompute the sample that a saved model carries.")


def _column(text: str, table: Any) -> Any:
    """Return the column that a name or, of an array, a number means."""
    if not isinstance(table, np.ndarray):
        return text
    if not text.isdecimal():
        raise ValueError(f"an array has numbered columns, from 0; got {text!r}.")
    return int(text)


def _series(raw: Any, path: str, target: Any, exog: Sequence[Any], quiet: bool = False) -> Table:
    """Return columns of what was read, and tell where its dates leave gaps."""
    name = "standard input" if path == "-" else path
    table = read_table(raw, target, list(exog), name)
    found = None if quiet else gap(table.index)
    if found:
        files.say(
            f"rnn-engine: the dates of {name} are not evenly spaced (none between {found[0]} and "
            f"{found[1]}); rows are taken as if they were"
        )
    return table


@group.command(name="train", short_help="Train a forecast, write model and report.", epilog="""
\b
Examples:
  rnn-engine train sales.csv --target sales --window 28 --horizon 7 --out sales.keras
  rnn-engine train prices.parquet --target close --exog volume --cell lstm --out p.keras
  cat load.csv | rnn-engine train - --target load --out load.keras --report load.md
""")  # fmt: skip
@click.argument("source", metavar="DATA")
@click.option("--target", help="Column to forecast; may be left out where there is only one.")
@click.option("--exog", multiple=True, help="Another column that the model sees; may be repeated.")
@click.option("--window", type=_POSITIVE, default=24, show_default=True, help="Rows it sees.")
@click.option("--horizon", type=_POSITIVE, default=1, show_default=True, help="Rows it forecasts.")
@click.option("--epochs", type=_POSITIVE, default=50, show_default=True)
@click.option("--units", type=_POSITIVE, default=32, show_default=True)
@click.option("--cell", type=click.Choice(list(CELLS)), default="gru", show_default=True)
@click.option("--batch-size", type=_POSITIVE, default=32, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=0.003,
              show_default=True, help="Of Adam.")  # fmt: skip
@click.option("--hold-out", type=_SHARE, default=0.2, show_default=True,
              help="Share of the rows, the last ones, that only test.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("--out", required=True, help="The model file to write, a name that ends in .keras.")
@click.option("--report", help="Report to write, .html or .md; beside the model if not given.")
@click.option("--no-report", is_flag=True, help="Write no report.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--quiet", is_flag=True, help="No bar, no words.")
def train_command(source: str, target: str | None, exog: tuple[str, ...], **options: Any) -> int:
    """Train a forecast of a column of DATA, and write a model file and a report.

    DATA is CSV, npy or parquet, its rows evenly spaced and in the order of time, or - for standard
    input. A first column that is not of numbers is taken as dates. Columns are scaled, and the
    target is taken relative to the last value that a window sees.

    The last rows test (--hold-out): the figures are of rows that were not trained on.
    """
    out, report, quiet = options["out"], options["report"], options["quiet"]
    if not out.endswith(".keras"):
        raise click.BadParameter("must end in .keras.", param_hint="--out")
    if report is not None and not report.endswith((".html", ".md")):
        raise click.BadParameter("must end in .html or .md.", param_hint="--report")
    for path in (out, report or out):
        if not os.path.isdir(os.path.dirname(path) or "."):
            raise FileNotFoundError(f"There is no folder {os.path.dirname(path)!r} to write into.")
    raw = files.read(source)
    columns = [None if target is None else _column(target, raw), *(_column(e, raw) for e in exog)]
    table = _series(raw, source, columns[0], columns[1:], quiet)
    names = Settings.__dataclass_fields__
    settings = Settings(**{name: options[name] for name in names})
    hidden = quiet or not sys.stderr.isatty()
    with click.progressbar(
        length=settings.epochs, label="training", file=sys.stderr, hidden=hidden
    ) as bar:
        result = train(table, table.name, columns[1:], settings, lambda _: bar.update(1))
    plans.save(result.model, result.plan, out)
    written = [out]
    if not options["no_report"]:
        from rnn_engine.cli.report import write

        command = shlex.join(["rnn-engine", *click.get_current_context().meta["arguments"]])
        written += write(report or f"{out.removesuffix('.keras')}.html", result, table, command)
    if options["as_json"]:
        click.echo(json.dumps({**result.figures, "files": written}))
    elif not quiet:
        click.echo(_figures(result.figures))
        click.echo(f"wrote {', '.join(written)}")
    return 0


def _figures(figures: dict[str, Any]) -> str:
    lines = [f"{figures['windows']} windows, none of them trained on" if "train_windows" in figures
             else f"{figures['windows']} windows"]  # fmt: skip
    for label, key in (("mean absolute error", "mae"), ("root mean square error", "rmse")):
        lines.append(f"{label:24}{figures[key]:.5g}   repeating the last value: "
                     f"{figures[f'naive_{key}']:.5g}")  # fmt: skip
    for coverage, share in figures.get("coverage", {}).items():
        lines.append(f"{f'interval for {float(coverage):.0%}':24}held {share:.1%}")
    return "\n".join(lines)


@group.command(name="predict", short_help="Forecast, or predict with any model.", epilog="""
\b
Examples:
  rnn-engine predict sales.keras sales.csv --coverage 0.9
  rnn-engine predict sales.keras - --out forecast.parquet < sales.csv
  rnn-engine predict sales.keras sales.csv --every --out backtest.csv
  rnn-engine predict classifier.keras x.npy --out y.npy
""")  # fmt: skip
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("source", metavar="DATA")
@click.option("--coverage", type=float, help="Add an interval: 0.5, 0.8, 0.9, 0.95 or 0.99.")
@click.option("--every", is_flag=True, help="A row of forecasts for each row that has a window.")
@click.option(
    "--out", default="-", show_default=True, help=".csv, .tsv, .npy or .parquet; - prints."
)
def predict_command(
    model: str, source: str, coverage: float | None, every: bool, out: str
) -> int:  # fmt: skip
    """Forecast the rows that follow DATA, or the outputs of any model for DATA.

    A MODEL of `train` forecasts. Of another one DATA is its input: an npy array, or a table with
    a row for each sample.
    """
    files.writable(out)
    network = rnn_engine.models.load_model(model)
    plan = plans.load(model)
    if plan is None:
        if coverage is not None or every:
            raise ValueError(f"{model} is not of `train`; it has no --coverage and no --every.")
        files.write(out, np.asarray(network.predict(_inputs(source), verbose=0)))
        return 0
    table = _series(files.read(source), source, plan.target, plan.exog)
    rows = table.values if every else table.values[-plan.windows.lags :]
    x, last = plan.windows.inputs(rows), plan.windows.last(rows)
    if not len(x):
        raise ValueError(f"DATA must have {plan.windows.lags} rows, got {len(rows)}.")
    _check_network(network, plan, model)
    if every:
        found = plan.windows.forecasts(network.predict(x, verbose=0), last)
        origins = table.at_origins(found, plan.windows.lags - 1)
        files.write(out, origins if table.index is not None else pandas.DataFrame(found))
        return 0
    forecast = plan.windows.forecasts(network.predict(x, verbose=0), last)[0]
    columns = {"forecast": forecast}
    if coverage is not None:
        width = plan.width(coverage)
        columns.update(lower=forecast - width, upper=forecast + width)
    steps = pandas.RangeIndex(1, len(forecast) + 1, name="step")
    counted = table.index is None or type(table.index) is pandas.RangeIndex
    index = steps if counted else table.ahead(columns).index
    files.write(out, pandas.DataFrame({k: np.asarray(v) for k, v in columns.items()}, index=index))
    return 0


def _check_network(network: Any, plan: plans.Plan, path: str) -> None:
    """Check that a model's shapes are those that its plan tells: it is read from a file."""
    wanted = plan.windows.lags, plan.windows.features, plan.windows.horizon
    found = (*network.input_shape[1:], network.output_shape[-1])
    if found != wanted:
        raise ValueError(f"{path}: its {plans.MEMBER} tells of {wanted}, its layers of {found}.")


def _inputs(source: str) -> Any:
    table = files.read(source)
    return table if isinstance(table, np.ndarray) else table.to_numpy()


@group.command(name="evaluate", short_help="Errors of a model on data.", epilog="""
\b
Examples:
  rnn-engine evaluate sales.keras this_year.csv
  rnn-engine evaluate sales.keras this_year.csv --json | jq .mae
  rnn-engine evaluate classifier.keras x.npy --targets y.npy
""")  # fmt: skip
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("source", metavar="DATA")
@click.option("--targets", help="Targets of a model that is not of `train`: a file as DATA.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def evaluate_command(model: str, source: str, targets: str | None, as_json: bool) -> int:
    """Print the errors of a model on DATA; a forecast's beside those of the last value.

    Rows that the model was trained on look better than new ones.
    """
    network = rnn_engine.models.load_model(model)
    plan = plans.load(model)
    if plan is None:
        if targets is None:
            raise ValueError(f"{model} is not of `train`: its targets have to come by --targets.")
        x, y = _inputs(source), _inputs(targets)
        figures: Any = network.evaluate(x, y, verbose=0, return_dict=True)
        text = "\n".join(f"{name:24}{value:.6g}" for name, value in figures.items())
    else:
        if targets is not None:
            raise ValueError("--targets is for models that are not of `train`.")
        table = _series(files.read(source), source, plan.target, plan.exog)
        figures = _backtested(network, plan, table, model)
        text = _figures(figures)
    click.echo(json.dumps(figures) if as_json else text)
    return 0


def _backtested(network: Any, plan: plans.Plan, table: Table, path: str) -> dict[str, Any]:
    windows, rows = plan.windows, table.values
    count = windows.pairs(len(rows))
    if not count:
        raise ValueError(f"DATA must have {windows.lags + windows.horizon} rows, got {len(rows)}.")
    _check_network(network, plan, path)
    last, actual = windows.last(rows)[:count], windows.actual(rows)
    outputs = network.predict(windows.inputs(rows)[:count], verbose=0)
    forecasts = windows.forecasts(outputs, last)
    error = np.abs(actual - forecasts)
    shares = {c: float((error <= np.asarray(of)).mean()) for c, of in plan.widths.items()}
    return {**scores(forecasts, actual, last), "coverage": shares}


@group.command(name="bench", short_help="Speed of this machine.", epilog="""
\b
Examples:
  rnn-engine bench
  rnn-engine bench model.keras --batch 64 --steps 100
""")  # fmt: skip
@click.argument("model", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option("--batch", type=_POSITIVE, default=32, show_default=True, help="Samples at once.")
@click.option("--steps", type=_POSITIVE, default=50, show_default=True,
              help="Length of the series, where the model does not tell.")  # fmt: skip
@click.option("--units", type=_POSITIVE, default=64, show_default=True,
              help="Of the models that are measured if no MODEL is given.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.01), default=0.3, show_default=True,
              help="For each figure.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def bench_command(model: str | None, as_json: bool, **options: Any) -> int:
    """Measure how fast this machine predicts and trains: the best of many runs.

    Of MODEL, or of a SimpleRNN, an LSTM and a GRU, each with a dense layer.
    """
    loaded = None if model is None else rnn_engine.models.load_model(model)
    rows = list(measure(loaded, **options))
    if as_json:
        click.echo(json.dumps(rows))
        return 0
    click.echo(f"{'model':16}{'one sample':>14}{'a batch':>14}{'a training step':>18}")
    for row in rows:
        times = [row[key] for key in ("predict_one", "predict_batch", "train_batch")]
        texts = ["-" if t is None else f"{1e6 * t:,.1f} µs" for t in times]
        click.echo(f"{row['model']:16}{texts[0]:>14}{texts[1]:>14}{texts[2]:>18}")
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return the exit status; errors are one line on standard error.

    Raises
    ------
    SystemExit
        With status 2, if the arguments are wrong.
    """
    from rnn_engine.__main__ import told, without_debug

    given, debug = without_debug(arguments)
    try:
        with group.make_context("rnn-engine", list(given)) as context:
            context.meta["arguments"] = given
            return int(group.invoke(context) or 0)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        raise SystemExit(2) from None
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "rnn-engine"
        files.say(f"{path}: {' '.join(error.format_message().split())} See {path} --help.")
        raise SystemExit(2) from None
    except (KeyboardInterrupt, click.Abort):
        files.say("rnn-engine: stopped")
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        files.say(f"rnn-engine: {told(error)} (--debug shows where)")
        return 1
