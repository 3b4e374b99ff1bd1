"""A dense layer in NumPy that has just what `Trainer` asks of a model."""

import numpy as np

from rnn_engine.training import Trainer
from rnn_engine.variable import Variable


class DenseModel(Trainer):
    """``y = x @ kernel + bias``, on the last axis, with an optional L2 penalty."""

    kernel_dtype = "float64"

    def __init__(self, features=3, units=2, l2=0.0, seed=0, dtype="float64"):
        rng = np.random.default_rng(seed)
        self.kernel_dtype = dtype
        self.kernel = Variable(rng.normal(size=(features, units)), name="kernel", dtype=dtype)
        self.bias = Variable(rng.normal(size=units), name="bias", dtype=dtype)
        self.l2 = l2
        self.layers = []
        self.built = True
        self.seen = []

    @property
    def trainable_variables(self):
        return [self.kernel, self.bias]

    def get_weights(self):
        return [self.kernel.numpy(), self.bias.numpy()]

    def set_weights(self, weights):
        for variable, value in zip(self.trainable_variables, weights, strict=True):
            variable.assign(value)

    def save_weights(self, path, overwrite=True):
        with open(path, "wb") as file:
            np.savez(file, *self.get_weights())

    def load_weights(self, path):
        with np.load(path) as file:
            self.set_weights([file[name] for name in file.files])

    def save(self, path, overwrite=True):
        self.save_weights(path)

    def build_from_data(self, x):
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"x has {x.shape[-1]} features, expected {self.kernel.shape[0]}.")

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.kernel.shape[1])

    def checked_output_shape(self, x):
        return self.compute_output_shape(x.shape)

    def forward(self, x, training=False, mask=None):
        self.seen.append(np.array(x))
        return x @ self.kernel.value + self.bias.value, x

    def forward_with_mask(self, x, training=False, mask=None, keep=False):
        y, saved = self.forward(x, training)
        return y, None, saved

    def backward(self, dy, saved, need_dx=False):
        features, units = self.kernel.shape
        self.kernel.grad[...] += saved.reshape(-1, features).T @ dy.reshape(-1, units)
        self.bias.grad[...] += dy.reshape(-1, units).sum(axis=0)
        return dy @ self.kernel.value.T if need_dx else None

    def logits_path(self, training):
        return None

    def regularization(self, saved=None):
        if not self.l2:
            return 0.0
        self.kernel.grad[...] += 2 * self.l2 * self.kernel.value
        return float(self.l2 * (self.kernel.value**2).sum())


def make_model(optimizer="sgd", loss="mse", **options):
    """Return a compiled `DenseModel`."""
    compiling = {k: options.pop(k) for k in ("metrics", "weighted_metrics") if k in options}
    model = DenseModel(**options)
    model.compile(optimizer, loss, **compiling)
    return model


def make_data(n=10, features=3, units=2, seed=1):
    """Return `x (n, features)` and `y (n, units)`."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)), rng.normal(size=(n, units))
