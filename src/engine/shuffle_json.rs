//! The readable form of shuffle files: JSON lines `{"key":…,"value":…}`, one file per map attempt and partition, for eyes and `jq`.
//!
//! Contract: any bytes come back as they were. Bytes that are UTF-8 are a JSON string; others are `{"hex":"ff00"}` in its place, lower case,
//! two digits per byte. A string is never hex and hex is never UTF-8, so what was written can be told. Pairs lie in the order of emission, or
//! sorted by key where they were combined.
//!
//! The writer is by hand (it is the map side's inner loop); the reader is serde_json's, so that the one checks the other.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends one pair as one line.
pub(super) fn write_pair(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend_from_slice(b"{\"key\":");
    write_bytes(out, key);
    out.extend_from_slice(b",\"value\":");
    write_bytes(out, value);
    out.extend_from_slice(b"}\n");
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_err() {
        out.extend_from_slice(b"{\"hex\":\"");
        out.extend(bytes.iter().flat_map(|byte| hex(*byte)));
        out.extend_from_slice(b"\"}");
        return;
    }
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(byte));
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn hex(byte: u8) -> [u8; 2] {
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// Calls `each` with every pair of a whole file; `Err` says which line is none.
pub(super) fn read_pairs(file: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Result<(), String> {
    let mut rest = file;
    let mut n = 0u64;
    while !rest.is_empty() {
        n += 1;
        let end = memchr::memchr(b'\n', rest).ok_or_else(|| format!("line {n} is cut off"))?;
        let line: Line<'_> = serde_json::from_slice(&rest[..end]).map_err(|error| format!("line {n} is no pair: {error}"))?;
        each(&line.key.0, &line.value.0);
        rest = &rest[end + 1..];
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    key: Bytes<'a>,
    #[serde(borrow)]
    value: Bytes<'a>,
}

/// A string, or `{"hex":…}`.
struct Bytes<'a>(Cow<'a, [u8]>);

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes<'a>, D::Error> {
        deserializer.deserialize_any(BytesVisitor).map(Bytes)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or {\"hex\":\"…\"}")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, digits)) = map.next_entry::<Cow<'de, str>, Cow<'de, str>>()? else {
            return Err(A::Error::missing_field("hex"));
        };
        if name != "hex" || map.next_key::<Cow<'de, str>>()?.is_some() {
            return Err(A::Error::custom("expected {\"hex\":\"…\"}"));
        }
        unhex(digits.as_bytes()).map(Cow::Owned).ok_or_else(|| A::Error::custom("expected pairs of hex digits"))
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| HEX.iter().position(|&known| known == byte).map(|value| value as u8);
    let pairs = digits.chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;

    fn round_trip(key: &[u8], value: &[u8]) {
        let mut file = Vec::new();
        write_pair(&mut file, key, value);
        let line = std::str::from_utf8(&file).expect("always UTF-8");
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        let mut pairs = Vec::new();
        read_pairs(&file, |key, value| pairs.push((key.to_vec(), value.to_vec()))).expect("readable");
        assert_eq!(pairs, [(key.to_vec(), value.to_vec())], "{line}");
    }

    #[test]
    fn any_bytes_come_back_as_they_were() {
        let mut random = Random(3);
        for _ in 0..2000 {
            let mut bytes = |alphabet: &[u8]| -> Vec<u8> { (0..random.below(12)).map(|_| *random.pick(alphabet)).collect() };
            round_trip(&bytes(b"a\"\\\n\r\t\x00\x1f\x7f{}:"), &bytes(b"\xff\xc3\xa9\xe2\x82\xac\x80a"));
        }
        for byte in 0..=255u8 {
            round_trip(&[byte], "{\"hex\":\"ff\"}\u{2028}\u{1f426}".as_bytes());
        }
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let mut file = Vec::new();
        write_pair(&mut file, b"say \"hi\"\x01", b"3");
        write_pair(&mut file, "é".as_bytes(), b"\xff\x00");
        let expected = concat!(r#"{"key":"say \"hi\"\u0001","value":"3"}"#, "\n", r#"{"key":"é","value":{"hex":"ff00"}}"#, "\n");
        assert_eq!(String::from_utf8(file).expect("UTF-8"), expected, "a change here breaks running jobs: raise the format number instead");
    }

    #[test]
    fn what_is_no_pair_is_refused_by_line() {
        let good = r#"{"key":"a","value":"b"}"#;
        for bad in [
            r#"{"key":"a"}"#,
            r#"{"key":"a","value":1}"#,
            r#"{"key":"a","value":{"hex":"f"}}"#,
            r#"{"key":"a","value":{"hex":"FF"}}"#,
            r#"{"key":"a","value":{}}"#,
            r#"{"key":"a","value":{"hex":"00","x":"y"}}"#,
            "",
        ] {
            let error = read_pairs(format!("{good}\n{bad}\n").as_bytes(), |_, _| ()).expect_err(bad);
            assert!(error.starts_with("line 2 is no pair: "), "{bad}: {error}");
        }
        assert_eq!(read_pairs(good.as_bytes(), |_, _| ()), Err("line 1 is cut off".to_owned()));
    }
}
