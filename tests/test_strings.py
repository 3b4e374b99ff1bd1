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


WEIRD = ["", " ", "a\nb", "\u00a0a\u00a0", "\u2003x\u3000y", "\x1ca\x1d b", "\x0bq\x0c", "é1a٣",
         "ab]a", "[a-", "A\n", " a  b "]  # fmt: skip
PATTERNS = {
    "whole": ("a", r"\0-\0"), "backslash": ("a", r"\\"), "groups": ("(a)(b)?", r"\2\1"),
    "empty": ("b*", "x"), "punctuation": ("[[:punct:][:digit:]]", ""), "no words": (r"[^\w\s]", ""),
    "digits": (r"\d", "#"), "spaces": (r"\s", "#"), "letters": (r"\S", "#"),
    "end": ("[a-zA]$", "#"), "end, once more": (r"[a-zA]\z", "#"),
    "brackets": (r"[][]", "#"), "bracket in a set": ("[a[]", "#"), "escaped": (r"[\]a]", "#"),
    "no set of a class": ("[:punct:]", "#"), "lines": ("(?m)a$", "#"),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("everywhere", [True, False])
def test_patterns_mean_what_they_mean_to_re2(name: str, everywhere: bool) -> None:
    for text in (*WEIRD, "abab", "xab b!", "a"):
        args = (text, *PATTERNS[name], everywhere)
        assert plain(strings.regex_replace(*args)) == plain(tf.strings.regex_replace(*args)), text
        args = text, PATTERNS[name][0]
        found = strings.regex_full_match(*args), tf.strings.regex_full_match(*args)
        assert bool(found[0]) == bool(found[1]), text


def test_other_blanks_than_those_of_ascii_are_letters() -> None:
    for call in (
        lambda s: s.strip(WEIRD), lambda s: s.split(WEIRD), lambda s: s.split(" a  b c ", None, 1),
        lambda s: s.split("a b c d", maxsplit=2), lambda s: s.split("a b", maxsplit=0),
    ):  # fmt: skip
        assert plain(call(strings)) == plain(call(tf.strings))


MORE = {
    "places": lambda s: s.substr(["hello", "world"], [1, 2], [2, 3]),
    "from the end": lambda s: s.substr(["hello"], -3, 2),
    "at the end": lambda s: s.substr("ab", 2, 1),
    "all of it": lambda s: s.substr("ab", -2, 9, unit="UTF8_CHAR"),
    "no length": lambda s: s.substr("ab", 0, -1),
    "truth": lambda s: s.as_string([True, False]),
    "nothing joined": lambda s: s.join([]),
    "axes": lambda s: s.reduce_join([["a", "b"], ["c", "d"]], axis=[0, 1]),
    "axes kept": lambda s: s.reduce_join([["a", "b"], ["c", "d"]], keepdims=True),
}
WRONG = {
    "numbers": lambda s: s.lower([1, 2]), "none": lambda s: s.split(None),
    "unit": lambda s: s.length("a", unit="BYTES"), "encoding": lambda s: s.lower("a", "latin-1"),
    "behind": lambda s: s.substr("ab", 3, 1), "before": lambda s: s.substr("ab", -3, 1),
    "lines": lambda s: s.to_number("1_0"), "script": lambda s: s.to_number("٣", out_type="int32"),
    "shapes": lambda s: s.join([["a", "b"], ["c"]]), "text": lambda s: s.to_number(["1", "x"]),
    "size": lambda s: s.to_number("99999999999", out_type="int32"),
    "pattern": lambda s: s.regex_replace("a", "(", ""),
    "axis": lambda s: s.reduce_join(["a"], axis=2),
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_the_rest(name: str) -> None:
    assert plain(MORE[name](strings)) == plain(MORE[name](tf.strings))


@pytest.mark.parametrize("name", WRONG)
def test_what_tensorflow_refuses(name: str) -> None:
    with pytest.raises((TypeError, ValueError, tf.errors.OpError)):
        WRONG[name](tf.strings)
    with pytest.raises((TypeError, ValueError)):
        WRONG[name](strings)


def test_rewrites_that_re2_has_not_are_refused() -> None:
    for rewrite in (r"\n", r"\g<0>", "a\\"):
        with pytest.raises(ValueError, match="Invalid rewrite"):
            strings.regex_replace("a", "a", rewrite)


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
