"""`tf.strings` against TensorFlow."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import strings

tf = pytest.importorskip("tensorflow")

TEXTS = ["Hello World", "  ÄÖ x<br />y ", "", "a,b,,c", "naïve 12"]
ARRAY = np.array([TEXTS, TEXTS[::-1]], dtype=object)


def plain(value: Any) -> Any:
    if isinstance(value, tf.RaggedTensor):
        value = value.to_list()
    elif hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(x) for x in value]
    return value.decode() if isinstance(value, bytes) else value


CALLS = {
    "lower": lambda s, x: s.lower(x),
    "lower of all": lambda s, x: s.lower(x, encoding="utf-8"),
    "upper": lambda s, x: s.upper(x),
    "strip": lambda s, x: s.strip(x),
    "replace": lambda s, x: s.regex_replace(x, r"[^a-z ]", ""),
    "replace once": lambda s, x: s.regex_replace(x, "l|a", "<>", replace_global=False),
    "groups": lambda s, x: s.regex_replace(x, "(.)l", r"\1L"),
    "match": lambda s, x: s.regex_full_match(x, ".*[a-z]$"),
    "length": lambda s, x: s.length(x),
    "characters": lambda s, x: s.length(x, unit="UTF8_CHAR"),
    "split": lambda s, x: s.split(x),
    "split at": lambda s, x: s.split(x, sep=","),
    "unicode": lambda s, x: s.unicode_split(x, "UTF-8"),
    "join": lambda s, x: s.join([x, "b", x], separator="-"),
    "reduce": lambda s, x: s.reduce_join(x, separator=" ", axis=-1),
    "reduce all": lambda s, x: s.reduce_join(x, separator=" "),
}


@pytest.mark.parametrize("name", CALLS)
def test_strings(name: str) -> None:
    for x in (ARRAY, TEXTS, "Hé llo"):
        if name == "reduce" and isinstance(x, str):
            continue
        given = tf.constant(x if isinstance(x, str) else np.array(x, dtype=object).tolist())
        assert plain(CALLS[name](strings, x)) == plain(CALLS[name](tf.strings, given))


def test_numbers() -> None:
    np.testing.assert_array_equal(
        strings.to_number(["1.5", "-2"]), tf.strings.to_number(["1.5", "-2"])
    )
    assert strings.to_number(["7"], "int64").dtype == np.int64
    assert plain(strings.as_string(np.array([[1, 2]]))) == plain(tf.strings.as_string([[1, 2]]))
    assert plain(strings.as_string(1.25)) == plain(tf.strings.as_string(1.25))
    assert plain(strings.substr(["hello"], 1, 3)) == plain(tf.strings.substr(["hello"], 1, 3))


def test_before_a_vectorization() -> None:
    """As the tutorials standardize reviews."""

    def standardize(package: Any) -> Any:
        def function(text: Any) -> Any:
            low = package.strings.lower(text)
            return package.strings.regex_replace(
                package.strings.regex_replace(low, "<br />", " "), "[!,]", ""
            )

        return function

    found = []
    for package, keras in ((tf, tf.keras), (rnn_engine, rnn_engine)):
        layer = keras.layers.TextVectorization(
            standardize=standardize(package), output_sequence_length=4
        )
        layer.adapt(["Good film!<br />Good, good", "bad"])
        found.append((layer.get_vocabulary(), np.asarray(layer(["bad film", "good"])).tolist()))
    assert found[0] == found[1]
