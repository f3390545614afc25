//! What the README and docs/ show works as printed: every `sh` block is run, and what is said to be printed is compared.
//!
//! All blocks under one `##` heading are one shell (bash) in one new folder, in their order, so that they go on from each other as they do for a reader. In
//! the folder lie `books/` and the files of `tests/stream`; `flockwork` is in `PATH`, `/mnt/share` is the folder itself, and `cargo` a stand-in that gives the guide's own program. A command that fails
//! ends the shell, and fails the test. Comments, which no reader of a page sees, stand before a block and say otherwise:
//!
//! ```text
//! <!-- needs: nfs: two machines of one mount -->   the next block is not run; counted, and listed with its reason
//! <!-- first: printf 'a b\n' > notes.txt -->       run before the next block, in its shell
//! <!-- file: count.py -->                          the next block, of whatever language, is this file
//! <!-- may fail: workers are killed in it -->      commands of the next block may fail
//! <!-- transcript -->                               the next `text` block is run, too: lines that begin with `$ ` are typed, the others are printed; commands may fail
//! <!-- prints -->                                  the next `text` block is what the last one printed, both streams; numbers and names of workers may differ,
//!                                                  a line `...` stands for any, and `…` in a line for anything
//! ```
//!
//! `text` blocks without that are shown only, and so are other languages; `rust` blocks compile as doctests (see `src/lib.rs`).

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use super::common::{FLOCKWORK, Farm};

mod words;

/// What a block may need that a test has not.
const NEEDS: [&str; 7] = ["nfs", "slurm", "ssh", "network", "build", "program", "terminal"];
/// Sections that run at the same time.
const AT_ONCE: usize = 3;

/// The blocks under one heading.
struct Section {
    page: String,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// Where it begins in its page.
    line: usize,
    script: String,
    first: String,
    may_fail: bool,
    needs: Option<String>,
    prints: Option<String>,
}

/// The comment that `line` begins, without its frame; `rest` goes on behind it.
fn comment<'a>(line: &str, rest: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    let mut text = line.strip_prefix("<!-- ")?.to_owned();
    while !text.ends_with("-->") {
        text = text + "\n" + rest.next().expect("a comment ends").1;
    }
    Some(text.trim_end_matches("-->").trim_end().to_owned())
}

fn sections(page: &str, text: &str) -> Vec<Section> {
    let section = || Section { page: page.to_owned(), blocks: Vec::new() };
    let (mut found, mut next, mut prints, mut typed, mut file) = (vec![section()], Block::default(), false, false, None);
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.starts_with("## ") {
            found.push(section());
        } else if let Some(comment) = comment(line, &mut lines) {
            match comment.split_once(": ") {
                Some(("needs", reason)) => next.needs = Some(reason.to_owned()),
                Some(("first", script)) => next.first += &format!("{script}\n"),
                Some(("may fail", _)) => next.may_fail = true,
                Some(("file", path)) => file = Some(path.to_owned()),
                _ => (prints, typed) = (prints | (comment == "prints"), typed | (comment == "transcript")),
            }
        } else if let Some(language) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let body: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                .map(|line| format!("{}\n", line.get(indent..).unwrap_or_default()))
                .collect();
            if let Some(path) = file.take() {
                next.first += &format!("mkdir -p \"$(dirname '{path}')\"\ncat > '{path}' << 'THE END OF IT'\n{body}THE END OF IT\n");
                continue;
            }
            let blocks = &mut found.last_mut().expect("there is one").blocks;
            if language == "sh" {
                blocks.push(Block { line: number, script: body, ..std::mem::take(&mut next) });
            } else if std::mem::take(&mut typed) {
                let (script, said): (Vec<_>, Vec<_>) = body.lines().partition(|line| line.starts_with("$ "));
                let script = script.iter().map(|line| format!("{}\n", &line[2..])).collect();
                blocks.push(Block { line: number, script, may_fail: true, prints: Some(said.join("\n")), ..std::mem::take(&mut next) });
            } else if prints && language == "text" {
                let block = blocks.last_mut().unwrap_or_else(|| panic!("{page}:{number}: nothing was run that could have printed it"));
                block.prints = Some(body);
                prints = false;
            }
        }
    }
    found
}

