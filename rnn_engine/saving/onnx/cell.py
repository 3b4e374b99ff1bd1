"""`ONNXCell`: what ONNX's recurrent operators have beyond Keras's layers."""

from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine import ops as _ops
from rnn_engine.layers.base import Layer, registry

ops: Any = _ops  # its names come from a table

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


@registry.register()
class ONNXCell(Layer):
    """A step of ONNX's RNN, LSTM or GRU with clipping, peepholes, coupled gates.

    What `from_onnx` makes, within an `RNN`, where `SimpleRNN`, `LSTM` and `GRU` do not do it.
    Slower than they are. Weights are in Keras's order of gates; a GRU that resets after the
    product has two biases, as in Keras.

    Parameters
    ----------
    kind : str
        ``"RNN"``, ``"LSTM"`` or ``"GRU"``.
    units : int
    functions : list
        ONNX's activations f, g and h, as many as the operator has.
    clip : float, optional
        What goes into an activation is kept within -clip..clip.
    input_forget : bool
        The forget gate of an LSTM is one less the input gate.
    reset_after : bool
        ``linear_before_reset`` of a GRU.
    peepholes : bool
        Whether the gates of an LSTM see the cell's state: a weight (3, units), of the input, the
        forget and the output gate.
    """

    def __init__(
        self,
        kind: str,
        units: int,
        functions: list[Any],
        clip: float | None = None,
        input_forget: bool = False,
        reset_after: bool = False,
        peepholes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in _GATES:
            raise ValueError(f"kind must be one of {list(_GATES)}, got {kind!r}.")
        self.kind, self.units = kind, int(units)
        self.functions = [activations.get(f) for f in functions]
        self.clip = None if clip is None else float(clip)
        self.input_forget, self.reset_after = bool(input_forget), bool(reset_after)
        self.peepholes = bool(peepholes)
        self.state_size = [self.units] * (2 if kind == "LSTM" else 1)
        self.output_size = self.units

    def build(self, input_shape: Any) -> None:
        """Create kernel, recurrent kernel, bias and peepholes."""
        width = _GATES[self.kind] * self.units
        two = self.kind == "GRU" and self.reset_after
        self.kernel = self.add_weight((input_shape[-1], width), name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, width), name="recurrent_kernel")
        self.bias = self.add_weight((2, width) if two else (width,), "zeros", name="bias")
        if self.peepholes:
            self.peephole = self.add_weight((3, self.units), "zeros", name="peephole")
        self.built = True

    def call(self, inputs: Any, states: Any) -> Any:
        """Return the output and the new states of one step."""
        step = {"RNN": self._rnn, "LSTM": self._lstm, "GRU": self._gru}[self.kind]
        new = step(inputs, list(states))
        return new[0], new

    def _of(self, number: int, z: Any) -> Any:
        """Return an activation of what is kept within the clip."""
        if self.clip is not None:
            z = ops.clip(z, -self.clip, self.clip)
        return self.functions[number](z)

    def _gate(self, z: Any, number: int) -> Any:
        return z[:, number * self.units : (number + 1) * self.units]

    def _rnn(self, x: Any, states: list[Any]) -> list[Any]:
        z = ops.matmul(x, self.kernel) + ops.matmul(states[0], self.recurrent_kernel)
        return [self._of(0, z + self.bias)]

    def _lstm(self, x: Any, states: list[Any]) -> list[Any]:
        h, c = states
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        i, f, candidate, o = (self._gate(z, n) for n in range(4))
        if self.peepholes:
            i, f = i + self.peephole[0] * c, f + self.peephole[1] * c
        i = self._of(0, i)
        f = 1.0 - i if self.input_forget else self._of(0, f)
        c = f * c + i * self._of(1, candidate)
        o = o + self.peephole[2] * c if self.peepholes else o
        return [self._of(0, o) * self.functions[2](c), c]

    def _gru(self, x: Any, states: list[Any]) -> list[Any]:
        h, last = states[0], 2 * self.units
        zx = ops.matmul(x, self.kernel)
        if self.reset_after:
            zx = zx + self.bias[0]
            zh = ops.matmul(h, self.recurrent_kernel) + self.bias[1]
            z, r = (self._of(0, self._gate(zx, n) + self._gate(zh, n)) for n in range(2))
            candidate = self._of(1, zx[:, last:] + r * zh[:, last:])
        else:
            zx = zx + self.bias
            zh = ops.matmul(h, self.recurrent_kernel[:, :last])
            z, r = (self._of(0, self._gate(zx, n) + self._gate(zh, n)) for n in range(2))
            candidate = self._of(
                1, zx[:, last:] + ops.matmul(r * h, self.recurrent_kernel[:, last:])
            )
        return [z * h + (1.0 - z) * candidate]

    def get_initial_state(self, batch_size: int | None = None) -> list[np.ndarray]:
        """Return the states to begin with: zeros."""
        return [np.zeros((batch_size or 1, n), self.dtype) for n in self.state_size]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "kind": self.kind,
            "units": self.units,
            "functions": [activations.serialize(f) for f in self.functions],
            "clip": self.clip,
            "input_forget": self.input_forget,
            "reset_after": self.reset_after,
            "peepholes": self.peepholes,
        }
