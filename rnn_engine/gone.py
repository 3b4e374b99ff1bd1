"""`Gone`: an attribute that programs of earlier Keras versions ask for, and that is not here.

A `__getattr__` would do, too; but a class that has one looks up every attribute in a slower
way: measured, a call of a small model took a fifth longer.
"""

from typing import Any


class Gone:
    """Raises the AttributeError that says what to use instead (`rnn_engine.missing`)."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        from rnn_engine.missing import INSTEAD

        raise AttributeError(
            f"{owner.__name__!r} object has no attribute {self.name!r}. "
            f"{INSTEAD[self.kind][self.name].format(package='rnn_engine')}",
            name=self.name,
            obj=instance,
        )


def mark_gone(cls: type, kind: str, names: str) -> None:
    """Let a class tell what to use instead of these names."""
    for name in names.split():
        setattr(cls, name, Gone(kind, name))
