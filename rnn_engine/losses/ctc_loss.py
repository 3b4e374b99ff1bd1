"""`CTC`: the loss of label sequences without an alignment."""

from typing import Any

import numpy as np

from rnn_engine.losses.base import registry
from rnn_engine.losses.formula import Formula, Pair
from rnn_engine.losses.inputs import to_float
from rnn_engine.losses.wrapper import LossFunctionWrapper


class _SequenceFormula(Formula):
    """The formula of rows of labels against rows of logits."""

    def inputs(self, y_true: Any, y_pred: Any, options: dict[str, Any], dtype: Any = None) -> Pair:
        """Convert and check the arguments of a call."""
        p = to_float(y_pred, "y_pred", dtype)
        t = np.asarray(y_true)
        if t.ndim != 2:
            raise ValueError(
                "Targets `y_true` are expected to be a tensor of shape `(batch_size, max_length)` "
                f"in integer format. Received: y_true.shape={t.shape}"
            )
        if p.ndim != 3:
            raise ValueError(
                "Logits `y_pred` are expected to be a tensor of shape `(batch_size, max_length, "
                f"num_classes)`. Received: y_pred.shape={p.shape}"
            )
        return t, p

    def values_shape(self, shape: tuple[int, ...], options: dict[str, Any]) -> tuple[int, ...]:
        """Shape of the values: one a sequence."""
        return shape[:1]


def _ctc(t: np.ndarray, p: np.ndarray, upstream: Any) -> tuple[np.ndarray, Any]:
    from rnn_engine.ops.ctc import loss_and_gradient

    lengths = np.full(len(p), p.shape[1])
    values, gradient = loss_and_gradient(t, p, (t != 0).sum(axis=-1), lengths, 0, upstream)
    return values.astype(p.dtype), None if gradient is None else gradient.astype(p.dtype)


_formula = _SequenceFormula(_ctc)


@registry.register()
@_formula.function
def ctc(y_true: Any, y_pred: Any) -> Any:
    """Return the CTC loss of each sequence. Mirrors `keras.losses.ctc`.

    Parameters
    ----------
    y_true : (batch, labels) of int
        Classes from 1; 0 is the blank and fills rows up.
    y_pred : (batch, time, classes)
        Logits.

    See `rnn_engine.ops.ctc_loss` for what is infinite.

    Examples
    --------
    >>> round(float(ctc(np.array([[1]]), np.zeros((1, 2, 3), "float32"))[0]), 4)
    1.0986
    """
    return _formula.values(y_true, y_pred)


@registry.register()
class CTC(LossFunctionWrapper):
    """Connectionist temporal classification, of logits. Mirrors `keras.losses.CTC`.

    Class 0 is the blank, and fills up the rows of labels.

    Examples
    --------
    >>> round(float(CTC()(np.array([[1]]), np.zeros((1, 2, 3), "float32"))), 4)
    1.0986
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: Any = None,
    ) -> None:
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"name": self.name, "reduction": self.reduction}