/// The README and every page.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| (path.to_owned(), std::fs::read_to_string(root.join(path)).expect("a page"));
    let entries = std::fs::read_dir(root.join("docs")).expect("there is docs/").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.ends_with(".md"));
    let mut pages: Vec<_> = names.map(|name| read(&format!("docs/{name}"))).collect();
    pages.push(read("README.md"));
    pages.sort_unstable();
    pages
}

/// The script of a section: each block's output goes to a file of its own.
fn script(section: &Section, home: &str) -> String {
    let folder = Path::new(FLOCKWORK).parent().expect("the program lies in a folder").display();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut text = format!(
        "export PATH=\"{home}/.bin:{folder}:$PATH\" HOME={home} PYTHONPATH='{}' PYTHONDONTWRITEBYTECODE=1 FLOCKWORK='{FLOCKWORK}'\n",
        python.display()
    );
    text += "set -u\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n";
    for (at, block) in section.blocks.iter().enumerate().filter(|(_, block)| block.needs.is_none()) {
        let strict = if block.may_fail { "set +e" } else { "set -e" };
        text += &format!("exec > {home}/.out-{at} 2>&1\n{}{strict}\n{}", block.first, block.script).replace("/mnt/share", home);
    }
    text + "exit 0\n"
}

fn own_program() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/own_program/longest_line.rs")
}

/// A folder as the blocks of a section find it.
fn folder() -> Farm {
    let farm = Farm::with_books();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["wc_map.py", "wc_reduce.py"] {
        farm.copy_program(root.join("tests/stream").join(name), name);
    }
    // The guide's program is the example that Cargo has built beside these tests, if it is the same text.
    let own = own_program();
    let built = Path::new(FLOCKWORK).with_file_name("examples").join("longest_line");
    let cargo = format!(
        "#!/bin/sh\nset -e\n[ -f Cargo.toml ]\ncmp src/main.rs '{}'\nmkdir -p target/release\nln -sf '{}' target/release/longest_line\n",
        own.display(),
        built.display()
    );
    farm.write_program(".bin/cargo", cargo);
    farm
}

/// Runs a section; what is wrong with it.
fn faults(section: &Section) -> Vec<String> {
    if section.blocks.iter().all(|block| block.needs.is_some()) {
        return Vec::new();
    }
    let farm = folder();
    let home = farm.path("");
    farm.write(".script.sh", script(section, home.to_string_lossy().trim_end_matches('/')));
    let shell = farm.start_as("bash", &[".script.sh"]);
    let status = shell.wait();
    let printed = |at: usize| std::fs::read(farm.path(&format!(".out-{at}"))).ok().map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut faults = Vec::new();
    if !status.success() {
        let last = (0..section.blocks.len()).rev().find(|at| printed(*at).is_some()).unwrap_or(0);
        let said = printed(last).unwrap_or_else(|| shell.stderr());
        faults.push(format!("{}:{}: {status}\n{}said:\n{said}", section.page, section.blocks[last].line, section.blocks[last].script));
    }
    for (at, block) in section.blocks.iter().enumerate() {
        if let (Some(wanted), Some(said)) = (&block.prints, printed(at))
            && !is_like(&said, &wanted.replace("/mnt/share", home.to_string_lossy().trim_end_matches('/')))
        {
            faults.push(format!("{}:{}: it prints\n{said}which is not what is shown:\n{wanted}", section.page, block.line));
        }
    }
    faults
}

