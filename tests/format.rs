//! docs/format.md is enough: a reader and a worker made from it alone, in Python, read what flockwork wrote and do what it asked for.

use std::collections::BTreeSet;

use super::common::{Farm, Program};
use std::rc::Rc;

const PAGE: &str = include_str!("../docs/format.md");

/// Starts one of the programs in `tests/format`.
fn python(farm: &Farm, program: &str, args: &[&str]) -> Rc<Program> {
    let path = format!("{}/tests/format/{program}.py", env!("CARGO_MANIFEST_DIR"));
    // (-B: nothing is written beside the sources)
    farm.start_as("python3", &[&["-B", &path], args].concat())
}

/// What the reader says that the outputs must be.
fn read(farm: &Farm, job: &str) -> Vec<u8> {
    let reader = python(farm, "read", &[job]);
    reader.wait();
    reader.ends_with(0);
    reader.stdout()
}

/// Words of ASCII, from one letter to a hundred, in lines of either ending; the last line has none.
fn write_text(farm: &Farm, lines: u64) {
    let mut chance = 7u64;
    let mut below = |n: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % n
    };
    for file in 0..3 {
        let mut text = String::new();
        for line in 0..lines {
            for _ in 0..below(12) {
                let long = [1, 3, 4, 8, 9, 16, 17, 32, 40, 65, 100][below(11) as usize];
                let first = (b'a' + below(26) as u8) as char;
                text.push_str(&first.to_string().repeat(long));
                text.push_str(["", "z", "qu", "B"][below(4) as usize]);
                text.push_str([" ", ", ", "-", " 1984 "][below(4) as usize]);
            }
            text.push_str(["\n", "\r\n"][(line % 2) as usize]);
        }
        text.push_str("theend");
        farm.write(&format!("text/{file}.txt"), text);
    }
}

#[test]
fn a_finished_job_reads_by_the_page_alone_down_to_each_checksum() {
    let farm = Farm::new();
    write_text(&farm, 300);
    farm.ok(&["run", "wc", "text", "-r", "3", "--split-lines", "100", "--slots", "2", "--job", "small"]);
    farm.same_bytes(&farm.outputs("small"), &read(&farm, "small"), "what the reader counts");
    // One map of many different words, whose memory is used up several times: compressed blocks, and sections.
    let letters = |number: u32| (0..6).map(|place| char::from(b'a' + (number / 9_u32.pow(place) % 9) as u8)).collect::<String>();
    farm.write("words.txt", (0..60_000).map(|n| format!("{} same same\n", letters(n * 7919 % 531_441).repeat(3))).collect::<String>());
    let large = ["run", "wc", "-o", "combine=false", "words.txt", "-r", "3", "--memory", "1MiB", "--slots", "1", "--job", "large"];
    farm.ok(&large);
    farm.same_bytes(&farm.outputs("large"), &read(&farm, "large"), "what the reader counts");
    let record = farm.names("large/done").into_iter().find(|name| name.starts_with("map-")).expect("a map task");
    let record = String::from_utf8(farm.read(&format!("large/done/{record}"))).expect("JSON");
    assert!(record.contains("\"sections\":"), "the case has sections: {record}");
    let run = farm.names("large/shuffle").remove(0);
    let field = |at: usize, bytes: &[u8]| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let bytes = farm.read(&format!("large/shuffle/{run}"));
    assert!(field(8, &bytes) < field(12, &bytes), "its first block is compressed");
}

