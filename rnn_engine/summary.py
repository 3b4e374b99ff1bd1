"""The table that `Model.summary` prints."""

import html
import re
import shutil
import textwrap
from itertools import pairwise
from typing import Any

from rnn_engine.graph.order import is_chain

# Titles of the columns, where Keras's end as fractions of a line, and how wide that is: of a row
# of layers, and of a graph with the column of what a layer is connected to.
_ROW = (["Layer (type)", "Output Shape", "Param #"], (0.45, 0.80, 1.0), 88)
_GRAPH = ([*_ROW[0], "Connected to"], (0.3, 0.56, 0.74, 1.0), 108)
_TRAINABLE = 12
_ALIGNED = {"Param #": ">", "Trainable": "^"}


def _shape_of(layer: Any) -> str:
    """Return the shapes of what the last symbolic call of a layer returned, else by its build."""
    if layer._inbound_nodes:
        shapes: Any = [tensor.shape for tensor in layer._inbound_nodes[-1].outputs]
        return str(shapes[0] if len(shapes) == 1 else shapes)
    if not layer.built or layer.build_shape is None:
        return "?"
    try:
        return str(layer.compute_output_shape(layer.build_shape))
    except (NotImplementedError, TypeError, ValueError):  # a user's `call` takes more than shapes
        return "?"


def _count(layer: Any) -> str:
    if not hasattr(layer, "built"):  # an operation
        return "0"
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _connections(layer: Any, nodes: set[int]) -> str:
    """Return what the calls of a layer among `nodes` take: layer, call and output of each."""
    found = [
        f"{tensor.node.operation.name}[{tensor.node.place}][{tensor.index}]"
        for node in layer._inbound_nodes
        if id(node) in nodes
        for tensor in node.inputs
    ]
    return ", ".join(found) or "-"


