"""Vector width and vector arithmetic: the one place that knows how wide a register is.

`Vector` wraps an LLVM vector value, so that a formula such as tanh is written once,
with ``+``, ``*`` and `fma`, and becomes straight vector code inside a kernel.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rnn_engine.kernels import library
from rnn_engine.kernels.compiler import LIBRARY, codegen, config, ir, types

POINTER = ir.PointerType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)


def cpu_features() -> str:
    """Return the CPU features that kernels are compiled for, as LLVM writes them."""
    if LIBRARY is not None:
        return library.FEATURES[LIBRARY.level]
    if config.CPU_FEATURES is not None:
        return str(config.CPU_FEATURES)
    # Not LLVM's own list: Numba takes AVX out of it where NUMBA_ENABLE_AVX is 0.
    return str(codegen.get_host_cpu_features())


def register_bytes(features: str) -> int:
    """Return the width of the widest vector register: AVX-512 64, AVX 32, SSE and NEON 16."""
    if "+avx512f" in features:
        return 64
    return 32 if "+avx2" in features else 16


REGISTER_BYTES = register_bytes(cpu_features())
# AVX-512 and NEON have 32 vector registers, AVX2 and SSE 16.
REGISTERS = 32 if REGISTER_BYTES == 64 or "+neon" in cpu_features() else 16


def allow_widest(function: ir.Function) -> None:
    """Let a function use registers of the full width.

    For many Intel CPUs LLVM prefers 256 bits and would cut each 512-bit vector in two:
    a tile of 24 registers becomes one of 48, half of them spilled.
    """
    if REGISTER_BYTES == 64:
        for key in ("min-legal-vector-width", "prefer-vector-width"):
            # llvmlite refuses attributes that it does not know; LLVM takes them.
            set.add(function.attributes, f'"{key}"="512"')


def lanes(dtype: types.Float) -> int:
    """Return how many numbers of a Numba float type one register holds."""
    return REGISTER_BYTES * 8 // dtype.bitwidth


def ir_type(dtype: types.Float) -> ir.Type:
    """Return the LLVM type of a Numba float type."""
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


class VectorBuilder:
    """Emits vector instructions of one element type into an LLVM builder."""

    def __init__(
        self, builder: ir.IRBuilder, dtype: types.Float, lane_count: int | None = None
    ) -> None:
        self.builder = builder
        self.dtype = dtype
        self.bits = dtype.bitwidth
        self.element = ir_type(dtype)
        # Of a register, or another power of two: LLVM cuts or joins registers then.
        self.lanes = lane_count or lanes(dtype)
        self.type = ir.VectorType(self.element, self.lanes)
        self.int_type = ir.VectorType(ir.IntType(self.bits), self.lanes)
        self.mask_type = ir.VectorType(ir.IntType(1), self.lanes)

    def intrinsic(self, name: str, args: Sequence[Any]) -> Any:
        """Call an LLVM intrinsic that maps vectors of this type onto themselves."""
        signature = ir.FunctionType(self.type, [self.type] * len(args))
        function = self._declare(f"{name}.v{self.lanes}f{self.bits}", signature)
        return self.builder.call(function, args)

    def const(self, value: float) -> "Vector":
        """Return `value` in every lane."""
        return Vector(self, ir.Constant(self.type, [float(value)] * self.lanes))

    def int_const(self, value: int) -> Any:
        """Return the integer `value` in every lane."""
        return ir.Constant(self.int_type, [int(value)] * self.lanes)

    def broadcast(self, scalar: Any) -> Any:
        """Return an LLVM scalar in every lane."""
        undef = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undef, scalar, INT32(0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undef, zeros)

    def offset(self, pointer: Any, elements: Any) -> Any:
        """Return `pointer` moved by a number of elements, by GEP only."""
        moved = self.builder.gep(pointer, [elements], source_etype=self.element)
        moved.type = POINTER  # Numba's own pointers are typed; LLVM's are not
        return moved

    def load_scalar(self, pointer: Any) -> Any:
        """Return the number at `pointer`."""
        return self.builder.load(pointer, typ=self.element, align=self.bits // 8)

    def load(self, pointer: Any) -> Any:
        """Return a whole register from `pointer`, of any alignment."""
        return self.builder.load(pointer, typ=self.type, align=self.bits // 8)

    def store(self, value: Any, pointer: Any) -> None:
        """Write a whole register."""
        self.builder.store(value, pointer, align=self.bits // 8)

    def first_lanes(self, count: Any) -> Any:
        """Return the mask of the first `count` lanes (an i64, any value)."""
        index = ir.Constant(self.int_type, list(range(self.lanes)))
        undef = ir.Constant(self.int_type, ir.Undefined)
        if self.bits == 32:
            count = self.builder.trunc(count, INT32)
        first = self.builder.insert_element(undef, count, INT32(0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.builder.icmp_signed(
            "<", index, self.builder.shuffle_vector(first, undef, zeros)
        )

    def masked_load(self, pointer: Any, mask: Any) -> Any:
        """Return the masked lanes from `pointer`, zero in the others."""
        name = f"llvm.masked.load.v{self.lanes}f{self.bits}.p0"
        signature = ir.FunctionType(self.type, [POINTER, INT32, self.mask_type, self.type])
        function = self._declare(name, signature)
        zero = ir.Constant(self.type, [0.0] * self.lanes)
        return self.builder.call(function, [pointer, INT32(self.bits // 8), mask, zero])

    def masked_store(self, value: Any, pointer: Any, mask: Any) -> None:
        """Write the masked lanes."""
        name = f"llvm.masked.store.v{self.lanes}f{self.bits}.p0"
        signature = ir.FunctionType(ir.VoidType(), [self.type, POINTER, INT32, self.mask_type])
        align = INT32(self.bits // 8)
        self.builder.call(self._declare(name, signature), [value, pointer, align, mask])

    def prefetch(self, pointer: Any, writes: bool = True) -> None:
        """Ask for the cache line of a place that is about to be read, or to be written as well."""
        signature = ir.FunctionType(ir.VoidType(), [POINTER, INT32, INT32, INT32])
        function = self._declare("llvm.prefetch.p0", signature)
        self.builder.call(function, [pointer, INT32(int(writes)), INT32(2), INT32(1)])

    def loop(self, count: Any, step: int, body: Callable[[Any], None]) -> None:
        """Emit ``for i in range(0, count, step): body(i)``, whole steps only."""
        b = self.builder
        before = b.block
        loop, done = b.append_basic_block("loop"), b.append_basic_block("loop_done")
        last = b.sub(count, INT64(step))
        b.cbranch(b.icmp_signed("<=", INT64(0), last), loop, done)
        b.position_at_end(loop)
        i = b.phi(INT64)
        i.add_incoming(INT64(0), before)
        body(i)
        following = b.add(i, INT64(step))
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<=", following, last), loop, done)
        b.position_at_end(done)

    def walk(
        self, count: Any, places: Sequence[tuple[Any, Any]], carried: Sequence[Any],
        body: Callable[..., list[Any]],
    ) -> list[Any]:  # fmt: skip
        """Emit a loop of `count` >= 1 rounds over pointers that move on; return what is carried.

        `places` are (pointer, numbers from round to round); ``body(pointers, carried)`` returns
        the new values of `carried`.
        """
        b = self.builder
        before, loop, done = b.block, b.append_basic_block("walk"), b.append_basic_block("walked")
        b.branch(loop)
        b.position_at_end(loop)
        left, pointers = b.phi(INT64), [b.phi(pointer.type) for pointer, _ in places]
        values = [b.phi(value.type) for value in carried]
        new = body(pointers, values)
        remaining = b.sub(left, INT64(1))
        moved = [self.offset(p, step) for p, (_, step) in zip(pointers, places, strict=True)]
        started = [count, *(pointer for pointer, _ in places), *carried]
        for phi, first, following in zip(
            [left, *pointers, *values], started, [remaining, *moved, *new], strict=True
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed(">", remaining, INT64(0)), loop, done)
        b.position_at_end(done)
        return new

    def look_up(self, table: Sequence[Sequence[float]], index: Any) -> list[Any]:
        """Return the columns of a table of 16 rows of float32, the row of each lane by `index`.

        Only the low four bits of the integers in `index` count.
        """
        if self.lanes < 8:
            return self._look_up_rows(table, index)
        columns = [[float(row[c]) for row in table] for c in range(len(table[0]))]
        if self.lanes == 16:
            permute = self._permutation("llvm.x86.avx512.permvar.sf.512")
            return [permute(ir.Constant(self.type, column), index) for column in columns]
        # A register of AVX2 holds half a column.
        permute = self._permutation("llvm.x86.avx2.permps")
        b = self.builder
        lifted = b.shl(index, self.int_const(28))
        upper = b.icmp_signed("<", lifted, self.int_const(0))
        halves = [
            [permute(ir.Constant(self.type, column[i : i + 8]), index) for i in (0, 8)]
            for column in columns
        ]
        return [b.select(upper, high, low) for low, high in halves]

    def _permutation(self, name: str) -> Callable[[Any, Any], Any]:
        function = self._declare(name, ir.FunctionType(self.type, [self.type, self.int_type]))
        return lambda values, index: self.builder.call(function, [values, index])

    def _look_up_rows(self, table: Sequence[Sequence[float]], index: Any) -> list[Any]:
        """Do what `look_up` does with registers of four: load rows, and transpose."""
        b = self.builder
        size = -(-len(table[0]) // self.lanes) * self.lanes
        numbers = [float(n) for row in table for n in (*row, *[0.0] * (size - len(row)))]
        kind = ir.ArrayType(self.element, len(numbers))
        place = self._constant(ir.Constant(kind, numbers))
        masked = b.and_(index, self.int_const(15))
        rows = [b.zext(b.extract_element(masked, INT32(i)), INT64) for i in range(self.lanes)]
        starts = [self.offset(place, b.mul(row, INT64(size))) for row in rows]
        columns = []
        for first in range(0, size, self.lanes):
            columns += self.transpose([self.load(self.offset(s, INT64(first))) for s in starts])
        return columns[: len(table[0])]

    def transpose(self, rows: list[Any]) -> list[Any]:
        """Transpose a square of registers: blocks of one, two, four lanes change places."""
        b, lanes, step = self.builder, range(self.lanes), 1
        rows, kind = list(rows), ir.VectorType(INT32, self.lanes)
        while step < self.lanes:
            upper = [lane + self.lanes - step if lane & step else lane for lane in lanes]
            lower = [lane + self.lanes if lane & step else lane + step for lane in lanes]
            for i in lanes:
                if not i & step:
                    pair = rows[i], rows[i + step]
                    rows[i], rows[i + step] = (
                        b.shuffle_vector(*pair, ir.Constant(kind, order))
                        for order in (upper, lower)
                    )
            step *= 2
        return rows

    def _constant(self, value: ir.Constant) -> Any:
        """Return the address of a constant of this module."""
        module = self.builder.module
        name = module.get_unique_name("rnn_engine_table")
        variable = ir.GlobalVariable(module, value.type, name)
        variable.linkage, variable.global_constant, variable.initializer = "internal", True, value
        return self.offset(variable, INT64(0))

    def _declare(self, name: str, signature: ir.FunctionType) -> Any:
        module = self.builder.module
        if name in module.globals:
            return module.globals[name]
        return ir.Function(module, signature, name)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a·b + c of LLVM values, rounded once."""
        return self.intrinsic("llvm.fma", [a, b, c])


