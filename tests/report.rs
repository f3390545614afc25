//! `report`, `trace`, `metrics`, and the status pages that a coordinator keeps: whole jobs, hostile ones too. The looks of the page are judged by a browser, see `tests/browser/run`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::common::Farm;

/// A finished job of eight maps and two reduces on two slots.
fn finished() -> Farm {
    let farm = Farm::with_books();
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "2", "--slots", "2", "--quiet"]);
    farm
}

fn page(farm: &Farm, job: &str) -> String {
    String::from_utf8(farm.ok(&["report", job, "-o", "-"]).stdout()).expect("UTF-8")
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

/// The page loads nothing, runs only its own script, and every tag in it is one that flockwork writes.
fn is_closed(page: &str) {
    for from_elsewhere in ["http:", "https:", "src=", "@import", "url(", "<iframe", "<object", "<form", "<img"] {
        assert!(!page.contains(from_elsewhere), "{from_elsewhere} in {page}");
    }
    assert!(page.matches("<script").count() <= 1 && page.contains("default-src 'none'"), "{page}");
    let known: BTreeSet<&str> =
        "!doctype html head meta title link style body main header p h1 h2 span pre dl div dt dd section ul ol li i b em code figure \
        figcaption svg path rect g table thead tbody tr th td script"
            .split_whitespace()
            .collect();
    let body = &page[page.find("</style>").expect("a style")..page.rfind("<script").unwrap_or(page.len())];
    for tag in body.split('<').skip(1) {
        let name: String = tag.trim_start_matches('/').chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        assert!(known.contains(name.as_str()), "<{tag}");
    }
}

#[test]
fn the_report_of_a_finished_job_has_a_lane_per_slot_and_needs_nothing_else() {
    let farm = finished();
    let said = farm.ok(&["report", "job"]);
    assert_eq!(said.stdout(), b"job-report.html\n", "it says where it is");
    let page = String::from_utf8(farm.read("job-report.html")).expect("UTF-8");
    is_closed(&page);
    let workers: BTreeSet<String> = farm.names("job/done").iter().filter_map(|name| Some(name.split_once('@')?.1.to_owned())).collect();
    assert_eq!(page.matches("<g class=\"lane\">").count(), workers.len());
    assert!(page.contains(">finished</span>") && page.contains("8 map tasks and 2 reduce tasks"), "{page}");
    assert_eq!(page.matches("<rect ").count(), 10, "each attempt has a bar");
    let digest = json(&farm.ok(&["report", "job", "--json"]).stdout());
    assert_eq!(
        (digest["version"].as_u64(), digest["verdict"].as_str(), digest["clock"].as_str()),
        (Some(1), Some("finished"), Some("server"))
    );
    assert_eq!(digest["phases"][0]["tasks_done"], 8);
    let partitions = digest["partitions"].as_array().expect("partitions");
    let pairs: u64 = partitions.iter().filter_map(|partition| partition["pairs"].as_u64()).sum();
    assert_eq!((partitions.len(), Some(pairs)), (2, digest["counters"]["pairs in"].as_u64()));
    assert!(partitions.iter().all(|partition| partition["bytes"].as_u64().is_some_and(|bytes| bytes > 0)));
}

#[test]
fn the_heaviest_keys_are_those_that_reached_reduce_with_the_most_values() {
    let farm = Farm::new();
    farm.write("in", "a a a a a b b b <c> <c> d e\n");
    for shuffle in ["run", "json"] {
        // Without a combiner every word is a value.
        farm.ok(&[
            "stream",
            "--mapper",
            "tr ' ' '\\n'",
            "--reducer",
            "cat",
            "in",
            "--job",
            shuffle,
            "-r",
            "1",
            "--shuffle",
            shuffle,
            "--quiet",
        ]);
        let digest = json(&farm.ok(&["report", shuffle, "--json"]).stdout());
        let keys: Vec<(&str, u64)> = digest["heavy_keys"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| (key["key"].as_str().unwrap_or_default(), key["values"].as_u64().unwrap_or(0)))
            .collect();
        assert_eq!(keys, [("a", 5), ("b", 3), ("<c>", 2)], "{shuffle}");
        assert!(page(&farm, shuffle).contains("&lt;c&gt;"));
    }
}

#[test]
fn nothing_in_a_job_is_taken_for_markup() {
    let farm = Farm::new();
    let evil = "<script>alert(1)<\u{2f}script>\"'><img src=x onerror=alert(2)>";
    let job = "<b onclick=x>job";
    farm.write("list", format!("{evil}\nfine\n"));
    farm.run(&["each", "-a", "list", "--job", job, "--quiet", "--", "sh", "-c", "echo \"$1\" >&2; test \"$1\" = fine", "sh", "{}"])
        .ends_with(1);
    let named: Vec<String> = farm.names(&format!("{job}/failed"));
    assert_eq!(named.len(), 1);
    let incident = format!("{{\"at\":\"2026-01-01T00:00:00Z\",\"event\":{0},\"task\":{0},\"text\":{0}}}\n", Value::String(evil.to_owned()));
    farm.write(&format!("{job}/log/h.1.x.jsonl"), incident);
    let end = String::from_utf8(farm.read(&format!("{job}/phase/end"))).expect("UTF-8");
    assert!(end.contains("\"counters\": {}"), "{end}");
    let counter = format!("\"counters\": {{{}: 1}}", Value::String(evil.to_owned()));
    farm.write(&format!("{job}/phase/end"), end.replace("\"counters\": {}", &counter));
    let page = page(&farm, job);
    assert!(!page.contains("onerror=alert(2)>") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    is_closed(&page.replace("src=x onerror", ""));
    let status = String::from_utf8(farm.read(&format!("{job}/status.html"))).expect("UTF-8");
    is_closed(&status.replace("src=x onerror", ""));
    assert!(status.contains("&lt;b onclick=x&gt;job") && status.contains("&lt;img"), "{status}");
    json(&farm.ok(&["trace", job]).stdout());
    series(&String::from_utf8(farm.ok(&["metrics", job]).stdout()).expect("UTF-8"));
}

#[test]
fn a_job_at_any_stage_has_a_report_a_trace_and_metrics() {
    let farm = Farm::new();
    farm.write("in", "one\ntwo\n");
    let looks = |job: &str, verdict: &str| {
        let page = page(&farm, job);
        is_closed(&page);
        assert!(page.contains(&format!("<span class=\"verdict {verdict}\">")), "{verdict}: {page}");
        is_trace(&json(&farm.ok(&["trace", job]).stdout()));
        series(&String::from_utf8(farm.ok(&["metrics", job]).stdout()).expect("UTF-8"));
    };
    farm.ok(&["submit", "wc", "in", "--job", "waits"]);
    looks("waits", "running");
    farm.ok(&["pause", "waits"]);
    looks("waits", "paused");
    farm.ok(&["submit", "wc", "later", "--after", "waits", "--job", "later"]);
    looks("later", "planning");
    let slow = farm.start(&["each", "--job", "works", "--slots", "2", "--", "sleep", "{}", ":::", "0", "100"]);
    farm.wait_for_names("works/done", 1);
    farm.wait_for_names("works/claimed", 1);
    looks("works", "running");
    let page = page(&farm, "works");
    assert!(page.contains("class=\"m go"), "what runs is drawn: {page}");
    farm.ok(&["cancel", "works"]);
    slow.wait();
    looks("works", "cancelled");
    let ended = farm.run(&["run", "grep", "in", "-o", "pattern=x", "--job", "ok", "--quiet"]);
    ended.ends_with(0);
    looks("ok", "finished");
}

#[test]
fn what_went_wrong_is_told_with_its_words() {
    let farm = Farm::new();
    farm.run(&["each", "--job", "job", "--quiet", "--", "sh", "-c", "echo out of luck >&2; exit 3", "sh", ":::", "item-7"]).ends_with(1);
    let page = page(&farm, "job");
    for words in [">failed</span>", "ended with status 3", "out of luck", "item-7"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let digest = json(
        &farm
            .ok(&["report", "job", "--json", "-o", "digest.json"])
            .stdout()
            .is_empty()
            .then(|| farm.read("digest.json"))
            .expect("in the file"),
    );
    assert_eq!((digest["trouble_count"].as_u64(), digest["troubles"][0]["fate"].as_str()), (Some(1), Some("failed")));
    assert_eq!(digest["troubles"][0]["output"], "out of luck\n");
}

#[test]
fn what_lies_damaged_in_a_job_is_passed_over() {
    let farm = finished();
    let done = farm.names("job/done");
    farm.write(&format!("job/done/{}", done[0]), b"\xff\x00 nonsense");
    farm.write(
        &format!("job/done/{}", done[1]),
        format!("{{\"by\":\"{}\",\"at\":\"9999-12-31T23:59:59Z\",\"event\":{{\"claimed\":{{\"host\":\"h\",\"pid\":1}}}}}}\n", done[1]),
    );
    farm.write("job/log/h.1.x.jsonl", b"{\"at\":\n\x00\xff{}\n[]\n");
    for log in farm.names("job/log") {
        farm.write(&format!("job/log/{log}"), b"torn");
    }
    let page = page(&farm, "job");
    assert!(page.contains("1 attempt of which nobody wrote when they were") || page.contains("2 attempts of which nobody wrote"), "{page}");
    is_trace(&json(&farm.ok(&["trace", "job"]).stdout()));
}

#[test]
fn where_a_report_cannot_be_written_that_is_said() {
    let farm = finished();
    farm.run(&["report", "job", "-o", "no/such/x.html"])
        .fails_saying(1, &["cannot write the report to no/such/x.html", "there is no folder no/such", "-o"]);
    farm.run(&["trace", "job", "-o", "books"]).fails_saying(1, &["cannot write the trace to books", "it is a folder", "name a file in it"]);
    for command in ["report", "trace"] {
        farm.run(&[command, "books"]).fails_saying(1, &["books"]);
        farm.run(&[command, "nowhere"]).fails_saying(1, &["no job in nowhere"]);
    }
    farm.run(&["metrics", "books"]).fails_saying(1, &["books"]);
    farm.run(&["report"]).ends_with(2);
    // What is no plain file is written to, never replaced.
    assert!(farm.ok(&["report", "job", "-o", "/dev/stdout"]).stdout().starts_with(b"<!doctype html>"));
    farm.ok(&["report", "job", "-o", "/dev/null"]);
    assert!(std::fs::metadata("/dev/null").is_ok_and(|meta| !meta.is_file()), "it is still a device");
    farm.write("old.html", "old");
    symlink("old.html", farm.path("link.html")).expect("a link");
    farm.ok(&["report", "job", "-o", "link.html"]);
    assert!(farm.path("link.html").is_symlink() && farm.read("old.html").starts_with(b"<!doctype html>"), "a link is followed and stays");
}

/// The rules of the trace event format, and what every viewer wants: threads with names, and slices of one thread that do not overlap.
fn is_trace(trace: &Value) {
    let events = trace["traceEvents"].as_array().expect("events");
    let number = |event: &Value, field: &str| event[field].as_i64().unwrap_or_else(|| panic!("{field} of {event}"));
    let (mut named, mut used, mut slices) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::<(i64, i64), Vec<(i64, i64)>>::new());
    for event in events {
        let place = (number(event, "pid"), number(event, "tid"));
        assert!(event["name"].is_string() && number(event, "ts") >= 0, "{event}");
        match event["ph"].as_str() {
            Some("M") => {
                let name = event["name"].as_str().unwrap_or_default();
                assert!(["process_name", "process_sort_index", "thread_name", "thread_sort_index"].contains(&name), "{event}");
                if name == "thread_name" {
                    named.insert(place);
                }
            }
            Some("X") => {
                assert!(number(event, "dur") >= 0, "{event}");
                slices.entry(place).or_default().push((number(event, "ts"), number(event, "dur")));
                used.insert(place);
            }
            Some("i") => {
                assert!(["g", "p", "t"].contains(&event["s"].as_str().unwrap_or_default()), "{event}");
                used.insert(place);
            }
            _ => panic!("a phase that is none: {event}"),
        }
    }
    assert!(used.is_subset(&named), "every thread has a name");
    for (place, mut of) in slices.into_iter().filter(|((pid, _), _)| *pid > 0) {
        of.sort_unstable();
        assert!(of.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0), "{place:?}: slices overlap");
    }
}

#[test]
fn a_trace_has_every_attempt_as_a_slice_and_what_it_counted() {
    let farm = finished();
    farm.ok(&["trace", "job", "-o", "trace.json"]);
    let trace = json(&farm.read("trace.json"));
    is_trace(&trace);
    let slices: Vec<&Value> =
        trace["traceEvents"].as_array().expect("events").iter().filter(|event| event["ph"] == "X" && event["pid"] != 0).collect();
    assert_eq!(slices.len(), 10);
    assert!(slices.iter().all(|slice| slice["args"]["fate"] == "done" && slice["args"]["counters"].is_object()));
}

/// Reads the text format strictly; the series by name and labels.
fn series(text: &str) -> BTreeMap<String, f64> {
    let (mut values, mut typed, mut helped) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut current = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(helped.insert(name.to_owned()) && !help.is_empty(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(typed.insert(name.to_owned()) && kind == "gauge" && helped.contains(name), "{line}");
            current = name.to_owned();
        } else {
            let (name, labels, value) = sample(line);
            assert_eq!(name, current, "the lines of a series stand together");
            assert!(name.starts_with("flockwork_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(labels.contains_key("job"), "{line}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let key = format!("{name}{labels:?}");
            assert!(values.insert(key, value).is_none(), "twice: {line}");
        }
    }
    values
}

/// `name{label="value",...} number`
fn sample(line: &str) -> (String, BTreeMap<String, String>, String) {
    let (name, rest) = line.split_once('{').expect("labels");
    let (mut labels, mut rest) = (BTreeMap::new(), rest);
    loop {
        let (label, after) = rest.split_once("=\"").expect("a label");
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().expect("the value ends") {
                (_, '\\') => match chars.next().expect("an escape").1 {
                    'n' => value.push('\n'),
                    c @ ('\\' | '"') => value.push(c),
                    c => panic!("no escape: \\{c} in {line}"),
                },
                (at, '"') => break at,
                (_, c) => value.push(c),
            }
        };
        assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
        match after[end + 1..].split_at_checked(1) {
            Some((",", more)) => rest = more,
            Some(("}", more)) => return (name.to_owned(), labels, more.strip_prefix(' ').expect("a blank").to_owned()),
            other => panic!("{other:?} in {line}"),
        }
    }
}

#[test]
fn metrics_of_a_job_and_of_a_farm_agree_and_are_what_prometheus_reads() {
    let farm = Farm::new();
    farm.write("in", "one\ntwo\n");
    let name = "a \"quoted\" back\\slash";
    farm.ok(&["run", "wc", "in", "--job", &format!("farm/{name}"), "-r", "2", "--quiet"]);
    farm.ok(&["submit", "wc", "in", "--job", "farm/waits", "--priority", "7"]);
    farm.ok(&["metrics", &format!("farm/{name}"), "-o", "job.prom"]);
    let job = series(&String::from_utf8(farm.read("job.prom")).expect("UTF-8"));
    let all = series(&String::from_utf8(farm.ok(&["metrics", "farm"]).stdout()).expect("UTF-8"));
    let of = |values: &BTreeMap<String, f64>, series: &str, word: &str| -> Vec<f64> {
        values.iter().filter(|(key, _)| key.starts_with(&format!("{series}{{")) && key.contains(word)).map(|(_, value)| *value).collect()
    };
    assert_eq!(of(&job, "flockwork_job_tasks", "\"done\""), [3.0]);
    assert_eq!(of(&job, "flockwork_job_state", "finished"), [1.0]);
    assert_eq!(of(&all, "flockwork_job_priority", "waits"), [7.0]);
    for (key, value) in job.iter().filter(|(key, _)| key.starts_with("flockwork_job_state") || key.starts_with("flockwork_job_tasks{")) {
        assert_eq!(all.get(key), Some(value), "{key}");
    }
}

#[test]
fn an_ended_job_has_a_status_page_that_is_flockworks_own() {
    let farm = finished();
    let status = json(&farm.read("job/status.json"));
    assert_eq!((status["phase"].as_str(), status["end"]["outcome"].as_str()), (Some("finished"), Some("finished")));
    assert!(status["written"].is_string() && status["version"] == 1);
    let looked = json(&farm.ok(&["status", "job", "--json"]).stdout());
    let fields =
        |value: &Value| value.as_object().expect("an object").keys().filter(|key| *key != "written").cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(&status), fields(&looked), "the object of `status --json`");
    for same in ["id", "app", "map", "reduce", "attempts", "percent", "end"] {
        assert_eq!(status[same], looked[same], "{same}");
    }
    let page = String::from_utf8(farm.read("job/status.html")).expect("UTF-8");
    is_closed(&page);
    assert!(!page.contains("http-equiv=\"refresh\""), "nothing more will come: {page}");
    let verified = farm.ok(&["verify", "job"]);
    assert!(!verified.stderr().contains("status."), "{}", verified.stderr());
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert!(!farm.has("job"), "all of it is flockwork's");
}

#[test]
fn whoever_leads_keeps_the_page_fresh_while_a_job_runs_and_at_its_end() {
    let farm = Farm::new();
    farm.ok(&["each", "--submit", "--job", "farm/job", "--", "sh", "-c", "while ! test -e go; do sleep 0.05; done", "sh", ":::", "a", "b"]);
    let worker = farm.start(&["worker", "farm/job", "--slots", "1", "--quiet"]);
    let lead = farm.start(&["coordinator", "farm", "--drain", "--quiet"]);
    let fresh = |farm: &Farm| farm.has("farm/job/status.json").then(|| json(&farm.read("farm/job/status.json")));
    let status = farm.wait_for("a page", || fresh(&farm).filter(|status| status["map"]["claimed"] == 1));
    assert_eq!((status["phase"].as_str(), status["end"].is_null()), (Some("map"), true));
    // One file after the other is put in place.
    let page = farm.wait_for("the page beside it", || farm.has("farm/job/status.html").then(|| farm.read("farm/job/status.html")));
    let page = String::from_utf8(page).expect("UTF-8");
    assert!(page.contains("http-equiv=\"refresh\""), "{page}");
    farm.write("go", "");
    lead.ends_with(0);
    worker.wait();
    assert_eq!(fresh(&farm).expect("a page")["phase"], "finished");
}

#[test]
fn what_lies_under_the_pages_names_is_replaced_or_left_and_never_followed() {
    let farm = Farm::new();
    farm.write("in", "word\n");
    farm.write("secret", "mine");
    farm.ok(&["submit", "wc", "in", "--job", "job", "-r", "1"]);
    symlink("../secret", farm.path("job/status.json")).expect("a link");
    farm.write("job/status.html/inside", "a folder");
    farm.ok(&["run", "wc", "in", "--job", "job", "-r", "1", "--quiet"]);
    assert_eq!(farm.read("secret"), b"mine", "nobody was led there");
    assert!(!farm.path("job/status.json").is_symlink() && json(&farm.read("job/status.json"))["phase"] == "finished");
    assert!(farm.has("job/status.html/inside"), "a folder is nobody's page");
    let left: Vec<String> =
        std::fs::read_dir(farm.path("job")).expect("listed").flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".tmp-")), "no draft is left behind: {left:?}");
}
