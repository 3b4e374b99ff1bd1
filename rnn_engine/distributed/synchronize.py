"""What keeps the ranks together between the steps, as a callback."""

import json
import zlib
from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.callbacks.callback_list import overrides
from rnn_engine.distributed.peers import BEGIN, END, EPOCH, HOOKS, Peers, checksum
from rnn_engine.saving.state import groups
from rnn_engine.training.resuming import restore_state, state_of


class Synchronize(Callback):
    """Begin all ranks with the state of the first one; agree on when to stop.

    Comes last, so that what other callbacks have restored on the first rank is what all begin
    with.
    """

    def __init__(self, peers: Peers, run: Any) -> None:
        super().__init__()
        self.peers, self.run = peers, run
        self._resumed = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Take over the state of the first rank: weights, optimizer, streams, place in the data."""
        peers, model = self.peers, self.model
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if peers.size == 1:
            return
        variables = [v for group in groups(model) for v in group.variables]
        shapes = json.dumps([[v.dtype, *v.shape] for v in variables])
        peers.meet(BEGIN, check=float(zlib.crc32(shapes.encode())))
        training, told = model._training_data, ""
        if peers.rank == 0:
            told = json.dumps(
                {
                    "epoch": model._initial_epoch,
                    "position": training.position(),
                    "offset": training.offset,
                    "state": state_of(model),
                },
                default=_plain,
            )
        said = json.loads(peers.text_from_first(told))
        for variable in variables:
            peers.from_first(variable.value)
            variable.touch()
        self._resumed = said["epoch"] is not None
        if peers.rank == 0:
            return
        model._initial_epoch = said["epoch"]
        training.resume(said["position"], said["offset"])
        restore_state(model, said["state"])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop where one rank wants to; see that the weights are those of all."""
        model, peers = self.model, self.peers
        if peers.size > 1:
            check = checksum(variable.value for variable in model.trainable_variables)
            stops = peers.meet(EPOCH, float(model.stop_training), check)
            model.stop_training = bool(model.stop_training or any(stops))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Give the other ranks the history of before a break."""
        model, peers = self.model, self.peers
        model.history.parallel = self.run.report()
        if peers.size == 1 or model.training_interrupted:
            return
        peers.meet(END)
        if not self._resumed:
            return
        history = model.history
        told = json.dumps([history.epoch, history.history], default=_plain)
        epochs, entries = json.loads(peers.text_from_first(told))
        if peers.rank:
            history.epoch, history.history = epochs, entries


class AgreeInBatches(Callback):
    """Stop behind the same batch on all ranks; there where a callback hears of batches."""

    def __init__(self, peers: Peers) -> None:
        super().__init__()
        self.peers = peers

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Stop where one rank wants to."""
        stops = self.peers.meet(HOOKS, float(self.model.stop_training))
        self.model.stop_training = bool(self.model.stop_training or any(stops))


def for_rank(callbacks: list[Any], peers: Peers, run: Any) -> list[Any]:
    """Return the callbacks that run on a rank: those that write run on the first one only."""
    shared = [entry for entry in callbacks if not getattr(entry, "first_rank_only", False)]
    kept = list(callbacks if peers.rank == 0 else shared)
    if peers.size > 1 and any(overrides(entry, "on_train_batch_end") for entry in shared):
        kept.append(AgreeInBatches(peers))
    return [*kept, Synchronize(peers, run)]


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else float(value)
