"""Tell which way a digit moves, and which digit it is, from the frames of a video.

The digits are real, written by hand, 8 x 8 pixels (scikit-learn's `load_digits`, from the UCI
repository, CC BY 4.0). The videos are made of them: a digit drifts in one of eight
directions while it turns, somewhere in a frame of 16 x 16, in noise. The drawings of the test
videos are not those of training.

The network reads frame after frame and answers both questions at the end. Beside it, each
with a logistic regression on top:

- frame average and frame difference (last minus first): no order, and hardly any;
- optical flow: the motion that explains the brightness changes of all frames best (Lucas and
  Kanade 1981), and the average of the frames carried back along it and centred.

Frames shuffled in time must fail: their axis of motion can be seen, its sense cannot, so no
method can tell more than half of the directions.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import rnn_engine
from rnn_engine import layers

FRAMES, SIZE, DIRECTIONS = 10, 16, 8
CELLS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.SimpleRNN}


def videos(
    digits: np.ndarray, count: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return videos (count, FRAMES, SIZE, SIZE), their directions, and which digits they show."""
    which = draw.integers(len(digits), size=count)
    direction = draw.integers(DIRECTIONS, size=count)
    time = np.arange(FRAMES) - (FRAMES - 1) / 2
    speed = draw.uniform(0.4, 0.8, count)[:, None] * time  # pixels, from the middle of the video
    turn = np.radians(draw.uniform(2, 7, count) * draw.choice([-1, 1], count))[:, None] * time
    heading = 2 * np.pi * direction[:, None] / DIRECTIONS
    middle = draw.uniform(-3, 3, (2, count, 1)) + (SIZE - 1) / 2
    x, y = middle[0] + speed * np.cos(heading), middle[1] + speed * np.sin(heading)

    # Where each pixel of each frame lies in the drawing, and the drawing between its pixels.
    pixel = np.arange(SIZE)
    across, down = pixel - x[:, :, None, None], pixel[:, None] - y[:, :, None, None]
    cos, sin = np.cos(turn)[..., None, None], np.sin(turn)[..., None, None]
    column = np.clip(cos * across + sin * down + 5.5, 0, 10.99)
    row = np.clip(cos * down - sin * across + 5.5, 0, 10.99)
    drawings = np.pad(digits, ((0, 0), (2, 2), (2, 2)))[which]
    left, top = column.astype(int), row.astype(int)
    right, below = column - left, row - top
    each = np.arange(count)[:, None, None, None]
    clean = (drawings[each, top, left] * (1 - below) * (1 - right)
             + drawings[each, top, left + 1] * (1 - below) * right
             + drawings[each, top + 1, left] * below * (1 - right)
             + drawings[each, top + 1, left + 1] * below * right)  # fmt: skip
    noisy = clean + draw.normal(0, 0.2, clean.shape)
    return noisy.astype(np.float32), direction, which


