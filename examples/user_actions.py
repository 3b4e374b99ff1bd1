"""Predict a user's next action from the session so far.

The sessions come from a simulator: no real log with a free licence is small enough to stand
here. Visitors of a shop look for things in six categories, ask for help, fill a cart, pay or
leave. What they do depends on what they did long before: the first category of a session stays
the favourite, a coupon is used once, help leads back to where it was asked for. All of that can
be seen in the session, so the best guess is known, and nobody beats it but by luck.

Sessions are of unequal length, up to 60 actions; they are padded to one, and the mask of the
Embedding keeps the padding out. Beside the network: the most frequent action, and Markov chains
of the first, second and fourth order that back off to shorter histories where a longer one is
rare.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

import rnn_engine
from rnn_engine import layers

CATEGORIES = ("books", "music", "garden", "kitchen", "sport", "toys")
OTHER = ("home", "search", "cart", "remove", "coupon", "help", "pay", "leave")
ACTIONS = ("", *OTHER, *(f"list {c}" for c in CATEGORIES), *(f"view {c}" for c in CATEGORIES))
HOME, SEARCH, CART, REMOVE, COUPON, HELP, PAY, LEAVE = range(1, 9)
LIST, VIEW, LONGEST = 9, 15, 60  # the first category's pages; the longest session
CELLS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.SimpleRNN}


def chances(session: list[int]) -> np.ndarray:
    """Return the simulator's probability of each action after these, (actions,)."""
    pages = [action for action in session if action >= LIST]
    here = (pages[-1] - LIST) % 6 if pages else -1
    favourite = (pages[0] - LIST) % 6 if pages else -1
    full = session.count(CART) - session.count(REMOVE)
    since = session[::-1].index(CART) if CART in session else len(session)
    looked = sum(action >= VIEW for action in session[len(session) - since :])
    last = session[-1] if session else 0

    weight = np.full(len(ACTIONS), 0.004)
    if last == 0:  # the session begins
        weight[[HOME, SEARCH]] = 0.6, 0.4
    elif last == HELP and pages:  # back to where help was asked for
        weight[VIEW + here] = 1.0
    elif last == COUPON:
        weight[PAY] = 1.0
    elif last >= VIEW and looked >= 3:  # three things seen: decide, or ask for help, once
        weight[CART], weight[LEAVE] = 0.6, 0.15
        weight[HELP] = 0.0 if HELP in session else 0.5
    elif last >= VIEW:
        weight[VIEW + here], weight[LIST + here], weight[SEARCH] = 0.5, 0.2, 0.2
    elif last >= LIST:
        weight[VIEW + here], weight[LEAVE] = 1.0, 0.05
    elif full >= 2:  # enough in the cart
        weight[PAY], weight[REMOVE] = 0.6, 0.1
        weight[COUPON] = 0.0 if COUPON in session else 0.4
    elif not pages:
        weight[LIST : LIST + 6] = (0.3, 0.25, 0.15, 0.15, 0.1, 0.05)
    else:  # home, search, cart, remove: on to the favourite, mostly
        weight[LIST : LIST + 6] += 0.04
        weight[LIST + favourite] += 0.7
        weight[SEARCH] += 0.2 if last == CART else 0
    weight[0] = 0
    weight[[PAY, REMOVE, COUPON]] *= full > 0
    return weight / weight.sum()


