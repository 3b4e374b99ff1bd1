"""Kill processes while they save, and while they train, and see that nothing was lost.

``make kills N=1000``: N times a process that saves over existing files, in each format in turn, is
ended by SIGKILL at a random moment: each file is then the old or the new model, whole, and after
the next save nothing else lies in the folder. Of `tf.train`'s
checkpoints the newest is. And N/5 times a training is ended at a random moment, drawn anew for
every three kills: shuffle, dropout, optimizers, accumulation, schedules, averages; resumed by
`BackupAndRestore` it ends with the bits of one that was not. The suite runs a few.

Processes are forked before any kernel has run, so that one costs no new import.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import rnn_engine
from rnn_engine import callbacks, layers, optimizers
from rnn_engine.saving import from_onnx, load_model, to_onnx, to_rtneural
from rnn_engine.train import Checkpoint, CheckpointManager

WHOLE = (".keras", ".npz", ".h5", ".safetensors")
WEIGHTS = (".weights.h5", ".weights.npz")
ENDINGS = (*WHOLE, *WEIGHTS, ".onnx", ".rtneural.json", ".checkpoints")


def two_models():
    """Return two models that are alike but for their numbers; no kernel runs for it."""
    found = []
    for number in range(2):
        model = rnn_engine.Sequential(
            [layers.Input((5, 40)), layers.LSTM(64), layers.Dense(8, name="last")]
        )
        model.compile(optimizers.Adam(0.01), "mse")
        model.optimizer.build(model.trainable_variables)
        rng = np.random.default_rng(number)
        for variable in (*model.variables, *model.optimizer.variables[2:]):
            variable.assign(rng.normal(size=variable.shape))
        found.append(model)
    return found


def save(model, folder, ending):
    """Save over what is there."""
    path = folder / f"m{ending}"
    if ending == ".onnx":
        to_onnx(model, path)
    elif ending == ".rtneural.json":
        to_rtneural(model, path)
    elif ending == ".checkpoints":
        checkpoint = Checkpoint(model=model, optimizer=model.optimizer)
        manager = CheckpointManager(checkpoint, path, max_to_keep=1)
        if latest := manager.latest_checkpoint:
            checkpoint.save_counter = int(latest.rpartition("-")[2])
        manager.save()
    else:
        (model.save_weights if ending in WEIGHTS else model.save)(path)


def load(folder, ending):
    """Return the numbers in a file; of files that nothing here reads, its bytes."""
    path = folder / f"m{ending}"
    if ending == ".rtneural.json":
        return [np.frombuffer(path.read_bytes(), "u1")]
    if ending == ".onnx":
        return from_onnx(path).get_weights()
    if ending in WHOLE:
        return numbers(load_model(path))
    model = two_models()[0]
    if ending in WEIGHTS:
        model.load_weights(path)
    else:
        manager = CheckpointManager(
            Checkpoint(model=model, optimizer=model.optimizer), path, max_to_keep=1
        )
        if manager.restore_or_initialize() is None:
            raise ValueError("no checkpoint is there")
    return numbers(model)


def numbers(model):
    """Return all that a file has to bring back."""
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def same(ours, theirs):
    """Whether two lists of arrays are of the same bits."""
    return len(ours) == len(theirs) and all(
        one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(ours, theirs, strict=True)
    )


class Saves:
    """Saves that are killed."""

    def __init__(self, folder, rng):
        self.folder, self.rng = Path(folder), rng
        self.models = two_models()
        self.wanted = {ending: [] for ending in ENDINGS}
        for model in reversed(self.models):
            begin = time.monotonic()
            for ending in ENDINGS:
                save(model, self.folder, ending)
                self.wanted[ending].insert(0, self._wanted(model, ending))
            self.seconds = time.monotonic() - begin
        self.counts = Counter()

    def _wanted(self, model, ending):
        if ending == ".rtneural.json":
            return load(self.folder, ending)
        return model.get_weights() if ending == ".onnx" else numbers(model)

    def run(self):
        """Kill one process; return what is wrong afterwards, or an empty text."""
        order = self.rng.sample(ENDINGS, len(ENDINGS))
        ready, says = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(says, b"x")
            while True:  # until it is killed
                for model in reversed(self.models):
                    for ending in order:
                        save(model, self.folder, ending)
        os.close(says)
        os.read(ready, 1)
        os.close(ready)
        time.sleep(self.rng.uniform(0, 2.5 * self.seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "; ".join(filter(None, map(self._look, ENDINGS)))

    def _look(self, ending):
        places = os.listdir(self.folder)
        if ending == ".checkpoints":
            places += os.listdir(self.folder / "m.checkpoints")
            left = [p for p in places if p.startswith((".ckpt-", ".checkpoint."))]
        else:
            left = [p for p in places if p.startswith(f".m{ending}.")]
        self.counts["cut short"] += len(left)
        if len(left) > 1:
            return f"{ending}: {left} lie there"
        try:
            found = load(self.folder, ending)
        except Exception as error:
            return f"{ending}: {error!r}"
        for which, wanted in enumerate(self.wanted[ending]):
            if same(found, wanted):
                self.counts[("old", "new")[which]] += 1
                return ""
        return f"{ending}: neither the old nor the new model"

    def litter(self):
        """Return what lies in the folder beside the files after one more save of each."""
        for ending in ENDINGS:
            save(self.models[0], self.folder, ending)
        left = set(os.listdir(self.folder)) - {f"m{ending}" for ending in ENDINGS}
        return sorted([*left, *sorted(os.listdir(self.folder / "m.checkpoints"))[2:]])


# --- training ---------------------------------------------------------------------------

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(24, 6, 3)).astype("f4"), RNG.normal(size=(24, 2)).astype("f4")
EPOCHS = 6


def draw(rng):
    """Draw what a training is like; the first choice of each is what most programs have."""
    return {
        "optimizer": rng.choice(["Adam", "SGD", "RMSprop", "Nadam", "Adamax", "Lion", "Ftrl"]),
        "schedule": rng.choice(["ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay", ""]),
        "accumulate": rng.choice([None, 2, 3]),
        "average": rng.choice([None, 1, 4, 100]),
        "clip": rng.choice([{}, {"clipnorm": 0.5}, {"global_clipnorm": 0.5}]),
        "decay": rng.choice([None, 0.01]),
        "dropout": rng.choice([0.25, 0.0]),
        "shuffle": rng.random() < 0.7,
        "batch_size": rng.choice([3, 5, 24]),
        "split": rng.choice([0.0, 0.25]),
        "save_freq": rng.choice([1, 1, 1, 2, 3, "epoch"]),
    }


def _optimizer(like):
    schedules = optimizers.schedules
    rate = {
        "ExponentialDecay": lambda: schedules.ExponentialDecay(0.01, 3, 0.5),
        "CosineDecay": lambda: schedules.CosineDecay(
            0.001, 30, alpha=0.1, warmup_target=0.02, warmup_steps=7
        ),
        "PiecewiseConstantDecay": lambda: schedules.PiecewiseConstantDecay([5], [0.02, 0.004]),
        "": lambda: 0.01,
    }[like["schedule"]]()
    momenta = {"momentum": 0.9, "nesterov": True} if like["optimizer"] == "SGD" else {}
    average = like["average"]
    return getattr(optimizers, like["optimizer"])(
        rate, use_ema=average is not None, ema_overwrite_frequency=average,
        gradient_accumulation_steps=like["accumulate"], weight_decay=like["decay"],
        **like["clip"], **momenta,
    )  # fmt: skip


def train(like, folder=None):
    """Train with all that keeps a state; return the numbers, and the history."""
    rnn_engine.utils.set_random_seed(7)
    rate = like["dropout"]
    model = rnn_engine.Sequential([
        layers.Input((6, 3)),
        layers.GaussianNoise(0.1),
        layers.LSTM(4, dropout=rate, recurrent_dropout=rate, return_sequences=True),
        layers.BatchNormalization(),
        layers.GRU(3),
        layers.Dropout(rate, seed=5),
        layers.Dense(2),
    ])  # fmt: skip
    model.compile(_optimizer(like), "mse", metrics=["mae"])
    backup = folder and callbacks.BackupAndRestore(folder, save_freq=like["save_freq"])
    history = model.fit(
        X, Y, batch_size=like["batch_size"], epochs=EPOCHS, verbose=0, callbacks=backup,
        shuffle=like["shuffle"], validation_split=like["split"],
    )  # fmt: skip
    return [*numbers(model), np.array([v for k in history.history.values() for v in k])]


def write(path, arrays):
    """Leave arrays for the parent, whole or not at all."""
    part = path.with_name("part.npz")
    np.savez(part, **{f"{i:04}": value for i, value in enumerate(arrays)})
    os.replace(part, path)


def read(path):
    """Return what `write` left."""
    with np.load(path) as file:
        return [file[name] for name in sorted(file)]


def in_child(like, path, folder=None):
    """Start a training in a process of its own; return its number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            write(path, train(like, folder))
            status = 0
        finally:
            os._exit(status)
    return child


