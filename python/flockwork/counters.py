"""Counters of one attempt, told to flockwork as Hadoop Streaming does it."""

from __future__ import annotations

import sys

_counted: dict[tuple[str, str], int] = {}


def counter(group: str, name: str, n: int = 1) -> None:
    """Adds `n` to the counter `group:name` of the job.

    Only attempts that count are summed; the sums are in `Results.counters`. Called outside of a worker it adds to nothing that anybody reads.
    """
    if n < 0:
        raise ValueError(f"counters only grow: {n} for {group}:{name}")
    if "," in group or "\n" in group + name or not group.strip() or not name.strip():
        raise ValueError(f"no counter can be called {group!r}, {name!r}: neither is empty or has a line's end, and the group has no comma")
    key = (group, name)
    _counted[key] = _counted.get(key, 0) + int(n)


def tell() -> None:
    """Writes all that was counted to stderr, and forgets it."""
    for (group, name), n in _counted.items():
        sys.stderr.write(f"reporter:counter:{group},{name},{n}\n")
    sys.stderr.flush()
    _counted.clear()
