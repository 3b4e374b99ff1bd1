"""Automatic names: ``SimpleRNN`` becomes ``simple_rnn``, then ``simple_rnn_1``."""

import re
from collections import defaultdict

_USED: defaultdict[str, int] = defaultdict(int)
_UIDS: defaultdict[str, int] = defaultdict(int)


def to_snake_case(name: str) -> str:
    """Return a class name in snake case, split as Keras splits it.

    Examples
    --------
    >>> to_snake_case("SimpleRNN"), to_snake_case("MeanIoU"), to_snake_case("F1Score")
    ('simple_rnn', 'mean_io_u', 'f1_score')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Return a name in snake case that this process has not given out yet."""
    name = to_snake_case(prefix)
    count = _USED[name]
    _USED[name] += 1
    return f"{name}_{count}" if count else name


def next_uid(prefix: str) -> int:
    """Return how often this was asked for `prefix`."""
    _UIDS[prefix] += 1
    return _UIDS[prefix]


def reset_names() -> None:
    """Start counting again (`keras.utils.clear_session` does)."""
    _USED.clear()
    _UIDS.clear()
