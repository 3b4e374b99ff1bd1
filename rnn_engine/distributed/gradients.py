"""The sum of the gradients of all groups, on all ranks."""

from itertools import pairwise
from typing import Any

import numpy as np

from rnn_engine.distributed.groups import Node, fold, nodes, share
from rnn_engine.distributed.peers import Peers
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.variable import Variable


class GradientSum:
    """Adds up the gradients of the groups of a batch, along the tree of the groups.

    A rank adds the sums of neighbours that it has itself. Of what is left, each rank adds up
    its slice of the elements for all (`Alltoallv`), and the slices go to everybody
    (`Allgatherv`): in all, two bytes for each of a gradient, and a little more where a
    rank's groups are no whole branch. Rows of sparse gradients are put one after the other.
    """

    def __init__(self, peers: Peers, variables: list[Variable]) -> None:
        self.peers, self.variables = peers, variables
        self._spare: list[Any] = []
        self._whole: dict[np.dtype, np.ndarray] = {}
        self._layout: list[tuple[np.dtype, list[tuple[int, slice]], int]] | None = None
        self._sparse: list[int] = []

    def clear(self) -> None:
        """Make the gradients of all variables zero, before a group."""
        for variable in self.variables:
            variable.clear_gradient()

    def _lay_out(self, gradients: list[Any]) -> Any:
        """Decide where in a flat vector, one for each float type, each gradient stands."""
        by_type: dict[np.dtype, list[tuple[int, slice]]] = {}
        ends: dict[np.dtype, int] = {}
        self._sparse = [i for i, g in enumerate(gradients) if isinstance(g, SparseGrad)]
        for i, gradient in enumerate(gradients):
            if i in self._sparse:
                continue
            start = ends.get(gradient.dtype, 0)
            ends[gradient.dtype] = start + gradient.size
            places = by_type.setdefault(gradient.dtype, [])
            places.append((i, slice(start, start + gradient.size)))
        return [(dtype, places, ends[dtype]) for dtype, places in by_type.items()]

    def take(self, weight: float) -> Any:
        """Return the gradients that the variables have now, each times `weight`."""
        gradients = [variable.gradient for variable in self.variables]
        if self._layout is None:
            self._layout = self._lay_out(gradients)
        vectors = self._spare.pop() if self._spare else [np.empty(n, t) for t, _, n in self._layout]
        for (dtype, places, _), vector in zip(self._layout, vectors, strict=True):
            factor = dtype.type(weight)
            for i, place in places:
                np.multiply(gradients[i].reshape(-1), factor, out=vector[place])
        rows = [
            [(gradients[i].indices, gradients[i].values * gradients[i].dtype.type(weight))]
            for i in self._sparse
        ]
        return vectors, rows

    def add(self, first: Any, second: Any) -> Any:
        """Return the sum of two; the first one's memory holds it, the second's is free again."""
        for a, b in zip(first[0], second[0], strict=True):
            a += b
        self._spare.append(second[0])
        return first[0], [a + b for a, b in zip(first[1], second[1], strict=True)]

    def finish(self, own: list[tuple[Node, Any]], count: int, spare: Any = None) -> None:
        """Give the variables the sum of all ranks' nodes; `own` are those of this rank.

        A rank without groups says by `spare` what a gradient looks like.
        """
        of_ranks = [nodes(count, share(count, self.peers.size, r)) for r in range(self.peers.size)]
        like = own[0][1] if own else spare
        vectors = [
            self._reduce([value[0][k] for _, value in own], of_ranks, count, like[0][k])
            for k in range(len(like[0]))
        ]
        for variable in self.variables:
            variable.clear_gradient()
        for (_, places, _), vector in zip(self._layout or [], vectors, strict=True):
            for i, place in places:
                buffer, overwrite = self.variables[i].gradient_to_fill()
                part = vector[place].reshape(buffer.shape)
                if overwrite:
                    buffer[...] = part
                else:
                    buffer += part
        for k, i in enumerate(self._sparse):
            parts = [part for _, value in own for part in value[1][k]]
            self._join_rows(self.variables[i], parts, like[1][k][0])
        self._spare += [value[0] for _, value in own]
        if spare is not None:
            self._spare.append(spare[0])

    def _reduce(self, own: list[np.ndarray], of_ranks: Any, count: int, like: np.ndarray) -> Any:
        """Return the sum of the vectors of all nodes along the tree."""
        peers = self.peers
        if peers.size == 1:
            return own[0]
        total = like.size
        cuts = [total * r // peers.size for r in range(peers.size + 1)]
        lengths = [b - a for a, b in pairwise(cuts)]
        mine = lengths[peers.rank]
        pieces = [v[a:b] for a, b in pairwise(cuts) for v in own]
        send = own[0] if len(own) == 1 else np.concatenate(pieces) if own else like[:0]
        came = peers.exchange(
            send, [n * len(own) for n in lengths], [mine * len(found) for found in of_ranks]
        )
        order = [node for found in of_ranks for node in found]
        slices = {node: came[i * mine : (i + 1) * mine] for i, node in enumerate(order)}
        part = fold((0, count), slices.get, _plus)
        whole = self._whole.get(like.dtype)
        if whole is None:
            whole = self._whole[like.dtype] = np.empty_like(like)
        peers.spread(part, lengths, whole)
        return whole

    def _join_rows(self, variable: Variable, parts: list[Any], like: Any) -> None:
        indices = np.concatenate([p[0].astype(np.int64) for p in parts] or [np.empty(0, np.int64)])
        values = np.concatenate([p[1] for p in parts] or [like[1][:0]])
        variable.add_sparse(
            SparseGrad(self.peers.joined(indices), self.peers.joined(values), variable.shape)
        )


def _plus(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first += second
    return first
