"""Ctrl-C in the middle of training leaves the weights of a whole step."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.kernels.process import finish, start

# A step takes some tens of milliseconds. The weights that an interrupt leaves are compared
# with those of a run of as many steps as the optimizer counted.
PROGRAM = """
import faulthandler, sys
import numpy as np
import rnn_engine

BATCH, STEPS, FEATURES, UNITS = 64, 200, 32, 128
rng = np.random.default_rng(0)
x = rng.normal(size=(BATCH * 4, STEPS, FEATURES)).astype(np.float32)
y = rng.normal(size=(BATCH * 4, 1)).astype(np.float32)

def make():
    rnn_engine.utils.set_random_seed(2)
    model = rnn_engine.Sequential([
        rnn_engine.layers.SimpleRNN(UNITS, return_sequences=True),
        rnn_engine.layers.SimpleRNN(UNITS),
        rnn_engine.layers.Dense(1),
    ])
    model.compile("adam", "mse")
    model.fit(x[:BATCH], y[:BATCH], BATCH, verbose=0)  # compiles
    return model

def left(model):
    slots = [v.value.tobytes() for v in model.optimizer.variables]
    return [w.tobytes() for w in model.get_weights()] + slots

class Watch(rnn_engine.callbacks.Callback):
    ended = False
    def __init__(self, most=None):
        self.left = most
        super().__init__()
    def on_train_end(self, logs=None):
        self.ended = True

class Limit(Watch):
    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            self.model.stop_training = True

def train(model, watch):
    model.fit(x, y, batch_size=BATCH, epochs=10**6, shuffle=False, verbose=0, callbacks=[watch])

def say(*words):
    print(*words, flush=True)

model = make()
done, runs = 1, []
for _ in range(int(sys.stdin.readline())):
    faulthandler.dump_traceback_later(240, exit=True)  # should a Ctrl-C be lost
    watch = Watch()
    say("training")
    try:
        train(model, watch)
    except KeyboardInterrupt:
        say("interrupted")
    assert watch.ended and model.training_interrupted
    runs.append(int(model.optimizer.iterations) - done)
    done += runs[-1]
    twin = make()
    for steps in filter(None, runs):
        train(twin, Limit(steps))
    assert int(twin.optimizer.iterations) == done
    assert left(twin) == left(model)
    say("equal after", done)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals to processes are POSIX's")
def test_interrupt_leaves_a_whole_step():
    delays = [float(text) for text in os.environ.get("DELAYS", "0.15 0.31 0.083").split()]
    process = start(PROGRAM, stdin=subprocess.PIPE)
    process.stdin.write(f"{len(delays)}\n")
    process.stdin.flush()
    for delay in delays:
        assert process.stdout.readline() == "training\n", process.communicate()[1]
        time.sleep(delay)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n", process.communicate()[1]
        if os.environ.get("SHOW_TIMES"):
            print(f"{1000 * (time.monotonic() - sent):.0f} ms")
        answer = process.stdout.readline()
        assert answer.startswith("equal after "), process.communicate()[1]
    finish(process)
