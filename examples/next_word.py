"""Predict the next word of a sentence, and write on from a prompt.

The text is real English that comes with Python: the prose of its language reference, as
`help()` shows it (`pydoc_data.topics`, Python Software Foundation License). Paragraphs that
appear twice are read once; every tenth is held out. TextVectorization turns words into
numbers, an Embedding into vectors, a recurrent layer reads them, a softmax expects the next.

The score is the perplexity of the held-out words: how many equally likely words the model
wavers between. The field's simple method is the trigram with interpolated Kneser-Ney
smoothing, counted here on the same words with the same vocabulary.

Kneser, R. and Ney, H. 1995. Improved backing-off for m-gram language modeling. ICASSP 1,
181-184. Chen, S. F. and Goodman, J. 1999. An empirical study of smoothing techniques for
language modeling. Computer Speech and Language 13 (4), 359-394.
"""

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

import rnn_engine
from rnn_engine import layers

WINDOW = 32
# Each cell with its learning rate. These and the dropout were chosen on a tenth of the
# paragraphs to learn from.
CELLS = {"LSTM": (layers.LSTM, 0.006), "GRU": (layers.GRU, 0.004),
         "SimpleRNN": (layers.SimpleRNN, 0.002)}  # fmt: skip


def paragraphs() -> list[str]:
    """Return the prose of Python's language reference, words and stops set apart by blanks."""
    found = {}
    for topic in topics.values():
        for block in re.split(r"\n\s*\n", topic):
            text = " ".join(re.sub(r"^\* ", "", block.strip()).split())
            # Prose begins with a capital and ends a sentence; code and grammar do not.
            if re.match(r"[A-Z]", text) and text[-1] in ".:" and "::=" not in text:
                text = re.sub(r"[\"“”*`()]|\be\.g\.|\bi\.e\.", " ", text.lower())
                found[" ".join(re.findall(r"[a-z_]+(?:['-][a-z]+)*|[.,;:]", text))] = True
    return [text for text in found if len(text.split()) > 5]


class KneserNey:
    """Interpolated Kneser-Ney trigrams over the words 0 to size - 1.

    The longest n-grams are counted as they are, shorter ones by the number of different
    words that they follow. Each order gives away a discount D = n1 / (n1 + 2 n2) of every
    count to the order below, and the last to all words alike.
    """

    def __init__(self, words: list[int], size: int) -> None:
        three = Counter(zip(words, words[1:], words[2:], strict=False))
        two = Counter(gram[1:] for gram in three)
        one = Counter(gram[1:] for gram in two)
        self.size = size
        self.orders = [self._table(grams) for grams in (one, two, three)]

    @staticmethod
    def _table(grams: Counter) -> tuple[dict, float]:
        """Return context -> (the words after it, their counts), and the discount."""
        once, twice = (sum(count == n for count in grams.values()) for n in (1, 2))
        after = defaultdict(list)
        for gram, count in grams.items():
            after[gram[:-1]].append((gram[-1], count))
        table = {context: np.array(pairs).T for context, pairs in after.items()}
        return table, once / (once + 2 * twice) if once else 0.5

    def __call__(self, *before: int) -> np.ndarray:
        """Return the probability of every word after the words `before`, (size,)."""
        chances = np.full(self.size, 1 / self.size)
        for length, (table, discount) in enumerate(self.orders):
            context = before[len(before) - length :]
            if len(context) == length and context in table:
                words, counts = table[context]
                chances *= discount * len(words) / counts.sum()
                chances[words] += (counts - discount) / counts.sum()
        return chances


def perplexity(chances: np.ndarray) -> float:
    """Return exp of the mean of -log(chance of the word that came)."""
    return float(np.exp(-np.log(chances).mean()))


def build(cell: str, size: int, units: int) -> rnn_engine.Sequential:
    """Return the model: words in, the chances of the next word at every step out."""
    layer, rate = CELLS[cell]
    model = rnn_engine.Sequential(
        [
            layers.Embedding(size, units, input_shape=(None,)),
            layers.Dropout(0.5),
            layer(units, return_sequences=True),
            layers.Dropout(0.5),
            layers.Dense(size, activation="softmax"),
        ]
    )
    adam = rnn_engine.optimizers.Adam(learning_rate=rate, clipnorm=1.0)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy")
    return model


def held_out_chances(model: rnn_engine.Sequential, words: np.ndarray) -> np.ndarray:
    """Return what the model gave to each word after the first, read as one long text."""
    chances = np.asarray(model.predict(words[None, :-1], verbose=0))[0]
    return chances[np.arange(len(words) - 1), words[1:]]


def write(
    model: rnn_engine.Sequential, vocabulary: list[str], prompt: str, length: int, seed: int
) -> str:
    """Continue the prompt, drawing each word from what the model expects, a little sharpened."""
    draw = np.random.default_rng(seed)
    number = {word: index for index, word in enumerate(vocabulary)}
    text = re.findall(r"[a-z_]+(?:['-][a-z]+)*|[.,;:]", prompt.lower())
    for _ in range(length):
        words = np.array([[number.get(word, 1) for word in text[-WINDOW:]]])
        chances = np.asarray(model.predict_on_batch(words))[0, -1].astype(np.float64) ** 1.5
        chances[:2] = 0  # neither padding nor the unknown word can be written
        text.append(vocabulary[draw.choice(len(chances), p=chances / chances.sum())])
    return re.sub(r" ([.,;:])", r"\1", " ".join(text))


