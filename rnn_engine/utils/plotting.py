"""`plot_model`: a picture of a model, drawn by matplotlib, or its graph as DOT text.

Sequential models are chains, so no layout program is needed: matplotlib draws
the boxes, and neither pydot nor Graphviz has to be installed.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LINE = 0.22  # inches
GAP = 0.45


@dataclass
class Box:
    """One layer: its lines of text and how deep in nested models it stands."""

    lines: list[str]
    depth: int


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
    model : Sequential
    to_file : path
        The ending says the format: png, pdf, svg, jpg, dot.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What a box tells besides the class of the layer.
    rankdir : {"TB", "LR"}
        From top to bottom or from left to right.
    expand_nested : bool
        Whether to draw the layers of a nested model instead of one box.
    dpi : int
        Dots per inch of a raster image.
    splines : str
        Accepted for Keras's sake; the arrows of a chain are straight.

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
    flags = (show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    boxes = list(_boxes(model, expand_nested, flags, 0))
    path = os.fspath(to_file)
    if path.endswith((".dot", ".gv")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(to_dot(boxes, rankdir))
        return None
    _draw(boxes, path, rankdir, dpi)
    if path.endswith(".png") and "IPython" in sys.modules:
        return sys.modules["IPython"].display.Image(filename=path)
    return None


def to_dot(boxes: list[Box], rankdir: str) -> str:
    """Return the chain of boxes in the DOT language."""
    lines = ["digraph model {", f"  rankdir={rankdir};", "  node [shape=box];"]
    for i, box in enumerate(boxes):
        text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box.lines)
        lines.append(f'  n{i} [label="{text}"];')
    lines += [f"  n{i} -> n{i + 1};" for i in range(len(boxes) - 1)]
    return "\n".join([*lines, "}", ""])


def _boxes(model: Any, expand: bool, flags: tuple[bool, ...], depth: int) -> Iterator[Box]:
    shape = getattr(model, "input_shape", None)
    for layer in model.layers:
        after = _output_shape(layer, shape)
        if expand and hasattr(layer, "layers"):
            yield from _boxes(layer, expand, flags, depth + 1)
        else:
            yield Box(_describe(layer, flags, shape, after), depth)
        shape = after


def _output_shape(layer: Any, input_shape: Any) -> Any:
    if input_shape is not None and hasattr(layer, "compute_output_shape"):
        return layer.compute_output_shape(input_shape)
    return getattr(layer, "output_shape", None)


def _describe(layer: Any, flags: tuple[bool, ...], before: Any, after: Any) -> list[str]:
    shapes, dtype, names, activations, trainable = flags
    kind = type(layer).__name__
    lines = [f"{layer.name} ({kind})" if names else kind]
    if activations and getattr(layer, "activation", None) is not None:
        activation = layer.activation
        lines.append(f"Activation: {getattr(activation, '__name__', type(activation).__name__)}")
    if shapes:
        lines += [f"Input shape: {before or '?'}", f"Output shape: {after or '?'}"]
    if dtype:
        lines.append(f"Output dtype: {getattr(layer, 'dtype', '?')}")
    if trainable:
        lines.append(f"Trainable: {getattr(layer, 'trainable', '?')}")
    return lines


def _draw(boxes: list[Box], path: str, rankdir: str, dpi: int) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot_model draws with matplotlib: pip install "rnn_engine[plot]". '
            "A name that ends in .dot is written without it."
        ) from error
    width = 0.3 + 0.085 * max((len(line) for box in boxes for line in box.lines), default=10)
    heights = [0.15 + LINE * len(box.lines) for box in boxes]
    down = rankdir == "TB"
    count = len(boxes)
    if down:
        size = (width + 0.4, sum(heights) + GAP * (count - 1) + 0.4)
    else:
        size = (count * width + GAP * (count - 1) + 0.4, max(heights, default=1) + 0.4)
    # A Figure of its own, not pyplot's: no window system, no global state.
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(0, size[1]))
    axes.axis("off")
    x, y = 0.2, size[1] - 0.2
    for i, (box, height) in enumerate(zip(boxes, heights, strict=True)):
        _draw_box(axes, box, (x, y), (width, height))
        if down:
            start, end = (x + width / 2, y - height), (x + width / 2, y - height - GAP)
            y -= height + GAP
        else:
            start, end = (x + width, size[1] / 2), (x + width + GAP, size[1] / 2)
            x += width + GAP
        if i < count - 1:
            axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": "k"})
    figure.savefig(path, dpi=dpi)


def _draw_box(axes: Any, box: Box, corner: tuple[float, float], size: tuple[float, float]) -> None:
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
