"""Figures of `rnn_engine.inspect`."""

from typing import Any

import numpy as np


def new_axes(count: int, across: int = 1) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, in rows of `across`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot() draws with matplotlib: pip install "rnn_engine[plot]".'
        ) from error
    rows = -(-count // across)
    # A Figure of its own, not pyplot's: no window system, no global state.
    figure = Figure(figsize=(6.4 if across == 1 else 3.6 * across, 1.2 + 2.8 * rows))
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, across, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, list(grid[:count])


def draw_norms(axes: Any, x: Any, norms: Any, *style: str, **options: Any) -> None:
    """Draw positive numbers on a logarithmic axis; zeros, infinities and NaN are gaps."""
    norms = np.asarray(norms, np.float64)
    seen = np.isfinite(norms) & (norms > 0)
    axes.plot(x, np.where(seen, norms, np.nan), *style, **options)
    if seen.any():  # an axis without a number has no logarithm
        axes.set_yscale("log")


def saved(figure: Any, path: Any) -> Any:
    """Return a figure, written to a file if `path` is not None."""
    figure.tight_layout()
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
