"""The C text of a model: a header, the state, and the calls of the engine's kernels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.exporting.layers import Operation, Program
from rnn_engine.exporting.templates import FUNCTIONS, HEADER, HELPERS, SOURCE
from rnn_engine.kernels import ahead
from rnn_engine.kernels.formulas import TABLE as FORMULAS
from rnn_engine.kernels.panels import packed_size
from rnn_engine.kernels.recurrent import cells, lone
from rnn_engine.kernels.recurrent.places import P, S
from rnn_engine.kernels.recurrent.plan import Sizes, forward_plan

# Steps that are computed together, and the numbers of all buffers that should stay in the
# first-level cache: 64 KiB.
_STEPS = 32
_NUMBERS = 16384
_FLOAT = np.dtype(np.float32)
_LINE = 16


@dataclass
class Text:
    """What `written` makes.

    Attributes
    ----------
    header, source : C
    weights : what the source includes as data
    kernels : of the engine that the source calls
    """

    header: str
    source: str
    weights: bytes
    kernels: list[ahead.Kernel]


class _Writer:
    """Collects the parts of a source."""

    def __init__(self, program: Program, steps: int) -> None:
        self.program, self.steps = program, steps
        self.fields: list[str] = []
        self.numbers = 0
        self.tables: list[str] = []
        self.weights = bytearray()
        self.kernels: dict[ahead.Kernel, None] = {}
        self.codes: set[int] = set()
        self.starts: list[str] = []
        self.resets: list[str] = []
        self.calls: list[list[str]] = [[], []]
        for index, operation in enumerate(program.operations):
            rows = 1 if operation.is_behind else steps
            lines = getattr(self, f"_{operation.kind}", self._plain)(index, operation, rows)
            self.calls[operation.is_behind].append(lines)

    def space(self, name: str, numbers: int, kind: str = "float") -> str:
        """Give the state an array of its own, in whole cache lines; return its name."""
        width = 2 if kind == "int64_t" else 1
        whole = -(-numbers * width // _LINE) * _LINE
        self.fields.append(f"    {kind} {name}[{whole // width}];")
        self.numbers += whole
        return f"s->{name}"

    def data(self, array: np.ndarray) -> str:
        """Append an array to the weights; return where it is."""
        self.weights += bytes(-len(self.weights) % 64)
        place = len(self.weights)
        self.weights += np.ascontiguousarray(array).tobytes()
        kind = "double" if array.dtype == np.float64 else "float"
        return f"(const {kind} *)(weights + {place})"

    def activate(self, codes: Sequence[int]) -> None:
        """Have activations in the table of epilogues."""
        for code in codes:
            if code:
                self.codes.add(code)
                self.kernels[ahead.activation(code)] = None

    # --- operations -------------------------------------------------------------

    def _recurrent(self, index: int, operation: Operation, rows: int) -> str:
        sizes, units = operation.sizes, operation.size
        cell = cells.find(sizes["cell"])
        wanted = Sizes(cell, operation.codes, _FLOAT, sizes["features"], units, 1, rows)
        sequences, is_lone = bool(sizes["sequences"]), lone.is_lone(wanted)
        plan = forward_plan(wanted, 1, int(sequences or is_lone), False)
        table = plan.table.copy()
        table[P.BOUNDS] = 0  # an address, as others that are filled in
        rows_of = ", ".join(map(str, table.tolist()))
        self.tables.append(f"static const int64_t plan_{index}[{P.END}] = {{{rows_of}}};")
        mine = self.space(f"plan_{index}", int(P.END), "int64_t")
        states = self.space(f"states_{index}", cell.states * units)
        scratch = self.space(f"scratch_{index}", plan.scratch)
        out = self.space(f"out_{index}", max(1, plan.kept))
        self.starts.append(f"memcpy({mine}, plan_{index}, sizeof plan_{index});")
        self.resets.append(f"memset({states}, 0, sizeof {states});")
        walk, called = ahead.WALK, {int(P.RUN_STAGE): ahead.STAGE}
        for stage in range(len(cell.stages)):
            place = P.STAGE + stage * S.SIZE + S.STEP
            called[place] = ahead.step(sizes["cell"], stage, operation.codes)
        if is_lone:
            step = ahead.lone_step(sizes["cell"], operation.codes)
            walk, called = ahead.LONE, {P.STAGE + S.STEP: step}
        self.kernels |= dict.fromkeys([ahead.PRODUCT, walk, *called.values()])
        lines = [f"{mine}[{at}] = address_of(&{kernel[0]});" for at, kernel in called.items()]
        weights = self.data(operation.arrays["weights"])
        lines.append(
            f"recurrent({walk[0]}, {int(is_lone)}, {mine}, s->started, n, v{operation.inputs[0]}, "
            f"{weights}, {states}, {scratch}, {out});"
        )
        lines.append(_value(index, f"{out} + {units}" if sequences else states))
        return "\n    ".join(lines)

    def _dense(self, index: int, operation: Operation, rows: int) -> str:
        features, units, (code,) = operation.sizes["features"], operation.size, operation.codes
        self.kernels[ahead.PRODUCT] = None
        self.activate([code])
        out = self.space(f"out_{index}", rows * units)
        weights = operation.arrays["weights"]
        bias = packed_size(features, units, _FLOAT)
        place = self.data(weights)
        x = f"v{operation.inputs[0]}"
        call = f"dense({x}, n, {features}, {units}, {place}, {bias}, {code}, {out})"
        return _value(index, call)

    def _convolution(self, index: int, operation: Operation, rows: int) -> str:
        sizes, filters, (code,) = operation.sizes, operation.size, operation.codes
        features, taps, groups = sizes["features"], sizes["taps"], sizes["groups"]
        inside = features // groups
        window = (taps - 1) * sizes["dilation"]
        self.kernels[ahead.PRODUCT] = None
        self.activate([code])
        line = self.space(f"line_{index}", (window + rows) * features)
        gathered = self.space(f"gathered_{index}", rows * taps * inside)
        out = self.space(f"out_{index}", rows * filters)
        self.resets.append(f"memset({line}, 0, sizeof {line});")
        panels = packed_size(taps * inside, filters // groups, _FLOAT)
        table = {
            "features": features, "filters": filters, "taps": taps,
            "dilation": sizes["dilation"], "groups": groups, "panels": panels, "act": code,
        }  # fmt: skip
        values = ", ".join(map(str, table.values()))
        self.tables.append(f"static const convolution_sizes sizes_{index} = {{{values}}};")
        weights, bias = (self.data(operation.arrays[name]) for name in ("weights", "bias"))
        x = f"v{operation.inputs[0]}"
        places = f"{weights}, {bias}, {line}, {gathered}, {out}"
        return _value(index, f"convolution(&sizes_{index}, {x}, n, {places})")

    def _plain(self, index: int, operation: Operation, rows: int) -> str:
        """Return the call of what keeps no state and has its sizes as they come."""
        out = self.space(f"out_{index}", rows * operation.size)
        self.activate(operation.codes)
        arguments = [
            *(f"v{number}" for number in operation.inputs),
            "n",
            str(operation.size),
            *(str(code) for code in operation.codes),
            *(_number(value) for value in operation.sizes.values()),
            *(self.data(array) for array in operation.arrays.values()),
            out,
        ]
        return _value(index, f"{operation.kind}({', '.join(arguments)})")


def _value(index: int, text: str) -> str:
    """Return the line that names what an operation makes."""
    return f"const float *const v{index + 1} = {text};"


def _number(value: float) -> str:
    """Return a number as C writes it, with all its bits."""
    if isinstance(value, int):
        return str(value)
    return "(1.0 / 0.0)" if value == np.inf else float(value).hex()


def written(program: Program, name: str, about: str) -> Text:
    """Return a model's C text.

    Parameters
    ----------
    program : Program
    name : str
        A C identifier: what all names begin with.
    about : str
        What it was made with and for which CPU.
    """
    steps = _STEPS
    writer = _Writer(program, steps)
    while writer.numbers > _NUMBERS and steps > 1:
        steps //= 2
        writer = _Writer(program, steps)
    values = _values(writer, program, name, about)
    return Text(
        _filled(HEADER, values),
        _filled(SOURCE, values),
        bytes(writer.weights) or bytes(64),
        list(writer.kernels),
    )


def _filled(template: str, values: dict[str, Any]) -> str:
    """Fill in the @places@ of a template: braces and percents belong to C."""
    for key, value in values.items():
        template = template.replace(f"@{key}@", str(value))
    return template


def _values(writer: _Writer, program: Program, name: str, about: str) -> dict[str, Any]:
    kinds = {operation.kind for operation in program.operations}
    front, back = ("\n    ".join(lines) for lines in writer.calls)
    collapses = program.last is not None
    kernels = writer.kernels
    declared = []
    if ahead.PRODUCT in kernels:
        declared.append(HELPERS["product"])
    types = {"walk": "body", "lone": "body", "stage": "part", "step": "step",
             "lone_step": "step", "finish": "epilogue"}  # fmt: skip
    declared += [f"extern {types[key[0]]} {kernel};" for kernel, key in kernels if key[0] in types]
    table = ["0"] * len(FORMULAS)
    for code in writer.codes:
        table[code] = ahead.activation(code)[0]
    functions = [text for kind, text in FUNCTIONS.items() if kind in kinds]
    if kinds & {"dense", "convolution", "softmax"}:
        functions.insert(0, HELPERS["denormals"])
    end = program.output.index
    turn = program.last.index if program.last else end
    process = "steps * outputs numbers, those of each step"
    predicted = "(batch, steps, outputs)"
    if collapses:
        process = "outputs numbers, those of the last step alone (return_sequences is False)"
        predicted = "(batch, outputs)"
    places = ["STOP", "STARTED", "CHUNK", "BOUNDS", "X", "WEIGHTS", "START", "LAST", "SCRATCH",
              "STATE"]  # fmt: skip
    return {
        "ABOUT": about,
        "LAYERS": "\n".join(f" *   {line}" for line in program.described),
        "PLACES": ",\n".join(f"    P_{place} = {int(P[place])}" for place in places),
        "DECLARED": "\n".join(declared),
        "EPILOGUES": ", ".join(table),
        "TABLES": "\n".join(writer.tables),
        "FUNCTIONS": "\n".join(functions),
        "FIELDS": "\n".join(writer.fields),
        "STARTS": "\n    ".join(writer.starts),
        "RESETS": "\n    ".join(writer.resets),
        "FRONT": front,
        "BACK": back,
        "COLLAPSES": int(collapses),
        "STEPS": writer.steps,
        "FEATURES": program.input.size,
        "OUTPUTS": program.output.size,
        "TURN": turn,
        "END": end,
        "SIZE": 4 * writer.numbers + 64,
        "STACK": -(-(4 * writer.numbers + 64 + 8192) // 1024),
        "PROCESS": process,
        "PREDICTED": predicted,
        "NAME": name,
    }
