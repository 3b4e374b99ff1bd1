"""What an adapter is: problems in, tasks out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.cases import FEATURE_KINDS
from benchmarks.problem import Numbers


class Unsupported(Exception):
    """The peer does not do this kind of work; the message says why."""


@dataclass
class Task:
    """A case made ready on one side.

    Attributes
    ----------
    call : callable
        One call of the work; this is what is timed. Returns when the result is there.
    check : callable
        Runs the same work once more and returns its numbers, as
        `benchmarks.problem.truth` names them.
    small : callable or None
        For `fit`: trains the same model on two samples, which compiles what there is to
        compile before memory is measured.
    """

    call: Callable[[], Any]
    check: Callable[[], Numbers]
    small: Callable[[], Any] | None = None


class Base:
    """An adapter: each kind of work is a method of that name, from a problem to a task.

    ``forward`` last state of the bare layer of the case's cell; ``gradients`` that and the
    gradients of ``sum(dy * h)`` by kernel, recurrent kernel, bias and input. With a whole model
    (the layer, then a linear one with one output; mean squared error, Adam):
    ``fit`` one epoch, ``predict`` all samples in batches, ``predict_one`` the same for
    a single sample, ``train_on_batch``, ``predict_on_batch``, ``layer_call``.
    ``feature`` is a model of `benchmarks.features`, trained on one batch or predicting it.
    A peer leaves out what it does not have.

    An adapter is made in a process of its own, which may use `threads` cores.
    Inputs are turned into the peer's own arrays before the clock starts, except
    in `layer_call`, `predict_on_batch` and `train_on_batch`, which take NumPy
    arrays in and give NumPy arrays back, as a program that serves one has to.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def task(self, problem: Any) -> Task:
        """Return the task of a problem.

        Raises
        ------
        Unsupported
            If the peer has nothing of the kind.
        """
        kind = "fit" if problem.case.kind == "memory" else problem.case.kind
        kind = "feature" if kind in FEATURE_KINDS else kind
        method = getattr(self, kind, None)
        if method is None:
            raise Unsupported(f"has no {problem.case.kind}")
        task: Task = method(problem)
        return task


def in_batches(function: Callable[[Any], Any], x: Any, batch: int, axis: int = 0) -> list[Any]:
    """Return what `function` gives for each batch of `x` along `axis`."""
    cut = (slice(None),) * axis
    return [function(x[(*cut, slice(i, i + batch))]) for i in range(0, x.shape[axis], batch)]


def numbers_of_training(loss: Any, weights: list[Any]) -> Numbers:
    """Name the loss and the five arrays of weights of the whole model."""
    names = ("kernel", "recurrent", "bias", "out_kernel", "out_bias")
    arrays = (np.asarray(w) for w in weights)
    return {"loss": np.asarray(loss), **dict(zip(names, arrays, strict=True))}
