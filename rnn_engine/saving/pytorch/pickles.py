"""`.pt`: what `torch.save` writes, read without PyTorch and without running anything.

A zip archive of ``data.pkl``, a program for Python's pickle machine, and one member a
storage, ``data/0``, ``data/1``, ... The machine here knows the instructions that build
dicts, lists, tuples, numbers and texts, and a few names that it may ask for: `OrderedDict`,
the storages, and the functions that make a tensor of a storage. It calls nothing: each
name stands for what is done here. All else is refused.
"""

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rnn_engine.saving.archive import Archive
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.stored import Stored

_STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "u2",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
_ORDERED_DICT = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_PARAMETER = "torch._utils _rebuild_parameter"
# What checkpoints hold beside weights; nobody looks at it.
_SIZE, _DEVICE = "torch Size", "torch device"
_TYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"
)  # fmt: skip
_NAMES = {
    _ORDERED_DICT, _TENSOR, _PARAMETER, _SIZE, _DEVICE,
    *(f"torch {name}" for name in (*_STORAGES, *_TYPES)),
}  # fmt: skip
_PROGRAM = "/data.pkl"
_MOST_NUMBERS = 64  # of a tensor's offset, shape and strides
_MOST_PROGRAM = 1 << 24  # bytes; a tensor takes about 70
_MARK = object()


@dataclass(frozen=True)
class _Name:
    """A name that the program asks for; it is never looked up."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A member of the archive, as numbers of one type."""

    member: str
    kind: str
    count: int


def is_torch(archive: Archive) -> bool:
    """Whether an archive is one of `torch.save`."""
    return any(name.endswith(_PROGRAM) for name in archive.names)


def content_of(archive: Archive) -> Any:
    """Return what was saved: dicts and lists, with a `Stored` for each tensor.

    Raises
    ------
    ValueError
        If the file is damaged, or holds anything else.
    """
    source = archive.source
    programs = [name for name in archive.names if name.endswith(_PROGRAM)]
    if len(programs) != 1:
        raise RefusedError(f"{source} has {len(programs)} members data.pkl; torch.save writes one.")
    folder = programs[0].removesuffix(_PROGRAM)
    if any(name.startswith(f"{folder}/code/") for name in archive.names):
        raise RefusedError(
            f"{source} is a TorchScript program. Save the weights alone: "
            f"torch.save(module.state_dict(), path)."
        )
    little = True
    if f"{folder}/byteorder" in archive.names:
        little = {b"little": True, b"big": False}[archive.text(f"{folder}/byteorder")]
    if (size := archive.info(programs[0]).file_size) > _MOST_PROGRAM:
        raise RefusedError(f"{source}: {programs[0]} is of {size} bytes; it is not read.")
    return _Machine(archive, folder, little).run(archive.text(programs[0]))


