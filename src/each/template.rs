//! A command with holes in it, and an item to fill them. Pure.
//!
//! | hole | is replaced by |
//! |---|---|
//! | `{}` | the item |
//! | `{.}` | the item without its extension |
//! | `{/}` | its last part, as of a path |
//! | `{//}` | what stands before that; `.` where nothing does |
//! | `{/.}` | its last part without extension |
//! | `{#}` | its number, counted from 1 |
//! | `{name}` | where items are JSON: its field of this name; text as it is, anything else as it stands there |
//!
//! Holes are filled anywhere in an argument, and what fills them is never looked at again, nor by a shell. A command without any gets the item as its last argument.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::fields::Fields;

/// A command as the user gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    args: Vec<Vec<Part>>,
    wants_fields: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Hole(Hole),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hole {
    Item,
    Stem,
    Name,
    Folder,
    NameStem,
    Number,
    Field(String),
}

impl Template {
    /// The command `args`; names in braces are fields where items are JSON.
    pub fn new(args: &[String], with_fields: bool) -> Template {
        let mut args: Vec<Vec<Part>> = args.iter().map(|arg| parts(arg, with_fields)).collect();
        let holes = || args.iter().flatten().filter_map(|part| if let Part::Hole(hole) = part { Some(hole) } else { None });
        let wants_fields = holes().any(|hole| matches!(hole, Hole::Field(_)));
        if holes().next().is_none() {
            args.push(vec![Part::Hole(Hole::Item)]);
        }
        Template { args, wants_fields }
    }

    /// The command for `item`, the `number`th; or what the item lacks.
    pub fn fill(&self, item: &[u8], number: u64) -> Result<Vec<OsString>, String> {
        let fields = match self.wants_fields {
            true => Some(Fields::of(item).map_err(|error| format!("the item is not JSON: {error}"))?),
            false => None,
        };
        let fill = |part: &Part| -> Result<Vec<u8>, String> {
            Ok(match part {
                Part::Text(text) => text.as_bytes().to_vec(),
                Part::Hole(Hole::Item) => item.to_vec(),
                Part::Hole(Hole::Stem) => stem(item).to_vec(),
                Part::Hole(Hole::Name) => name(item).to_vec(),
                Part::Hole(Hole::Folder) => folder(item).to_vec(),
                Part::Hole(Hole::NameStem) => stem(name(item)).to_vec(),
                Part::Hole(Hole::Number) => number.to_string().into_bytes(),
                Part::Hole(Hole::Field(field)) => fields.as_ref().map_or(Ok(&[][..]), |fields| fields.bytes(field))?.to_vec(),
            })
        };
        let mut filled = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            let bytes = arg.iter().map(fill).collect::<Result<Vec<_>, String>>()?.concat();
            if bytes.contains(&0) {
                return Err("an argument of a command cannot hold a NUL (-0 takes items that end with one)".to_owned());
            }
            filled.push(OsString::from_vec(bytes));
        }
        Ok(filled)
    }
}

/// A command as one could type it in a shell; what is not UTF-8 is replaced.
pub fn shown(words: &[OsString]) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@%:,".contains(c);
    let quoted = |word: &OsString| {
        let text = word.to_string_lossy();
        if !text.is_empty() && text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn parts(arg: &str, with_fields: bool) -> Vec<Part> {
    let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), arg);
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let hole = rest.find('}').and_then(|end| Some((end, hole(&rest[1..end], with_fields)?)));
        match hole {
            Some((end, hole)) => {
                parts.extend((!text.is_empty()).then(|| Part::Text(std::mem::take(&mut text))));
                parts.push(Part::Hole(hole));
                rest = &rest[end + 1..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    parts.extend((!text.is_empty() || parts.is_empty()).then_some(Part::Text(text)));
    parts
}

fn hole(name: &str, with_fields: bool) -> Option<Hole> {
    Some(match name {
        "" => Hole::Item,
        "." => Hole::Stem,
        "/" => Hole::Name,
        "//" => Hole::Folder,
        "/." => Hole::NameStem,
        "#" => Hole::Number,
        name if with_fields && is_field(name) => Hole::Field(name.to_owned()),
        _ => return None,
    })
}

/// What may stand in braces as a field's name: an awk program is none.
fn is_field(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

fn stem(item: &[u8]) -> &[u8] {
    match item.iter().rposition(|byte| b"./".contains(byte)) {
        Some(at) if item[at] == b'.' && at + 1 < item.len() => &item[..at],
        Some(_) | None => item,
    }
}

fn name(item: &[u8]) -> &[u8] {
    item.iter().rposition(|&byte| byte == b'/').map_or(item, |at| &item[at + 1..])
}

fn folder(item: &[u8]) -> &[u8] {
    match item.iter().rposition(|&byte| byte == b'/') {
        Some(0) => b"/",
        Some(at) => &item[..at],
        None => b".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(args: &[&str], item: &str, json: bool) -> Result<Vec<String>, String> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let filled = Template::new(&args, json).fill(item.as_bytes(), 7)?;
        Ok(filled.into_iter().map(|arg| arg.into_string().expect("text")).collect())
    }

    #[test]
    fn every_hole_is_filled_anywhere_in_an_argument() {
        let holes = ["a{}b{}", "{.}", "{/}", "{//}", "{/.}", "{#}", "{1} {x}", "{", "}", "{{}}", ""];
        let expected = ["ad/e.tar.gzbd/e.tar.gz", "d/e.tar", "e.tar.gz", "d", "e.tar", "7", "{1} {x}", "{", "}", "{d/e.tar.gz}", ""];
        assert_eq!(filled(&holes, "d/e.tar.gz", false).expect("filled"), expected);
    }

    #[test]
    fn paths_are_taken_apart_as_gnu_parallel_does() {
        for (item, stem, name, folder) in [
            ("a", "a", "a", "."),
            ("/a", "/a", "a", "/"),
            ("a.b/c", "a.b/c", "c", "a.b"),
            ("a.", "a.", "a.", "."),
            ("x/y/", "x/y/", "", "x/y"),
            ("", "", "", "."),
        ] {
            assert_eq!(filled(&["{.}", "{/}", "{//}"], item, false).expect("filled"), [stem, name, folder], "{item:?}");
        }
    }

    #[test]
    fn a_command_without_holes_gets_the_item_last() {
        assert_eq!(filled(&["wc", "-l"], "a b; c", false).expect("filled"), ["wc", "-l", "a b; c"]);
        assert_eq!(filled(&["wc"], "{}", false).expect("filled"), ["wc", "{}"], "what fills a hole has no holes");
        assert_eq!(filled(&["awk", "{print}"], "f", false).expect("filled"), ["awk", "{print}", "f"], "no field where items are no JSON");
    }

    #[test]
    fn fields_of_json_items_are_filled_by_name() {
        let item = r#"{"id":3,"text":"a \"b\"","list":[1,null]}"#;
        assert_eq!(filled(&["{id}-{text}", "{list}", "{print $1}"], item, true).expect("filled"), ["3-a \"b\"", "[1,null]", "{print $1}"]);
        assert_eq!(filled(&["{}"], item, true).expect("filled"), [item]);
        assert_eq!(filled(&["{idd}"], item, true), Err("the item has no field `idd`; it has id, list, text".to_owned()));
        assert!(filled(&["{id}"], "nonsense", true).expect_err("refused").contains("not JSON"));
    }

    #[test]
    fn a_nul_is_refused_and_not_cut_off() {
        assert!(filled(&["{}"], "a\0b", false).expect_err("refused").contains("NUL"));
    }
}