def simulate(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return sessions (count, LONGEST + 1), zero after their end, and the chances of each step."""
    sessions = np.zeros((count, LONGEST + 1), dtype=np.int64)
    known = np.zeros((count, LONGEST, len(ACTIONS)))
    for row in range(count):
        session: list[int] = []
        while len(session) <= LONGEST and not {PAY, LEAVE} & set(session[-1:]):
            odds = chances(session)
            if session:
                known[row, len(session) - 1] = odds
            session.append(int(draw.choice(len(ACTIONS), p=odds)))
        sessions[row, : len(session)] = session
    return sessions, known


class Markov:
    """A Markov chain that leans on the next shorter one, the more the rarer its history is."""

    def __init__(self, sessions: np.ndarray, order: int) -> None:
        self.order = order
        self.counts: dict[tuple, Counter] = defaultdict(Counter)
        for session in sessions.tolist():
            for t in range(1, len(session)):
                for length in range(min(order, t) + 1):
                    if session[t]:
                        self.counts[tuple(session[t - length : t])][session[t]] += 1

    def __call__(self, history: list[int]) -> np.ndarray:
        """Return the chances of each action after this history, (actions,)."""
        odds = np.full(len(ACTIONS), 1 / len(ACTIONS))
        for length in range(min(self.order, len(history)) + 1):
            seen = self.counts.get(tuple(history[len(history) - length :]))
            if seen is None:
                break
            # Witten and Bell: as much for what was not seen as there were different actions.
            odds *= len(seen)
            odds[list(seen)] += list(seen.values())
            odds /= odds.sum()
        return odds

    def predict(self, sessions: np.ndarray) -> np.ndarray:
        """Return the chances of each next action, (sessions, LONGEST, actions)."""
        return np.array([[self(row[:t]) for t in range(1, len(row))] for row in sessions.tolist()])


def tops(odds: np.ndarray, sessions: np.ndarray) -> tuple[float, float]:
    """Return how often the next action is the first guess, and among the first five."""
    truth = sessions[:, 1:]
    rank = (odds > np.take_along_axis(odds, truth[..., None], axis=-1)).sum(axis=-1)[truth > 0]
    return float(np.mean(rank < 1)), float(np.mean(rank < 5))


def build(cell: str, units: int, mask: bool = True) -> rnn_engine.Sequential:
    """Return the network: actions in, the chances of the next at every step out."""
    model = rnn_engine.Sequential(
        [
            layers.Embedding(len(ACTIONS), 16, mask_zero=mask, input_shape=(None,)),
            CELLS[cell](units, return_sequences=True),
            layers.Dense(len(ACTIONS), activation="softmax"),
        ]
    )
    adam = rnn_engine.optimizers.Adam(learning_rate=0.005)
    model.compile(optimizer=adam, loss="sparse_categorical_crossentropy")
    return model


def padding_cost(cell: str, units: int, sessions: np.ndarray) -> dict[str, float]:
    """Return milliseconds for `predict` of 1,000 sessions: padded with and without mask, sorted."""
    x = np.resize(sessions[:, :-1], (1000, LONGEST))
    length = (x > 0).sum(axis=1)
    masked, unmasked = build(cell, units), build(cell, units, mask=False)
    # Those of like length together, cut to the longest of them.
    likes = np.array_split(x[np.argsort(length)], 10)
    likes = [some[:, : (some > 0).sum(axis=1).max()] for some in likes]
    jobs: dict[str, Callable[[], object]] = {
        "padded, masked": lambda: masked.predict(x, batch_size=100, verbose=0),
        "padded, no mask": lambda: unmasked.predict(x, batch_size=100, verbose=0),
        "sorted by length": lambda: [masked.predict_on_batch(some) for some in likes],
    }
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(15):  # in turn, so that a busy moment meets all of them
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append(1000 * (time.perf_counter() - start))
    return {name: min(values) for name, values in taken.items()}


def plot(path: Path, scores: dict[str, np.ndarray], by_step: dict[str, np.ndarray]) -> None:
    """Draw the right first guesses and five guesses, and the first by place in the session."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    place = np.arange(len(scores))[::-1]
    for side, label in enumerate(("first guess", "five guesses")):
        values = [pairs[:, side] for pairs in scores.values()]
        mean = np.array([v.mean() for v in values])
        spread = np.abs([[v.min(), v.max()] for v in values] - mean[:, None]).T
        left.barh(place + 0.2 - 0.4 * side, mean, 0.38, xerr=spread, capsize=3, label=label)
    left.set_yticks(place, list(scores))
    left.set_xlabel("share of next actions that were guessed")
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    for name, share in by_step.items():
        right.plot(np.arange(1, len(share) + 1), share, ".-", label=name)
    right.set_xlabel("actions seen before the guess")
    right.set_ylabel("first guess right")
    right.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Train every cell from every seed; score other sessions beside the Markov chains."""
    parser = argparse.ArgumentParser(description="Predict the next action in a session.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=4000)
    parser.add_argument("--units", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less of everything")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    options = parser.parse_args()
    if options.quick:
        options.epochs, options.sessions, options.units, options.seeds = 6, 800, 32, 1

    held_out = 200 if options.quick else 1000
    scores: dict[str, list] = {}
    for seed in range(1, options.seeds + 1):
        draw = np.random.default_rng(seed)
        learn, _ = simulate(options.sessions, draw)
        test, known = simulate(held_out, draw)
        guesses = {}
        for cell in CELLS:
            rnn_engine.utils.set_random_seed(seed)
            model = build(cell, options.units)
            for epoch in range(options.epochs):
                model.optimizer.learning_rate = 0.005 * min(1, 2 - 2 * epoch / options.epochs)
                model.fit(learn[:, :-1], learn[:, 1:], batch_size=32, verbose=0)
            guesses[cell] = np.asarray(model.predict(test[:, :-1], verbose=0))
        for order, name in ((0, "most frequent action"), (1, "Markov, first order"),
                            (2, "Markov, second order"), (4, "Markov, fourth order")):  # fmt: skip
            guesses[name] = Markov(learn, order).predict(test)
        guesses["who knows the simulator"] = known
        for name, odds in guesses.items():
            scores.setdefault(name, []).append(tops(odds, test))
    length = (test > 0).sum(axis=1)
    print(f"simulated, anew for each seed: {options.sessions} sessions to learn from, {held_out} "
          f"held out;\n{len(ACTIONS) - 1} actions, {length.min()} to {length.max()} in a session, "
          f"{length.mean():.1f} on average")  # fmt: skip

    print(f"\nnext action guessed             first (least-most)      first five (least-most)"
          f"   {options.seeds} seeds")  # fmt: skip
    pairs = {name: np.array(values) for name, values in scores.items()}
    for name, values in pairs.items():
        mean, low, high = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
        print(f"  {name:<26} {mean[0]:8.3f} ({low[0]:.3f}-{high[0]:.3f}) "
              f"{mean[1]:12.3f} ({low[1]:.3f}-{high[1]:.3f})")  # fmt: skip

    print("\nmilliseconds to predict 1,000 sessions (best of 15)")
    for cell in CELLS:
        cost = padding_cost(cell, options.units, test)
        print(f"  {cell:<10} " + "   ".join(f"{name} {ms:.1f}" for name, ms in cost.items()))

    names = ("LSTM", "SimpleRNN", "Markov, first order", "Markov, second order",
             "who knows the simulator")  # fmt: skip
    by_step = {
        name: np.array([tops(guesses[name][:, t : t + 1], test[:, t : t + 2])[0]
                        for t in range(20)])
        for name in names
    }  # fmt: skip
    path = options.out / "user_actions.png"
    plot(path, pairs, by_step)
    print(f"\npicture written to {path}")


if __name__ == "__main__":
    main()