class _Machine:
    """The stack machine of pickles, as far as tensors need it."""

    def __init__(self, archive: Archive, folder: str, little: bool) -> None:
        self.archive, self.folder, self.little = archive, folder, little
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.seekable = cache(archive.seekable)  # its checksum is looked at once

    def run(self, program: bytes) -> Any:
        """Return what the program leaves on the stack."""
        for instruction, argument, _ in pickletools.genops(program):
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            if name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name]())
            elif name in _LITERALS:
                self.stack.append(argument)
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in ("PROTO", "FRAME"):
                raise self.refusal(f"the instruction {name}")
        raise RefusedError(f"{self.archive.source} is damaged: its program does not end.")

    def refusal(self, what: str) -> RefusedError:
        """Return the error for what no file of weights needs."""
        return RefusedError(
            f"{self.archive.source} holds {what}, which a file of weights does not need; nothing "
            f"in it is run. Save the weights alone: torch.save(module.state_dict(), path)."
        )

    def marked(self) -> list[Any]:
        """Return what lies above the last mark, and take both away."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:  # an IndexError where there is none
            at -= 1
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def ask(self, name: str) -> None:
        """Put a name on the stack, if it is of the table."""
        if name not in _NAMES:
            raise self.refusal(f"the name {name.replace(' ', '.')!r}")
        self.stack.append(_Name(name))

    def tuple_of(self, count: int) -> None:
        """Make the last entries a tuple."""
        items = tuple(self.stack[len(self.stack) - count :])
        if len(items) != count:
            raise IndexError("too few entries")
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    def fill_dict(self, items: list[Any]) -> None:
        """Put keys and values into the dict on the stack."""
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise self.refusal("entries of what is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int | float | None):
                raise self.refusal(f"a key of type {type(key).__name__}")
            target[key] = value

    def fill_list(self, items: list[Any]) -> None:
        """Put entries into the list on the stack."""
        if type(self.stack[-1]) is not list:
            raise self.refusal("entries of what is no list")
        self.stack[-1].extend(items)

    def build(self) -> None:
        """Forget what is set on a dict beside its entries: the versions of modules."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise self.refusal("a state of what is no dict")

    def call(self) -> None:
        """Do what one of the names stands for."""
        arguments, called = self.stack.pop(), self.stack.pop()
        name = called.name if isinstance(called, _Name) else None
        if name == _ORDERED_DICT and arguments == ():
            self.stack.append({})
        elif name == _TENSOR and isinstance(arguments, tuple) and len(arguments) in (6, 7):
            self.stack.append(self.tensor(*arguments[:4]))
        elif name == _PARAMETER and isinstance(arguments, tuple) and len(arguments) == 3:
            if not isinstance(arguments[0], Stored):
                raise self.refusal("a parameter that is no tensor")
            self.stack.append(arguments[0])
        elif name == _SIZE and isinstance(arguments, tuple) and len(arguments) == 1:
            self.stack.append(arguments[0])
        elif name == _DEVICE and isinstance(arguments, tuple):
            self.stack.append(None)
        else:
            raise self.refusal(f"a call of {name or type(called).__name__}")

    def storage(self) -> None:
        """Find the storage that a tuple names."""
        match self.stack.pop():
            case ("storage", _Name(name), str(key), str(), int(count)) if count >= 0:
                kind = name.removeprefix("torch ")
            case _:
                raise self.refusal("a reference to what is no storage")
        if kind not in _STORAGES:
            raise self.refusal(f"a storage of type {kind}")
        member = f"{self.folder}/data/{key}"
        size = self.archive.info(member).file_size
        if count * np.dtype(_STORAGES[kind]).itemsize > size:
            raise RefusedError(
                f"{self.archive.source} is damaged: {member} has {size} bytes for {count} of "
                f"{kind}."
            )
        self.stack.append(_Storage(member, kind, count))

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> Stored:
        """Return a tensor of a storage, which must hold as many numbers of its own."""
        source = f"a tensor of {getattr(storage, 'member', None)} in {self.archive.source}"
        numbers = (offset, *shape, *strides)
        plain = len(numbers) < _MOST_NUMBERS and all(type(n) is int and n >= 0 for n in numbers)
        if not isinstance(storage, _Storage) or not plain:
            raise RefusedError(f"{source} is damaged: its shape is none.")
        count = math.prod(shape)
        steps = zip(shape, strides, strict=True)
        span = 1 + sum((n - 1) * step for n, step in steps) if count else 0
        if count > storage.count or offset + span > storage.count:
            raise RefusedError(
                f"{source} is damaged: shape {shape} by {strides} from {offset} on, of "
                f"{storage.count} numbers."
            )
        half = storage.kind == "BFloat16Storage"
        raw = np.dtype(_STORAGES[storage.kind]).newbyteorder("<" if self.little else ">")
        places = tuple(step * raw.itemsize for step in strides)

        def fill(target: np.ndarray) -> None:
            self.archive.budget.take(target.nbytes + span * raw.itemsize, storage.member)
            dense = count == span and target.strides == places and not half
            numbers = target.reshape(-1) if dense else np.empty(span, raw)
            window = self.seekable(storage.member)
            window.seek(offset * raw.itemsize)
            if window.readinto(numbers.view("u1")) != numbers.nbytes:
                raise RefusedError("the numbers end too early.")
            if dense:
                return
            view = np.lib.stride_tricks.as_strided(numbers, shape, places, writeable=False)
            target[...] = (view.astype("u4") << 16).view("f4") if half else view

        return Stored(tuple(shape), np.dtype("f4") if half else raw, source, fill, count)


_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": lambda: (),
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE",
}  # fmt: skip
_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "BINPUT": lambda m, i: m.memo.__setitem__(i, m.stack[-1]),
    "LONG_BINPUT": lambda m, i: m.memo.__setitem__(i, m.stack[-1]),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "LONG_BINGET": lambda m, i: m.stack.append(m.memo[i]),
    "GLOBAL": lambda m, name: m.ask(name),
    "STACK_GLOBAL": lambda m, _: m.ask(" ".join((str(m.stack.pop(-2)), str(m.stack.pop())))),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.marked())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "APPEND": lambda m, _: m.fill_list([m.stack.pop()]),
    "APPENDS": lambda m, _: m.fill_list(m.marked()),
    "SETITEM": lambda m, _: m.fill_dict([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.fill_dict(m.marked()),
    "BUILD": lambda m, _: m.build(),
    "REDUCE": lambda m, _: m.call(),
    "BINPERSID": lambda m, _: m.storage(),
}
