"""The table that `Sequential.summary` prints."""

import textwrap
from typing import Any

# Widths of Keras's columns in a line of its default length.
_WIDTHS = (31, 22, 13)
_TRAINABLE = 7


def _shape_of(layer: Any, shape: Any) -> str:
    if not layer.built or shape is None:
        return "?"
    return str(layer.compute_output_shape(shape))


def _count(layer: Any) -> str:
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def _memory(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{amount:.2f} {unit}"


def _rows(
    layers: Any, shape: Any, expand: bool, trainable: bool, indent: str = ""
) -> list[list[str]]:
    rows = []
    for layer in layers:
        row = [
            f"{indent}{layer.name} ({type(layer).__name__})", _shape_of(layer, shape), _count(layer)
        ]  # fmt: skip
        if trainable:
            row.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        rows.append(row)
        if expand and hasattr(layer, "forward_with_mask") and layer.sublayers:
            rows += _rows(layer.sublayers, shape, expand, trainable, indent + "└ ")
        if shape is not None and layer.built:
            shape = layer.compute_output_shape(shape)
    return rows


def _widths(line_length: int | None, positions: Any, trainable: bool) -> list[int]:
    widths = list(_WIDTHS) + ([_TRAINABLE] if trainable else [])
    if line_length is None and positions is None:
        return widths
    line = line_length or sum(widths) + 3 * len(widths) + 1
    if positions is None:
        total = sum(widths)
        share = line - 3 * len(widths) - 1
        return [max(3, w * share // total) for w in widths]
    ends = [int(p * line) if p <= 1 else int(p) for p in positions[: len(widths)]]
    return [max(3, end - start - 3) for start, end in zip([0, *ends], ends, strict=False)]


def _line(cells: list[list[str]], widths: list[int], bar: str) -> list[str]:
    """Return a row of the table; cells wrap, numbers stand at the right."""
    lines = []
    for i in range(max(len(cell) for cell in cells)):
        texts = [cell[i] if i < len(cell) else "" for cell in cells]
        padded = [
            text.rjust(w) if column == 2 else text.ljust(w)
            for column, (text, w) in enumerate(zip(texts, widths, strict=True))
        ]
        lines.append(f"{bar} " + f" {bar} ".join(padded) + f" {bar}")
    return lines


def _rule(widths: list[int], left: str, middle: str, right: str, dash: str) -> str:
    return left + middle.join(dash * (w + 2) for w in widths) + right


def _in_range(layers: list[Any], layer_range: Any) -> list[Any]:
    names = [layer.name for layer in layers]
    first, last = layer_range
    for name in (first, last):
        if name not in names:
            raise ValueError(f"layer_range names no layer: {name!r}. Existing layers are: {names}.")
    return layers[names.index(first) : names.index(last) + 1]


def summary_table(
    model: Any,
    line_length: int | None = None,
    positions: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
) -> str:
    """Return the summary of a model as one string; see `Sequential.summary`."""
    head = ["Layer (type)", "Output Shape", "Param #"] + ["Trai..."] * show_trainable
    widths = _widths(line_length, positions, show_trainable)
    layers = model.layers
    rows = _rows(layers, model.build_shape, expand_nested, show_trainable)
    if layer_range is not None:
        kept = {layer.name for layer in _in_range(layers, layer_range)}
        rows = [row for row in rows if row[0].split(" ")[0] in kept]

    def wrapped(row: list[str]) -> list[list[str]]:
        return [textwrap.wrap(text, w) or [""] for text, w in zip(row, widths, strict=True)]

    lines = [f'Model: "{model.name}"', _rule(widths, "┏", "┳", "┓", "━")]
    lines += _line(wrapped(head), widths, "┃")
    lines.append(_rule(widths, "┡", "╇", "┩", "━"))
    for i, row in enumerate(rows):
        if i:
            lines.append(_rule(widths, "├", "┼", "┤", "─"))
        lines += _line(wrapped(row), widths, "│")
    lines.append(_rule(widths, "└", "┴", "┘", "─"))
    return "\n".join([*lines, *_totals(model)])


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
