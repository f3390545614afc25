//! `--hook`: a command that the coordinator runs once when a job has ended. No shell is involved unless the command is one.
//!
//! *Once* is decided by creating `phase/hooked.N` before it runs, N being how often the job was retried: at most once for each end, whoever else leads. A coordinator that
//! is killed in between leaves it out. How the hook itself ends is said and changes nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::disk::{Created, Disk, create};
use crate::job::end::Outcome;
use crate::job::layout::PHASE;
use crate::units::stamp_utc;

/// A command: its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook(Vec<String>);

impl Hook {
    /// Reads a command as it is typed: words parted by blanks, quoted with `'` or `"` where they hold some; a backslash makes the next character plain. Nothing else is
    /// special, for there is no shell.
    pub fn parse(text: &str) -> Result<Hook, String> {
        let words = words(text)?;
        if words.first().is_none_or(String::is_empty) {
            return Err(
                "write a command, for example --hook './tell.sh done' or, with a shell, --hook \"sh -c 'echo $FLOCKWORK_JOB >> ended'\""
                    .to_owned(),
            );
        }
        Ok(Hook(words))
    }

    /// Runs the command for the job at `root`, unless it was run for this end before; what went wrong is given in words.
    pub fn run_once(&self, disk: &dyn Disk, root: &Path, outcome: Outcome) -> Result<(), String> {
        let shown = root.display();
        let entries = disk.list(PHASE).map_err(|error| format!("the hook of {shown} was not run: cannot list its phases: {error}"))?;
        let retried = entries.iter().filter(|entry| entry.name.starts_with("end.")).count();
        let marker = format!("{PHASE}/hooked.{retried}");
        let about = format!("{} {}\n", stamp_utc(), self.0.join(" "));
        match create::create_once(disk, &marker, about.as_bytes()) {
            Ok(Created::Now) => self.run(root, outcome),
            Ok(Created::Before) => Ok(()),
            Err(error) => Err(format!("the hook of {shown} was not run: cannot create {marker}: {error}")),
        }
    }

    fn run(&self, root: &Path, outcome: Outcome) -> Result<(), String> {
        let job = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).env("FLOCKWORK_JOB", job).env("FLOCKWORK_OUTCOME", outcome.word()).stdin(Stdio::null());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the hook of {} failed ({status}); nothing else changes", root.display())),
            Err(error) => Err(format!("the hook of {} did not start: `{}`: {error}; nothing else changes", root.display(), self.0[0])),
        }
    }
}

fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("a backslash stands at the end")?;
                word.get_or_insert_default().push(next);
            }
            ('\'' | '"', None) => {
                quote = Some(c);
                let _ = word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_parted_into_words_as_it_is_typed() {
        let read = |text: &str| words(text).expect("a command");
        assert_eq!(read("  ./tell.sh  done "), ["./tell.sh", "done"]);
        assert_eq!(
            read(r#"sh -c 'echo "$FLOCKWORK_JOB" \n' "a 'b'" c\ d ''"#),
            ["sh", "-c", r#"echo "$FLOCKWORK_JOB" \n"#, "a 'b'", "c d", ""]
        );
        assert_eq!(read("echo $HOME; rm *"), ["echo", "$HOME;", "rm", "*"], "nothing else is special");
        assert!(words("sh -c 'open").is_err() && words("x\\").is_err());
        assert!(Hook::parse(" ").is_err() && Hook::parse("''").is_err());
    }
}
