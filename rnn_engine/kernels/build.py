"""Compile the library of kernels ahead: ``python -m rnn_engine.kernels.build``.

Numba compiles every kernel of `exports.txt`, and every C function that `functions` lists, for
each level of `library.FEATURES`; LLVM joins what comes out, throws away what nobody can reach, and
makes an object of it, which the system's linker makes a library. Nothing of Numba's runtime is
left in.
"""

import argparse
import importlib
import itertools
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnn_engine.kernels import (
    ahead,
    cache,
    finish,
    formulas,
    library,
    optimizers,
    options,
    pool,
)
from rnn_engine.kernels.compiler import LIBRARY, binding, global_compiler_lock, types

HERE = Path(__file__).parent
FLOATS = ("float32", "float64")
# The CPU that LLVM chooses instructions and their order for, by level. Numba compiles for the
# machine it runs on; what it makes for NEON becomes code of that CPU in the last step.
CPUS = {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "sse": "x86-64", "neon": "generic"}
ARM = "aarch64-unknown-linux-gnu"
# What a library may want of the C library.
WANTED = {"memcpy", "memset", "memmove", "fma", "fmaf", "exp", "expf", "log", "logf", "pow",
          "powf", "sqrt", "sqrtf", "tanh", "tanhf"}  # fmt: skip
# Activations, by cell, that steps are fused with; others are called, by their address.
_GATED = (("tanh", "sigmoid"), ("relu", "sigmoid"), ("linear", "sigmoid"), ("sigmoid", "sigmoid"),
          ("tanh", "hard_sigmoid"))  # fmt: skip
FUSED: dict[str, tuple[tuple[str, ...], ...]] = {
    "simple_rnn": (("tanh",), ("relu",), ("sigmoid",), ("linear",)),
    "lstm": _GATED,
    "gru": _GATED,
    "gru_reset_before": _GATED,
}


# --- what there is -----------------------------------------------------------------


def functions() -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Yield (symbol, function, float type) of every C function whose address is asked for."""
    from rnn_engine.kernels.recurrent import (
        cells,
        chain,
        dropout,
        gather,
        gradients,
        lone,
        restoring,
        steps,
        team,
        walker,
    )

    bodies = (walker.forward, walker.run_stage, team.forward_team, lone.forward_lone,
              dropout.run_stage, dropout.arrive, chain.arrive, gradients.gradients,
              gather.gradients, gradients.backward, gradients.begin_groups, gradients.chain_share,
              gradients.gradient_share, gradients.add_sums, restoring.restore_states)  # fmt: skip
    epilogues = [finish.made(code) for code in range(1, len(formulas.TABLE))]
    made: list[Callable[..., Any]] = [*bodies, *epilogues]
    for name, rows in FUSED.items():
        cell = cells.find(name)
        fused = [tuple(formulas.CODES[activation] for activation in row) for row in rows]
        for codes in (*fused, (cells.CALLED,) * len(rows[0])):
            for stage, part in itertools.product(range(len(cell.stages)), ("step", "back")):
                made.append(steps.make(cell, stage, codes, part))
            if cell.restore is not None:
                made.append(steps.make(cell, 0, codes, "restore"))
        if len(cell.stages) == 1:
            made += [lone.forward_function(cell, codes) for codes in fused]
    for function, dtype in itertools.product(made, FLOATS):
        yield library.symbol(options.name_of(function), np.dtype(dtype)), function, dtype


def inner_functions() -> Iterator[tuple[str, Callable[..., Any], str | None]]:
    """Yield the same of those that kernels call by name."""
    yield pool._SHARE_SYMBOL, pool._share, None
    for function, dtype in itertools.product(options.LINKED, FLOATS):
        yield options.linked_symbol(function, dtype), function, dtype


def kernels() -> Iterator[tuple[str, Any, list[str]]]:
    """Yield (name, kernel, parameters) of every variant, the parameters as `exports.txt` has them.

    T is replaced.
    """
    for line in (HERE / "exports.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, *parameters = line.split()
        module, _, function = name.partition(".")
        kinds = [parameter.partition(":")[2] for parameter in parameters]
        kernel = getattr(_module(module, function), function)
        for size in ("4", "8") if any("T" in kind for kind in kinds) else ("",):
            yield name, kernel, [kind.replace("T", f"f{size}") for kind in kinds]
        if module == "optimizers" and parameters[0] == "w:T[1]" and set(kinds) <= {"T[1]", "T[1]r"}:
            # Of elementwise updates all variables in one call, too.
            for parallel in (False, True):
                made = optimizers.for_all(kernel, len(kinds) - 4, parallel)
                for size in ("4", "8"):
                    yield options.name_of(made), made, ["i8[1]r", f"f{size}[1]r", "int"]


def _module(name: str, function: str) -> Any:
    """Return the module of a kernel."""
    for package in ("rnn_engine.kernels.recurrent", "rnn_engine.kernels"):
        path = f"{package}.{name}"
        if importlib.util.find_spec(path) is not None:
            module = importlib.import_module(path)
            if hasattr(module, function):
                return module
    raise LookupError(f"exports.txt names {name}.{function}, which is no kernel.")


_KIND = re.compile(r"(?:(f|i|b|u)(\d))(?:\[(\d)\](\*?)(r?))?")
_NAMES = {"int": "i8", "bool": "b1", "float": "f8"}


def numba_type(kind: str) -> Any:
    """Return Numba's type of a parameter."""
    letter, size, axes, strided, _ = _match(kind)
    name = {"f": "float", "i": "int", "u": "uint", "b": "bool"}[letter]
    number = types.boolean if letter == "b" else getattr(types, f"{name}{8 * int(size)}")
    if axes is None:
        return number
    return types.Array(number, int(axes), "A" if strided else "C", readonly=False)


