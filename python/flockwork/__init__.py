"""MapReduce over one shared directory, with map and reduce written in Python.

Word count:

    import flockwork
    @flockwork.map
    def words(line): return [(word, 1) for word in line.split()]
    @flockwork.reduce
    def total(word, ones): return sum(ones)
    for word, n in flockwork.run("books"): print(n, word)

A thin face on `flockwork stream`: the program `flockwork` plans the job, claims tasks, sorts and survives; this package says which functions to call and
carries keys and values between them. docs/python.md has the limits, the rules and more examples.

Reading order: `functions` (which function, and how a worker finds it), `job` (run a job, read its results), `worker` (the other side: lines in, pairs out),
`encoding` (pairs as bytes), `counters`.
"""

from flockwork.counters import counter
from flockwork.functions import combine, map, reduce
from flockwork.job import FlockworkError, Results, results, run

__all__ = ["FlockworkError", "Results", "combine", "counter", "map", "reduce", "results", "run"]
