"""Call every kernel of the library with arguments that do not fit: each is refused, none crashes.

Kernels are never called with arguments that fit: those that this makes up would send them astray.
"""

import itertools
import json

import numpy as np

from rnn_engine.kernels import library


class Indexed:
    def __index__(self):
        raise RuntimeError("asked")


class Double(float):
    pass


def array(kind, size, axes, strided, readonly, scalar):
    made = np.zeros((2,) * int(axes), f"{kind}{size}")
    if strided == "*":
        made = np.zeros((*made.shape[1:], 4), made.dtype)[..., ::2]
    if readonly == "r":
        made.flags.writeable = False
    return made


def right(letters):
    kind, size, *_, scalar = letters
    if scalar != ".":
        return array(*letters)
    return {"b": True, "i": 1, "u": 1, "f": 1.5 if size == "8" else np.float32(1.5)}[kind]


def fits(letters, value):
    kind, size, axes, strided, readonly, scalar = letters
    if scalar == ".":
        if kind == "b":
            return isinstance(value, (bool, np.bool_))
        if kind == "f":
            return isinstance(value, (int, float, np.floating))
        return isinstance(value, (int, np.integer))
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(f"{kind}{size}"):
        return False
    return (
        value.ndim == int(axes)
        and value.flags.aligned
        and (strided == "*" or value.flags.c_contiguous)
        and (readonly == "r" or value.flags.writeable or not value.size)
    )


floats = np.zeros((3, 4), "f4")
locked = np.zeros(3, "f4")
locked.flags.writeable = False
odd = np.zeros(33, "u1")[1:].view("f4")
# fmt: off
WRONG = [
    None, "text", b"bytes", 1j, [], (), {}, object(), Indexed(), float, type, ..., "", [[1.0]],
    1, -1, 1.5, Double(1), True, float("nan"), np.True_, np.float32(1), np.float64(1), np.int8(1),
    np.complex64(1), np.str_("a"), np.datetime64(1, "s"), np.float16(1), np.longdouble(1),
    memoryview(b"abcd"), np.zeros(2, [("a", "f4")]), np.ma.zeros((2, 2)),
    *(floats.astype(k) for k in ["f2", ">f4", "c8", "O", "i4", "u8", "?", "S4", "M8[s]", "g"]),
    floats.T, floats[:, ::2], floats[::-1], floats[0, ::-1], locked, odd,
    np.zeros(()), np.zeros((), "f4"), np.zeros((1,) * 12, "f4"), np.zeros((0,), "f8"),
    np.zeros((0, 0)), np.zeros((0, 3), "i8"), np.zeros((2, 2, 2), "f4"),
    np.broadcast_to(np.float32(1), (3, 3)),
]
# fmt: on
HUGE = [2**32, 2**63, -(2**63) - 1, 2**64, np.uint64(2**64 - 1), 10**400, -(10**400)]


def pieces(letters):
    return [letters[i : i + 6] for i in range(0, len(letters), 6)]


class Refusals:
    """Calls of one kernel with what fits none of its variants."""

    def __init__(self, name, variants):
        self.name, self.variants, self.count = name, variants, 0
        self.kernel = library.chosen().kernel(name, __name__)

    def matches(self, values):
        return any(
            len(values) == len(variant) and all(map(fits, variant, values))
            for variant in self.variants
        )

    def call(self, values, keywords=None, even_if_it_fits=False):
        if not keywords and not even_if_it_fits and self.matches(values):
            return
        self.count += 1
        try:
            self.kernel(*values, **(keywords or {}))
        except TypeError as error:
            if self.name not in str(error):
                raise AssertionError(f"{self.name} is not named") from error
        else:
            raise AssertionError(f"{self.name} took {values}")

    def try_all(self, random):
        for variant in self.variants:
            good = [right(letters) for letters in variant]
            assert self.matches(good)
            for place, value in itertools.product(range(len(good)), WRONG):
                self.call([*good[:place], value, *good[place + 1 :]])
            for place, value in itertools.product(range(len(good)), HUGE):
                if too_large(variant[place], value):
                    values = [*good[:place], value, *good[place + 1 :]]
                    self.call(values, even_if_it_fits=True)
            for count in {*range(len(good)), len(good) + 1, 30, 1000}:
                self.call((good * 1000)[:count])
        for count in random.integers(0, 26, 100):
            self.call([WRONG[i] for i in random.integers(0, len(WRONG), count)])
        for keywords in ({"x": 1}, {"task": 0, "tasks": 1}):
            self.call([], keywords)


def too_large(letters, value):
    """Whether a parameter cannot hold a number; one that takes an array holds none."""
    if letters[5] != "." or letters[0] == "b":
        return True
    if letters[0] == "f":
        return abs(int(value)) > int(np.finfo("f8").max)
    return not (0 <= value < 2**32 if letters[0] == "u" else -(2**63) <= value < 2**63)


def main():
    """Try every kernel; return how many calls were refused."""
    index = json.loads((library.FOLDER / "index.json").read_text())["kernels"]
    random, count = np.random.default_rng(7), 0
    for name, rows in index.items():
        kernel = Refusals(name, [pieces(letters) for _, letters, _ in rows])
        kernel.try_all(random)
        count += kernel.count
    return count
