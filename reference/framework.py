"""Is another framework right? Its numbers beside the float64 oracle, row by row.

``python -m reference.framework FILE.py:run`` hands problems to `run(problem)`, a function of yours
that computes them in the framework to be verified, and compares what it returns with the oracle.
Weights, in and out, are in Keras's layout. Needs NumPy only, besides that framework; Keras's own
numbers stand beside the oracle's where ``--goldens FOLDER`` names files of `reference.goldens`.
The exit status is 1 if any row misses, 2 if there was nothing to compare.
"""

import argparse
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reference import goldens
from reference.case import Case, LayerSpec
from reference.cases import fixed_cases, random_cases
from reference.compare import relative_error, tolerance
from reference.oracle import CELLS, make_model

QUANTITIES = ("output", "loss", "parameters", "inputs")


@dataclass(frozen=True)
class Problem:
    """A stack of layers with weights and one batch; the loss is a mean over samples and steps.

    Attributes
    ----------
    name, dtype : str
    layers : list of (class name, config)
        SimpleRNN, LSTM, GRU and Dense, configured as in Keras; what is not said is Keras's default.
    weights : list of arrays
        In the order and layout of Keras's `get_weights`: kernel (features, gates · units),
        recurrent kernel (units, gates · units), bias. Gates are i, f, c, o of an LSTM and z, r, h
        of a GRU, whose bias is (2, 3 units): of the input and of the state.
    x, y : array
        Inputs (batch, steps, features) and targets.
    loss : str
        Keras's name of it.
    keras : mapping of str to array
        What Keras computed, where the problem was read from a golden file.
    """

    name: str
    dtype: str
    layers: Sequence[LayerSpec]
    weights: list[np.ndarray]
    x: np.ndarray
    y: np.ndarray
    loss: str = "mean_squared_error"
    keras: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_case(cls, case: Case, dtype: str) -> "Problem":
        """Return the problem of a case of `reference.cases`."""
        x, y = case.data(dtype)
        return cls(case.name, dtype, case.layers, case.weights(dtype), x, y, case.loss)

    @classmethod
    def of_golden(cls, path: Path) -> "Problem":
        """Return the problem of a golden file, with what Keras found."""
        golden = goldens.load(path)
        names = ("output", "loss", "inputs")
        found: dict[str, Any] = {name: golden.arrays[name] for name in names}
        found["parameters"] = golden.many("gradient")
        arrays, weights = golden.arrays, golden.many("weight")
        about = (golden.name, golden.dtype, golden.layers, weights)
        return cls(*about, arrays["x"], arrays["y"], golden.loss, found)

    def expected(self) -> dict[str, Any]:
        """Return the oracle's ``output``, ``loss``, ``parameters`` (a list) and ``inputs``."""
        found = make_model(self.layers, self.weights).gradients(self.x, self.y, self.loss)
        return {name: getattr(found, name) for name in QUANTITIES}

    def names(self) -> list[str]:
        """Return what each of the weights is called."""
        found = []
        for number, (kind, config) in enumerate(self.layers):
            own = ["kernel"] + ["recurrent_kernel"] * (kind in CELLS)
            own += ["bias"] * bool(config.get("use_bias", True))
            found += [f"{kind} {number}/{name}" for name in own]
        return found


