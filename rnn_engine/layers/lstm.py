"""`LSTM` and `LSTMCell`."""

from typing import Any

import numpy as np

from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import registry
from rnn_engine.layers.cell_rnn import CellRNN, checked_use_cudnn, of_cell
from rnn_engine.layers.dropout_cell import Factors
from rnn_engine.layers.kernel_cell import KernelCell


@registry.register()
class LSTMCell(KernelCell):
    """One step of `LSTM` (`keras.layers.LSTMCell`).

    With the columns of kernel, recurrent kernel and bias in the order i, f, g, o, and
    ``z = x·kernel + h·recurrent_kernel + bias``:

    c' = recurrent_activation(z_f) ⊙ c + recurrent_activation(z_i) ⊙ activation(z_g)

    h' = recurrent_activation(z_o) ⊙ activation(c')

    The output is h', the states are [h', c'].

    Parameters
    ----------
    units : int
        Size of the states and of the output.
    activation, recurrent_activation : str or Activation
        Elementwise ones of the table run in the kernels, others step by step in NumPy.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    unit_forget_bias : bool
        Let the bias of the forget gate begin at one.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        See `LSTM`. Called by itself, the cell keeps its masks from call to call
        until `reset_dropout_mask` and `reset_recurrent_dropout_mask`, as in Keras;
        `RNN` draws them once a batch.
    seed : int, optional
        Of the dropout.
    implementation : int
        With 1, dropout draws factors for each gate, else one for all of them.

    Raises
    ------
    ValueError
        If `units` is not a positive integer, a rate not within 0..1 or a name unknown.

    Examples
    --------
    >>> cell = LSTMCell(2)
    >>> output, (h, c) = cell(np.ones((1, 3)), [np.zeros((1, 2)), np.zeros((1, 2))])
    >>> output.shape, c.shape
    ((1, 2), (1, 2))
    """

    gates = 4
    arguments = (*KernelCell.arguments, "recurrent_activation", "unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            activation,
            use_bias,
            recurrent_activation=recurrent_activation,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **kwargs,
        )
        self.unit_forget_bias = bool(unit_forget_bias)

    @property
    def kernel_name(self) -> str:
        """What the kernels call this cell."""
        return "lstm"

    @property
    def state_size(self) -> list[int]:
        """Sizes of the states h and c."""
        return [self.units, self.units]

    def initial_bias(self) -> Any:
        """Return the initializer of the bias, with ones for the forget gate if they are wanted."""
        if not self.unit_forget_bias:
            return self.bias_initializer

        def with_ones(shape: Any, dtype: Any = None) -> np.ndarray:
            sizes = [(self.units,), (2 * self.units,)]
            parts = [np.asarray(self.bias_initializer(size, dtype=dtype)) for size in sizes]
            for part, size in zip(parts, sizes, strict=True):
                if part.shape != size:
                    return part  # whoever asked for the weight says what is wrong
            return np.concatenate([parts[0], np.ones(self.units, dtype), parts[1]])

        return with_ones

    def step(self, x: np.ndarray, states: list[np.ndarray], factors: Factors) -> Any:
        """Return h' (B, U), [h', c'], and what `back` needs."""
        h, c = states
        z = self._affine(x, h, factors)
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
        i, f, o = (Activated(self.recurrent_activation, part) for part in (z_i, z_f, z_o))
        g = Activated(self.activation, z_g)
        new_c = f.value * c + i.value * g.value
        shown = Activated(self.activation, new_c)
        new_h = o.value * shown.value
        return new_h, [new_h.copy(), new_c], (x, h, c, (i, f, g, o, shown), factors)

    def back(self, doutput: np.ndarray, dstates: Any, saved: Any) -> Any:
        """Add the weight gradients; return dx (B, F) and [dh, dc], each (B, U)."""
        x, h, c, (i, f, g, o, shown), factors = saved
        dh = doutput + dstates[0]
        dc = dstates[1] + shown.back(dh * o.value)
        dz = np.concatenate(
            [i.back(dc * g.value), f.back(dc * c), g.back(dc * i.value), o.back(dh * shown.value)],
            axis=1,
        )
        dx, dh = self._affine_back(dz, x, h, factors)
        return dx, [dh, dc * f.value]


@registry.register()
class LSTM(CellRNN):
    """Long short-term memory (`keras.layers.LSTM`).

    The equations of a step stand at `LSTMCell`. There are two states, h and c; the output
    is h.

    Parameters
    ----------
    units : int
        Size of the states and of the output.
    activation, recurrent_activation : str or Activation
        Elementwise ones of the table run in the kernels, others in a loop over steps.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    unit_forget_bias : bool
        Let the bias of the forget gate begin at one.
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    activity_regularizer : Regularizer, optional
        Penalty on the output.
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        Share of the inputs, and of the state where it meets the recurrent kernel, that
        training sets to zero; drawn once a batch for all steps. With `recurrent_dropout` each
        gate has factors of its own, as in Keras, and a rate of 1 does nothing, as there.
        Keras's distribution, not its bits.
    seed : int, optional
        Of the dropout.
    return_sequences : bool
        Return the output of every step, not just of the last.
    return_state : bool
        Return the last states too, after the output.
    go_backwards : bool
        Read the sequence from its end; outputs come in the order of reading.
    stateful : bool
        Start each batch with the last states of the batch before.
    unroll : bool
        Accepted; the result is the same.
    use_cudnn : bool or "auto"
        Accepted: there is no cuDNN here. In Keras True is an error without a GPU.
    implementation : int
        With 1, dropout draws factors for each gate, else one for all of them.
    zero_output_for_mask : bool
        A masked step's output is zero, not the output of the step before.

    Input shape (batch, timesteps, features); output shape (batch, units), or
    (batch, timesteps, units) with `return_sequences`.

    Raises
    ------
    ValueError
        If `units` is not a positive integer, a rate not within 0..1, a name unknown or
        `use_cudnn` something else.

    Examples
    --------
    >>> layer = LSTM(4, return_sequences=True, return_state=True)
    >>> y, h, c = layer(np.zeros((2, 10, 8)))
    >>> y.shape, h.shape, c.shape
    ((2, 10, 4), (2, 4), (2, 4))
    """

    recurrent_activation = of_cell("recurrent_activation")
    unit_forget_bias = of_cell("unit_forget_bias")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: Any = "auto",
        *,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation=activation,
            use_bias=use_bias,
            recurrent_activation=recurrent_activation,
            unit_forget_bias=unit_forget_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            implementation=implementation,
            name="lstm_cell",
            trainable=kwargs.get("trainable", True),
            dtype=kwargs.get("dtype"),
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.use_cudnn = checked_use_cudnn(use_cudnn)
