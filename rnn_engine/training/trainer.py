"""`Trainer`: fit, evaluate and predict, as methods of a model.

Each is a few lines over the functions of this package; what they need of the model stands
in `protocol`.
"""

from typing import Any

import numpy as np

from rnn_engine.callbacks.history import History
from rnn_engine.config import floatx
from rnn_engine.gone import mark_gone
from rnn_engine.metrics import Metric
from rnn_engine.random import Place
from rnn_engine.training import arguments as check
from rnn_engine.training import compilation, fitting, one_batch, passes, predicting
from rnn_engine.training.arrays import split_validation
from rnn_engine.training.custom import CustomSteps
from rnn_engine.training.form import DataForm
from rnn_engine.training.gradients import Gradients
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.source import Epochs
from rnn_engine.utils.dataset import unpack_x_y_sample_weight

Results = float | list[float] | dict[str, float]
"""Loss, or loss and metrics, in order or by name."""


def held_metrics(model: Any) -> list[Any]:
    """Return the metrics among the attributes of a model."""
    return [value for value in vars(model).values() if isinstance(value, Metric)]


class Trainer(CustomSteps):
    """The training methods of a model. Mirrors those of `keras.Model`.

    The order of samples under ``shuffle=True`` comes from this library's seeded
    stream (`rnn_engine.utils.set_random_seed`), not from Keras's: to compare runs
    sample by sample, shuffle the data beforehand and pass ``shuffle=False``.
    """

    compiled = False
    optimizer: Any = None
    loss: Any = None
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    training_interrupted = False
    history: History = None  # type: ignore[assignment]  # there is one after `fit`
    run_eagerly = False
    jit_compile: Any = False
    steps_per_execution = 1
    _compilation: Any = None
    _place: Place | None = None
    _initial_epoch: int | None = None
    _training_data: Any = None  # of the `fit` that runs, or was interrupted
    _fits: dict[str, Any] | None = None  # what was checked last, of each kind

    def data_form(self) -> DataForm:
        """Return how the model's data look: here one input and one output."""
        dtype = getattr(self, "kernel_dtype", None) or floatx()
        return DataForm.single(dtype, bool(getattr(self, "takes_integers", False)))

    def compile(
        self: Trainable,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        checkpoint_steps: int | str | None = None,
    ) -> None:
        """Choose optimizer, loss and metrics. Mirrors `keras.Model.compile`.

        Parameters
        ----------
        optimizer : str, config, class or instance
        loss : str, config, class or instance; or list or dict of them
            Of several outputs one loss is that of each; a list has one an output, a dict
            goes by their names (those of the layers, or the keys where the model's outputs
            are a dict). None in a list: this output has no loss, and needs no targets.
        loss_weights : list or dict of float, optional
            Factors of the losses in their sum.
        metrics, weighted_metrics : list, or list or dict of lists, optional
            Names, functions or instances, by output where there are several; only the latter
            see sample weights. ``"accuracy"`` picks by the shapes, as in Keras.
        run_eagerly, jit_compile
            Accepted: the kernels are compiled in any case.
        steps_per_execution : int
            Batch hooks of callbacks run once in so many batches.
        auto_scale_loss : bool
            Whether a model of the policy "mixed_float16" has its optimizer wrapped in a
            `LossScaleOptimizer`.
        checkpoint_steps : int or "auto", optional
            For long sequences (not in Keras): while training, recurrent layers keep their states
            once in so many steps, "auto" is √T, and go through the steps between again on the
            way back. Memory then grows with √T, a training step takes about a third longer, and
            no bit of it changes. The number is rounded up to whole chunks of the sums of the
            weight gradients. It is a matter of the machine: `get_compile_config` and files do
            not have it. See docs/long_sequences.md.

        Raises
        ------
        ValueError
            If a name is unknown, an argument out of range, or what is given does not match
            the outputs; the model stays as it was compiled before.

        Notes
        -----
        As in Keras, a model that is compiled again keeps its loss (with its weights) where
        none is given, and its metrics where neither kind is given; the optimizer is new.
        `get_compile_config` tells what is in force; Keras's tells the arguments of the last
        call, and a file of such a model forgets the loss.
        """
        compilation.compile_model(
            self,
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
            checkpoint_steps=checkpoint_steps,
        )

    def get_compile_config(self: Trainable) -> dict[str, Any]:
        """Return what is in force of `compile`, ready for JSON; empty if it was not called."""
        return compilation.compile_config(self)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        self.compile(**compilation.read_compile_config(config))  # type: ignore[misc]  # as a model

    @property
    def metrics(self: Trainable) -> list[Any]:
        """The average of the loss, the metrics of `compile` in one object, those of layers."""
        found = self._compilation.trackers if self.compiled else []
        found += [m for m in held_metrics(self) if m not in found]
        for layer in self.layers:
            if not isinstance(layer, Trainer):
                found.extend(getattr(layer, "metrics", ()))
        return found

    @property
    def metrics_names(self: Trainable) -> list[str]:
        """Names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self: Trainable) -> None:
        """Reset the state of the loss tracker and of every metric."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self: Trainable) -> dict[str, Any]:
        """Return the running average of the loss and the results of the metrics."""
        return compilation.results_of(self.metrics)

    def fit(
        self: Trainable,
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
        parallel: Any = None,
    ) -> History:
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
        parallel : rnn_engine.distributed.DataParallel, optional
            Train over the ranks of MPI (not in Keras).

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
        one_batch.require_compiled(self)
        run = fitting.begin(self, parallel, window)
        epochs = check.check_count(epochs, "epochs", 0)
        initial_epoch = check.check_count(initial_epoch, "initial_epoch", 0)
        verbose = check.check_verbose(verbose)
        batch_size = check.check_optional_count(batch_size, "batch_size")
        steps = check.check_optional_count(steps_per_epoch, "steps_per_epoch")
        frequency = check.check_frequency(validation_freq)
        split = check.check_split(validation_split)
        if split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(
                x, y, sample_weight, split, self.data_form()
            )
        source = passes.source_for(
            self,
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            steps=steps,
            shuffle=check.check_shuffle(shuffle),
            class_weight=check.check_class_weight(class_weight),
            rng=fitting.order_generator(self) if shuffle else None,
        )
        if window is not None:
            source = passes.windows_of(self, source, check.check_count(window, "window"))
        validation = None
        if validation_data is not None:
            limit = check.check_optional_count(validation_steps, "validation_steps")
            size = check.check_optional_count(validation_batch_size, "validation_batch_size")
            data = unpack_x_y_sample_weight(validation_data)
            batches = passes.source_for(self, *data, batch_size=size or batch_size, steps=limit)
            validation = Epochs(run.share(batches, "test"), limit, anew=True)
        training = Epochs(run.share(source, "train"), steps)
        span = range(initial_epoch, epochs)
        fitting.prepare_both(self, training, validation, span, frequency)
        callbacks = run.callbacks(callbacks, verbose, epochs=epochs, steps=training.num_batches)
        with run.running():
            fitting.run_epochs(self, training, validation, callbacks, span, frequency)
        return self.history

    def evaluate(
        self: Trainable,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Results:
        """Return loss and metrics over data. Mirrors `keras.Model.evaluate`.

        The arguments are those of `fit`. Returns the loss, a list of the loss and
        the metrics, or with `return_dict` a dict.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        one_batch.require_compiled(self)
        if kwargs:
            from rnn_engine.missing import renamed

            raise ValueError(f"Arguments not recognized: {kwargs}{renamed(kwargs)}")
        verbose = check.check_verbose(verbose)
        batch_size = check.check_optional_count(batch_size, "batch_size")
        steps = check.check_optional_count(steps, "steps")
        source = passes.source_for(self, x, y, sample_weight, batch_size=batch_size, steps=steps)
        epochs = Epochs(source, steps)
        passes.prepare(self, epochs, "test")
        callbacks = passes.callback_list(self, callbacks, verbose, epochs)
        logs = passes.evaluate_pass(self, epochs, callbacks)
        return logs if return_dict else compilation.in_order(self.metrics, logs)

    def predict(
        self: Trainable,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
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
        if verbose == 0 and callbacks is None and steps is None and one_batch.holds(x, batch_size):
            return one_batch.predict(self, x)
        source = passes.source_for(self, x, batch_size=batch_size, steps=steps, time_major=False)
        epochs = Epochs(source, steps)
        passes.prepare(self, epochs, "predict")
        return predicting.predict(self, epochs, callbacks, verbose)

    def train_on_batch(
        self: Trainable,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Results:
        """Update the weights once; return as `evaluate`. Mirrors Keras's method.

        Raises
        ------
        ValueError
            As `fit`, or if both kinds of weights are given.
        """
        one_batch.require_compiled(self)
        sample_weight = one_batch.sample_weights(self, y, sample_weight, class_weight)
        return one_batch.run(self, "train", (x, y, sample_weight), return_dict)

    def test_on_batch(
        self: Trainable, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Results:
        """Evaluate one batch; return as `evaluate`. Mirrors Keras's method.

        Raises
        ------
        ValueError
            As `fit`.
        """
        one_batch.require_compiled(self)
        return one_batch.run(self, "test", (x, y, sample_weight), return_dict)

    def predict_on_batch(self: Trainable, x: Any) -> np.ndarray:
        """Return the outputs of one batch. Mirrors Keras's method.

        Raises
        ------
        ValueError
            If `x` does not fit the model.
        """
        return one_batch.predict(self, x)

    def gradients(
        self: Trainable,
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
        one_batch.require_compiled(self)
        return one_batch.gradients(self, (x, y, sample_weight), inputs, training)


mark_gone(
    Trainer,
    "Model",
    "fit_generator evaluate_generator predict_generator predict_classes predict_proba to_yaml "
    "quantize",
)
