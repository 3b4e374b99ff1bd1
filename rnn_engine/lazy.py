"""Names that are loaded when they are first used, and modules under their second name.

An import of the package loads what every program needs; the rest stands in tables, module by
module, and costs nothing before.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

_PLACES: dict[str, Mapping[str, str]] = {}
"""The names that each module has in its table."""


def lazily(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose other names are found in `places`.

    Parameters
    ----------
    module : str
        ``__name__`` of the module.
    places : dict
        For each name the module that it comes from, as ``"package.module"`` where it is that
        module itself, else ``"package.module:name"``.
    """
    _PLACES[module] = places

    def find(name: str) -> Any:
        place = places.get(name)
        if place is None:
            if name.startswith("__"):  # the import system asks for them
                raise AttributeError(f"module {module!r} has no attribute {name!r}")
            from rnn_engine.missing import module_error

            raise module_error(module, name)
        source, _, inner = place.partition(":")
        value: Any = importlib.import_module(source)
        if inner:
            value = getattr(value, inner)
        setattr(sys.modules[module], name, value)
        return value

    return find


# What belongs to modules and is no name for programs.
_NAMES = """
    Place Stream check_seed keras_home made_of make_generator own_stream policy_name registry
    set_global_seed set_policy_name standardize_dtype with_loss_scale
"""
_INTERNAL = frozenset(_NAMES.split())


def show_public(module: ModuleType) -> None:
    """Let `dir` and completion of a module show the names that are for programs, and no others."""

    def names() -> list[str]:
        own = [n for n in getattr(module, "__all__", ()) if n != "registry"]
        if not own:
            places = vars(module).items()
            made = [n for n, v in places if getattr(v, "__module__", None) == module.__name__]
            own = [name for name in made if name not in _INTERNAL]
        # The package's own places are names of TensorFlow's, which stay out of its list.
        later = _PLACES.get(module.__name__, {}) if "." in module.__name__ else {}
        found = {n for n in (*own, *later) if not n.startswith("_")}
        special = (n for n in vars(module) if n.startswith("__"))
        return sorted({*found, *special})

    vars(module)["__dir__"] = names


class SecondName(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of a package under another name: they are loaded once.

    So `rnn_engine.keras.datasets` is `rnn_engine.datasets`.
    """

    def __init__(self, name: str, package: str) -> None:
        self.prefix = f"{name}."
        self.package = package

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return how to load a module below the second name."""
        if not fullname.startswith(self.prefix):
            return None
        real = f"{self.package}.{fullname.removeprefix(self.prefix)}"
        try:
            module = importlib.import_module(real)
        except ModuleNotFoundError as error:
            if error.name == real or real.startswith(f"{error.name}."):
                return None
            raise
        return importlib.machinery.ModuleSpec(
            fullname, self, is_package=hasattr(module, "__path__"), loader_state=module.__spec__
        )

    def create_module(self, spec: Any) -> ModuleType:
        """Return the module, which is loaded already."""
        return sys.modules[spec.loader_state.name]

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import has replaced."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


class MissingModules(importlib.abc.MetaPathFinder):
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
