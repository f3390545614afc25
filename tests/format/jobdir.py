"""A job's directory as docs/format.md describes it, read and written without flockwork: Python 3, its standard library, nothing else.

The numbers in brackets are sections of that page.
"""

import json
import os
import re
import struct
import zlib
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

FORMAT = 1
TASK = re.compile(r"(map|reduce)-(\d{5}|[1-9]\d{5,})")
ATTEMPT = re.compile(r"(?P<task>" + TASK.pattern + r")\.a(?P<attempt>[1-9]\d*)")
WORKER = re.compile(r"(?P<host>[A-Za-z0-9_-][A-Za-z0-9._-]*)\.(?P<pid>0|[1-9]\d*)\.(?P<nonce>[a-z0-9]+)")
CLAIM = re.compile(ATTEMPT.pattern + "@" + WORKER.pattern)
STATES = ("pending", "claimed", "done", "failed", "expired")


class Wrong(Exception):
    """The directory is not what the page says."""


def must(is_so: bool, what: str) -> None:
    if not is_so:
        raise Wrong(what)


# Names [2].


def names(folder: str) -> List[str]:
    """The names in a folder that are not hidden, sorted."""
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def task_of(name: str) -> Tuple[str, int]:
    """`map-00042.a1@…` is of ("map", 42)."""
    kind, digits = TASK.match(name).groups()
    return kind, int(digits)


# Sealed lines and plans [4].


def seal(fields: Dict) -> bytes:
    """A line of a plan with its checksum, and its newline."""
    body = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def unsealed(line: bytes) -> Dict:
    """The fields of a sealed line, whose checksum is right."""
    body, mark, rest = line.rpartition(b',"crc":"')
    must(mark != b"" and re.fullmatch(rb'[0-9a-f]{8}"}', rest) is not None, f"a plan's line bears a seal: {line!r}")
    must(int(rest[:8], 16) == zlib.crc32(body), f"a line is what its seal says: {line!r}")
    return json.loads(line)


class Plan(NamedTuple):
    head: Dict
    lines: List[Dict]


def read_plan(root: str, phase: str) -> Plan:
    """`phase/map` or `phase/reduce`."""
    with open(os.path.join(root, "phase", phase), "rb") as file:
        head, *lines = [unsealed(line) for line in file.read().splitlines()]
    must(head["format"] <= FORMAT, f"this program knows formats up to {FORMAT}")
    must([line["task"] for line in lines] == list(range(head["maps"])), "a plan has every map task once, in order")
    return Plan(head, lines)


def read_asked(root: str, plan: Optional[Plan]) -> Dict:
    """`job.json` [3], which is what the map plan was made of."""
    with open(os.path.join(root, "job.json"), "rb") as file:
        text = file.read()
    must(plan is None or plan.head["asked"] == "%08x" % zlib.crc32(text), "job.json is what the plan was made of")
    asked = json.loads(text)
    must(asked["format"] <= FORMAT, f"this program knows formats up to {FORMAT}")
    return asked


# Records [5].


def lines_of(path: str) -> List[Dict]:
    """The lines of a task's file that are JSON; others were torn by a crash."""
    lines = []
    with open(path, "rb") as file:
        for line in file.read().split(b"\n"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
    return lines


def own_result(path: str) -> Dict:
    """What the attempt in `done/` made: the last result by the name of the file itself."""
    name = os.path.basename(path)
    made = [line["event"]["result"]["made"] for line in lines_of(path) if line["by"] == name and "result" in line["event"]]
    must(made != [], f"{path} holds a result of its own")
    return made[-1]


def line_by(name: str, event: Dict) -> bytes:
    from datetime import datetime, timezone

    at = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"by": name, "at": at, "event": event}, separators=(",", ":")).encode() + b"\n"


# The input [4.1].


