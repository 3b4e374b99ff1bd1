"""The weights of a cell, as the kernels take them."""

from typing import Any

from rnn_engine.kernels.recurrent import recurrence
from rnn_engine.variable import Variable


class PackedWeights:
    """Keeps packed weights until their variables are written to.

    Versions and packed weights are swapped as one reference, so that whoever reads them while
    another thread writes gets a set that belongs together.

    Parameters
    ----------
    sizes : tuple
        What `kernels.recurrent.recurrence` is asked for.
    kernel, recurrent_kernel, bias : Variable
        `bias` may be None.

    Attributes
    ----------
    features : int
    recurrence : Recurrence
        The kernels for weights of these sizes.
    """

    def __init__(
        self, sizes: Any, kernel: Variable, recurrent_kernel: Variable, bias: Variable | None
    ) -> None:
        self.sizes = sizes
        self.features = int(kernel.shape[0])
        self.variables = kernel, recurrent_kernel, bias
        self.recurrence = recurrence(*sizes)
        self._kept: tuple[Any, Any] = (None, None)

    def current(self) -> Any:
        """Return the packed weights of now."""
        kernel, recurrent_kernel, bias = self.variables
        # Versions only grow, so their sum tells whether one has.
        version = kernel.version + recurrent_kernel.version
        if bias is not None:
            version += bias.version
        kept = self._kept
        if kept[0] == version:
            return kept[1]
        del kept
        return self._pack()

    def _pack(self) -> Any:
        # Nobody will ask for the old ones again: the new ones take their place.
        self._kept = None, None
        # A write says so before and after it: where a version has moved, one came in between.
        while True:
            before = self._version()
            values = [None if v is None else v.value for v in self.variables]
            packed = self.recurrence.pack(*values)
            if self._version() == before:
                self._kept = before, packed
                return packed

    def _version(self) -> int:
        return sum(v.version for v in self.variables if v is not None)

    def gradients(self) -> tuple[Any, Any, Any]:
        """Return the buffers of the gradients; None for a bias that is not there."""
        kernel, recurrent_kernel, bias = self.variables
        return kernel.grad, recurrent_kernel.grad, None if bias is None else bias.grad

    def __getstate__(self) -> dict[str, Any]:
        # Kernels and packed weights are found again.
        return {"sizes": self.sizes, "variables": self.variables}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["sizes"], *state["variables"])  # type: ignore[misc]  # made anew
