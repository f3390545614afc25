//! Built-in apps as whole jobs with real worker processes: cut anywhere, packed or not, a job's outputs one behind the other are what the oracle prints.

use std::process::Command;

use super::common::Farm;

/// Runs `app` as a job with splits of a few lines; its outputs are the oracle's, and are returned.
fn job(farm: &Farm, app: &str, arguments: &[&str]) -> String {
    let name = format!("job-{}", farm.names(".").len());
    farm.ok(&[&["run", app, "--job", &name, "--split-size", "300", "--slots", "2", "-r", "4"], arguments].concat());
    farm.finished_with(&name, &farm.sequential(app, &[&["-r", "4"], arguments].concat()));
    String::from_utf8(farm.outputs(&name)).expect("UTF-8")
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

fn corpus(farm: &Farm) -> [String; 3] {
    let texts = [some_lines(31, 200), some_lines(977, 60).trim_end().to_owned(), some_lines(5, 100)];
    for (name, text) in ["z.txt", "a.txt", "b.txt"].iter().zip(&texts) {
        farm.write(name, text);
    }
    texts
}

#[test]
fn grep_has_the_right_line_numbers_in_files_cut_anywhere() {
    let farm = Farm::new();
    let texts = corpus(&farm);
    let inputs = ["z.txt", "a.txt", "b.txt"];
    let mut expected = String::new();
    for (name, text) in inputs.iter().zip(&texts) {
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains("needle"));
        lines.for_each(|(n, line)| expected += &format!("{name}:{}:{line}\n", n + 1));
    }
    assert_eq!(job(&farm, "grep", &[&["-o", "pattern=need+le"], &inputs[..]].concat()), expected, "in the order of the input");
    let counts = job(&farm, "grep", &[&["-o", "pattern=needle", "-o", "count=true"], &inputs[..]].concat());
    assert_eq!(counts, "z.txt:28\na.txt:8\nb.txt:14\n");
}

#[test]
fn sort_is_sorted_over_all_output_files_and_loses_nothing() {
    let farm = Farm::new();
    let texts = corpus(&farm);
    let mut lines: Vec<&str> = texts.iter().flat_map(|text| text.strip_suffix('\n').unwrap_or(text).split('\n')).collect();
    let inputs = ["z.txt", "a.txt", "b.txt"];
    lines.sort_by_key(|line| line.get(1..3));
    let by_key = job(&farm, "sort", &[&["-o", "key=2-3"], &inputs[..]].concat());
    assert_eq!(by_key, lines.join("\n") + "\n", "lines of equal keys stay in the order of the input");
    lines.sort_unstable();
    assert_eq!(job(&farm, "sort", &inputs), lines.join("\n") + "\n");
}

#[test]
fn packed_inputs_count_as_what_is_in_them() {
    let farm = Farm::new();
    corpus(&farm);
    let plain = job(&farm, "wc", &["z.txt", "a.txt"]);
    let gzip = Command::new("gzip").args(["-k", "z.txt", "a.txt"]).current_dir(farm.path(".")).status();
    assert!(gzip.expect("gzip is installed").success());
    // Two members in one file.
    let both = [farm.read("z.txt.gz"), farm.read("a.txt.gz")].concat();
    farm.write("both.gz", &both);
    let unpacked = job(&farm, "wc", &["both.gz"]);
    assert_eq!(unpacked, plain);
    farm.write("cut.gz", &both[..both.len() - 9]);
    farm.run(&["sequential", "wc", "cut.gz"]).fails_saying(1, &["cannot unpack input cut.gz beyond byte ", "gzip -t"]);
}

#[test]
fn the_papers_other_apps_give_the_oracles_answer_however_cut() {
    let farm = Farm::new();
    let lines = |line: &dyn Fn(u32) -> String| (0..120).map(line).collect::<String>();
    farm.write("log", lines(&|n| format!("/page{} 200\n", n * n % 23)));
    farm.write("links", lines(&|n| format!("p{n} p{} p{}\n", n * 7 % 40, n % 11)));
    farm.write("docs", lines(&|n| format!("http://h{}.org/{n}\tsun sea x{}\n", n % 5, ["a", "b", "c"][n as usize % 3])));
    assert!(job(&farm, "url-count", &["log"]).contains("/page0 "));
    assert!(job(&farm, "reverse-links", &["links"]).contains("p3 "));
    assert!(job(&farm, "term-vector", &["docs", "-o", "top=2"]).contains("h0.org sea:24,sun:24\n"));
}
