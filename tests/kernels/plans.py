"""Cut the work of the recurrent kernels by other constants than those of the machine."""

import contextlib
from collections.abc import Iterator

import pytest

from rnn_engine.kernels import simple_rnn, threads
from rnn_engine.layers import plans as made


@contextlib.contextmanager
def planned(**constants: int) -> Iterator[None]:
    """Set constants of `kernels.simple_rnn`, or `LONGEST_CALL` of `kernels.threads`."""
    plans = (made.forward_plan, made.backward_plan, made.is_brief_backward, made.brief_work)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(threads if name == "LONGEST_CALL" else simple_rnn, name, value)
        try:
            for plan in plans:
                plan.cache_clear()
            yield
        finally:
            for plan in plans:
                plan.cache_clear()
