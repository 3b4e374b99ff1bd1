"""`MultiHeadAttention`."""

import math
from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.checks import as_float_array
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.layers.attending import causal, mean_gradients, mean_of, scores_gradient, weights_of
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.einsum_dense import EinsumDense
from rnn_engine.layers.products import multiply
from rnn_engine.layers.several_inputs import SeveralInputs
from rnn_engine.layers.wrapper import build_inside
from rnn_engine.random import SeedGenerator, make_generator

_OPTIONS = (
    "query_mask", "value_mask", "key_mask", "attention_mask", "return_attention_scores",
)  # fmt: skip


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(
            f"Received an invalid value for argument `{name}`, expected a positive integer. "
            f"Received: {name}={value}"
        )
    return value


@registry.register("MultiHeadAttention")
class MultiHeadAttention(SeveralInputs):
    """Attention of several heads between projections (`keras.layers.MultiHeadAttention`).

    Called as ``layer(query, value, key=None)``; the value is the key if there is none.

    Parameters
    ----------
    num_heads : int
    key_dim : int
        Size of a head's queries and keys.
    value_dim : int, optional
        Size of a head's values; `key_dim` if None.
    dropout : float
        Share of the attention weights to drop in training.
    use_bias : bool
        Whether the projections have biases.
    output_shape : int or tuple of int, optional
        Shape of the output behind its time steps; the size of the query if None.
    attention_axes : int or tuple of int, optional
        Axes of the input that are attended over; all between batch and features if None.
    sliding_window : int, optional
        Hides values so many steps away from a query or more.
    flash_attention : bool, optional
        Accepted; there is one way to compute.
    kernel_*, bias_*
        As in `Dense`, of each projection.
    use_gate : bool
        Whether the heads' outputs are multiplied by a sigmoid of a projection of the query.
    seed : int, optional
        Of what is dropped.

    Shapes (batch, queries, features), (batch, values, value features), (batch, values, key
    features), with more axes for `attention_axes`; output that of the query. In a call,
    `query_mask`, `value_mask` and `key_mask` (batch, steps) and `attention_mask` (batch,
    queries, values) are True where something may be seen, ``use_causal_mask=True`` hides the
    values behind each query, and ``return_attention_scores=True`` returns the weights (batch,
    heads, queries, values) as well. The mask of the query goes on.

    Raises
    ------
    ValueError
        If a size is no positive integer, or the inputs do not fit.

    Examples
    --------
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=3)
    >>> layer(np.ones((2, 5, 4)), np.ones((2, 7, 4))).shape
    (2, 5, 4)
    """

    masks_beside_options = True  # Keras hands each input's mask on, whatever else is a tensor

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        self.num_heads = _positive(num_heads, "num_heads")
        self.key_dim = _positive(key_dim, "key_dim")
        self.value_dim = key_dim if value_dim is None else _positive(value_dim, "value_dim")
        if sliding_window is not None:
            _positive(sliding_window, "sliding_window")
        super().__init__(**kwargs)
        # Of the projections, as in Keras.
        self.projections_regularizer = regularizers.get(activity_regularizer)
        self.dropout, self.use_bias, self.use_gate = dropout, bool(use_bias), bool(use_gate)
        if flash_attention and dropout > 0:
            raise ValueError(
                "Dropout is not supported when flash attention is enabled. Please set dropout to "
                "0.0 to use flash attention."
            )
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        self.given_output_shape = tuple(output_shape) if output_shape else None
        if attention_axes is not None and not isinstance(attention_axes, int | list | tuple):
            raise ValueError(
                "`attention_axes` must be an int, list, or tuple.Received: "
                f"attention_axes={attention_axes}"
            )
        single = isinstance(attention_axes, int)
        self.attention_axes: Any = (attention_axes,) if single else attention_axes
        self.sliding_window = sliding_window
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed
        self._generator = make_generator(seed) if dropout > 0 else None
        self._buffers = BufferPool()

    # --- building ---------------------------------------------------------------------

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Create the projections, for three shapes or a list of them."""
        if value_shape is not None:
            query_shape = [s for s in (query_shape, value_shape, key_shape) if s is not None]
        super().build(query_shape)

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that `build` saw, None before it."""
        if not self.built:
            return None
        names = ("query_shape", "value_shape", "key_shape")
        shapes: Any = self.build_shape
        return {"shapes_dict": dict(zip(names, shapes, strict=False))}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` returned."""
        if config and config.get("shapes_dict"):
            self.build(**config["shapes_dict"])

    def create_weights(self, input_shape: Any) -> None:
        """Create the projections of query, key and value, and that of the output."""
        query, value, key = (*input_shape, input_shape[1])[:3]
        self.check_shapes(input_shape)
        rank = len(query)
        axes = self.attention_axes
        if axes is None:
            self.attention_axes = tuple(range(1, rank - 1))
        else:
            self.attention_axes = tuple(axis if axis >= 0 else rank + axis for axis in axes)
        free = "abcdefghij"[: rank - 1]
        inward = f"{free}x,xyz->{free}yz"

        def project(name: str, size: int, **more: Any) -> EinsumDense:
            shape = (*[None] * (rank - 2), self.num_heads, size)
            bias_axes = "yz" if self.use_bias else None
            return EinsumDense(inward, shape, bias_axes=bias_axes, name=name, **self._shared(),
                               **more)  # fmt: skip

        self._query_dense = project("query", self.key_dim)
        self._key_dense = project("key", self.key_dim)
        self._value_dense = project("value", self.value_dim)
        if self.use_gate:
            self._gate_dense = project("gate", self.value_dim, activation="sigmoid")
        outer = self.given_output_shape or (query[-1],)
        new = "klmnop"[: len(outer)]
        self._output_dense = EinsumDense(
            f"{free}yz,yz{new}->{free}{new}",
            (*[None] * (rank - 2), *outer),
            bias_axes=new if self.use_bias else None,
            name="attention_output",
            **self._shared(),
        )
        between = (*query[:-1], self.num_heads, self.value_dim)
        pairs = [(self._query_dense, query), (self._key_dense, key)]
        pairs += [(self._gate_dense, query)] if self.use_gate else []
        pairs += [(self._value_dense, value), (self._output_dense, between)]
        for layer, shape in pairs:
            build_inside(self, layer, shape)

    def _shared(self) -> dict[str, Any]:
        # Each projection draws for itself.
        fresh = [type(i).from_config(i.get_config()) if hasattr(i, "get_config") else i
                 for i in (self.kernel_initializer, self.bias_initializer)]  # fmt: skip
        return {
            "kernel_initializer": fresh[0],
            "bias_initializer": fresh[1],
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "activity_regularizer": self.projections_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
            "dtype": self.dtype,
        }

    @property
    def sublayers(self) -> list[Layer]:
        """The projections, in the order in which Keras makes them."""
        if not self.built and not hasattr(self, "_output_dense"):
            return []
        gate = [self._gate_dense] if self.use_gate else []
        inner = [self._query_dense, self._key_dense, *gate, self._value_dense]
        return [*inner, self._output_dense]

    @property
    def query_dense(self) -> EinsumDense:
        """The projection of the query."""
        return self._query_dense

    @property
    def key_dense(self) -> EinsumDense:
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self) -> EinsumDense:
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self) -> EinsumDense:
        """The projection of the heads' outputs."""
        return self._output_dense

    # --- shapes -----------------------------------------------------------------------

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless query, value and key fit each other."""
        query, value, key = (*shapes, shapes[1])[:3]
        if tuple(value[1:-1]) != tuple(key[1:-1]):
            raise ValueError(
                "All dimensions of `value` and `key`, except the last one, must be equal. "
                f"Received: value_shape={tuple(value)} and key_shape={tuple(key)}"
            )
        if len({len(query), len(value)}) > 1 or len(query) < 3:
            raise ValueError(
                f"The inputs of layer {self.name!r} must have at least three axes, and as many as "
                f"each other. Received: query_shape={tuple(query)}, value_shape={tuple(value)}"
            )
        if len({shape[0] for shape in (query, value, key)} - {None}) > 1:
            raise ValueError(
                f"The inputs of layer {self.name!r} have different batch sizes: "
                f"{list(map(tuple, shapes))}"
            )

    def check_input(self, x: Any) -> None:
        """Raise ValueError unless the inputs fit each other and the projections."""
        self.check_shapes([part.shape for part in x])
        query, value, key = (*x, x[1])[:3]
        for layer, part in ((self._query_dense, query), (self._value_dense, value),
                            (self._key_dense, key)):  # fmt: skip
            layer.check_input(part)

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any = None, key_shape: Any = None
    ) -> Any:
        """Return the output's shape, for three shapes or a list of them."""
        shapes = query_shape
        if value_shape is not None:
            shapes = [s for s in (query_shape, value_shape, key_shape) if s is not None]
        self.check_shapes(shapes)
        query = tuple(shapes[0])
        return query if self.given_output_shape is None else query[:-1] + self.given_output_shape

    def compute_output_spec(self, inputs: Any, **options: Any) -> Any:
        """Return the symbolic output, and the weights if they are asked for."""
        output = super().compute_output_spec(inputs)
        if not options.get("return_attention_scores"):
            return output
        return output, type(output)(
            self._scores_shape([part.shape for part in inputs]), self.output_dtype
        )

    def _scores_shape(self, shapes: Any) -> tuple[Any, ...]:
        query, value = shapes[0], shapes[1]
        axes = self.attention_axes
        batch = [n for i, n in enumerate(query[:-1]) if i not in axes]
        return (*batch, self.num_heads, *(query[i] for i in axes), *(value[i] for i in axes))

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as a list of arrays of the layer's type."""
        names = ("query", "value", "key")
        return [
            as_float_array(x, self._np_dtype, name) for x, name in zip(inputs, names, strict=False)
        ]

    input_argument = "query"

    # The first argument is called as in Keras's `call`.
    def bind(self, query: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:  # type: ignore[override]
        """Return the inputs of a call as a list, and its other arguments by name."""
        names = ("value", "key", *_OPTIONS)
        options = {**dict(zip(names, args, strict=False)), **kwargs}
        if isinstance(query, list):  # in this form already
            return query, options
        if options.get("value") is None:
            raise TypeError("missing a required argument: 'value' of MultiHeadAttention.call()")
        value, key = options.pop("value"), options.pop("key", None)
        return [query, value] if key is None else [query, value, key], options

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the query."""
        return None if mask is None else mask[0]

    # --- the way of the data ----------------------------------------------------------

    def forward(
        self,
        x: Any,
        training: bool = False,
        mask: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the output, and the attention weights if they are asked for."""
        self.check_input(x)
        query, value, key = (*x, x[1])[:3]
        given = (*(mask or [None] * 3), None)[:3]
        masks = [
            own if own is not None else from_layer
            for own, from_layer in zip((query_mask, value_mask, key_mask), given, strict=True)
        ]
        shown = self._shown(query.shape, value.shape, masks, attention_mask, use_causal_mask)
        parts = [
            layer.forward(part, training)
            for layer, part in ((self._query_dense, query), (self._key_dense, key),
                                (self._value_dense, value))
        ]  # fmt: skip
        heads = [self._heads(y) for y, _ in parts]
        scale = self._np_dtype.type(1 / math.sqrt(self.key_dim))
        scores = multiply(heads[0] * scale, heads[1].swapaxes(2, 3), self._buffers)
        shape = self._scores_shape([query.shape, value.shape])
        if shown is not None:
            shown = np.broadcast_to(shown, shape).reshape(scores.shape)
        # Keras has two ways to compute: where a query sees nothing, one gives zero, the other,
        # for a plain call, the mean of all values.
        plain = not (self.dropout > 0 or return_attention_scores or query.ndim != 3)
        closed = float(np.finfo(self._np_dtype).min) * 0.7 if plain else -1e9
        weights, softmax = weights_of(scores, shown, closed, hides=not plain)
        factors = None
        if training and self._generator is not None:
            factors = dropout_mask(self._generator, self.dropout, weights.shape, self._np_dtype)
        means, used = mean_of(weights, factors, heads[2], self._buffers)
        outer = (*query.shape[:-1], self.num_heads, self.value_dim)
        attended = self._unheads(means, outer)
        gate = self._gate_dense.forward(query, training) if self.use_gate else None
        gated = attended if gate is None else attended * gate[0]
        y, last = self._output_dense.forward(np.ascontiguousarray(gated), training)
        saved = (parts, heads, scale, softmax, factors, used, attended, gate, last, len(x),
                 y.shape, weights.shape, shape)  # fmt: skip
        return ((y, weights.reshape(shape)) if return_attention_scores else y), saved

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the projections; return those by the inputs, a list."""
        (parts, heads, scale, softmax, factors, used, attended, gate, last, count, out,
         flat, shape) = saved  # fmt: skip
        dy, dscores = dy if isinstance(dy, tuple) else (dy, None)
        dy = np.zeros(out, self._np_dtype) if dy is None else self.gradient_like(dy, out)
        slope = self._output_dense.backward(dy, last)
        extra = None
        if gate is not None:
            extra = self._gate_dense.backward(
                np.ascontiguousarray(slope * attended), gate[1], need_dx
            )
            slope = slope * gate[0]
        dmeans = self._heads(slope)
        dweights, dvalue = mean_gradients(dmeans, used, factors, heads[2], self._buffers)
        if dscores is not None:
            dweights = dweights + self.gradient_like(dscores, shape).reshape(flat)
        ds = scores_gradient(dweights, softmax, self._buffers)
        dquery = multiply(ds, heads[1], self._buffers)
        dkey = multiply(ds.swapaxes(2, 3), heads[0], self._buffers)
        dquery *= scale
        dkey *= scale
        layers = (self._query_dense, self._key_dense, self._value_dense)
        slopes = []
        for layer, slope, (y, kept) in zip(layers, (dquery, dkey, dvalue), parts, strict=True):
            whole = np.ascontiguousarray(self._unheads(slope, y.shape))
            slopes.append(layer.backward(whole, kept, need_dx))
        if not need_dx:
            return None
        dquery, dkey, dvalue = slopes
        if extra is not None:
            dquery = dquery + extra
        return [dquery, dvalue, dkey] if count == 3 else [dquery, dvalue + dkey]

    def _order(self, rank: int) -> list[int]:
        """Return the order of axes (batch..., heads, attended..., features) of a projection."""
        rest = [i for i in range(rank - 2) if i not in self.attention_axes]
        return [*rest, rank - 2, *self.attention_axes, rank - 1]

    def _heads(self, y: np.ndarray) -> np.ndarray:
        """Return a projection (..., heads, features) as (batch, heads, steps, features)."""
        turned = y.transpose(self._order(y.ndim))
        if y.ndim == 4:
            return turned
        batch = math.prod(turned.shape[: -2 - len(self.attention_axes)])
        return turned.reshape(batch, self.num_heads, -1, y.shape[-1])

    def _unheads(self, heads: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Undo `_heads` for an array of such a `shape`."""
        order = self._order(len(shape))
        whole = heads.reshape([shape[i] for i in order])
        return whole.transpose(np.argsort(order))

    def _shown(self, query: Any, value: Any, masks: Any, given: Any, use_causal_mask: bool) -> Any:
        """Return what may be seen, broadcast to the scores, or None."""
        queries, values = query[1], value[1]
        shown = None

        def also(mask: Any) -> Any:
            return mask if shown is None else shown & mask

        for mask, behind in zip(masks, (-1, -2, -2), strict=True):
            if mask is not None:
                shown = also(np.expand_dims(np.asarray(mask, bool), behind))
        if use_causal_mask:
            shown = also(causal(queries, values)[None])
        if self.sliding_window is not None:
            apart = np.abs(np.arange(queries)[:, None] - np.arange(values))
            shown = also((apart < self.sliding_window)[None])
        if given is not None:
            shown = also(np.asarray(given).astype(bool))
        if shown is None:
            return None
        wanted = self._scores_shape([query, value])
        while shown.ndim < len(wanted):
            shown = np.expand_dims(shown, -len(self.attention_axes) * 2 - 1)
        if any(n not in (1, m) for n, m in zip(shown.shape, wanted, strict=True)):
            raise ValueError(
                f"The masks of layer {self.name!r} have shape {shown.shape}, which does not fit "
                f"scores of shape {wanted}."
            )
        return shown

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        seed = self.seed.seed if isinstance(self.seed, SeedGenerator) else self.seed
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "output_shape": self.given_output_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.projections_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "seed": seed,
        }
