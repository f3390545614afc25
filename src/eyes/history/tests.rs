//! What is put together from logs and biographies, damaged ones too.

use std::sync::Arc;

use super::*;
use crate::data::Made;
use crate::disk::real::RealDisk;
use crate::ids::Names;
use crate::job::record::{Event, Line, TaskError};

const NAME: &str = "map-00001.a1@n.1.x";

fn claim() -> ClaimName {
    NAME.parse().expect("a name")
}

fn line(by: &str, at: &str, event: Event) -> Vec<u8> {
    Line { by: by.to_owned(), at: at.to_owned(), event }.to_bytes()
}

fn claimed(at: &str) -> Vec<u8> {
    line(NAME, at, Event::Claimed { host: "n".to_owned(), pid: 1 })
}

#[test]
fn a_biography_says_when_and_how_and_foreign_lines_in_it_say_nothing() {
    let made = Made { counters: Counters::from([("records in".to_owned(), 7)]), ..Made::default() };
    let result = |by: &str, at| line(by, at, Event::Result { made: made.clone(), elapsed_ms: 900 });
    let bytes = [
        claimed("2026-01-01T00:00:01Z"),
        result("map-00001.a1@n.1.other", "2026-01-01T00:00:09Z"),
        b"{\"by\":\"torn\n\xff\n".to_vec(),
        result(NAME, "2026-01-01T00:00:02Z"),
    ]
    .concat();
    let (draft, written) = records::fold(&claim(), Fate::Done, &bytes);
    assert_eq!(draft.ended.zip(draft.begun).map(|(ended, begun)| ended - begun), Some(1000));
    assert_eq!((draft.elapsed_ms, written), (Some(900), draft.ended));
    assert_eq!(draft.told.expect("told").counters["records in"], 7);
    let (draft, written) = records::fold(&claim(), Fate::Failed, b"nonsense");
    assert!(draft.told.is_some_and(|told| told.error.is_some_and(|text| text.contains("no error of its own"))));
    assert_eq!((draft.begun, written), (None, None));
}

#[test]
fn an_expired_attempt_ends_by_the_clock_of_whoever_took_it_back_and_a_retracted_one_when_it_was_done() {
    let ended = |why, at| line("c.9.c", at, Event::Ended(why));
    let lost = [claimed("2026-01-01T00:00:01Z"), b"\n".to_vec(), ended(Ended::Lost, "2026-01-01T00:00:12Z")].concat();
    let (draft, written) = records::fold(&claim(), Fate::Ended(Ended::Lost), &lost);
    assert_eq!((draft.ended_at.as_deref(), draft.ending, written), (Some("c"), Some(Ended::Lost), None));
    let result = line(NAME, "2026-01-01T00:00:02Z", Event::Result { made: Made::default(), elapsed_ms: 1 });
    let retracted = [claimed("2026-01-01T00:00:01Z"), result, ended(Ended::Retracted, "2026-01-01T01:00:00Z")].concat();
    let (draft, _) = records::fold(&claim(), Fate::Ended(Ended::Lost), &retracted);
    assert_eq!(draft.ending, Some(Ended::Retracted));
    assert_eq!(draft.ended.zip(draft.begun).map(|(ended, begun)| ended - begun), Some(1000));
    let (draft, _) = records::fold(&claim(), Fate::Ended(Ended::Lost), b"");
    assert_eq!(draft.ending, Some(Ended::Lost), "a file that does not say why");
}

#[test]
fn a_long_error_is_told_by_its_end() {
    let text = format!("{}é the reason", "ö".repeat(20_000));
    let bytes = line(NAME, "2026-01-01T00:00:02Z", Event::Error(TaskError::App(text)));
    let (draft, _) = records::fold(&claim(), Fate::Failed, &bytes);
    let error = draft.told.and_then(|told| told.error).expect("an error");
    assert!(error.len() < 17_000 && error.starts_with('…') && error.ends_with("é the reason"));
}

#[test]
fn a_log_speaks_only_of_its_owners_attempts_and_damage_in_it_is_passed_over() {
    let (by, mut gathered, mut known) = ("n.1.x".parse().expect("a name"), logs::Gathered::default(), Names::default());
    for text in [
        format!(r#"{{"at":"2026-01-01T00:00:01Z","event":"claimed","task":"{NAME}"}}"#),
        r#"{"at":"2026-01-01T00:00:01Z","event":"claimed","task":"map-00002.a1@n.1.other"}"#.to_owned(),
        r#"{"at":"never","event":"ended","task":"map-00001.a1@n.1.x"}"#.to_owned(),
        r#"{"at":"2026-01-01T00:00:03Z","event":"backup","task":"map-00007.a2","text":"beside a slow one"}"#.to_owned(),
        r#"{"at":"2026-01-01T00:00:04Z","ev"#.to_owned(),
        "\u{0}\u{1}".to_owned(),
    ] {
        gathered.fold(&by, text.as_bytes(), &mut known);
    }
    assert_eq!(gathered.drafts.len(), 1);
    let draft = &gathered.drafts[&claim()];
    assert!(draft.begun.is_some() && draft.ended.is_none());
    assert!(gathered.backups.contains(&"map-00007.a2".parse().expect("an attempt")) && gathered.incidents.len() == 1);
}

#[test]
fn a_log_of_several_parts_is_read_to_its_end_and_its_last_line_may_be_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("log")).expect("made");
    let mut text = String::new();
    for n in 0..20_000 {
        text += &format!("{{\"at\":\"2026-01-01T00:00:01Z\",\"event\":\"claimed\",\"task\":\"map-{n:05}.a1@n.1.x\"}}\n");
    }
    text += "{\"at\":\"2026-01-01T00:00:01Z\",\"event\":\"claimed\",\"task\":\"map-99999.a1@n.1.x";
    std::fs::write(dir.path().join("log/n.1.x.jsonl"), text).expect("written");
    std::fs::write(dir.path().join("log/notes.txt"), "mine").expect("written");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(dir.path()));
    let gathered = logs::gather(&*disk);
    assert_eq!((gathered.drafts.len(), gathered.read, gathered.cut), (20_000, 1, 0));
}
