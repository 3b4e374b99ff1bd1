"""From C text to a library, by the system's C compiler and its binary tools."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rnn_engine.exporting.source import Text
from rnn_engine.kernels import ahead

_TOOLS = ("ld", "ar", "nm", "objcopy")
# Bits as the text says: no contraction, no reordering. Nothing that asks for a library.
_FLAGS = (
    "-std=c99", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-strict-aliasing",
    "-fno-math-errno", "-fno-stack-protector", "-U_FORTIFY_SOURCE",
)  # fmt: skip
_NAMES = ("state_size", "features", "outputs", "init", "reset", "step", "process", "predict")
# What a compiler may call for a copy, and the way to what lies in a shared library.
_ALLOWED = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_"}


def compiler() -> str:
    """Return the command of the C compiler: the environment's CC, or cc.

    Raises
    ------
    RuntimeError
        If it, or one of the binary tools, is not there, or this is no system of ELF files.
    """
    if not sys.platform.startswith("linux"):
        raise RuntimeError(
            f"Models are exported to C on Linux, whose object files the engine makes; this is "
            f"{sys.platform}."
        )
    command = os.environ.get("CC") or "cc"
    missing = [tool for tool in (command, *_TOOLS) if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(
            f"An export to C needs a C compiler and binutils; not found: {', '.join(missing)}. "
            f"Install them (Debian, Ubuntu: apt install gcc binutils), or set CC to the compiler."
        )
    return command


def build(folder: Path, name: str, text: Text) -> None:
    """Write the text, and make the libraries of it, in a folder.

    Raises
    ------
    RuntimeError
        If a tool fails, or the library would need anything but itself.
    """
    command = compiler()
    (folder / f"{name}.h").write_text(text.header)
    (folder / f"{name}.c").write_text(text.source)
    (folder / f"{name}_weights.bin").write_bytes(text.weights)
    objects = [f"{name}.o"]
    _run(folder, [command, *_FLAGS, "-c", f"{name}.c", "-o", objects[0]])
    if text.kernels:
        objects.append(f"{name}_engine.o")
        (folder / objects[1]).write_bytes(ahead.object_code(text.kernels))
    # One object whose inner names nobody sees: two models may be linked into a program.
    whole = f"{name}_whole.o"
    _run(folder, ["ld", "-r", "-z", "noexecstack", *objects, "-o", whole])
    keep = [f"--keep-global-symbol={name}_{function}" for function in _NAMES]
    _run(folder, ["objcopy", "--strip-unneeded", *keep, whole])
    check_symbols(folder / whole, name)
    archive, shared = f"lib{name}.a", f"lib{name}.so"
    _run(folder, ["ar", "rcsD", archive, whole])
    _run(folder, [
        command, "-shared", f"-Wl,-soname,{shared}", "-Wl,-z,defs", "-Wl,-z,text",
        "-Wl,-z,noexecstack", whole, "-o", shared,
    ])  # fmt: skip
    for file in (objects[0], whole):
        (folder / file).unlink()


def check_symbols(path: Path, name: str) -> None:
    """Check that an object defines its functions, needs no others and has nothing to write to.

    Raises
    ------
    RuntimeError
        If not.
    """
    needed, defined, written = set(), set(), set()
    for line in _run(path.parent, ["nm", "-P", path.name]).splitlines():
        symbol, kind = line.split()[:2]
        if kind in "Uvw":
            needed.add(symbol)
        elif kind.isupper():
            defined.add(symbol)
        if kind in "bBC" or (kind in "dD" and not symbol.startswith("rnn_engine_finish_")):
            written.add(symbol)
    if needed - _ALLOWED:
        raise RuntimeError(
            f"The exported code would need {', '.join(sorted(needed - _ALLOWED))}, which is no "
            f"part of it. This is an error of rnn_engine."
        )
    expected = {f"{name}_{function}" for function in _NAMES}
    if defined != expected or written:
        raise RuntimeError(
            f"The exported code shows {sorted(defined ^ expected)} or writes to {sorted(written)}. "
            f"This is an error of rnn_engine."
        )


def _run(folder: Path, command: Sequence[str]) -> str:
    # Their messages in one language, whatever the user's.
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
