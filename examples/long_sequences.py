"""How long a memory: SimpleRNN, LSTM and GRU on three tasks, by the length of the sequence.

python -m examples.long_sequences [--lengths 10,30,100] [--seeds 3] [--out out]

    copy    three symbols of six, then blanks; at the end they are to be said again
    adding  numbers in 0..1, two of them marked: their sum (one mark in each half)
    text    a stretch of Shakespeare's sonnets; behind it, which letter it began with was said

Each net has as many units, is trained with the same optimizer on sequences drawn anew for each
update, and stops when it has solved its task on held-out ones or is out of updates. Told is the
share that it solved: of the symbols that were right beyond chance (copy, text), of the variance
that is explained (adding). 1 is all, 0 is what guessing gives.

How a net begins counts as much as what it is, so there are two of two kinds: a SimpleRNN whose
recurrent weights are orthogonal, as Keras's are, or random (glorot_uniform); an LSTM with Keras's
biases, or with those by which its gates begin with memories of up to the length of the sequence
(Tallec and Ollivier 2018, "Can recurrent neural networks warp time?").
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine.layers import GRU, LSTM, Dense, Input, SimpleRNN

CELLS: dict[str, Any] = {
    "SimpleRNN, random": partial(SimpleRNN, recurrent_initializer="glorot_uniform"),
    "SimpleRNN": SimpleRNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "LSTM, long": LSTM,
}
SYMBOLS, COPIED = 6, 3
LETTERS = "abcdefghijklmnopqrstuvwxyz "
FIRST = "tahi"  # letters that a stretch of text begins with
TEXT = Path(__file__).parent / "data" / "shakespeare_sonnets.txt"
SOLVED = 0.98

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


class Copy:
    """Three symbols, `length` blanks, three steps to say the symbols again."""

    outputs, loss, activation = SYMBOLS, "sparse_categorical_crossentropy", "softmax"
    features = SYMBOLS + 2

    def draw(
        self, rng: np.random.Generator, rows: int, length: int, held_out: bool = False
    ) -> Batch:
        """Return inputs, targets of every step, and the weights of the steps."""
        symbols = rng.integers(0, SYMBOLS, (rows, COPIED))
        steps = length + 2 * COPIED
        index = np.full((rows, steps), SYMBOLS)
        index[:, :COPIED] = symbols
        index[:, -COPIED:] = SYMBOLS + 1
        y, weight = np.zeros((rows, steps), int), np.zeros((rows, steps), np.float32)
        y[:, -COPIED:], weight[:, -COPIED:] = symbols, steps / COPIED
        return np.eye(self.features, dtype=np.float32)[index], y, weight

    def score(self, p: np.ndarray, y: np.ndarray) -> float:
        """Return the share of right symbols, from chance to all."""
        right = (p[:, -COPIED:].argmax(-1) == y[:, -COPIED:]).mean()
        return float((right - 1 / SYMBOLS) / (1 - 1 / SYMBOLS))


class Adding:
    """Random numbers, one marked in each half: their sum at the end."""

    outputs, loss, activation, features = 1, "mse", None, 2

    def draw(
        self, rng: np.random.Generator, rows: int, length: int, held_out: bool = False
    ) -> Batch:
        """Return inputs, targets (at the end), and the weights of the samples."""
        values, marks = rng.random((rows, length)), np.zeros((rows, length))
        half = length // 2
        first, second = rng.integers(0, half, rows), rng.integers(half, length, rows)
        row = np.arange(rows)
        marks[row, first] = marks[row, second] = 1
        y = values[row, first] + values[row, second]
        x = np.stack([values, marks], axis=-1).astype(np.float32)
        return x, y[:, None].astype(np.float32), np.ones(rows, np.float32)

    def score(self, p: np.ndarray, y: np.ndarray) -> float:
        """Return the share of the variance that is explained."""
        return float(1 - np.mean((p - y) ** 2) / np.var(y))


class Text:
    """Real letters: which of four the stretch began with."""

    outputs, loss, activation = len(FIRST), "sparse_categorical_crossentropy", "softmax"
    features = len(LETTERS)

    def __init__(self) -> None:
        text = " ".join(TEXT.read_text(encoding="ascii").lower().split())
        self.index = np.array([LETTERS.index(c) for c in text if c in LETTERS])
        # The last fifth is held out.
        self.cut = len(self.index) * 4 // 5

    def draw(
        self, rng: np.random.Generator, rows: int, length: int, held_out: bool = False
    ) -> Batch:
        """Return inputs, targets (at the end), and the weights of the samples."""
        y = rng.integers(0, len(FIRST), rows)
        low, high = (self.cut, len(self.index)) if held_out else (0, self.cut)
        usable = self.index[low : high - length]
        places = [low + np.flatnonzero(usable == LETTERS.index(c)) for c in FIRST]
        starts = np.array([rng.choice(places[k]) for k in y])
        x = np.eye(self.features, dtype=np.float32)[self.index[starts[:, None] + np.arange(length)]]
        return x, y, np.ones(rows, np.float32)

    def score(self, p: np.ndarray, y: np.ndarray) -> float:
        """Return the share of right letters, from chance to all."""
        chance = 1 / len(FIRST)
        return float(((p.argmax(-1) == y).mean() - chance) / (1 - chance))


TASKS: dict[str, Any] = {"copy": Copy, "adding": Adding, "text": Text}


def train(task: Any, cell: str, length: int, seed: int, updates: int, units: int) -> float:
    """Train one net; return what it solved of held-out sequences, at its best."""
    rnn_engine.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    sequences = isinstance(task, Copy)
    model = rnn_engine.Sequential(
        [
            Input((None, task.features)),
            CELLS[cell](units, return_sequences=sequences),
            Dense(task.outputs, task.activation),
        ]
    )
    if cell == "LSTM, long":
        remember_long(model.layers[0], length, rng)
    optimizer = rnn_engine.optimizers.Adam(3e-3, clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=task.loss)
    x_test, y_test, _ = task.draw(np.random.default_rng(10_000 + seed), 500, length, held_out=True)
    best = -np.inf
    for update in range(1, updates + 1):
        x, y, weight = task.draw(rng, 64, length)
        model.train_on_batch(x, y, weight)
        if update % 100 == 0 or update == updates:
            best = max(best, task.score(model.predict(x_test, 500, verbose=0), y_test))
            if best > SOLVED:
                break
    return best


def remember_long(layer: Any, length: int, rng: np.random.Generator) -> None:
    """Have the gates of an LSTM begin with memories of one to `length` steps."""
    i, f, c, o = np.split(np.array(layer.bias), 4)
    f[:] = np.log(rng.uniform(1, length - 1, len(f)))
    i[:] = -f
    layer.bias.assign(np.concatenate([i, f, c, o]))


def draw(rows: dict[str, dict[str, list[list[float]]]], lengths: list[int], folder: Path) -> Path:
    """Write the picture: a panel a task, a line a cell, a dot a seed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(rows), 3.4))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    for axes, (task, cells) in zip(panels, rows.items(), strict=True):
        for color, (cell, scores) in enumerate(cells.items()):
            axes.plot(lengths, [np.median(s) for s in scores], f"C{color}-", label=cell)
            for length, some in zip(lengths, scores, strict=True):
                axes.plot([length] * len(some), some, f"C{color}.", markersize=4)
        axes.set(title=task, xlabel="length", xscale="log", ylim=(-0.1, 1.05))
        axes.set_xticks(lengths, map(str, lengths), minor=False)
        axes.minorticks_off()
    panels[0].set_ylabel("solved")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=len(CELLS))
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "long_sequences.png", dpi=120)
    return folder / "long_sequences.png"


