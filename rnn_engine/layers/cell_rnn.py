"""`CellRNN`: what the layers share that are made around one cell of the kernels."""

from operator import attrgetter
from typing import Any

import numpy as np

from rnn_engine import regularizers
from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import unknown_size
from rnn_engine.layers.kernel_cell import KernelCell
from rnn_engine.layers.recurrent import Recurrent, check_rank
from rnn_engine.layers.rnn import RNN, SavedRNN
from rnn_engine.tensor import Tensor
from rnn_engine.variable import writes


def of_cell(name: str) -> Any:
    """Return a property that shows what the layer's cell has under this name."""
    return property(attrgetter(f"cell.{name}"), doc=f"The cell's `{name}`.")


class CellRNN(RNN):
    """Base of `SimpleRNN`, `LSTM` and `GRU`: an `RNN` around one `KernelCell`.

    The weights are the cell's, and so are the arguments that both are told.
    """

    units = of_cell("units")
    features = of_cell("features")
    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")
    seed = of_cell("seed")
    kernel = of_cell("kernel")
    recurrent_kernel = of_cell("recurrent_kernel")
    bias = of_cell("bias")

    cell: KernelCell

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
        if (
            (mask is None and initial_state is None and not training)
            and (type(inputs) is np.ndarray and inputs.dtype is self._np_dtype)
            and (self.built and not self._gives_half and not OPEN and not self.notes_losses)
        ):
            before = writes.count
            y = self._last(inputs)
            if y is not None and writes.count == before and not before & 1:
                return y.view(Tensor)
        # The states are no nest of lists: nothing has to be put back into one.
        return Recurrent.__call__(self, inputs, initial_state, training=training, mask=mask)

    def create_weights(self, input_shape: Any) -> None:
        """Build the cell.

        Raises
        ------
        ValueError
            If the shape is not (batch, timesteps, features) with known features.
        """
        check_rank(self.name, input_shape, rank=3)
        if input_shape[-1] is None:
            raise unknown_size(self.name, input_shape)
        super().create_weights(input_shape)

    # --- the way of the data --------------------------------------------------
    # What `RNN` does, for one cell of the layer's own type. Small passes are a matter of some
    # microseconds: no more Python than needed.

    def _last(self, x: np.ndarray) -> Any:
        """Return the last output from zeros, or None where that is not all that is wanted."""
        packed = self.cell.packed
        if (
            packed is None
            or self.return_sequences
            or self.return_state
            or self.go_backwards
            or self.stateful
            or x.ndim != 3
            or x.shape[2] != packed.features
            or not x.size
        ):
            return None
        return packed.recurrence.last(packed.current(), x)

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, *states) with `return_state`, and `SavedRNN` or None."""
        keep = keep or training
        if mask is None and initial_state is None and not keep:
            y = self._last(x)
            if y is not None:
                return y, None
        if x.ndim != 3 or x.shape[2:] != self._feature_shape or not x.size:
            self._check_shape(x)
        states = None
        if initial_state is not None or self.stateful:
            states = self.initial_states(initial_state, len(x))
        if mask is not None:
            mask = self.step_mask(mask, x)
        turned, with_states, sequences = self.go_backwards, self.return_state, self.return_sequences
        if turned:
            x = x[:, ::-1]
        (loop,) = self._loops
        y, last, kept = loop.forward(
            x, states, mask, training, keep, sequences, self.zero_output_for_mask
        )
        if self.stateful:
            self.keep_states(last)
        saved = None
        if keep:
            saved = SavedRNN([kept], y.shape, with_states, initial_state is not None, turned)
        if with_states:
            # Arrays of their own: who writes to one of them would change the other.
            return (y, *(state.copy() if state is y else state for state in last)), saved
        return y, saved

    def backward(self, dy: Any, saved: SavedRNN, need_dx: bool = True) -> Any:
        """Add the weight gradients; return dx (B, T, F), or None: see `RNN.backward`."""
        (loop,) = self._loops
        if saved.with_states:
            dy, dlast = self._gradients(dy, saved)
        else:
            dlast = [None] * len(loop.sizes)
            if dy is not None:
                dy = self.gradient_like(dy, saved.shape)
        dx, before = loop.backward(dy, dlast, saved.loops[0], need_dx)
        if not need_dx:
            dx = None
        elif saved.turned:
            dx = dx[:, ::-1]
        return (dx, *before) if saved.started else dx

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        del config["cell"]
        return {
            **config,
            **self.cell.arguments_config(),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """Build a layer from what `get_config` returned; its weights are new."""
        return cls(**config)


def checked_use_cudnn(value: Any) -> Any:
    """Return the argument `use_cudnn` as it is.

    Raises
    ------
    ValueError
        If it is not ``"auto"``, True or False.
    """
    if value not in ("auto", True, False):
        # Keras's words, "valid" for "value" included.
        raise ValueError(
            "Invalid valid received for argument `use_cudnn`. Expected one of {'auto', True, "
            f"False}}. Received: use_cudnn={value}"
        )
    return value
