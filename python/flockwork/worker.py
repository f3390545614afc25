"""The other side: one map or reduce attempt, started by `flockwork stream`; lines on stdin, encoded pairs or results on stdout.

What functions print goes to stderr, for stdout is the data's. An exception ends the attempt: its traceback, then where it happened, are the end of stderr, which
flockwork keeps in the task's error.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from itertools import groupby
from types import GeneratorType, TracebackType
from typing import Any, BinaryIO, Callable

from flockwork import counters, functions
from flockwork.encoding import TAB, decode_key, decode_value, encode_key, encode_result, encode_value

_BLOCK_PAIRS = 4096
"""Pairs that are written at once."""
_HELD_VALUES = 200_000
"""Values that wait for the combiner."""
_SHOWN_LETTERS = 200


class Where:
    """What is worked on, for the message where it fails."""

    text: str = "loading"
    record: Any = None


def main(words: list[str]) -> int:
    """Does what the command line says; its exit status."""
    role, place, *rest = words
    source, target = _take_streams()
    where = Where()
    try:
        if role == "reduce":
            sys.argv = [place.split("::")[0], *rest]
            reduce_all(every if place == "-" else functions.find(place), source, target, where)
        else:
            combiner, *rest = rest
            sys.argv = [place.split("::")[0], *rest]
            function = functions.find(place)
            combine = None if combiner == "-" else functions.find(combiner)
            lines = bytes_of(source) if role == "map-raw" else text_of(source)
            map_all(function, combine, lines, target, where)
        target.flush()
    except Exception as error:
        _tell(error, place, where)
        return 1
    counters.tell()
    return 0


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """stdin and stdout for the data alone; functions that print write to stderr, and find nothing to read."""
    source, target = os.fdopen(os.dup(0), "rb", 1 << 18), os.fdopen(os.dup(1), "wb", 1 << 18)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = sys.stderr
    return source, target


def bytes_of(source: BinaryIO) -> Iterator[bytes]:
    """Lines without their ends."""
    for line in source:
        yield line[:-2] if line.endswith(b"\r\n") else line[:-1]


def text_of(source: BinaryIO) -> Iterator[str]:
    """The same as text; what is no UTF-8 becomes lone surrogates, which become the same bytes again."""
    for line in bytes_of(source):
        yield line.decode("utf-8", "surrogateescape")


def map_all(
    function: functions.MapFunction,
    combine: functions.CombineFunction | None,
    lines: Iterable[bytes] | Iterable[str],
    target: BinaryIO,
    where: Where,
) -> None:
    """Maps all lines."""
    where.text, number = "reading", 0

    def pairs() -> Iterator[tuple[Any, Any]]:
        nonlocal number
        for where.record in lines:
            number += 1
            found = function(where.record)
            if found is not None:
                yield from found

    try:
        if combine is None:
            write_pairs(pairs(), target)
        else:
            write_combined(pairs(), combine, target)
    finally:
        file, start = os.environ.get("mapreduce_map_input_file", "the input"), os.environ.get("mapreduce_map_input_start", "0")
        where.text = f"line {number} of {file}" + ("" if start == "0" else f" from byte {start}")


def write_pairs(pairs: Iterable[tuple[Any, Any]], target: BinaryIO) -> None:
    """Writes pairs as they come."""
    block: list[bytes] = []
    push = block.append
    for key, value in pairs:
        push(encode_key(key) + TAB + encode_value(value) + b"\n")
        if len(block) >= _BLOCK_PAIRS:
            target.write(b"".join(block))
            block.clear()
    target.write(b"".join(block))


def write_combined(pairs: Iterable[tuple[Any, Any]], combine: functions.CombineFunction, target: BinaryIO) -> None:
    """Holds pairs by key, combines when many are held, and writes what does not become few by that."""
    # By text, or by the encoded key: a dict of Python's takes 1, 1.0 and True for one.
    held: dict[str | bytes, list[Any]] = {}
    n_held = 0

    def combine_held() -> None:
        for key, values in held.items():
            if len(values) > 1:
                values[:] = [combine(key if type(key) is str else decode_key(key), iter(values))]  # type: ignore[arg-type]

    def write_held() -> None:
        write_pairs(((key, value) for key, values in held.items() if type(key) is str for value in values), target)
        for key, values in held.items():
            if type(key) is bytes:
                target.writelines(key + TAB + encode_value(value) + b"\n" for value in values)
        held.clear()

    for key, value in pairs:
        by = key if type(key) is str else encode_key(key)
        values = held.get(by)
        if values is None:
            held[by] = [value]
        else:
            values.append(value)
        n_held += 1
        if n_held >= _HELD_VALUES:
            combine_held()
            if len(held) > _HELD_VALUES // 2:
                write_held()
            n_held = len(held)
    combine_held()
    write_held()


def every(key: Any, values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """The reduce of a job that has none."""
    for value in values:
        yield key, value


def reduce_all(function: functions.ReduceFunction, source: BinaryIO, target: BinaryIO, where: Where) -> None:
    """Reduces all keys, whose lines come sorted."""
    for code, lines in groupby(source, key=lambda line: line[: line.index(TAB)]):
        key, at = decode_key(code), len(code) + 1
        where.text, where.record = "the key", key
        result = function(key, (decode_value(line[at:-1]) for line in lines))
        if type(result) is GeneratorType:
            for out, value in result:
                target.write(encode_result(out, value))
        elif result is not None:
            target.write(encode_result(key, result))


def _tell(error: Exception, place: str, where: Where) -> None:
    """The traceback without this package's own part, and then what was worked on: the end is what is kept."""
    package = os.path.dirname(os.path.abspath(__file__))
    frames: TracebackType | None = error.__traceback__
    while frames is not None and os.path.dirname(frames.tb_frame.f_code.co_filename) == package:
        frames = frames.tb_next
    # An error of the package's own, about a pair that it cannot take, needs no traceback.
    traceback.print_exception(type(error), error, frames)
    record = "" if where.record is None else ": " + ascii(where.record)[:_SHOWN_LETTERS]
    sys.stderr.write(f"in {place} at {where.text}{record}\n")
