"""Pairs as bytes: a key, a TAB, a value, a line's end, as `flockwork stream` wants them; any key and value comes back as it was.

Keys are compared as bytes, so their form is made for that: text as its UTF-8, which sorts by code point; whole numbers by size. A key of another type is never
equal to one of this, also where Python says so (`1`, `1.0` and `True` are three keys). Values are what pickle takes. Results are JSON, for everybody to read.

| first byte | key |
|---|---|
| any other, or none | str, as UTF-8; what was no UTF-8 in the input is again the same bytes |
| 02 | bytes |
| 03 | int: `p` and the number of its digits in four digits and its digits; `n` and the nines' complement of these where it is negative |
| 04 | float, bool, None, or a tuple of keys, as `ascii()` shows it |

| first byte | value |
|---|---|
| `-` or a digit | int |
| `s` | str, as UTF-8 |
| `b` | bytes |
| 80 | anything else, pickled |

In both, bytes up to 0A are written as 01 and the byte plus 30 (in values only 01 and 0A are), which leaves the order as it is.
"""

from __future__ import annotations

import ast
import base64
import json
import math
import pickle
import re
from typing import Any

TAB = b"\t"
END = b"\n"
_LOW = re.compile(rb"[\x00-\x0a]")
_ESCAPED = re.compile(rb"\x01(.)")
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_BYTES = "$bytes"


def encode_key(key: Any) -> bytes:
    """The key as it is sorted; TypeError or ValueError if it is none."""
    if type(key) is str:
        if key.isprintable():  # neither escapes nor stray surrogates
            return key.encode()
        return _escape(key.encode("utf-8", "surrogateescape"))
    if type(key) is bytes:
        return b"\x02" + _escape(key)
    if type(key) is int:
        digits = str(abs(key))
        text = f"{len(digits):04}{digits}"
        return b"\x03" + (f"n{text.translate(_COMPLEMENT)}" if key < 0 else f"p{text}").encode()
    _check_key(key)
    return b"\x04" + ascii(key).encode()


def decode_key(code: bytes) -> Any:
    """The key again."""
    tag = code[:1]
    if tag > b"\x0a" or not tag:
        return (_unescape(code) if b"\x01" in code else code).decode("utf-8", "surrogateescape")
    if tag == b"\x01":
        return _unescape(code).decode("utf-8", "surrogateescape")
    if tag == b"\x02":
        return _unescape(code[1:])
    if tag == b"\x03":
        text = code[1:].decode()
        return int(text[5:]) if text[0] == "p" else -int(text[5:].translate(_COMPLEMENT))
    return ast.literal_eval(code[1:].decode())


def _check_key(key: Any) -> None:
    if type(key) is tuple:
        for part in key:
            _check_key(part)
    elif type(key) is float and not math.isfinite(key):
        raise ValueError(f"{key} is no key: it is not equal to itself, or has no place in an order")
    elif key is not None and type(key) not in (str, bytes, int, float, bool):
        raise TypeError(f"a {type(key).__name__} is no key: keys are str, bytes, int, float, bool, None and tuples of these")


def encode_value(value: Any) -> bytes:
    """The value as it travels."""
    if type(value) is int:
        return b"%d" % value
    if type(value) is str:
        data = b"s" + value.encode("utf-8", "surrogatepass")
    elif type(value) is bytes:
        data = b"b" + value
    else:
        data = pickle.dumps(value, 4)
    if b"\n" in data or b"\x01" in data:
        data = data.replace(b"\x01", b"\x011").replace(b"\n", b"\x01:")
    return data


def decode_value(code: bytes) -> Any:
    """The value again. It may be a pickle: what it says is done, so only data of a trusted job is read."""
    tag = code[0]
    if tag < 0x3A:
        return int(code)
    if b"\x01" in code:
        code = code.replace(b"\x01:", b"\n").replace(b"\x011", b"\x01")
    if tag == 0x73:
        return code[1:].decode("utf-8", "surrogatepass")
    if tag == 0x62:
        return code[1:]
    return pickle.loads(code)


def _escape(data: bytes) -> bytes:
    return _LOW.sub(lambda found: bytes((1, found[0][0] + 0x30)), data)


def _unescape(data: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes((found[1][0] - 0x30,)), data)


def encode_result(key: Any, value: Any) -> bytes:
    """A line of an output file: a JSON array of key and value. bytes are `{"$bytes": "base64"}`."""
    n_bytes = 0

    def other(thing: Any) -> dict[str, str]:
        nonlocal n_bytes
        if not isinstance(thing, bytes):
            raise TypeError(f"a {type(thing).__name__} is no result: results are JSON (str, numbers, bool, None, list, dict) and bytes")
        n_bytes += 1
        return {_BYTES: base64.b64encode(thing).decode()}

    text = json.dumps([key, value], ensure_ascii=False, default=other)
    if text.count('"$bytes":') != n_bytes:
        raise ValueError('a dict with the key "$bytes" is no result: that is how bytes are written')
    try:
        return text.encode() + END
    except UnicodeEncodeError:  # bytes of the input that were no UTF-8: JSON can say them in escapes only
        return json.dumps(json.loads(text)).encode() + END


def decode_result(line: bytes) -> tuple[Any, Any]:
    """Key and value of a line of an output file."""
    key, value = json.loads(line, object_hook=_bytes_again if b'"$bytes"' in line else None)
    return _as_tuple(key), value


def _bytes_again(found: dict[str, Any]) -> Any:
    return base64.b64decode(found[_BYTES]) if found.keys() == {_BYTES} else found


def _as_tuple(key: Any) -> Any:
    return tuple(_as_tuple(part) for part in key) if isinstance(key, list) else key