class Vector:
    """A register of numbers inside a kernel, with arithmetic operators."""

    def __init__(self, ops: VectorBuilder, value: Any) -> None:
        self.ops = ops
        self.value = value

    def _lift(self, other: "Vector | float") -> "Vector":
        return other if isinstance(other, Vector) else self.ops.const(other)

    def _binary(self, name: str, a: "Vector", b: "Vector") -> "Vector":
        return Vector(self.ops, getattr(self.ops.builder, name)(a.value, b.value))

    def __add__(self, other: "Vector | float") -> "Vector":
        return self._binary("fadd", self, self._lift(other))

    __radd__ = __add__

    def __sub__(self, other: "Vector | float") -> "Vector":
        return self._binary("fsub", self, self._lift(other))

    def __rsub__(self, other: float) -> "Vector":
        return self._binary("fsub", self._lift(other), self)

    def __mul__(self, other: "Vector | float") -> "Vector":
        return self._binary("fmul", self, self._lift(other))

    __rmul__ = __mul__

    def __truediv__(self, other: "Vector | float") -> "Vector":
        return self._binary("fdiv", self, self._lift(other))

    def __rtruediv__(self, other: float) -> "Vector":
        return self._binary("fdiv", self._lift(other), self)

    def __neg__(self) -> "Vector":
        return Vector(self.ops, self.ops.builder.fneg(self.value))

    def less(self, other: "Vector | float") -> Any:
        """Return the mask of the lanes below `other`; a NaN is in none."""
        return self.ops.builder.fcmp_ordered("<", self.value, self._lift(other).value)


