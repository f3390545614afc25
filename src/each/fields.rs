//! The fields of an item that is a JSON object, as the bytes that stand there: no number is rounded, and nothing is put into another order. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The fields of one item; of one name the last.
pub(super) struct Fields<'a>(BTreeMap<String, Field<'a>>);

enum Field<'a> {
    Text(String),
    Other(&'a RawValue),
}

impl<'a> Fields<'a> {
    /// Those of `item`; or why it is no JSON object.
    pub fn of(item: &'a [u8]) -> Result<Fields<'a>, String> {
        let raw: BTreeMap<String, &RawValue> = serde_json::from_slice(item).map_err(|error| error.to_string())?;
        let fields = raw.into_iter().map(|(name, raw)| {
            if !raw.get().starts_with('"') {
                return Ok((name, Field::Other(raw)));
            }
            match serde_json::from_str(raw.get()) {
                Ok(text) => Ok((name, Field::Text(text))),
                Err(error) => Err(format!("its field `{name}` is no text: {error}")),
            }
        });
        fields.collect::<Result<_, _>>().map(Fields)
    }

    /// What fills the hole of this name: a text as it is meant, anything else as it stands there; or what there is instead.
    pub fn bytes(&self, name: &str) -> Result<&[u8], String> {
        match self.0.get(name) {
            Some(Field::Text(text)) => Ok(text.as_bytes()),
            Some(Field::Other(raw)) => Ok(raw.get().as_bytes()),
            None if self.0.is_empty() => Err(format!("the item has no field `{name}`; it has none at all")),
            None => Err(format!("the item has no field `{name}`; it has {}", self.names().join(", "))),
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_the_bytes_that_stand_in_the_item() {
        let item =
            br#"{"id": 12345678901234567890123, "f":0.10,"e":1e400, "o": {"z": 1,"a":2}, "t":"a\u0041\n", "id2":-0, "n":null,"n":true}"#;
        let fields = Fields::of(item).expect("an object");
        for (name, text) in [
            ("id", "12345678901234567890123"),
            ("f", "0.10"),
            ("e", "1e400"),
            ("o", r#"{"z": 1,"a":2}"#),
            ("t", "aA\n"),
            ("id2", "-0"),
            ("n", "true"),
        ] {
            assert_eq!(fields.bytes(name).map(String::from_utf8_lossy), Ok(text.into()), "{name}");
        }
        assert!(fields.bytes("x").expect_err("absent").contains("it has e, f, id, id2, n, o, t"));
        assert!(Fields::of(b"{}").expect("an object").bytes("x").expect_err("absent").contains("none at all"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for item in [&b"[1]"[..], b"7", b"{", b"{\"a\":}", b"{\"a\":\"\\ud800\"}", b"{\"a\":\"\xff\"}", b"{\"a\":[\xff]}", b"{} {}", b""] {
            assert!(Fields::of(item).is_err(), "{:?}", String::from_utf8_lossy(item));
        }
    }
}
