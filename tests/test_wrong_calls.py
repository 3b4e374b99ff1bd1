"""Some hundred wrong calls end in the type of exception and the words that Keras's end in.

`wrong_calls.txt` holds one a line; what stands before the last semicolon prepares it. Words are
compared by their first thirty characters, without the numbers of names and addresses, and without
the lines that Keras puts around the message of a layer's `call`. A subclass of Keras's type is of
that type: ``except`` and ``pytest.raises`` take it.
"""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

CALLS = (Path(__file__).parent / "wrong_calls.txt").read_text().splitlines()
OPENING = 30
AROUND = re.compile(
    r"Exception encountered when calling .*?\n\n\x1b\[1m(.*)\x1b\[0m\n\nArguments received by",
    re.DOTALL,
)


def outcome(package: Any, call: str) -> tuple[list[str], str]:
    """Return the names of the types, and the words, of what a call raises."""
    layers = package.layers

    def made() -> Any:
        return package.Sequential([package.Input((5, 3)), layers.SimpleRNN(2), layers.Dense(1)])

    def compiled() -> Any:
        model = made()
        model.compile("sgd", "mse")
        return model

    x, y = np.zeros((4, 5, 3), "float32"), np.zeros((4, 1), "float32")
    names = {"K": package, "L": layers, "np": np, "x": x, "y": y}
    names.update(made=made, compiled=compiled)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(call, names)
    except Exception as error:
        inside = AROUND.match(str(error))
        text = re.sub(r"<[^>]*>", "<>", inside[1] if inside else str(error))
        text = re.sub(r"_\d+\b", "", re.sub("rnn_engine|keras", "K", text))
        return [kind.__name__ for kind in type(error).__mro__], text
    raise AssertionError(f"{call} raises nothing")


def test_there_are_many() -> None:
    assert len(CALLS) > 300
    assert len(set(CALLS)) == len(CALLS)


@pytest.mark.filterwarnings("ignore")  # Keras warns of some before it raises
@pytest.mark.parametrize("call", CALLS)
def test_the_words_are_kerass(call: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    types, words = outcome(rnn_engine, call)
    (wanted, *_), opening = outcome(keras, call)
    assert wanted in types
    assert words[:OPENING].startswith(opening[:OPENING])
