"""Goldens: what Keras computes, written down once.

``python -m reference.goldens`` writes one small .npz a case and dtype to tests/goldens/, or to the
folder that ``--out`` names. A file holds the case's inputs, targets and weights, the output, loss
and every gradient that Keras finds, losses and weights after some training steps, and, as JSON, how
it was made: seed, dtype, versions, the layers. So the tests that read it need no TensorFlow, and
nothing is drawn again to compare.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reference.case import Case, LayerSpec
from reference.cases import fixed_cases

ROOT = Path(__file__).resolve().parent.parent
# Outside of a checkout there are no tests to write to.
CHECKOUT = (ROOT / "pyproject.toml").exists()
FOLDER = ROOT / "tests" / "goldens" if CHECKOUT else Path("goldens")
DTYPES = ("float32", "float64")
MODE = "graph"


@dataclass(frozen=True)
class Golden:
    """The content of one file."""

    name: str
    dtype: str
    layers: list[LayerSpec]
    input_shape: tuple[int | None, ...]
    loss: str
    optimizer: str
    training_steps: int
    made_with: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def many(self, prefix: str) -> list[np.ndarray]:
        """Return the arrays called ``prefix_0``, ``prefix_1`` and so on."""
        count = sum(key.rpartition("_")[0] == prefix for key in self.arrays)
        return [self.arrays[f"{prefix}_{index}"] for index in range(count)]


def load(path: Path) -> Golden:
    """Read a golden file; nothing in it is executed."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    about = json.loads(str(arrays.pop("about")))
    about["layers"] = [(name, config) for name, config in about["layers"]]
    about["input_shape"] = tuple(about["input_shape"])
    return Golden(**about, arrays=arrays)


def golden_cases() -> list[Case]:
    """Return the cases that files are written for: all but the bulky ones."""
    return [case for case in fixed_cases() if case.batch * case.steps * case.features < 2000]


def file_name(case: Case, dtype: str) -> str:
    """Return the name of the file of a case."""
    words = "".join(c if c.isalnum() else " " for c in case.name).split()
    return f"{'_'.join(words)}.{dtype}.npz"


def make(case: Case, dtype: str) -> dict[str, Any]:
    """Run Keras on a case and return what the file holds."""
    from reference import keras_twin

    x, y = case.data(dtype)
    weights = case.weights(dtype)
    model = keras_twin.keras_model(case.layers, case.input_shape, dtype, weights)
    loss = keras_twin.keras_loss(case.loss, dtype)
    found = keras_twin.gradients(model, x, y, loss, MODE)
    with keras_twin.floatx(dtype):
        losses = keras_twin.train(model, x, y, case.training_steps, case.optimizer, case.loss)
    arrays: dict[str, Any] = {"x": x, "y": y}
    arrays.update({key: found[key] for key in ("output", "loss", "inputs")})
    arrays["losses"] = np.array(losses)
    for prefix, values in (
        ("weight", weights),
        ("gradient", found["parameters"]),
        ("trained", model.get_weights()),
    ):
        arrays.update({f"{prefix}_{index}": value for index, value in enumerate(values)})
    return {"about": json.dumps(_about(case, dtype), sort_keys=True), **arrays}


def _about(case: Case, dtype: str) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    return {
        "name": case.name,
        "dtype": dtype,
        "layers": [[name, dict(config)] for name, config in case.layers],
        "input_shape": case.input_shape,
        "loss": case.loss,
        "optimizer": case.optimizer,
        "training_steps": case.training_steps,
        "made_with": {
            "seed": case.seed,
            "mode": MODE,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write every golden file."""
    parser = argparse.ArgumentParser(prog="python -m reference.goldens")
    parser.add_argument("--out", type=Path, default=FOLDER)
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    for case in golden_cases():
        for dtype in DTYPES:
            np.savez_compressed(folder / file_name(case, dtype), **make(case, dtype))
            print(file_name(case, dtype))


if __name__ == "__main__":
    main()
