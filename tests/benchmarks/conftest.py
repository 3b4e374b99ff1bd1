"""A run that was never measured, with round figures to count with."""

import pytest

from benchmarks.cases import GRID, ODD, Case
from benchmarks.results import Row, Run, Side

PEERS = ["engine", "keras-graph", "keras-xla", "torch", "jax", "onnxruntime", "openvino"]


def row(kind, shape=(), *, samples=0, tag="grid", dtype="float32", **medians):
    """Return a row whose sides take the given times, in the order of the peers."""
    case = Case(kind, *shape, samples=samples, tag=tag, dtype=dtype)
    sides = {
        key.replace("_", "-"): Side(samples=[0.9 * v, v, 1.2 * v], errors={"h": 1e-7})
        for key, v in medians.items()
    }
    return Row(case, sides)


@pytest.fixture
def run():
    """Return a run of the grid and of the whole programs."""
    rows = [
        row(kind, shape, engine=1e-3, keras_graph=8e-3, jax=2e-3, torch=4e-3)
        for kind in ("forward", "gradients")
        for shape in GRID
    ]
    odd, even = ODD[0]
    rows += [row("forward", odd, tag="odd", engine=1e-3, jax=4e-3)]
    rows += [row("forward", even, tag="round", engine=1e-3)]
    rows += [
        row("forward", (8, t, 16, 64), tag="growth-t", engine=t * 1e-6) for t in (16, 160, 1600)
    ]
    rows += [
        row("fit", (32, 50, 8, 32), samples=4096, engine=0.1, keras_graph=3.0, keras_xla=2.0),
        row("predict_one", (1, 4, 1, 5), engine=2e-5, keras_graph=4e-2),
        row("cold_start", engine=0.5, keras_graph=6.0),
        row("import", engine=0.3, numba=0.25, numpy=0.1, torch=1.5),
        row("memory", (128, 256, 128, 256), samples=128, engine=5e7, keras_graph=3e8),
    ]
    rows[0].sides["onnxruntime"] = Side("unsupported", "has no such thing")
    rows[0].sides["openvino"] = Side("disagrees", "h is off by 2.0e-01", errors={"h": 0.2})
    return Run(
        environment={
            "date": "2026-01-02 03:04 UTC",
            "cpu": "A Processor",
            "cores": 2,
            "threads": 2,
            "used_cores": [0, 1],
            "vector_bits": 256,
            "caches": {"L1": 2**15, "L2": 2**20, "L3": 2**25},
            "system": "Linux x86_64",
            "python": "3.11.7",
        },
        limits={
            "flops": {
                "float32": {"one": 1e11, "all": 2e11},
                "float64": {"one": 5e10, "all": 1e11},
            },
            "bandwidth": {
                level: {"bytes": 1, "one": speed, "all": 2 * speed}
                for level, speed in (("L1", 2e11), ("L2", 1e11), ("L3", 4e10), ("memory", 1e10))
            },
        },
        rows=rows,
        versions={"numba": "1.2", "jax": "3.4"},
        missing={"openvino": "not installed (openvino)"},
        left_out={"predict/1x1x1x1": "out of time"},
        peers=PEERS,
        command="python benchmarks/run.py",
    )