def plot(path: Path, curves: dict[str, np.ndarray], baselines: dict[str, float]) -> None:
    """Draw the held-out perplexity after every epoch, (seeds, epochs) for each cell."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for cell, runs in curves.items():
        epochs = np.arange(1, runs.shape[1] + 1)
        (line,) = axes.plot(epochs, runs.mean(axis=0), label=f"{cell}, mean of the seeds")
        axes.fill_between(epochs, runs.min(0), runs.max(0), color=line.get_color(), alpha=0.2)
    for style, (name, value) in zip(("-", "--", ":"), baselines.items(), strict=False):
        axes.axhline(value, color="k", linestyle=style, linewidth=1, label=f"{name}, {value:.0f}")
    axes.set_yscale("log")
    axes.set_yticks([60, 80, 100, 150, 200, 300, 400], [60, 80, 100, 150, 200, 300, 400])
    axes.set_xlabel("epoch")
    axes.set_ylabel("perplexity of held-out words")
    axes.set_title("Next word of Python's language reference")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Train every cell from every seed, score the held-out words, write on from the prompt."""
    parser = argparse.ArgumentParser(description="Predict the next word of a sentence.")
    parser.add_argument("--prompt", default="the function returns", help="what is written on")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--units", type=int, default=158)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less of everything")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.units, options.seeds = 3, 48, 1

    texts = paragraphs()[:: 4 if options.quick else 1]
    learn_text = " ".join(text for i, text in enumerate(texts) if i % 10 != 9)
    test_text = " ".join(texts[9::10])
    # Words that were seen twice; the others are one unknown word, for all models.
    often = sum(count > 1 for count in Counter(learn_text.split()).values())
    vectorize = layers.TextVectorization(max_tokens=often + 2, standardize=None)
    vectorize.adapt([learn_text])
    vocabulary = [str(word) for word in vectorize.get_vocabulary()]
    size = len(vocabulary)
    learn, test = (np.asarray(vectorize([text]))[0] for text in (learn_text, test_text))
    unknown = np.mean(test == 1)
    print(f"{len(learn)} words to learn from, {len(test)} held out, {size} different; "
          f"{unknown:.1%} of the held-out ones are unknown")  # fmt: skip

    trigram = KneserNey(learn.tolist(), size)
    counted = np.array([trigram(*test[max(0, i - 2) : i].tolist())[test[i]]
                        for i in range(1, len(test))])  # fmt: skip
    singles = (np.bincount(learn, minlength=size) + 1) / (len(learn) + size)
    baselines = {
        "Kneser-Ney trigrams": perplexity(counted),
        "frequency of single words": perplexity(singles[test[1:]]),
    }

    count = (len(learn) - 1) // WINDOW
    curves: dict[str, np.ndarray] = {}
    mixed: dict[str, np.ndarray] = {}
    best: dict[str, rnn_engine.Sequential] = {}
    for cell in CELLS:
        runs, mixtures = [], []
        for seed in range(1, options.seeds + 1):
            rnn_engine.utils.set_random_seed(seed)
            model = build(cell, size, options.units)
            run = []
            for epoch in range(options.epochs):
                # The learning rate falls to nothing in the second half.
                falls = min(1, 2 - 2 * epoch / options.epochs)
                model.optimizer.learning_rate = CELLS[cell][1] * falls
                # The windows begin elsewhere in each epoch, so that no word is always first.
                words = np.roll(learn, -(epoch * 7) % WINDOW)[: count * WINDOW + 1]
                x, y = words[:-1].reshape(count, WINDOW), words[1:].reshape(count, WINDOW)
                model.fit(x, y, batch_size=4, verbose=0)
                chances = held_out_chances(model, test)
                run.append(perplexity(chances))
            runs.append(run)
            mixtures.append(perplexity((chances + counted) / 2))
            best.setdefault(cell, model)
        curves[cell], mixed[cell] = np.array(runs), np.array(mixtures)

    print(f"\nperplexity of held-out words          mean   least    most  ({options.seeds} seeds)")
    for cell, curve in curves.items():
        last = curve[:, -1]
        print(f"  {cell:<32} {last.mean():7.1f} {last.min():7.1f} {last.max():7.1f}")
    for cell, last in mixed.items():
        name = f"half {cell}, half trigrams"
        print(f"  {name:<32} {last.mean():7.1f} {last.min():7.1f} {last.max():7.1f}")
    for name, value in baselines.items():
        print(f"  {name:<32} {value:7.1f}")

    cell = min(curves, key=lambda name: curves[name][:, -1].mean())
    print(f"\nwritten by the {cell}:")
    for seed in range(3):
        print(f"  {write(best[cell], vocabulary, options.prompt, 30, seed)}")
    path = options.out / "next_word.png"
    plot(path, curves, baselines)
    print(f"\npicture written to {path}")


if __name__ == "__main__":
    main()
