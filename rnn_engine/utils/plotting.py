"""`plot_model`: a picture of a model, drawn by matplotlib, or its graph as DOT text.

matplotlib draws the boxes in rows, each behind all that lead to it, so no layout program is
needed: neither pydot nor Graphviz has to be installed.
"""

import os
import sys
from typing import Any

from rnn_engine.utils.boxes import Box, Flags, Picture, picture_of

Point = tuple[float, float]
LINE = 0.22  # inches
GAP = 0.45


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw the layers of a model to a file. Mirrors `keras.utils.plot_model`.

    Needs matplotlib (``pip install "rnn_engine[plot]"``) where Keras needs pydot
    and Graphviz; for a name that ends in ``.dot`` or ``.gv`` it writes the graph
    in the DOT language and needs nothing.

    Parameters
    ----------
    model : Model
        A graph is drawn with its calls as arrows, other models as a row of their layers.
    to_file : path
        The ending says the format: png, pdf, svg, jpg, dot.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What a box tells besides the class of the layer.
    rankdir : {"TB", "LR"}
        From top to bottom or from left to right.
    expand_nested : bool
        Whether to draw the layers of a nested model, in DOT with a frame around them, instead
        of one box.
    dpi : int
        Dots per inch of a raster image.
    splines : str
        Of the DOT text, such as ortho, curved or line; pictures have straight arrows, and curves
        past other boxes.

    Returns
    -------
    IPython.display.Image or None
        In a notebook the image of a png file, so that it is shown.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model is not built, or `rankdir` is unknown.
    """
    if rankdir not in ("TB", "LR"):
        raise ValueError(f"rankdir must be 'TB' or 'LR', got {rankdir!r}.")
    if not getattr(model, "built", True):
        raise ValueError("model must be built before it is drawn: call build() or fit() first.")
    flags = Flags(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    picture = picture_of(model, flags, expand_nested)
    path = os.fspath(to_file)
    if path.endswith((".dot", ".gv")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(to_dot(picture, rankdir, splines))
        return None
    _draw(picture, path, rankdir == "TB", dpi)
    if path.endswith(".png") and "IPython" in sys.modules:
        return sys.modules["IPython"].display.Image(filename=path)
    return None


def to_dot(picture: Picture, rankdir: str, splines: str) -> str:
    """Return the boxes and arrows in the DOT language."""
    lines = [
        "digraph model {",
        f"  rankdir={rankdir};",
        f"  splines={_quoted(splines)};",
        "  node [shape=box];",
    ]
    # Frames stand in each other as the models do: the outer ones open first.
    frames = sorted(picture.frames, key=lambda frame: (frame[1], -frame[2]))
    for i, box in enumerate(picture.boxes):
        for number, (name, start, _) in enumerate(frames):
            if start == i:
                lines.append(f"  subgraph cluster_{number} {{ label={_quoted(name)}; style=dashed;")
        lines.append(f"  n{i} [label={_quoted(*box.lines)}];")
        lines += ["  }" for _, _, stop in frames if stop == i + 1]
    lines += [f"  n{source} -> n{target};" for source, target in picture.arrows]
    return "\n".join([*lines, "}", ""])


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _rows(picture: Picture) -> list[list[int]]:
    """Return the boxes by level, those of one level ordered by where their arrows come from."""
    levels = picture.levels()
    rows: list[list[int]] = [[] for _ in range(max(levels, default=-1) + 1)]
    for i, level in enumerate(levels):
        rows[level].append(i)
    at: dict[int, float] = {}

    def origin(i: int) -> float:
        sources = [at[source] for source, target in picture.arrows if target == i]
        return sum(sources) / len(sources) if sources else 0.0

    for row in rows:
        row.sort(key=origin)
        at.update({i: place - (len(row) - 1) / 2 for place, i in enumerate(row)})
    return rows


def _placed(
    rows: list[list[int]], width: float, heights: list[float], down: bool
) -> tuple[dict[int, Point], Point]:
    """Return the upper left corner of each box, in inches, and the size of the picture."""
    if down:
        across = max(len(row) * (width + GAP) - GAP for row in rows)
        tall = [max(heights[i] for i in row) for row in rows]
        along = sum(tall) + GAP * (len(rows) - 1)
        corners = {
            i: (
                0.2 + place * (width + GAP) + (across - len(row) * (width + GAP) + GAP) / 2,
                along + 0.2 - sum(tall[:level]) - GAP * level,
            )
            for level, row in enumerate(rows)
            for place, i in enumerate(row)
        }
        return corners, (across + 0.4, along + 0.4)
    step = max(heights) + GAP
    across = max(len(row) for row in rows) * step - GAP
    corners = {
        i: (
            0.2 + level * (width + GAP),
            across + 0.2 - place * step - (across - len(row) * step + GAP) / 2,
        )
        for level, row in enumerate(rows)
        for place, i in enumerate(row)
    }
    return corners, (len(rows) * (width + GAP) - GAP + 0.4, across + 0.4)


def _draw(picture: Picture, path: str, down: bool, dpi: int) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot_model draws with matplotlib: pip install "rnn_engine[plot]". '
            "A name that ends in .dot is written without it."
        ) from error
    boxes = picture.boxes
    width = 0.3 + 0.085 * max((len(line) for box in boxes for line in box.lines), default=10)
    heights = [0.15 + LINE * len(box.lines) for box in boxes]
    rows = _rows(picture)
    corners, size = _placed(rows, width, heights, down) if rows else ({}, (1.0, 1.0))
    # A Figure of its own, not pyplot's: no window system, no global state.
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]))
    axes.axis("off")
    for i, box in enumerate(boxes):
        _draw_box(axes, box, corners[i], (width, heights[i]))
    level = {i: number for number, row in enumerate(rows) for i in row}
    for source, target in picture.arrows:
        (x, y), (to_x, to_y) = corners[source], corners[target]
        if down:
            start, end = (x + width / 2, y - heights[source]), (to_x + width / 2, to_y)
        else:
            start, end = (x + width, y - heights[source] / 2), (to_x, to_y - heights[target] / 2)
        # Past the boxes between.
        bend = 0.3 if level[target] - level[source] > 1 else 0.0
        style = {"arrowstyle": "-|>", "color": "k", "connectionstyle": f"arc3,rad={bend}"}
        axes.annotate("", xy=end, xytext=start, arrowprops=style)
    figure.savefig(path, dpi=dpi)


def _draw_box(axes: Any, box: Box, corner: Point, size: Point) -> None:
    from matplotlib.patches import Rectangle

    (x, top), (width, height) = corner, size
    # Nested models are shaded, the deeper the darker.
    shade = str(max(0.6, 1.0 - 0.12 * box.depth))
    axes.add_patch(Rectangle((x, top - height), width, height, facecolor=shade, edgecolor="k"))
    for i, line in enumerate(box.lines):
        axes.text(
            x + width / 2,
            top - 0.075 - LINE * (i + 0.5),
            line,
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if i == 0 else "normal",
        )
