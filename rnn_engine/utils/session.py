"""`clear_session`: names of layers counted anew."""

import gc

from rnn_engine.utils import naming


def clear_session(free_memory: bool = True) -> None:
    """Start counting automatic names again. Mirrors `keras.utils.clear_session`.

    There is no global graph to be dropped; models live as long as they are referred to.

    Parameters
    ----------
    free_memory : bool
        Also collect what nothing refers to any more.

    Examples
    --------
    >>> from rnn_engine.layers import Dense
    >>> clear_session()
    >>> Dense(1).name, Dense(1).name
    ('dense', 'dense_1')
    """
    naming.reset_names()
    if free_memory:
        gc.collect()


def get_uid(prefix: str = "") -> int:
    """Return 1, 2, ... at each call for a prefix. Mirrors `keras.backend.get_uid`."""
    return naming.next_uid(prefix)
