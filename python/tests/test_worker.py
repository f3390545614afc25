"""The worker's side without processes: pairs out, combined or not, and results."""

from __future__ import annotations

import io
import unittest
from collections.abc import Iterable
from typing import Any
from unittest import mock

from flockwork import counters, functions, worker


def pairs_of(written: bytes) -> list[tuple[Any, Any]]:
    lines = (line.split(b"\t", 1) for line in written.split(b"\n")[:-1])
    return [(worker.decode_key(key), worker.decode_value(value)) for key, value in lines]


def combined(pairs: list[tuple[Any, Any]], combine: Any, held: int) -> list[tuple[Any, Any]]:
    target = io.BytesIO()
    with mock.patch.object(worker, "_HELD_VALUES", held):
        worker.write_combined(pairs, combine, target)
    return pairs_of(target.getvalue())


def total(_key: Any, values: Iterable[int]) -> int:
    return sum(values)


class Combining(unittest.TestCase):
    def test_all_that_is_held_becomes_one_value_per_key(self) -> None:
        self.assertEqual(sorted(combined([("a", 1), ("b", 5), ("a", 2)], total, 100)), [("a", 3), ("b", 5)])

    def test_the_sums_are_the_same_however_little_is_held(self) -> None:
        pairs = [(f"k{n * n % 37}", n) for n in range(500)]
        for held in (1, 2, 7, 50, 1000):
            found: dict[str, int] = {}
            for key, value in combined(pairs, total, held):
                found[key] = found.get(key, 0) + value
            self.assertEqual(found, {f"k{k}": sum(n for n in range(500) if n * n % 37 == k) for k in {n * n % 37 for n in range(500)}})

    def test_keys_that_python_takes_for_one_stay_apart(self) -> None:
        self.assertEqual(len(combined([(1, 1), (1.0, 1), (True, 1), ("1", 1), (b"1", 1), (1, 4)], total, 100)), 5)

    def test_values_of_a_key_keep_their_order(self) -> None:
        found = combined([("a", "x"), ("b", "-"), ("a", "y"), ("a", "z")], lambda _key, values: "".join(values), 2)
        self.assertEqual("".join(value for key, value in found if key == "a"), "xyz")


class Reducing(unittest.TestCase):
    def reduce(self, function: Any, *pairs: tuple[Any, Any]) -> list[Any]:
        source, target = io.BytesIO(), io.BytesIO()
        worker.write_pairs(pairs, source)
        source.seek(0)
        worker.reduce_all(function, source, target, worker.Where())
        return [worker.encode_result, *target.getvalue().decode().splitlines()][1:]

    def test_what_is_returned_is_the_keys_result_and_none_is_none(self) -> None:
        found = self.reduce(lambda _key, values: sum(values) or None, ("a", 1), ("a", 2), ("b", 0))
        self.assertEqual(found, ['["a", 3]'])

    def test_what_is_yielded_are_pairs_and_values_need_not_be_read(self) -> None:
        def twice(key: str, values: Iterable[int]) -> Any:
            yield key, next(iter(values))
            yield key.upper(), []

        self.assertEqual(self.reduce(twice, ("a", 1), ("a", 2), ("b", 3)), ['["a", 1]', '["A", []]', '["b", 3]', '["B", []]'])


class Lines(unittest.TestCase):
    def test_ends_are_taken_off_and_any_bytes_are_text_that_goes_back(self) -> None:
        source = b"one\r\ntwo\n\n\xff\xfe \xc3\xa9\n"
        self.assertEqual(list(worker.bytes_of(io.BytesIO(source))), [b"one", b"two", b"", b"\xff\xfe \xc3\xa9"])
        self.assertEqual(list(worker.text_of(io.BytesIO(source)))[3].encode("utf-8", "surrogateescape"), b"\xff\xfe \xc3\xa9")


class Counting(unittest.TestCase):
    def test_a_counter_that_flockwork_could_not_read_is_refused(self) -> None:
        for group, name, n in [("a,b", "c", 1), ("a", "b\n", 1), ("", "b", 1), ("a", " ", 1), ("a", "b", -1)]:
            with self.assertRaises(ValueError, msg=f"{group!r} {name!r} {n}"):
                counters.counter(group, name, n)


class Choosing(unittest.TestCase):
    def test_two_decorated_functions_need_a_choice(self) -> None:
        with mock.patch.dict(functions._decorated, {"map": [total, pairs_of]}):
            with self.assertRaisesRegex(ValueError, r"total, pairs_of\): say which with map="):
                functions.chosen("map", None)
            self.assertIs(functions.chosen("map", total), total)

    def test_a_function_that_no_worker_finds_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "cannot find .*<lambda>"):
            functions.place_of(lambda line: None)
        self.assertTrue(functions.place_of(total).endswith(f"::{__name__}::total"))
