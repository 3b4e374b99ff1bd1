"""Learn a guitar-style effect sample by sample, and tell spoken words from their spectrogram.

The sound is recorded: eight announcements of two words each ("front left"), spoken by one
voice, as Debian's alsa-utils ships them, at 8 kHz (see data/SOURCE.md).

1. The effect is an overdrive between two filters. The network hears the dry sound and learns
   the wet one; two announcements are held out. The score is the error-to-signal ratio (ESR).
   Beside it: the best memoryless curve, the best linear filter of 64 taps, and what an
   engineer would fit, a polynomial Hammerstein model (a filter for each power of the input).
2. Six words, each spoken two or three times; one take of each is held out in turn. Takes are
   made faster or slower, louder or softer, and noisy. Beside the network: a logistic
   regression on the mean and spread of the frames, which knows no order, and the nearest take
   by dynamic time warping (DTW), the field's way when there are few examples.

Wright, A., Damskägg, E.-P. and Välimäki, V. 2019. Real-time black-box modelling with
recurrent neural networks. 22nd International Conference on Digital Audio Effects (DAFx-19).
"""

import argparse
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from sklearn.linear_model import LogisticRegression

import rnn_engine
from rnn_engine import layers

DATA = Path(__file__).parent / "data" / "alsa_words.npz"
RATE = 8000
HELD_OUT = ("front_right", "side_left")
WORDS = ("front", "rear", "side", "center", "left", "right")
CELLS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.SimpleRNN}


def load() -> dict[str, np.ndarray]:
    """Return the announcements by name, each (samples,) between -1 and 1."""
    with np.load(DATA) as file:  # companded to eight bits, as a telephone does (mu-law)
        coded = {name: file[name] / 127.5 - 1 for name in file.files}
    return {name: np.sign(a) * (256 ** np.abs(a) - 1) / 255 for name, a in coded.items()}


# ---- 1. the effect ---------------------------------------------------------------------------

WARM_UP = 200  # samples that a window gives the network to find its state, not scored


def effect(dry: np.ndarray) -> np.ndarray:
    """Return the wet sound: bass cut, asymmetric overdrive, resonant low-pass filter."""
    wet = np.empty_like(dry)
    low = band = level = 0.0
    for n, sample in enumerate(dry):
        level += 0.1 * (sample - level)  # the bass, which is taken away
        driven = np.tanh(8 * (sample - level) + 0.3) - np.tanh(0.3)
        low += 0.7 * band  # a state-variable filter, about 900 Hz
        band += 0.7 * (driven - low - 0.6 * band)
        wet[n] = low
    return 0.5 * wet


def esr(wet: np.ndarray, guess: np.ndarray) -> float:
    """Return the energy of the error over the energy of the sound."""
    return float(np.sum((wet - guess) ** 2) / np.sum(wet**2))


def taps(sound: np.ndarray, count: int) -> np.ndarray:
    """Return each sample with those before it, (samples, count)."""
    padded = np.concatenate([np.zeros(count - 1), sound])
    return np.lib.stride_tricks.sliding_window_view(padded, count)


