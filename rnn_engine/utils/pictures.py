"""Pictures in files and arrays: `keras.utils.load_img` and its like, by the package Pillow.

Pillow is the extra ``images``, and is imported when a picture is read or written.
"""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from rnn_engine.config import floatx

_WAYS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Could not import PIL.Image. Pictures are read and written by Pillow, the extra "
            "'images': pip install 'rnn_engine[images]'."
        ) from error
    return Image


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Return the picture of a file, of Pillow's kind. Mirrors `keras.utils.load_img`.

    Parameters
    ----------
    path : path or BytesIO
    color_mode : {"rgb", "rgba", "grayscale"}
    target_size : (height, width), optional
    interpolation : str
        How it comes to that size: ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ...
    keep_aspect_ratio : bool
        Whether to cut out the middle of the right shape first.

    Raises
    ------
    ImportError
        If Pillow is missing.
    TypeError, ValueError
        If an argument is not one of these.
    """
    pillow = _pillow()
    if isinstance(path, io.BytesIO):
        image = pillow.open(path)
    elif isinstance(path, bytes | str | Path):
        with open(path if isinstance(path, Path) else os.fspath(path), "rb") as file:
            image = pillow.open(io.BytesIO(file.read()))
    else:
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    modes = {"grayscale": "L", "rgba": "RGBA", "rgb": "RGB"}
    if color_mode not in modes:
        raise ValueError('color_mode must be "grayscale", "rgb", or "rgba"')
    wide = color_mode == "grayscale" and image.mode in ("I;16", "I")
    if not wide and image.mode != modes[color_mode]:
        image = image.convert(modes[color_mode])
    if target_size is None:
        return image
    height, width = target_size
    if image.size == (width, height):
        return image
    if interpolation not in _WAYS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. Supported methods are "
            f"{', '.join(_WAYS)}"
        )
    way = getattr(pillow.Resampling, interpolation.upper())
    box = None
    if keep_aspect_ratio:
        own_width, own_height = image.size
        cut_height = min(own_height, own_width * height // width)
        cut_width = min(own_width, own_height * width // height)
        left, top = (own_width - cut_width) // 2, (own_height - cut_height) // 2
        box = [left, top, left + cut_width, top + cut_height]
    return image.resize((width, height), way, box=box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Return a picture as an array (height, width, channels). Mirrors `keras.utils`.

    Raises
    ------
    ValueError
        If the order of the axes is unknown, or it has another number of axes.
    """
    data_format = _order(data_format)
    x = np.asarray(img, dtype=np.dtype(dtype or floatx()))
    if x.ndim == 2:
        x = x[..., None] if data_format == "channels_last" else x[None]
    elif x.ndim != 3:
        raise ValueError(f"Unsupported image shape: {x.shape}")
    elif data_format == "channels_first":
        x = x.transpose(2, 0, 1)
    return x


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """Return an array (height, width, channels) as Pillow's picture. Mirrors `keras.utils`.

    With `scale` its numbers are spread over 0..255.

    Raises
    ------
    ValueError
        If it has another number of axes or of channels.
    """
    pillow = _pillow()
    data_format = _order(data_format)
    x = np.asarray(x, dtype=np.dtype(dtype or floatx()))
    if x.ndim != 3:
        raise ValueError(
            f"Expected image array to have rank 3 (single image). Got array with shape: {x.shape}"
        )
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        most = x.max()
        if most != 0:
            x = x / most
        x = x * 255
    if x.shape[2] in (3, 4):
        return pillow.fromarray(x.astype("uint8"), "RGB" if x.shape[2] == 3 else "RGBA")
    if x.shape[2] != 1:
        raise ValueError(f"Unsupported channel number: {x.shape[2]}")
    if x.max() > 255:
        return pillow.fromarray(x[:, :, 0].astype("int32"), "I")
    return pillow.fromarray(x[:, :, 0].astype("uint8"), "L")


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None,
    scale: bool = True, **kwargs: Any,
) -> None:  # fmt: skip
    """Write an array as a picture. Mirrors `keras.utils.save_img`."""
    image = array_to_img(x, data_format=data_format, scale=scale)
    image.save(path, format=file_format, **kwargs)


def _order(data_format: str | None) -> str:
    name = data_format or "channels_last"
    if name not in ("channels_last", "channels_first"):
        raise ValueError(f"Invalid data_format: {data_format}")
    return name
