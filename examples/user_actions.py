"""Predict a user's next action from the session so far.

The sessions are simulated, not recorded: visitors of a shop who search, view, add to
the cart and leave, in a way that depends on what they did several steps before. The
network is compared with the most frequent action, and with the most frequent action
after the last one (a first-order Markov chain). The simulation knows its own
probabilities, so the score to expect from them is printed too: nobody beats it but by
luck.
"""

import argparse

import numpy as np

import rnn_engine

ACTIONS = ("search", "view", "cart", "remove", "pay", "help", "leave")
SEARCH, VIEW, CART, REMOVE, PAY, HELP, LEAVE = range(len(ACTIONS))
STEPS = 24


def chances(cart: int, views: int, helped: bool, last: int) -> np.ndarray:
    """Return the probability of each action, given what this visitor did so far."""
    weight = np.full(len(ACTIONS), 0.02)
    if last in (PAY, LEAVE):  # the next visitor begins with a search
        weight[SEARCH] = 1.0
    elif views >= 3:  # three views without a decision: decide, or ask once for help
        weight[CART] = 0.6
        weight[HELP] = 0.0 if helped else 0.6
        weight[LEAVE] = 0.4 if helped else 0.05
    elif cart >= 2:  # enough in the cart
        weight[PAY] = 0.8
        weight[REMOVE] = 0.15
    else:
        weight[VIEW] = 1.0
        weight[SEARCH] = 0.25 if last == CART else 0.05
    weight[REMOVE] *= cart > 0
    weight[PAY] *= cart > 0
    return weight / weight.sum()


def sessions(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return actions (count, STEPS + 1) and how likely the best guess was (count, STEPS)."""
    actions = np.empty((count, STEPS + 1), dtype=np.int64)
    best = np.empty((count, STEPS))
    for row in range(count):
        cart, views, helped, last = 0, 0, False, LEAVE
        for t in range(STEPS + 1):
            odds = chances(cart, views, helped, last)
            last = int(draw.choice(len(ACTIONS), p=odds))
            actions[row, t] = last
            if t:
                best[row, t - 1] = odds.max()
            if last in (PAY, LEAVE):
                cart, views, helped = 0, 0, False
            cart += (last == CART) - (last == REMOVE)
            views = views + 1 if last == VIEW else 0 if last in (CART, SEARCH) else views
            helped = helped or last == HELP
    return actions, best


def main() -> None:
    """Train on simulated sessions, score other ones."""
    parser = argparse.ArgumentParser(description="Predict the next action in a session.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    draw = np.random.default_rng(options.seed)
    learn, _ = sessions(options.sessions, draw)
    test, best = sessions(500, draw)
    hot = np.eye(len(ACTIONS), dtype=np.float32)
    print(f"simulated: {len(learn)} sessions to learn from, {len(test)} held out, {STEPS} steps")

    rnn_engine.utils.set_random_seed(options.seed)
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.SimpleRNN(
                48, return_sequences=True, input_shape=(STEPS, len(ACTIONS))
            ),
            rnn_engine.layers.Dense(len(ACTIONS), activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        hot[learn[:, :-1]], learn[:, 1:], epochs=options.epochs, batch_size=32, verbose=0
    )
    for epoch, loss in enumerate(history.history["loss"], start=1):
        if epoch == 1 or epoch % 5 == 0 or epoch == options.epochs:
            print(f"epoch {epoch:3d}  training loss {loss:.4f}")

    scores = model.evaluate(hot[test[:, :-1]], test[:, 1:], verbose=0)
    assert isinstance(scores, list)  # the loss, and the metric that it was compiled with
    accuracy = scores[1]
    pairs = np.zeros((len(ACTIONS), len(ACTIONS)))
    np.add.at(pairs, (learn[:, :-1].ravel(), learn[:, 1:].ravel()), 1)
    after_last = pairs.argmax(axis=1)[test[:, :-1]]
    print("\nheld-out sessions              right guesses")
    print(f"  SimpleRNN                    {accuracy:.3f}")
    print(f"  after the last action        {np.mean(after_last == test[:, 1:]):.3f}")
    print(f"  most frequent action         {np.mean(pairs.sum(0).argmax() == test[:, 1:]):.3f}")
    print(f"  who knows the simulation     {best.mean():.3f}")

    path = [SEARCH, VIEW, VIEW, VIEW]
    filled = hot[np.array([path + [LEAVE] * (STEPS - len(path))])]
    odds = np.asarray(model.predict(filled, verbose=0))[0, len(path) - 1]
    print(f"\nafter {', '.join(ACTIONS[action] for action in path)}:")
    for action in np.argsort(-odds)[:3]:
        print(f"  {ACTIONS[action]:<8} {odds[action]:.2f}")


if __name__ == "__main__":
    main()
