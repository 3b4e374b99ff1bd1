"""`python -m reference.programs` tells what a program does not find."""

import json
import subprocess
import sys
from pathlib import Path

from reference import programs

OLD = """
import numpy as np
import keras.backend as K
from keras.models import Sequential
from keras.layers.core import Dense
from keras.layers.recurrent import LSTM
from keras.utils import np_utils
np_utils.to_categorical(np.zeros(3))
K.mean(K.constant([1.0]))
"""
OLDER = """
from keras import optimizers
from keras.models import Sequential
model = Sequential()
model.compile(optimizers.Adam(lr=0.1), "mse")
model.fit_generator(None)
"""
TODAYS = """
import tensorflow as tf
from tensorflow.keras import layers as L
layer = L.ConvLSTM2D(3, 3)
x = tf.keras.ops.mean(tf.constant([1.0]))
tf.keras.callbacks.EarlyStopping(patience=3)
y = np.nothing.at_all
"""


def test_what_is_absent() -> None:
    needs = programs.absent(OLD)
    assert needs.told == [
        "keras.layers.core",
        "keras.layers.recurrent.LSTM",
        "keras.utils.np_utils",
    ]
    assert needs.moved
    needs = programs.absent(OLDER)
    assert needs.told == ["Adam(lr=)", "Model.fit_generator"]
    assert not needs.moved
    assert programs.absent(TODAYS).told == []
    needs = programs.absent(
        "import tensorflow as tf\ntf.lite.A.b\ntf.lite.C\ntf.keras.layers.Nothing"
    )
    assert needs.told == ["tensorflow.keras.layers.Nothing", "tensorflow.lite"]
    assert not needs.moved


def test_files_and_counts(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["import nothing"]},
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "!pip install x\n", "import keras"],
        },
        {"cell_type": "code", "source": ["keras.layers.GRU\n", "keras.applications.VGG16"]},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "b.py").write_text(TODAYS)
    (tmp_path / "c.py").write_text(OLD)
    (tmp_path / "d.py").write_text("print 'Python 2'")
    done = subprocess.run(
        [sys.executable, "-m", "reference.programs", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[0] == "a.ipynb: keras.applications"
    assert lines[1] == "b.py: all here"
    assert lines[3] == "d.py: not read (SyntaxError)"
    assert lines[4] == "1 of 3 programs find all they need, 1 more with moved imports"
