"""Is it really the same? ``python -m reference.verify`` answers row by row.

Every case is run through the engine, through its tf.keras twin with the same
weights, and through the float64 oracle; each row compares one quantity on the
three sides. Errors are relative to the size of the quantity as
`reference.compare` defines it. The exit status is 1 if any row misses.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reference import engine, keras_twin, oracle, oracle_training
from reference.case import Case
from reference.cases import fixed_cases, random_cases
from reference.compare import TRAINING, Row, compare, roundoff, tolerance, trained
from reference.framework import read_file
from reference.running_error import Quantity

DTYPES = ("float32", "float64")


def rows_of_case(case: Case, dtype: str, mode: str) -> Iterator[Row]:
    """Yield the rows of one case in one dtype."""
    x, y = case.data(dtype)
    ours = engine.model_of(case, dtype)
    twin = keras_twin.twin_of(ours, dtype)
    reference = case.oracle(dtype).gradients(x, y, case.loss)
    engine_side = engine.gradients(ours, x, y, case.loss)
    loss = keras_twin.keras_loss(case.loss, dtype)
    keras_side = keras_twin.gradients(twin, x, y, loss, mode)
    names = [variable.path for variable in ours.trainable_variables]
    oracle_side = {
        "output": reference.output,
        "loss": reference.loss,
        "parameters": reference.parameters,
        "inputs": reference.inputs,
    }
    sides = {"engine": engine_side, "keras": keras_side, "oracle": oracle_side}
    yield from gradient_rows(case.name, dtype, names, sides, case.batch * case.steps)
    if case.training_steps:
        yield from training_rows(case, dtype, ours, twin)


def short_path(path: str) -> str:
    """Return a variable's path without the names of the model and of cells."""
    parts = [part for part in path.split("/") if not part.endswith("_cell")]
    return "/".join(parts[1:] if parts[0].startswith("sequential") else parts)


def gradient_rows(
    name: str, dtype: str, parameters: Sequence[str], sides: dict[str, Any], terms: int
) -> Iterator[Row]:
    """Yield the rows of output, loss, and every gradient."""
    # Without the oracle's error bound the size is a bare value, and sums may cancel.
    bounded = isinstance(sides["oracle"]["output"], Quantity)
    allowed = None if bounded else 8 * tolerance(dtype, terms)

    def row(label: str, key: str, index: int | None = None) -> Row:
        values = {
            side: content[key] if index is None else content[key][index]
            for side, content in sides.items()
        }
        return compare(name, dtype, label, values, terms, allowed)

    yield row("output", "output")
    yield row("loss", "loss")
    for index, parameter in enumerate(parameters):
        yield row(f"gradient of {short_path(parameter)}", "parameters", index)
    if all(side["inputs"] is not None for side in sides.values()):
        yield row("gradient of the input", "inputs")


def training_rows(case: Case, dtype: str, ours: Any, twin: Any) -> Iterator[Row]:
    """Train all three sides from the same weights and yield the rows of the outcome."""
    x, y = case.data(dtype)
    steps, allowed = case.training_steps, TRAINING[dtype]
    third = case.oracle(dtype)
    unit = roundoff(dtype)
    true_losses, moved = oracle_training.train(third, x, y, steps, case.optimizer, case.loss, unit)
    with keras_twin.floatx(dtype):
        losses = {
            "engine": keras_twin.train(ours, x, y, steps, case.optimizer, case.loss),
            "keras": keras_twin.train(twin, x, y, steps, case.optimizer, case.loss),
            "oracle": true_losses,
        }
    label = f"losses of {steps} steps of {case.optimizer}"
    yield compare(case.name, dtype, label, losses, allowed=allowed)
    weights = zip(
        ours.trainable_variables,
        ours.get_weights(),
        twin.get_weights(),
        map(trained, oracle_training.parameters(third), moved, [dtype] * len(moved)),
        strict=True,
    )
    for variable, *values in weights:
        after = dict(zip(("engine", "keras", "oracle"), values, strict=True))
        yield compare(
            case.name, dtype, f"{short_path(variable.path)} after them", after, allowed=allowed
        )


def load_model(place: str) -> Any:
    """Return the model that ``FILE.py:name`` names; a function is called for it.

    Raises
    ------
    ValueError
        If `place` is not of that form, or the file has no such name.
    """
    path, name, names = read_file(place, "--model expects")
    if name not in names:
        raise ValueError(f"{path} has no {name!r}.")
    found = names[name]
    is_model = hasattr(found, "layers") and hasattr(found, "get_weights")
    return found if is_model else found()


