"""A small check of the kernels against the oracle, run in a process of its own.

`test_mutations` runs it on copies of the engine with one fault each. Arguments are
the parts to check, ``rnn``, ``brief``, ``apart``, ``row``, ``odd``, ``mask`` and ``dense``: the
fewer, the less is compiled.
It exits with 0 if all is right, with 1 and a line for each wrong quantity if not.
"""

import sys

import numpy as np

import rnn_engine
from reference import oracle
from reference.compare import relative_error, tolerance
from rnn_engine.kernels import simple_rnn, threads
from rnn_engine.layers import Dense, SimpleRNN, dense, plans

B, T, F, U = 5, 4, 3, 6

# Predictions with packed weights, training with those that lie there, however few there are.
dense._MANY = 0


# Two groups of rows, and two chunks of two steps each, however small the work.
LARGE = {"GROUP_WORK": 0, "BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": T}


def check_layer(
    activation: str,
    in_time: bool,
    masked: bool = False,
    start: bool = True,
    sizes: tuple[int, int, int] = (B, T, U),
) -> list:
    """Compare a SimpleRNN with a bias, and an initial state, all gradients included."""
    batch, steps, units = sizes
    mask = np.random.default_rng(2).random((batch, steps)) > 0.4 if masked else None
    rng = np.random.default_rng(0)
    scale = 1.5 / np.sqrt(units)
    shapes = ((F, units), (units, units), (units,))
    weights = [rng.normal(size=shape).astype("float32") * scale for shape in shapes]
    x = rng.normal(size=(batch, steps, F)).astype("float32")
    h0 = rng.normal(size=(batch, units)).astype("float32")
    dy = rng.normal(size=(batch, steps, units) if in_time else (batch, units)).astype("float32")
    layer = SimpleRNN(units, activation=activation, return_sequences=in_time)
    layer.build((None, steps, F))
    layer.set_weights(weights)
    y, saved = layer.forward(x, True, mask, initial_state=h0 if start else None)
    y = np.array(y)
    by_inputs = layer.backward(dy, saved)
    naive = oracle.SimpleRNN(*weights, activation, return_sequences=in_time)
    expected, _ = naive.forward(x, h0 if start else np.zeros_like(h0), mask)
    grads = naive.backward(dy)
    found = [y, *(by_inputs if start else [by_inputs]), *(v.grad for v in layer.trainable_weights)]
    names = ["x", *["initial_state"] * start, "kernel", "recurrent_kernel", "bias"]
    label = f"{activation}, {'every output' if in_time else 'last output'}, masked: {masked}"
    return wrong(label, ["output", *names], found, [expected, *(grads[n] for n in names)])


def check_dense() -> list[str]:
    """Compare a model of two Dense layers under the mean squared error."""
    rng = np.random.default_rng(1)
    shapes = ((F, U), (U,), (U, 2), (2,))
    weights = [rng.normal(size=shape).astype("float32") * 0.6 for shape in shapes]
    x, y = rng.normal(size=(B, F)).astype("float32"), rng.normal(size=(B, 2)).astype("float32")
    model = rnn_engine.Sequential([rnn_engine.Input((F,)), Dense(U, "tanh"), Dense(2)])
    model.set_weights(weights)
    model.compile(optimizer="sgd", loss="mse")
    predicted = model.predict_on_batch(x)
    found = model.gradients(x, y, inputs=True)
    layers = [("Dense", {"units": U, "activation": "tanh"}), ("Dense", {"units": 2})]
    expected = oracle.make_model(layers, weights).gradients(x, y)
    names = ["output", "loss", *(v.path for v in model.trainable_variables), "x"]
    actual = [predicted, np.asarray(found.loss), *found, found.inputs]
    truth = [expected.output, expected.loss, *expected.parameters, expected.inputs]
    return wrong("model", names, actual, truth)


def wrong(label: str, names: list[str], found: list, expected: list) -> list[str]:
    """Return a line for each quantity that is off."""
    errors = [relative_error(a, b, "float32") for a, b in zip(found, expected, strict=True)]
    limit = tolerance("float32")
    return [
        f"{label}: {name} is off by {error:.1e}"
        for name, error in zip(names, errors, strict=True)
        if not error <= limit
    ]


def main(parts: list[str]) -> int:
    """Run the parts and print what is wrong."""
    print(rnn_engine.__file__)
    lines = check_dense() if "dense" in parts else []
    if "brief" in parts:
        lines += check_layer("tanh", False, start=False) + check_layer("tanh", True, start=False)
    vars(simple_rnn).update(LARGE)
    plans.is_brief_backward.cache_clear()
    plans.brief_work.cache_clear()
    if "apart" in parts:
        work, threads.SERIAL_WORK = threads.SERIAL_WORK, 0
        rnn_engine.set_num_threads(2)
        lines += check_layer("tanh", False, start=False)
        threads.SERIAL_WORK = work
    if "row" in parts:
        # Several registers more than a panel of `single_row`, and calls of ten steps.
        vars(threads).update(LONGEST_CALL=10 * 300 * (F + 300))
        vars(simple_rnn).update(FORWARD_ROWS=1, FORWARD_NUMBERS=1500)
        lines += check_layer("tanh", True, start=False, sizes=(1, 40, 300))
        lines += check_layer("tanh", False, sizes=(1, 40, 300))
    if "odd" in parts:
        lines += check_layer("tanh", True, sizes=(20, T, 33))
        lines += check_layer("tanh", True, masked=True, sizes=(20, T, 33))
    if "rnn" in parts:
        for activation in ("tanh", "sigmoid", "relu"):
            lines += check_layer(activation, False) + check_layer(activation, True)
    if "mask" in parts:
        lines += check_layer("tanh", False, True) + check_layer("tanh", True, True)
    print(*lines, sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