def letters(kind: str) -> str:
    """Return a parameter as `call.c` reads it."""
    letter, size, axes, strided, readonly = _match(kind)
    if axes is None:
        return f"{letter}{size}0--."
    return f"{letter}{size}{axes}{strided or '-'}{readonly or '-'}-"


def _match(kind: str) -> Any:
    found = _KIND.fullmatch(_NAMES.get(kind, kind))
    if found is None:
        raise ValueError(f"exports.txt has a parameter {kind!r}, which is none.")
    return found.groups()


# --- the object --------------------------------------------------------------------


def emit(level: str, path: Path) -> None:
    """Write the object file of a level, and the index beside it."""
    if LIBRARY is not None:
        raise RuntimeError("Kernels are compiled where RNN_ENGINE_KERNELS is jit.")
    cache._SOURCES = None  # what comes from the disk has no LLVM code
    index: dict[str, Any] = {"kernels": {}, "functions": []}
    with global_compiler_lock:
        whole = binding.parse_assembly("")
        variants = list(kernels())  # which imports all modules of kernels
        for symbol, function, dtype in functions():
            whole.link_in(_c_function(symbol, function, dtype))
            index["functions"].append(symbol)
        for inner in inner_functions():
            whole.link_in(_c_function(*inner))
        for number, (name, kernel, kinds) in enumerate(variants):
            symbol = f"{name}.{number}"
            module, result = _kernel(symbol, kernel, kinds)
            whole.link_in(module)
            row = [symbol, "".join(map(letters, kinds)), result]
            index["kernels"].setdefault(name, []).append(row)
        whole.link_in(_data(whole))
        index["functions"].append(pool._TABLE_SYMBOL)
        kept = {
            *index["functions"],
            *(row[0] for rows in index["kernels"].values() for row in rows),
        }
        path.write_bytes(_object(whole, kept, level))
    path.with_suffix(".json").write_text(json.dumps(index, separators=(",", ":")))


def _c_function(symbol: str, function: Callable[..., Any], dtype: str | None) -> Any:
    made = options.c_function(function, dtype and np.dtype(dtype), cached=False)
    return ahead.with_way_in(made, symbol)


def _kernel(symbol: str, kernel: Any, kinds: Sequence[str]) -> tuple[Any, str]:
    """Return the module of a kernel with a way in of one table, and the kind of its result."""
    signature = tuple(map(numba_type, kinds))
    kernel.compile(signature)
    compiled = kernel.overloads[signature]
    native = compiled.fndesc.llvm_func_name
    module = binding.parse_bitcode(compiled.library._final_module.as_bitcode())
    flat = ahead.parameters(module, native)
    loads = "".join(
        f"\n  %p{i} = getelementptr i64, ptr %words, i64 {i + 1}"
        f"\n  %a{i} = load {kind}, ptr %p{i}, align 8"
        for i, kind in enumerate(flat)
    )
    taken = "".join(f", {kind} %a{i}" for i, kind in enumerate(flat))
    body = f"""{loads}
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %words, ptr %error{taken})
  ret i32 %status"""
    results = {types.none: "-", types.int64: "i", types.float64: "f", types.boolean: "b"}
    result = results[compiled.signature.return_type]
    return ahead.add_function(module, native, f'i32 @"{symbol}"(ptr %words)', body), result


def _data(whole: Any) -> Any:
    """Return the module of the tables that kernels know by name."""
    lines = [f"@{pool._TABLE_SYMBOL} = global [{pool.TABLE_SIZE} x i64] zeroinitializer, align 64"]
    for dtype in FLOATS:
        names = ["null"]
        for code in range(1, len(formulas.TABLE)):
            function = options.name_of(finish.made(code))
            names.append(f'@"{library.symbol(function, np.dtype(dtype))}"')
            lines.append(f"declare void {names[-1]}(i64, i64, i64, ptr, i64, ptr, i64)")
        entries = ", ".join(f"ptr {name}" for name in names)
        table = finish._symbol(getattr(types, dtype))
        lines.append(f"@{table} = constant [{len(names)} x ptr] [{entries}], align 64")
    module = binding.parse_assembly("\n".join(lines))
    module.triple, module.data_layout = whole.triple, whole.data_layout
    return module


