"""A small check of the kernels against the oracle, run in a process of its own.

`test_mutations` runs it on copies of the engine with one fault each. Arguments are
the parts to check: ``dense``, or a cell with ``plain``, ``mask``, ``dropout`` or ``thin`` (states
are made again) behind it, as in ``lstm.plain``: the fewer, the less is compiled. It exits with 0 if
all is right, with 1 and a line for each wrong quantity if not.
"""

import sys

import numpy as np

import rnn_engine
from reference import oracle
from reference.compare import relative_error, tolerance
from rnn_engine.kernels.recurrent import plan
from rnn_engine.layers import Dense, dense
from tests.kernels.recurrent.cases import CELLS, Case, run

B, T, F, U = 5, 4, 3, 21

# Predictions with packed weights, training with those that lie there, however few there are.
dense._MANY = 0
# Two groups of rows, two chunks of two steps each and blocks of one register, however small the
# work.
LARGE = {"GROUP_WORK": 0, "BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": T, "BLOCK_NUMBERS": 0,
         "BLOCK_REGISTERS": 1}  # fmt: skip
THIN = {**LARGE, "THIN_NUMBERS": 0, "THIN_DEPTH": 0}


def check_cell(cell: str, kind: str) -> list[str]:
    """Compare all that a cell gives with the loop, small and cut into parts."""
    lines = []
    rng = np.random.default_rng(4)
    rules = {
        "plain": ({}, {"started": True}, {"every": False}),
        "mask": ({"masked": True}, {"masked": True, "started": True, "kind": "post"}),
        "dropout": ({"gates_dropped": 1}, {"gates_dropped": 4, "drops_x": True, "started": True}),
        "thin": ({"every": False}, {"every": False, "started": True, "masked": True}),
    }[kind]
    cuts: tuple[dict[str, int], ...] = (THIN,) if kind == "thin" else ({}, LARGE)
    for cut in cuts:
        vars(plan).update(cut)
        plan.forward_plan.cache_clear()
        plan.backward_plan.cache_clear()
        for rule in rules:
            for rows in (B, 1):
                case = Case(cell, ("tanh", "sigmoid"), rows, T, F, U, "float32", rng, **rule)
                found, expected = run(case, None, kind != "thin"), case.expected()
                again = case.recurrence.forward(case.packed, case.x, *case.arguments)[1][0]
                found["last"], expected["last"] = again, expected["last0"]
                if not rule:
                    found["quick"] = case.recurrence.last(case.packed, case.x)
                    expected["quick"] = expected["last0"]
                label = f"{cell}, {rule}, {rows} rows, {'cut' if cut else 'whole'}"
                wanted = [expected[name] for name in found]
                lines += wrong(label, list(found), list(found.values()), wanted)
    return lines


def check_dense() -> list[str]:
    """Compare a model of two Dense layers under the mean squared error."""
    rng = np.random.default_rng(1)
    units = 6
    shapes = ((F, units), (units,), (units, 2), (2,))
    weights = [rng.normal(size=shape).astype("float32") * 0.6 for shape in shapes]
    x, y = rng.normal(size=(B, F)).astype("float32"), rng.normal(size=(B, 2)).astype("float32")
    model = rnn_engine.Sequential([rnn_engine.Input((F,)), Dense(units, "tanh"), Dense(2)])
    model.set_weights(weights)
    model.compile(optimizer="sgd", loss="mse")
    predicted = model.predict_on_batch(x)
    found = model.gradients(x, y, inputs=True)
    layers = [("Dense", {"units": units, "activation": "tanh"}), ("Dense", {"units": 2})]
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
    for cell in CELLS:
        for kind in ("plain", "mask", "dropout", "thin"):
            if f"{cell}.{kind}" in parts:
                lines += check_cell(cell, kind)
    print(*lines, sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
