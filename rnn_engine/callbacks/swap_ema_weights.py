"""`SwapEMAWeights`: evaluate with the averaged weights."""

from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.variable import writing


class SwapEMAWeights(Callback):
    """Evaluate with the optimizer's moving average of the weights.

    Mirrors `keras.callbacks.SwapEMAWeights`; needs an optimizer with
    ``use_ema=True``. Weights and averages change places for an evaluation or
    validation, and back after it.

    Parameters
    ----------
    swap_on_epoch : bool
        Also swap from the end of an epoch to the beginning of the next, so that a
        later `ModelCheckpoint` saves the averages.

    Raises
    ------
    ValueError
        When a hook runs and the optimizer keeps no average.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def _pairs(self) -> list[tuple[Any, Any]]:
        optimizer = self.model.optimizer
        if not getattr(optimizer, "use_ema", False):
            raise ValueError(
                "SwapEMAWeights must be used when `use_ema=True` is set on the optimizer. "
                f"Received: use_ema={getattr(optimizer, 'use_ema', None)}"
            )
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return list(zip(optimizer._trainable_variables, optimizer._averages, strict=True))

    def _swap(self) -> None:
        pairs = self._pairs()
        with writing([variable for variable, _ in pairs]):
            for variable, average in pairs:
                kept = variable.numpy()
                variable.write(average.value)
                average.write(kept)
        self._swapped = not self._swapped

    def _swap_in(self) -> None:
        if not self._swapped:
            self._swap()

    def _swap_out(self) -> None:
        if self._swapped:
            self._swap()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Train on with the plain weights."""
        if self.swap_on_epoch:
            self._swap_out()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Leave the averages in the model for the callbacks that follow."""
        if not self.swap_on_epoch or self._swapped:
            return
        self._swap()
        last = self.params is not None and epoch == self.params["epochs"] - 1
        if last or self.model.stop_training:
            # The end of fit copies the averages into the model: they must be there.
            for variable, average in self._pairs():
                average.assign(variable.value)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Swap back after an exception; a training that ended keeps the averages."""
        if getattr(self.model, "training_interrupted", False):
            self._swap_out()
        self._swapped = False

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Put the averages into the model."""
        self._swap_in()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Put the weights back."""
        self._swap_out()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Put the averages into the model."""
        self._swap_in()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Put the weights back; Keras forgets to."""
        self._swap_out()
