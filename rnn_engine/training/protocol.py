"""What the training asks of a model."""

from typing import Any, Protocol

from rnn_engine.random import Place
from rnn_engine.training.form import DataForm
from rnn_engine.variable import Variable


class Trainable(Protocol):
    """Anything with a forward, a backward and variables.

    Where a model has several inputs or outputs, x, y, masks and gradients are flat lists of
    arrays, else arrays.
    """

    compiled: bool
    optimizer: Any
    loss: Any
    history: Any
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    training_interrupted: bool
    steps_per_execution: int
    run_eagerly: bool
    jit_compile: Any
    _compilation: Any
    _place: Place | None
    _fits: dict[str, Any] | None
    _initial_epoch: int | None
    _training_data: Any

    @property
    def layers(self) -> list[Any]:
        """The layers."""

    @property
    def trainable_variables(self) -> list[Variable]:
        """What the optimizer updates."""

    @property
    def metrics(self) -> list[Any]:
        """The average of the loss, the metrics of `compile`, those of layers."""

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the running average of the loss and the results of the metrics."""

    def reset_metrics(self) -> None:
        """Reset the state of the loss tracker and of every metric."""

    def data_form(self) -> DataForm:
        """Return how the data look."""

    def build_from_data(self, x: Any) -> None:
        """Build the model for data like `x`, if it is not built yet."""

    def checked_output_shape(self, x: Any) -> Any:
        """Check the shape of the input of every layer; return the output's, None if unknown."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return ``(y, saved)``."""

    def forward_with_mask(
        self, x: Any, training: bool = False, mask: Any = None, keep: bool = False
    ) -> Any:
        """Return ``(y, mask of y, saved)``."""

    def backward(self, dy: Any, saved: Any, need_dx: bool = False) -> Any:
        """Add the gradients of the weights; return that by the input if wanted."""

    def regularization(self, saved: Any = None) -> float:
        """Add the gradients of penalties; return their sum."""

    def logits_path(self, training: bool) -> Any:
        """Return the way to the logits of the output, None if it has none."""
