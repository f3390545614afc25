"""Any key and value comes back as it was, keys sort as they should, and nothing breaks a line."""

from __future__ import annotations

import math
import random
import unittest
from typing import Any

from flockwork.encoding import decode_key, decode_result, decode_value, encode_key, encode_result, encode_value


def random_texts(chance: random.Random, n: int) -> list[str]:
    letters = "\x00\x01\x02\x09\x0a\x0b\r1:s az\x7f\x85é\u2028\U0001f600\udc80\udcff"
    return ["".join(chance.choices(letters, k=chance.randrange(8))) for _ in range(n)]


KEYS: list[Any] = [
    "", "a", "word", "a\tb\nc", "\x00", "\x01", "\x011", "\x04", "\x0a", "é", "\u2028", "\udcff", "1", "True",
    b"", b"a", b"\x00\x01\t\n\xff", b"word",
    0, 1, -1, 9, 10, -9, -10, 10**40, -(10**40),
    1.0, 0.1, -2.5e300, True, False, None,
    (), ("a",), ("a", 1), (("a", b"\n"), None, -3, 2.5), ("\t", "\n", "\x01", "é", "\udc80"),
]  # fmt: skip


class Keys(unittest.TestCase):
    def test_every_key_comes_back_with_its_type_and_no_two_are_one(self) -> None:
        chance = random.Random(4)
        texts = random_texts(chance, 500)
        keys = KEYS + texts + [text.encode("utf-8", "surrogateescape") for text in texts] + [chance.randrange(-(10**6), 10**6) for _ in range(200)]
        codes: dict[bytes, str] = {}
        for key in keys:
            code = encode_key(key)
            self.assertFalse(b"\t" in code or b"\n" in code, key)
            again = decode_key(code)
            self.assertEqual((type(again), again), (type(key), key))
            self.assertEqual(codes.setdefault(code, repr(key)), repr(key), "another key has this code")

    def test_keys_of_one_type_sort_as_in_python(self) -> None:
        chance = random.Random(5)
        texts = random_texts(chance, 500)
        as_bytes = [text.encode("utf-8", "surrogateescape") for text in texts]
        numbers = [chance.randrange(-(10 ** chance.randrange(1, 30)), 10 ** chance.randrange(1, 30)) for _ in range(500)]
        self.assertEqual(sorted(as_bytes, key=encode_key), sorted(as_bytes))
        self.assertEqual(sorted(numbers, key=encode_key), sorted(numbers))
        plain = [text for text in texts if not any("\udc80" <= letter <= "\udcff" for letter in text)]
        self.assertEqual(sorted(plain, key=encode_key), sorted(plain))

    def test_what_is_no_key_is_refused(self) -> None:
        for key, error in [([1], TypeError), ({}, TypeError), (("a", [1]), TypeError), (math.nan, ValueError), ((math.inf,), ValueError), (1j, TypeError)]:
            with self.assertRaises(error, msg=repr(key)):
                encode_key(key)


class Values(unittest.TestCase):
    def test_every_value_comes_back(self) -> None:
        more: list[Any] = [[1, "a"], {"a": [(1, 2)], 3: {4}}, b"\x01:\x011\n", "\x01:\n\ud800", math.inf, complex(1, 2), range(3), math.sqrt]
        for value in KEYS + more + random_texts(random.Random(6), 500):
            code = encode_value(value)
            self.assertNotIn(b"\n", code, repr(value))
            again = decode_value(code)
            self.assertEqual((type(again), again), (type(value), value))


class Lines(unittest.TestCase):
    def test_results_are_json_lines(self) -> None:
        self.assertEqual(encode_result("wörd", 3), '["wörd", 3]\n'.encode())
        self.assertEqual(encode_result(b"\xff", (1, b"")), b'[{"$bytes": "/w=="}, [1, {"$bytes": ""}]]\n')

    def test_results_come_back_and_keys_with_their_type(self) -> None:
        for key in KEYS:
            line = encode_result(key, {"a": [key, "x"], "b": {"c": b"\n"}})
            self.assertEqual(line.count(b"\n"), 1)
            self.assertEqual(decode_result(line)[0], key)
        self.assertEqual(decode_result(encode_result("k", {"a": b"\x00\n"})), ("k", {"a": b"\x00\n"}))

    def test_what_json_cannot_say_is_refused_and_never_changed(self) -> None:
        with self.assertRaisesRegex(TypeError, "a set is no result"):
            encode_result("k", {1, 2})
        with self.assertRaisesRegex(ValueError, "bytes"):
            encode_result("k", {"$bytes": "YQ=="})
        self.assertEqual(decode_result(encode_result("k", '"$bytes":')), ("k", '"$bytes":'))
