"""What the oracle's recurrent layers share: time, masks, states, dropout. It knows no cell.

A cell is a class in `reference.oracle_cells` with one step forward and one step back. Here
the steps are taken, one after the other, for the rows whose mask is open.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.oracle_functions import Activation, activation_of
from reference.running_error import Quantity, exact, zeros

Grads = dict[str, Any]


@dataclass
class Recurrent:
    """A recurrent layer with every option of Keras's; its cell is what a subclass adds.

    The weights have Keras's shapes: kernel (F, G U), recurrent_kernel (U, G U), G the number
    of `gates`. `input_mask` and `recurrent_mask` are the dropout masks of a training step,
    scaled already by 1/(1 - rate): (B, F) and (B, U) for all gates, or (G, B, F) and
    (G, B, U), one for each. `margin` is, after `forward`, the smallest distance from a kink of
    an activation in units of the error: below a few roundings, a relu may fall on
    either side in a correct program.
    """

    gates = 1
    states = 1

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None = None
    activation: str | Activation = "tanh"
    return_sequences: bool = field(default=False, kw_only=True)
    go_backwards: bool = field(default=False, kw_only=True)
    zero_output_for_mask: bool = field(default=False, kw_only=True)
    input_mask: np.ndarray | None = field(default=None, kw_only=True)
    recurrent_mask: np.ndarray | None = field(default=None, kw_only=True)
    margin: float = field(default=np.inf, init=False)

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.recurrent_kernel)

    # -- a cell -------------------------------------------------------------------

    def step(
        self, x: Quantity, states: list[Quantity], rows: np.ndarray
    ) -> tuple[list[Quantity], Any]:
        """Return the next states, the output first, and what the way back needs."""
        raise NotImplementedError(f"{type(self).__name__} has no cell: use one of its subclasses.")

    def step_back(
        self, dstates: list[Quantity], kept: Any, rows: np.ndarray, grads: Grads
    ) -> tuple[Quantity, list[Quantity]]:
        """Add to the gradients of the weights; return those of x and of the states before."""
        raise NotImplementedError(f"{type(self).__name__} has no cell: use one of its subclasses.")

    # -- time ---------------------------------------------------------------------

    def forward(
        self, x: Any, initial_state: Any = None, mask: np.ndarray | None = None
    ) -> tuple[Quantity, Any]:
        """Return the output, (B, T, U) or (B, U), and the last state (B, U).

        States are a list where the cell has several, as `initial_state` then is.
        """
        self.x, self.mask, self.margin = exact(x), mask, np.inf
        batch, steps, _ = self.x.shape
        states = self._states(initial_state, batch)
        output, outputs = zeros(batch, self.units), zeros(batch, steps, self.units)
        self.kept: list[Any] = []
        for step, t, rows in self._walk():
            new, kept = self.step(self.x[rows, t], [s[rows] for s in states], rows)
            for state, value in zip(states, new, strict=True):
                state[rows] = value
            if self.zero_output_for_mask:
                output = zeros(batch, self.units)
            output[rows] = new[0]
            outputs[:, step] = output
            self.kept.append(kept)
        return (outputs if self.return_sequences else outputs[:, -1]), self._form(states)

    def backward(self, dy: Any, dstate: Any = None) -> Grads:
        """Return the gradients by name: of the weights, ``x`` and ``initial_state``."""
        dy = exact(dy)
        batch, steps, _ = self.x.shape
        grads: Grads = {"kernel": zeros(*self.kernel.shape)}
        grads["recurrent_kernel"] = zeros(*self.recurrent_kernel.shape)
        if self.bias is not None:
            grads["bias"] = zeros(*self.bias.shape)
        grads["x"] = zeros(*self.x.shape)
        dstates, doutput = self._states(dstate, batch), zeros(batch, self.units)
        for step, t, rows in reversed(list(self._walk())):
            if self.return_sequences:
                doutput = doutput + dy[:, step]
            elif step == steps - 1:
                doutput = doutput + dy
            arriving = [d[rows] for d in dstates]
            arriving[0] = doutput[rows] + arriving[0]
            dx, before = self.step_back(arriving, self.kept[step], rows, grads)
            grads["x"][rows, t] = dx
            for d, value in zip(dstates, before, strict=True):
                d[rows] = value
            done = slice(None) if self.zero_output_for_mask else rows
            doutput.value[done] = doutput.error[done] = 0.0
        grads["initial_state"] = self._form(dstates)
        return grads

    def _walk(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield the number of a step, the time it reads, and the rows that are open then."""
        batch, steps, _ = self.x.shape
        for step in range(steps):
            t = steps - 1 - step if self.go_backwards else step
            is_open = np.ones(batch, bool) if self.mask is None else self.mask[:, t]
            yield step, t, np.flatnonzero(is_open)

    def _states(self, given: Any, batch: int) -> list[Quantity]:
        if given is None:
            return [zeros(batch, self.units) for _ in range(self.states)]
        values = given if isinstance(given, list | tuple) else [given]
        assert len(values) == self.states
        return [Quantity(exact(v).value.copy(), exact(v).error.copy()) for v in values]

    def _form(self, states: list[Quantity]) -> Any:
        return states if self.states > 1 else states[0]

    # -- products, a gate at a time -----------------------------------------------

    def columns(self, gate: int) -> slice:
        """Return where a gate stands in the weights."""
        return slice(gate * self.units, (gate + 1) * self.units)

    def of_input(self, gate: int, x: Quantity, rows: np.ndarray) -> Quantity:
        """Return x W of a gate."""
        return dropped(x, self.input_mask, gate, rows) @ self.kernel[:, self.columns(gate)]

    def of_state(self, gate: int, h: Quantity, rows: np.ndarray) -> Quantity:
        """Return h R of a gate."""
        matrix = self.recurrent_kernel[:, self.columns(gate)]
        return dropped(h, self.recurrent_mask, gate, rows) @ matrix

    def input_back(
        self, gate: int, dz: Quantity, x: Quantity, rows: np.ndarray, grads: Grads
    ) -> Quantity:
        """Add what dz means for W; return what it means for x."""
        columns = self.columns(gate)
        add_products(grads["kernel"][:, columns], dropped(x, self.input_mask, gate, rows), dz)
        return dropped(dz @ self.kernel[:, columns].T, self.input_mask, gate, rows)

    def state_back(
        self, gate: int, dz: Quantity, h: Quantity, rows: np.ndarray, grads: Grads
    ) -> Quantity:
        """Add what dz means for R; return what it means for h."""
        columns = self.columns(gate)
        left = dropped(h, self.recurrent_mask, gate, rows)
        add_products(grads["recurrent_kernel"][:, columns], left, dz)
        matrix = self.recurrent_kernel[:, columns]
        return dropped(dz @ matrix.T, self.recurrent_mask, gate, rows)

    def with_bias(self, gate: int, z: Quantity, which: int | None = None) -> Quantity:
        """Return z + b of a gate; `which` tells of several biases."""
        if self.bias is None:
            return z
        bias = self.bias if which is None else self.bias[which]
        return z + bias[self.columns(gate)]

    def bias_back(self, gate: int, dz: Quantity, grads: Grads, which: int | None = None) -> None:
        """Add what dz means for b."""
        if self.bias is not None:
            grad = grads["bias"] if which is None else grads["bias"][which]
            add_rows(grad[self.columns(gate)], dz)

    def activated(self, function: str | Activation, z: Quantity) -> Quantity:
        """Apply an activation, and mind how near z comes to a kink."""
        found = activation_of(function)
        self.margin = min(self.margin, found.margin(z))
        return found.forward(z)


def dropped(x: Quantity, mask: np.ndarray | None, gate: int, rows: np.ndarray) -> Quantity:
    """Return the rows `x` times their dropout mask, one for all gates or one for each."""
    if mask is None:
        return x
    return x * (mask[gate] if mask.ndim == 3 else mask)[rows]


def add_products(total: Quantity, left: Quantity, right: Quantity) -> None:
    """Add leftᵀ right in place, the errors of rows and steps at their worst.

    They are not independent: those of the steps of a row come from each other.
    """
    add_rows(total, left[:, :, None] * right[:, None, :])


def add_rows(total: Quantity, terms: Quantity) -> None:
    """Add the sum over the first axis in place, errors at their worst."""
    total.value += terms.value.sum(0)
    total.error += terms.error.sum(0)
