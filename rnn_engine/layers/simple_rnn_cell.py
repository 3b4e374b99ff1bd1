"""`SimpleRNNCell`."""

from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import fraction, input_axes, positive_int
from rnn_engine.layers.base import registry
from rnn_engine.layers.cell import RNNCell
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.simple_rnn import SimpleRNN
from rnn_engine.random import check_seed, make_generator
from rnn_engine.variable import Variable

# What a layer and its cell are both told.
_SHARED = (
    "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer",
    "bias_initializer", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
    "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout",
    "recurrent_dropout", "seed", "trainable", "dtype",
)  # fmt: skip


@registry.register()
class SimpleRNNCell(RNNCell):
    """One step of `SimpleRNN` (`keras.layers.SimpleRNNCell`).

    output = new state = activation(x·kernel + state·recurrent_kernel + bias)

    Parameters
    ----------
    units : int
        Size of state and output.
    activation : str or Activation
        Any, also those that `SimpleRNN` does not take; `RNN` runs an elementwise one of
        the table in kernels, another one step by step.
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
        self.units = self.state_size = self.output_size = positive_int(units, "units")
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout = fraction(dropout, "dropout")
        self.recurrent_dropout = fraction(recurrent_dropout, "recurrent_dropout")
        self.seed = check_seed(seed)
        super().__init__(**kwargs)
        self._generator = make_generator(seed) if self.dropout or self.recurrent_dropout else None
        self._dropout_mask: np.ndarray | None = None
        self._recurrent_dropout_mask: np.ndarray | None = None

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel (F, U), recurrent kernel (U, U) and bias (U,)."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f'Input 0 of cell "{self.name}" is incompatible with the cell: expected ndim=2 '
                f"(batch, features) with known features, got shape {tuple(input_shape)}."
            )
        self.features = positive_int(input_shape[-1], "features")
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (self.features, self.units),
            "recurrent": (self.units, self.units),
        }
        if self.use_bias:
            shapes["bias"] = (self.units,)
        made = [
            self.add_weight(
                shape,
                getattr(self, f"{name}_initializer"),
                "recurrent_kernel" if name == "recurrent" else name,
                regularizer=getattr(self, f"{name}_regularizer"),
                constraint=getattr(self, f"{name}_constraint"),
            )
            for name, shape in shapes.items()
        ]
        self._use(made)

    def _use(self, weights: list[Variable]) -> None:
        self.kernel, self.recurrent_kernel = weights[:2]
        self.bias = weights[2] if self.use_bias else None
        # A step is a sequence of length one: it has the kernels' bits.
        known = self.activation.code is not None
        self._step = self.as_layer(self.activation if known else "linear", return_state=True)

    @classmethod
    def of_layer(cls, layer: SimpleRNN) -> "SimpleRNNCell":
        """Return the cell that makes the steps of a `SimpleRNN`: it has its very weights."""
        cell = cls(**{name: getattr(layer, name) for name in _SHARED}, name="simple_rnn_cell")
        cell._generator = layer._generator
        if layer.built:
            cell.features, cell._variables = layer.features, layer._variables
            cell._use(layer._variables)
            cell.build_shape, cell.built = (None, layer.features), True
        return cell

    def as_layer(self, activation: Any = None, **options: Any) -> SimpleRNN:
        """Return a `SimpleRNN` that has this cell's weights, and draws from its generator."""
        layer = SimpleRNN(
            self.units,
            activation=self.activation if activation is None else activation,
            use_bias=self.use_bias,
            dtype=self.dtype,
            name=self.name,
            **options,
        )
        layer.features = self.features
        layer.kernel, layer.recurrent_kernel = self.kernel, self.recurrent_kernel
        layer.bias = self.bias
        layer.dropout, layer.recurrent_dropout = self.dropout, self.recurrent_dropout
        layer._generator = self._generator
        layer.built = True
        return layer

    # --- dropout --------------------------------------------------------------

    def get_dropout_mask(self, step_input: Any) -> np.ndarray | None:
        """Return the factors of the input, drawn if there are none; None without dropout."""
        if self._dropout_mask is None and self.dropout:
            shape = np.shape(step_input)
            self._dropout_mask = dropout_mask(self._generator, self.dropout, shape, self._np_dtype)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Any) -> np.ndarray | None:
        """Return the factors of the state, drawn if there are none; None without dropout."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout:
            self._recurrent_dropout_mask = dropout_mask(
                self._generator, self.recurrent_dropout, np.shape(step_input), self._np_dtype
            )
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Forget the factors of the input."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Forget the factors of the state."""
        self._recurrent_dropout_mask = None

    # --- one step -------------------------------------------------------------

    def forward(self, x: np.ndarray, states: Any, training: bool = False) -> Any:
        """Return output (B, U), the new states, and what backward needs."""
        input_axes(self.name, x, "(batch, features)", self.features, rank=2)
        h = states[0]
        drop_x = self.get_dropout_mask(x) if training else None
        drop_h = self.get_recurrent_dropout_mask(h) if training else None
        x = x if drop_x is None else x * drop_x
        h = h if drop_h is None else h * drop_h
        (y, _), saved = self._step.forward(x[:, None], initial_state=[h], keep=True)
        z = y
        if self.activation.code is None:
            y = self.activation(z)
        # One array for both: who adds to the one in place would change the other.
        return y, [y.copy()], (saved, z if self.activation.from_input else y, drop_x, drop_h)

    def backward(  # type: ignore[override]  # a cell takes the gradients of states
        self, doutput: np.ndarray, dstates: Any, saved: Any
    ) -> Any:
        """Add the weight gradients; return dx (B, F) and [dstate (B, U)]."""
        kept, shown, drop_x, drop_h = saved
        dy = doutput + dstates[0]
        if self.activation.code is None:
            dy = self.activation.backward(dy, shown)
        dx, dh = self._step.backward((dy, None), kept)
        dx = dx[:, 0]
        dx = dx if drop_x is None else dx * drop_x
        return dx, [dh if drop_h is None else dh * drop_h]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": constraints.serialize(self.recurrent_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
