"""Which objects stand in a config more than once, so that they do when it is read, too.

A config is a tree; an object that is met twice has a copy of its settings at each place.
While a model is written, each copy gets the same ``shared_object_id``, as in Keras's
files; while it is read, the first copy makes the object and the others find it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

KEY = "shared_object_id"

_WRITTEN: ContextVar["Written | None"] = ContextVar("written", default=None)
_READ: ContextVar[dict[Any, Any] | None] = ContextVar("read", default=None)


class Written:
    """The objects that were written, and the configs of each."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.configs: dict[int, list[dict[str, Any]]] = {}
        self.copies: dict[int, dict[str, Any]] = {}

    def note(self, entry: Any, config: dict[str, Any]) -> None:
        """Note that an object was written as `config`."""
        self.objects[id(entry)] = entry  # kept, so that no other gets its number
        self.configs.setdefault(id(entry), []).append(config)

    def note_copy(self, config: dict[str, Any], copy: dict[str, Any]) -> None:
        """Note that `copy` stands in the place of a config."""
        self.copies[id(config)] = copy

    def mark(self) -> None:
        """Give the configs of an object that was written more than once one number."""
        for number, key in enumerate(self.shared()):
            for config in self.configs[key]:
                self.copies.get(id(config), config)[KEY] = number

    def shared(self) -> list[int]:
        """Return the `id` of each object that was written more than once."""
        return [key for key, configs in self.configs.items() if len(configs) > 1]


@contextmanager
def writing() -> Iterator[Written]:
    """Note what is written in this block, which belongs to one config."""
    written = Written()
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


def note_written(entry: Any, config: dict[str, Any]) -> None:
    """Note that an object was written, if somebody is writing."""
    if (written := _WRITTEN.get()) is not None:
        written.note(entry, config)


def note_copy(config: dict[str, Any], copy: dict[str, Any]) -> None:
    """Note that a config was copied, if somebody is writing."""
    if (written := _WRITTEN.get()) is not None:
        written.note_copy(config, copy)


@contextmanager
def reading() -> Iterator[None]:
    """Find shared objects again in this block, which reads one config."""
    token = _READ.set({})
    try:
        yield
    finally:
        _READ.reset(token)


def find_read(config: dict[str, Any]) -> Any:
    """Return the object that was made of another copy of a config, or None."""
    objects, key = _READ.get(), config.get(KEY)
    return None if objects is None or key is None else objects.get(key)


def note_read(config: dict[str, Any], entry: Any) -> None:
    """Note what a config was made into."""
    objects, key = _READ.get(), config.get(KEY)
    if objects is not None and key is not None:
        objects[key] = entry
