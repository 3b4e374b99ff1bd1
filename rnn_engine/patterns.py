"""Regular expressions of RE2, as far as Python's `re` can say them."""

import re
from collections.abc import Callable

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f", "perl": r"\t\n\f\r ",
}  # fmt: skip
_TOKENS = re.compile(r"\\.|\[:(\w+):\]|\[\^?\]?|.", re.DOTALL)
_LINES = re.compile(r"\(\?[a-z]*m")


def compile_pattern(pattern: str) -> "re.Pattern[str]":
    """Return a pattern of RE2 as one of Python's.

    Letters, digits and words are those of ASCII, ``$`` is the end of the text.

    Raises
    ------
    ValueError
        If it is none, or holds what Python's cannot say.
    """
    made, inside, lines = [], False, _LINES.search(pattern)
    for token in _TOKENS.finditer(pattern):
        text, named = token.group(), token.group(1)
        if inside and (named in _CLASSES or text == r"\s"):
            text = _CLASSES[named or "perl"]
        elif inside:
            inside = text[-1] != "]" or text[0] == "\\"
            text = "\\" + text if text[0] == "[" else text
        elif text.startswith("["):
            inside = not named  # else a whole set, with colons in it
        elif text in (r"\s", r"\S"):  # no vertical tab
            text = ("[^" if text == r"\S" else "[") + _CLASSES["perl"] + "]"
        elif text == "\\z" or (text == "$" and not lines):
            text = r"\Z"
        made.append(text)
    try:
        return re.compile("".join(made), re.ASCII)
    except re.error as error:
        raise ValueError(f"Invalid pattern: {pattern!r}: {error}") from None


def compile_rewrite(rewrite: str) -> "Callable[[re.Match[str]], str]":
    r"""Return what makes the new text of a match: ``\0`` to ``\9`` are its groups.

    Raises
    ------
    ValueError
        If something else follows a backslash.
    """
    parts = re.split(r"\\(.?)", rewrite, flags=re.DOTALL)
    wrong = [part for part in parts[1::2] if part not in tuple("0123456789\\")]
    if wrong:
        raise ValueError(
            f"Invalid rewrite: {rewrite!r}: a backslash stands before a digit or a backslash."
        )

    def fill(match: "re.Match[str]") -> str:
        made = list(parts)
        for i in range(1, len(parts), 2):
            made[i] = parts[i] if parts[i] == "\\" else match.group(int(parts[i])) or ""
        return "".join(made)

    return fill