@dataclass(frozen=True)
class Row:
    """One quantity: the errors against the oracle and against Keras, and what is allowed."""

    problem: str
    dtype: str
    quantity: str
    oracle: float
    keras: float | None
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the framework is near the oracle, and near Keras where that is known."""
        return max(self.oracle, self.keras or 0.0) <= self.allowed


Run = Callable[[Problem], Mapping[str, Any] | None]


def problems(
    dtypes: Sequence[str] = ("float32", "float64"), examples: int | None = None, seed: int = 0
) -> Iterator[Problem]:
    """Yield the fixed cases, or `examples` random ones, in each dtype."""
    cases: Iterable[Case] = fixed_cases() if examples is None else random_cases(examples, seed)
    for case in cases:
        for dtype in dtypes:
            if case.comparable(dtype):
                yield Problem.of_case(case, dtype)


def verify(run: Run, given: Iterable[Problem]) -> Iterator[Row]:
    """Run problems through a framework and yield a row for each quantity that it returns.

    Parameters
    ----------
    run : callable
        From a `Problem` to a mapping with ``output`` and, where the framework can, ``loss``,
        ``parameters`` (gradients by the weights, in their order and layout) and ``inputs`` (the
        gradient by x); None where it has no such layers.
    given : iterable of Problem

    Raises
    ------
    ValueError
        If `run` returns other names, or another number of gradients than there are weights.

    Examples
    --------
    >>> from reference.framework import problems, verify
    >>> from reference import engine
    >>> def ours(problem):
    ...     shape = (None, *problem.x.shape[1:])
    ...     model = engine.engine_model(problem.layers, shape, problem.dtype, problem.weights)
    ...     return engine.gradients(model, problem.x, problem.y, problem.loss)
    >>> rows = list(verify(ours, problems(["float64"], examples=2)))
    >>> all(row.agrees for row in rows)
    True
    """
    for problem in given:
        found = run(problem)
        if found is not None:
            yield from _rows(problem, _checked(problem, found))


def _checked(problem: Problem, found: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(set(found) - set(QUANTITIES))
    if unknown or not found:
        raise ValueError(
            f"run() must return some of {', '.join(QUANTITIES)} by name, got "
            f"{', '.join(unknown) or 'nothing'}."
        )
    gradients, weights = found.get("parameters"), problem.weights
    if gradients is not None and len(gradients) != len(weights):
        raise ValueError(
            f"run() must return a gradient for each of the {len(weights)} weights of "
            f"{problem.name!r}, got {len(gradients)}."
        )
    return found


def _rows(problem: Problem, found: Mapping[str, Any]) -> Iterator[Row]:
    expected, terms = problem.expected(), int(np.prod(problem.x.shape[:-1]))
    allowed = tolerance(problem.dtype, terms)

    def row(label: str, ours: Any, oracle: Any, keras: Any) -> Row:
        ours = np.asarray(ours)
        error = relative_error(ours, oracle, problem.dtype)
        known = keras is not None
        beside = relative_error(ours, keras, problem.dtype, oracle) if known else None
        return Row(problem.name, problem.dtype, label, error, beside, allowed)

    labels = {"output": "output", "loss": "loss", "inputs": "gradient of the input"}
    for name, label in labels.items():
        if found.get(name) is not None:
            yield row(label, found[name], expected[name], problem.keras.get(name))
    theirs = problem.keras.get("parameters", [None] * len(problem.weights))
    if found.get("parameters") is not None:
        both = zip(found["parameters"], expected["parameters"], theirs, strict=True)
        for name, values in zip(problem.names(), both, strict=True):
            yield row(f"gradient of {name}", *values)


def read_file(place: str, opening: str) -> tuple[str, str, dict[str, Any]]:
    """Return path and name in ``FILE.py:name``, and what the file defines.

    Raises
    ------
    ValueError
        If `place` is not of that form, in a message that begins with `opening`.
    """
    path, _, name = place.rpartition(":")
    if not path or not Path(path).is_file():
        raise ValueError(f"{opening} FILE.py:name with an existing file, got {place!r}.")
    return path, name, runpy.run_path(path)


def load_run(place: str) -> Run:
    """Return the function that ``FILE.py:name`` names.

    Raises
    ------
    ValueError
        If `place` is not of that form, or the file has no such function.
    """
    path, name, names = read_file(place, "expected")
    found = names.get(name)
    if not callable(found):
        raise ValueError(f"{path} has no function {name!r}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reference.framework", description=__doc__)
    parser.add_argument("run", metavar="FILE.py:run", help="the function that computes a problem")
    parser.add_argument("--examples", type=int, metavar="N", help="draw N random cases instead")
    parser.add_argument("--seed", type=int, default=0, help="of the random cases")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="only this one")
    parser.add_argument("--goldens", type=Path, metavar="FOLDER", help="Keras's files instead")
    chosen = parser.parse_args(arguments)
    dtypes = [chosen.dtype] if chosen.dtype else ["float32", "float64"]
    given: Iterable[Problem] = problems(dtypes, chosen.examples, chosen.seed)
    if chosen.goldens:
        files = sorted(chosen.goldens.glob("*.npz"))
        given = (p for p in map(Problem.of_golden, files) if p.dtype in dtypes)
    try:
        rows = print_rows(verify(load_run(chosen.run), given))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    missed = sum(not row.agrees for row in rows)
    print(f"\n{len(rows)} rows of {len({row.problem for row in rows})} problems, {missed} missed.")
    return 1 if missed else 0 if rows else 2


def print_rows(rows: Iterable[Row]) -> list[Row]:
    """Print rows as they come, and return them."""
    line = "{:<38.38} {:<8} {:<40.40} {:>9} {:>9} {:>9}  {}"
    print(line.format("problem", "dtype", "quantity", "oracle", "Keras", "allowed", "verdict"))
    seen = []
    for row in rows:
        errors = (row.oracle, row.keras, row.allowed)
        cells = ["-" if error is None else f"{error:.1e}" for error in errors]
        verdict = "ok" if row.agrees else "MISS"
        print(line.format(row.problem, row.dtype, row.quantity, *cells, verdict), flush=True)
        seen.append(row)
    return seen


if __name__ == "__main__":
    sys.exit(main())
