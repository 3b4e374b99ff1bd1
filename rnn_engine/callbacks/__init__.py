"""Callbacks: what runs around epochs and batches. One class, one line of the table.

`registry` lists them by their Keras name.
"""

from typing import TYPE_CHECKING

from rnn_engine.lazy import lazily, places_in, show_public
from rnn_engine.registry import Registry

if TYPE_CHECKING:
    from rnn_engine.callbacks.backup_and_restore import BackupAndRestore
    from rnn_engine.callbacks.callback import Callback
    from rnn_engine.callbacks.callback_list import CallbackList
    from rnn_engine.callbacks.csv_logger import CSVLogger
    from rnn_engine.callbacks.early_stopping import EarlyStopping
    from rnn_engine.callbacks.gradient_monitor import GradientMonitor
    from rnn_engine.callbacks.history import History
    from rnn_engine.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
    from rnn_engine.callbacks.model_checkpoint import ModelCheckpoint
    from rnn_engine.callbacks.monitor import MonitorCallback
    from rnn_engine.callbacks.progbar_logger import ProgbarLogger
    from rnn_engine.callbacks.small import LambdaCallback, TerminateOnNaN
    from rnn_engine.callbacks.swap_ema_weights import SwapEMAWeights
    from rnn_engine.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "GradientMonitor",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "registry",
]

_PLACES = places_in(
    __name__,
    {
        "backup_and_restore": "BackupAndRestore",
        "callback": "Callback",
        "callback_list": "CallbackList",
        "csv_logger": "CSVLogger",
        "early_stopping": "EarlyStopping",
        "gradient_monitor": "GradientMonitor",
        "history": "History",
        "learning_rate": "LearningRateScheduler ReduceLROnPlateau",
        "model_checkpoint": "ModelCheckpoint",
        "monitor": "MonitorCallback",
        "progbar_logger": "ProgbarLogger",
        "small": "LambdaCallback TerminateOnNaN",
        "swap_ema_weights": "SwapEMAWeights",
        "tensorboard": "TensorBoard",
    },
)
registry = Registry("callback")
registry.announce(_PLACES)
__getattr__ = lazily(__name__, _PLACES)
show_public(__name__)
