"""Global pooling over two and three axes: `GlobalAveragePooling2D`, `GlobalMaxPooling2D`, ..."""

from typing import Any

from rnn_engine.layers.base import registry
from rnn_engine.layers.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D


class GlobalAveragePooling(GlobalAveragePooling1D):
    """Base of the means; unlike the one over time they know no masks."""

    supports_masking = False

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the means."""
        return super().forward(x, training)


@registry.register("GlobalAveragePooling2D")
class GlobalAveragePooling2D(GlobalAveragePooling):
    """Mean over rows and columns (`keras.layers.GlobalAveragePooling2D`).

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Input shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling2D()(np.ones((2, 3, 4, 5))).shape
    (2, 5)
    """

    rank = 2


@registry.register("GlobalAveragePooling3D")
class GlobalAveragePooling3D(GlobalAveragePooling):
    """Mean over depth, rows and columns (`keras.layers.GlobalAveragePooling3D`).

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAveragePooling3D()(np.ones((2, 2, 3, 4, 5))).shape
    (2, 5)
    """

    rank = 3


@registry.register("GlobalMaxPooling2D")
class GlobalMaxPooling2D(GlobalMaxPooling1D):
    """Largest value over rows and columns (`keras.layers.GlobalMaxPooling2D`).

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Input shape (batch, rows, columns, channels), or channels first.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPooling2D()(np.ones((2, 3, 4, 5))).shape
    (2, 5)
    """

    rank = 2


@registry.register("GlobalMaxPooling3D")
class GlobalMaxPooling3D(GlobalMaxPooling1D):
    """Largest value over depth, rows and columns (`keras.layers.GlobalMaxPooling3D`).

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Input shape (batch, depth, rows, columns, channels), or channels first.

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPooling3D()(np.ones((2, 2, 3, 4, 5))).shape
    (2, 5)
    """

    rank = 3
