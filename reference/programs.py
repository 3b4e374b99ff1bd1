"""Which names of Keras and TensorFlow a program uses that are absent here.

``python -m reference.programs FILE...`` reads scripts (``.py``) and notebooks (``.ipynb``)
without running them, follows every name that comes from ``keras`` or ``tensorflow``, and tells
for each program what it does not find, then how many find all, and how many more would if what
Keras 3 has moved were imported from where it is now, as the errors here say. With ``--keras`` it
says of each absent name whether the installed Keras and TensorFlow have it, and counts the programs
that find all there.
"""

import ast
import importlib
import inspect
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from rnn_engine.missing import INSTEAD, RENAMED, advice

ROOTS = ("tensorflow", "keras", "tf_keras")

Path_ = tuple[str, ...]


def text_of(path: Path) -> str:
    """Return the Python text of a script or of a notebook's cells, without its magic lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = (c for c in json.loads(text)["cells"] if c["cell_type"] == "code")
        text = "\n".join("".join(cell["source"]) for cell in cells)
    magic = ("%", "!")
    return "\n".join("pass" if line.startswith(magic) else line for line in text.split("\n"))


class _Names(ast.NodeVisitor):
    """Collects the dotted names of a program whose roots are Keras or TensorFlow."""

    def __init__(self) -> None:
        self.bound: dict[str, Path_] = {}  # what each local name stands for
        self.used: set[Path_] = set()
        self.arguments: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            path = tuple(alias.name.split("."))
            if path[0] in ROOTS:
                self.bound[alias.asname or path[0]] = path if alias.asname else path[:1]
                self.used.add(path)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = tuple((node.module or "").split("."))
        if node.level or module[0] not in ROOTS:
            return
        self.used.add(module)
        for alias in node.names:
            if alias.name != "*":
                self.bound[alias.asname or alias.name] = (*module, alias.name)
                self.used.add((*module, alias.name))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if path := self.path(node):
            self.used.add(path)
            return
        if node.attr in INSTEAD["Model"]:  # of a model, whatever its variable is called
            self.arguments.add(f"Model.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if path := self.path(node.func):
            found = resolved(path)
            for keyword in node.keywords:
                if keyword.arg and keyword.arg in RENAMED and not _takes(found, keyword.arg):
                    self.arguments.add(f"{path[-1]}({keyword.arg}=)")
        self.generic_visit(node)

    def path(self, node: ast.expr) -> Path_ | None:
        """Return the full name of an expression, None if it does not come from Keras."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.bound:
            return None
        return (*self.bound[node.id], *reversed(parts))


def _takes(function: Any, argument: str) -> bool:
    if not callable(function):
        return True
    try:
        return argument in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True


def ours(path: Path_) -> Path_:
    """Return the name under which this package has one of Keras's or TensorFlow's."""
    rest = path[1:]
    while rest[:1] in (("keras",), ("v2",)):
        rest = rest[1:]
    return ("rnn_engine", *rest)


def resolved(path: Path_, package: bool = True) -> Any:
    """Return what a name stands for here (`package`) or where it comes from; None if absent."""
    names = ours(path) if package else path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _follow(names)
    except (AttributeError, ImportError):
        return None


def _follow(names: Path_) -> Any:
    value: Any = importlib.import_module(names[0])
    for place, name in enumerate(names[1:], 1):
        if not isinstance(value, ModuleType | SimpleNamespace | type):
            break  # an attribute of a value, such as a type's: the value itself is there
        try:
            value = getattr(value, name)
        except (AttributeError, ImportError):
            if not isinstance(value, ModuleType):
                raise
            value = importlib.import_module(".".join(names[: place + 1]))
    return value


@dataclass(frozen=True)
class Needs:
    """What a program uses and does not find.

    Attributes
    ----------
    names : full names, as the program has them
    arguments : methods and arguments of earlier versions
    """

    names: tuple[Path_, ...]
    arguments: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        """All of it; an absent module is told once, not again with each of its names."""
        short = sorted({_shortest(path) for path in self.names})
        return [".".join(path) for path in short] + list(self.arguments)

    @property
    def moved(self) -> bool:
        """Whether everything that is absent stands one module higher."""
        return not self.arguments and all(map(_stands_higher, self.names))


def absent(text: str) -> Needs:
    """Return the names that a program uses and does not find here.

    Raises
    ------
    SyntaxError
        If the text is no Python of today.
    """
    names = _Names()
    names.visit(ast.parse(text))
    missing = sorted(path for path in names.used if resolved(path) is None)
    return Needs(tuple(missing), tuple(sorted(names.arguments)))


def _shortest(path: Path_) -> Path_:
    for end in range(2, len(path)):
        if resolved(path[:end]) is None:
            return path[:end]
    return path


def _stands_higher(path: Path_) -> bool:
    """Whether a name is found without one of the modules before it, or is such a module."""
    package = ".".join(ours(path[:-1]))
    return (
        advice(package, path[-1]) in _MOVES
        or any(resolved((*path[:i], *path[i + 1 :])) is not None for i in range(1, len(path) - 1))
    )  # fmt: skip


_MOVES = {advice("rnn_engine.layers", "core"), advice("rnn_engine.utils", "np_utils")}


def report(paths: Iterable[Path], with_keras: bool = False) -> Iterator[str]:
    """Yield a line for each program, then the counts of what is absent."""
    counts: Counter[str] = Counter()
    whole = moved = read = todays = whole_of_todays = 0
    for path in paths:
        try:
            needs = absent(text_of(path))
        except (SyntaxError, ValueError, KeyError) as error:
            yield f"{path.name}: not read ({type(error).__name__})"
            continue
        read += 1
        whole += not needs.told
        moved += bool(needs.told) and needs.moved
        counts.update(needs.told)
        if with_keras and not any(_there(name).startswith("not") for name in needs.told):
            todays += 1
            whole_of_todays += not needs.told
        yield f"{path.name}: {', '.join(needs.told) or 'all here'}"
    yield f"{whole} of {read} programs find all they need, {moved} more with moved imports"
    if with_keras:
        yield f"{whole_of_todays} of the {todays} that find all in today's Keras"
    for name, count in counts.most_common():
        note = f"  {_there(name)}" if with_keras else ""
        yield f"{count:5d} {name}{note}"


def _there(name: str) -> str:
    path = tuple(name.split("."))
    there = path[0] in ROOTS and resolved(path, package=False) is not None
    return "in Keras" if there else "not in today's Keras"


def main(arguments: list[str]) -> int:
    """Print the report of the programs named."""
    paths = [Path(argument) for argument in arguments if not argument.startswith("-")]
    for line in report(paths, "--keras" in arguments):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