/// A line with what differs from run to run put out of it.
fn masked(line: &str) -> String {
    let is_worker = |word: &str| {
        let mut parts = word.rsplit('.');
        let nonce = parts.next().is_some_and(|nonce| nonce.len() == 6 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        nonce && parts.next().is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())) && parts.next().is_some()
    };
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_end_matches([',', ':', ';', ')']);
        let (head, worker) = bare.split_once('@').unwrap_or(("", bare));
        words.push(if is_worker(worker) { format!("{head}@WORKER") } else { without_numbers(word) });
    }
    words.join(" ").replace("# ms", "# s").replace("# MiB", "# KiB").replace("# B", "# KiB")
}

/// Runs of digits, with what stands between digits of times and fractions, become `#`.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    for letter in word.chars() {
        match letter {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' if text.ends_with("#.") || text.ends_with("#:") => drop(text.pop()),
            '0'..='9' => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

/// A `…` in the line that is shown stands for anything.
fn is_line(said: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = said.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || shown.ends_with('…')
}

/// Whether this was printed as it is shown; a line `...` stands for any number of lines.
fn is_like(said: &str, shown: &str) -> bool {
    let lines = |text: &str| text.lines().map(masked).collect::<Vec<_>>();
    let (said, shown) = (lines(said), lines(shown));
    fn fits(said: &[String], shown: &[String]) -> bool {
        match shown.split_first() {
            None => said.is_empty(),
            Some((line, rest)) if line == "..." => (0..=said.len()).any(|skipped| fits(&said[skipped..], rest)),
            Some((line, rest)) => said.first().is_some_and(|said| is_line(said, line)) && fits(&said[1..], rest),
        }
    }
    fits(&said, &shown)
}

#[test]
fn every_script_of_the_readme_and_of_the_docs_runs_as_printed() {
    let all: Vec<Section> = pages().iter().flat_map(|(page, text)| sections(page, text)).collect();
    let blocks = || all.iter().flat_map(|section| section.blocks.iter().map(|block| (&section.page, block)));
    let (mut run, mut left) = (0, Vec::new());
    for (page, block) in blocks() {
        match &block.needs {
            None => run += 1,
            Some(reason) => {
                let known = reason.split_once(": ").is_some_and(|(what, why)| NEEDS.contains(&what) && why.len() > 1);
                assert!(known, "{page}:{}: what it needs is one of {NEEDS:?}, a colon and why: {reason}", block.line);
                left.push(format!("{page}:{} needs {reason}", block.line));
            }
        }
    }
    println!("{run} blocks are run; {} are not:\n{}", left.len(), left.join("\n"));
    assert!(run > 15, "the pages were found, and their blocks: {run}");
    let queue = Mutex::new(all.iter().collect::<VecDeque<_>>());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(section) = { queue.lock().expect("no panic").pop_front() } {
                    let faults = faults(section);
                    wrong.lock().expect("no panic").extend(faults);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} scripts of the docs do not run as printed:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn a_script_that_fails_or_prints_something_else_is_found() {
    let page = "## One\n```sh\necho a 17 b\nfalse\n```\n## Two\n```sh\necho other\n```\n<!-- prints -->\n```text\nshown\n```\n## Three\n<!-- may fail: it does -->\n```sh\nfalse\necho x 3\n```\n<!-- prints -->\n```text\n...\nx 14.5\n```\n";
    let all = sections("page", page);
    let found: Vec<Vec<String>> = all.iter().map(faults).collect();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 1, 0], "{found:?}");
    assert!(found[1][0].starts_with("page:2: "), "{found:?}");
    assert!(is_like("a: it is /home/x/y: no\n", "a: it is …/y: no\n") && !is_like("a: b: no\n", "a: …: yes\n"));
    assert!(is_like("a map-00001.a1@node.12.abc123: x\n", "a map-00001.a1@vm.7.zzz999: x\n"), "workers differ");
    assert!(!is_like("a 1\nb 2\n", "a 1\n"), "nothing more is printed than is shown");
}
