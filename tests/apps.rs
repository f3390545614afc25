//! Built-in apps as whole jobs with real worker processes: cut anywhere, packed or not, a job's outputs one behind the other are what the oracle prints.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the program in `dir`; what it printed, if it succeeded.
fn flockwork(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(env!("CARGO_BIN_EXE_flockwork")).args(arguments).current_dir(dir).output().expect("started");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// Runs `app` as a job with splits of a few lines; its outputs are the oracle's, and are returned.
fn job(dir: &Path, app: &str, arguments: &[&str]) -> String {
    let run = ["run", app, "--quiet", "--job", "job", "--split-size", "300", "--slots", "2", "-r", "4"];
    flockwork(dir, &[&run, arguments].concat());
    let bytes = flockwork(dir, &["cat", "job"]);
    let oracle = flockwork(dir, &[&["sequential", app, "-r", "4"], arguments].concat());
    assert_eq!(bytes.escape_ascii().to_string(), oracle.escape_ascii().to_string(), "{app} {arguments:?}");
    fs::remove_dir_all(dir.join("job")).expect("removed");
    String::from_utf8(bytes).expect("UTF-8")
}

/// Lines of very different lengths, every seventh with a needle in it.
fn some_lines(seed: u32, n: u32) -> String {
    let line = |n: u32| {
        format!(
            "{:04x} {}{}",
            n.wrapping_mul(seed) % 7919,
            if n.is_multiple_of(7) { "needle" } else { "hay" },
            "-".repeat((n % 90) as usize)
        )
    };
    (1..=n).map(|n| line(n) + if n.is_multiple_of(5) { "\r\n" } else { "\n" }).collect()
}

fn corpus(dir: &Path) -> [String; 3] {
    let texts = [some_lines(31, 200), some_lines(977, 60).trim_end().to_owned(), some_lines(5, 100)];
    for (name, text) in ["z.txt", "a.txt", "b.txt"].iter().zip(&texts) {
        fs::write(dir.join(name), text).expect("written");
    }
    texts
}

#[test]
fn grep_has_the_right_line_numbers_in_files_cut_anywhere() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let texts = corpus(dir.path());
    let inputs = ["z.txt", "a.txt", "b.txt"];
    let mut expected = String::new();
    for (name, text) in inputs.iter().zip(&texts) {
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains("needle"));
        lines.for_each(|(n, line)| expected += &format!("{name}:{}:{line}\n", n + 1));
    }
    assert_eq!(job(dir.path(), "grep", &[&["-o", "pattern=need+le"], &inputs[..]].concat()), expected, "in the order of the input");
    let counts = job(dir.path(), "grep", &[&["-o", "pattern=needle", "-o", "count=true"], &inputs[..]].concat());
    assert_eq!(counts, "z.txt:28\na.txt:8\nb.txt:14\n");
}

#[test]
fn sort_is_sorted_over_all_output_files_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let texts = corpus(dir.path());
    let mut lines: Vec<&str> = texts.iter().flat_map(|text| text.strip_suffix('\n').unwrap_or(text).split('\n')).collect();
    let inputs = ["z.txt", "a.txt", "b.txt"];
    lines.sort_by_key(|line| line.get(1..3));
    let by_key = job(dir.path(), "sort", &[&["-o", "key=2-3"], &inputs[..]].concat());
    assert_eq!(by_key, lines.join("\n") + "\n", "lines of equal keys stay in the order of the input");
    lines.sort_unstable();
    assert_eq!(job(dir.path(), "sort", &inputs), lines.join("\n") + "\n");
}

#[test]
fn packed_inputs_count_as_what_is_in_them() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    corpus(dir.path());
    let plain = job(dir.path(), "wc", &["z.txt", "a.txt"]);
    let gzip = Command::new("gzip").args(["-k", "z.txt", "a.txt"]).current_dir(dir.path()).status();
    assert!(gzip.expect("gzip is installed").success());
    // Two members in one file.
    let both = [fs::read(dir.path().join("z.txt.gz")).expect("made"), fs::read(dir.path().join("a.txt.gz")).expect("made")].concat();
    fs::write(dir.path().join("both.gz"), &both).expect("written");
    let unpacked = job(dir.path(), "wc", &["both.gz"]);
    assert_eq!(unpacked, plain);
    fs::write(dir.path().join("cut.gz"), &both[..both.len() - 9]).expect("written");
    let failed = Command::new(env!("CARGO_BIN_EXE_flockwork")).args(["sequential", "wc", "cut.gz"]).current_dir(dir.path()).output();
    let failed = failed.expect("started");
    let text = String::from_utf8_lossy(&failed.stderr);
    assert!(failed.status.code() == Some(1) && text.contains("cannot unpack input cut.gz beyond byte "), "{text}");
}

#[test]
fn the_papers_other_apps_give_the_oracles_answer_however_cut() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lines = |line: &dyn Fn(u32) -> String| (0..120).map(line).collect::<String>();
    fs::write(dir.path().join("log"), lines(&|n| format!("/page{} 200\n", n * n % 23))).expect("written");
    fs::write(dir.path().join("links"), lines(&|n| format!("p{n} p{} p{}\n", n * 7 % 40, n % 11))).expect("written");
    fs::write(dir.path().join("docs"), lines(&|n| format!("http://h{}.org/{n}\tsun sea x{}\n", n % 5, ["a", "b", "c"][n as usize % 3])))
        .expect("written");
    assert!(job(dir.path(), "url-count", &["log"]).contains("/page0 "));
    assert!(job(dir.path(), "reverse-links", &["links"]).contains("p3 "));
    assert!(job(dir.path(), "term-vector", &["docs", "-o", "top=2"]).contains("h0.org sea:24,sun:24\n"));
}
