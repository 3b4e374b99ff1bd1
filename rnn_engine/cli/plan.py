"""A forecasting model in one file: a ``.keras`` file with a member on how its data look.

Keras and this library read it as any other model; ``forecast.json`` beside the config tells
`rnn-engine predict` columns, scales and intervals.
"""

import json
import math
import os
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnn_engine.forecasting import Windows
from rnn_engine.saving.archive import open_archive
from rnn_engine.saving.atomic import replacing

MEMBER = "forecast.json"
COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Plan:
    """Which columns a model takes, how they become windows, and the widths of its intervals.

    Attributes
    ----------
    target : str or int
    exog : list of str or int
    windows : Windows
    widths : dict of str to list of float
        By coverage, half the width of the interval at each step.
    """

    target: Any
    exog: list[Any]
    windows: Windows
    widths: dict[str, list[float]]

    def width(self, coverage: float) -> np.ndarray:
        """Return half the widths for a coverage.

        Raises
        ------
        ValueError
            If the model has none.
        """
        found = self.widths.get(str(coverage))
        if found is None:
            known = ", ".join(self.widths) or "none"
            raise ValueError(f"--coverage must be one that the model was calibrated for ({known}).")
        return np.asarray(found)


def save(model: Any, plan: Plan, path: str) -> None:
    """Write model and plan; the file is whole or not there."""
    with tempfile.TemporaryDirectory() as folder:
        draft = os.path.join(folder, "model.keras")
        model.save(draft)
        with zipfile.ZipFile(draft, "a", zipfile.ZIP_STORED) as archive:
            archive.writestr(MEMBER, json.dumps(asdict(plan)))
        with replacing(path) as file, open(draft, "rb") as source:
            while piece := source.read(1 << 20):
                file.write(piece)


def load(path: str) -> Plan | None:
    """Return the plan in a model's file, None if it has none.

    Raises
    ------
    ValueError
        If it is damaged; names the file.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        if file.read(2) != b"PK":
            return None
        file.seek(0)
        with open_archive(file, path) as archive:
            if MEMBER not in archive.names:
                return None
            text = archive.text(MEMBER)
    try:
        return _plan_of(json.loads(text))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path}: its {MEMBER} is damaged: {error}") from error


def _plan_of(found: Any) -> Plan:
    windows = dict(found["windows"])
    level, scale = (_numbers(windows.pop(name), name) for name in ("level", "scale"))
    sizes = {name: _count(windows.pop(name), name) for name in ("lags", "horizon")}
    relative = windows.pop("relative")
    exog = list(found["exog"])
    if windows != {"known": 0} or relative not in (True, False) or not all(scale):
        raise ValueError("its windows are not those that train writes")
    if not len(level) == len(scale) == 1 + len(exog):
        raise ValueError("it has not one level and scale for each column")
    widths = {str(c): _numbers(of, c) for c, of in dict(found["widths"]).items()}
    if any(len(of) != sizes["horizon"] for of in widths.values()):
        raise ValueError("it has not one width for each step")
    shape = Windows(sizes["lags"], sizes["horizon"], level, scale, relative)
    return Plan(_column(found["target"]), [_column(one) for one in exog], shape, widths)


def _numbers(values: Any, name: str) -> list[float]:
    if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
        raise ValueError(f"{name} must be finite numbers")
    return [float(v) for v in values]


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return value


def _column(name: Any) -> Any:
    if not isinstance(name, str | int) and name is not None:
        raise ValueError(f"a column must be a name, got {name!r}")
    return name
