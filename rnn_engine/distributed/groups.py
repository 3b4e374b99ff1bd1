"""The groups of rows of a batch, and the one tree along which their sums are added.

Both follow from the batch alone: how many ranks there are decides who computes a group, and
who adds two sums, but never which two sums are added. So the bits are those of one rank.
"""

from collections.abc import Callable
from typing import Any

SMALLEST = 64
"""Rows of a group, at least, unless the user fixes the number of groups.

A batch in groups of 64 rows takes 2 to 4% longer than in one piece, of 32 rows 6 to 8%, of 16 rows
10 to 14% (LSTMs of 64 and 128 units, processor time on one thread).
"""

MOST = 64
"""Groups of a batch, at most, unless the user fixes their number."""


def count_groups(rows: int, groups: int | None) -> int:
    """Return how many groups a batch of so many rows has.

    >>> [count_groups(rows, None) for rows in (32, 127, 128, 1000, 100_000)]
    [1, 1, 2, 8, 64]
    >>> count_groups(3, 8)
    3
    """
    if groups is not None:
        return min(groups, rows)
    return min(MOST, 1 << max(0, (rows // SMALLEST).bit_length() - 1))


def bounds(rows: int, count: int) -> list[tuple[int, int]]:
    """Return the first row of each group and the one behind its last.

    >>> bounds(7, 3)
    [(0, 2), (2, 4), (4, 7)]
    """
    return [(rows * i // count, rows * (i + 1) // count) for i in range(count)]


def share(count: int, size: int, rank: int) -> range:
    """Return the groups that a rank computes: neighbours, so that it can add their sums.

    >>> [list(share(8, 3, rank)) for rank in range(3)]
    [[0, 1], [2, 3, 4], [5, 6, 7]]
    """
    return range(count * rank // size, count * (rank + 1) // size)


Node = tuple[int, int]


def nodes(count: int, groups: range) -> list[Node]:
    """Return the largest nodes of the tree whose groups are all in a range, in order.

    >>> nodes(8, range(2, 5))
    [(2, 4), (4, 5)]
    """
    found: list[Node] = []

    def walk(low: int, high: int) -> None:
        if high <= groups.start or groups.stop <= low:
            return
        if groups.start <= low and high <= groups.stop:
            found.append((low, high))
            return
        middle = (low + high) // 2
        walk(low, middle)
        walk(middle, high)

    walk(0, count)
    return found


def fold(node: Node, known: Callable[[Node], Any], add: Callable[[Any, Any], Any]) -> Any:
    """Return the sum of a node: what is known of it, or the sum of those of its halves.

    >>> fold((0, 3), lambda node: str(node[0]) if node[1] - node[0] == 1 else None,
    ...      lambda a, b: f"({a}+{b})")
    '(0+(1+2))'
    """
    value = known(node)
    if value is not None:
        return value
    low, high = node
    middle = (low + high) // 2
    first = fold((low, middle), known, add)
    return add(first, fold((middle, high), known, add))
