"""Predict the next millisecond of a sound: plucked strings.

The sound is made here, not recorded: the Karplus-Strong model of a plucked string
(noise in a loop of delay and damping), driven into saturation as an overdriven
amplifier would. Three pitches are held out. The network reads sixteen frames of eight
samples and predicts the eight samples that follow; it is compared with persistence
(the last sample held) and with the best linear predictor on the same samples.

Karplus, K. and Strong, A. 1983. Digital synthesis of plucked-string and drum timbres.
Computer Music Journal 7 (2), 43-55.
"""

import argparse
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import rnn_engine

RATE = 8000
FRAME = 8
FRAMES = 16
# Pitches as the length of the string in samples: 195 to 400 Hz.
STRINGS = range(20, 42)
HELD_OUT = (24, 29, 35)


def pluck(string: int, draw: np.random.Generator) -> np.ndarray:
    """Return 0.15 s of an overdriven note, after the noise of its attack."""
    attack, length = RATE // 20, RATE * 3 // 20
    loop = draw.uniform(-1, 1, string)
    sound = np.empty(attack + length)
    for i in range(len(sound)):
        now, after = i % string, (i + 1) % string
        sound[i] = loop[now]
        loop[now] = 0.498 * (loop[now] + loop[after])
    sound = sound[attack:]
    return np.tanh(2.5 * sound / np.abs(sound).max())


def windows(sounds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return stretches of each sound (N, FRAMES, FRAME) and the frame after each (N, FRAME)."""
    seen = FRAMES * FRAME
    stretches = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(sound, seen + FRAME)[::5] for sound in sounds]
    ).astype(np.float32)
    return stretches[:, :seen].reshape(-1, FRAMES, FRAME), stretches[:, seen:]


def save(path: Path, sounds: Sequence[np.ndarray]) -> None:
    """Write a mono 16-bit WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.concatenate(sounds) * 32767).astype("<i2").tobytes())


def rms(error: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))


def main() -> None:
    """Train on most pitches, score the others, write their sound for listening."""
    parser = argparse.ArgumentParser(description="Predict the next frame of plucked strings.")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--plucks", type=int, default=6, help="plucks of every string")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the sound")
    options = parser.parse_args()

    draw = np.random.default_rng(options.seed)
    learnt = [string for string in STRINGS if string not in HELD_OUT]
    x, y = windows([pluck(string, draw) for string in learnt for _ in range(options.plucks)])
    held_out = [pluck(string, draw) for string in HELD_OUT for _ in range(options.plucks)]
    x_test, y_test = windows(held_out)
    print(f"generated at {RATE} Hz: {len(x)} windows of {len(learnt)} pitches to learn from,")
    print(f"{len(x_test)} windows of {len(HELD_OUT)} other pitches held out")

    rnn_engine.utils.set_random_seed(options.seed)
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.SimpleRNN(96, input_shape=(FRAMES, FRAME)),
            rnn_engine.layers.Dense(FRAME),
        ]
    )
    model.compile(optimizer=rnn_engine.optimizers.Adam(learning_rate=0.002), loss="mse")
    history = model.fit(x, y, epochs=options.epochs, batch_size=64, verbose=0)
    for epoch, loss in enumerate(history.history["loss"], start=1):
        if epoch == 1 or epoch % 5 == 0 or epoch == options.epochs:
            print(f"epoch {epoch:3d}  training loss {loss:.5f}")

    flat, flat_test = x.reshape(len(x), -1), x_test.reshape(len(x_test), -1)
    linear = np.linalg.lstsq(flat.astype(np.float64), y.astype(np.float64), rcond=None)[0]
    forecasts = {
        "SimpleRNN": model.predict(x_test, verbose=0),
        "best linear predictor": flat_test @ linear,
        "persistence": x_test[:, -1, -1:],
    }
    print("\nheld-out pitches         error (RMS; the sound's own is " + f"{rms(y_test):.3f})")
    for name, forecast in forecasts.items():
        print(f"  {name:<22} {rms(forecast - y_test):.3f}")

    path = options.out / "held_out_plucks.wav"
    save(path, held_out)
    print(f"\nheld-out notes written to {path}")


if __name__ == "__main__":
    main()
