//! What the command line of a process of ours says. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Options of `worker` and `coordinator` whose value may be the next word, in order. A test beside the command line holds this list.
pub const VALUED: [&str; 6] = ["hook", "idle", "slots", "trust-group", "trust-user", "until"];
/// Options that say who is trusted.
const TRUST: [&str; 2] = ["--trust-user", "--trust-group"];

/// The job or the farm that a `worker` or a `coordinator` was given: its only word that is no option, nor the value of one.
pub fn place(line: &[OsString]) -> Option<&OsStr> {
    let mut words = line.iter().skip(2).map(OsString::as_os_str);
    while let Some(word) = words.next() {
        match word.as_bytes().strip_prefix(b"-") {
            None => return Some(word),
            Some(b"-") => return words.next(),
            Some(rest) if rest.strip_prefix(b"-").is_some_and(is_valued) => _ = words.next(),
            Some(_) => {}
        }
    }
    None
}

fn is_valued(name: &[u8]) -> bool {
    VALUED.iter().any(|valued| valued.as_bytes() == name)
}

/// Its options that say whom it trusts, each as one word.
pub fn trust(line: &[OsString]) -> Vec<OsString> {
    let mut words = line.iter().skip(2).take_while(|word| word.as_bytes() != b"--");
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        // What stands behind the option, if this is one.
        let rest = TRUST.iter().find_map(|option| word.as_bytes().strip_prefix(option.as_bytes()));
        match rest {
            Some([]) => found.extend(words.next().map(|value| joined(word, value))),
            Some([b'=', ..]) => found.push(word.clone()),
            Some(_) | None => {}
        }
    }
    found
}

fn joined(option: &OsStr, value: &OsStr) -> OsString {
    let mut word = option.to_owned();
    word.push("=");
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_was_given_is_told_from_options_and_their_values() {
        let given = |text: &str| place(&line(text)).map(|place| place.to_string_lossy().into_owned());
        for text in [
            "flockwork worker 4",
            "flockwork worker --slots 8 4 --idle=5m",
            "flockwork worker -q --drain --until 18:30 --trust-group lab 4",
            "flockwork worker --quiet --slots=8 -- 4",
            "flockwork coordinator --hook tell 4 --quiet",
        ] {
            assert_eq!(given(text).as_deref(), Some("4"), "{text}");
        }
        assert_eq!(given("flockwork worker . --slots 4").as_deref(), Some("."), "a job may be called like a number");
        assert_eq!(given("flockwork worker -- -4").as_deref(), Some("-4"));
        assert_eq!(given("flockwork worker --slots 4"), None);
        assert_eq!(given("flockwork"), None);
    }

    #[test]
    fn whom_it_trusts_is_found_in_either_form() {
        let text = "flockwork run wc --trust-group lab in --trust-user=ann -o trust-user=x --trust-users -- --trust-user eve";
        assert_eq!(trust(&line(text)), ["--trust-group=lab", "--trust-user=ann"]);
        assert_eq!(trust(&line("flockwork run wc in --trust-group")), [""; 0], "a value is missing");
    }
}
