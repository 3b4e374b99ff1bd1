"""Passes of every cell, drawn or made, with all that they are given."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from rnn_engine.kernels.formulas import CODES
from rnn_engine.kernels.recurrent import recurrence
from tests.kernels.recurrent.naive import GATES, STATES, Naive

CELLS = sorted(GATES)


def tolerance(dtype: str) -> float:
    """Return the relative error that a few steps of ordinary weights may have."""
    return {"float32": 2e-5, "float64": 1e-12}[dtype]


class Case:
    """A cell with weights, inputs, and gradients of what comes out."""

    def __init__(
        self, cell: str, names: tuple[str, str], batch: int, steps: int, features: int, units: int,
        dtype: str, rng: np.random.Generator, *, masked: bool = False, started: bool = False,
        every: bool = True, gates_dropped: int = 0, drops_x: bool = False, has_bias: bool = True,
        kind: str = "random",
    ) -> None:  # fmt: skip
        self.cell, self.names, self.dtype = cell, names[: 2 if GATES[cell] > 1 else 1], dtype
        gates = GATES[cell]
        scale = 1 / np.sqrt(features + units)

        def normal(*shape: int) -> np.ndarray:
            return rng.normal(size=shape).astype(dtype)

        self.kernel = normal(features, gates * units) * np.asarray(scale, dtype)
        self.recurrent = normal(units, gates * units) * np.asarray(scale, dtype)
        self.bias = None
        if has_bias:
            self.bias = normal(2, gates * units) if cell == "gru" else normal(gates * units)
        self.x = normal(batch, steps, features)
        self.initial = [normal(batch, units) for _ in range(STATES[cell])] if started else None
        self.mask = mask_of(kind, steps, batch, rng) if masked else None
        self.drop_x = self._factors(rng, gates, batch, features) if drops_x else None
        self.drop_h = None
        if gates_dropped:
            self.drop_h = self._factors(rng, min(gates_dropped, gates), batch, units)
        self.dy = normal(steps, batch, units) if every else None
        self.dlast = [normal(batch, units) for _ in range(STATES[cell])]
        if every and rng.random() < 0.3:
            self.dlast = [None] * len(self.dlast)
        codes = tuple(CODES[name] for name in self.names)
        self.recurrence = recurrence(cell, codes, features, units, dtype)
        self.packed = self.recurrence.pack(self.kernel, self.recurrent, self.bias)
        self.started = started
        self._text = f"{cell} {names} {self.x.shape} U={units} {dtype} {masked=} {kind} {started=} "
        self._text += f"{every=} {gates_dropped=} {drops_x=} {has_bias=}"

    def __repr__(self) -> str:
        return self._text

    def _factors(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        return ((rng.random(shape) < 0.6) / 0.6).astype(self.dtype)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What `forward` takes behind x."""
        return self.initial, self.mask, self.drop_x, self.drop_h

    def expected(self) -> dict[str, np.ndarray]:
        """Return what the loop gives."""
        wide = [None if a is None else np.asarray(a, np.float64)
                for a in (self.kernel, self.recurrent, self.bias, self.x)]  # fmt: skip
        naive = Naive(self.cell, self.names, *wide, *self.arguments)
        found = {"h": np.stack([h.value for h in naive.h])}
        for k, state in enumerate(naive.last):
            found[f"last{k}"] = state.value
        gradients = naive.backward(self.dy, self.dlast)
        if not self.started:
            gradients = {k: v for k, v in gradients.items() if not k.startswith("initial")}
        return {**found, **gradients}


def mask_of(kind: str, steps: int, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Return a mask (T, B): holes anywhere, or sequences padded behind or before."""
    if kind == "random":
        return rng.random((steps, batch)) < 0.6
    lengths = rng.integers(0, steps + 1, batch)
    mask = np.arange(steps)[:, None] < lengths
    return np.ascontiguousarray(mask if kind == "post" else mask[::-1])


def run(
    case: Case, checkpoint_steps: int | str | None = None, sequence: bool = True
) -> dict[str, np.ndarray]:
    """Return all that the engine gives for a case."""
    h, last, saved = case.recurrence.forward(
        case.packed, case.x, *case.arguments, sequence, True, checkpoint_steps
    )
    found = {"h": np.array(h)} if sequence else {}
    for k, state in enumerate(last):
        found[f"last{k}"] = state
    gradients = [np.zeros_like(a) for a in (case.kernel, case.recurrent)]
    db = None if case.bias is None else np.zeros_like(case.bias)
    dx, dstart = case.recurrence.backward(saved, case.dy, case.dlast, (*gradients, db))
    found["kernel"], found["recurrent"], found["x"] = *gradients, np.array(dx)
    if db is not None:
        found["bias"] = db
    if case.started:
        for k, state in enumerate(dstart):
            found[f"initial{k}"] = state
    return found


@st.composite
def cases(draw: Any, cell: str | None = None) -> Case:
    """Draw a case; shapes around the sizes of tiles and panels."""
    cell = cell or draw(st.sampled_from(CELLS))
    return Case(
        cell,
        (draw(st.sampled_from(["tanh", "relu", "gelu"])), draw(st.sampled_from(["sigmoid"]))),
        draw(st.integers(1, 20)),
        draw(st.integers(1, 8)),
        draw(st.integers(1, 20)),
        draw(st.sampled_from([1, 7, 16, 17, 33, 64]) | st.integers(1, 70)),
        draw(st.sampled_from(["float32", "float64"])),
        np.random.default_rng(draw(st.integers(0, 2**32))),
        masked=draw(st.booleans()),
        started=draw(st.booleans()),
        every=draw(st.booleans()),
        gates_dropped=draw(st.sampled_from([0, 0, 1, 4])),
        drops_x=draw(st.booleans()),
        has_bias=draw(st.booleans()),
        kind=draw(st.sampled_from(["random", "post", "pre"])),
    )
