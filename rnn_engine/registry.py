"""Names to classes: how `optimizer="adam"` or `loss="mse"` finds its class.

A kind (loss, metric, optimizer, ...) owns one `Registry`; a new entry is one
decorated class or function. Tests that compare with Keras walk the registries.
"""

from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import MappingProxyType
from typing import Any

from rnn_engine.lazy import loading
from rnn_engine.sharing import find_read, note_read, note_written

_REGISTRIES: "dict[str, Registry]" = {}
_REGISTERED: dict[str, Any] = {}
_CUSTOM: ContextVar[Mapping[str, Any]] = ContextVar("custom", default=MappingProxyType({}))


class UnknownClassError(TypeError, ValueError):
    """No class is known by this name: a TypeError for Keras, and a wrong value of a config."""


@contextmanager
def custom_object_scope(*custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let names find a user's own classes and functions (`keras.utils.custom_object_scope`).

    Parameters
    ----------
    *custom_objects : dict
        From names to classes or functions; they come before the library's own.
        Scopes nest, and hold in their own thread only.

    Examples
    --------
    >>> from rnn_engine import initializers
    >>> class Sevens(initializers.Constant):
    ...     def __init__(self):
    ...         super().__init__(7.0)
    >>> with custom_object_scope({"Sevens": Sevens}):
    ...     print(initializers.get("Sevens")((2,)))
    [7. 7.]
    """
    merged = dict(_CUSTOM.get())
    for names in custom_objects:
        merged.update(names or {})
    token = _CUSTOM.set(merged)
    try:
        yield
    finally:
        _CUSTOM.reset(token)


def custom_objects() -> Mapping[str, Any]:
    """Return what the scopes around the caller name, and what is registered for good."""
    if not _REGISTERED:
        return _CUSTOM.get()
    short = {name.rsplit(">", 1)[-1]: entry for name, entry in _REGISTERED.items()}
    return {**short, **_REGISTERED, **_CUSTOM.get()}


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Any:
    """Decorate a class or function of one's own so that configs and files find it.

    Mirrors `keras.saving.register_keras_serializable`.

    Parameters
    ----------
    package, name : str
        Registered as ``"package>name"``; the class's own name if None.

    Raises
    ------
    ValueError
        If a class has no `get_config`.

    Examples
    --------
    >>> from rnn_engine import regularizers
    >>> @register_keras_serializable(package="Doctest")
    ... class Halves(regularizers.L2):
    ...     pass
    >>> get_registered_name(Halves), regularizers.get("Halves").l2
    ('Doctest>Halves', 0.01)
    >>> del get_custom_objects()["Doctest>Halves"]
    """

    def register(entry: Any) -> Any:
        if isinstance(entry, type) and not hasattr(entry, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method: "
                f"{entry.__name__}."
            )
        _REGISTERED[f"{package}>{name or entry.__name__}"] = entry
        return entry

    return register


def get_custom_objects() -> dict[str, Any]:
    """Return the dict of what is registered, which may be written to.

    Mirrors `keras.saving.get_custom_objects`.
    """
    return _REGISTERED


def get_registered_name(obj: Any) -> str:
    """Return the name a class or function is registered by, or its own.

    Mirrors `keras.saving.get_registered_name`.
    """
    found = [name for name, entry in _REGISTERED.items() if entry is obj]
    return found[0] if found else obj.__name__


def get_registered_object(
    name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Any = None
) -> Any:
    """Return what is registered by a name, None if nothing is.

    Mirrors `keras.saving.get_registered_object`.
    """
    for names in (_CUSTOM.get(), _REGISTERED, custom_objects or {}, module_objects or {}):
        if name in names:
            return names[name]
    return None


_HOMES = {
    "constraint": "constraints",
    "initializer": "initializers",
    "layer": "layers",
    "learning rate schedule": "optimizers.schedules",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "regularizer": "regularizers",
}


def kind_of(kind: str) -> "Registry":
    """Return the registry of a kind, whose package nobody need have imported."""
    with loading():
        import_module(f"rnn_engine.{_HOMES[kind]}")
    return _REGISTRIES[kind]


class _Announced(str):
    """Where an entry stands whose module is not imported: ``"package.module:name"``."""


class _Entries(UserDict[str, Any]):
    """Entries by name; who looks at one that is only announced imports its module."""

    def __getitem__(self, name: str) -> Any:
        entry = self.data[name]
        if isinstance(entry, _Announced):
            source, _, own = entry.partition(":")
            with loading():
                module = import_module(source)
            if self.data[name] is entry:  # its module has not registered it
                self.data[name] = getattr(module, own)
            entry = self.data[name]
        return entry


def _is_same(first: Any, second: Any) -> bool:
    """Whether two classes or functions stand at one place of a module."""
    places = [(getattr(e, "__module__", e), getattr(e, "__qualname__", e)) for e in (first, second)]
    return places[0] == places[1]


class Registry:
    """The entries of one kind, by their Keras name and its aliases.

    Parameters
    ----------
    kind : str
        What an entry is called in messages: ``"loss"``, ``"optimizer"``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries = _Entries()
        _REGISTRIES[kind] = self

    def register(self, *names: str) -> Callable[[Any], Any]:
        """Decorate a class or function so that each of `names` finds it.

        Without names, its own `__name__` does.
        """

        def add(entry: Any) -> Any:
            for name in names or (entry.__name__,):
                before = self.entries.data.get(name)
                # An import that was interrupted is done again.
                if not (isinstance(before, _Announced | None) or _is_same(before, entry)):
                    raise ValueError(f"{self.kind} {name!r} is registered already.")
                self.entries[name] = entry
            return entry

        return add

    def announce(self, places: Mapping[str, str]) -> None:
        """Say where entries stand by their names, as `lazy.lazily` has it.

        Their modules are imported when they are used.
        """
        for name, place in places.items():
            self.entries.data.setdefault(name, _Announced(place))

    def holds(self, entry: Any) -> bool:
        """Whether a class or function is registered; no module is imported for that."""
        return any(entry is one for one in self.entries.data.values())

    def unique(self) -> list[Any]:
        """Every entry once, in order of registration; but none that only wraps another one."""
        entries = dict.fromkeys(self.entries.values())
        return [entry for entry in entries if not getattr(entry, "wraps", False)]

    def lookup(self, name: str) -> Any:
        """Return the entry called `name`.

        Raises
        ------
        ValueError
            If there is none; the message names near misses.
        """
        custom = custom_objects()
        if name in custom:
            return custom[name]
        if name in self.entries:
            return self.entries[name]
        from difflib import get_close_matches

        near = get_close_matches(name, self.entries, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        known = ", ".join(sorted(self.entries))
        opening = f"Could not interpret {self.kind} identifier: {name}."
        if self.kind == "layer":
            raise UnknownClassError(
                f"Could not locate class {name!r}. Make sure custom classes and functions are "
                f"decorated with `@keras.saving.register_keras_serializable()`.{hint} Known: "
                f"{known}."
            )
        raise ValueError(f"{opening}{hint} Known: {known}.")

    def get(self, identifier: Any) -> Any:
        """Resolve a name, a config dict, a class or an instance, as `keras.*.get` does.

        Strings naming a class give an instance with its defaults, strings naming
        a function the function. Callables and None come back as they are.

        Raises
        ------
        ValueError
            If the identifier cannot be interpreted.
        """
        if identifier is None:
            return None
        if isinstance(identifier, str):
            entry = self.lookup(identifier)
            return entry() if isinstance(entry, type) else entry
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, type):
            return identifier()
        if callable(identifier) or hasattr(identifier, "get_config"):
            return identifier
        raise ValueError(
            f"Could not interpret {self.kind} identifier: {identifier!r}. Expected a name, "
            f"a config dict, a callable or an instance."
        )

    def serialize(self, entry: Any) -> Any:
        """Return a JSON-ready form of an entry: ``{"class_name", "config"}`` or a name."""
        if entry is None or isinstance(entry, str):
            return entry
        if hasattr(entry, "get_config"):
            config = {"class_name": type(entry).__name__, "config": entry.get_config()}
            if self.kind == "layer":
                note_written(entry, config)
            return config
        if not hasattr(entry, "__name__"):
            raise TypeError(
                f"Cannot serialize object {entry!r} of type {type(entry)}: a {self.kind} has "
                f"`get_config()`, or is a function."
            )
        return entry.__name__

    def deserialize(self, config: Any) -> Any:
        """Rebuild what `serialize` wrote."""
        if not isinstance(config, dict):
            return self.get(config)
        if "class_name" not in config:
            raise ValueError(
                f"Unknown `config` as a `dict`, config={config!r}: that of a {self.kind} needs the "
                "key 'class_name'."
            )
        return self.deserialize_as(self.lookup(config["class_name"]), config)

    def deserialize_as(self, cls: Any, config: dict[str, Any]) -> Any:
        """Rebuild what `serialize` wrote of an object of a class that is at hand."""
        if self.kind != "layer":
            return made_of(cls, config.get("config"))
        entry = find_read(config)
        if entry is None:
            entry = made_of(cls, config.get("config"))
            note_read(config, entry)
        return entry


def made_of(entry: Any, settings: Any) -> Any:
    """Return an instance of a class by its settings; a function comes back uncalled, as in Keras.

    A config may come out of a file. What it names is called with its arguments only if it
    is a class: functions that a user has registered are for training, not for files to call.
    """
    if not isinstance(entry, type):
        return entry
    settings = {} if settings is None else settings
    cls: Any = entry
    return cls.from_config(settings) if hasattr(cls, "from_config") else cls(**settings)
