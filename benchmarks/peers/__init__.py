"""The peers: one table, one small adapter each.

A new peer is one row in `PEERS` and one module beside this file with a class
`Adapter` that derives from `peers.base.Base`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

ENGINE = "engine"
# The engine with kernels that Numba compiles, where there is a library of them.
JIT = "engine-jit"


@dataclass(frozen=True)
class Peer:
    """What is known of a side without importing it.

    Attributes
    ----------
    key : str
        Name on the command line and in the JSON file.
    label : str
        Name in tables and charts.
    module : str
        Adapter module below `benchmarks.peers`.
    imports : tuple of str
        Packages that have to be there.
    versions : tuple of str
        Distributions whose versions are printed.
    color : str
        Color in the chart.
    start : str
        What a program types to get at it, for the import figures.
    settings : tuple of (name, value)
        Environment variables of its processes.
    asked : bool
        Whether it takes part only where `--peers` names it.
    """

    key: str
    label: str
    module: str
    imports: tuple[str, ...]
    versions: tuple[str, ...]
    color: str
    start: str
    settings: tuple[tuple[str, str], ...] = ()
    asked: bool = False

    def missing(self) -> list[str]:
        """Return the packages that are not installed."""
        return [name for name in self.imports if importlib.util.find_spec(name) is None]


_TF = (("tensorflow", "keras"), ("tensorflow", "keras"))

PEERS: dict[str, Peer] = {
    peer.key: peer
    for peer in (
        Peer(
            ENGINE,
            "rnn_engine",
            "engine",
            ("rnn_engine",),
            ("rnn_engine", "numba", "llvmlite"),
            "#c8102e",
            "import rnn_engine",
        ),
        Peer(
            JIT,
            "rnn_engine, Numba",
            "engine",
            ("rnn_engine", "numba"),
            (),
            "#7a0616",
            "import rnn_engine",
            (("RNN_ENGINE_KERNELS", "jit"),),
            asked=True,
        ),
        Peer(
            "keras-graph",
            "Keras graph",
            "keras_graph",
            *_TF,
            "#e69f00",
            "import tensorflow as tf; tf.keras",
        ),
        Peer(
            "keras-xla",
            "Keras XLA",
            "keras_xla",
            *_TF,
            "#8c5e00",
            "import tensorflow as tf; tf.keras",
        ),
        Peer(
            "torch",
            "PyTorch",
            "torch_",
            ("torch",),
            ("torch",),
            "#56b4e9",
            "import torch",
        ),
        Peer(
            "jax",
            "JAX",
            "jax_",
            ("jax",),
            ("jax", "jaxlib"),
            "#009e73",
            "import jax",
        ),
        Peer(
            "onnxruntime",
            "ONNX Runtime",
            "onnxruntime_",
            ("onnxruntime", "onnx"),
            ("onnxruntime", "onnx"),
            "#0072b2",
            "import onnxruntime",
        ),
        Peer(
            "openvino",
            "OpenVINO",
            "openvino_",
            ("openvino", "onnx"),
            ("openvino",),
            "#7b3fa0",
            "import openvino",
        ),
    )
}


def choose(text: str | None) -> list[str]:
    """Return the keys that `--peers` asks for, the engine always first.

    Raises
    ------
    ValueError
        If a name is no key of `PEERS`.
    """
    if text is None:
        keys = [key for key, peer in PEERS.items() if not peer.asked]
    else:
        keys = [k.strip() for k in text.split(",") if k.strip()]
    for key in keys:
        if key not in PEERS:
            raise ValueError(f"--peers: {key!r} is unknown; known are {', '.join(PEERS)}.")
    return list(dict.fromkeys([ENGINE, *keys]))
