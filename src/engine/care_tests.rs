//! Bad records: named exactly, passed over exactly, and nothing else changes.

use std::cell::RefCell;
use std::rc::Rc;

use super::care::spot_of;
use super::fixture::{Bench, gzip, input_file};
use super::tests::{Naughty, bench, temp, whole};
use super::*;
use crate::app::{App, AppResult, Emit, Output, Record, Values};
use crate::data::{BadRecord, Place, Spot};
use crate::partition::fingerprint;

/// Counts words; a `!` anywhere is an error, in map and in reduce a `?` as the key.
struct Brittle {
    unit: Unit,
}

impl App for Brittle {
    type Value = u64;
    const COMBINES: bool = true;

    fn unit(&self) -> Unit {
        self.unit
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        for word in record.bytes.split(|byte| b" \n".contains(byte)).filter(|word| !word.is_empty()) {
            if word.contains(&b'!') {
                return Err("a word too loud".into());
            }
            out.emit(word, &1);
        }
        Ok(())
    }

    fn combine(&self, total: &mut u64, next: &u64) {
        *total += next;
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        if key == b"?" {
            panic!("a question");
        }
        let mut sum = 0;
        while let Some(n) = values.next() {
            sum += n;
        }
        out.pair(key, &sum);
        Ok(())
    }
}

type Notes = Rc<RefCell<Vec<Option<Spot>>>>;

/// Care that passes over `bad`, and what it notes.
fn care(bad: &[Spot]) -> (Care, Notes) {
    let notes = Notes::default();
    let write = Rc::clone(&notes);
    (Care::new(bad.iter().map(|spot| (*spot, "why".to_owned())).collect(), move |spot| write.borrow_mut().push(spot)), notes)
}

const TEXT: &[u8] = b"one two\nloud! one\r\nthree\n\nve!ry\ntwo";
const BAD: [u64; 2] = [8, 26];

#[test]
fn what_is_left_is_the_input_without_the_bad_lines_whatever_the_unit_and_the_form() {
    let (dir, control) = (temp(), Control::default());
    let good = input_file(dir.path(), "good", b"one two\nthree\n\ntwo");
    let bad = BAD.map(|offset| spot_of(0, offset));
    for (unit, form, name) in [
        (Unit::Lines, ShuffleForm::Json, "x"),
        (Unit::Lines, ShuffleForm::Run, "x.gz"),
        (Unit::Blocks, ShuffleForm::Json, "x.gz"),
        (Unit::Blocks, ShuffleForm::Run, "x"),
    ] {
        let app = Brittle { unit };
        let file = input_file(dir.path(), name, &if name == "x" { TEXT.to_vec() } else { gzip(TEXT) });
        let (care, notes) = care(&bad);
        let job = Bench { form, care: Some(&care), ..bench(&app, dir.path(), &control) };
        let made = job.map(0, &whole(&file)).unwrap_or_else(|failure| panic!("{unit:?} {form}: {failure:?}"));
        assert_eq!((made.counters["records skipped"], made.counters["records in"], made.counters["bytes in"]), (2, 4, 18));
        let listed = BAD.map(|offset| BadRecord {
            spot: spot_of(0, offset),
            place: Place::Record { file: name.to_owned(), offset },
            why: "why".to_owned(),
        });
        assert_eq!(made.skipped, listed);
        let noted: Vec<_> = [0, 19, 25, 32].map(|offset| Some(spot_of(0, offset))).into_iter().chain([None]).collect();
        assert_eq!(*notes.borrow(), noted, "every call of the app, and that it was the last");
        let plain = Bench { form, ..bench(&app, dir.path(), &control) };
        let outputs = |made: Made| (0..3).map(|p| plain.reduce(p, std::slice::from_ref(&made)).expect("reduced").files).collect::<Vec<_>>();
        assert_eq!(outputs(made), outputs(plain.map(0, &whole(&good)).expect("no bad line")), "{unit:?} {form}: length and checksum");
    }
}

