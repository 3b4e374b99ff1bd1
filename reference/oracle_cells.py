"""The oracle's cells: one step forward and one step back, as a textbook writes them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.oracle_functions import Activation, activation_of
from reference.oracle_recurrent import Grads, Recurrent
from reference.running_error import Quantity

States = list[Quantity]


@dataclass
class SimpleRNN(Recurrent):
    """h' = act(x W + h R + b)."""

    def step(self, x: Quantity, states: States, rows: np.ndarray) -> tuple[States, Any]:
        """Return [h'] and what the way back needs."""
        (h,) = states
        z = self.with_bias(0, self.of_input(0, x, rows) + self.of_state(0, h, rows))
        new = self.activated(self.activation, z)
        return [new], (x, h, z, new)

    def step_back(
        self, dstates: States, kept: Any, rows: np.ndarray, grads: Grads
    ) -> tuple[Quantity, States]:
        """Return the gradients of x and of [h]."""
        x, h, z, new = kept
        dz = activation_of(self.activation).backward(dstates[0], z, new)
        self.bias_back(0, dz, grads)
        dx = self.input_back(0, dz, x, rows, grads)
        return dx, [self.state_back(0, dz, h, rows, grads)]


@dataclass
class LSTM(Recurrent):
    """Gates i, f, c, o: c' = f c + i g and h' = o act(c'), g the candidate act(z_c).

    Every z is x W + h R + b of its gate; i, f and o are `recurrent_activation` of it.
    """

    gates = 4
    states = 2

    recurrent_activation: str | Activation = field(default="sigmoid", kw_only=True)

    def step(self, x: Quantity, states: States, rows: np.ndarray) -> tuple[States, Any]:
        """Return [h', c'] and what the way back needs."""
        h, c = states
        z = [
            self.with_bias(gate, self.of_input(gate, x, rows) + self.of_state(gate, h, rows))
            for gate in range(4)
        ]
        i = self.activated(self.recurrent_activation, z[0])
        f = self.activated(self.recurrent_activation, z[1])
        g = self.activated(self.activation, z[2])
        o = self.activated(self.recurrent_activation, z[3])
        new_c = f * c + i * g
        shown = self.activated(self.activation, new_c)
        return [o * shown, new_c], (x, h, c, z, (i, f, g, o), new_c, shown)

    def step_back(
        self, dstates: States, kept: Any, rows: np.ndarray, grads: Grads
    ) -> tuple[Quantity, States]:
        """Return the gradients of x and of [h, c]."""
        x, h, c, z, (i, f, g, o), new_c, shown = kept
        dh, dc = dstates
        act, gate_act = activation_of(self.activation), activation_of(self.recurrent_activation)
        dc = dc + act.backward(dh * o, new_c, shown)
        dz = [
            gate_act.backward(dc * g, z[0], i),
            gate_act.backward(dc * c, z[1], f),
            act.backward(dc * i, z[2], g),
            gate_act.backward(dh * shown, z[3], o),
        ]
        dx = total([self.input_back(gate, dz[gate], x, rows, grads) for gate in range(4)])
        dh = total([self.state_back(gate, dz[gate], h, rows, grads) for gate in range(4)])
        for gate in range(4):
            self.bias_back(gate, dz[gate], grads)
        return dx, [dh, dc * f]


@dataclass
class GRU(Recurrent):
    """Gates z, r, h: h' = z h + (1 - z) n, n the candidate.

    z and r are `recurrent_activation` of x W + h R + b. With `reset_after` there are two
    biases, (2, 3 U), one with x W and one with h R, and n = act(x W + b₀ + r (h R + b₁));
    without it there is one, and n = act(x W + b + (r h) R).
    """

    gates = 3

    recurrent_activation: str | Activation = field(default="sigmoid", kw_only=True)
    reset_after: bool = field(default=True, kw_only=True)

    def step(self, x: Quantity, states: States, rows: np.ndarray) -> tuple[States, Any]:
        """Return [h'] and what the way back needs."""
        (h,) = states
        a = [self._from_input(gate, x, rows) for gate in range(3)]
        pre = [a[gate] + self._from_state(gate, h, rows) for gate in range(2)]
        z = self.activated(self.recurrent_activation, pre[0])
        r = self.activated(self.recurrent_activation, pre[1])
        if self.reset_after:
            inner = self._from_state(2, h, rows)
            pre.append(a[2] + r * inner)
        else:
            inner = r * h
            pre.append(a[2] + self.of_state(2, inner, rows))
        n = self.activated(self.activation, pre[2])
        return [z * h + (1.0 - z) * n], (x, h, pre, z, r, n, inner)

    def step_back(
        self, dstates: States, kept: Any, rows: np.ndarray, grads: Grads
    ) -> tuple[Quantity, States]:
        """Return the gradients of x and of [h]."""
        x, h, pre, z, r, n, inner = kept
        (dnew,) = dstates
        gate_act = activation_of(self.recurrent_activation)
        dn = activation_of(self.activation).backward(dnew * (1.0 - z), pre[2], n)
        if self.reset_after:
            dr = dn * inner
            parts = [self._state_back(2, dn * r, h, rows, grads)]
        else:
            dinner = self.state_back(2, dn, inner, rows, grads)
            dr = dinner * h
            parts = [dinner * r]
        dz = [
            gate_act.backward(dnew * (h - n), pre[0], z),
            gate_act.backward(dr, pre[1], r),
            dn,
        ]
        parts += [self._state_back(gate, dz[gate], h, rows, grads) for gate in range(2)]
        dx = total([self.input_back(gate, dz[gate], x, rows, grads) for gate in range(3)])
        for gate in range(3):
            self.bias_back(gate, dz[gate], grads, 0 if self.reset_after else None)
        return dx, [total([dnew * z, *parts])]

    def _from_input(self, gate: int, x: Quantity, rows: np.ndarray) -> Quantity:
        z = self.of_input(gate, x, rows)
        return self.with_bias(gate, z, 0 if self.reset_after else None)

    def _from_state(self, gate: int, h: Quantity, rows: np.ndarray) -> Quantity:
        z = self.of_state(gate, h, rows)
        return self.with_bias(gate, z, 1) if self.reset_after else z

    def _state_back(
        self, gate: int, dz: Quantity, h: Quantity, rows: np.ndarray, grads: Grads
    ) -> Quantity:
        if self.reset_after:
            self.bias_back(gate, dz, grads, 1)
        return self.state_back(gate, dz, h, rows, grads)


def total(parts: list[Quantity]) -> Quantity:
    """Return the sum of some quantities."""
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


CELLS: dict[str, type[Recurrent]] = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU}
