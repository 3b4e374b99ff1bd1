"""Keras on TensorFlow, compiled by XLA (`jit_compile=True`)."""

from __future__ import annotations

from benchmarks.peers import keras_graph


class Adapter(keras_graph.Adapter):
    """`tf.keras` with `jit_compile=True` everywhere."""

    jit = True