def lines_of_split(root: str, pieces: List[Dict]) -> Iterator[bytes]:
    """The lines that begin in the pieces, without their ends."""
    for piece in pieces:
        path = os.path.join(root, piece["path"])
        found = os.stat(path)
        must((found.st_size, found.st_mtime_ns) == (piece["len"], piece["mtime_ns"]), f"{path} is as it was planned")
        with open(path, "rb") as file:
            at = piece["from"]
            if at > 0:
                # The line that the byte before belongs to began before this piece.
                file.seek(at - 1)
                at = at - 1 + len(file.readline())
            while at < piece["to"]:
                line = file.readline()
                at += len(line)
                yield line.removesuffix(b"\n").removesuffix(b"\r")


# Run files [6].

BLOCK, SLICE, TAIL = struct.Struct("<IIIII"), struct.Struct("<QQQI"), struct.Struct("<III8s")


def lz4(packed: bytes, raw_len: int) -> bytes:
    """One LZ4 block, unpacked."""
    out, at = bytearray(), 0

    def length(nibble: int) -> int:
        nonlocal at
        total = nibble
        while nibble == 15:
            total += packed[at]
            at += 1
            if packed[at - 1] != 255:
                break
        return total

    while at < len(packed):
        token = packed[at]
        at += 1
        literals = length(token >> 4)
        out += packed[at : at + literals]
        at += literals
        if at >= len(packed):
            break
        offset = packed[at] | packed[at + 1] << 8
        at += 2
        for _ in range(length(token & 15) + 4):
            out.append(out[-offset])
    must(len(out) == raw_len, "a block unpacks to its length")
    return bytes(out)


