"""`StackedRNNCells`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.called_cell import stepper
from rnn_engine.layers.cell import RNNCell, build_cell, check_cell, output_size, state_sizes
from rnn_engine.layers.wrapper import deserialize_layer


@registry.register()
class StackedRNNCells(RNNCell):
    """Cells one above the other, as one cell (`keras.layers.StackedRNNCells`).

    Each cell takes the output of the one below and keeps a state of its own.

    Parameters
    ----------
    cells : list of cells
        See `RNNCell` for a cell of one's own.

    Raises
    ------
    ValueError
        If there is no cell, or one does not keep the protocol.

    Examples
    --------
    >>> from rnn_engine.layers import RNN, SimpleRNNCell
    >>> layer = RNN(StackedRNNCells([SimpleRNNCell(3), SimpleRNNCell(2)]))
    >>> layer(np.zeros((1, 4, 5))).shape
    (1, 2)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = list(cells)
        if not self.cells:
            raise ValueError("StackedRNNCells needs at least one cell, got an empty list.")
        for cell in self.cells:
            check_cell(cell, alone=False)

    @property
    def state_size(self) -> list[Any]:
        """The state size of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """Size of the output of the uppermost cell."""
        return output_size(self.cells[-1])

    @property
    def sublayers(self) -> list[Layer]:
        """The cells that are layers."""
        return [cell for cell in self.cells if isinstance(cell, Layer)]

    def create_weights(self, input_shape: Any) -> None:
        """Build the cells from below."""
        shape = tuple(input_shape)
        for cell in self.cells:
            build_cell(cell, shape, f"{self.path_prefix}{self.name}/")
            shape = (shape[0], output_size(cell))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Return the states to begin with, in a list a cell, as those of the cells are."""
        return [initial_states_of(cell, batch_size or 1, self._np_dtype) for cell in self.cells]

    def forward(self, x: np.ndarray, states: Any, training: bool = False) -> Any:
        """Return the uppermost output, the new states, and what backward needs."""
        new_states, saved = [], []
        for cell, state in zip(self.cells, states, strict=True):
            given = state if isinstance(state, list | tuple) else [state]
            x, new, kept = stepper(cell).forward(x, given, training)
            new_states.append(list(new) if isinstance(state, list | tuple) else new[0])
            saved.append((kept, isinstance(state, list | tuple)))
        return x, new_states, saved

    def backward(  # type: ignore[override]  # a cell takes the gradients of states
        self, doutput: np.ndarray, dstates: Any, saved: Any
    ) -> Any:
        """Go back from above; gradients of states are nested as the states are."""
        dbefore = []
        for i in range(len(self.cells) - 1, -1, -1):
            kept, nested = saved[i]
            given = dstates[i] if nested else [dstates[i]]
            doutput, before = stepper(self.cells[i]).backward(doutput, given, kept)
            dbefore.append(list(before) if nested else before[0])
        return doutput, dbefore[::-1]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        cells = [registry.serialize(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "StackedRNNCells":
        """Build the cells from what `get_config` returned; their weights are new."""
        cells = [deserialize_layer(cell, custom_objects) for cell in config["cells"]]
        return cls(cells, **{key: value for key, value in config.items() if key != "cells"})


def initial_states_of(cell: Any, batch: int, dtype: Any) -> Any:
    """Return the states that a cell begins with, in the form that Keras gives them.

    That is what ``cell.get_initial_state`` returns; for a cell without it zeros, one
    array or a list as its `state_size` is.
    """
    if callable(getattr(cell, "get_initial_state", None)):
        return cell.get_initial_state(batch_size=batch)
    zeros = [np.zeros((batch, n), dtype) for n in state_sizes(cell)]
    return zeros if isinstance(cell.state_size, list | tuple) else zeros[0]


def single_cells(cell: Any) -> list[Any]:
    """Return the cells of a stack, those of stacks within it too, from below."""
    if isinstance(cell, StackedRNNCells):
        return [single for inner in cell.cells for single in single_cells(inner)]
    return [cell]
