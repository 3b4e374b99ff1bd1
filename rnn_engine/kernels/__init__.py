"""Kernels: arrays in, arrays out, compiled by Numba; they know nobody above them."""
