"""Predict the next frame of a video: a ball that bounces in a box.

The frames are drawn here, not filmed: a soft disc of 12 by 12 pixels' world, with
random start and velocity. Whole videos are held out. The forecast has to get the
motion and the bounces from the frames alone; it is compared with persistence (the
next frame is as this one) and with constant velocity: the centres of the last two frames, the
same step once more, and the disc drawn there. That one knows what the picture shows, and is what
anybody who may look at it would try first.
"""

import argparse
from pathlib import Path

import numpy as np

import rnn_engine

SIZE = 12
FRAMES = 8
RADIUS = 1.6


def disc(place: np.ndarray) -> np.ndarray:
    """Return frames (N, SIZE, SIZE) with the ball at some places (N, 2)."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    distance = np.hypot(rows - place[:, 0, None, None], columns - place[:, 1, None, None])
    return np.clip(RADIUS + 0.5 - distance, 0, 1)


def constant_velocity(x: np.ndarray) -> np.ndarray:
    """Return the next frames of videos, if the centre moves on as it has moved last."""
    frames = x[:, -2:].reshape(-1, 2, SIZE, SIZE)
    axes = np.mgrid[:SIZE, :SIZE].reshape(2, -1)
    flat = frames.reshape(len(x), 2, -1)
    centres = flat @ axes.T / flat.sum(-1, keepdims=True)
    low, high = RADIUS, SIZE - 1 - RADIUS
    place = 2 * centres[:, 1] - centres[:, 0]
    place = np.where(place < low, 2 * low - place, place)
    place = np.where(place > high, 2 * high - place, place)
    return disc(place).reshape(len(x), -1)


def videos(count: int, draw: np.random.Generator) -> np.ndarray:
    """Return videos of FRAMES + 1 frames (count, FRAMES + 1, SIZE, SIZE), grey from 0 to 1."""
    low, high = RADIUS, SIZE - 1 - RADIUS
    place = draw.uniform(low, high, (count, 2))
    angle = draw.uniform(0, 2 * np.pi, count)
    step = draw.uniform(0.6, 1.4, (count, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    frames = np.empty((count, FRAMES + 1, SIZE, SIZE), dtype=np.float32)
    for t in range(FRAMES + 1):
        frames[:, t] = disc(place)
        place = place + step
        outside = (place < low) | (place > high)
        step = np.where(outside, -step, step)
        place = np.where(place < low, 2 * low - place, place)
        place = np.where(place > high, 2 * high - place, place)
    return frames


def split(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first FRAMES frames as rows of pixels, and the last frame."""
    rows = frames.reshape(len(frames), FRAMES + 1, SIZE * SIZE)
    return rows[:, :-1], rows[:, -1]


def plot(path: Path, x: np.ndarray, y: np.ndarray, forecast: np.ndarray) -> None:
    """Draw four held-out videos: last frames seen, the true next one, the forecast."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 6, figsize=(9, 6.4), layout="constrained")
    for row, line in enumerate(axes):
        pictures = [*x[row, -4:], y[row], forecast[row]]
        titles = ["t-3", "t-2", "t-1", "t", "next, true", "next, forecast"]
        for axis, picture, title in zip(line, pictures, titles, strict=True):
            axis.imshow(picture.reshape(SIZE, SIZE), cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train, score the held-out videos, write a picture of some."""
    parser = argparse.ArgumentParser(description="Predict the next frame of a bouncing ball.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--videos", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    options = parser.parse_args()

    draw = np.random.default_rng(options.seed)
    x, y = split(videos(options.videos, draw))
    x_test, y_test = split(videos(500, draw))
    print(f"generated: {len(x)} videos to learn from, {len(x_test)} held out, {x.shape[1]} frames")

    rnn_engine.utils.set_random_seed(options.seed)
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.SimpleRNN(128, input_shape=(FRAMES, SIZE * SIZE)),
            rnn_engine.layers.Dense(SIZE * SIZE, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    history = model.fit(x, y, epochs=options.epochs, batch_size=32, verbose=0)
    for epoch, loss in enumerate(history.history["loss"], start=1):
        if epoch == 1 or epoch % 10 == 0 or epoch == options.epochs:
            print(f"epoch {epoch:3d}  training loss {loss:.5f}")

    forecast = model.predict(x_test, verbose=0)
    print("\nheld-out videos      mean squared error of a pixel")
    print(f"  SimpleRNN          {np.mean((forecast - y_test) ** 2):.5f}")
    moved = constant_velocity(x_test)
    print(f"  constant velocity  {np.mean((moved - y_test) ** 2):.5f}")
    print(f"  persistence        {np.mean((x_test[:, -1] - y_test) ** 2):.5f}")

    path = options.out / "video_frames.png"
    plot(path, x_test, y_test, forecast)
    print(f"\npicture written to {path}")


if __name__ == "__main__":
    main()
