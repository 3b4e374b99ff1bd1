"""Which public names of Keras are here, with which arguments: docs/keras_parity.md.

``python -m reference.parity`` writes the page anew; the suite fails where it is out of date,
where a name is absent without a reason, or a reason stands for a name that is there.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference.parity_reasons import DIFFERENT, MODULES, NAMES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "keras_parity.md"

# Where Keras's names are looked for; "" is the package itself.
SPACES = (
    "", "activations", "backend", "callbacks", "config", "constraints", "datasets",
    "dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision", "models",
    "ops", "optimizers", "optimizers.schedules", "preprocessing", "preprocessing.image",
    "preprocessing.sequence", "random", "regularizers", "saving", "tree", "utils",
)  # fmt: skip
# Whole modules that are absent, each with its reason in `MODULES`.
ABSENT = (
    "applications", "distillation", "distribution", "export", "legacy", "quantizers",
    "visualization", "wrappers",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A public name of Keras."""

    space: str
    name: str
    status: str  # "same", "different" or "absent"
    note: str = ""


def rows() -> list[Row]:
    """Return every public name of Keras, and what became of it here."""
    import keras

    import rnn_engine

    found = [Row(space, "*", "absent", MODULES[space]) for space in ABSENT]
    for space in SPACES:
        theirs, ours = _module(keras, space), _module(rnn_engine, space)
        found += [_row(space, name, theirs, ours) for name in _names(theirs, space)]
    return found


def _module(package: Any, space: str) -> Any:
    for part in filter(None, space.split(".")):
        package = getattr(package, part, None)
    return package


def _names(module: Any, space: str) -> Iterator[str]:
    modules = {part.rpartition(".")[2] for part in (*SPACES, *ABSENT)}
    for name in sorted(dir(module)):
        inner = inspect.ismodule(getattr(module, name))
        if name.startswith("_") or name == "src" or (inner and name in modules):
            continue
        yield name


def _row(space: str, name: str, theirs: Any, ours: Any) -> Row:
    key = f"{space}.{name}".lstrip(".")
    if not _has(ours, name):
        return Row(space, name, "absent", _reason(space, name))
    told = DIFFERENT.get(key, "")
    notes = [*filter(None, [told]), *_signatures(getattr(theirs, name), getattr(ours, name))]
    return Row(space, name, "different" if notes else "same", "; ".join(notes))


def _has(module: Any, name: str) -> bool:
    """Whether a name is there; one that only says what to use instead is not."""
    try:
        return module is not None and getattr(module, name) is not None
    except (AttributeError, ImportError):
        return False


def _reason(space: str, name: str) -> str:
    """Return why a name is absent: what the package itself answers, or a reason of this page."""
    from rnn_engine import missing

    told = missing.advice(f"rnn_engine.{space}".rstrip("."), name)
    key = f"{space}.{name}".lstrip(".")
    written = (reason for pattern, reason in NAMES.items() if re.fullmatch(pattern, key))
    return told or next(written, "")


def _parameters(thing: Any) -> dict[str, Any] | None:
    """Return names and defaults of the arguments; None where Python does not tell."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if name not in ("self", "name", "dtype") and parameter.kind not in (4, 2)
    }


def _signatures(theirs: Any, ours: Any) -> list[str]:
    """Return in what the arguments differ: those of a function, or of a class's constructor."""
    if not callable(theirs) or not callable(ours):
        return []
    expected, found = _parameters(theirs), _parameters(ours)
    if expected is None or found is None:
        return []
    notes = []
    if (missing := [n for n in expected if n not in found]) and not _takes_any(ours):
        notes.append("without " + ", ".join(f"`{name}`" for name in missing))
    if own := [n for n in found if n not in expected and not _takes_any(theirs)]:
        notes.append("also " + ", ".join(f"`{name}`" for name in own))
    shared = [n for n in expected if n in found]
    other = [n for n in shared if _plain(expected[n]) != _plain(found[n])]
    if other:
        notes.append(
            ", ".join(f"`{n}={_plain(found[n])}` (Keras {_plain(expected[n])})" for n in other)
        )
    if [n for n in found if n in expected] != shared:
        notes.append("arguments in another order")
    return notes


def _takes_any(thing: Any) -> bool:
    kinds = [parameter.kind for parameter in inspect.signature(thing).parameters.values()]
    return inspect.Parameter.VAR_KEYWORD in kinds


def _plain(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    return repr(default) if isinstance(default, str | int | float | tuple | list | None) else "..."


# --- the page -----------------------------------------------------------------------------


def page() -> str:
    """Return the text of the page."""
    import keras

    found = rows()
    counts = dict.fromkeys(("same", "different", "absent"), 0)
    for row in found:
        counts[row.status] += row.name != "*"
    parts = [
        "# Keras's names, one by one",
        "",
        "Written by `python -m reference.parity`; do not edit. Every public name of Keras "
        f"{keras.__version__}: **same** where name, arguments and defaults are Keras's (the suite "
        "compares the numbers), **different** with how, **absent** with why. "
        f"{counts['same']} same, {counts['different']} different, {counts['absent']} absent, and "
        f"{len(ABSENT)} whole modules.",
    ]
    for space in SPACES:
        parts += _section(space, [row for row in found if row.space == space and row.name != "*"])
    parts += ["", "## Modules that are absent", "", "| module | why |", "|---|---|"]
    parts += [f"| `keras.{row.space}` | {row.note} |" for row in found if row.name == "*"]
    return "\n".join(parts) + "\n"


def _section(space: str, found: list[Row]) -> list[str]:
    lines = ["", f"## `keras.{space}`" if space else "## `keras`", ""]
    same = ", ".join(f"`{row.name}`" for row in found if row.status == "same")
    if same:
        lines += [f"Same: {same}."]
    for status in ("different", "absent"):
        chosen = [row for row in found if row.status == status]
        if not chosen:
            continue
        lines += ["", f"| {status} | {'how' if status == 'different' else 'why'} |", "|---|---|"]
        notes: dict[str, list[str]] = {}
        for row in chosen:
            notes.setdefault(row.note, []).append(f"`{row.name}`")
        lines += [f"| {', '.join(names)} | {note} |" for note, names in notes.items()]
    return lines


def main() -> int:
    """Write the page; return 1 if a name is absent without a reason."""
    PAGE.write_text(page())
    silent = [
        f"{r.space}.{r.name}".lstrip(".") for r in rows() if r.status == "absent" and not r.note
    ]
    if silent:
        print("absent without a reason:", *silent, sep="\n  ")
    return bool(silent)


if __name__ == "__main__":
    sys.exit(main())
