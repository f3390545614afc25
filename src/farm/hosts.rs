//! The lines of a hosts file, as GNU parallel's `--sshloginfile` has them: pure reading.
//!
//! `[N/][ssh OPTIONS][USER@]HOST` or `:` for this machine; blank lines and what follows `#` at the start of a line or after a blank say nothing. Groups (`@group/…`), other
//! commands than `ssh`, and `..` (the user's own list) are refused with their line's number.

use std::collections::BTreeSet;

/// One host to start a worker on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `N/`: so many slots; else the host's cores.
    pub slots: Option<u32>,
    /// Further options of ssh.
    pub options: Vec<String>,
    /// `user@host`; `None` is this machine.
    pub login: Option<String>,
}

impl Host {
    /// As people call it.
    pub fn name(&self) -> &str {
        self.login.as_deref().unwrap_or(":")
    }
}

/// Reads a hosts file.
pub fn parse(text: &str) -> Result<Vec<Host>, String> {
    let (mut hosts, mut seen) = (Vec::new(), BTreeSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let comment = line.match_indices('#').map(|(at, _)| at).find(|at| line[..*at].ends_with(char::is_whitespace));
        let line = line[..comment.unwrap_or(line.len())].trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let host = host(line).map_err(|why| format!("line {number}, `{line}`: {why}"))?;
        if !seen.insert(host.name().to_owned()) {
            return Err(format!("line {number}, `{line}`: this host is named before; write the slots of both in one line"));
        }
        hosts.push(host);
    }
    if hosts.is_empty() { Err("it names no host".to_owned()) } else { Ok(hosts) }
}

fn host(line: &str) -> Result<Host, String> {
    if line.starts_with('@') {
        return Err("groups are not supported; write a file per group".to_owned());
    }
    let (slots, rest) = match line.split_once('/') {
        Some((number, rest)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let slots = number.parse().ok().filter(|slots| (1..=4096).contains(slots));
            (Some(slots.ok_or("N/ is a number of slots from 1 to 4096")?), rest)
        }
        _ => (None, line),
    };
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    let login = words.pop().ok_or("the host is missing")?;
    if !words.is_empty() && words.remove(0) != "ssh" {
        return Err("before the host may stand `ssh` and its options only".to_owned());
    }
    if login == ".." {
        return Err("`..` is not supported; name the file itself with --hosts".to_owned());
    }
    if login == ":" {
        return if words.is_empty() {
            Ok(Host { slots, options: Vec::new(), login: None })
        } else {
            Err("`:` is this machine, without ssh".to_owned())
        };
    }
    if login.starts_with('-') || login.contains(['/', ',', '\'', '"', '`', '$', ';', '|', '&']) {
        return Err("write a host as [N/][user@]host, one a line".to_owned());
    }
    Ok(Host { slots, options: words.into_iter().map(str::to_owned).collect(), login: Some(login.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(slots: Option<u32>, options: &[&str], login: Option<&str>) -> Host {
        Host { slots, options: options.iter().map(|word| (*word).to_owned()).collect(), login: login.map(str::to_owned) }
    }

    #[test]
    fn the_lines_of_gnu_parallel_are_read() {
        let text = "# nodes\n\n8/ann@node7\n:\nnode8   # the old one\nnode6\t# another\n  2/ssh -p 2222 -l ann node9\n";
        let hosts = [
            of(Some(8), &[], Some("ann@node7")),
            of(None, &[], None),
            of(None, &[], Some("node8")),
            of(None, &[], Some("node6")),
            of(Some(2), &["-p", "2222", "-l", "ann"], Some("node9")),
        ];
        assert_eq!(parse(text), Ok(hosts.to_vec()));
        assert_eq!(parse("4/:\n"), Ok(vec![of(Some(4), &[], None)]));
    }

    #[test]
    fn what_is_no_host_is_refused_with_its_line() {
        for (text, why) in [
            ("", "no host"),
            ("# none\n", "no host"),
            ("node7\n@rack1/node8\n", "line 2"),
            ("0/node7", "from 1 to 4096"),
            ("9999999999/node7", "from 1 to 4096"),
            ("8/", "the host is missing"),
            ("rsh node7", "`ssh` and its options"),
            ("..", "not supported"),
            ("-oProxyCommand=x", "write a host as"),
            ("a,b", "write a host as"),
            ("node7\n2/node7", "named before"),
            ("ssh -p 1 :", "this machine"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
