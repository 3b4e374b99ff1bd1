"""`KernelCell`: what the cells share whose steps the kernels know."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.activations import Activation
from rnn_engine.checks import check_memory, input_axes, wrong_rank
from rnn_engine.layers.cell import as_state, check_count, state_sizes
from rnn_engine.layers.cell_arguments import serialized_arguments, take_weight_arguments
from rnn_engine.layers.dropout_cell import DropoutCell, Factors
from rnn_engine.layers.gate_products import product, product_back
from rnn_engine.layers.guard import describe_sizes
from rnn_engine.layers.packed_weights import PackedWeights
from rnn_engine.variable import Variable


@dataclass(slots=True)
class SavedStep:
    """What backward of a step needs: what the step kept, its factors of the input, its batch."""

    kept: Any
    factors: np.ndarray | None
    batch: int


class KernelCell(DropoutCell):
    """Base of the cells whose steps the kernels know.

    A cell has its arguments, its weights, and its step as equations in NumPy (`step`, `back`).
    The kernels go the same steps; the equations serve where the table of the kernels lacks an
    activation: softmax, or one of the user's.

    Parameters
    ----------
    units : int
    activation, recurrent_activation : str or Activation, optional
        A cell without gates has no second one.
    use_bias : bool
    others
        See `LSTM`.

    Attributes
    ----------
    gates : int
        Blocks of U columns in the weights.
    kernel, recurrent_kernel, bias : Variable
        (F, gates · U), (U, gates · U), and `bias_shape`, or None without a bias.
    """

    gates = 1
    _sizes = ("features",)
    kernel: Variable
    recurrent_kernel: Variable
    bias: Variable | None
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    # What a layer around the cell shows of it.
    arguments: tuple[str, ...] = (
        "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer",
        "bias_initializer", "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
        "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout",
        "recurrent_dropout", "seed",
    )  # fmt: skip

    def __init__(
        self,
        units: Any,
        activation: Any,
        use_bias: Any,
        *,
        recurrent_activation: Any = None,
        **kwargs: Any,
    ) -> None:
        self._units = _checked_units(units)
        self._activation = activations.get(activation)
        self._recurrent_activation = activations.get(recurrent_activation)
        self._use_bias = bool(use_bias)
        take_weight_arguments(self, kwargs)
        super().__init__(**kwargs)
        self.packed: PackedWeights | None = None

    # The kernels take their sizes and formulas from these: they cannot be changed.
    units = property(attrgetter("_units"), doc="Size of state and output.")
    output_size = property(attrgetter("_units"), doc="Size of the output.")
    features = property(attrgetter("_features"), doc="Size of the input.")
    activation = property(attrgetter("_activation"), doc="Activation of the state.")
    recurrent_activation = property(
        attrgetter("_recurrent_activation"), doc="Activation of the gates."
    )
    use_bias = property(attrgetter("_use_bias"), doc="Whether there is a bias.")

    @property
    def state_size(self) -> Any:
        """Size of the state, or a list of the sizes of several."""
        return self._units

    @property
    def kernel_name(self) -> str:
        """What the kernels call this cell."""
        raise TypeError(f"{type(self).__name__} must define kernel_name.")

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations in the order of the kernels."""
        if self.gates == 1:
            return (self._activation,)
        return self._activation, self._recurrent_activation

    # --- weights --------------------------------------------------------------

    def bias_shape(self) -> tuple[int, ...]:
        """Return the shape of the bias."""
        return (self.gates * self._units,)

    def initial_bias(self) -> Any:
        """Return the initializer of the bias."""
        return self.bias_initializer

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel (F, gates · U), recurrent kernel (U, gates · U) and bias.

        Raises
        ------
        ValueError
            If the shape is not (batch, features).
        """
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise wrong_rank(self.name, "ndim=2", input_shape, "(batch, known features)")
        self._features, columns = int(input_shape[-1]), self.gates * self._units
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (self._features, columns),
            "recurrent_kernel": (self._units, columns),
        }
        if self._use_bias:
            shapes["bias"] = self.bias_shape()
        for name, shape in shapes.items():  # before any memory is taken
            what = f"Weight {name!r} of layer {self.path!r} ({describe_sizes(self)})"
            check_memory(what, shape, self._np_dtype)
        made = [self._make(name, shape) for name, shape in shapes.items()]
        self.kernel, self.recurrent_kernel = made[:2]
        self.bias = made[2] if self._use_bias else None
        codes = tuple(activation.code for activation in self.activations)
        if None not in codes:
            sizes = self.kernel_name, codes, self._features, self._units, self._np_dtype
            self.packed = PackedWeights(sizes, self.kernel, self.recurrent_kernel, self.bias)

    def _make(self, name: str, shape: tuple[int, ...]) -> Variable:
        weight = name.removesuffix("_kernel")
        initializer = getattr(self, f"{weight}_initializer")
        return self.add_weight(
            shape,
            self.initial_bias() if name == "bias" else initializer,
            name,
            regularizer=getattr(self, f"{weight}_regularizer"),
            constraint=getattr(self, f"{weight}_constraint"),
        )

    @property
    def runs_in_kernels(self) -> bool:
        """Whether the kernels can take it through time: a subclass may have a step of its own."""
        return self.packed is not None and not self._foreign

    # --- one step -------------------------------------------------------------

    def step(self, x: np.ndarray, states: list[np.ndarray], factors: Factors) -> Any:
        """Return output, the list of new states, and what `back` needs."""
        raise TypeError(f"{type(self).__name__} must define step(x, states, factors).")

    def back(self, doutput: np.ndarray, dstates: Any, saved: Any) -> Any:
        """Add the weight gradients; return dx and the list of the gradients by the states."""
        raise TypeError(f"{type(self).__name__} must define back(doutput, dstates, saved).")

    def _affine(self, x: np.ndarray, h: np.ndarray, factors: Factors) -> np.ndarray:
        """Return x·kernel + h·recurrent_kernel + bias, (B, gates · U), for a `step`."""
        bias = None if self.bias is None else self.bias.value
        z = product(x, self.kernel.value, bias, factors.x)
        return z + product(h, self.recurrent_kernel.value, None, factors.h)

    def _affine_back(
        self, dz: np.ndarray, x: np.ndarray, h: np.ndarray, factors: Factors
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add the gradients of the weights in `_affine`; return those by x and h."""
        db = None if self.bias is None else self.bias.grad
        dx = product_back(dz, x, self.kernel.value, (self.kernel.grad, db), factors.x)
        recurrent = self.recurrent_kernel
        return dx, product_back(dz, h, recurrent.value, (recurrent.grad, None), factors.h)

    def forward(self, x: np.ndarray, states: Any, training: bool = False) -> Any:
        """Return output (B, U), the new states, and what backward needs.

        Where the kernels know the activations a step is a sequence of length one: it has
        the bits of the layer.
        """
        input_axes(self.name, x, "(batch, features)", self._features, rank=2)
        batch = len(x)
        states = self._checked(states, batch, "states")
        factors = self.kept_factors(x, states[0]) if training else Factors()
        if self.packed is None:
            output, last, kept = self.step(x, states, factors)
            return output, last, SavedStep(kept, None, batch)
        shared, drop_x = factors.of_inputs()
        if shared is not None:
            x = x * shared
        _, last, kept = self.packed.recurrence.forward(
            self.packed.current(), x[:, None], states, None, drop_x, factors.h, keep=True
        )
        # Arrays of their own: who adds to the output in place would change the state.
        return last[0].copy(), last, SavedStep(kept, shared, batch)

    def backward(  # type: ignore[override]  # a cell takes the gradients of states
        self, doutput: np.ndarray, dstates: Any, saved: SavedStep
    ) -> Any:
        """Add the weight gradients; return dx (B, F) and the gradients by the states."""
        shape = (saved.batch, self._units)
        doutput = as_state(doutput, shape, self._np_dtype, self.name, "doutput")
        dstates = self._checked(dstates, saved.batch, "dstates")
        if self.packed is None:
            return self.back(doutput, dstates, saved.kept)
        dlast = [doutput + dstates[0], *dstates[1:]]
        dx, dbefore = self.packed.recurrence.backward(
            saved.kept, None, dlast, self.packed.gradients()
        )
        assert dx is not None
        dx = dx[:, 0]
        return (dx if saved.factors is None else dx * saved.factors), dbefore

    def _checked(self, states: Any, batch: int, argument: str) -> list[np.ndarray]:
        """Return states, or gradients by them, as the kernels take them."""
        sizes = state_sizes(self)
        check_count(self.name, states, sizes, argument)
        return [
            as_state(state, (batch, size), self._np_dtype, self.name, argument)
            for state, size in zip(states, sizes, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), **self.arguments_config()}

    def arguments_config(self) -> dict[str, Any]:
        """Return the arguments that a layer around the cell takes as well."""
        return serialized_arguments(self, self.arguments)


def _checked_units(units: Any) -> int:
    if isinstance(units, bool) or not isinstance(units, int | np.integer) or units <= 0:
        raise ValueError(
            f"Received an invalid value for argument `units`, expected a positive integer, got "
            f"{units!r}."
        )
    return int(units)
