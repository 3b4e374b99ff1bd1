"""The part of the engine that a model needs, as one object file without Numba.

Kernels are compiled once more, by Numba, to LLVM's code; that of all of them is joined, a small
function with C's calling convention is put before each, and LLVM makes one object of it. What
comes out calls nothing: neither Python nor Numba's runtime.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnn_engine.kernels import cache, finish
from rnn_engine.kernels.compiler import binding, config, global_compiler_lock
from rnn_engine.kernels.formulas import TABLE as FORMULAS
from rnn_engine.kernels.gemm import gemm_two
from rnn_engine.kernels.options import c_function
from rnn_engine.kernels.recurrent import cells, lone, steps, walker
from rnn_engine.kernels.vector import cpu_features

# A kernel, by what the C code calls it: a name, and what it takes to make it.
Kernel = tuple[str, tuple[Any, ...]]
PRODUCT: Kernel = ("engine_gemm_two", ("gemm",))
WALK: Kernel = ("engine_forward", ("walk",))
LONE: Kernel = ("engine_forward_lone", ("lone",))
STAGE: Kernel = ("engine_run_stage", ("stage",))


def activation(code: int) -> Kernel:
    """Return the epilogue of an activation."""
    return f"engine_finish_{FORMULAS[code].name}", ("finish", code)


def step(cell: str, stage: int, codes: tuple[int, ...]) -> Kernel:
    """Return a stage of a cell's step."""
    return f"engine_{cell}_{stage}_{cells.label(codes)}", ("step", cell, stage, codes)


def lone_step(cell: str, codes: tuple[int, ...]) -> Kernel:
    """Return product and step of a cell for `recurrent.lone`."""
    return f"engine_lone_{cell}_{cells.label(codes)}", ("lone_step", cell, codes)


def _function(key: tuple[Any, ...]) -> Callable[..., Any]:
    """Return the Python function of a kernel."""
    kind, *rest = key
    if kind == "gemm":
        return gemm_two.function
    if kind in ("walk", "lone", "stage"):
        bodies: dict[str, Callable[..., Any]]
        bodies = {"walk": walker.forward, "lone": lone.forward_lone, "stage": walker.run_stage}
        return bodies[kind]
    if kind == "finish":
        return finish.made(rest[0])
    cell = cells.find(rest[0])
    return (steps if kind == "step" else lone).forward_function(cell, *rest[1:])


@functools.lru_cache(maxsize=128)
def _bitcode(kernel: Kernel) -> bytes:
    """Return LLVM's code of a kernel under its name in C, compiled if it is new."""
    key = kernel, cpu_name(), cpu_features()
    return cache.kept(kernel[0], key, lambda: _compiled(kernel))


def cpu_name() -> str:
    """Return the name that LLVM has for the CPU that is compiled for."""
    return str(config.CPU_NAME or binding.get_host_cpu_name())


def with_way_in(compiled: Any, name: str) -> Any:
    """Return the module of what `c_function` compiled, with a function of C's called `name`.

    Numba's own way in from C tells Python of errors; kernels have none.
    """
    native = compiled._wrapper_name.removeprefix("cfunc.")
    module = binding.parse_bitcode(compiled._library._final_module.as_bitcode())
    taken = ", ".join(f"{kind} %a{i}" for i, kind in enumerate(parameters(module, native)))
    body = f"""
  %value = alloca ptr
  %error = alloca ptr
  %status = call i32 @"{native}"(ptr %value, ptr %error, {taken})
  ret void"""
    return add_function(module, native, f'void @"{name}"({taken})', body)


def parameters(module: Any, native: str) -> list[str]:
    """Return the types of a native function's parameters behind those for result and error."""
    return [str(a.type) for a in module.get_function(native).arguments][2:]


def add_function(module: Any, native: str, head: str, body: str) -> Any:
    """Add a function that calls a native one, as LLVM's text, to the module of that."""
    declared = ", ".join(["ptr", "ptr", *parameters(module, native)])
    text = f'declare i32 @"{native}"({declared})\ndefine {head} nounwind {{{body}\n}}\n'
    added = binding.parse_assembly(text)
    added.triple, added.data_layout = module.triple, module.data_layout
    module.link_in(added)
    return module


def _compiled(kernel: Kernel) -> bytes:
    name, key = kernel
    compiled = c_function(_function(key), np.dtype(np.float32), cached=False)
    module = with_way_in(compiled, name)
    for value in [*module.functions, *module.global_variables]:
        if value.name.startswith(("cfunc.", "_ZN")) and not value.is_declaration:
            value.linkage = binding.Linkage.internal
    for value in module.functions:
        if value.name.endswith("_gemm_two_float32"):  # as `linked` names it
            value.name = PRODUCT[0]
    return bytes(module.as_bitcode())


def object_code(kernels: Sequence[Kernel]) -> bytes:
    """Return an object file with some kernels, compiled for the CPU that Numba compiles for."""
    with global_compiler_lock:
        module = binding.parse_bitcode(_bitcode(kernels[0]))
        for kernel in kernels[1:]:
            module.link_in(binding.parse_bitcode(_bitcode(kernel)))
        machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(
            cpu=cpu_name(), features=cpu_features(), opt=2, reloc="pic", codemodel="small",
        )  # fmt: skip
        remove_dead_code(module, machine)
        return bytes(machine.emit_object(module))


def remove_dead_code(module: Any, machine: Any) -> None:
    """Throw away what nobody can reach, and check the rest."""
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    options = binding.create_pipeline_tuning_options(speed_level=0)
    passes.run(module, binding.create_pass_builder(machine, options))
    module.verify()
