"""Cut the work of the recurrent kernels by other constants than those of the machine."""

import contextlib
from collections.abc import Iterator

import pytest

from rnn_engine.kernels import threads
from rnn_engine.kernels.recurrent import plan


@contextlib.contextmanager
def planned(**constants: int) -> Iterator[None]:
    """Set constants of `kernels.recurrent.plan`, or `LONGEST_CALL` of `kernels.threads`."""
    makers = (plan.forward_plan, plan.backward_plan)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(threads if name == "LONGEST_CALL" else plan, name, value)
        try:
            for maker in makers:
                maker.cache_clear()
            yield
        finally:
            for maker in makers:
                maker.cache_clear()