class Trainings:
    """Trainings that are killed and resumed."""

    def __init__(self, folder, rng):
        self.folder, self.rng, self.kills = Path(folder), rng, 0

    def run(self, count):
        """Kill a new training `count` times, then let it end; return what is wrong, or nothing."""
        like = draw(self.rng)
        found = self._run(like, count)
        return found and f"{found}: {like}"

    def _run(self, like, count):
        backup, path = self.folder / "backup", self.folder / "resumed.npz"
        path.unlink(missing_ok=True)
        shutil.rmtree(backup, ignore_errors=True)
        begin = time.monotonic()
        if os.waitpid(in_child(like, self.folder / "whole.npz"), 0)[1]:
            return "the training failed"
        seconds = time.monotonic() - begin
        for _ in range(count):
            child = in_child(like, path, backup)
            time.sleep(self.rng.uniform(0.3, 1.3) * seconds)
            os.kill(child, signal.SIGKILL)
            self.kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
            if path.exists():
                break
        else:
            if os.waitpid(in_child(like, path, backup), 0)[1]:
                return "the resumed training failed"
        if not same(read(path), read(self.folder / "whole.npz")):
            return "the resumed training ended with other numbers"
        return f"{backup} is still there" if backup.exists() else ""


def main():
    """Kill as often as asked; print counts, and what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--trainings", type=int, help="a fifth of --kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, wrong = random.Random(options.seed), 0
    wanted = options.kills // 5 if options.trainings is None else options.trainings
    with tempfile.TemporaryDirectory() as folder:
        saves = Saves(folder, rng)
        for number in range(options.kills):
            if found := saves.run():
                wrong += 1
                print(f"kill {number}: {found}", flush=True)
            if number % 100 == 99:
                print(f"{number + 1} kills: {dict(saves.counts)}", flush=True)
        if left := saves.litter():
            wrong += 1
            print(f"left over: {left}")
        print(f"{options.kills} kills of saves: {dict(saves.counts)}, {wrong} wrong", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        trainings, rounds = Trainings(folder, rng), 0
        while trainings.kills < wanted:
            if found := trainings.run(3):
                wrong += 1
                print(f"training: {found}", flush=True)
            if (rounds := rounds + 1) % 20 == 0:
                print(f"{trainings.kills} kills of trainings", flush=True)
        print(f"{trainings.kills} kills of trainings, {wrong} wrong in all")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
