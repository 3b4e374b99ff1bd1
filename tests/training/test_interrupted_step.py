"""Ctrl-C at any line of a step: weights, averages and states are those of a whole step.

Packed weights that a layer keeps are those of its variables then, too.
"""

import contextlib
import itertools
import linecache
import signal
import sys

import numpy as np
import pytest

import rnn_engine
from rnn_engine import constraints, layers, optimizers


@pytest.fixture(autouse=True)
def handler():
    """Python's own handler of SIGINT, before and after a test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_at(number, action):
    """Run `action`, with a SIGINT at its line of that number; return whether one was sent."""
    left = number

    def trace(frame, event, argument):
        nonlocal left
        if "rnn_engine" not in frame.f_globals.get("__name__", ""):
            return None
        if frame.f_code.co_name in ("__enter__", "__exit__"):
            return None
        # Leaving a `with` is a line only for those who trace: no signal is handled there.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and not line.lstrip().startswith("with "):
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    with contextlib.suppress(KeyboardInterrupt):
        sys.settrace(trace)
        try:
            action()
        finally:
            sys.settrace(None)
    return left <= 0


@pytest.mark.parametrize(
    "options",
    [{}, {"clipnorm": 1.0}, {"use_ema": True, "ema_overwrite_frequency": 1}],
    ids=["plain", "clipped", "averaged"],
)
def test_an_interrupted_update_leaves_no_stale_weights(options):
    model = rnn_engine.Sequential([
        layers.SimpleRNN(4, input_shape=(5, 3), kernel_constraint=constraints.UnitNorm()),
        layers.Dense(2),
    ])  # fmt: skip
    variables, rng = model.trainable_variables, np.random.default_rng(0)
    optimizer = optimizers.Adam(0.1, **options)
    optimizer.build(variables)
    x = rng.normal(size=(4, 5, 3)).astype(np.float32)
    for number in itertools.count(1):
        grads = [rng.normal(size=v.shape).astype(np.float32) for v in variables]
        model.predict(x, verbose=0)  # packs the weights
        sent = interrupted_at(number, lambda grads=grads: optimizer.apply(grads, variables))
        got = model.predict(x, verbose=0)
        for variable in variables:
            variable.touch()
        np.testing.assert_array_equal(got, model.predict(x, verbose=0))
        if not sent:
            break
    assert number > 50


def test_a_kernel_that_is_interrupted_at_its_end_leaves_no_stale_weights(monkeypatch):
    model = rnn_engine.Sequential([layers.Dense(2, input_shape=(3,))])
    variables = model.trainable_variables
    optimizer = optimizers.SGD(1.0, clipnorm=1e9)
    optimizer.build(variables)
    x = np.ones((1, 3), np.float32)

    def run(plan, gradient, square):
        plan.flat -= gradient
        model.predict(x, verbose=0)  # as another thread might, and before the update has ended
        plan.flat -= gradient
        raise KeyboardInterrupt

    monkeypatch.setattr(optimizer, "_run_kernel", run)
    with pytest.raises(KeyboardInterrupt):
        optimizer.apply([np.ones(v.shape, np.float32) for v in variables])
    got = model.predict(x, verbose=0)
    for variable in variables:
        variable.touch()
    np.testing.assert_array_equal(got, model.predict(x, verbose=0))


def make_model():
    rnn_engine.utils.set_random_seed(1)
    model = rnn_engine.Sequential([
        layers.Input(batch_shape=(4, 5, 3)),
        layers.BatchNormalization(),
        layers.Bidirectional(layers.SimpleRNN(2, stateful=True, return_sequences=True)),
        layers.RNN(layers.SimpleRNNCell(3), stateful=True),
        layers.BatchNormalization(),
        layers.Dense(1),
    ])  # fmt: skip
    model.compile("adam", "mse")
    return model


def everything(model):
    _, _, wrapper, rnn, *_ = [None, *model.layers]
    found = [*model.weights, *wrapper.states, *rnn.states, *model.optimizer.variables]
    return {id(variable): variable for variable in found}.values()


def content(model):
    return [variable.value.tobytes() for variable in everything(model)]


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_an_interrupt_at_any_line_leaves_a_whole_step(method):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 5, 3)).astype(np.float32), np.ones((4, 1), np.float32)
    model = make_model()

    def train():
        if method == "fit":
            model.fit(x, y, batch_size=4, verbose=0)
        else:
            model.train_on_batch(x, y)

    train()
    start = [variable.numpy() for variable in everything(model)]
    before = content(model)
    train()
    after = content(model)
    assert all(a != b for a, b in zip(before, after, strict=True) if len(a) > 4)
    seen = []
    for number in itertools.count(1, 5):
        for variable, value in zip(everything(model), start, strict=True):
            variable.assign(value)
        assert content(model) == before
        sent = interrupted_at(number, train)
        assert content(model) in (before, after), number
        seen.append(content(model) == after)
        if not sent:
            break
    assert seen == sorted(seen)  # first steps that were undone, then whole ones
    assert seen[-1]
    assert seen.count(False) > 20


class Replay(rnn_engine.callbacks.Callback):
    """Trains within training."""

    def __init__(self, model, x, y):
        super().__init__()
        self.other, self.data = model, (x, y)

    def on_epoch_end(self, epoch, logs=None):
        self.other.fit(*self.data, verbose=0)
        self.other.train_on_batch(*self.data)
        self.handler = signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize("own", [True, False], ids=["itself", "another"])
def test_a_model_that_trains_in_a_callback_leaves_the_handler(own):
    model, x, y = make_model(), np.ones((4, 5, 3)), np.ones((4, 1))
    replay = Replay(model if own else make_model(), x, y)
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[replay])
    assert replay.handler == model._compilation.guard._handle  # still that of the outer training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
