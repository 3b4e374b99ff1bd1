"""Order and sharing out of the rows of a batch whose sequences differ in length."""

import numpy as np


def by_length(mask: np.ndarray) -> np.ndarray | None:
    """Return the rows in the order of falling length, or None where sorting saves nothing.

    Parameters
    ----------
    mask : (T, B) of bool
        Sorted are batches that are padded on one side: every row open from its start,
        or every row open to its end. Rows of one length keep their order.
    """
    opened = mask[1:] & ~mask[:-1]
    closed = mask[:-1] & ~mask[1:]
    if opened.any() and closed.any():
        return None
    lengths = np.count_nonzero(mask, axis=0)
    if (lengths[1:] <= lengths[:-1]).all():
        return None
    return np.argsort(-lengths, kind="stable")


def shares(mask: np.ndarray | None, batch: int, tasks: int) -> np.ndarray:
    """Return the bounds (tasks + 1,) of rows that give each task about the same work.

    Parameters
    ----------
    mask : (T, B) of bool, or None
    """
    parts = np.arange(tasks + 1)
    if mask is None:
        return batch * parts // tasks
    # A closed step costs something too: its state is copied.
    done = np.cumsum(len(mask) + 7 * np.count_nonzero(mask, axis=0))
    bounds = np.searchsorted(done, done[-1] * parts // tasks)
    bounds[0], bounds[-1] = 0, batch
    return bounds
