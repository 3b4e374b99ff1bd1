"""`Attention` and `AdditiveAttention`."""

from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.checks import as_float_array
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.layers.attending import causal, mean_gradients, mean_of, scores_gradient, weights_of
from rnn_engine.layers.base import registry
from rnn_engine.layers.dropout_mask import dropout_mask
from rnn_engine.layers.products import multiply
from rnn_engine.layers.several_inputs import SeveralInputs
from rnn_engine.random import SeedGenerator, make_generator

# What Keras takes from the scores of what may not be seen.
_CLOSED = 1e9
_tanh = activations.get("tanh")


@registry.register("Attention")
class Attention(SeveralInputs):
    """Means of values, weighted by how well keys fit queries (`keras.layers.Attention`).

    Called on ``[query, value]`` or ``[query, value, key]``, with masks in the same order; the
    value is the key if there is none.

    Parameters
    ----------
    use_scale : bool
        Whether scores are multiplied by a weight, one at the start.
    score_mode : str
        ``"dot"``: scores are query·key; ``"concat"``: w Σ tanh(scale (query + key)).
    dropout : float
        Share of the weights to drop in training.
    seed : int, optional
        Of what is dropped.

    Shapes (batch, queries, features), (batch, values, value features), (batch, values,
    features); output (batch, queries, value features). In a call,
    ``return_attention_scores=True`` returns the weights (batch, queries, values) as well, and
    ``use_causal_mask=True`` hides from each query the values behind it. A closed mask of the
    value hides it, one of the query makes the output zero and goes on to the next layer.

    Raises
    ------
    ValueError
        If `score_mode` is neither, or the inputs do not fit.

    Examples
    --------
    >>> query, value = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    >>> Attention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                "Invalid value for argument score_mode. Expected one of {'dot', 'concat'}. "
                f"Received: score_mode={score_mode}"
            )
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        self._generator = make_generator(seed) if dropout > 0 else None
        self._buffers = BufferPool()
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def create_weights(self, input_shape: Any) -> None:
        """Create the scale and, for ``"concat"``, the factor of the scores."""
        self.check_shapes(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", "scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", "concat_score_weight")

    # --- inputs -----------------------------------------------------------------------

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as a list of arrays of the layer's type."""
        self._check_count(inputs)
        return [as_float_array(x, self._np_dtype, f"inputs[{i}]") for i, x in enumerate(inputs)]

    def _check_count(self, inputs: Any) -> None:
        name = type(self).__name__
        if not isinstance(inputs, list | tuple):
            raise ValueError(
                f"{name} layer must be called on a list of inputs, namely [query, value] or "
                f"[query, value, key]. Received: inputs of type {type(inputs).__name__}."
            )
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{name} layer accepts inputs list of length 2 or 3, namely [query, value] or "
                f"[query, value, key]. Received length: {len(inputs)}."
            )

    def check_shapes(self, shapes: Any) -> None:
        """Raise ValueError unless query, value and key fit each other."""
        self._check_count(shapes)
        query, value, key = (*shapes, shapes[1])[:3]
        fits = all(len(shape) == 3 for shape in (query, value, key))
        if fits:
            pairs = [(query[0], value[0]), (query[0], key[0]), (value[1], key[1])]
            pairs.append((query[2], key[2]))
            fits = all(None in pair or pair[0] == pair[1] for pair in pairs)
        if not fits:
            raise ValueError(
                f"The inputs of layer {self.name!r} must have shapes (batch, queries, features), "
                f"(batch, values, value features), (batch, values, features), got "
                f"{list(map(tuple, shapes))}."
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, queries, value features)."""
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, inputs: Any, **options: Any) -> Any:
        """Return the symbolic output, and the weights if they are asked for."""
        output = super().compute_output_spec(inputs)
        if not options.get("return_attention_scores"):
            return output
        query, value = inputs[0].shape, inputs[1].shape
        return output, type(output)((*query[:-1], value[-2]), self.output_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the query."""
        return None if mask is None else mask[0]

    # --- the way of the data ----------------------------------------------------------

    def forward(
        self,
        x: Any,
        training: bool = False,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Return the means, and the weights if they are asked for."""
        self.check_input(x)
        query, value, key = (*x, x[1])[:3]
        scores, kept = self.scores(query, key)
        query_shown, value_shown = self._masks(mask, query, value)
        shown = None if value_shown is None else value_shown[:, None, :]
        if use_causal_mask:
            seen = causal(query.shape[1], value.shape[1])[None]
            shown = seen if shown is None else shown & seen
        if shown is not None:
            shown = np.broadcast_to(shown, scores.shape)
            scores = np.where(shown, scores, scores - scores.dtype.type(_CLOSED))
        weights, saved = weights_of(scores, None, 0.0, False)
        factors = None
        if training and self._generator is not None:
            factors = dropout_mask(self._generator, self.dropout, weights.shape, self._np_dtype)
        inner = None if factors is None else factors[:, None]
        y, used = mean_of(weights[:, None], inner, value[:, None], self._buffers)
        y, used = y[:, 0], used[:, 0]
        if query_shown is not None:
            y = np.where(query_shown[..., None], y, y.dtype.type(0))
        kept = (query, value, key, len(x), kept, saved, used, factors, query_shown, y.shape)
        return ((y, used) if return_attention_scores else y), kept

    def _masks(self, mask: Any, query: np.ndarray, value: np.ndarray) -> Any:
        if mask is None:
            return None, None
        if isinstance(mask, list | tuple) and len(mask) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__} layer accepts mask list of length 2 or 3. Received: "
                f"inputs of length {len(mask)}."
            )
        if not isinstance(mask, list | tuple):
            raise ValueError(
                f"{type(self).__name__} layer mask must be a list, namely [query_mask, "
                f"value_mask]. Received: mask of type {type(mask).__name__}."
            )
        found = []
        for m, x, name in zip(mask[:2], (query, value), ("query", "value"), strict=True):
            shown = None if m is None else np.asarray(m, bool)
            if shown is not None and shown.shape != x.shape[:2]:
                raise ValueError(
                    f"The mask of the {name} of layer {self.name!r} must have shape "
                    f"{x.shape[:2]}, got {shown.shape}."
                )
            found.append(shown)
        return found

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights; return those by the inputs, a list."""
        query, value, key, count, kept, softmax, used, factors, shown, shape = saved
        dy, dused = dy if isinstance(dy, tuple) else (dy, None)
        if dy is None:
            dy = np.zeros(shape, self._np_dtype)
        dy = self.gradient_like(dy, shape)
        if shown is not None:
            dy = dy * shown[..., None]
        inner = None if factors is None else factors[:, None]
        dweights, dvalue = mean_gradients(
            dy[:, None], used[:, None], inner, value[:, None], self._buffers
        )
        dweights, dvalue = dweights[:, 0], dvalue[:, 0]
        if dused is not None:
            dused = self.gradient_like(dused, used.shape)
            dweights = dweights + (dused if factors is None else dused * factors)
        slope = scores_gradient(dweights, softmax, self._buffers)
        dquery, dkey = self.scores_back(slope, query, key, kept)
        if not need_dx:
            return None
        return [dquery, dvalue, dkey] if count == 3 else [dquery, dvalue + dkey]

    def scores(self, query: np.ndarray, key: np.ndarray) -> Any:
        """Return the scores (batch, queries, values), and what goes back with them."""
        if self.score_mode == "concat":
            pairs = query[:, :, None] + key[:, None]
            if self.scale is not None:
                pairs = pairs * self.scale.value
            bent = _tanh(pairs)
            sums = bent.sum(axis=-1)
            return sums * self.concat_score_weight.value, (bent, sums)
        products = multiply(query[:, None], key[:, None].swapaxes(2, 3))[:, 0]
        return (products if self.scale is None else products * self.scale.value), products

    def scores_back(self, slope: np.ndarray, query: np.ndarray, key: np.ndarray, kept: Any) -> Any:
        """Add the gradients of the scores' weights; return those by query and key."""
        if self.score_mode == "concat":
            bent, sums = kept
            _add(self.concat_score_weight, slope * sums)
            inner = (slope * self.concat_score_weight.value)[..., None] * (1 - bent * bent)
            if self.scale is not None:
                _add(self.scale, inner * (query[:, :, None] + key[:, None]))
                inner = inner * self.scale.value
            return inner.sum(axis=2), inner.sum(axis=1)
        if self.scale is not None:
            _add(self.scale, slope * kept)
            slope = slope * self.scale.value
        dquery = multiply(slope[:, None], key[:, None])[:, 0]
        return dquery, multiply(slope[:, None].swapaxes(2, 3), query[:, None])[:, 0]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed.seed if isinstance(self.seed, SeedGenerator) else self.seed,
        }