#[test]
fn what_commands_wrote_reads_by_the_page_alone() {
    let farm = Farm::new();
    let items: Vec<String> = (0..40).map(|n| format!("item {n}")).collect();
    let script = "echo \"$1\"; echo to stderr >&2; seq 200; echo \"end of $1\"";
    let command = ["each", "--slots", "2", "-q", "--job", "job", "--", "sh", "-c", script, "sh", "{}", ":::"];
    farm.ok(&[&command[..], &items.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    let written = read(&farm, "job");
    farm.same_bytes(&farm.ok(&["cat", "job"]).stdout(), &written, "what the reader finds");
    assert_eq!(String::from_utf8_lossy(&written).matches("end of item ").count(), 40);
}

#[test]
fn the_reader_finds_a_flipped_bit_in_whatever_it_reads() {
    let farm = Farm::new();
    write_text(&farm, 30);
    farm.ok(&["run", "wc", "text", "-r", "2", "--slots", "1", "--job", "job"]);
    read(&farm, "job");
    for folder in ["phase", "shuffle", "output"] {
        // (phase/end and phase/finished are one file)
        for name in farm.names(&format!("job/{folder}")).into_iter().filter(|name| name != "finished" && name != "end") {
            let path = format!("job/{folder}/{name}");
            let whole = farm.read(&path);
            let mut flipped = whole.clone();
            flipped[whole.len() / 2] ^= 1;
            farm.write(&path, flipped);
            let reader = python(&farm, "read", &["job"]);
            assert!(!reader.wait().success(), "{path} has a flipped bit");
            farm.write(&path, whole);
        }
    }
    read(&farm, "job");
}

#[test]
fn a_foreign_worker_does_a_whole_job_and_loses_a_claim_like_any_other() {
    let farm = Farm::new();
    write_text(&farm, 300);
    let want = farm.sequential("wc", &["text", "-r", "3"]);
    farm.ok(&["submit", "wc", "text", "-r", "3", "--split-lines", "100", "--lease", "3s", "--job", "job"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    // The first keeps a claim and dies; its second, who takes its time, does the rest, reduces included.
    let dies = python(&farm, "worker", &["job", "--die-after", "2"]);
    dies.ends_with(1);
    let said = String::from_utf8_lossy(&dies.stdout()).into_owned();
    let kept = said.lines().find_map(|line| line.strip_suffix(" kept for ever")).unwrap_or_else(|| panic!("it keeps a claim: {said}"));
    // (on a machine that does nothing else for three seconds a claim may be lost: then its commit says so)
    assert_eq!(
        said.lines().filter(|line| line.ends_with(" done") || line.ends_with(" superseded")).count(),
        2,
        "two tasks are ended: {said}"
    );
    let works = python(&farm, "worker", &["job"]);
    works.ends_with(0);
    coordinator.ends_with(0);
    farm.finished_with("job", &want);
    farm.ok(&["verify", "job"]);
    assert!(farm.names("job/expired").contains(&kept.to_owned()), "the dead one's claim was taken back: {said}");
    assert!(farm.names("job/done").iter().any(|name| name.starts_with("reduce-")), "reduces were done by the page, too");
    farm.same_bytes(&read(&farm, "job"), &want, "what the reader counts");
}

#[test]
fn foreign_workers_and_flockworks_own_share_a_job() {
    let farm = Farm::new();
    write_text(&farm, 300);
    let want = farm.sequential("wc", &["text", "-r", "2"]);
    farm.ok(&["submit", "wc", "text", "-r", "2", "--split-lines", "50", "--job", "job"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let foreign = python(&farm, "worker", &["job", "--only", "map", "--tasks", "3"]);
    foreign.ends_with(0);
    let ours = farm.start(&["worker", "job", "--slots", "2", "--quiet"]);
    coordinator.ends_with(0);
    ours.ends_with(0);
    farm.finished_with("job", &want);
    farm.same_bytes(&read(&farm, "job"), &want, "what the reader counts");
}

/// The bytes of the page's hexdump.
fn dumped() -> Vec<u8> {
    let dump = PAGE.split("```text\n").find(|block| block.starts_with("0000000 ")).expect("the page has a hexdump");
    let lines = dump.split("```").next().unwrap_or_default().lines();
    let bytes = lines.flat_map(|line| line.split(' ').skip(1)).map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"));
    bytes.collect()
}

#[test]
fn the_pages_hexdump_is_the_run_that_it_says_it_is() {
    let farm = Farm::new();
    farm.write("hamlet", "to be or not to be\n");
    farm.ok(&["run", "wc", "hamlet", "-r", "2", "--slots", "1", "--job", "job"]);
    let runs = farm.names("job/shuffle");
    assert_eq!(runs.len(), 1, "one map task");
    assert_eq!(farm.read(&format!("job/shuffle/{}", runs[0])), dumped());
}

/// The names of all fields in a JSON value; of counters, which are an app's, none.
fn fields(value: &serde_json::Value, into: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                into.insert(name.clone());
                if !["counters", "options"].contains(&name.as_str()) {
                    fields(value, into);
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, into)),
        _ => {}
    }
}

#[test]
fn every_field_and_every_name_of_a_job_is_on_the_page() {
    let farm = Farm::new();
    write_text(&farm, 20);
    farm.ok(&["run", "wc", "text", "--slots", "1", "--job", "good"]);
    farm.ok(&["run", "sort", "text", "-r", "2", "--slots", "1", "--job", "ranges"]);
    farm.run(&["each", "--slots", "1", "--job", "commands", "--", "sh", "-c", "echo x; exit {}", ":::", "0", "7"]);
    let mut found = BTreeSet::new();
    for job in ["good", "ranges", "commands"] {
        found.extend(farm.names(job));
        for name in [".", "phase", "done", "failed", "workers", "log"] {
            for file in farm.names(&format!("{job}/{name}")).iter().filter(|file| !file.starts_with("status.") && *file != "items") {
                let Ok(text) = std::fs::read_to_string(farm.path(&format!("{job}/{name}/{file}"))) else { continue };
                let whole: Option<serde_json::Value> = serde_json::from_str(&text).ok();
                let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
                whole.into_iter().chain(lines).for_each(|value| fields(&value, &mut found));
            }
        }
    }
    assert!(found.len() > 60, "many fields were looked at: {found:?}");
    let missing: Vec<&String> =
        found.iter().filter(|name| !PAGE.contains(&format!("`{name}")) && !PAGE.contains(&format!("`{name}/`"))).collect();
    assert!(missing.is_empty(), "docs/format.md says nothing of {missing:?}");
}
