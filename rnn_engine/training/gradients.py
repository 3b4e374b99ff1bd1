"""`Gradients`: what `model.gradients` returns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.variable import Variable


@dataclass
class Gradients:
    """Loss and gradients of one batch; iterates like a list in `variables` order.

    Attributes
    ----------
    loss : float
        Loss with the penalties of regularizers.
    variables : list of Variable
        The trainable variables.
    arrays : list of ndarray
        Gradient of the loss by each of them, of its shape. A copy: later steps
        do not change it.
    inputs : ndarray or None
        Gradient by the input, if asked for.
    """

    loss: float
    variables: list[Variable]
    arrays: list[Any]
    inputs: np.ndarray | None = None

    @property
    def by_path(self) -> dict[str, Any]:
        """The gradients by the path of their variable, ``"dense/kernel"``."""
        paths = [variable.path for variable in self.variables]
        return dict(zip(paths, self.arrays, strict=True))

    def __getitem__(self, key: int | str) -> Any:
        """Return the gradient at a position or of a path."""
        return self.by_path[key] if isinstance(key, str) else self.arrays[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)