def _add(weight: Any, terms: np.ndarray) -> None:
    """Add the sum of some terms to the gradient of a weight that is one number."""
    grad = weight.grad
    grad += grad.dtype.type(terms.sum(dtype=np.float64))


@registry.register("AdditiveAttention")
class AdditiveAttention(Attention):
    """Attention with scores Σ scale·tanh(query + key) (`keras.layers.AdditiveAttention`).

    Parameters
    ----------
    use_scale : bool
        Whether the terms are weighted, with a weight (features,).
    dropout : float
    seed : int, optional

    See `Attention` for inputs, masks and the arguments of a call.

    Examples
    --------
    >>> query, value = np.ones((2, 3, 4)), np.ones((2, 5, 4))
    >>> AdditiveAttention()([query, value]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale, dropout=dropout, **kwargs)

    def create_weights(self, input_shape: Any) -> None:
        """Create the scale."""
        self.check_shapes(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", "scale")

    def scores(self, query: np.ndarray, key: np.ndarray) -> Any:
        """Return the scores (batch, queries, values), and tanh of the sums."""
        bent = _tanh(query[:, :, None] + key[:, None])
        weighted = bent if self.scale is None else bent * self.scale.value
        return weighted.sum(axis=-1), bent

    def scores_back(self, slope: np.ndarray, query: np.ndarray, key: np.ndarray, kept: Any) -> Any:
        """Add the gradient of the scale; return those by query and key."""
        bent, slope = kept, slope[..., None]
        inner = slope * (1 - bent * bent)
        if self.scale is not None:
            grad = self.scale.grad
            grad += (slope * bent).sum(axis=(0, 1, 2), dtype=np.float64).astype(grad.dtype)
            inner = inner * self.scale.value
        return inner.sum(axis=2), inner.sum(axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        del config["score_mode"]
        return config
