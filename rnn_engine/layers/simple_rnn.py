"""`SimpleRNN` and `SimpleRNNCell`."""

from typing import Any

import numpy as np

from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import registry
from rnn_engine.layers.cell_rnn import CellRNN
from rnn_engine.layers.dropout_cell import Factors
from rnn_engine.layers.kernel_cell import KernelCell


@registry.register()
class SimpleRNNCell(KernelCell):
    """One step of `SimpleRNN` (`keras.layers.SimpleRNNCell`).

    output = new state = activation(x·kernel + state·recurrent_kernel + bias)

    Parameters
    ----------
    units : int
        Size of state and output.
    activation : str or Activation
        Elementwise ones of the table run in the kernels, others step by step in NumPy.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        See `SimpleRNN`. Called by itself, the cell keeps its masks from call to call
        until `reset_dropout_mask` and `reset_recurrent_dropout_mask`, as in Keras;
        `RNN` draws them once a batch.
    seed : int, optional
        Of the dropout.

    Raises
    ------
    ValueError
        If `units` is not a positive integer, a rate not within 0..1 or a name unknown.

    Examples
    --------
    >>> cell = SimpleRNNCell(2, kernel_initializer="ones", activation="linear")
    >>> output, states = cell(np.ones((1, 3)), [np.zeros((1, 2))])
    >>> output
    array([[3., 3.]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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

    @property
    def kernel_name(self) -> str:
        """What the kernels call this cell."""
        return "simple_rnn"

    def step(self, x: np.ndarray, states: list[np.ndarray], factors: Factors) -> Any:
        """Return output (B, U), [new state], and what `back` needs."""
        (h,) = states
        z = self._affine(x, h, factors)
        y = Activated(self.activation, z)
        return y.value, [y.value.copy()], (x, h, y, factors)

    def back(self, doutput: np.ndarray, dstates: Any, saved: Any) -> Any:
        """Add the weight gradients; return dx (B, F) and [dstate (B, U)]."""
        x, h, y, factors = saved
        dz = y.back(doutput + dstates[0])
        dx, dh = self._affine_back(dz, x, h, factors)
        return dx, [dh]


@registry.register()
class SimpleRNN(CellRNN):
    """A fully connected recurrent layer (`keras.layers.SimpleRNN`).

    h[t] = activation(x[t]·kernel + h[t-1]·recurrent_kernel + bias)

    Parameters
    ----------
    units : int
        Size of the state and of the output.
    activation : str or Activation
        Elementwise ones run in the kernels, others in a loop over steps.
    use_bias : bool
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    activity_regularizer : Regularizer, optional
        Penalty on the output, as Keras documents it. Keras 3.15 forgets it: its `SimpleRNN` does
        not hand it on to the layer below, as its `LSTM` and `GRU` do. A difference on purpose.
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        Share of the inputs, and of the state where it meets the recurrent kernel, that
        training sets to zero; drawn once a batch for all steps. Keras's distribution,
        not its bits.
    return_sequences : bool
        Return the output of every step, not just of the last.
    return_state : bool
        Return the last state too, after the output.
    go_backwards : bool
        Read the sequence from its end; outputs come in the order of reading.
    stateful : bool
        Start each batch with the last state of the batch before.
    unroll : bool
        Accepted; the result is the same.
    seed : int, optional
        Of the dropout.
    zero_output_for_mask : bool
        A masked step's output is zero, not the output of the step before.

    Input shape (batch, timesteps, features); output shape (batch, units), or
    (batch, timesteps, units) with `return_sequences`.

    Raises
    ------
    ValueError
        If `units` is not a positive integer, a rate not within 0..1 or a name unknown.

    Examples
    --------
    >>> layer = SimpleRNN(2, kernel_initializer="ones", recurrent_initializer="zeros")
    >>> layer(np.zeros((1, 3, 1), np.float32))
    array([[0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        cell = SimpleRNNCell(
            units,
            activation=activation,
            use_bias=use_bias,
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
            name="simple_rnn_cell",
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
