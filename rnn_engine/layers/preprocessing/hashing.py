"""The string hashes by which Keras spreads unknown tokens over several indices.

FarmHash's Fingerprint64 without a salt, SipHash-2-4 with one, both as
TensorFlow computes them, so that a trained embedding keeps its meaning.

References
----------
FarmHash, https://github.com/google/farmhash ;
Aumasson and Bernstein, SipHash, 2012, https://www.aumasson.jp/siphash/siphash.pdf
"""

import struct

_MASK = (1 << 64) - 1
_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F


def hashed(data: bytes, salt: tuple[int, int] | None) -> int:
    """Return the hash by which unknown tokens are spread, that of the salt if there is one."""
    return fingerprint64(data) if salt is None else siphash64(data, salt)


def fingerprint64(data: bytes) -> int:
    """Return FarmHash's 64-bit fingerprint.

    Examples
    --------
    >>> fingerprint64(b"")
    11160318154034397263
    """
    n = len(data)
    if n <= 16:
        return _up_to_16(data)
    if n <= 32:
        mul = (_K2 + 2 * n) & _MASK
        a, b = _word(data, 0) * _K1, _word(data, 8)
        c, d = _word(data, n - 8) * mul, _word(data, n - 16) * _K2
        return _mix(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, mul)
    if n <= 64:
        return _up_to_64(data)
    return _long(data)


def siphash64(data: bytes, key: tuple[int, int]) -> int:
    """Return SipHash-2-4 of `data` under a key of two 64-bit integers."""
    k0, k1 = key[0] & _MASK, key[1] & _MASK
    state = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    whole = len(data) // 8 * 8
    tail = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
    for (word,) in struct.iter_unpack("<Q", data[:whole] + tail):
        state[3] ^= word
        _sip_rounds(state, 2)
        state[0] ^= word
    state[2] ^= 0xFF
    _sip_rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_rounds(state: list[int], rounds: int) -> None:
    a, b, c, d = state
    for _ in range(rounds):
        a = (a + b) & _MASK
        c = (c + d) & _MASK
        b = _left(b, 13) ^ a
        d = _left(d, 16) ^ c
        a = _left(a, 32)
        c = (c + b) & _MASK
        a = (a + d) & _MASK
        b = _left(b, 17) ^ c
        d = _left(d, 21) ^ a
        c = _left(c, 32)
    state[:] = a, b, c, d


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _half(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _rotate(value: int, by: int) -> int:
    value &= _MASK
    return ((value >> by) | (value << (64 - by))) & _MASK


def _left(value: int, by: int) -> int:
    return _rotate(value, 64 - by)


def _shift_mix(value: int) -> int:
    value &= _MASK
    return value ^ (value >> 47)


def _mix(u: int, v: int, mul: int) -> int:
    a = _shift_mix((u ^ v) * mul)
    b = _shift_mix((v ^ a) * mul)
    return (b * mul) & _MASK


def _up_to_16(data: bytes) -> int:
    n = len(data)
    mul = (_K2 + 2 * n) & _MASK
    if n >= 8:
        a, b = _word(data, 0) + _K2, _word(data, n - 8)
        c = _rotate(b, 37) * mul + a
        d = (_rotate(a, 25) + b) * mul
        return _mix(c, d, mul)
    if n >= 4:
        return _mix(n + (_half(data, 0) << 3), _half(data, n - 4), mul)
    if n:
        y = data[0] + (data[n >> 1] << 8)
        z = n + (data[n - 1] << 2)
        return (_shift_mix(y * _K2 ^ z * _K0) * _K2) & _MASK
    return _K2


def _up_to_64(data: bytes) -> int:
    n = len(data)
    mul = (_K2 + 2 * n) & _MASK
    a, b = _word(data, 0) * _K2, _word(data, 8)
    c, d = _word(data, n - 8) * mul, _word(data, n - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y & _MASK, (a + _rotate(b + _K2, 18) + c) & _MASK, mul)
    e, f = _word(data, 16) * mul, _word(data, 24)
    g = (y + _word(data, n - 32)) * mul
    h = (z + _word(data, n - 24)) * mul
    return _mix(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, mul)


def _weak(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    total = a + x + y
    b += _rotate(total, 44)
    return (total + z) & _MASK, (b + a) & _MASK


def _long(data: bytes) -> int:
    seed = 81
    x, y = seed, (seed * _K1 + 113) & _MASK
    z = (_shift_mix(y * _K2 + 113) * _K2) & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(data, 0)) & _MASK
    last = (len(data) - 1) // 64 * 64
    for at in range(0, last, 64):
        x = (_rotate(x + y + v[0] + _word(data, at + 8), 37) * _K1) & _MASK
        y = (_rotate(y + v[1] + _word(data, at + 48), 42) * _K1) & _MASK
        x ^= w[1]
        y = (y + v[0] + _word(data, at + 40)) & _MASK
        z = (_rotate(z + w[0], 33) * _K1) & _MASK
        v = _weak(data, at, v[1] * _K1, x + w[0])
        w = _weak(data, at + 32, z + w[1], y + _word(data, at + 16))
        z, x = x, z
    mul = (_K1 + ((z & 0xFF) << 1)) & _MASK
    at = len(data) - 64
    w = (w[0] + ((len(data) - 1) & 63)) & _MASK, w[1]
    v = (v[0] + w[0]) & _MASK, v[1]
    w = (w[0] + v[0]) & _MASK, w[1]
    x = (_rotate(x + y + v[0] + _word(data, at + 8), 37) * mul) & _MASK
    y = (_rotate(y + v[1] + _word(data, at + 48), 42) * mul) & _MASK
    x ^= (w[1] * 9) & _MASK
    y = (y + v[0] * 9 + _word(data, at + 40)) & _MASK
    z = (_rotate(z + w[0], 33) * mul) & _MASK
    v = _weak(data, at, v[1] * mul, x + w[0])
    w = _weak(data, at + 32, z + w[1], y + _word(data, at + 16))
    z, x = x, z
    return _mix(
        (_mix(v[0], w[0], mul) + _shift_mix(y) * _K0 + z) & _MASK,
        (_mix(v[1], w[1], mul) + x) & _MASK,
        mul,
    )
