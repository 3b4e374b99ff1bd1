"""Pictures in files and arrays against Keras."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")
pytest.importorskip("PIL")

ARRAY = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype("uint8")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"color_mode": "grayscale"},
        {"color_mode": "rgba", "target_size": (8, 9)},
        {"target_size": (10, 10), "interpolation": "bilinear"},
        {"target_size": (10, 10), "interpolation": "lanczos", "keep_aspect_ratio": True},
    ],
)
def test_load(tmp_path: Path, settings: dict[str, Any]) -> None:
    path = tmp_path / "a.png"
    rnn_engine.utils.save_img(path, ARRAY, scale=False)
    for source in (path, str(path), BytesIO(path.read_bytes())):
        theirs = keras.utils.load_img(source, **settings)
        if isinstance(source, BytesIO):
            source.seek(0)
        ours = rnn_engine.preprocessing.image.load_img(source, **settings)
        expected = keras.utils.img_to_array(theirs)
        found = rnn_engine.utils.img_to_array(ours)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype == np.float32


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
def test_arrays(channels: int, scale: bool) -> None:
    x = np.random.default_rng(1).random((5, 6, channels)) * 200
    for order in ("channels_last", "channels_first"):
        found = [
            np.asarray(u.array_to_img(x, data_format="channels_last", scale=scale))
            for u in (keras.utils, rnn_engine.utils)
        ]
        np.testing.assert_array_equal(found[1], found[0])
        arrays = [u.img_to_array(x, data_format=order) for u in (keras.utils, rnn_engine.utils)]
        np.testing.assert_array_equal(arrays[1], arrays[0])


def test_words_of_errors(tmp_path: Path) -> None:
    rnn_engine.utils.save_img(tmp_path / "a.png", ARRAY)
    path = tmp_path / "a.png"
    for call, error, words in (
        (lambda u: u.load_img(3), TypeError, "path should be path-like or io.BytesIO, not"),
        (lambda u: u.load_img(path, color_mode="x"), ValueError, 'color_mode must be "grayscale"'),
        (lambda u: u.load_img(path, target_size=(2, 2), interpolation="x"), ValueError,
         "Invalid interpolation method x specified"),
        (lambda u: u.array_to_img(np.zeros(3)), ValueError, "Expected image array to have rank 3"),
        (lambda u: u.array_to_img(np.zeros((2, 2, 7))), ValueError, "Unsupported channel number"),
        (lambda u: u.img_to_array(np.zeros(3)), ValueError, "Unsupported image shape"),
    ):  # fmt: skip
        for utils in (keras.utils, rnn_engine.utils):
            with pytest.raises(error, match=words):
                call(utils)


def test_without_pillow() -> None:
    program = """
import sys
sys.modules["PIL"] = None
import rnn_engine
try:
    rnn_engine.utils.load_img("a.png")
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "the extra 'images'" in done.stdout
