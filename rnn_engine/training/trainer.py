"""`Trainer`: fit, evaluate and predict, as a mixin of the model."""

from contextlib import closing
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.gone import mark_gone
from rnn_engine.random import Place
from rnn_engine.training import arguments as check
from rnn_engine.training.arrays import ArraySource, split_validation
from rnn_engine.training.data import raise_empty
from rnn_engine.training.one_batch import OneBatch
from rnn_engine.training.source import Epochs
from rnn_engine.utils.dataset import unpack_x_y_sample_weight
from rnn_engine.variable import writes


class Trainer(OneBatch):
    """The training methods of a model. Mirrors those of `keras.Model`.

    The order of samples under ``shuffle=True`` comes from this library's seeded
    stream (`rnn_engine.utils.set_random_seed`), not from Keras's: to compare runs
    sample by sample, shuffle the data beforehand and pass ``shuffle=False``.
    """

    _place: Place | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        window: int | None = None,
    ) -> Any:
        """Train. Mirrors `keras.Model.fit`.

        Parameters
        ----------
        x : array-like, PyDataset, iterable or generator
            Arrays have the samples first; the others yield ``(x, y)`` or
            ``(x, y, sample_weight)`` batches. Memory-mapped arrays are read batch
            by batch, never whole.
        y : array-like, optional
            Targets; ``(n,)`` and ``(n, 1)`` mean the same.
        batch_size : int, optional
            32 if None.
        epochs, initial_epoch : int
            Train from `initial_epoch` up to `epochs`, counted from zero.
        verbose : "auto", 0, 1 or 2
            1 (and "auto") a bar, 2 a line an epoch.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the samples, taken from the end, that only validate.
        validation_data : tuple or data, optional
            ``(x, y)``, ``(x, y, sample_weight)``, or what `x` may be.
        shuffle : bool or "batch"
            A new order of samples (or of batches) each epoch.
        class_weight : dict, optional
            Weight of each class; cannot go with `sample_weight`.
        sample_weight : array-like, optional
            Weight of each sample or time step in the loss.
        steps_per_epoch, validation_steps : int, optional
            Batches in an epoch or a validation. Every validation begins with the first batch,
            so that the same samples validate each time; the batches that it takes from a
            generator are kept in memory for that (Keras keeps the first two, and goes on
            behind them).
        validation_batch_size : int, optional
            `batch_size` if None.
        validation_freq : int or list of int
            Validate after every so many epochs, or after those counted from one.
        window : int, optional
            Truncated backpropagation through time (not in Keras): each batch of
            sequences is trained on in windows of so many steps. The state of
            stateful layers goes on from window to window and is reset before each
            batch; gradients end at a window's first step. `y` has a target for
            every step. Each window counts as a batch.

        Returns
        -------
        History
            With averages over samples for every epoch.

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, counts differ or shapes do not fit;
            nothing is changed then. Arrays are looked at before the first step, those of
            the validation, too; what a generator yields is when it comes.

        Notes
        -----
        An exception, from a callback or from Ctrl-C, still ends with
        `on_train_end` of every callback; `training_interrupted` is True, the
        history of finished epochs stays in ``model.history`` and the weights, moving
        averages and states are those of the last whole step. Keras calls no hook
        then. A generator that has nothing left ends the training with a warning,
        where Keras repeats its first two batches; one that is empty is a ValueError. A
        `PyDataset` that has become shorter gives what it has, with a warning.
        """
        self._require_compiled()
        epochs = check.check_count(epochs, "epochs", 0)
        initial_epoch = check.check_count(initial_epoch, "initial_epoch", 0)
        verbose = check.check_verbose(verbose)
        batch_size = check.check_optional_count(batch_size, "batch_size")
        steps = check.check_optional_count(steps_per_epoch, "steps_per_epoch")
        frequency = check.check_frequency(validation_freq)
        split = check.check_split(validation_split)
        if split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, split)
        source = self._source(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps,
            shuffle=check.check_shuffle(shuffle),
            class_weight=check.check_class_weight(class_weight),
            rng=self._order_generator() if shuffle else None,
        )
        if window is not None:
            source = self._windows(source, check.check_count(window, "window"))
        validation = None
        if validation_data is not None:
            limit = check.check_optional_count(validation_steps, "validation_steps")
            size = check.check_optional_count(validation_batch_size, "validation_batch_size")
            val_x, val_y, val_weight = unpack_x_y_sample_weight(validation_data)
            validation = Epochs(
                self._source(val_x, val_y, val_weight, batch_size=size or batch_size, steps=limit),
                limit,
                anew=True,
            )
        training = Epochs(source, steps)
        span = range(initial_epoch, epochs)
        self._prepare(training, "train", len(span))
        if validation is not None:
            times = sum(check.validates(epoch, frequency) for epoch in span)
            self._prepare(validation, "test", times)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbose != 0,
                model=self,
                verbose=verbose,
                epochs=epochs,
                steps=training.num_batches,
            )
        self._run(training, validation, callbacks, initial_epoch, epochs, frequency)
        return self.history

    def _run(
        self,
        training: Epochs,
        validation: Epochs | None,
        callbacks: CallbackList,
        initial_epoch: int,
        epochs: int,
        frequency: Any,
    ) -> None:
        """Run the epochs; whatever ends them, every callback hears of the end."""
        self.stop_training = self.training_interrupted = False
        self._initial_epoch = None
        logs: dict[str, Any] | None = None
        model: Any = self
        with self._guard:
            try:
                callbacks.on_train_begin()
                first = self._initial_epoch or initial_epoch  # BackupAndRestore sets it
                for epoch in range(first, epochs):
                    if not training.has_more():
                        break
                    self.reset_metrics()
                    callbacks.on_epoch_begin(epoch)
                    if not self._pass("train", training, callbacks):
                        raise_empty("iterable")
                    logs = self.get_metrics_result()
                    if validation is not None and check.validates(epoch, frequency):
                        results = self._evaluate(validation, callbacks)
                        logs.update({f"val_{name}": value for name, value in results.items()})
                    callbacks.on_epoch_end(epoch, logs)
                    if self.stop_training:
                        break
                if epochs > 0:
                    self.optimizer.finalize_variable_values(model.trainable_variables)
            except BaseException as error:
                self.training_interrupted = True
                try:
                    callbacks.on_train_end(logs)
                except Exception as second:
                    error.add_note(f"on_train_end then raised {type(second).__name__}: {second}")
                raise
            callbacks.on_train_end(logs)

    def _order_generator(self) -> np.random.Generator:
        """Return the generator of the order of samples in this `fit`."""
        if self._place is None:
            self._place = Place()
        return self._place.next_generator()

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return loss and metrics over data. Mirrors `keras.Model.evaluate`.

        The arguments are those of `fit`. Returns the loss, a list of the loss and
        the metrics, or with `return_dict` a dict.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        self._require_compiled()
        if kwargs:
            from rnn_engine.missing import renamed

            raise ValueError(f"Arguments not recognized: {kwargs}{renamed(kwargs)}")
        verbose = check.check_verbose(verbose)
        batch_size = check.check_optional_count(batch_size, "batch_size")
        steps = check.check_optional_count(steps, "steps")
        source = self._source(x, y, sample_weight, batch_size=batch_size, steps=steps)
        epochs = Epochs(source, steps)
        self._prepare(epochs, "test")
        if not isinstance(callbacks, CallbackList):
            callbacks = self._callback_list(callbacks, verbose, epochs)
        logs = self._evaluate(epochs, callbacks)
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the model's outputs for data. Mirrors `keras.Model.predict`.

        The arguments are those of `fit`; targets that a dataset yields are ignored.

        Safe to call from several threads at once, and while another one writes weights with
        `set_weights`, `load_weights` or `assign`: the outputs are those of all the old weights
        or of all the new ones. For a generator, with callbacks and for stateful models that
        holds for each batch (and layer) by itself. A `fit` in another thread goes on
        meanwhile: an output may then come from the weights of two neighbouring steps. Where
        that matters, predict with a clone that is given `get_weights()` now and then.

        Returns
        -------
        ndarray
            One output a sample. Where batches of a generator have outputs of
            different shapes, a list with one array a batch (Keras returns a ragged
            tensor).

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        verbose = check.check_verbose(verbose)
        batch_size = check.check_optional_count(batch_size, "batch_size")
        steps = check.check_optional_count(steps, "steps")
        source = self._source(x, batch_size=batch_size, steps=steps, time_major=False)
        epochs = Epochs(source, steps)
        self._prepare(epochs, "predict")
        before, hears = writes.count, callbacks is not None
        if verbose == 0 and not hears:
            outputs = self._predict_all(epochs)
        else:
            if not isinstance(callbacks, CallbackList):
                callbacks = self._callback_list(callbacks, verbose, epochs)
            outputs = self._predict_watched(epochs, callbacks)
        if writes.since(before) and not hears and isinstance(source, ArraySource):
            model: Any = self
            if len(outputs) > 1 and model._repeats:  # one batch has seen to it itself
                with writes.lock:
                    outputs = self._predict_all(epochs)
        return join_outputs(outputs)

    def _predict_watched(self, epochs: Epochs, callbacks: CallbackList) -> list[np.ndarray]:
        """Predict batch by batch with hooks; a short last group is numbered as if full."""
        self.stop_predicting = False
        callbacks.on_predict_begin()
        every = self.steps_per_execution
        outputs: list[np.ndarray] = []
        group: list[np.ndarray] = []
        with closing(self._batches(epochs, "predict")) as batches:
            for index, (x, _, _) in enumerate(batches):
                if index % every == 0:
                    callbacks.on_predict_batch_begin(index)
                outputs.append(self._predict_batch(x))
                group.append(outputs[-1])
                if index % every == every - 1:
                    callbacks.on_predict_batch_end(index, {"outputs": join_outputs(group)})
                    group = []
                    if self.stop_predicting:
                        break
            if group:
                last = len(outputs) - len(group) + every - 1
                callbacks.on_predict_batch_end(last, {"outputs": join_outputs(group)})
        callbacks.on_predict_end()
        return outputs


mark_gone(
    Trainer,
    "Model",
    "fit_generator evaluate_generator predict_generator predict_classes predict_proba to_yaml "
    "export quantize",
)


def join_outputs(outputs: list[np.ndarray]) -> Any:
    """Return outputs of batches as one array, or the list where shapes differ.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not outputs:
        raise_empty("iterable")
    if len(outputs) == 1:
        return outputs[0]
    if len({output.shape[1:] for output in outputs}) > 1:
        return outputs
    return np.concatenate(outputs)
