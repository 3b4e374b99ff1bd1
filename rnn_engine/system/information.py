"""`info`: what decides about speed and bits on this machine, as text for an issue."""

import os
import platform
import re
from pathlib import Path

import numpy as np

from rnn_engine.kernels import cache, cores, library, threads
from rnn_engine.kernels.compiler import LIBRARY, MOST_THREADS, binding, config, versions
from rnn_engine.kernels.vector import REGISTER_BYTES, REGISTERS, cpu_features

# The features that decide which code is made.
_TOLD = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "neon",
         "sve")  # fmt: skip


def info() -> str:
    """Return CPU, vector width, threads, cache folder and versions, a line each.

    ``python -m rnn_engine info`` prints it: the text to paste into an issue. It names
    neither the user nor the machine.

    Examples
    --------
    >>> print(info())
    rnn_engine      ...
    """
    rows = {
        "rnn_engine": _version("rnn_engine"),
        "versions": _versions(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}, "
        f"{' '.join(platform.libc_ver()).strip() or 'C library unknown'}",
        "CPU": _cpu(),
        "CPU features": _features(),
        "vector width": _width(),
        "threads": _threads(),
        "kernels": _kernels(),
        "kernel cache": _cache(),
    }
    settings = [f"{key}={_without_user(value)}" for key, value in sorted(os.environ.items())
                if key.startswith(("RNN_ENGINE_", "NUMBA_", "OMP_"))]  # fmt: skip
    rows["settings"] = ", ".join(settings) or "none"
    return "\n".join(f"{name:<15} {text}" for name, text in rows.items())


def _versions() -> str:
    names = ("Numba", "llvmlite", "LLVM")
    compilers = zip(names, versions(), strict=False)  # none where nothing is compiled
    rows = [("Python", platform.python_version()), ("NumPy", np.__version__), *compilers]
    return ", ".join(f"{name} {version}" for name, version in rows)


def _cpu() -> str:
    if LIBRARY is not None:
        return _cpu_model()
    return f"{_cpu_model()} (LLVM: {config.CPU_NAME or binding.get_host_cpu_name()})"


def _kernels() -> str:
    if LIBRARY is not None:
        return f"built ahead, for {LIBRARY.level}"
    return f"compiled here, as {library.reason()}"


def _version(package: str) -> str:
    from importlib import metadata  # a tenth of the package's import, for this alone

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from its sources
        import rnn_engine

        return rnn_engine.__version__


def _cpu_model() -> str:
    """Return the name on the box; empty parts are left out."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found[1].strip() if found else platform.processor() or "model unknown"


def _features() -> str:
    features = set(cpu_features().split(","))
    return " ".join(name for name in _TOLD if f"+{name}" in features) or "none that matter"


def _width() -> str:
    bits = 8 * REGISTER_BYTES
    text = f"{bits} bits, {REGISTERS} registers"
    if bits == 512 and LIBRARY is None and _preferred_bits() < 512:
        text += "; LLVM prefers 256 bits for this CPU, and uses them outside the matrix product"
    return text


def _preferred_bits() -> int:
    """Return the width LLVM gives to a loop, found out by compiling one."""
    loop = """
        define void @f(ptr noalias %a, ptr noalias %b) {
        entry:
          br label %body
        body:
          %i = phi i64 [0, %entry], [%next, %body]
          %p = getelementptr float, ptr %a, i64 %i
          %q = getelementptr float, ptr %b, i64 %i
          %x = load float, ptr %p
          %y = fmul float %x, %x
          store float %y, ptr %q
          %next = add i64 %i, 1
          %more = icmp ult i64 %next, 4096
          br i1 %more, label %body, label %end
        end:
          ret void
        }
        """
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=config.CPU_NAME or binding.get_host_cpu_name(), features=cpu_features(), opt=3
    )
    module = binding.parse_assembly(loop)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    passes = binding.create_pass_builder(machine, options).getModulePassManager()
    passes.run(module, binding.create_pass_builder(machine, options))
    return 512 if "zmm" in machine.emit_assembly(module) else 256


def _threads() -> str:
    quota = cores.cgroup_quota()
    limit = "" if quota is None else f", cgroup quota {quota:g}"
    return (
        f"{threads.get_num_threads()} (cores this process may use: {cores.available_cores()}, "
        f"of {os.cpu_count()}{limit}; at most: {MOST_THREADS})"
    )


def _cache() -> str:
    if LIBRARY is not None:
        return "none: nothing is compiled"
    place = cache.folder()
    if place is None:
        return "none: no private folder can be had, every process compiles anew"
    sizes = cache.kernel_sizes()
    text = f"{_without_user(str(place))} ({len(sizes)} kernels, {sum(sizes) / 2**20:.1f} MiB)"
    return text if cache.can_save() else f"{text}, read only: others are compiled at every start"


def _without_user(text: str) -> str:
    """Return a text without the home folder's and the user's name."""
    try:
        home = str(Path.home())
    except RuntimeError:
        home = ""
    if len(home) > 1:
        text = re.sub(re.escape(home) + r"(?=/|$)", "~", text)
    import getpass  # milliseconds that only this line needs

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no entry for this user
        return text
    return re.sub(rf"(?<![\w-]){re.escape(user)}(?![\w-])", "USER", text)
