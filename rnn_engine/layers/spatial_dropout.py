"""`SpatialDropout2D`, `SpatialDropout3D`."""

from typing import Any

from rnn_engine.layers.base import registry
from rnn_engine.layers.dropout import SpatialDropout1D
from rnn_engine.layers.reshaping import check_data_format


class SpatialDropout(SpatialDropout1D):
    """Base of the layers that drop whole channels, at all places of two or three axes."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: Any = None,
        name: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed, name, dtype, **kwargs)
        self.data_format = check_data_format(data_format)
        ones = (1,) * (self.axes - 2)
        last = self.data_format == "channels_last"
        self.noise_shape = (None, *ones, None) if last else (None, None, *ones)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "data_format": self.data_format}


@registry.register("SpatialDropout2D")
class SpatialDropout2D(SpatialDropout):
    """Drops whole channels of an image, at all its places (`keras.layers.SpatialDropout2D`).

    Parameters
    ----------
    rate : float
        Share to drop, 0 to 1.
    data_format : str, optional
        ``"channels_last"`` (the default) or ``"channels_first"``.
    seed : int, optional
        See `Noise`.

    Input and output shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> import numpy as np
    >>> y = SpatialDropout2D(0.5, seed=1)(np.ones((1, 2, 3, 8)), training=True)
    >>> bool((y == y[:, :1, :1]).all())
    True
    """

    axes = 4


@registry.register("SpatialDropout3D")
class SpatialDropout3D(SpatialDropout):
    """Drops whole channels over three axes (`keras.layers.SpatialDropout3D`).

    Parameters
    ----------
    rate, data_format, seed
        See `SpatialDropout2D`.

    Input and output shape (batch, depth, rows, columns, channels), or channels first.
    """

    axes = 5
