"""Ops of matrices: products, norms, decompositions, solutions."""

from typing import Any

import numpy as np

from rnn_engine.config import epsilon as default_epsilon
from rnn_engine.graph.operation import is_symbolic
from rnn_engine.ops.dispatch import OPS, dtype_of, make, op, promote, to_array, to_float, to_floats

_linalg: Any = np.linalg  # whose annotations want literals


@op(2)
def matmul(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the product of matrices. Mirrors `keras.ops.matmul`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    if x1.ndim and x2.ndim and x1.shape[-1] != x2.shape[-2 if x2.ndim > 1 else -1]:
        raise ValueError(
            f"Inner dimensions (`x1.shape[-1]` and `x2.shape[-2]`) must be equal, but received "
            f"`x1.shape={x1.shape}` and `x2.shape={x2.shape}`."
        )
    return xp.matmul(x1, x2)


@op(2)
def dot(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the sum product over x1's last and x2's last but one axis. Mirrors `keras.ops.dot`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    return xp.dot(x1, x2)


@op(2)
def vdot(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the product of two flat tensors. Mirrors `keras.ops.vdot`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    return xp.sum(xp.reshape(x1, (-1,)) * xp.reshape(x2, (-1,)))


@op(2)
def inner(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the sum product over the last axes. Mirrors `keras.ops.inner`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    if x1.ndim == 0 or x2.ndim == 0:
        return x1 * x2
    return xp.tensordot(x1, x2, axes=([-1], [-1]))


@op(2)
def outer(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the products of all pairs. Mirrors `keras.ops.outer`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    return xp.reshape(x1, (-1, 1)) * xp.reshape(x2, (1, -1))


@op(2)
def kron(xp: Any, x1: Any, x2: Any) -> Any:
    """Return the Kronecker product. Mirrors `keras.ops.kron`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    ndim = max(x1.ndim, x2.ndim)
    first = (1,) * (ndim - x1.ndim) + tuple(x1.shape)
    second = (1,) * (ndim - x2.ndim) + tuple(x2.shape)
    a = xp.reshape(x1, [n for size in first for n in (size, 1)])
    b = xp.reshape(x2, [n for size in second for n in (1, size)])
    return xp.reshape(a * b, [m * n for m, n in zip(first, second, strict=True)])


@op(2)
def cross(
    xp: Any, x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1,
    axis: int | None = None,
) -> Any:  # fmt: skip
    """Return the cross product of vectors. Mirrors `keras.ops.cross`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = xp.moveaxis(x1, axisa, -1), xp.moveaxis(x2, axisb, -1)
    p, q = ([v[..., i] if i < v.shape[-1] else v[..., 0] * 0 for i in range(3)] for v in (a, b))
    last = p[0] * q[1] - p[1] * q[0]
    if a.shape[-1] == b.shape[-1] == 2:
        return last
    parts = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], last]
    return xp.stack(parts, axis=axisc)


@op(2)
def tensordot(xp: Any, x1: Any, x2: Any, axes: Any = 2) -> Any:
    """Return the sum product over axes. Mirrors `keras.ops.tensordot`."""
    x1, x2 = promote(to_array(x1), to_array(x2))
    if not isinstance(axes, int):
        axes = [list(np.atleast_1d(side)) for side in axes]
    return xp.tensordot(x1, x2, axes=axes)


@op()
def trace(xp: Any, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the sums of diagonals. Mirrors `keras.ops.trace`."""
    return xp.sum(_diagonal(xp, to_array(x), offset, axis1, axis2), axis=-1)


@op()
def diagonal(xp: Any, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return diagonals. Mirrors `keras.ops.diagonal`."""
    return _diagonal(xp, to_array(x), offset, axis1, axis2)


def _diagonal(xp: Any, x: Any, offset: int, axis1: int, axis2: int) -> Any:
    x = xp.moveaxis(x, (axis1, axis2), (-2, -1))
    places = np.arange(max(x.shape[-2:]))
    rows, columns = places - min(offset, 0), places + max(offset, 0)
    inside = (rows < x.shape[-2]) & (columns < x.shape[-1])
    return x[..., rows[inside], columns[inside]]


@op()
def norm(xp: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return norms of vectors or matrices. Mirrors `keras.ops.norm`."""
    x = to_float(x)
    axes = tuple(range(x.ndim)) if axis is None else tuple(int(a) for a in np.atleast_1d(axis))
    if len(axes) > 2 and not (axis is None and ord is None):
        raise ValueError(f"Invalid axis values. Received: axis={axes}")
    if len(axes) == 1 and isinstance(ord, str):
        raise ValueError(f"Invalid `ord` argument for vector norm. Received: ord={ord}")
    if ord is None or (len(axes) == 1 and ord == 2) or ord == "fro":
        return xp.sqrt(xp.sum(xp.square(x), axis=axes, keepdims=keepdims))
    if len(axes) == 1:
        size = xp.abs(x)
        if ord == np.inf:
            return xp.max(size, axis=axes, keepdims=keepdims)
        if ord == -np.inf:
            return xp.min(size, axis=axes, keepdims=keepdims)
        if ord == 0:
            return np.sum(np.asarray(x) != 0, axis=axes, keepdims=keepdims).astype(dtype_of(x))
        if ord == 1:
            return xp.sum(size, axis=axes, keepdims=keepdims)
        powers = xp.sum(xp.power(size, float(ord)), axis=axes, keepdims=keepdims)
        return xp.power(powers, 1.0 / ord)
    return _matrix_norm(xp, x, ord, axes, keepdims)


def _matrix_norm(xp: Any, x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = (a % x.ndim for a in axes)
    if ord in (1, -1, np.inf, -np.inf):
        first, second = (row, column) if abs(ord) == 1 else (column, row)
        sums = xp.sum(xp.abs(x), axis=first, keepdims=True)
        found = (xp.max if ord > 0 else xp.min)(sums, axis=second, keepdims=True)
    elif ord in (2, -2, "nuc"):
        values = xp.linalg.svd(xp.moveaxis(x, (row, column), (-2, -1)), False)[1]
        reduce = {2: xp.max, -2: xp.min, "nuc": xp.sum}[ord]
        found = reduce(values, axis=-1)
        for place in sorted((row, column)):
            found = xp.expand_dims(found, place)
    else:
        raise ValueError(f"Invalid `ord` argument for matrix norm. Received: ord={ord}")
    return found if keepdims else xp.squeeze(found, axis=(row, column))


@op()
def normalize(xp: Any, x: Any, axis: int = -1, order: Any = 2, epsilon: float | None = None) -> Any:
    """Return vectors over their norms. Mirrors `keras.ops.normalize`."""
    x = to_float(x)
    limit = dtype_of(x).type(default_epsilon() if epsilon is None else epsilon)
    if order == 2:
        squares = xp.sum(xp.square(x), axis=axis, keepdims=True)
        return x / xp.sqrt(xp.maximum(squares, limit * limit))
    size = xp.abs(x)
    if order == np.inf:
        found = xp.max(size, axis=axis, keepdims=True)
    else:
        found = xp.power(
            xp.sum(xp.power(size, float(order)), axis=axis, keepdims=True), 1.0 / order
        )
    return x / xp.maximum(found, limit)


# --- decompositions and solutions -------------------------------------------------------------


def _simple(name: str, pair: bool, text: str) -> None:
    def function(xp: Any, x: Any) -> Any:
        found = getattr(xp.linalg, name)(to_float(x))
        return (found[0], found[1]) if pair else found

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text} Mirrors `keras.ops.{name}`."
    op()(function)


for _row in (
    ("inv", False, "Return the inverse."),
    ("det", False, "Return the determinant."),
    ("slogdet", True, "Return sign and logarithm of the determinant."),
    ("eig", True, "Return eigenvalues and eigenvectors."),
    ("eigh", True, "Return eigenvalues and eigenvectors of a symmetric matrix."),
):
    _simple(*_row)


@op()
def logdet(xp: Any, x: Any) -> Any:
    """Return the logarithm of the determinant. Mirrors `keras.ops.logdet`."""
    return xp.linalg.slogdet(to_float(x))[1]


def _must_be_square(*matrices: Any) -> None:
    for x in matrices:
        if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
            raise ValueError(
                f"Expected a square matrix. Received non-square input with shape {x.shape}"
            )


@op()
def cholesky(xp: Any, x: Any, upper: bool = False) -> Any:
    """Return the triangular root of a matrix. Mirrors `keras.ops.cholesky`."""
    x = to_float(x)
    _must_be_square(x)
    found = xp.linalg.cholesky(x)
    return xp.swapaxes(found, -1, -2) if upper else found


@op()
def cholesky_inverse(xp: Any, x: Any, upper: bool = False) -> Any:
    """Return the inverse of a matrix of its triangular root. Mirrors Keras's op of that name."""
    x = xp.triu(to_float(x)) if upper else xp.tril(to_float(x))
    other = xp.swapaxes(x, -1, -2)
    return xp.linalg.inv(xp.matmul(other, x) if upper else xp.matmul(x, other))


@op()
def qr(xp: Any, x: Any, mode: str = "reduced") -> tuple[Any, Any]:
    """Return an orthogonal and a triangular factor. Mirrors `keras.ops.qr`."""
    return tuple(_linalg.qr(np.asarray(to_float(x)), mode=mode))


@op()
def svd(xp: Any, x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return singular values, and vectors. Mirrors `keras.ops.svd`."""
    x = to_float(x)
    if xp is np:
        found = _linalg.svd(x, full_matrices, compute_uv)
        return tuple(found) if compute_uv else found
    found = xp.linalg.svd(x, full_matrices)
    return tuple(found) if compute_uv else found[1]


@op()
def pinv(xp: Any, x: Any, rcond: Any = None) -> Any:
    """Return the pseudo-inverse. Mirrors `keras.ops.pinv`."""
    return xp.linalg.pinv(to_float(x), **({} if rcond is None else {"rcond": rcond}))


@op()
def matrix_rank(xp: Any, x: Any, tol: Any = None) -> Any:
    """Return the rank. Mirrors `keras.ops.matrix_rank`."""
    return np.asarray(np.linalg.matrix_rank(np.asarray(to_float(x)), tol), np.int32)


@op(2)
def solve(xp: Any, a: Any, b: Any) -> Any:
    """Return the solution of linear equations. Mirrors `keras.ops.solve`."""
    a, b = to_floats(a, b)
    _must_be_square(a)
    return _solution(xp, a, b)


@op(2)
def solve_triangular(xp: Any, a: Any, b: Any, lower: bool = False) -> Any:
    """Return the solution of triangular equations. Mirrors `keras.ops.solve_triangular`."""
    a, b = to_floats(a, b)
    return _solution(xp, xp.tril(a) if lower else xp.triu(a), b)


def _solution(xp: Any, a: Any, b: Any) -> Any:
    """Return the solution for the columns of `b`, or for a vector of each matrix."""
    if b.ndim == a.ndim - 1:
        return xp.linalg.solve(a, b[..., None])[..., 0]
    return xp.linalg.solve(a, b)


@op(2)
def lstsq(xp: Any, a: Any, b: Any, rcond: Any = None) -> Any:
    """Return the solution of least squares. Mirrors `keras.ops.lstsq`."""
    a, b = to_floats(a, b)
    return np.linalg.lstsq(np.asarray(a), np.asarray(b), rcond)[0]


@op(2)
def cdist(xp: Any, x: Any, y: Any) -> Any:
    """Return the distances of all pairs of rows. Mirrors `keras.ops.cdist`."""
    x, y = to_floats(x, y)
    away = xp.expand_dims(x, -2) - xp.expand_dims(y, -3)
    return xp.sqrt(xp.sum(xp.square(away), axis=-1))


def _of_operands(xp: Any, operands: Any, subscripts: str) -> Any:
    operands = promote(*map(to_array, operands))
    if xp is np:
        return np.einsum(subscripts, *operands, optimize=len(operands) > 2)
    return xp.einsum(subscripts, *operands)


_einsum = make(_of_operands, many=True)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """Return the sum product that `subscripts` says. Mirrors `keras.ops.einsum`.

    Examples
    --------
    >>> einsum("ij,kj->ik", np.eye(2), np.array([[1.0, 2.0]]))
    array([[1.],
           [2.]])
    """
    if is_symbolic(*operands):
        from rnn_engine.ops.symbolic import symbolic_call

        return symbolic_call("einsum", (subscripts, *operands), {})
    return _einsum(list(operands), subscripts.replace(" ", ""))


OPS["einsum"] = einsum