def _machine(level: str) -> Any:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    triple = ARM if level == "neon" else binding.get_process_triple()
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=CPUS[level], features=library.FEATURES[level], opt=2, reloc="pic", codemodel="small"
    )


def _object(whole: Any, kept: set[str], level: str) -> bytes:
    for value in [*whole.functions, *whole.global_variables]:
        if not value.is_declaration and value.name not in kept:
            value.linkage = binding.Linkage.internal
    machine = _machine(level)
    whole.triple, whole.data_layout = machine.triple, str(machine.target_data)
    ahead.remove_dead_code(whole, machine)
    wanted = {
        value.name for value in [*whole.functions, *whole.global_variables] if value.is_declaration
    }
    foreign = {name for name in wanted if not name.startswith("llvm.")} - WANTED
    if foreign:
        raise RuntimeError(f"The library would want what it may not: {sorted(foreign)}.")
    return bytes(machine.emit_object(whole))


# --- the library -------------------------------------------------------------------


def build(folder: Path, levels: Sequence[str], jobs: int) -> None:
    """Make the libraries of some levels, the index and the extension."""
    if "neon" in levels and len(levels) > 1:
        raise SystemExit("The level neon is for another machine than the others: a folder each.")
    folder.mkdir(parents=True, exist_ok=True)
    sources = library.sources()
    for old in (*folder.glob("*.so"), folder / "index.json"):
        old.unlink(missing_ok=True)
    waiting = list(levels)
    running: dict[str, subprocess.Popen[bytes]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            level = waiting.pop(0)
            running[level] = _start(folder, level)
        level = next(iter(running))
        if running.pop(level).wait():
            raise SystemExit(f"The kernels of level {level} could not be compiled.")
        _link(folder, level)
    indices = {(folder / f"{level}.json").read_text() for level in levels}
    if len(indices) > 1 or library.sources() != sources:
        raise SystemExit("The sources of the kernels have changed meanwhile. Build once more.")
    _build_extension(folder, levels[0])
    for level in levels:
        (folder / f"{level}.json").unlink()
        (folder / f"{level}.o").unlink()
    # Last: with it the folder counts as whole.
    index = {"sources": sources, **json.loads(indices.pop())}
    (folder / "index.json").write_text(json.dumps(index, separators=(",", ":")))


def _start(folder: Path, level: str) -> subprocess.Popen[bytes]:
    own = {
        "RNN_ENGINE_KERNELS": "jit",
        "NUMBA_CPU_NAME": CPUS["sse" if level == "neon" else level],
        "NUMBA_CPU_FEATURES": library.FEATURES[level],
        "PYTHONHASHSEED": "0",
    }
    command = [sys.executable, "-m", "rnn_engine.kernels.build", "--emit", level]
    return subprocess.Popen([*command, str(folder / f"{level}.o")], env=os.environ | own)


def _compiler(level: str) -> list[str]:
    """Return the command of the C compiler for the machine of a level."""
    if (level == "neon") == (platform.machine() == "aarch64"):
        return shlex.split(os.environ.get("CC", "cc"))
    return shlex.split(os.environ.get("CC_AARCH64", "aarch64-linux-gnu-gcc"))


def _link(folder: Path, level: str) -> None:
    """Link an object; the same object makes the same bytes."""
    flags = ["-shared", "-nostartfiles", "-Wl,--build-id=none,-z,now,-z,relro,-z,noexecstack,-s"]
    made = [str(folder / f"{level}.o"), "-o", str(folder / f"{level}.so"), "-lm"]
    subprocess.run([*_compiler(level), *flags, *made], check=True)


def _build_extension(folder: Path, level: str) -> None:
    headers = [sysconfig.get_path("include"), np.get_include()]
    flags = ["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--build-id=none,-s"]
    made = [str(HERE / "call.c"), "-o", str(folder / "_call.abi3.so")]
    subprocess.run([*_compiler(level), *flags, *(f"-I{h}" for h in headers), *made], check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Build what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m rnn_engine.kernels.build")
    own = [level for level in CPUS if (level == "neon") == (platform.machine() == "aarch64")]
    parser.add_argument("--levels", nargs="+", default=own, choices=CPUS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=library.FOLDER)
    parser.add_argument("--emit", nargs=2, metavar=("LEVEL", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.emit:
        emit(given.emit[0], Path(given.emit[1]))
    else:
        build(given.folder, given.levels, given.jobs)


if __name__ == "__main__":
    main()
