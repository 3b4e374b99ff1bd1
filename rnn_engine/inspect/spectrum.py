"""`spectral_radius`: how much recurrent weights stretch what goes round."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.inspect.plotting import new_axes, saved
from rnn_engine.layers import RNN
from rnn_engine.layers.kernel_cell import KernelCell
from rnn_engine.layers.stacked_rnn_cells import single_cells

GATES = {
    "simple_rnn": ("state",),
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("update", "reset", "candidate"),
    "gru_reset_before": ("update", "reset", "candidate"),
}


@dataclass(frozen=True)
class SpectralRadius:
    """What `spectral_radius` found; ``float()`` of it is the greatest radius.

    Attributes
    ----------
    eigenvalues : dict of (U,) complex arrays
        Of the square block of the recurrent kernel of each gate; "state" is the only one of a
        `SimpleRNN`. A stack has those of each cell, ``"cell/gate"``.
    """

    eigenvalues: dict[str, np.ndarray]

    @property
    def radii(self) -> dict[str, float]:
        """The greatest absolute eigenvalue of each gate."""
        return {name: float(np.abs(values).max()) for name, values in self.eigenvalues.items()}

    def __float__(self) -> float:
        return max(self.radii.values())

    def plot(self, path: Any = None) -> Any:
        """Draw the eigenvalues in the complex plane, with the unit circle; return the figure."""
        across = min(4, len(self.eigenvalues))
        figure, grid = new_axes(len(self.eigenvalues), across)
        angle = np.linspace(0, 2 * np.pi, 200)
        for axes, (name, values) in zip(grid, self.eigenvalues.items(), strict=True):
            axes.plot(np.cos(angle), np.sin(angle), "k:", linewidth=1)
            axes.plot(values.real, values.imag, ".")
            axes.set(title=f"{name}: {self.radii[name]:.3g}", aspect="equal")
        return saved(figure, path)


def spectral_radius(layer: Any) -> SpectralRadius:
    """Return the spectral radius of a layer's recurrent weights, gate by gate.

    A gradient that goes back one step of a `SimpleRNN` is multiplied by the transposed weights
    and by slopes of at most 1: with a radius well below 1 it has to vanish; above 1 it may
    explode. In `LSTM` and `GRU` the state has a way past the weights, so there the figure
    says how the gates see their own past, not how long the layer remembers.

    Parameters
    ----------
    layer : SimpleRNN, LSTM, GRU, an RNN of their cells, or such a cell
        Built.

    Raises
    ------
    ValueError
        If the layer is something else, is not built, or has weights that are not finite.

    Examples
    --------
    >>> from rnn_engine.layers import SimpleRNN
    >>> layer = SimpleRNN(8, input_shape=(None, 1))
    >>> layer.build((None, None, 1))
    >>> round(float(spectral_radius(layer)), 4)  # Keras's initializer is orthogonal
    1.0
    """
    cells = single_cells(layer.cell if isinstance(layer, RNN) else layer)
    if not all(isinstance(cell, KernelCell) for cell in cells):
        raise ValueError(
            "spectral_radius takes a SimpleRNN, LSTM or GRU, an RNN of their cells, or such a "
            "cell; of a Bidirectional its forward_layer and backward_layer. "
            f"Received: {layer!r}"
        )
    if not all(cell.built for cell in cells):
        raise ValueError(f"Layer {layer.name!r} has no weights yet: build it first.")
    found = {}
    for cell in cells:
        names = GATES[cell.kernel_name]
        if not np.isfinite(cell.recurrent_kernel.value).all():
            raise ValueError(f"The recurrent weights of {layer.name!r} are not finite.")
        blocks = np.split(np.asarray(cell.recurrent_kernel.value, np.float64), len(names), axis=1)
        for name, block in zip(names, blocks, strict=True):
            key = name if len(cells) == 1 else f"{cell.name}/{name}"
            found[key] = np.linalg.eigvals(block).astype(complex)
    return SpectralRadius(found)