def fma(a: "Vector | float", b: "Vector | float", c: "Vector | float") -> Vector:
    """Return a·b + c, rounded once; at least one of the three is a `Vector`."""
    ops = next(v.ops for v in (a, b, c) if isinstance(v, Vector))
    lift = [v if isinstance(v, Vector) else ops.const(v) for v in (a, b, c)]
    return Vector(ops, ops.fma(*(v.value for v in lift)))


def polynomial(x: Vector, coefficients: "Sequence[Vector | float]") -> Vector:
    """Return Σ cᵢ xⁱ by Horner's rule, constant term first."""
    last = coefficients[-1]
    result = last if isinstance(last, Vector) else x.ops.const(last)
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, c)
    return result


def where(mask: Any, a: "Vector | float", b: "Vector | float") -> Vector:
    """Return `a` in the lanes of the mask, `b` in the others."""
    ops = next(v.ops for v in (a, b) if isinstance(v, Vector))
    lift = [v if isinstance(v, Vector) else ops.const(v) for v in (a, b)]
    return Vector(ops, ops.builder.select(mask, lift[0].value, lift[1].value))


def absolute(x: Vector) -> Vector:
    """Return the magnitude, by clearing the sign bit."""
    return Vector(x.ops, x.ops.intrinsic("llvm.fabs", [x.value]))