def simple_effects(dry: np.ndarray, wet: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Fit each simple model to dry and wet by least squares; return what it makes of test."""
    knots = np.quantile(dry, np.linspace(0, 1, 41))
    families: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "memoryless curve, 40 pieces": lambda a: np.stack(
            [np.interp(a, knots, hat) for hat in np.eye(len(knots))], axis=1
        ),
        "linear filter, 64 taps": lambda a: taps(a, 64),
        "Hammerstein, 7 powers x 32 taps": lambda a: np.concatenate(
            [taps(a**power, 32) for power in range(1, 8)], axis=1
        ),
    }
    return {
        name: features(test) @ np.linalg.lstsq(features(dry), wet, rcond=None)[0]
        for name, features in families.items()
    }


def effect_model(
    cell: str, units: int, batch: int | None = None, steps: int | None = None
) -> rnn_engine.Model:
    """Return the network; for a batch of fixed size it keeps its state from call to call."""
    shape = (batch, steps, 1)
    dry = rnn_engine.Input(batch_shape=shape)
    heard = CELLS[cell](units, return_sequences=True, stateful=batch is not None)(dry)
    # The network learns what the effect adds to the sound.
    wet = layers.Add()([layers.Dense(1)(heard), dry])
    model = rnn_engine.Model(dry, wet)
    model.compile(optimizer=rnn_engine.optimizers.Adam(learning_rate=0.005), loss="mse")
    return model


def train_effect(
    model: rnn_engine.Model, dry: np.ndarray, wet: np.ndarray, epochs: int, seed: int
) -> None:
    """Train on windows that begin elsewhere in each epoch; the learning rate falls by half."""
    draw = np.random.default_rng(seed)
    window = 600
    for epoch in range(epochs):
        model.optimizer.learning_rate = 0.005 * 0.5 ** (5 * epoch // epochs)
        start = draw.integers(0, window - WARM_UP)
        steps = np.arange(start, len(dry) - window, window - WARM_UP)[:, None] + np.arange(window)
        weight = np.broadcast_to(np.arange(window) >= WARM_UP, steps.shape).astype(np.float32)
        model.fit(dry[steps][..., None], wet[steps][..., None], sample_weight=weight,
                  batch_size=16, verbose=0)  # fmt: skip


def real_time_factor(model: rnn_engine.Model, cell: str, units: int, dry: np.ndarray) -> float:
    """Return time taken over time played, of `predict` in blocks of 64 by a stateful twin."""
    twin = effect_model(cell, units, batch=1, steps=64)
    twin.set_weights(model.get_weights())
    blocks = dry[: len(dry) // 64 * 64].reshape(-1, 1, 64, 1).astype(np.float32)
    twin.predict(blocks[0], verbose=0)
    for layer in twin.layers:
        if hasattr(layer, "reset_states"):
            layer.reset_states()
    played, taken = [], []
    for block in blocks:
        start = time.perf_counter()
        played.append(twin.predict(block, verbose=0))
        taken.append(time.perf_counter() - start)
    whole = np.asarray(model.predict(blocks.reshape(1, -1, 1), verbose=0)).ravel()
    assert np.allclose(np.concatenate(played, axis=1).ravel(), whole, atol=1e-5)
    return float(np.median(taken)) / (64 / RATE)


def save(path: Path, sound: np.ndarray) -> None:
    """Write a mono 16-bit WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


# ---- 2. the words ----------------------------------------------------------------------------


def spectrogram(sound: np.ndarray, bands: int = 20) -> np.ndarray:
    """Return log energies (frames, bands) on the mel scale, of 32 ms every 12 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, 256)[::96] * np.hanning(256)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2)
    edges = (10 ** (mel / 2595) - 1) * 700 * 256 / RATE  # as positions among the frequencies
    place = np.arange(power.shape[1])
    triangles = [np.interp(place, edges[i : i + 3], [0, 1, 0]) for i in range(bands)]
    return np.log(power @ np.array(triangles).T + 1e-3)


def takes(sounds: dict[str, np.ndarray]) -> list[list[np.ndarray]]:
    """Cut the announcements in two at their longest pause; return the takes of each word."""
    found: dict[str, list[np.ndarray]] = {word: [] for word in WORDS}
    for name, sound in sounds.items():
        loud = np.flatnonzero(np.abs(sound) > 0.1)
        middle = loud[np.argmax(np.diff(loud))] + 800
        for word, part in zip(name.split("_"), (sound[:middle], sound[middle:]), strict=True):
            on = np.flatnonzero(np.abs(part) > 0.03)
            found[word].append(part[max(0, on[0] - 200) : on[-1] + 200])
    return list(found.values())


def vary(take: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return the spectrogram of the take at another speed and loudness, in noise."""
    speed = draw.uniform(0.75, 1.3)
    sound = np.interp(np.arange(0, len(take) - 1, speed), np.arange(len(take)), take)
    noise = draw.normal(size=len(sound)) * sound.std() * 10 ** draw.uniform(-1.5, -0.3)
    return spectrogram((sound + noise) * 10 ** draw.uniform(-0.5, 0.5))


@numba.njit
def dtw(local: np.ndarray) -> float:
    """Return the mean cost of the best path through the distances of two takes' frames."""
    rows, columns = local.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for i in range(rows):
        for j in range(columns):
            before = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = local[i, j] + before
    return total[-1, -1] / (rows + columns)


def nearest(learnt: list[np.ndarray], labels: np.ndarray, frames: np.ndarray) -> int:
    """Return the label of the learnt take that is nearest to these frames by DTW."""
    far = [
        dtw(np.sqrt(np.maximum(0, (a**2).sum(1)[:, None] + (frames**2).sum(1) - 2 * a @ frames.T)))
        for a in learnt
    ]
    return int(labels[np.argmin(far)])


def word_model(cell: str) -> rnn_engine.Sequential:
    """Return the network: frames in, padded at the end with zeros that are masked."""
    model = rnn_engine.Sequential(
        [
            layers.Masking(input_shape=(None, 20)),
            CELLS[cell](32),
            layers.Dropout(0.3),
            layers.Dense(len(WORDS), activation="softmax"),
        ]
    )
    adam = rnn_engine.optimizers.Adam(learning_rate=0.003)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy")
    return model


def tell_words(
    sounds: dict[str, np.ndarray], seeds: int, epochs: int, copies: int
) -> dict[str, np.ndarray]:
    """Return the accuracy of each method, (seeds,), over three folds of held-out takes."""
    by_word = takes(sounds)
    right: dict[str, np.ndarray] = {}

    def score(name: str, seed: int, guess: np.ndarray, truth: np.ndarray) -> None:
        right.setdefault(name, np.zeros(seeds))[seed] += np.mean(guess == truth) / 3

    for seed in range(seeds):
        for fold in range(3):
            draw = np.random.default_rng([seed, fold])
            learnt, held = [], []
            for word, spoken in enumerate(by_word):
                out = fold % len(spoken)
                learnt += [(word, take) for i, take in enumerate(spoken) if i != out]
                held.append((word, spoken[out]))
            y = np.repeat([word for word, _ in learnt], copies)
            truth = np.repeat([word for word, _ in held], 8)
            x = [vary(take, draw) for _, take in learnt for _ in range(copies)]
            t = [vary(take, draw) for _, take in held for _ in range(8)]
            mean, deviation = np.concatenate(x).mean(axis=0), np.concatenate(x).std(axis=0)
            x, t = ([(take - mean) / deviation for take in some] for some in (x, t))

            padded, padded_t = (rnn_engine.utils.pad_sequences(some, dtype="float32",
                                padding="post") for some in (x, t))  # fmt: skip
            for cell in CELLS:
                rnn_engine.utils.set_random_seed(10 * seed + fold)
                model = word_model(cell)
                model.fit(padded, y, epochs=epochs, batch_size=32, verbose=0)
                score(cell, seed, np.asarray(model.predict(padded_t, verbose=0)).argmax(1), truth)
            flat, flat_t = (
                np.array([np.r_[take.mean(axis=0), take.std(axis=0)] for take in some])
                for some in (x, t)
            )
            logistic = LogisticRegression(max_iter=2000).fit(flat, y)
            score("logistic, mean and spread of frames", seed, logistic.predict(flat_t), truth)
            by_dtw = np.array([nearest(x, y, take) for take in t])
            score("nearest take by DTW", seed, by_dtw, truth)
    return right


# ---- both ------------------------------------------------------------------------------------


def plot(path: Path, sounds: dict[str, np.ndarray]) -> None:
    """Draw the spectrogram of each sound, and a piece of all of them as curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(sounds) + 1, 1, figsize=(9, 10), layout="constrained")
    for axis, (name, sound) in zip(axes, sounds.items(), strict=False):
        frames = np.lib.stride_tricks.sliding_window_view(sound, 256)[::64] * np.hanning(256)
        decibel = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-3)
        axis.imshow(decibel.T, origin="lower", aspect="auto", vmin=-30, vmax=35,
                    extent=(0, len(sound) / RATE, 0, RATE / 2))  # fmt: skip
        axis.set_title(name)
        axis.set_ylabel("Hz")
    piece = slice(1500, 1740)
    styles: tuple[dict, ...] = (
        {"color": "0.6"},
        {"color": "k", "linewidth": 2.5},
        {"color": "tab:red"},
    )
    for style, (name, sound) in zip(styles, sounds.items(), strict=True):
        axes[-1].plot(np.arange(piece.start, piece.stop) / RATE, sound[piece], label=name, **style)
    axes[-1].set_xlabel("s")
    axes[-1].set_ylim(-1.0, 1.1)
    axes[-1].legend(loc="upper right", ncols=3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Learn the effect and the words with every cell from every seed; write sound and picture."""
    parser = argparse.ArgumentParser(description="An effect learnt, and words told apart.")
    parser.add_argument("--epochs", type=int, default=200, help="of the effect")
    parser.add_argument("--units", type=int, default=24, help="of the effect")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less of everything")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.units, options.seeds = 80, 8, 1
    options.out.mkdir(parents=True, exist_ok=True)
    sounds = load()

    # The effect starts from silence, as the network does, and the pieces are joined in pauses.
    dry, dry_test = (
        np.concatenate([sound for name, sound in sounds.items() if (name in HELD_OUT) == held])
        for held in (False, True)
    )
    dry = dry[: 2 * RATE] if options.quick else dry
    wet, wet_test = effect(dry), effect(dry_test)
    print(f"effect: {len(dry) / RATE:.1f} s of sound to learn from, "
          f"{len(dry_test) / RATE:.1f} s held out")  # fmt: skip
    played: dict[str, np.ndarray] = {}
    errors: dict[str, list[float]] = {}
    factors: dict[str, float] = {}
    for cell in CELLS:
        for seed in range(1, options.seeds + 1):
            rnn_engine.utils.set_random_seed(seed)
            model = effect_model(cell, options.units)
            train_effect(model, dry, wet, options.epochs, seed)
            guess = np.asarray(model.predict(dry_test[None, :, None], verbose=0)).ravel()
            errors.setdefault(cell, []).append(esr(wet_test, guess))
            played.setdefault(cell, guess)
        factors[cell] = real_time_factor(model, cell, options.units, dry_test)
    print("\nESR of held-out sound                   mean    least     most   time / real time")
    for cell, values in errors.items():
        print(f"  {cell:<32} {np.mean(values):9.4f}{min(values):9.4f}{max(values):9.4f}"
              f"   {factors[cell]:.4f}")  # fmt: skip
    for name, guess in simple_effects(dry, wet, dry_test).items():
        print(f"  {name:<32} {esr(wet_test, guess):9.4f}")
    print("(time of predict in blocks of 64 samples, stateful, one at a time)")

    epochs, copies = (6, 10) if options.quick else (25, 30)
    right = tell_words(sounds, options.seeds, epochs, copies)
    print(
        f"\nwords of held-out takes told apart      mean   least    most  ({options.seeds} seeds)"
    )
    for name, share in right.items():
        print(f"  {name:<36} {share.mean():6.3f}  {share.min():6.3f}  {share.max():6.3f}")
    print(f"  {'always the same word':<36} {1 / len(WORDS):6.3f}")

    before_after = {"dry": dry_test, "the effect": wet_test, "the LSTM": played["LSTM"]}
    for name, sound in before_after.items():
        save(options.out / f"audio_{name.split()[-1].lower()}.wav", sound)
    plot(options.out / "audio.png", before_after)
    print(f"\nsound and picture written to {options.out}/audio_*.wav and audio.png")


if __name__ == "__main__":
    main()
