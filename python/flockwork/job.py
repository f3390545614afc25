"""Runs a job with the program `flockwork`, and reads its results."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Union

from flockwork import functions
from flockwork.encoding import decode_result

Path = Union[str, "os.PathLike[str]"]

_WAIT_FOR_INTERRUPT_S = 2
"""Ctrl-C reaches the program by itself; a signal to Python alone is handed on after this."""


class FlockworkError(Exception):
    """What the program `flockwork` said when it did not end well; `status` is its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Results:
    """A finished job. Iterating gives its pairs, file after file, each file sorted by key; any number of times.

    `job` is its directory, `counters` its counters (`GROUP:NAME`, and flockwork's own).
    """

    def __init__(self, job: str, counters: dict[str, int], keep: bool) -> None:
        self.job, self.counters = job, counters
        self._remove = None if keep else weakref.finalize(self, _clean, job)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        # This stays alive, and so does the job, until the last pair is read.
        for pair in results(self.job):
            yield pair

    def close(self) -> None:
        """Removes the job if it was run with keep=False; also done at the end of a `with`, and when nobody has the results any more."""
        if self._remove is not None:
            self._remove()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<flockwork.Results of {self.job!r}>"


def run(
    inputs: Path | Iterable[Path],
    *,
    map: functions.MapFunction | None = None,
    combine: functions.CombineFunction | None = None,
    reduce: functions.ReduceFunction | None = None,
    job: Path | None = None,
    reduces: int | None = None,
    slots: int | None = None,
    raw: bool = False,
    keep: bool = True,
    progress: bool | None = None,
    **options: Any,
) -> Results:
    """Runs a job to its end and gives its results.

    inputs: files, folders or patterns. map, combine, reduce: the decorated functions unless given; without a reduce the pairs come out as they are, sorted by key.
    job: the job's directory, on the mount that all workers share; run again with the same one, a job goes on where it stopped. A new one in this folder unless given.
    reduces: number of reduce tasks, and so of output files (10). slots: processes that work here (the cores); others join with `flockwork worker JOB`.
    raw: lines are bytes instead of str. keep=False: the job's directory is removed with the results. progress: show it on stderr; unless given, on a terminal.
    options: any other option of `flockwork stream`, with `_` for `-`: split_size="1MiB", max_errors=1, no_backup=True, trust_user=["ann", "bob"].

    Raises FlockworkError with the program's words if the job fails. Ctrl-C raises KeyboardInterrupt and leaves the job, which can go on.
    """
    functions.refuse_in_worker()
    mapper = functions.chosen("map", map)
    if mapper is None:
        raise ValueError("a job needs a map: decorate a function with @flockwork.map, or give it with map=")
    combiner, reducer = functions.chosen("combine", combine), functions.chosen("reduce", reduce)
    root = os.fspath(job) if job is not None else _new_name(mapper)
    places = [functions.place_of(function) if function else "-" for function in (mapper, combiner, reducer)]
    words = [program(), "stream", f"--job={root}", "--json"]
    words.append("--mapper=" + _command("map-raw" if raw else "map", *places[:2]))
    words.append("--reducer=" + _command("reduce", places[2]))
    words += _words(reduces=reduces, slots=slots, **options)
    words += ["--", *([os.fspath(inputs)] if isinstance(inputs, (str, os.PathLike)) else [os.fspath(path) for path in inputs])]
    end = _run_to_end(words, root, sys.stderr.isatty() if progress is None else progress)
    return Results(root, end["counters"], keep)


def results(job: Path) -> Iterator[tuple[Any, Any]]:
    """The pairs of a finished job that was run by this package."""
    words = [program(), "cat", "--", os.fspath(job)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cat:
        assert cat.stdout is not None and cat.stderr is not None
        try:
            for line in cat.stdout:
                try:
                    pair = decode_result(line)
                except ValueError as error:
                    shown = f"{os.fspath(job)!r} holds a line that no reduce of Python's wrote: {line[:100]!r}"
                    raise FlockworkError(f"{shown}; read it with `flockwork cat`") from error
                yield pair
        finally:
            cat.stdout.close()  # the program ends where nobody reads on
            said = cat.stderr.read()
            status = cat.wait()
        if status != 0:
            raise FlockworkError(_text(said), status)


def program() -> str:
    """Where the program `flockwork` is: the environment's FLOCKWORK, beside this Python, or in PATH."""
    given = os.environ.get("FLOCKWORK")
    beside = [sysconfig.get_path("scripts"), os.path.dirname(sys.executable), sysconfig.get_path("scripts", f"{os.name}_user")]
    found = given or next(filter(None, (shutil.which("flockwork", path=folder) for folder in beside)), None) or shutil.which("flockwork")
    if found is None:
        raise FlockworkError("cannot find the program `flockwork`; install the wheel, or set FLOCKWORK to the program's path")
    return found


def _new_name(mapper: functions.MapFunction) -> str:
    """A name of no job in this folder."""
    name = getattr(mapper, "__name__", "map").strip("<>")
    name = f"flockwork-{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (name if number == 1 else f"{name}-{number}" for number in range(1, sys.maxsize))
    return next(name for name in names if not os.path.lexists(name))


def _command(*words: str) -> str:
    """A command line for `flockwork stream`; hashes are the same in every process, so that going through a set gives one order."""
    main = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    return " ".join(shlex.quote(word) for word in ("/usr/bin/env", "PYTHONHASHSEED=0", sys.executable, main, *words, *sys.argv[1:]))


def _words(**options: Any) -> list[str]:
    words = []
    for name, given in options.items():
        option = "--" + name.replace("_", "-")
        for value in given if isinstance(given, (list, tuple)) else [given]:
            if value is True:
                words.append(option)
            elif value is not None and value is not False:
                words.append(f"{option}={value}")
    return words


def _run_to_end(words: list[str], root: str, progress: bool) -> dict[str, Any]:
    """How the job ended, if it ended well."""
    if not progress:
        words = [*words[:2], "--quiet", *words[2:]]
    stderr = None if progress else subprocess.PIPE
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
    try:
        out, said = child.communicate()
    except KeyboardInterrupt:
        _let_end(child)
        raise KeyboardInterrupt(f"the job stays in {root}: run the same with job={root!r}, and it goes on") from None
    if child.returncode != 0:
        words_said = _text(said or b"") or (json.loads(out).get("error") if out.strip() else None)
        raise FlockworkError(words_said or "`flockwork stream` did not end well; what it said stands above", child.returncode)
    end: dict[str, Any] = json.loads(out)
    return end


def _let_end(child: subprocess.Popen[bytes]) -> None:
    """Until it has given its claims back."""
    try:
        child.wait(_WAIT_FOR_INTERRUPT_S)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait()


def _text(said: bytes) -> str:
    """The program's words without its name before them."""
    return said.decode("utf-8", "replace").strip().replace("flockwork: ", "", 1)


def _clean(job: str) -> None:
    subprocess.run([program(), "clean", "--all", "--yes", "--", job], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
