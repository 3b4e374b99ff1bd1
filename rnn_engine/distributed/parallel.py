"""`DataParallel`: one training over the ranks of MPI."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import CallbackList, flatten
from rnn_engine.callbacks.history import History
from rnn_engine.distributed.extras import load
from rnn_engine.distributed.peers import Peers, world
from rnn_engine.distributed.sharing import Share, SharedSource
from rnn_engine.distributed.steps import ParallelStep
from rnn_engine.distributed.synchronize import for_rank
from rnn_engine.kernels import threads
from rnn_engine.training.arguments import check_count
from rnn_engine.training.custom import is_custom
from rnn_engine.training.source import Source


class DataParallel:
    """Train over the ranks of ``mpirun``: ``model.fit(..., parallel=DataParallel())``.

    Each batch is cut into groups of rows, a number that belongs to the batch. A rank computes
    some of them, and the gradients are added along one tree of the groups, so that the weights
    have the same bits on any number of ranks, and on any number of threads in each. All ranks
    run the same program: they build the same model and hand the same data and arguments to
    `fit`, which begins with the weights, streams and place in the data of the first one. Each
    rank reads its rows of each batch only, where data are arrays (memory-mapped ones, too);
    generators and datasets make whole batches on every rank, which must be the same there.

    Callbacks run on all ranks with the same logs; those that write (`ModelCheckpoint`,
    `BackupAndRestore`, `CSVLogger`, `TensorBoard`, the progress bar, and whatever has
    ``first_rank_only = True``) on the first one only. What one rank raises ends all of them. What a
    rank whose process is killed leaves behind is ended by ``mpirun``, and `BackupAndRestore` goes
    on from the last backup, also on another number of ranks.

    Parameters
    ----------
    groups : int, optional
        Groups of rows in a batch, which is the largest number of ranks that have work. None: as
        many as there can be of 64 rows, a power of two up to 64 (with a warning where ranks
        are without work). Another number gives other last bits.
    comm : mpi4py communicator, optional
        The ranks; all of ``COMM_WORLD`` if None.

    Raises
    ------
    ImportError
        If mpi4py is missing (extra ``mpi``).
    ValueError
        If `groups` is not positive; when `fit` starts, if the model cannot be trained this way:
        layers that mix rows (`BatchNormalization`) or keep states (``stateful=True``, `window`),
        a `train_step` of one's own, losses over all rows at once (`Dice` with ``axis=None``),
        metrics of one's own that do not say ``adds_up = True`` (their state is a sum over rows).

    Notes
    -----
    The bits are those of `DataParallel` on one rank. Those of `fit` without it are the same where
    the batch is one group, its loss divides by the rows and no layer draws random numbers;
    else sums have another order. A loss or metric of one's own that gives one number for a
    batch is taken for a mean over its rows.

    Examples
    --------
    ``mpirun -n 4 python -m mpi4py train.py``, where train.py ends with::

        model.fit(x, y, batch_size=256, epochs=10,
                  parallel=rnn_engine.distributed.DataParallel(),
                  callbacks=[rnn_engine.callbacks.BackupAndRestore("backup")])
        if rnn_engine.distributed.rank() == 0:
            model.save("model.keras")
    """

    def __init__(self, groups: int | None = None, comm: Any = None) -> None:
        self.groups = None if groups is None else check_count(groups, "groups")
        self.comm = world() if comm is None else comm

    def begin(self, model: Any) -> "Run":
        """Return what one `fit` of a model needs; called by `fit`.

        Raises
        ------
        ValueError
            If the model cannot be trained this way.
        """
        _check(model)
        return Run(model, Peers(self.comm), self.groups)

    def __repr__(self) -> str:
        return f"DataParallel(groups={self.groups}, ranks={self.comm.Get_size()})"


class Run:
    """One `fit` over the ranks."""

    def __init__(self, model: Any, peers: Peers, groups: int | None) -> None:
        self.model, self.peers, self.groups = model, peers, groups
        self.steps: dict[str, tuple[Any, ParallelStep]] = {}

    def share(self, source: Source, kind: str) -> SharedSource:
        """Return the source of this rank's shares of batches."""
        return SharedSource(source, self.peers, self.groups, self.model, kind)

    def callbacks(self, given: Any, verbose: int, **params: Any) -> CallbackList:
        """Return the callbacks of this rank."""
        if isinstance(given, CallbackList):
            raise ValueError("With `parallel`, callbacks must be a list, not a CallbackList.")
        found = CallbackList(given, add_history=True, add_progbar=verbose != 0)
        kept = for_rank(flatten(found.callbacks), self.peers, self)
        if not any(isinstance(entry, History) for entry in kept):
            kept.insert(0, History())
        return CallbackList(kept, model=self.model, verbose=verbose, **params)

    def divides(self, x: Any) -> bool:
        """Whether the inputs of a batch are those of a rank's share of it."""
        return isinstance(x, Share)

    def step(self, losses: Any, metrics: Any, kind: str, key: Any) -> ParallelStep:
        """Return the training or validation step, made anew when the layers have changed."""
        found = self.steps.get(kind)
        if found is None or found[0] != key:
            made = ParallelStep(self.peers, self.groups, self.model, losses, metrics, kind)
            self.steps[kind] = found = (key, made)
        return found[1]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Give each rank its threads; tell the others of an error in this one."""
        before = threads.get_num_threads()
        compilation = self.model._compilation
        compilation.parallel = self
        if not os.environ.get("RNN_ENGINE_NUM_THREADS") and before == threads.default_threads():
            threads.set_num_threads(_threads_of_rank(self.peers, before))
        try:
            yield
        except BaseException as error:
            self.peers.fail(error)
            raise
        finally:
            compilation.parallel = None
            threads.set_num_threads(before)

    def report(self) -> dict[str, float]:
        """Return ranks, training steps, and for each of them its seconds and bytes on this rank.

        ``seconds_in_mpi`` is the time in exchanges, waiting for slower ranks included.
        """
        found = self.steps.get("train")
        step = None if found is None else found[1]
        each = max(1, step.steps) if step else 1
        return {
            "ranks": self.peers.size,
            "steps": step.steps if step else 0,
            "seconds_per_step": step.seconds / each if step else 0.0,
            "seconds_in_mpi_per_step": step.seconds_in_mpi / each if step else 0.0,
            "bytes_sent_per_step": step.bytes_sent / each if step else 0.0,
        }


def _check(model: Any) -> None:
    """Refuse what has no sum over groups of rows.

    Raises
    ------
    ValueError
        With the reason.
    """
    why = "Train this model without `parallel`."
    if is_custom(model, "train") or is_custom(model, "test"):
        raise ValueError(
            f"`parallel` cannot divide a train_step, test_step, compute_loss or compute_metrics "
            f"of one's own among ranks. {why}"
        )
    waiting = list(model.layers)
    while waiting:
        layer = waiting.pop()
        waiting += layer.sublayers
        if layer.mixes_rows and layer.trainable:
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) mixes the rows of a batch in "
                f"training, and ranks have different rows. Use LayerNormalization, or set "
                f"trainable=False. {why}"
            )
        if getattr(layer, "stateful", False) and getattr(layer, "states", ()) != ():
            raise ValueError(
                f"Layer {layer.name!r} is stateful: what it carries from batch to batch belongs "
                f"to rows that change their ranks. {why}"
            )
    compilation = model._compilation
    own = [m for m in model.metrics if not any(m is t for t in compilation.trackers)]
    if own:
        raise ValueError(
            f"The metrics {[m.name for m in own]} of layers or attributes are not added up over "
            f"ranks. {why}"
        )
    _check_metrics(compilation.metrics)


def _check_metrics(metrics: Any) -> None:
    if metrics is None:
        return
    given = [entry for output in metrics.outputs for kind in output.given for entry in kind]
    for metric in [*given, *metrics.metrics]:
        ours = type(metric).__module__.startswith("rnn_engine.")
        if hasattr(metric, "update_state") and not ours and not getattr(metric, "adds_up", False):
            raise ValueError(
                f"Metric {metric.name!r} is of a class of your own. If its state is a sum over "
                f"rows, so that those of two groups of rows can be added, set adds_up = True in "
                f"{type(metric).__name__}; if it is not, it cannot go with `parallel`."
            )


def _threads_of_rank(peers: Peers, cores: int) -> int:
    """Return this rank's part of the cores that it shares with others on its machine."""
    if peers.size == 1 or not hasattr(os, "sched_getaffinity"):
        return cores
    mpi = load("mpi4py.MPI", "Training over the ranks of MPI")
    local = peers.comm.Split_type(mpi.COMM_TYPE_SHARED)
    own = np.zeros(1024, np.uint8)
    own[[core % 1024 for core in os.sched_getaffinity(0)]] = 1
    rows = np.empty((local.Get_size(), own.size), np.uint8)
    local.Allgather(own, rows)
    local.Free()
    beside = int((rows & own).any(axis=1).sum())
    return max(1, cores // max(1, beside))
