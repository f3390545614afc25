//! A command line to words, as Hadoop Streaming takes it: no shell, nothing is expanded.
//!
//! Words stand apart by blanks. Between two `'` or two `"` everything is as it stands, blanks included; a quoted part joins what it touches, and is a word also when it is empty.
//! There is no escape character: a backslash is a backslash, so that awk and sed get theirs. (Hadoop does the same, but breaks words at quotes.)

/// The words of `text`; at least one.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some(end) if end == c => break,
                        Some(inner) => word.push(inner),
                        None => return Err(format!("the quote {c} is not closed in `{text}`")),
                    }
                }
            }
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    match words.first() {
        Some(first) if !first.is_empty() => Ok(words),
        Some(_) => Err(format!("the program's name is empty in `{text}`")),
        None => Err("the command is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::split_words;

    #[test]
    fn blanks_part_words_and_quotes_hold_them_together() {
        for (text, expected) in [
            ("python3 map.py", &["python3", "map.py"][..]),
            ("  awk\t-F,  '{ print $1 \"\\t\" 1 }' ", &["awk", "-F,", "{ print $1 \"\\t\" 1 }"]),
            (r#"sh -c "tr ' ' '\n' | sort""#, &["sh", "-c", r"tr ' ' '\n' | sort"]),
            (r"awk -F\t x", &["awk", r"-F\t", "x"]),
            ("a'b c'd '' \"\"", &["ab cd", "", ""]),
            ("$HOME *.txt a|b >c ~", &["$HOME", "*.txt", "a|b", ">c", "~"]),
        ] {
            assert_eq!(split_words(text).expect("words"), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for (text, part) in [
            ("", "empty"),
            (" \t", "empty"),
            ("awk '{print", "the quote ' is not closed"),
            ("a \"b'", "the quote \""),
            ("'' x", "name is empty"),
        ] {
            let error = split_words(text).expect_err(text);
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
