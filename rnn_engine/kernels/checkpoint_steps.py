"""How far apart recurrent layers keep their states in a training step: see `Model.compile`."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CheckpointSteps = int | str | None
"""Steps, or "auto", or None where everything is kept."""

checkpoint_steps: ContextVar[CheckpointSteps] = ContextVar("checkpoint_steps", default=None)


@contextmanager
def keeping_states(steps: CheckpointSteps) -> Iterator[None]:
    """Have recurrent layers that are called inside keep their states once in so many steps."""
    token = checkpoint_steps.set(steps)
    try:
        yield
    finally:
        checkpoint_steps.reset(token)
