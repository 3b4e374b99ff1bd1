"""What recurrent layers share: their arguments, their states, their outputs under a mask."""

from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import as_mask, wrong_rank
from rnn_engine.graph import is_symbolic, map_structure
from rnn_engine.layers.base import Layer
from rnn_engine.layers.calls import call_in_context, is_special
from rnn_engine.layers.cell import as_state
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.variable import Variable, writes


class Recurrent(Layer):
    """Base of the layers that read a sequence step by step.

    Parameters
    ----------
    return_sequences : bool
        Return the output of every step, not just of the last.
    return_state : bool
        Return the last states too, after the output.
    go_backwards : bool
        Read the sequence from its end; outputs come in the order of reading.
    stateful : bool
        Start each batch with the last states of the batch before.
    unroll : bool
        Accepted; the result is the same. In Keras it is not in one case: unrolled, with
        `go_backwards` and `zero_output_for_mask`, Keras forgets to turn the mask round, and
        makes the outputs of the wrong steps zero.
    zero_output_for_mask : bool
        A masked step's output is zero, not the output of the step before.
    """

    saves_on_demand = True
    call_arguments = ("initial_state",)

    def __init__(
        self,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.states: list[Variable] | None = None

    @property
    def state_sizes(self) -> list[int]:
        """Sizes of the states."""
        raise TypeError(f"{type(self).__name__} must define state_sizes.")

    @property
    def output_size(self) -> int:
        """Size of the output of a step."""
        raise TypeError(f"{type(self).__name__} must define output_size.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, units), with timesteps between them under `return_sequences`."""
        batch, steps = input_shape[:2]
        size = self.output_size
        y = (batch, steps, size) if self.return_sequences else (batch, size)
        return (y, *((batch, n) for n in self.state_sizes)) if self.return_state else y

    # --- states ---------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights, and the states of a stateful layer.

        Raises
        ------
        ValueError
            If the layer is stateful and the batch size unknown.
        """
        shape = tuple(input_shape)
        if self.stateful and self.states is None:
            if shape[0] is None:
                raise ValueError(
                    "When using `stateful=True` in a RNN, the batch size must be static. Found "
                    f"dynamic batch size: sequence.shape={shape}. Give `batch_shape` or "
                    f"`batch_size` to the Input."
                )
            super().build(shape)
            self._create_states(shape[0])
        super().build(shape)

    def _create_states(self, batch: int) -> None:
        self.states = [
            Variable(
                np.zeros(shape, self._np_dtype),
                name="rnn_state",
                path=f"{self.path_prefix}{self.name}/rnn_state",
                trainable=False,
            )
            for shape in self.state_shapes(batch)
        ]

    def state_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """Return the shapes of the states."""
        return [(batch, size) for size in self.state_sizes]

    def __call__(  # type: ignore[override]  # the state comes second, as in Keras
        self,
        inputs: Any = None,
        initial_state: Any = None,
        *,
        training: bool | None = None,
        mask: Any = None,
        sequences: Any = None,
    ) -> Any:
        """Apply the layer; a stateful one is built for the batch size it meets first.

        The input may be called `sequences`, as Keras 3 has it, or `inputs`, as Keras 2 had it.
        """
        inputs = sequences if inputs is None else inputs
        x = inputs
        plain = type(x) is np.ndarray and x.dtype is self._np_dtype and initial_state is None
        if not plain or OPEN or self.notes_losses:
            if is_symbolic(inputs, initial_state):
                return self.symbolic_recurrence(inputs, initial_state, training, mask)
            if OPEN or self.notes_losses or is_special(inputs, initial_state, {}):
                given = {} if initial_state is None else {"initial_state": initial_state}
                return call_in_context(self, inputs, (), training, mask, given)
            x = self.convert(inputs)
        if not self.built:
            self.build(x.shape if self.stateful else (None, *x.shape[1:]))
        before = writes.count
        y = self.forward(x, bool(training), mask, initial_state)[0]
        if writes.count != before or before & 1:
            y = self._again(y, x, training, mask, initial_state=initial_state)
        if self._gives_half:
            y = self.halved(y)
        return y.view(Tensor) if type(y) is np.ndarray else map_structure(as_tensor, y)

    def symbolic_recurrence(
        self, inputs: Any, initial_state: Any, training: bool | None, mask: Any
    ) -> Any:
        """Return symbolic outputs for symbolic inputs; see `Layer.symbolic_call`."""
        given = {} if initial_state is None else {"initial_state": initial_state}
        return self.symbolic_call(inputs, training=training, mask=mask, **given)

    def reset_state(self) -> None:
        """Make the states of a stateful layer zero."""
        for state in self.states or ():
            state.assign(np.zeros(state.shape))

    reset_states = reset_state

    def initial_states(self, given: Any, batch: int) -> list[np.ndarray] | None:
        """Return the states to start from, or None for zeros.

        Raises
        ------
        ValueError
            If number or shape differ, or a stateful layer meets another batch size.
        """
        self._check_batch(batch)
        if self.stateful and self.states is not None and given is None:
            return [state.numpy() for state in self.states]
        if given is None:
            return None
        values = list(given) if isinstance(given, list | tuple) else [given]
        shapes = self.state_shapes(batch)
        if len(values) != len(shapes):
            raise ValueError(
                f"Layer {self.name!r} has {len(shapes)} state(s), initial_state has {len(values)}."
            )
        return [
            as_state(value, shape, self._np_dtype, self.name, "initial_state")
            for value, shape in zip(values, shapes, strict=True)
        ]

    def _check_batch(self, batch: int) -> None:
        if self.stateful and self.states is not None:
            expected = self.states[0].shape[0]
            if expected != batch:
                raise ValueError(
                    "If an RNN is stateful, the batch size of the input sequences must be the "
                    f"same as the batch size of the initial state. Expected batch size: "
                    f"{expected}. Received batch size: {batch}."
                )

    def keep_states(self, states: list[np.ndarray]) -> None:
        """Remember the last states of a stateful layer."""
        for variable, state in zip(self.states or (), states, strict=True):
            variable.assign(state)

    # --- masks ----------------------------------------------------------------

    def step_mask(self, mask: Any, x: np.ndarray) -> np.ndarray | None:
        """Return the mask in the order of reading, (T, B), or None if every step is open."""
        if mask is None:
            return None
        mask = as_mask(mask, x.shape[:2])
        if mask.all():
            return None
        if self.go_backwards:
            mask = mask[:, ::-1]
        return np.ascontiguousarray(mask.T)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }


def check_rank(name: str, shape: Any, rank: int | None = None, least: int = 0) -> None:
    """Check that the shape of an input has an axis of time.

    Raises
    ------
    ValueError
        If it has another number of axes than `rank`, or fewer than `least`.
    """
    found = len(shape)
    if found == rank or (rank is None and found >= least):
        return
    wanted = f"min_ndim={least}" if rank is None else f"ndim={rank}"
    axes = "(batch, timesteps, features)"
    if found == 2:
        axes += (
            ". It has no axis of time: a recurrent layer below this one needs "
            "`return_sequences=True`."
        )
    raise wrong_rank(name, wanted, shape, axes)