def _memory(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{amount:.2f} {unit}"


def _rows(
    layers: Any, expand: bool, trainable: bool, nodes: set[int] | None, level: int = 0
) -> list[list[str]]:
    """Return the cells of the rows; `nodes` are the calls to show, None for no such column."""
    rows = []
    indent = "   " * level + "└ " if level else ""
    for layer in layers:
        kind = getattr(layer, "class_name", type(layer).__name__)
        row = [f"{indent}{layer.name} ({kind})", _shape_of(layer), _count(layer)]
        if nodes is not None:
            row.append(_connections(layer, nodes))
        if trainable:
            weights = getattr(layer, "weights", None)
            row.append(("Y" if layer.trainable else "N") if weights else "-")
        rows.append(row)
        if expand and getattr(layer, "layers", None):  # a nested model
            rows += _rows(layer.layers, expand, trainable, nodes, level + 1)
    return rows


def _widths(line_length: int | None, ends: Any, wanted: int, trainable: bool) -> list[int]:
    """Return the widths of the columns, as Keras and the library it draws with make them."""
    if trainable:
        ends = [end * 0.9 for end in ends] + [1.0]
        wanted += _TRAINABLE
    line = line_length or min(wanted, shutil.get_terminal_size().columns - 4)
    at = [0, *(int(end * line) for end in ends)]
    widths = [stop - start for start, stop in pairwise(at)]
    if min(widths) < 4:
        raise ValueError("Insufficient console width to print summary.")
    # Borders and spaces come out of the columns, an even share of what is left from each.
    excess, columns = sum(widths) + 3 * len(widths) + 1 - line, len(widths)
    for i in range(columns):
        share = round(excess / (columns - i))
        widths[i] = max(1, widths[i] - share)
        excess -= share
    return widths


def _wrap(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _line(
    cells: list[list[str]], widths: list[int], aligned: str, bar: str, low: bool = False
) -> list[str]:
    """Return a row of the table; wrapped cells stand `low` in it."""
    lines, height = [], max(len(cell) for cell in cells)
    for i in range(height):
        places = [i - height + len(cell) if low else i for cell in cells]
        texts = [
            cell[at] if 0 <= at < len(cell) else "" for cell, at in zip(cells, places, strict=True)
        ]
        padded = [
            f"{text:{align}{w}}" for text, w, align in zip(texts, widths, aligned, strict=True)
        ]
        lines.append(f"{bar} " + f" {bar} ".join(padded) + f" {bar}")
    return lines


def _rule(widths: list[int], left: str, middle: str, right: str, dash: str) -> str:
    return left + middle.join(dash * (w + 2) for w in widths) + right


def _in_range(layers: list[Any], layer_range: Any) -> list[Any]:
    """Return the layers from the first to the last whose names match two patterns.

    Raises
    ------
    ValueError
        If the range is no pair of strings, or a pattern matches no name.
    """
    if len(layer_range) != 2 or not all(isinstance(name, str) for name in layer_range):
        raise ValueError(f"layer_range must be a pair of strings, got {layer_range!r}.")
    names = [layer.name for layer in layers]
    found = [[i for i, name in enumerate(names) if re.match(p, name)] for p in layer_range]
    for pattern, places in zip(layer_range, found, strict=True):
        if not places:
            raise ValueError(
                f"Passed layer_range does not match any layer: {pattern!r}. Existing layers "
                f"are: {names}."
            )
    low, high = sorted((found[0][0], found[1][-1]))
    return layers[low : high + 1]


def summary_table(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> str:
    """Return the summary of a model as one string; see `Model.summary`."""
    layers, nodes = _shown(model)
    titles, ends, width = _ROW if nodes is None else _GRAPH
    widths = _widths(line_length, list(positions or ends), width, show_trainable)
    head = titles + ["Trainable"] * show_trainable
    aligned = "".join(_ALIGNED.get(title, "<") for title in head)
    if layer_range is not None:
        layers = _in_range(layers, layer_range)
    rows = _rows(layers, expand_nested, show_trainable, nodes)

    def wrapped(row: list[str]) -> list[list[str]]:
        return [_wrap(text, w) for text, w in zip(row, widths, strict=True)]

    lines = [f'Model: "{model.name}"', _rule(widths, "┏", "┳", "┓", "━")]
    lines += _line(wrapped(head), widths, aligned, "┃", low=True)
    lines.append(_rule(widths, "┡", "╇", "┩", "━"))
    for i, row in enumerate(rows):
        if i:
            lines.append(_rule(widths, "├", "┼", "┤", "─"))
        lines += _line(wrapped(row), widths, aligned, "│")
    lines.append(_rule(widths, "└", "┴", "┘", "─"))
    return "\n".join([*lines, *_totals(model)])


def _shown(model: Any) -> tuple[list[Any], set[int] | None]:
    """Return the layers of a model, and of a graph that is no row of them its calls."""
    layout = getattr(model, "layout", None)
    if layout is None:
        return model.layers, None
    if is_chain(layout.inputs, layout.outputs):
        return model.operations, None
    return model.operations, {id(node) for node in layout.nodes}


def summary_html(model: Any) -> str:
    """Return the summary of a model as a table that notebooks show."""
    layers, nodes = _shown(model)
    titles = (_ROW if nodes is None else _GRAPH)[0]

    def row(cells: list[str], tag: str) -> str:
        sides = ["right" if title == "Param #" else "left" for title in titles]
        pairs = zip(cells, sides, strict=True)
        inner = (f'<{tag} style="text-align:{s}">{html.escape(c)}</{tag}>' for c, s in pairs)
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(row(cells, "td") for cells in _rows(layers, False, False, nodes))
    totals = "<br>".join(html.escape(line.strip()) for line in _totals(model))
    return (
        f"<div><p><b>Model: {html.escape(repr(model.name))}</b></p>"
        f"<table><thead>{row(list(titles), 'th')}</thead><tbody>{body}</tbody></table>"
        f"<p>{totals}</p></div>"
    )


def _totals(model: Any) -> list[str]:
    groups = [
        ("Trainable params", [v.value for v in model.trainable_weights]),
        ("Non-trainable params", [v.value for v in model.non_trainable_weights]),
    ]
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and getattr(optimizer, "built", False):
        groups.append(("Optimizer params", [v.value for v in optimizer.variables]))
    total = sum(a.size for _, arrays in groups for a in arrays)
    size = sum(a.nbytes for _, arrays in groups for a in arrays)
    lines = [f" Total params: {total:,} ({_memory(size)})"]
    for name, arrays in groups:
        count, memory = sum(a.size for a in arrays), sum(a.nbytes for a in arrays)
        lines.append(f" {name}: {count:,} ({_memory(memory)})")
    return lines
