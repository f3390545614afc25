//! What is to be done with every item, as it stands in `job.json` among the app's options.
//!
//! | option | is |
//! |---|---|
//! | `command` | the command and its arguments, as a JSON list |
//! | `items` | `lines`, `null` or `json` |
//! | `sum` | number, length and checksum of the items: other items are another job |
//! | `timeout_ms` | how long a command may run; absent: for ever |
//! | `fail_fast` | so many items that failed for good end the job; absent: none does |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::APP;
use super::items::{Form, Items};
use super::template::{Template, shown};
use crate::engine::sum;
use crate::error::{Error, ErrorKind, Result};
use crate::job::spec::{Ask, TOLD_CHARS_MAX};
use crate::units::{cut, plural};

/// The option that tells these items from others.
pub const SUM: &str = "sum";

/// The orders of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// The command and its arguments, with holes.
    pub command: Vec<String>,
    /// How the items stand in their file.
    pub form: Form,
    /// How long a command may run.
    pub timeout: Option<Duration>,
    /// So many items that failed for good end the job.
    pub fail_fast: Option<u32>,
}

impl Orders {
    /// As options of the app, with what tells these items from others.
    pub fn options(&self, items: &Items) -> BTreeMap<String, String> {
        let mut options = BTreeMap::new();
        let mut put = |key: &str, value: String| _ = options.insert(key.to_owned(), value);
        put("command", serde_json::to_string(&self.command).expect("a list of strings"));
        put("items", self.form.name().to_owned());
        put(SUM, sum_of(items));
        self.timeout.iter().for_each(|time| put("timeout_ms", time.as_millis().to_string()));
        self.fail_fast.iter().for_each(|n| put("fail_fast", n.to_string()));
        options
    }

    /// The orders of a job whose app is [`APP`].
    pub fn of(ask: &Ask) -> Result<Orders> {
        let damaged = |key: &str| {
            let error = Error::new(ErrorKind::Damaged, format!("cannot understand the option `{key}` of the app `{APP}` in job.json"));
            error.advise("it was edited, or written by a newer flockwork; submit the job anew")
        };
        let get = |key: &str| ask.options.get(key);
        let number = |key: &str| get(key).map(|text| text.parse::<u64>().map_err(|_| damaged(key))).transpose();
        let command: Vec<String> = get("command")
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|words: &Vec<String>| !words.is_empty())
            .ok_or_else(|| damaged("command"))?;
        let form = get("items").and_then(|name| Form::named(name)).ok_or_else(|| damaged("items"))?;
        let fail_fast = number("fail_fast")?.map(|n| u32::try_from(n).map_err(|_| damaged("fail_fast"))).transpose()?;
        Ok(Orders { command, form, timeout: number("timeout_ms")?.map(Duration::from_millis), fail_fast })
    }

    /// The command, ready to be filled.
    pub fn template(&self) -> Template {
        Template::new(&self.command, self.form == Form::Json)
    }
}

/// What `asked` asks otherwise than the job that is `there`, both of commands, in the words of whoever typed it.
pub fn differences(there: &Ask, asked: &Ask) -> Result<Vec<String>> {
    let (here, other) = (typed(there)?, typed(asked)?);
    let sum = |ask: &Ask| ask.options.get(SUM).cloned().unwrap_or_default();
    let mut told = Vec::new();
    if sum(there) != sum(asked) {
        let (here, other) = (size(&sum(there)), size(&sum(asked)));
        told.push(if here == other { "it has other items".to_owned() } else { format!("it has other items: {here} there, {other} here") });
    } else if there.inputs != asked.inputs {
        told.push(format!("its items came from {}, not from {}", source(there), source(asked)));
    }
    let pairs = here.iter().zip(&other).filter(|((_, here), (_, other))| here != other);
    told.extend(
        pairs
            .map(|((name, here), (_, other))| format!("{name} is {} there, not {}", cut(here, TOLD_CHARS_MAX), cut(other, TOLD_CHARS_MAX))),
    );
    // What has no word of its own here is told as it is written down.
    Ok(if told.is_empty() { there.differences(asked) } else { told })
}

