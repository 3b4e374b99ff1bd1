"""Names that are loaded when they are first used, and modules under their second name.

An import of the package loads next to nothing: where names come from stands in tables, module
by module. A type checker, which runs nothing, reads the imports under ``TYPE_CHECKING``.
"""

import gc
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import Any

_PLACES: dict[str, Mapping[str, str]] = {}
"""The names that each module has in its table."""
_HIDDEN: set[str] = set()
"""Modules whose table `dir` leaves out."""


def _in_an_import() -> bool:
    """Whether this thread imports a module, whose lock it holds."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "_find_and_load" and "importlib" in code.co_filename:
            return True
        frame = frame.f_back
    return False


class _Loading:
    """The threads that load something at the moment.

    While one does, the garbage collector rests: nothing that an import makes goes away again, and
    looking for what does took a tenth of its time. And `fork` waits for the others, as a child
    would find their modules locked for ever.
    """

    PATIENCE = 10.0  # seconds; loading all there is takes one, on a busy machine ten

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        # One thread at a time: Python takes the lock of a module before that of its package, whose
        # import may be on its way to the module, and then hands out half of it.
        self.turn = threading.RLock()
        self.depths: dict[int, int] = {}
        self.collects = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._wait, after_in_parent=self._go_on, after_in_child=self._go_on_alone
            )

    @contextmanager
    def __call__(self) -> Iterator[None]:
        me = threading.get_ident()
        # Whoever has the turn may wait for the locks of what this thread imports.
        mine = self.turn.acquire(blocking=not _in_an_import())
        with self.changed:
            if not self.depths:
                self.collects = gc.isenabled()
                gc.disable()
            self.depths[me] = self.depths.get(me, 0) + 1
        try:
            yield
        finally:
            with self.changed:
                self.depths[me] -= 1
                if not self.depths[me]:
                    del self.depths[me]
                    self.changed.notify_all()
                if not self.depths and self.collects:
                    gc.enable()
            if mine:
                self.turn.release()

    def _wait(self) -> None:
        self.changed.acquire()
        me = threading.get_ident()
        self.changed.wait_for(lambda: not self.depths.keys() - {me}, self.PATIENCE)

    def _go_on(self) -> None:
        self.changed.release()

    def _go_on_alone(self) -> None:
        me = threading.get_ident()
        self.depths = {thread: depth for thread, depth in self.depths.items() if thread == me}
        if not self.depths:
            self.turn = threading.RLock()
            if self.collects:
                gc.enable()
        self.changed.release()


loading = _Loading()


def places_in(package: str, modules: Mapping[str, str]) -> dict[str, str]:
    """Return the table of `lazily` for names that stand in modules of a package.

    Examples
    --------
    >>> places_in("rnn_engine.layers", {"lstm": "LSTM LSTMCell"})["LSTMCell"]
    'rnn_engine.layers.lstm:LSTMCell'
    """
    return {
        name: f"{package}.{module}:{name}"
        for module, names in modules.items()
        for name in names.split()
    }


def lazily(module: str, places: Mapping[str, str], *, shown: bool = True) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose other names are found in `places`.

    Parameters
    ----------
    module : str
        ``__name__`` of the module.
    places : dict
        For each name the module that it comes from, as ``"package.module"`` where it is that
        module itself, else ``"package.module:name"``.
    shown : bool
        Whether `dir` of the module lists them: see `show_public`.
    """
    _PLACES[module] = places
    if not shown:
        _HIDDEN.add(module)

    def find(name: str) -> Any:
        place = places.get(name)
        if place is None:
            if name.startswith("__"):  # the import system asks for them
                raise AttributeError(f"module {module!r} has no attribute {name!r}")
            if not _is_module(module, name):
                from rnn_engine.missing import module_error

                raise module_error(module, name)
            place = f"{module}.{name}"
        source, _, inner = place.partition(":")
        with loading():
            value: Any = importlib.import_module(source)
            if inner:
                value = getattr(value, inner)
        setattr(sys.modules[module], name, value)
        return value

    return find


def _is_module(package: str, name: str) -> bool:
    """Whether a package has a module of this name, which nobody has imported."""
    path = getattr(sys.modules[package], "__path__", None)
    return path is not None and PathFinder.find_spec(f"{package}.{name}", path) is not None


# What belongs to modules and is no name for programs.
_NAMES = """
    Place Stream check_seed keras_home made_of make_generator own_stream policy_name registry
    set_global_seed set_policy_name standardize_dtype with_loss_scale
"""
_INTERNAL = frozenset(_NAMES.split())


def show_public(name: str) -> None:
    """Let `dir` and completion of a module show the names that are for programs, and no others."""
    module = sys.modules[name]

    def names() -> list[str]:
        own = [n for n in getattr(module, "__all__", ()) if n != "registry"]
        if not own:
            places = vars(module).items()
            made = [n for n, v in places if getattr(v, "__module__", None) == module.__name__]
            own = [name for name in made if name not in _INTERNAL]
        later = () if name in _HIDDEN else _PLACES.get(name, ())
        found = {n for n in (*own, *later) if not n.startswith("_")}
        special = (n for n in vars(module) if n.startswith("__"))
        return sorted({*found, *special})

    vars(module)["__dir__"] = names


class SecondName:
    """Finds the modules of a package under another name: they are loaded once.

    So `rnn_engine.keras.datasets` is `rnn_engine.datasets`. (It does not say that it is one of
    `importlib.abc`, whose import takes as long as this package's.)
    """

    def __init__(self, name: str, package: str) -> None:
        self.prefix = f"{name}."
        self.package = package

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return how to load a module below the second name."""
        if not fullname.startswith(self.prefix):
            return None
        real = f"{self.package}.{fullname.removeprefix(self.prefix)}"
        # Nothing is imported here, under a lock of Python's that every import needs.
        there = sys.modules.get(real)
        found = PathFinder.find_spec(real, path) if there is None else there.__spec__
        if found is None:
            return None
        loader: Any = self
        packaged = found.submodule_search_locations is not None
        return ModuleSpec(fullname, loader, is_package=packaged, loader_state=real)

    def create_module(self, spec: Any) -> ModuleType:
        """Return the module, loaded under its own name."""
        module = importlib.import_module(spec.loader_state)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import has replaced."""
        spec: Any = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


class MissingModules:
    """The last to be asked for a module: for those of the table, it tells what to import."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise if the table has advice; otherwise the module is simply not found."""
        parent, _, name = fullname.rpartition(".")
        if parent.partition(".")[0] == "rnn_engine":
            from rnn_engine.missing import advice

            found = advice(parent, name)
            if found is not None:
                raise ModuleNotFoundError(
                    f"No module named {fullname!r}. {found}", name=fullname, path=None
                )
