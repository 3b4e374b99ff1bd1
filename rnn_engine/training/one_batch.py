"""`OneBatch`: the methods that take a single batch, `gradients` among them."""

from typing import Any

import numpy as np

from rnn_engine.training import arguments as check
from rnn_engine.training.arrays import check_counts, class_to_sample_weight
from rnn_engine.training.compiled import scalar
from rnn_engine.training.gradients import Gradients
from rnn_engine.training.loops import Loops


class OneBatch(Loops):
    """Train, test, predict and differentiate on one batch."""

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Update the weights once; return as `evaluate`. Mirrors Keras's method.

        Raises
        ------
        ValueError
            As `fit`, or if both kinds of weights are given.
        """
        self._require_compiled()
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified at the "
                    "same time."
                )
            weights = check.check_class_weight(class_weight)
            assert weights is not None
            sample_weight = class_to_sample_weight(y, weights, self._data_policy()[0])
        return self._on_batch("train", x, y, sample_weight, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Evaluate one batch; return as `evaluate`. Mirrors Keras's method.

        Raises
        ------
        ValueError
            As `fit`.
        """
        self._require_compiled()
        return self._on_batch("test", x, y, sample_weight, return_dict)

    def _on_batch(self, kind: str, x: Any, y: Any, sample_weight: Any, return_dict: bool) -> Any:
        x, y, sample_weight = self._checked_batch(x, y, sample_weight, kind)
        metrics = self.metrics
        for metric in metrics:
            metric.reset_state()
        if kind == "train":
            with self._guard:
                value = self._step(kind, x, y)(x, y, sample_weight)
        else:
            value = self._step(kind, x, y)(x, y, sample_weight)
        self._loss_tracker.update_state(value, len(x))
        if len(metrics) == 1 and not return_dict:  # the loss is all there is
            return self._loss_tracker.result()
        logs = self.get_metrics_result()
        return logs if return_dict else self._in_order(logs)

    def _checked_batch(self, x: Any, y: Any, sample_weight: Any, kind: str) -> tuple[Any, Any, Any]:
        batch = self._convert_batch(x, y, sample_weight)
        check_batch(*batch)
        self._admit(*batch, kind)
        return batch

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the outputs of one batch. Mirrors Keras's method.

        Raises
        ------
        ValueError
            If `x` does not fit the model.
        """
        batch, _, _ = self._checked_batch(x, None, None, "predict")
        return self._predict_batch(batch)

    def gradients(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        inputs: bool = False,
        training: bool = True,
    ) -> Gradients:
        """Return the loss of a batch and its gradient by every trainable variable.

        What a training step computes before the optimizer runs; no weight changes.
        Keras has no such method: there one writes a `GradientTape`.

        Parameters
        ----------
        x, y, sample_weight : array-like
            One batch.
        inputs : bool
            Also return the gradient by `x`; None where `x` are indices.
        training : bool
            Whether layers behave as in training (dropout draws its masks).

        Raises
        ------
        ValueError
            As `fit`.
        """
        self._require_compiled()
        x, y, sample_weight = self._checked_batch(x, y, sample_weight, "train")
        loss = self._loss_for(x, y)
        model: Any = self
        variables = model.trainable_variables
        for variable in variables:
            variable.clear_gradient()
        pred, mask, saved = model.forward_with_mask(x, training, keep=True)
        output, backward = pred, model.backward
        if (path := model.logits_path(training)) is not None:
            logits, form = path.logits_of(saved), loss.logits_form(path.activation)
            if form is not None and logits is not None:
                output, backward, loss = logits, path.backward, form
        value, slope = loss.value_and_gradient(y, output, sample_weight, mask)
        penalty = model.regularization(saved)
        dx = backward(slope, saved, need_dx=True) if inputs else backward(slope, saved)
        arrays = [variable.grad.copy() for variable in variables]
        return Gradients(
            scalar(value) + penalty,
            list(variables),
            arrays,
            np.array(dx) if inputs and dx is not None else None,
        )


def check_batch(x: np.ndarray, y: Any, sample_weight: Any) -> None:
    """Check that the arrays of one batch have the same, non-zero number of samples.

    Raises
    ------
    ValueError
        If not.
    """
    count = len(x)
    if count == 0 or (y is not None and len(y) != count) or sample_weight is not None:
        named = {"x": x, "y": y, "sample_weight": sample_weight}
        check_counts({name: array for name, array in named.items() if array is not None})
