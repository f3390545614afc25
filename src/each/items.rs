//! The items of a job: gathered once, kept in one file, taken from it by their range. Pure.
//!
//! The file has every item with a terminator behind it, so that people can read it and the ranges can be found again by whoever has to plan the job anew.

use super::ITEM_BYTES_MAX;
use super::fields::Fields;

/// How items stand in their file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One per line.
    Lines,
    /// One per NUL.
    Null,
    /// One JSON object per line.
    Json,
}

impl Form {
    /// As it stands in `job.json`.
    pub fn name(self) -> &'static str {
        match self {
            Form::Lines => "lines",
            Form::Null => "null",
            Form::Json => "json",
        }
    }

    /// The form of this name.
    pub fn named(name: &str) -> Option<Form> {
        [Form::Lines, Form::Null, Form::Json].into_iter().find(|form| form.name() == name)
    }

    /// How many items end in these bytes.
    pub fn count(self, bytes: &[u8]) -> usize {
        memchr::memchr_iter(self.terminator(), bytes).count()
    }

    fn terminator(self) -> u8 {
        match self {
            Form::Lines | Form::Json => b'\n',
            Form::Null => 0,
        }
    }
}

/// What `items` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// How they are to be understood.
    pub form: Form,
}

impl Items {
    /// What was read from stdin or a file. Line ends may be those of Windows; lines of JSON may be empty, and then are no items.
    pub fn of_text(mut bytes: Vec<u8>, form: Form) -> Result<Items, String> {
        let end = form.terminator();
        if bytes.last().is_some_and(|&last| last != end) {
            bytes.push(end);
        }
        if form != Form::Null && bytes.windows(2).any(|two| two == b"\r\n") {
            bytes = without_returns(&bytes);
        }
        if form == Form::Json {
            bytes = checked_json(&bytes)?;
        }
        Items { bytes, form }.checked()
    }

    /// The arguments after `:::`.
    pub fn of_args(args: &[Vec<u8>], form: Form) -> Result<Items, String> {
        // An argument may have lines in it.
        let has_lines = args.iter().any(|arg| arg.contains(&b'\n'));
        let form = if has_lines && form == Form::Lines { Form::Null } else { form };
        let mut bytes = Vec::new();
        for arg in args {
            bytes.extend_from_slice(arg);
            bytes.push(form.terminator());
        }
        if form == Form::Json { Items::of_text(bytes, form) } else { Items { bytes, form }.checked() }
    }

    fn checked(self) -> Result<Items, String> {
        let long = self.ranges().position(|(from, to)| to - from > ITEM_BYTES_MAX as u64);
        match long.map(|at| at + 1) {
            Some(number) => Err(format!("item {number} is longer than {}", crate::units::show_size(ITEM_BYTES_MAX as u64))),
            None => Ok(self),
        }
    }

    /// Where the items are, without their terminators.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        ranges(&self.bytes, self.form)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.form.count(&self.bytes)
    }
}

fn ranges(bytes: &[u8], form: Form) -> impl Iterator<Item = (u64, u64)> + '_ {
    memchr::memchr_iter(form.terminator(), bytes).scan(0, |from, end| {
        let range = (*from, end as u64);
        *from = end as u64 + 1;
        Some(range)
    })
}

fn without_returns(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    for (from, to) in ranges(bytes, Form::Lines) {
        let line = &bytes[from as usize..to as usize];
        kept.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        kept.push(b'\n');
    }
    kept
}

/// The lines that are not empty, if each is an object.
fn checked_json(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut kept = Vec::with_capacity(bytes.len());
    for ((from, to), number) in ranges(bytes, Form::Json).zip(1..) {
        let line = &bytes[from as usize..to as usize];
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let _ = Fields::of(line).map_err(|error| format!("line {number} is no JSON object: {error}"))?;
        kept.extend_from_slice(line);
        kept.push(b'\n');
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &[u8], form: Form) -> Vec<String> {
        let items = Items::of_text(text.to_vec(), form).expect("items");
        assert_eq!(items.count(), items.ranges().count());
        items.ranges().map(|(from, to)| String::from_utf8_lossy(&items.bytes[from as usize..to as usize]).into_owned()).collect()
    }

    #[test]
    fn lines_are_items_whatever_ends_them() {
        assert_eq!(items(b"a\nb c\r\n\nd", Form::Lines), ["a", "b c", "", "d"]);
        assert_eq!(items(b"", Form::Lines), [""; 0]);
        assert_eq!(items(b"\n", Form::Lines), [""]);
        assert_eq!(items(b"a\nb\0c\r\n\0", Form::Null), ["a\nb", "c\r\n"]);
    }

    #[test]
    fn json_lines_are_objects_and_empty_lines_none() {
        assert_eq!(items(b"{\"a\":1}\n\n {} \n", Form::Json), ["{\"a\":1}", " {} "]);
        for (text, line) in [("{}\n[1]\n", "line 2"), ("{", "line 1"), ("\n\n7", "line 3")] {
            let said = Items::of_text(text.as_bytes().to_vec(), Form::Json).expect_err("refused");
            assert!(said.starts_with(line), "{said}");
        }
    }

    #[test]
    fn arguments_may_have_lines_in_them() {
        let args = [b"a\nb".to_vec(), Vec::new(), b"c".to_vec()];
        let items = Items::of_args(&args, Form::Lines).expect("items");
        assert_eq!((items.form, items.count()), (Form::Null, 3));
        let plain = Items::of_args(&args[2..], Form::Lines).expect("items");
        assert_eq!((plain.form, &plain.bytes[..]), (Form::Lines, &b"c\n"[..]));
    }

    #[test]
    fn an_item_that_nobody_can_hold_is_refused() {
        let said = Items::of_text(vec![b'x'; ITEM_BYTES_MAX + 1], Form::Lines).expect_err("refused");
        assert!(said.contains("item 1"), "{said}");
    }
}
