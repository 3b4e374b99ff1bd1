"""`GRU` and `GRUCell`."""

from operator import attrgetter
from typing import Any

import numpy as np

from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import registry
from rnn_engine.layers.cell_rnn import CellRNN, checked_use_cudnn, of_cell
from rnn_engine.layers.dropout_cell import Factors
from rnn_engine.layers.gate_products import product, product_back
from rnn_engine.layers.kernel_cell import KernelCell


@registry.register()
class GRUCell(KernelCell):
    """One step of `GRU` (`keras.layers.GRUCell`).

    With the columns of kernel, recurrent kernel and bias in the order z, r, g, and
    ``a = x·kernel``, ``s = h·recurrent_kernel``, each with its bias:

    z = recurrent_activation(a_z + s_z),    r = recurrent_activation(a_r + s_r)

    g = activation(a_g + r ⊙ s_g), or without `reset_after` activation(a_g + (r ⊙ h)·R_g)

    h' = z ⊙ h + (1 - z) ⊙ g

    Output and state are h'.

    Parameters
    ----------
    units : int
        Size of state and output.
    activation, recurrent_activation : str or Activation
        Elementwise ones of the table run in the kernels, others step by step in NumPy.
    use_bias : bool
        With `reset_after` a and s have a bias each, in an array (2, 3 · units), without it
        only a has one, (3 · units,).
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
    kernel_regularizer, recurrent_regularizer, bias_regularizer : Regularizer, optional
    kernel_constraint, recurrent_constraint, bias_constraint : Constraint, optional
    dropout, recurrent_dropout : float
        See `GRU`. Called by itself, the cell keeps its masks from call to call
        until `reset_dropout_mask` and `reset_recurrent_dropout_mask`, as in Keras;
        `RNN` draws them once a batch.
    reset_after : bool
        Apply the reset gate after the product with the recurrent kernel, not before it.
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
    >>> cell = GRUCell(2)
    >>> output, (state,) = cell(np.ones((1, 3)), [np.zeros((1, 2))])
    >>> output.shape, bool((output == state).all())
    ((1, 2), True)
    """

    gates = 3
    arguments = (*KernelCell.arguments, "recurrent_activation", "reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        self._reset_after = bool(reset_after)
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

    reset_after = property(attrgetter("_reset_after"), doc="Where the reset gate stands.")

    @property
    def kernel_name(self) -> str:
        """What the kernels call this cell."""
        return "gru" if self.reset_after else "gru_reset_before"

    def bias_shape(self) -> tuple[int, ...]:
        """Return the shape of the bias: (2, 3U) with `reset_after`, else (3U,)."""
        columns = 3 * self.units
        return (2, columns) if self.reset_after else (columns,)

    def _biases(self, arrays: Any) -> tuple[Any, Any]:
        """Return the parts of the bias, or of its gradient, that go to x·W and h·R."""
        if arrays is None:
            return None, None
        return tuple(arrays) if self.reset_after else (arrays, None)

    def step(self, x: np.ndarray, states: list[np.ndarray], factors: Factors) -> Any:
        """Return h' (B, U), [h'], and what `back` needs."""
        (h,) = states
        b, b_h = self._biases(None if self.bias is None else self.bias.value)
        x_z, x_r, x_g = np.split(product(x, self.kernel.value, b, factors.x), 3, axis=1)
        recurrent, drops = self._parts(self.recurrent_kernel.value, factors)
        if self.reset_after:
            s = product(h, self.recurrent_kernel.value, b_h, factors.h)
            s_z, s_r, s_g = np.split(s, 3, axis=1)
        else:
            s_z, s_r = np.split(product(h, recurrent[0], None, drops[0]), 2, axis=1)
        z = Activated(self.recurrent_activation, x_z + s_z)
        r = Activated(self.recurrent_activation, x_r + s_r)
        if self.reset_after:
            inner = s_g
            g = Activated(self.activation, x_g + r.value * s_g)
        else:
            inner = r.value * h
            g = Activated(self.activation, x_g + product(inner, recurrent[1], None, drops[1]))
        new = z.value * h + (1 - z.value) * g.value
        return new, [new.copy()], (x, h, (z, r, g, inner), factors)

    def _parts(self, recurrent: np.ndarray, factors: Factors) -> tuple[Any, Any]:
        """Return the columns that the gates and that the candidate takes, and their factors."""
        columns, drops = 2 * self.units, factors.h
        per_gate = drops is not None and len(drops) > 1
        return (recurrent[:, :columns], recurrent[:, columns:]), (
            (drops[:2], drops[2:]) if per_gate and drops is not None else (drops, drops)
        )

    def back(self, doutput: np.ndarray, dstates: Any, saved: Any) -> Any:
        """Add the weight gradients; return dx (B, F) and [dstate (B, U)]."""
        x, h, (z, r, g, inner), factors = saved
        db, db_h = self._biases(None if self.bias is None else self.bias.grad)
        recurrent, d_recurrent = self.recurrent_kernel.value, self.recurrent_kernel.grad
        dh = doutput + dstates[0]
        dg = g.back(dh * (1 - z.value))
        dz = z.back(dh * (h - g.value))
        if self.reset_after:
            dr = r.back(dg * inner)
            ds = np.concatenate([dz, dr, dg * r.value], axis=1)
            before = product_back(ds, h, recurrent, (d_recurrent, db_h), factors.h)
        else:
            (gates, candidate), drops = self._parts(recurrent, factors)
            (d_gates, d_candidate), _ = self._parts(d_recurrent, factors)
            d_inner = product_back(dg, inner, candidate, (d_candidate, None), drops[1])
            dr = r.back(d_inner * h)
            ds = np.concatenate([dz, dr], axis=1)
            before = product_back(ds, h, gates, (d_gates, None), drops[0]) + d_inner * r.value
        da = np.concatenate([dz, dr, dg], axis=1)
        dx = product_back(da, x, self.kernel.value, (self.kernel.grad, db), factors.x)
        return dx, [before + dh * z.value]


@registry.register()
class GRU(CellRNN):
    """Gated recurrent unit (`keras.layers.GRU`).

    The equations of a step stand at `GRUCell`.

    Parameters
    ----------
    units : int
        Size of the state and of the output.
    activation, recurrent_activation : str or Activation
        Elementwise ones of the table run in the kernels, others in a loop over steps.
    use_bias : bool
        See `GRUCell`.
    kernel_initializer, recurrent_initializer, bias_initializer : str or Initializer
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
        Return the last state too, after the output.
    go_backwards : bool
        Read the sequence from its end; outputs come in the order of reading.
    stateful : bool
        Start each batch with the last state of the batch before.
    unroll : bool
        Accepted; the result is the same.
    reset_after : bool
        Apply the reset gate after the product with the recurrent kernel, not before it.
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
    >>> layer = GRU(4, return_sequences=True, return_state=True)
    >>> y, h = layer(np.zeros((2, 10, 8)))
    >>> y.shape, h.shape
    ((2, 10, 4), (2, 4))
    """

    recurrent_activation = of_cell("recurrent_activation")
    reset_after = of_cell("reset_after")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        *,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units,
            activation=activation,
            use_bias=use_bias,
            recurrent_activation=recurrent_activation,
            reset_after=reset_after,
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
            name="gru_cell",
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
