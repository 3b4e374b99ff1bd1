"""Training: `Trainer`, the mixin of models, and the data it takes."""

from rnn_engine.training.gradients import Gradients
from rnn_engine.training.trainer import Trainer
from rnn_engine.utils.dataset import PyDataset, unpack_x_y_sample_weight

__all__ = ["Gradients", "PyDataset", "Trainer", "unpack_x_y_sample_weight"]
