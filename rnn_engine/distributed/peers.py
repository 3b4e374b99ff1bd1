"""What the ranks of a training tell each other.

Every exchange begins with a few numbers from each rank: where it is, and whether something went
wrong there. So a rank that fails takes the others along, with its error in their message, and
ranks that have come to different places end with an error instead of waiting for ever.
"""

import time
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from rnn_engine.distributed.extras import load

_TEXT = 512
_PLACES = (
    "a training step",
    "a validation step",
    "the end of an epoch",
    "the beginning",
    "the end of the training",
    "an error outside of a step",
    "a batch's callbacks",
)
STEP, TEST, EPOCH, BEGIN, END, FAILED, HOOKS = range(len(_PLACES))


class RankError(RuntimeError):
    """Another rank has failed, or the ranks have come to different places."""


def world() -> Any:
    """Return the communicator of all ranks.

    Raises
    ------
    ImportError
        If mpi4py, or a library of MPI, is missing.
    """
    return load("mpi4py.MPI", "Training over the ranks of MPI").COMM_WORLD


def rank() -> int:
    """Return which of the ranks of ``mpirun -n N`` this process is, from 0; 0 without mpirun.

    Raises
    ------
    ImportError
        If mpi4py is missing (extra ``mpi``).
    """
    return int(world().Get_rank())


def size() -> int:
    """Return how many ranks there are; 1 without mpirun.

    Raises
    ------
    ImportError
        If mpi4py is missing (extra ``mpi``).
    """
    return int(world().Get_size())


def checksum(arrays: Iterable[np.ndarray]) -> float:
    """Return a checksum of the numbers of arrays."""
    found = 0
    for array in arrays:
        data = np.ascontiguousarray(array)
        found = zlib.crc32(data.reshape(-1).view(np.uint8).data, found)
    return float(found)


class Peers:
    """The ranks of one training.

    Attributes
    ----------
    rank, size : int
    bytes_sent : int
        What this rank has handed to MPI for others.
    seconds : float
        Time in MPI's calls: for data to go, and for slower ranks to come.
    ended : bool
        Whether the others know that this rank goes no further.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.bytes_sent, self.seconds = 0, 0.0
        self.ended = False

    def meet(
        self, place: int, number: float = 0.0, check: float = 0.0,
        error: BaseException | None = None,
    ) -> list[float]:  # fmt: skip
        """Wait for all ranks; return the number of each.

        Raises
        ------
        RankError
            If another rank has an error, is at another place, or has another `check`. A rank's
            own error is raised there as it is.
        """
        if self.size == 1:
            if error is not None:
                raise error
            return [number]
        told = self.all_of(np.array([place, error is not None, number, check]))
        self.look_at(told, place, error)
        if (told[:, 3] != told[0, 3]).any() and not np.isnan(told[:, 3]).all():
            self.ended = True
            raise RankError(
                f"The ranks differ in their data or weights at {_PLACES[place]}: their checksums "
                f"are {[int(value) for value in told[:, 3]]}. Each rank must hand the same data to "
                f"the same `fit`, and nothing but `fit` may write weights."
            )
        return [float(value) for value in told[:, 2]]

    def look_at(self, told: np.ndarray, place: int, error: BaseException | None) -> None:
        """Raise what the heads of the ranks' messages ask for: place and failure of each."""
        if told[:, 1].any():
            self.ended = True
            texts = self._texts("" if error is None else f"{type(error).__name__}: {error}")
            if error is not None:
                raise error
            which = int(np.flatnonzero(told[:, 1])[0])
            raise RankError(f"Rank {which} of {self.size} failed: {texts[which]}")
        if (told[:, 0] != place).any():
            self.ended = True
            places = {r: _PLACES[int(p)] for r, p in enumerate(told[:, 0])}
            raise RankError(
                f"The ranks have come to different places: {places}. They must be given the same "
                f"data and arguments, and callbacks must decide alike on all ranks."
            )

    def fail(self, error: BaseException) -> None:
        """Tell the others, wherever they are, that this rank goes no further."""
        if self.size == 1 or self.ended:
            return
        try:
            self.meet(FAILED, error=error)
        except BaseException as told:
            if told is not error:
                raise

    def all_of(self, row: np.ndarray) -> np.ndarray:
        """Return the rows of all ranks, which are of one shape and type."""
        rows = np.empty((self.size, *row.shape), row.dtype)
        begin = time.perf_counter()
        self.comm.Allgather(np.ascontiguousarray(row), rows)
        self._count(begin, row.nbytes * (self.size - 1))
        return rows

    def joined(self, part: np.ndarray) -> np.ndarray:
        """Return the parts of all ranks, of any lengths, one after the other."""
        if self.size == 1:
            return part
        counts = self.all_of(np.array([part.size], np.int64))[:, 0]
        whole = np.empty(int(counts.sum()), part.dtype)
        begin = time.perf_counter()
        self.comm.Allgatherv(np.ascontiguousarray(part).reshape(-1), [whole, counts.tolist()])
        self._count(begin, part.nbytes * (self.size - 1))
        return whole.reshape(-1, *part.shape[1:])

    def from_first(self, array: np.ndarray) -> None:
        """Fill an array with that of the first rank."""
        begin = time.perf_counter()
        self.comm.Bcast(array.reshape(-1).view(np.uint8), root=0)
        self._count(begin, array.nbytes if self.rank == 0 else 0)

    def text_from_first(self, text: str) -> str:
        """Return the text of the first rank."""
        data = np.frombuffer(text.encode(), np.uint8)
        length = np.array([data.size], np.int64)
        self.from_first(length)
        buffer = data.copy() if self.rank == 0 else np.empty(int(length[0]), np.uint8)
        self.from_first(buffer)
        return buffer.tobytes().decode()

    def exchange(self, send: np.ndarray, counts: list[int], take: list[int]) -> np.ndarray:
        """Send each rank its part of an array; return what came, in the order of the ranks."""
        found = np.empty(sum(take), send.dtype)
        begin = time.perf_counter()
        self.comm.Alltoallv([send, counts], [found, take])
        self._count(begin, (send.size - counts[self.rank]) * send.itemsize)
        return found

    def spread(self, part: np.ndarray, counts: list[int], whole: np.ndarray) -> None:
        """Fill `whole` with the parts of all ranks, of known lengths."""
        begin = time.perf_counter()
        self.comm.Allgatherv(part, [whole, counts])
        self._count(begin, part.nbytes * (self.size - 1))

    def _count(self, begin: float, sent: int) -> None:
        self.seconds += time.perf_counter() - begin
        self.bytes_sent += sent

    def _texts(self, text: str) -> list[str]:
        row = np.zeros(_TEXT, np.uint8)
        data = np.frombuffer(text.encode()[:_TEXT], np.uint8)
        row[: data.size] = data
        rows = self.all_of(row)
        return [r.tobytes().rstrip(b"\0").decode(errors="replace") for r in rows]