def copysign(magnitude: Vector, sign: Vector) -> Vector:
    """Return `magnitude` with the sign bit of `sign`."""
    ops = magnitude.ops
    return Vector(ops, ops.intrinsic("llvm.copysign", [magnitude.value, sign.value]))


def square_root(x: Vector) -> Vector:
    """Return √x, rounded correctly."""
    return Vector(x.ops, x.ops.intrinsic("llvm.sqrt", [x.value]))


def exponent_bias(bits: int) -> int:
    """Return what the exponent field of a float of so many bits adds to the exponent."""
    return 127 if bits == 32 else 1023


def look_up(table: Sequence[Sequence[float]], x: Vector, shift: int) -> list[Vector]:
    """Return the columns of a table of 16 rows, the row by bits `shift` to `shift` + 3 of `x`."""
    ops = x.ops
    bits = ops.builder.bitcast(x.value, ops.int_type)
    index = ops.builder.lshr(bits, ops.int_const(shift))
    return [Vector(ops, column) for column in ops.look_up(table, index)]


def power_of_two(shifted: Vector) -> Vector:
    """Return 2ⁿ, where `shifted` = n + bias + 1.5·2^(mantissa bits) holds n + bias in its low bits.

    They become the exponent field, so n has to stay within the normal range.
    """
    ops = shifted.ops
    as_int = ops.builder.bitcast(shifted.value, ops.int_type)
    moved = ops.builder.shl(as_int, ops.int_const(23 if ops.bits == 32 else 52))
    return Vector(ops, ops.builder.bitcast(moved, ops.type))