#[test]
fn an_error_names_its_line_and_in_a_block_of_lines_only_with_care() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", TEXT);
    let (blocks, lines) = (Brittle { unit: Unit::Blocks }, Brittle { unit: Unit::Lines });
    let Err(Failure::App(text)) = bench(&blocks, dir.path(), &control).map(0, &whole(&file)) else { panic!("nobody knows which line") };
    assert_eq!(text, "a word too loud (in the lines from byte 0 of x)");
    let (nothing, _) = care(&[]);
    for form in [ShuffleForm::Json, ShuffleForm::Run] {
        for (app, care) in [(&lines, None), (&lines, Some(&nothing)), (&blocks, Some(&nothing))] {
            let failed = Bench { form, care, ..bench(app, dir.path(), &control) }.map(0, &whole(&file));
            let Err(Failure::Record(bad)) = failed else { panic!("the line is named") };
            let place = Place::Record { file: "x".to_owned(), offset: 8 };
            assert_eq!((bad.spot, bad.place), (spot_of(0, 8), place));
            assert_eq!(bad.why, "a word too loud (in the line at byte 8 of x)");
        }
    }
}

#[test]
fn a_whole_file_is_passed_over_as_one_record() {
    let (dir, control) = (temp(), Control::default());
    let files = [input_file(dir.path(), "x", TEXT), input_file(dir.path(), "y", b"one")];
    let pieces = files.iter().zip(0..).map(|(file, number)| Piece { file: number, ..whole(file).pieces.remove(0) }).collect();
    let (care, notes) = care(&[spot_of(0, 0)]);
    let app = Brittle { unit: Unit::Files };
    let made = Bench { care: Some(&care), ..bench(&app, dir.path(), &control) }.map(0, &Split { pieces }).expect("only y is read");
    assert_eq!((made.counters["records skipped"], made.counters["records in"], made.counters["pairs out"]), (1, 1, 1));
    assert_eq!(*notes.borrow(), [Some(spot_of(1, 0)), None]);
}

#[test]
fn a_bad_key_is_named_and_passed_over_with_all_its_values() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a ? b\n? c\n");
    let app = Brittle { unit: Unit::Lines };
    for form in [ShuffleForm::Json, ShuffleForm::Run] {
        let job = Bench { form, partitions: 1, ..bench(&app, dir.path(), &control) };
        let maps = [0, 1].map(|n| job.map(n, &whole(&file)).expect("mapped"));
        let Err(Failure::Record(bad)) = job.reduce(0, &maps) else { panic!("the key is named") };
        let place = Place::Key { key: "?".to_owned() };
        assert_eq!((bad.spot, &bad.place), (fingerprint(b"?"), &place));
        assert_eq!(bad.why, "panicked: a question (in the key `?`)");
        let (care, notes) = care(&[bad.spot]);
        let made = Bench { care: Some(&care), ..job }.reduce(0, &maps).expect("without it");
        assert_eq!(std::fs::read(dir.path().join("out-0")).expect("written"), b"a 2\nb 2\nc 2\n");
        assert_eq!((made.counters["keys skipped"], made.counters["keys in"]), (1, 3));
        assert_eq!(made.skipped, [BadRecord { spot: bad.spot, place, why: "why".to_owned() }]);
        assert_eq!(*notes.borrow(), [Some(fingerprint(b"a")), Some(fingerprint(b"b")), Some(fingerprint(b"c")), None]);
    }
}

#[test]
fn a_key_for_no_partition_is_the_fault_of_the_app_and_of_no_record() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"nowhere\n");
    for form in [ShuffleForm::Json, ShuffleForm::Run] {
        let failed = Bench { form, ..bench(&Naughty, dir.path(), &control) }.map(0, &whole(&file));
        assert!(matches!(failed, Err(Failure::App(_))), "{failed:?}");
    }
}

#[test]
fn a_bad_record_reads_well_in_json_and_comes_back_from_it() {
    let key = fingerprint(b"k");
    for (bad, text) in [
        (
            BadRecord { spot: Spot(3, 70), place: Place::Record { file: "a".to_owned(), offset: 70 }, why: "w".to_owned() },
            r#"{"spot":[3,70],"file":"a","offset":70,"why":"w"}"#.to_owned(),
        ),
        (
            BadRecord { spot: key, place: care::place_of(b"k\xff"), why: "w".to_owned() },
            format!(r#"{{"spot":[{},{}],"key":"k\\xff","why":"w"}}"#, key.0, key.1),
        ),
    ] {
        assert_eq!(serde_json::to_string(&bad).expect("no map in it"), text);
        assert_eq!(serde_json::from_str::<BadRecord>(&text).expect("the same"), bad);
    }
}
