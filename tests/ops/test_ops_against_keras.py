"""Every op beside `keras.ops` on TensorFlow: values, types and gradients."""

import inspect
import zlib
from typing import Any

import numpy as np
import pytest

from rnn_engine import GradientTape, ops
from rnn_engine.ops.dispatch import OPS
from tests.ops.cases import APART, CASES, EINSUMS, MAKERS, NO_GRADIENT, Of

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

SEEDS = 2
TOLERANCE = 2e-5


def test_every_op_has_a_case() -> None:
    assert set(OPS) == {*CASES, *MAKERS, *APART}


@pytest.mark.parametrize("name", sorted(OPS))
def test_signature(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(lib, name)) for lib in (ops, keras.ops))
    wanted = [
        p for p in theirs.parameters.values() if p.kind is not p.VAR_KEYWORD or name == "einsum"
    ]
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in wanted
    ]


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32


def close(ours: Any, theirs: Any, what: str) -> None:
    a, b = np.asarray(ours), np.asarray(theirs)
    assert a.shape == b.shape, what
    finite = b[np.isfinite(b)] if b.dtype.kind == "f" else b
    scale = max(1.0, float(np.abs(finite).max(initial=0))) if b.dtype.kind in "fiu" else 1.0
    np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=what)


def compare(name: str, args: tuple[Any, ...]) -> None:
    function, theirs = getattr(ops, name), getattr(keras.ops, name)
    many = isinstance(args[0], list)
    tensors = args[0] if many else [a for a in args if is_tensor(a)]
    ours_in = [ops.convert_to_tensor(a) for a in tensors]
    their_in = [tf.constant(a) for a in tensors]

    def filled(values: list[Any]) -> list[Any]:
        if many:
            return [values, *args[1:]]
        following = iter(values)
        return [next(following) if is_tensor(a) else a for a in args]

    plain = function(*args)
    with GradientTape() as tape:
        tape.watch(ours_in)
        found = function(*filled(ours_in))
    with tf.GradientTape() as their_tape:
        their_tape.watch(their_in)
        expected = theirs(*filled(their_in))
    floats, slopes = [], []
    rng = np.random.default_rng(1)
    for i, (p, a, b) in enumerate(zip(flat(plain), flat(found), flat(expected), strict=True)):
        if not hasattr(b, "dtype"):
            assert p == a == b
            continue
        close(p, b, f"{name}{i} of arrays")
        close(a, b, f"{name}{i} recorded")
        assert np.asarray(p).dtype == np.asarray(b).dtype, (name, p.dtype, b.dtype)
        assert np.asarray(a).dtype == np.asarray(b).dtype, (name, a.dtype, b.dtype)
        if np.asarray(b).dtype.kind == "f":
            floats.append(i)
            slopes.append(rng.normal(size=np.shape(b)).astype(np.asarray(b).dtype))
    if not tensors or not floats or name in NO_GRADIENT:
        return
    if name in ("convert_to_numpy", "dtype", "shape", "size", "ndim", "is_tensor"):
        return
    gradients = tape.gradient([flat(found)[i] for i in floats], ours_in, slopes)
    with tf.GradientTape() as their_tape:
        their_tape.watch(their_in)
        outputs = [flat(theirs(*filled(their_in)))[i] for i in floats]
    wanted = their_tape.gradient(outputs, their_in, [tf.constant(s) for s in slopes])
    for i, (a, b) in enumerate(zip(gradients, wanted, strict=True)):
        if b is None or (a is None and not np.any(np.asarray(b))):
            assert a is None or not np.any(np.asarray(a)), f"gradient {i} of {name}"
            continue
        assert a is not None, f"gradient {i} of {name}"
        close(a, tf.convert_to_tensor(b), f"gradient {i} of {name}")


@pytest.mark.parametrize("name", sorted(CASES))
def test_op(name: str) -> None:
    for seed in range(SEEDS):
        for place, case in enumerate(CASES[name]):
            rng = np.random.default_rng([seed, place, zlib.crc32(name.encode())])
            compare(name, case(Of(rng)))


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_maker(name: str) -> None:
    for args in MAKERS[name]:
        pairs = zip(
            flat(getattr(ops, name)(*args)), flat(getattr(keras.ops, name)(*args)), strict=True
        )
        for a, b in pairs:
            close(a, b, name)
            assert np.asarray(a).dtype == np.asarray(b).dtype, (name, args)


@pytest.mark.parametrize("subscripts", EINSUMS)
def test_einsum(subscripts: str) -> None:
    rng = np.random.default_rng(3)
    sizes = dict.fromkeys("ijkbth", 3)
    parts = subscripts.split("->")[0].split(",")
    operands = [
        rng.normal(size=[2] * ("..." in part) + [sizes[c] for c in part.strip(".")]).astype(
            "float32"
        )
        for part in parts
    ]
    ours, theirs = [ops.convert_to_tensor(o) for o in operands], [tf.constant(o) for o in operands]
    with GradientTape() as tape:
        tape.watch(ours)
        found = ops.einsum(subscripts, *ours)
    with tf.GradientTape() as their_tape:
        their_tape.watch(theirs)
        expected = keras.ops.einsum(subscripts, *theirs)
    close(found, expected, subscripts)
    for a, b in zip(tape.gradient(found, ours), their_tape.gradient(expected, theirs), strict=True):
        close(a, b, f"gradient of {subscripts}")
