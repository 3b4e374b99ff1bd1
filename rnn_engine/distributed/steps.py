"""One step of training, and one of validation, over the ranks."""

import time
import warnings
from typing import Any

import numpy as np

from rnn_engine.distributed.gradients import GradientSum
from rnn_engine.distributed.groups import fold, nodes, share
from rnn_engine.distributed.objective import GroupObjective
from rnn_engine.distributed.peers import STEP, TEST, Peers
from rnn_engine.distributed.sharing import Share
from rnn_engine.distributed.streams import Streams
from rnn_engine.training.objective import Losses
from rnn_engine.training.step import moved_in_forward, updating


class ParallelStep:
    """``step(share, y, sample_weight) -> loss``; with "train" it updates the weights once.

    Each group of rows goes forward and back by itself. Its loss, the changes of metrics and
    its gradients are then added to those of the others, along the tree of the groups, and every
    rank makes the same update.
    """

    def __init__(
        self,
        peers: Peers,
        groups: int | None,
        model: Any,
        losses: Losses,
        metrics: Any,
        kind: str,
    ) -> None:
        self.peers, self.groups, self.model = peers, groups, model
        self.training = kind == "train"
        self.losses, self.metrics = losses, metrics
        self.place = STEP if self.training else TEST
        self.objective = GroupObjective(model, losses, self.training)
        self.update = updating(metrics, losses)
        self.guard = model._compilation.guard
        self.streams = Streams(model)
        self.moved = moved_in_forward(model)
        self.variables = model.trainable_variables
        self.sums = GradientSum(peers, self.variables)
        self.unreached = losses.unreached(model, self.variables)
        self.steps, self.seconds = 0, 0.0
        self.seconds_in_mpi, self.bytes_sent = 0.0, 0
        if self.training and not self.variables:
            warnings.warn("The model does not have any trainable weights.", stacklevel=4)

    def __call__(self, batch: Share, y: Any, weight: Any) -> float:
        """Do one step."""
        begin, before = time.perf_counter(), (self.peers.seconds, self.peers.bytes_sent)
        if self.steps == 0 and self.training:
            self._warn_of_idle(batch)
        guard, error = self.guard, None
        passes: list[Any] = []
        try:
            passes = self._forward(batch)
        except BaseException as raised:
            error = raised
        guard.holding = True  # nobody leaves in the middle of an exchange
        try:
            wanted = self._wanted(passes)
            wanted = any(self.peers.meet(self.place, wanted, batch.check, error))
            totals = self._totals(passes, batch.count) if wanted else None
            guard.holding = False
            guard.release()
            own: list[Any] = []
            rows = np.empty((0, 0))
            try:
                own, rows = self._back(batch, passes, totals)
            except BaseException as raised:
                error = raised
            guard.holding = True
            value = self._numbers(batch, rows, error)
            if self.training:
                self._sum_up(batch, own)
            if getattr(self.model, "has_penalties", True):
                value += float(self.model.regularization())
            if self.training:
                self._apply()
        finally:
            guard.holding = False
        self.steps += 1
        self.seconds += time.perf_counter() - begin
        self.seconds_in_mpi += self.peers.seconds - before[0]
        self.bytes_sent += self.peers.bytes_sent - before[1]
        if guard.pending:
            guard.release()
        return value

    def _warn_of_idle(self, batch: Share) -> None:
        count, ranks = batch.count, self.peers.size
        few = self.groups is None or self.groups < ranks  # else the batch has few rows
        if few and count < ranks and self.peers.rank == 0:
            warnings.warn(
                f"A batch of {batch.rows} rows has {count} groups, so that {ranks - count} of "
                f"{ranks} ranks have no work. Take larger batches, or DataParallel(groups="
                f"{ranks}) or a multiple of it.",
                stacklevel=4,
            )

    # --- forward ----------------------------------------------------------------

    def _forward(self, batch: Share) -> list[Any]:
        """Return output, mask, what backward needs and the counts of each group."""
        if self.training:
            self.streams.next_batch()
        before = [variable.version for variable in self.moved]
        passes = []
        for group, (x, _, weight) in zip(batch.groups or [0], batch.parts, strict=True):
            if self.training and self.streams.generators:
                with self.streams.of_group(group):
                    pred, mask, saved = self.model.forward_with_mask(x, True)
            else:
                pred, mask, saved = self.model.forward_with_mask(x, self.training)
            passes.append((pred, mask, saved, self.objective.counts(weight, mask, pred)))
        for variable, version in zip(self.moved, before, strict=True):
            if variable.version != version:
                raise ValueError(
                    f"Variable {variable.path!r} changes in the forward pass: such state follows "
                    f"the order of the rows, which ranks do not keep. Train this model without "
                    f"`parallel`."
                )
        return passes

    def _wanted(self, passes: list[Any]) -> float:
        """Whether the losses divide by more than rows."""
        return float(any(not np.isnan(n) for entry in passes for n in entry[3]))

    def _totals(self, passes: list[Any], count: int) -> Any:
        """Return what the losses of the batch divide by."""
        rows = np.array([entry[3] for entry in passes], np.float64)
        return self._folded(rows, count)

    # --- back -------------------------------------------------------------------

    def _back(self, batch: Share, passes: list[Any], totals: Any) -> tuple[list[Any], np.ndarray]:
        """Return the sums of gradients of this rank's nodes, and a row of numbers a group."""
        groups = batch.groups or range(1)
        alone = self._alone(batch)
        rows: dict[int, list[float]] = {}

        def gradient_of(group: int) -> Any:
            x, y, weight = batch.parts[group - groups.start]
            pred, mask, saved, counts = passes[group - groups.start]
            passes[group - groups.start] = None
            own = len(x[0] if type(x) is list else x)
            part = own / batch.rows
            self.objective.set_group(counts, totals, own, batch.rows)
            objective, found = self.objective.objective, None
            if self.training:
                self.sums.clear()
                value, below, _ = objective.back(y, pred, weight, mask, saved)
                found = () if alone else self.sums.take(part)
            else:
                value, below = objective.value(y, pred, weight, mask, saved)
            losses = [collected.value * part for collected in self.objective.collected]
            changes = self._changes(y, pred, weight, mask, below)
            rows[group] = [value * part, *losses, *changes]
            return found

        own = []
        for node in nodes(batch.count, groups):
            if self.training:
                value = fold(
                    node, lambda n: gradient_of(n[0]) if n[1] - n[0] == 1 else None, self.sums.add
                )
                own.append((node, value))
            else:
                for group in range(*node):
                    gradient_of(group)
        return own, np.array([rows[group] for group in sorted(rows)], np.float64)

    def _changes(self, y: Any, pred: Any, weight: Any, mask: Any, below: Any) -> list[float]:
        """Return what the rows of a group add to the state of the metrics, which stays."""
        metrics = self.metrics
        if self.update is None:
            return []
        before = {id(variable): variable.value.copy() for variable in metrics.variables}
        try:
            metrics.reset_state()
            self.update(y, pred, weight, mask, below)
            return np.concatenate(
                [v.value.reshape(-1).astype(np.float64) for v in metrics.variables] or [[]]
            ).tolist()
        finally:
            for variable in metrics.variables:  # some make theirs at the first batch
                old = before.get(id(variable))
                variable.value[...] = 0 if old is None else old
                variable.touch()

    def _alone(self, batch: Share) -> bool:
        """Whether the gradients are those of one group, and stand where they belong."""
        return batch.count == self.peers.size == 1

    # --- all ranks ----------------------------------------------------------------

    def _folded(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Return the sum of the rows of all groups along their tree."""
        peers = self.peers
        if peers.size > 1:
            most = -(-count // peers.size)
            sent = np.zeros((most, rows.shape[1]))
            mine = len(share(count, peers.size, peers.rank))
            sent[:mine] = rows[:mine]
            told = peers.all_of(sent)
            rows = np.concatenate(
                [told[r, : len(share(count, peers.size, r))] for r in range(peers.size)]
            )
        result: np.ndarray = fold(
            (0, count), lambda n: rows[n[0]] if n[1] - n[0] == 1 else None, lambda a, b: a + b
        )
        return result

    def _numbers(self, batch: Share, rows: np.ndarray, error: BaseException | None) -> float:
        """Add up losses and metrics; return the loss of the batch."""
        self.peers.meet(self.place, error=error)
        total = self._folded(rows, batch.count)
        trackers = self.losses.trackers
        for tracker, value in zip(trackers, total[1:], strict=False):
            tracker.update_state(value, batch.rows if self.model.run_eagerly else 1.0)
        if self.update is not None:
            start = 1 + len(trackers)
            for variable in self.metrics.variables:
                stop = start + variable.value.size
                change = total[start:stop].reshape(variable.shape)
                variable.value[...] += change.astype(variable.dtype)
                variable.touch()
                start = stop
        return float(total[0])

    def _sum_up(self, batch: Share, own: list[Any]) -> None:
        """Give the variables the gradients of the batch."""
        if self.variables and not self._alone(batch):
            mine = bool(batch.groups)
            self.sums.finish(own if mine else [], batch.count, None if mine else own[0][1])

    def _apply(self) -> None:
        """Update the weights."""
        optimizer, variables, unreached = self.model.optimizer, self.variables, self.unreached
        scale = getattr(optimizer, "loss_scale_factor", None)
        if scale is not None:  # the optimizer divides by it
            for variable in variables:
                variable.scale_gradient(scale)
        if variables:
            optimizer.apply(
                [None if id(v) in unreached else v.gradient for v in variables], variables
            )
