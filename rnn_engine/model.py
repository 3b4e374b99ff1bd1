"""`Model`: what models share, whatever their layers are joined by."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn_engine.checks import as_gradient
from rnn_engine.graph.inside import with_inner
from rnn_engine.layers.base import Layer
from rnn_engine.layers.guard import is_ours
from rnn_engine.layers.logits import LogitsPath
from rnn_engine.random import Place
from rnn_engine.saving.saveable import Saveable
from rnn_engine.training import Trainer

if TYPE_CHECKING:
    from rnn_engine.streaming import Stream


class Model(Trainer, Saveable, Layer):
    """A model: layers with training, saving and summary (`keras.Model`).

    ``Model(inputs, outputs)`` makes one of symbolic tensors, see `Functional`; `Sequential`
    is a row of layers.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or list, tuple or dict of them
        What comes from `Input`, and what layers that were called on it returned.
    name : str, optional
    trainable : bool, optional

    Raises
    ------
    TypeError
        If it is called with something else.
    ValueError
        If an output does not depend on the inputs alone.

    Examples
    --------
    >>> import numpy as np
    >>> import rnn_engine
    >>> x = rnn_engine.Input((5, 3))
    >>> h, state = rnn_engine.layers.SimpleRNN(4, return_state=True)(x)
    >>> model = Model(x, [rnn_engine.layers.Dense(2)(h), state])
    >>> [y.shape for y in model(np.zeros((7, 5, 3)))]
    [(7, 2), (7, 4)]
    """

    _locks_layers = False
    passes_penalties = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        own = set(vars(cls))
        super().__init_subclass__(**kwargs)
        if "call" in own:
            from rnn_engine.subclassed import adopt_model

            adopt_model(cls, own)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a `Functional` where a plain `Model` is made of tensors."""
        if cls is Model and _made_of_tensors(args, kwargs):
            return super().__new__(_functional())
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if _made_of_tensors(args, kwargs) and not isinstance(self, functional := _functional()):
            # A user's class, called with tensors, is a graph with methods of its own.
            _insert(type(self), functional)
            functional.__init__(self, *args, **kwargs)
            return
        if type(self) is Model:
            if kwargs and not args:
                raise ValueError(f"Unrecognized keyword arguments passed to Model: {kwargs}")
            raise TypeError("Models are made with `Sequential([...])` or `Model(inputs, outputs)`.")
        if type(self).call is Model.call and not is_ours(type(self)):
            _hold(type(self))
        super().__init__(*args, **kwargs)
        self._place = Place()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a model from what `get_config` returned: a graph, or one of a user's class."""
        if cls is Model and {"layers", "input_layers", "output_layers"} <= config.keys():
            return _functional().from_config(config)
        return cls(**config)

    # --- layers ---------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers."""
        return list(self.sublayers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of the two is given.
        """
        if (name is None) == (index is None):
            if name is not None:
                raise ValueError(
                    "Provide only a layer name or a layer index. Received: "
                    f"index={index}, name={name}."
                )
            raise ValueError("Provide either a layer name or a layer index at `get_layer`.")
        if index is not None:
            if index >= len(self.layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        raise ValueError(f"No such layer: {name}. Existing layers are: {names}.")

    @property
    def input(self) -> Any:
        """The symbolic input, in the form in which it was given."""
        return super().input

    # --- what each kind of model has its own of, and training asks for ---------

    def build_from_data(self, x: Any) -> None:
        """Build the model for data like `x`, if it is not built yet."""
        raise NotImplementedError(f"{type(self).__name__} must define build_from_data(x).")

    def checked_output_shape(self, x: Any) -> Any:
        """Check the shape of the input of every layer; return the output's, None if unknown."""
        raise NotImplementedError(f"{type(self).__name__} must define checked_output_shape(x).")

    # --- penalties ------------------------------------------------------------

    @property
    def has_penalties(self) -> bool:
        """Whether a weight or an activity is penalized, or a layer may call `add_loss`."""
        weights = any(v.regularizer is not None for v in self.weights)
        return weights or any(
            layer._traced or layer.activity_regularizer is not None for layer in with_inner([self])
        )

    def regularization(self, saved: Any = None) -> float:
        """Add the gradients of the weights' penalties; return the sum of all penalties.

        Those on activities are in `saved`, their gradients are added by backward.
        """
        total = 0.0
        for variable in self.trainable_variables:
            if variable.regularizer is not None:
                total += float(variable.regularizer(variable.value))
                value = variable.value
                what = f"The gradient of the regularizer of {variable.path!r}"
                slope = variable.regularizer.gradient(value)
                variable.grad[...] += as_gradient(slope, value.shape, value.dtype, what)
        return total if saved is None else total + self.penalties(saved)

    def reset_state(self) -> None:
        """Forget what stateful layers carry from batch to batch."""
        for layer in self.layers:
            if getattr(layer, "stateful", True):  # Bidirectional raises otherwise, as in Keras
                layer.reset_state()

    reset_states = reset_state

    def stream(self, batch_size: int = 1, nan: str = "propagate") -> "Stream":
        """Return a session that takes sequences bit by bit. Keras has none.

        Parameters
        ----------
        batch_size : int
            Sequences side by side.
        nan : str
            ``"propagate"``, or ``"raise"`` to refuse inputs that are not finite.

        Raises
        ------
        ValueError
            If a layer needs more than the steps so far, or the model is not one row of layers
            over time: see `rnn_engine.streaming.Stream`.

        Examples
        --------
        >>> import numpy as np
        >>> import rnn_engine
        >>> layers = [rnn_engine.layers.LSTM(4, input_shape=(None, 2))]
        >>> session = rnn_engine.Sequential(layers).stream()
        >>> session.step(np.zeros((1, 2), np.float32)).shape
        (1, 4)
        """
        from rnn_engine.streaming import Stream  # few programs need it

        return Stream(self, batch_size, nan)

    def logits_path(self, training: bool) -> LogitsPath | None:
        """Return the way to the logits of the output, None if it has none."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        # The data of the last `fit` are no part of a model.
        return {**super().__getstate__(), "_training_data": None}

    # --- showing --------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers (`keras.Model.summary`).

        Of a graph that is no row of layers it also tells what each is connected to. Masks go
        along with tensors here and are no operations of the graph, so Keras's rows of those,
        behind `Masking` and ``Embedding(mask_zero=True)`` in a functional model, are absent.

        Parameters
        ----------
        line_length : int, optional
            Width of the table.
        positions : list of float, optional
            Ends of the columns, as fractions of the width.
        print_fn : callable, optional
            Takes the table as one string instead of `print`.
        expand_nested, show_trainable : bool
            Show the layers of nested models; show a column on being trained.
        layer_range : pair of str, optional
            Names of the first and last layer to show.
        """
        from rnn_engine.summary import summary_table

        text = summary_table(
            self, line_length, positions, expand_nested, show_trainable, layer_range
        )
        if print_fn is None:
            print(text)
        else:
            print_fn(text + "\n")

    def _repr_html_(self) -> str:
        """Return what notebooks show of a model: its summary."""
        from rnn_engine.summary import summary_html

        return summary_html(self)


def adjusted(x: Any, shape: Any) -> Any:
    """Return `x` with a last axis of size one added or dropped where `shape` wants it."""
    if shape is not None and x.ndim != len(shape):
        if x.ndim == len(shape) - 1 and shape[-1] == 1:
            return x[..., None]
        if x.ndim == len(shape) + 1 and x.shape[-1] == 1:
            return x[..., 0]
    return x


def _functional() -> Any:
    from rnn_engine.functional import Functional  # it is a `Model` itself

    return Functional


def _made_of_tensors(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a model is called as ``Model(inputs, outputs)``, in any form."""
    return (
        len(args) >= 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )


def _insert(cls: type, kind: type) -> None:
    """Let a user's subclass of `Model` be one of `Functional`, as Keras does, or `Holder`."""
    if not issubclass(cls, kind):
        cls.__bases__ = tuple(kind if base is Model else base for base in cls.__bases__)
        for base in cls.__bases__:
            if issubclass(base, Model):
                _insert(base, kind)


def _hold(cls: type) -> None:
    """Let a user's subclass of `Model` that has no `call` hold the layers among its attributes."""
    if any(
        base.__bases__ and Model in base.__bases__ and not is_ours(base) for base in cls.__mro__
    ):
        from rnn_engine.subclassed import Holder

        _insert(cls, Holder)
