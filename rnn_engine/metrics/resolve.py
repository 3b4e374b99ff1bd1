"""Which metric a name in `compile(metrics=[...])` means for the data at hand.

``"accuracy"`` is binary, categorical or sparse by the shapes of targets and
outputs; the rule is Keras's (``trainers/compile_utils``), one for metrics and losses.
"""

from typing import Any

from rnn_engine.metrics.metric import Metric
from rnn_engine.metrics.reduction import MeanMetricWrapper
from rnn_engine.metrics.table import get, registry
from rnn_engine.utils.naming import to_snake_case

_FORMS = {
    "accuracy": {
        "binary": "BinaryAccuracy",
        "sparse_categorical": "SparseCategoricalAccuracy",
        "categorical": "CategoricalAccuracy",
    },
    "crossentropy": {
        "binary": "BinaryCrossentropy",
        "sparse_categorical": "SparseCategoricalCrossentropy",
        "categorical": "CategoricalCrossentropy",
    },
}
_FORMS["acc"] = _FORMS["accuracy"]
_FORMS["ce"] = _FORMS["crossentropy"]


def target_form(y_true_shape: tuple[int, ...], y_pred_shape: tuple[int, ...]) -> str:
    """Return ``"binary"``, ``"sparse_categorical"`` or ``"categorical"``.

    One output is binary; targets without the class axis, or with one of length
    one, are labels; else they are one-hot.

    Examples
    --------
    >>> target_form((8, 1), (8, 1)), target_form((8,), (8, 10)), target_form((8, 10), (8, 10))
    ('binary', 'sparse_categorical', 'categorical')
    """
    outputs = y_pred_shape[-1] if y_pred_shape else 1
    if outputs == 1:
        return "binary"
    if len(y_true_shape) < len(y_pred_shape) or (y_true_shape[-1] == 1 and outputs > 1):
        return "sparse_categorical"
    return "categorical"


def resolve(
    identifier: Any,
    y_true_shape: tuple[int, ...],
    y_pred_shape: tuple[int, ...],
    loss: Any = None,
) -> Metric:
    """Return the metric for an entry of `compile`'s `metrics`, named as Keras names it.

    Parameters
    ----------
    identifier : str, dict, class, function or Metric
        A string names the metric in the logs; a function is averaged by
        `MeanMetricWrapper`; an instance comes back as it is.
    y_true_shape, y_pred_shape : tuple of int
        Shapes of the first batch.
    loss : Loss, optional
        The model's loss: ``"crossentropy"`` takes `from_logits` from it, where it
        has one. (In Keras 3 that name is a loss only.)

    Raises
    ------
    ValueError
        If `identifier` is None or unknown.

    Examples
    --------
    >>> resolve("acc", (8,), (8, 10))
    <SparseCategoricalAccuracy name=acc>
    """
    if identifier is None:
        raise ValueError("metrics must not contain None.")
    found: Any
    forms = _FORMS.get(identifier.lower()) if isinstance(identifier, str) else None
    if forms is None:
        found = get(identifier)
    else:
        name = forms[target_form(tuple(y_true_shape), tuple(y_pred_shape))]
        form = registry.entries[name]
        logits = "Cross" in name and getattr(loss, "from_logits", False)
        found = form(from_logits=True) if logits else form()
    name = identifier if isinstance(identifier, str) else _object_name(found)
    if not isinstance(found, Metric):
        found = MeanMetricWrapper(found)
    found.name = name
    return found


def _object_name(entry: Any) -> str:
    if hasattr(entry, "name"):
        return str(entry.name)
    return to_snake_case(getattr(entry, "__name__", type(entry).__name__))
