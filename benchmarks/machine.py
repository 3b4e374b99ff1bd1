"""What stands in the output about the machine and the software; never its name."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_CPU = Path("/sys/devices/system/cpu")


def available_cores() -> list[int]:
    """Return the cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def choose_cores(count: int) -> list[int]:
    """Return `count` of the available cores, siblings of one physical core last."""
    cores = available_cores()
    seen: set[str] = set()
    first: list[int] = []
    rest: list[int] = []
    for core in cores:
        siblings = _read(_CPU / f"cpu{core}/topology/thread_siblings_list") or str(core)
        (rest if siblings in seen else first).append(core)
        seen.add(siblings)
    return sorted((first + rest)[:count])


def stay_on(cores: Sequence[int]) -> None:
    """Keep this process and its threads on `cores`, where the system knows how."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def cpu_model() -> str:
    """Return the processor's own name for itself."""
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cache_sizes() -> dict[str, int]:
    """Return bytes of each data cache of the first core, ``{"L1": 32768, ...}``."""
    sizes = {}
    for index in sorted(_CPU.glob("cpu0/cache/index*")):
        level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
        if level and size and kind in ("Data", "Unified"):
            factor = {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1], 1)
            sizes[f"L{level}"] = int(size.rstrip("KMG")) * factor
    return sizes or {"L1": 32 * 2**10, "L2": 2**20, "L3": 32 * 2**20}


def vector_bits() -> int:
    """Return the width of this processor's vectors in bits, as LLVM sees its features."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") else 128


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            module = sys.modules.get(name)
            version = getattr(module, "__version__", None)
            if version:
                found[name] = str(version)
    return found


def describe(threads: int, cores: Sequence[int]) -> dict[str, Any]:
    """Return the part of the output that says where and when this was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(),
        "cores": len(available_cores()),
        "threads": threads,
        "used_cores": list(cores),
        "vector_bits": vector_bits(),
        "caches": cache_sizes(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