def main() -> None:
    """Train all nets and print the table."""
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("--tasks", default=",".join(TASKS))
    made.add_argument("--lengths", default="10,30,100")
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--updates", type=int, default=1500)
    made.add_argument("--units", type=int, default=32)
    made.add_argument("--out", type=Path, help="folder of the picture")
    given = made.parse_args()
    lengths = [int(part) for part in given.lengths.split(",")]
    begin = time.perf_counter()
    print(
        f"solved, median (least to greatest) of {given.seeds} seeds, {given.units} units, at most "
        f"{given.updates} updates of 64 sequences\n"
    )
    print(f"| task | cell | {' | '.join(map(str, lengths))} |")
    print(f"|---|---|{'---:|' * len(lengths)}")
    rows: dict[str, dict[str, list[list[float]]]] = {}
    for name in given.tasks.split(","):
        task = TASKS[name]()
        rows[name] = {cell: [] for cell in CELLS}
        for cell, scores in rows[name].items():
            for length in lengths:
                some = [train(task, cell, length, seed, given.updates, given.units)
                        for seed in range(given.seeds)]  # fmt: skip
                scores.append(some)
            shown = [f"{np.median(s):.2f} ({min(s):.2f} to {max(s):.2f})" for s in scores]
            print(f"| {name} | {cell} | {' | '.join(shown)} |", flush=True)
    print(f"\n{time.perf_counter() - begin:.0f} s")
    if given.out is not None:
        print(draw(rows, lengths, given.out))


if __name__ == "__main__":
    main()