def flow(frames: np.ndarray) -> np.ndarray:
    """Return the one motion (x, y) a frame that explains the changes of each video best."""
    around = [np.roll(frames, (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    smooth = np.mean(around, axis=0)
    change = np.diff(smooth, axis=1)
    half = (smooth[:, 1:] + smooth[:, :-1]) / 2
    slope_x = (np.roll(half, -1, 3) - np.roll(half, 1, 3)) / 2
    slope_y = (np.roll(half, -1, 2) - np.roll(half, 1, 2)) / 2
    xx, xy, yy, xt, yt = (
        np.einsum("bthw,bthw->b", a, b)
        for a, b in ((slope_x, slope_x), (slope_x, slope_y), (slope_y, slope_y),
                     (slope_x, change), (slope_y, change))
    )  # fmt: skip
    return np.stack([xy * yt - yy * xt, xy * xt - xx * yt], axis=1) / (xx * yy - xy**2)[:, None]


def aligned(frames: np.ndarray) -> np.ndarray:
    """Return the average of each video's frames, carried back along its flow and centred."""
    mean = np.empty((len(frames), SIZE, SIZE))
    circle = np.exp(2j * np.pi * np.arange(SIZE) / SIZE)
    for i, (video, motion) in enumerate(zip(frames, flow(frames), strict=True)):
        back = np.round(-np.arange(FRAMES)[:, None] * motion).astype(int)
        mean[i] = np.mean([np.roll(frame, (y, x), (0, 1))
                           for frame, (x, y) in zip(video, back, strict=True)], axis=0)  # fmt: skip
        y, x = (np.angle(mean[i].sum(axis) @ circle) * SIZE / 2 / np.pi for axis in (1, 0))
        mean[i] = np.roll(mean[i], (round(8 - y), round(8 - x)), (0, 1))
    return mean


def simple_features(frames: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what each simple method sees of the videos: for the direction, for the digit."""
    average, difference = frames.mean(axis=1), frames[:, -1] - frames[:, 0]
    average, difference = (a.reshape(len(a), -1) for a in (average, difference))
    return {
        "frame average": (average, average),
        "frame difference": (difference, difference),
        "optical flow": (flow(frames), aligned(frames).reshape(len(frames), -1)),
    }


def build(cell: str, units: int) -> rnn_engine.Model:
    """Return the network: frames in, direction and digit out."""
    frames = rnn_engine.Input((FRAMES, SIZE * SIZE))
    seen = layers.Dense(units, activation="relu")(frames)
    heard = CELLS[cell](units)(seen)
    answers = {
        "direction": layers.Dense(DIRECTIONS, activation="softmax", name="direction")(heard),
        "digit": layers.Dense(10, activation="softmax", name="digit")(heard),
    }
    model = rnn_engine.Model(frames, answers)
    adam = rnn_engine.optimizers.Adam(learning_rate=0.003, clipnorm=1.0)
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer=adam, loss={"direction": loss, "digit": loss})
    return model


def accuracies(
    model: rnn_engine.Model, frames: np.ndarray, direction: np.ndarray, digit: np.ndarray
) -> tuple[float, float]:
    """Return the shares of the videos whose direction and whose digit the network tells."""
    answers = model.predict(frames.reshape(len(frames), FRAMES, -1), verbose=0)
    told = (answers["direction"].argmax(axis=1), answers["digit"].argmax(axis=1))
    return float(np.mean(told[0] == direction)), float(np.mean(told[1] == digit))


def plot(path: Path, frames: np.ndarray, labels: list[str], scores: dict[str, list]) -> None:
    """Draw three videos frame by frame, and below what each method tells."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 7), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1))
    for axis, (i, t) in zip(above.subplots(3, FRAMES).flat, np.ndindex(3, FRAMES), strict=True):
        axis.imshow(frames[i, t], cmap="gray", vmin=-0.3, vmax=1)
        axis.set_xticks([])
        axis.set_yticks([])
        if t == 0:
            axis.set_ylabel(labels[i])
    axis = below.subplots()
    place = np.arange(len(scores))
    for side, question in enumerate(("direction", "digit")):
        values = [np.array(pairs)[:, side] for pairs in scores.values()]
        mean = np.array([v.mean() for v in values])
        spread = np.abs([[v.min(), v.max()] for v in values] - mean[:, None]).T
        axis.bar(place + 0.4 * side - 0.2, mean, 0.38, yerr=spread, capsize=3, label=question)
    axis.set_xticks(place, [name.replace(", ", ",\n") for name in scores], fontsize=8)
    axis.set_ylabel("told of held-out videos")
    axis.legend(loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train every cell from every seed, on frames in order and shuffled; score other drawings."""
    parser = argparse.ArgumentParser(description="Direction and digit of small videos.")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--videos", type=int, default=16000)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less of everything")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.videos, options.units, options.seeds = 10, 1200, 64, 1

    held_out = 300 if options.quick else 1000

    images, names = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    learn, learn_names = images[:1300], names[:1300]
    test, test_names = images[1300:], names[1300:]
    print(f"{options.videos} videos of {len(learn)} drawings to learn from, "
          f"{held_out} videos of {len(test)} others held out")  # fmt: skip

    scores: dict[str, list] = {}
    for seed in range(1, options.seeds + 1):
        draw = np.random.default_rng(seed)
        x, direction, which = videos(learn, options.videos, draw)
        x_test, direction_test, which_test = videos(test, held_out, draw)
        digit, digit_test = learn_names[which], test_names[which_test]
        shuffle = draw.permuted(np.broadcast_to(np.arange(FRAMES), (held_out, FRAMES)), axis=1)
        shuffled_test = np.take_along_axis(x_test, shuffle[..., None, None], axis=1)
        for cell in CELLS:
            rnn_engine.utils.set_random_seed(seed)
            model = build(cell, options.units)
            for epoch in range(options.epochs):
                # The learning rate falls to nothing in the second half.
                model.optimizer.learning_rate = 0.003 * min(1, 2 - 2 * epoch / options.epochs)
                model.fit(x.reshape(len(x), FRAMES, -1), {"direction": direction, "digit": digit},
                          batch_size=32, verbose=0)  # fmt: skip
            scores.setdefault(cell, []).append(
                accuracies(model, x_test, direction_test, digit_test)
            )
            scores.setdefault(f"{cell}, frames shuffled", []).append(
                accuracies(model, shuffled_test, direction_test, digit_test)
            )
        seen, seen_test = simple_features(x), simple_features(x_test)
        for name in seen:
            pair = []
            for a, b, y, truth in zip(seen[name], seen_test[name], (direction, digit),
                                      (direction_test, digit_test), strict=True):  # fmt: skip
                linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=300))
                pair.append(float(np.mean(linear.fit(a, y).predict(b) == truth)))
            scores.setdefault(name, []).append(tuple(pair))

    print(f"\ntold of held-out videos        direction (least-most)    digit (least-most)"
          f"   {options.seeds} seeds")  # fmt: skip
    order = [*CELLS, *seen, *(f"{cell}, frames shuffled" for cell in CELLS)]
    scores = {name: scores[name] for name in order}
    for name, pairs in scores.items():
        (d, g), low, high = np.mean(pairs, 0), np.min(pairs, 0), np.max(pairs, 0)
        print(f"  {name:<28} {d:6.3f} ({low[0]:.3f}-{high[0]:.3f}) "
              f"{g:9.3f} ({low[1]:.3f}-{high[1]:.3f})")  # fmt: skip
    print(f"  {'always the same answer':<28} {1 / DIRECTIONS:6.3f} {0.1:23.3f}")

    labels = [f"{digit}, {45 * way}°" for digit, way in
              zip(digit_test[:3], direction_test[:3], strict=True)]  # fmt: skip
    path = options.out / "video.png"
    plot(path, x_test[:3], labels, scores)
    print(f"\npicture written to {path}")


if __name__ == "__main__":
    main()