def entries(raw: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """The pairs of one block's content."""
    key, at = b"", 0

    def varint() -> int:
        nonlocal at
        number, shift = 0, 0
        while True:
            byte = raw[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(raw):
        shared, more = raw[at] >> 4, raw[at] & 15
        at += 1
        shared += varint() if shared == 15 else 0
        more += varint() if more == 15 else 0
        value_len = varint()
        key = key[:shared] + raw[at : at + more]
        at += more
        yield key, raw[at : at + value_len]
        at += value_len


class Run(NamedTuple):
    sections: int
    slices: List[Tuple[int, int, int, int]]
    """offset, bytes, records and checksum, by section and partition"""
    content: bytes

    def pairs(self, at: int, partition: int) -> Iterator[Tuple[bytes, bytes]]:
        """The pairs of slice `at`, every checksum looked at."""
        offset, n_bytes, n_records, want = self.slices[at]
        place, crcs, found, last = offset, b"", 0, b""
        while place < offset + n_bytes:
            stored, raw_len, records, part, crc = BLOCK.unpack_from(self.content, place)
            payload = self.content[place + BLOCK.size : place + BLOCK.size + stored]
            must(zlib.crc32(payload, zlib.crc32(self.content[place : place + 16])) == crc, "a block is what its checksum says")
            must(part == partition, "a block is of its slice's partition")
            raw = payload if stored == raw_len else lz4(payload, raw_len)
            pairs = list(entries(raw))
            must(len(pairs) == records, "a block has as many pairs as it says")
            for key, value in pairs:
                must(last <= key, "keys are sorted in a slice")
                last = key
                yield key, value
            crcs, found, place = crcs + struct.pack("<I", crc), found + records, place + BLOCK.size + stored
        must((place, found, zlib.crc32(crcs)) == (offset + n_bytes, n_records, want), "a slice is what the index says")


def read_run(path: str, described: Dict, partitions: int) -> Run:
    """A run file, as `described` in a record or in the reduce plan."""
    with open(path, "rb") as file:
        content = file.read()
    must(len(content) == described["len"], f"{path} has its length")
    sections, n_slices, version, end = TAIL.unpack(content[-TAIL.size :])
    must(content[:8] == b"FLOCKRUN" and end == b"FLOCKEND" and version == 2, f"{path} is a run of version 2")
    must((sections, n_slices) == (described.get("sections", 1), sections * partitions), f"{path} has a slice per section and partition")
    footer = content[len(content) - TAIL.size - n_slices * SLICE.size :]
    must(zlib.crc32(footer) == described["crc32"], f"the footer of {path} is what was described")
    return Run(sections, list(SLICE.iter_unpack(footer[: -TAIL.size])), content)


def run_bytes(parts: List[List[Tuple[bytes, bytes]]]) -> Tuple[bytes, int]:
    """A run of one section with these pairs, sorted by key, per partition; and the checksum of its footer. Nothing is compressed, no prefix shared."""
    out, slices = bytearray(b"FLOCKRUN"), b""

    def varint(number: int) -> bytes:
        out = b""
        while number >= 0x80:
            out += bytes([number & 0x7F | 0x80])
            number >>= 7
        return out + bytes([number])

    for partition, pairs in enumerate(parts):
        offset, crcs = len(out), b""
        for at in range(0, len(pairs), 500):
            block = pairs[at : at + 500]
            raw = b"".join(
                bytes([min(len(key), 15)]) + (varint(len(key) - 15) if len(key) >= 15 else b"") + varint(len(value)) + key + value
                for key, value in block
            )
            fields = struct.pack("<IIII", len(raw), len(raw), len(block), partition)
            crc = struct.pack("<I", zlib.crc32(raw, zlib.crc32(fields)))
            out, crcs = out + fields + crc + raw, crcs + crc
        slices += SLICE.pack(offset, len(out) - offset, len(pairs), zlib.crc32(crcs))
    footer = slices + TAIL.pack(1, len(parts), 2, b"FLOCKEND")
    return bytes(out) + footer, zlib.crc32(footer)


# Partitions [7]: XXH3-64 with seed 0, of keys of up to 128 bytes.

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
U64 = (1 << 64) - 1


def xxh3_64(key: bytes) -> int:
    """XXH3-64 with seed 0, for at most 128 bytes (longer ones have two more forms)."""

    def word(of: bytes, at: int, width: int = 8) -> int:
        return int.from_bytes(of[at : at + width], "little")

    def fold(a: int, b: int) -> int:
        return (a * b & U64) ^ (a * b >> 64)

    def avalanche(h: int) -> int:
        h = (h ^ h >> 37) * 0x165667919E3779F9 & U64
        return h ^ h >> 32

    def old_avalanche(h: int) -> int:
        h = (h ^ h >> 33) * 0xC2B2AE3D27D4EB4F & U64
        h = (h ^ h >> 29) * 0x165667B19E3779F9 & U64
        return h ^ h >> 32

    def mix(at: int, secret: int) -> int:
        return fold(word(key, at) ^ word(SECRET, secret), word(key, at + 8) ^ word(SECRET, secret + 8))

    n = len(key)
    must(n <= 128, "keys of this test are short")
    if n == 0:
        return old_avalanche(word(SECRET, 56) ^ word(SECRET, 64))
    if n <= 3:
        both = key[0] << 16 | key[n >> 1] << 24 | key[-1] | n << 8
        return old_avalanche(both ^ word(SECRET, 0, 4) ^ word(SECRET, 4, 4))
    if n <= 8:
        h = (word(key, n - 4, 4) + (word(key, 0, 4) << 32)) ^ word(SECRET, 8) ^ word(SECRET, 16)
        h ^= (h << 49 | h >> 15) & U64 ^ (h << 24 | h >> 40) & U64
        h = h * 0x9FB21C651E98DF25 & U64
        h = (h ^ (h >> 35) + n) * 0x9FB21C651E98DF25 & U64
        return h ^ h >> 28
    if n <= 16:
        low = word(key, 0) ^ word(SECRET, 24) ^ word(SECRET, 32)
        high = word(key, n - 8) ^ word(SECRET, 40) ^ word(SECRET, 48)
        return avalanche(n + int.from_bytes(low.to_bytes(8, "little"), "big") + high + fold(low, high) & U64)
    h = n * 0x9E3779B185EBCA87
    for pair in range((n - 1) // 32, -1, -1):
        h += mix(16 * pair, 32 * pair) + mix(n - 16 * (pair + 1), 32 * pair + 16)
    return avalanche(h & U64)


def partition_of(key: bytes, parts: int) -> int:
    return xxh3_64(key) * parts >> 64


# What the app `wc` makes of it [8].


def words(text: bytes) -> Iterator[bytes]:
    """Maximal runs of letters, which in a foreign worker's test are those of ASCII."""
    for found in re.finditer(rb"[A-Za-z]+", text):
        yield found.group()
