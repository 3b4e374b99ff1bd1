"""`CellRNN`: what the layers share that are made around one cell of the kernels."""

from operator import attrgetter
from typing import Any

import numpy as np

from rnn_engine import regularizers
from rnn_engine.checks import unfit
from rnn_engine.layers.kernel_cell import KernelCell
from rnn_engine.layers.recurrent import Recurrent, check_rank
from rnn_engine.layers.rnn import RNN


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

    # The states are no nest of lists: nothing has to be put back into one.
    __call__ = Recurrent.__call__

    def create_weights(self, input_shape: Any) -> None:
        """Build the cell.

        Raises
        ------
        ValueError
            If the shape is not (batch, timesteps, features) with known features.
        """
        check_rank(self.name, input_shape, rank=3)
        if input_shape[-1] is None:
            raise unfit(
                self.name,
                f"(batch, timesteps, features) with known features, but received input with shape "
                f"{tuple(input_shape)}",
            )
        super().create_weights(input_shape)

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the output, or (output, *states) with `return_state`, and `SavedRNN` or None."""
        # Small calls are a matter of a microsecond: no more Python than needed.
        if mask is None and initial_state is None and not (training or keep):
            cell = self.cell
            packed = cell.packed
            if (
                packed is not None
                and not (self.return_sequences or self.return_state)
                and not (self.go_backwards or self.stateful)
                and x.ndim == 3
                and x.shape[2] == cell._features
                and x.size
            ):
                return packed.recurrence.last(packed.current(), x), None
        return super().forward(x, training, mask, initial_state, keep)

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