def draw_input(model: Any, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Return one batch for a built model; open axes get small sizes."""
    shape = [size or default for size, default in zip(model.input_shape, (5, 7, 3), strict=False)]
    first = model.layers[0]
    if type(first).__name__ == "Embedding":
        return rng.integers(0, first.input_dim, shape)
    return rng.normal(size=shape).astype(dtype)


def rows_of_model(model: Any, name: str, loss: str, seed: int, mode: str) -> Iterator[Row]:
    """Yield the rows of a user's built model on random data, with the weights it has.

    Where the oracle does not know a layer, the Keras twin in float64 stands for it.
    """
    weights = model.get_weights()
    dtype = weights[0].dtype.name if weights else "float32"
    rng = np.random.default_rng(seed)
    x = draw_input(model, dtype, rng)
    y = rng.normal(size=np.shape(model.predict_on_batch(x))).astype(dtype)
    if "crossentropy" in loss:
        y = np.eye(y.shape[-1], dtype=dtype)[y.argmax(-1)] if y.shape[-1] > 1 else (y > 0) * 1.0
        y = y.argmax(-1) if loss.startswith("sparse") else y.astype(dtype)
    sides = {
        "engine": engine.gradients(model, x, y, loss),
        "keras": keras_twin.gradients(
            keras_twin.twin_of(model), x, y, keras_twin.keras_loss(loss, dtype), mode
        ),
        "oracle": _third_side(model, x, y, loss),
    }
    names = [variable.path for variable in model.trainable_variables]
    yield from gradient_rows(name, dtype, names, sides, int(np.prod(x.shape[:-1])))


def _third_side(model: Any, x: np.ndarray, y: np.ndarray, loss: str) -> dict[str, Any]:
    layers = keras_twin.describe(model)
    if all(oracle.knows(*layer) for layer in layers):
        result = oracle.make_model(layers, model.get_weights()).gradients(x, y, loss)
        return vars(result)
    unknown = sorted({name for name, config in layers if not oracle.knows(name, config)})
    note = f"The oracle does not cover {', '.join(unknown)}; Keras in float64 takes its place."
    print(note, file=sys.stderr)
    twin = keras_twin.twin_of(model, "float64")
    wide = x.astype("float64") if np.issubdtype(x.dtype, np.floating) else x
    function = keras_twin.keras_loss(loss, "float64")
    return keras_twin.gradients(twin, wide, y, function, "eager")


HEADINGS = ("case", "dtype", "quantity", "engine/oracle", "keras/oracle", "engine/keras", "allowed")


def print_rows(rows: Iterator[Row]) -> tuple[int, int]:
    """Print rows as they come and return how many there were and how many missed."""
    line = "{:<38.38} {:<8} {:<48.48} {:>13} {:>13} {:>13} {:>9}  {}"
    print(line.format(*HEADINGS, "verdict"))
    total = missed = 0
    for row in rows:
        errors = (row.engine_oracle, row.keras_oracle, row.engine_keras, row.tolerance)
        cells = ["-" if error is None else f"{error:.1e}" for error in errors]
        verdict = "ok" if row.agrees else "MISS"
        print(line.format(row.case, row.dtype, row.quantity, *cells, verdict), flush=True)
        total, missed = total + 1, missed + (not row.agrees)
    return total, missed


def all_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows that the command line asks for."""
    if options.model:
        model = load_model(options.model)
        yield from rows_of_model(model, options.model, options.loss, options.seed, options.keras)
        return
    dtypes = DTYPES if options.dtype == "both" else (options.dtype,)
    cases = fixed_cases() if options.examples is None else _drawn(options.examples, options.seed)
    for case in cases:
        if options.case in case.name:
            for dtype in dtypes:
                yield from rows_of_case(case, dtype, options.keras)


def _drawn(count: int, seed: int) -> Iterator[Case]:
    left_out = 0
    for case in random_cases(count, seed):
        if all(case.comparable(dtype) for dtype in DTYPES):
            yield case
        else:
            left_out += 1
    if left_out:
        print(f"{left_out} drawn cases left out: a relu at its kink, or rounding errors that grow")
        print("to the size of the values, where no two correct programs agree.")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m reference.verify", description=__doc__)
    parser.add_argument("--examples", type=int, metavar="N", help="draw N random cases instead")
    parser.add_argument("--seed", type=int, default=0, help="of the random cases or data")
    parser.add_argument("--model", metavar="FILE.py:name", help="compare this model instead")
    parser.add_argument("--loss", default="mean_squared_error", help="the loss for --model")
    parser.add_argument("--dtype", choices=(*DTYPES, "both"), default="both")
    parser.add_argument(
        "--case", default="", metavar="TEXT", help="only cases with this in the name"
    )
    parser.add_argument(
        "--keras", choices=keras_twin.MODES, default="graph", help="how Keras runs the gradients"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    options = parse(arguments)
    # Every case is another graph; TensorFlow would warn that there are many.
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    try:
        total, missed = print_rows(all_rows(options))
    except ValueError as error:
        if not options.model:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"\n{total} rows, {missed} missed.")
    print("Errors are relative to the size of each quantity; see reference/compare.py.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