/// What was typed, in one order.
fn typed(ask: &Ask) -> Result<[(&'static str, String); 9]> {
    let orders = Orders::of(ask)?;
    let words: Vec<OsString> = orders.command.iter().map(OsString::from).collect();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let time = |ms: u64| if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") };
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok([
        ("the command", format!("`{}`", shown(&words))),
        ("the form of the items", orders.form.name().to_owned()),
        ("--timeout", or_none(orders.timeout.map(|limit| time(ms(limit))))),
        ("--retries", ask.max_errors.saturating_sub(1).to_string()),
        ("--fail-fast", or_none(orders.fail_fast.map(|n| n.to_string()))),
        ("--lease", time(ask.lease_ms)),
        ("--max-lost", ask.max_lost.to_string()),
        ("--priority", ask.priority.to_string()),
        ("--after", or_none((!ask.after.is_empty()).then(|| ask.after.join(", ")))),
    ])
}

/// Number and length in what [`sum_of`] says.
fn size(sum: &str) -> String {
    let numbers: Vec<u64> = sum.split([',', ' ']).filter_map(|word| word.parse().ok()).take(2).collect();
    numbers.iter().zip(["item", "byte"]).map(|(n, what)| plural(*n, what)).collect::<Vec<_>>().join(", ")
}

fn source(ask: &Ask) -> String {
    match ask.inputs.first().map(String::as_str) {
        Some("-") => "stdin".to_owned(),
        Some(":::") => "the command line".to_owned(),
        Some(file) => format!("`{file}`"),
        None => "nowhere".to_owned(),
    }
}

/// What tells these items from others, as it stands in `job.json`.
pub fn sum_of(items: &Items) -> String {
    in_words(items.count(), items.bytes.len() as u64, sum::crc32(&items.bytes))
}

/// The same of the items in the file at `path`, of which a block at a time is held.
pub fn sum_of_file(path: &Path, form: Form) -> io::Result<String> {
    let mut count = 0;
    let file = sum::of_file(path, &mut |block| {
        count += form.count(block);
        Ok(())
    })?;
    Ok(in_words(count, file.len, file.crc32))
}

fn in_words(count: usize, len: u64, crc32: u32) -> String {
    format!("{count} items, {len} bytes, {crc32:08x}")
}

/// What is said where other items lie at `path` than the job was made of.
pub fn other_items(path: &Path) -> Error {
    let error = Error::new(ErrorKind::Damaged, "not the items that the job was made of are in").on(path);
    error.advise("the file was edited or damaged; submit the job anew elsewhere")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(options: BTreeMap<String, String>) -> Ask {
        let ask = serde_json::json!({"app": APP, "options": options, "inputs": ["-"], "reduces": 0, "split_bytes": 9, "split_lines": null,
            "shuffle": "run", "lease_ms": 10_000, "max_errors": 1, "max_lost": 16, "stall_ms": 600_000, "output": "output"});
        serde_json::from_value(ask).expect("an ask")
    }

    #[test]
    fn orders_come_back_as_they_were_given() {
        let items = Items { bytes: b"a\nb\n".to_vec(), form: Form::Lines };
        for (timeout, fail_fast) in [(None, None), (Some(Duration::from_millis(1500)), Some(3))] {
            let orders = Orders { command: vec!["a b".to_owned(), "\"{}\"\n".to_owned()], form: Form::Lines, timeout, fail_fast };
            assert_eq!(Orders::of(&ask(orders.options(&items))).expect("orders"), orders);
        }
        let orders = Orders { command: vec!["a".to_owned()], form: Form::Lines, timeout: None, fail_fast: None };
        assert!(orders.options(&items)["sum"].starts_with("2 items, 4 bytes, "));
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("items");
        std::fs::write(&path, &items.bytes).expect("written");
        assert_eq!(sum_of_file(&path, Form::Lines).expect("read"), sum_of(&items), "from the file as from memory");
        assert_ne!(orders.options(&items), orders.options(&Items { bytes: b"a\nc\n".to_vec(), form: Form::Lines }));
    }

    #[test]
    fn another_job_is_told_from_this_one_in_the_words_of_its_user() {
        let items = |text: &str| Items { bytes: text.as_bytes().to_vec(), form: Form::Lines };
        let asked = |text: &str, orders: &Orders| ask(orders.options(&items(text)));
        let plain = Orders { command: vec!["wc".to_owned(), "-l".to_owned()], form: Form::Lines, timeout: None, fail_fast: None };
        let there = asked("a\nb\n", &plain);
        let told = |other: Ask| differences(&there, &other).expect("understood");
        assert_eq!(told(there.clone()), [""; 0]);
        assert_eq!(told(asked("a\nc\n", &plain)), ["it has other items"]);
        assert_eq!(told(asked("a\n", &plain)), ["it has other items: 2 items, 4 bytes there, 1 item, 2 bytes here"]);
        let other = Orders { command: vec!["wc".to_owned()], timeout: Some(Duration::from_millis(1500)), ..plain.clone() };
        assert_eq!(told(asked("a\nb\n", &other)), ["the command is `wc -l` there, not `wc`", "--timeout is none there, not 1500ms"]);
        assert_eq!(told(Ask { max_errors: 3, ..there.clone() }), ["--retries is 0 there, not 2"]);
        assert_eq!(told(Ask { inputs: vec![":::".to_owned()], ..there.clone() }), ["its items came from stdin, not from the command line"]);
        assert_eq!(told(Ask { output: "x".to_owned(), ..there.clone() }).len(), 1, "nothing that differs is left unsaid");
    }

    #[test]
    fn edited_orders_are_damage_and_no_panic() {
        let good = BTreeMap::from([("command", "[\"true\"]"), ("items", "lines"), ("timeout_ms", "1"), ("fail_fast", "1")]);
        for (key, values) in [
            ("command", &["", "[]", "7", "[1]"][..]),
            ("items", &["", "words"]),
            ("timeout_ms", &["-1", "x"]),
            ("fail_fast", &["4294967296"]),
        ] {
            for value in values {
                let mut options = good.clone();
                options.insert(key, value);
                let options = options.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                let error = Orders::of(&ask(options)).expect_err(value);
                assert!(error.to_string().contains(&format!("the option `{key}`")), "{error}");
            }
        }
    }
}
