"""Every number of `rnn_engine.inspect` against loops in float64 or finite differences."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import inspect
from rnn_engine import layers as k

T, F, U, B = 7, 3, 4, 5
CELLS = {
    "simple": lambda **kw: k.SimpleRNN(U, **kw),
    "lstm": lambda **kw: k.LSTM(U, **kw),
    "gru": lambda **kw: k.GRU(U, **kw),
    "gru before": lambda **kw: k.GRU(U, reset_after=False, **kw),
}


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(B, T, F)), rng.normal(size=(B, T, 2))


def randomized(model: Any, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape) * 0.6)
    return model


def build(cell: str, sequences: bool, **kw: Any) -> Any:
    rows = [
        k.Input((T, F), dtype="float64"),
        CELLS[cell](return_sequences=sequences, dtype="float64", name="rnn", **kw),
        k.Dense(2, dtype="float64"),
    ]
    model = randomized(rnn_engine.Sequential(rows))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_flow_is_that_of_finite_differences(cell: str, sequences: bool) -> None:
    """h_t is moved a little, and the rest of the sequence goes on from there."""
    model, (x, y) = build(cell, sequences), data()
    y = y if sequences else y[:, -1]
    flow = inspect.gradient_flow(model, x, y)
    assert flow.loss == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-12)
    rnn, dense = model.layers
    stepwise = CELLS[cell](return_sequences=True, return_state=True, dtype="float64")
    stepwise.build((None, None, F))
    stepwise.set_weights(rnn.get_weights())

    def loss(outputs: np.ndarray) -> float:
        return float(np.mean((dense(outputs) - y) ** 2))

    for t in range(T):
        h, *states = stepwise(x[:, : t + 1])

        def moved(change: np.ndarray, t: int = t, h: Any = h, states: Any = states) -> float:
            first = states[0] + change
            before = np.concatenate([h[:, :-1], first[:, None]], axis=1)
            if t == T - 1:
                after = np.empty((B, 0, U))
            else:
                after = stepwise(x[:, t + 1 :], [first, *states[1:]])[0]
            whole = np.concatenate([before, after], axis=1)
            return loss(whole if sequences else whole[:, -1])

        slopes = np.empty((B, U))
        for place in np.ndindex(B, U):
            change = np.zeros((B, U))
            change[place] = 1e-5
            slopes[place] = (moved(change) - moved(-change)) / 2e-5
        assert flow.norms["rnn"][t] == pytest.approx(np.sqrt((slopes**2).sum()), rel=1e-6)
    assert flow.ratios["rnn"] == flow.norms["rnn"][0] / flow.norms["rnn"][-1]


def test_gradient_flow_sees_every_kind_of_row() -> None:
    """Stacks, both ways, masks, models in models; the gradients of the weights stay the same."""
    inner = rnn_engine.Sequential([k.Input((T, U)), k.GRU(U, return_sequences=True, name="inner")])
    model = randomized(
        rnn_engine.Sequential(
            [
                k.Input((T, F)),
                k.Masking(),
                k.LSTM(U, return_sequences=True, name="first"),
                inner,
                k.Bidirectional(k.SimpleRNN(U, return_sequences=True, name="way")),
                k.RNN([k.LSTMCell(U, name="low"), k.GRUCell(3, name="high")], name="stack"),
                k.Dense(1),
            ]
        )
    )
    model.compile("sgd", "mse")
    x, y = data()[0].astype("float32"), np.ones((B, 1), "float32")
    x[0, 2:4] = 0
    x[1, 4:] = 0
    before = model.gradients(x, y, training=False)
    with inspect.watching.watched(model):
        seen = model.gradients(x, y, training=False)
    assert seen.loss == before.loss
    for one, other in zip(before, seen, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)
    norms = inspect.gradient_flow(model, x, y).norms
    assert list(norms) == ["first", "inner", "forward_way", "backward_way", "stack/low",
                           "stack/high"]  # fmt: skip
    assert all(norm.shape == (T,) and (norm > 0).all() for norm in norms.values())


def test_a_layer_called_twice_has_two_records() -> None:
    x = k.Input((T, U))
    rnn = k.SimpleRNN(U, return_sequences=True, name="rnn")
    model = rnn_engine.Model(x, rnn(rnn(x)))
    model.compile("sgd", "mse")
    values = np.random.default_rng(0).normal(size=(B, T, U)).astype("float32")
    assert list(inspect.gradient_flow(model, values, values).norms) == ["rnn", "rnn#2"]


@pytest.mark.parametrize("sequences", [False, True])
def test_outputs_that_a_mask_makes_zeros_are_zeros_while_watched(sequences: bool) -> None:
    rnn = k.LSTM(U, return_sequences=sequences, zero_output_for_mask=True)
    model = randomized(rnn_engine.Sequential([k.Input((T, F)), k.Masking(), rnn, k.Dense(2)]))
    model.compile("sgd", "mse")
    x, y = data()
    x[0, 2:4] = x[1, 5:] = 0
    y = y if sequences else y[:, -1]
    before = model.gradients(x, y, training=False)
    with inspect.watching.watched(model):
        seen = model.gradients(x, y, training=False)
    assert seen.loss == pytest.approx(before.loss, rel=1e-6)
    for one, other in zip(before, seen, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


def test_memory_length_leaves_no_gradient_behind() -> None:
    model, (x, y) = build("lstm", False), data()
    inspect.memory_length(model, x)
    other = build("lstm", False)
    for each in (model, other):
        each.train_on_batch(x, y[:, -1])
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_layer_that_reads_backwards_is_told_in_time() -> None:
    model, (x, y) = build("simple", False, go_backwards=True), data()
    turned = build("simple", False)
    turned.set_weights(model.get_weights())
    one = inspect.gradient_flow(model, x, y[:, -1]).norms["rnn"]
    other = inspect.gradient_flow(turned, x[:, ::-1], y[:, -1]).norms["rnn"]
    np.testing.assert_allclose(one, other[::-1])


def test_closed_steps_pass_the_gradient_on() -> None:
    model = randomized(rnn_engine.Sequential([k.Input((T, F)), k.Masking(), k.LSTM(U, name="rnn")]))
    model.compile("sgd", "mse")
    x = data()[0].astype("float32")
    x[:, 3:] = 0
    norm = inspect.gradient_flow(model, x, np.zeros((B, U))).norms["rnn"]
    assert norm[2:] == pytest.approx(norm[-1])
    short = inspect.gradient_flow(model, x[:, :3], np.zeros((B, U))).norms["rnn"]
    np.testing.assert_allclose(norm[:3], short, rtol=1e-5)


def test_looking_changes_nothing() -> None:
    model = rnn_engine.Sequential(
        [k.Input(batch_shape=(B, T, F)), k.Dropout(0.5), k.LSTM(U, stateful=True), k.Dense(2)]
    )
    model.compile("sgd", "mse")
    x, y = (a.astype("float32") for a in data())
    model.predict(x, verbose=0, batch_size=B)
    lstm = model.layers[1]
    loops, states = lstm._loops, [np.array(s) for s in lstm.states]
    weights = model.get_weights()
    inspect.gradient_flow(model, x, y[:, 0])
    inspect.saturation(model, x)
    inspect.unit_activity(model, x)
    inspect.memory_length(model, x)
    with pytest.raises(ValueError, match="shape|samples|axis"):
        inspect.gradient_flow(model, x[..., :1], y[:, 0])
    assert lstm._loops is loops
    for a, b in zip([*weights, *states], [*model.get_weights(), *lstm.states], strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_length_of_a_cell_known_by_formula() -> None:
    """h_t = a·h_{t-1} + w·x_t: an input k steps back moves the output by w·a^k."""
    a, w, steps = 0.5, -2.0, 12
    model = rnn_engine.Sequential(
        [k.Input((steps, 1), dtype="float64"),
         k.SimpleRNN(1, activation="linear", use_bias=False, dtype="float64")]
    )  # fmt: skip
    model.set_weights([np.full((1, 1), w), np.full((1, 1), a)])
    found = inspect.memory_length(model, np.ones((3, steps, 1)))
    wanted = abs(w) * a ** np.arange(steps)[::-1] * np.sqrt(3)  # three rows
    np.testing.assert_allclose(found.influence, wanted, rtol=1e-12)
    assert found.length == 6  # 2^-6 > 0.01 > 2^-7
    assert inspect.memory_length(model, np.ones((1, steps, 1)), share=0.2).length == 2


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_memory_length_is_that_of_finite_differences(cell: str, sequences: bool) -> None:
    model, (x, _) = build(cell, sequences), data()
    found = inspect.memory_length(model, x)

    def last(inputs: np.ndarray) -> np.ndarray:
        y = model.predict(inputs, verbose=0)
        return y[:, -1] if sequences else y

    for t in range(T):
        total = 0.0
        for f in range(F):
            step = np.zeros(x.shape)
            step[:, t, f] = 1e-5
            total += (((last(x + step) - last(x - step)) / 2e-5) ** 2).sum()
        assert found.influence[t] == pytest.approx(np.sqrt(total), rel=1e-6)


def test_memory_length_of_indices_is_by_the_rows_of_the_table() -> None:
    table = k.Embedding(5, F)
    rnn = k.GRU(U)
    model = randomized(rnn_engine.Sequential([k.Input((T,)), table, rnn]))
    index = np.random.default_rng(0).integers(0, 5, (B, T))
    behind = rnn_engine.Sequential([k.Input((T, F)), k.GRU(U)])
    behind.set_weights(rnn.get_weights())
    np.testing.assert_array_equal(
        inspect.memory_length(model, index).influence,
        inspect.memory_length(behind, np.asarray(table(index))).influence,
    )


def test_memory_length_of_indices_read_backwards_is_in_time() -> None:
    table, rnn = k.Embedding(5, F), k.SimpleRNN(U, go_backwards=True)
    model = randomized(rnn_engine.Sequential([k.Input((T,)), table, rnn]))
    index = np.random.default_rng(0).integers(0, 5, (B, T))
    behind = rnn_engine.Sequential([k.Input((T, F)), k.SimpleRNN(U, go_backwards=True)])
    behind.set_weights(rnn.get_weights())
    np.testing.assert_allclose(
        inspect.memory_length(model, index).influence,
        inspect.memory_length(behind, np.asarray(table(index))).influence,
    )


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_saturation_of_an_lstm_is_that_of_its_equations() -> None:
    model, (x, _) = build("lstm", False), data()
    model.layers[0].set_weights([3 * w for w in model.layers[0].get_weights()])
    shares = inspect.saturation(model, x).shares["rnn"]
    w, r, b = model.layers[0].get_weights()
    h, c = np.zeros((B, U)), np.zeros((B, U))
    counts = {name: np.zeros(U) for name in shares}
    for t in range(T):
        i, f, g, o = np.split(x[:, t] @ w + h @ r + b, 4, axis=1)
        i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, gate in (("input", i), ("forget", f), ("output", o)):
            counts[name] += (gate * (1 - gate) < 0.05 * 0.25).sum(axis=0)
        counts["candidate"] += (1 - g**2 < 0.05).sum(axis=0)
        counts["cell"] += (1 - np.tanh(c) ** 2 < 0.05).sum(axis=0)
    for name, count in counts.items():
        np.testing.assert_allclose(shares[name], count / (B * T), err_msg=name)
    assert 0 < inspect.saturation(model, x).means["rnn"]["input"] < 1


@pytest.mark.parametrize("after", [True, False])
def test_saturation_of_a_gru_is_that_of_its_equations(after: bool) -> None:
    model, (x, _) = build("gru" if after else "gru before", False), data()
    model.layers[0].set_weights([3 * w for w in model.layers[0].get_weights()])
    shares = inspect.saturation(model, x, threshold=0.2).shares["rnn"]
    w, r, b = model.layers[0].get_weights()
    b_x, b_h = b if after else (b, np.zeros(3 * U))
    h = np.zeros((B, U))
    counts = {name: np.zeros(U) for name in ("update", "reset", "candidate")}
    for t in range(T):
        z_x, r_x, g_x = np.split(x[:, t] @ w + b_x, 3, axis=1)
        z_h, r_h, g_h = np.split(h @ r + b_h, 3, axis=1)
        z, reset = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
        g = np.tanh(g_x + (reset * g_h if after else (reset * h) @ r[:, 2 * U :]))
        h = z * h + (1 - z) * g
        counts["update"] += (z * (1 - z) < 0.05).sum(axis=0)
        counts["reset"] += (reset * (1 - reset) < 0.05).sum(axis=0)
        counts["candidate"] += (1 - g**2 < 0.2).sum(axis=0)
    for name, count in counts.items():
        np.testing.assert_allclose(shares[name], count / (B * T), err_msg=name)


def test_saturation_of_a_relu_counts_zeros_of_open_steps() -> None:
    model = randomized(
        rnn_engine.Sequential([k.Input((T, F)), k.Masking(), k.SimpleRNN(U, "relu", name="rnn")])
    )
    x = data()[0].astype("float32")
    x[0, 3:] = 0
    shares = inspect.saturation(model, x).shares["rnn"]["state"]
    w, r, b = (a.astype(float) for a in model.get_weights())
    h, count, seen = np.zeros((B, U)), np.zeros(U), 0
    for t in range(T):
        is_open = x[:, t].any(axis=-1)
        new = np.maximum(0, x[:, t] @ w + h @ r + b)
        count += (new[is_open] == 0).sum(axis=0)
        seen += is_open.sum()
        h = np.where(is_open[:, None], new, h)
    np.testing.assert_allclose(shares, count / seen)
    assert count.any()


def test_unit_activity_is_that_of_the_outputs() -> None:
    model, (x, _) = build("gru", True), data()
    found = inspect.unit_activity(model, x)
    h = np.asarray(model.layers[0](x)).reshape(-1, U)
    for name, values in (("mean", h.mean(0)), ("std", h.std(0)), ("low", h.min(0)),
                         ("high", h.max(0))):  # fmt: skip
        np.testing.assert_allclose(getattr(found, name)["rnn"], values, rtol=1e-12)
    assert found.dead["rnn"].size == 0
    w, r, b = model.layers[0].get_weights()
    for array in (w, r, b):
        array.reshape(-1, 3, U)[..., 2] = 0  # the third unit: nothing comes in
    model.layers[0].set_weights([w, r, b])
    np.testing.assert_array_equal(inspect.unit_activity(model, x).dead["rnn"], [2])


def test_unit_activity_is_that_of_open_steps() -> None:
    model = rnn_engine.Sequential([k.Input((T, F)), k.Masking(), k.GRU(U, name="rnn")])
    x = data()[0].astype("float32")
    x[1:, 3:] = 0
    stepwise = k.GRU(U, return_sequences=True)
    stepwise.build((None, None, F))
    stepwise.set_weights(model.layers[-1].get_weights())
    h = np.asarray(stepwise(x), float)
    h = np.concatenate([h[0], h[1:, :3].reshape(-1, U)])
    found = inspect.unit_activity(model, x)
    np.testing.assert_allclose(found.mean["rnn"], h.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.std["rnn"], h.std(0), rtol=1e-5)
    closed = np.zeros_like(x)
    assert np.isnan(inspect.unit_activity(model, closed).mean["rnn"]).all()
    for shares in inspect.saturation(model, closed).shares["rnn"].values():
        np.testing.assert_array_equal(shares, 0)


def test_spectral_radius_of_weights_known_beforehand() -> None:
    layer = k.SimpleRNN(3, dtype="float64")
    layer.build((None, None, 1))
    turn = np.array([[0.0, 0.8, 0.0], [-0.8, 0.0, 0.0], [0.0, 0.0, 0.5]])
    layer.set_weights([np.ones((1, 3)), turn, np.zeros(3)])
    found = inspect.spectral_radius(layer)
    assert float(found) == pytest.approx(0.8)
    np.testing.assert_allclose(np.sort_complex(found.eigenvalues["state"]), [-0.8j, 0.8j, 0.5])
    stack = k.RNN([k.LSTMCell(2, name="low"), k.GRUCell(2, name="high")])
    stack.build((None, None, 1))
    low, high = stack.cell.cells
    low.recurrent_kernel.assign(np.hstack([g * np.eye(2) for g in (0.1, 0.2, 0.3, 0.4)]))
    high.recurrent_kernel.assign(np.hstack([g * np.eye(2) for g in (0.5, 0.6, 0.7)]))
    wanted = {"low/input": 0.1, "low/forget": 0.2, "low/candidate": 0.3, "low/output": 0.4,
              "high/update": 0.5, "high/reset": 0.6, "high/candidate": 0.7}  # fmt: skip
    assert inspect.spectral_radius(stack).radii == pytest.approx(wanted, rel=1e-6)


def test_wrong_arguments() -> None:
    plain = rnn_engine.Sequential([k.Dense(2, input_shape=(T, F))])
    plain.compile("sgd", "mse")
    x, y = data()
    for call in (
        lambda: inspect.gradient_flow(plain, x, y),
        lambda: inspect.saturation(plain, x),
        lambda: inspect.unit_activity(plain, x),
        lambda: inspect.memory_length(plain, x),
    ):
        with pytest.raises(ValueError, match="no SimpleRNN, LSTM or GRU"):
            call()
    model = rnn_engine.Sequential([k.LSTM(2, input_shape=(T, F))])
    with pytest.raises(ValueError, match="compile"):
        inspect.gradient_flow(model, x, y)
    with pytest.raises(ValueError, match="share"):
        inspect.memory_length(model, x, share=2)
    with pytest.raises(ValueError, match="threshold"):
        inspect.saturation(model, x, threshold="a")
    with pytest.raises(ValueError, match="spectral_radius takes"):
        inspect.spectral_radius(k.Dense(2))
    with pytest.raises(ValueError, match="build it first"):
        inspect.spectral_radius(k.LSTM(2))


def test_plots(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    model, (x, y) = build("lstm", False), data()
    found = {
        "flow": inspect.gradient_flow(model, x, y[:, -1]),
        "memory": inspect.memory_length(model, x),
        "saturation": inspect.saturation(model, x),
        "activity": inspect.unit_activity(model, x),
        "radius": inspect.spectral_radius(model.layers[0]),
    }
    for name, result in found.items():
        path = tmp_path / f"{name}.png"
        figure = result.plot(path)
        assert path.stat().st_size > 3000
        assert figure.axes[0].has_data()
    line = found["flow"].plot().axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), found["flow"].norms["rnn"])
    assert found["radius"].plot().axes[0].get_title().startswith("input: ")
