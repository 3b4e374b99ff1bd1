"""Predict the next character of Shakespeare's sonnets, and write a few lines.

The text is real and in the public domain (see data/SOURCE.md). The last fifteen
sonnets are held out. The score is bits per character on them, next to two models
that only count: the frequency of each character, and of each pair of characters.
"""

import argparse
import re
from pathlib import Path

import numpy as np

import rnn_engine

DATA = Path(__file__).parent / "data" / "shakespeare_sonnets.txt"
WINDOW = 64
HELD_OUT = 15


def load() -> tuple[str, str]:
    """Return the sonnets to learn from and the held-out ones, in small letters."""
    text = DATA.read_text(encoding="ascii").split("\n\n", maxsplit=1)[1]
    sonnets = re.split(r"^[IVXLC]+\n\n", text, flags=re.MULTILINE)[1:]
    sonnets = [sonnet.strip().lower() + "\n\n" for sonnet in sonnets]
    return "".join(sonnets[:-HELD_OUT]), "".join(sonnets[-HELD_OUT:])


def windows(codes: np.ndarray, alphabet: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a text into windows: one-hot characters (N, WINDOW, alphabet) and the next ones."""
    count = (len(codes) - 1) // WINDOW
    x = codes[: count * WINDOW].reshape(count, WINDOW)
    y = codes[1 : count * WINDOW + 1].reshape(count, WINDOW)
    return np.eye(alphabet, dtype=np.float32)[x], y


def counting_models(learn: np.ndarray, test: np.ndarray, alphabet: int) -> tuple[float, float]:
    """Return bits per character of single frequencies and of pair frequencies."""
    pairs = np.ones((alphabet, alphabet))  # every pair once, so that none is impossible
    np.add.at(pairs, (learn[:-1], learn[1:]), 1)
    single = pairs.sum(axis=0) / pairs.sum()
    given = pairs / pairs.sum(axis=1, keepdims=True)
    return (
        float(-np.log2(single[test[1:]]).mean()),
        float(-np.log2(given[test[:-1], test[1:]]).mean()),
    )


def write(model: rnn_engine.Sequential, start: str, letters: str, length: int, seed: int) -> str:
    """Continue `start` by drawing each next character from what the model expects."""
    draw = np.random.default_rng(seed)
    text = start
    hot = np.eye(len(letters), dtype=np.float32)
    for _ in range(length):
        recent = [letters.index(letter) for letter in text[-WINDOW:]]
        chances = np.asarray(model.predict_on_batch(hot[recent][None]))[0, -1].astype(np.float64)
        text += letters[draw.choice(len(letters), p=chances / chances.sum())]
    return text


def main() -> None:
    """Train, score the held-out sonnets, write some lines."""
    parser = argparse.ArgumentParser(description="Predict the next character of the sonnets.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--length", type=int, default=240, help="characters to write")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    learn_text, test_text = load()
    letters = "".join(sorted(set(learn_text + test_text)))
    code = {letter: number for number, letter in enumerate(letters)}
    learn = np.array([code[letter] for letter in learn_text])
    test = np.array([code[letter] for letter in test_text])
    x, y = windows(learn, len(letters))
    x_test, y_test = windows(test, len(letters))
    print(f"{len(learn)} characters to learn from, {len(test)} held out, alphabet {len(letters)}")

    rnn_engine.utils.set_random_seed(options.seed)
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.SimpleRNN(
                options.units, return_sequences=True, input_shape=(WINDOW, len(letters))
            ),
            rnn_engine.layers.Dense(len(letters), activation="softmax"),
        ]
    )
    model.compile(
        optimizer=rnn_engine.optimizers.Adam(learning_rate=0.002),
        loss="sparse_categorical_crossentropy",
    )
    for epoch in range(options.epochs):
        loss = model.fit(x, y, epochs=1, batch_size=16, verbose=0).history["loss"][0]
        if epoch == 0 or (epoch + 1) % 5 == 0 or epoch + 1 == options.epochs:
            print(f"epoch {epoch + 1:3d}  training loss {loss:.4f} ({loss / np.log(2):.2f} bits)")

    held_out = model.evaluate(x_test, y_test, verbose=0)
    single, pairs = counting_models(learn, test, len(letters))
    print("\nheld-out sonnets          bits per character")
    print(f"  SimpleRNN               {held_out / np.log(2):.2f}")
    print(f"  pairs of characters     {pairs:.2f}")
    print(f"  single characters       {single:.2f}")

    print("\nwritten by the network:\n")
    print(write(model, "shall i compare thee to a ", letters, options.length, options.seed))


if __name__ == "__main__":
    main()
