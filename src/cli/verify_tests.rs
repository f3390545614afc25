//! What `verify` finds, and what it does not call a fault.

use std::io::Write;

use super::fixture::Bench;
use crate::eyes::verify::{Report, verify};
use crate::job::claim::Commit;
use crate::job::record::TaskError;

fn report(bench: &Bench) -> Report {
    let job = bench.job();
    verify(&*job.disk, &job.root, &job.spec).expect("verified")
}

/// The one fault is at a path that begins so, and says this.
fn finds(bench: &Bench, path: &str, what: &str) {
    let faults = report(bench).faults;
    let found = faults.iter().any(|fault| fault.path.starts_with(path) && fault.what.contains(what));
    assert!(found, "wanted `{what}` at {path}; found {faults:#?}");
}

fn first(bench: &Bench, dir: &str, prefix: &str) -> String {
    let names = bench.names(dir);
    format!("{dir}/{}", names.iter().find(|name| name.starts_with(prefix)).expect("one is there"))
}

fn flip(bench: &Bench, path: &str) {
    let path = bench.path(path);
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).expect("written");
}

#[test]
fn a_job_is_without_fault_at_every_step_of_its_life() {
    let mut bench = Bench::planned();
    loop {
        assert_eq!(report(&bench).faults, [], "in any state");
        let ended = bench.tick().ended;
        assert_eq!(report(&bench).faults, [], "after a tick");
        if ended {
            break;
        }
        if let Some(claim) = bench.claim() {
            assert_eq!(report(&bench).faults, [], "while claimed");
            let _ = claim.give_back(&*bench.job().disk).map_err(|refusal| refusal.1).expect("given back");
        }
        bench.tick();
        bench.restart_worker();
        bench.work();
    }
    let report = report(&bench);
    assert_eq!((report.tasks, report.files), (5, 8), "3 maps of 2 files, 2 outputs");
    assert_eq!(report.notes, [], "and there is nothing else to say");
}

#[test]
fn a_failed_job_is_without_fault() {
    assert_eq!(report(&Bench::failed()).faults, []);
}

#[test]
fn a_flipped_byte_in_an_output_is_found() {
    let bench = Bench::finished();
    flip(&bench, "output/mr-out-00001");
    finds(&bench, "output/mr-out-00001", "checksum");
}

#[test]
fn a_missing_or_foreign_output_is_found() {
    let bench = Bench::finished();
    std::fs::remove_file(bench.path("output/mr-out-00000")).expect("removed");
    finds(&bench, "output/mr-out-00000", "missing");
    std::fs::copy(bench.path(&first(&bench, "output/.attempts", "reduce-00000")), bench.path("output/mr-out-00000")).expect("copied");
    finds(&bench, "output/mr-out-00000", "no link");
    std::fs::write(bench.path("output/mr-out-00007"), "").expect("written");
    finds(&bench, "output/mr-out-00007", "does not name it");
}

#[test]
fn a_truncated_shuffle_file_of_a_counting_map_is_found() {
    let bench = Bench::finished();
    let path = first(&bench, "shuffle", "map-00001");
    std::fs::write(bench.path(&path), "con").expect("truncated");
    finds(&bench, &path, "has 3 bytes");
}

#[test]
fn an_edited_done_record_is_found() {
    for (prefix, what) in [("map-00002", "says other files"), ("reduce-00001", "says another length")] {
        let bench = Bench::finished();
        let path = first(&bench, "done", prefix);
        let text = std::fs::read_to_string(bench.path(&path)).expect("read").replace("\"crc32\":", "\"crc32\":1");
        std::fs::write(bench.path(&path), text.replace("\"crc32\":1", "\"crc32\":3,\"was\":1")).expect("edited");
        finds(&bench, &path, what);
        std::fs::write(bench.path(&path), "rubbish").expect("edited");
        finds(&bench, &path, "no result of its own");
        std::fs::remove_file(bench.path(&path)).expect("removed");
        assert!(!report(&bench).faults.is_empty(), "a done record that counts is missed");
    }
}

#[test]
fn a_changed_counter_is_found() {
    let bench = Bench::finished();
    let path = first(&bench, "done", "map-00000");
    let text = std::fs::read_to_string(bench.path(&path)).expect("read").replace("\"records in\":7", "\"records in\":8");
    std::fs::write(bench.path(&path), text).expect("edited");
    finds(&bench, "phase/end", "counters");
}

#[test]
fn a_second_name_of_the_end_that_is_no_link_is_found() {
    let bench = Bench::finished();
    std::fs::remove_file(bench.path("phase/finished")).expect("removed");
    std::fs::copy(bench.path("phase/end"), bench.path("phase/finished")).expect("copied");
    finds(&bench, "phase/finished", "not a second name");
    std::fs::write(bench.path("phase/failed"), "").expect("written");
    finds(&bench, "phase/failed", "not a second name");
}

#[test]
fn what_is_left_over_after_the_end_is_found() {
    let bench = Bench::finished();
    std::fs::write(bench.path("claimed/map-00000.a7@node9.1.z"), "").expect("written");
    std::fs::write(bench.path("pending/map-00001.a7"), "").expect("written");
    finds(&bench, "claimed/map-00000.a7@node9.1.z", "left over");
    finds(&bench, "pending/map-00001.a7", "left over");
}

#[test]
fn a_claim_in_two_places_is_found() {
    let bench = Bench::finished();
    let done = first(&bench, "done", "map-00000");
    std::fs::copy(bench.path(&done), bench.path(&done.replace("done", "expired"))).expect("copied");
    finds(&bench, "done/map-00000", "done and expired");
}

#[test]
fn what_is_foreign_is_noted_however_well_its_name_is_formed() {
    let bench = Bench::finished();
    for (path, what) in [("expired/map-00009.a1", "no task of the plan"), ("done/map-00002.a9", "comes to lie here")] {
        std::fs::write(bench.path(path), "").expect("written");
        let report = report(&bench);
        assert!(report.faults.is_empty(), "{:#?}", report.faults);
        assert!(report.notes.iter().any(|note| note.path == path && note.what.contains(what)), "{:#?}", report.notes);
    }
}

/// As lines were before they bore checksums.
fn unsealed(text: &str) -> String {
    let line = |line: &str| match line.split_once(",\"crc\":") {
        Some((body, _)) => format!("{body}}}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn a_line_of_a_plan_that_was_changed_is_found() {
    for path in ["phase/map", "phase/reduce"] {
        let bench = Bench::finished();
        let text = std::fs::read_to_string(bench.path(path)).expect("read").replace("\"task\":1", "\"task\":2");
        std::fs::write(bench.path(path), text).expect("edited");
        finds(&bench, path, "not what its checksum says");
    }
}

#[test]
fn a_record_or_plan_of_another_job_is_found() {
    let bench = Bench::finished();
    for path in [first(&bench, "done", "map-00000"), "phase/reduce".to_owned(), "phase/map".to_owned()] {
        let text = std::fs::read_to_string(bench.path(&path)).expect("read").replace("k3fk3f", "other");
        std::fs::write(bench.path(&path), unsealed(&text)).expect("edited");
        finds(&bench, &path, "of the job other");
    }
    std::fs::write(bench.path("phase/end"), "{").expect("edited");
    finds(&bench, "phase/end", "cannot understand");
}

#[test]
fn scenario_23_foreign_files_are_notes_and_no_faults() {
    let bench = Bench::finished();
    for path in ["notes.txt", "done/x~", "shuffle/core", "output/README", "phase/old", "workers/me"] {
        std::fs::File::create(bench.path(path)).and_then(|mut file| file.write_all(b"mine")).expect("written");
    }
    std::fs::create_dir(bench.path("failed/map-00000.a1@n.1.x")).expect("made");
    let report = report(&bench);
    assert_eq!(report.faults, []);
    assert_eq!(report.notes.len(), 7, "{:#?}", report.notes);
}

#[test]
fn a_map_that_was_retracted_and_replaced_is_no_fault_but_one_without_a_replacement_is() {
    let mut bench = Bench::with_maps_done();
    let damaged = first(&bench, "done", "map-00001").replace("done/", "");
    let claim = bench.claim().expect("a reduce");
    let said = claim.fail(&*bench.job().disk, TaskError::Damaged(vec![damaged.clone()])).map_err(|refusal| refusal.1);
    assert_eq!(said.expect("reported"), Commit::Done);
    bench.tick();
    assert_eq!(report(&bench).faults, [], "retracted and not made anew yet");
    std::fs::remove_file(bench.path(&format!("shuffle/{damaged}-00000.json"))).expect("it counts no more");
    bench.run_to_end();
    assert_eq!(report(&bench).faults, [], "made anew");
    std::fs::remove_file(bench.path(&first(&bench, "done", "map-00001"))).expect("removed");
    finds(&bench, "phase/reduce", "nothing has replaced it");
}

#[test]
fn a_job_that_lost_its_map_plan_is_faulty_and_its_outputs_are_checked_all_the_same() {
    let bench = Bench::finished();
    let plan = std::fs::read(bench.path("phase/map")).expect("read");
    std::fs::remove_file(bench.path("phase/map")).expect("removed");
    finds(&bench, "phase/map", "is missing, and the job was planned, as phase/reduce shows");
    assert_eq!((report(&bench).faults.len(), report(&bench).tasks), (1, 5), "and nothing else is wrong");
    flip(&bench, "output/mr-out-00000");
    finds(&bench, "output/mr-out-00000", "checksum");
    for also_gone in ["phase/reduce", "phase/finished", "phase/end"] {
        std::fs::remove_file(bench.path(also_gone)).expect("removed");
        finds(&bench, "phase/map", "is missing");
        finds(&bench, "output/", "checksum");
    }
    std::fs::write(bench.path("phase/map"), &plan[1..]).expect("damaged");
    finds(&bench, "phase/map", "cannot understand");
    finds(&bench, "output/", "checksum");
}

#[test]
fn a_job_that_is_not_planned_yet_or_was_cancelled_before_is_without_fault() {
    let bench = Bench::planned();
    std::fs::remove_file(bench.path("phase/map")).expect("removed");
    assert_eq!(report(&bench).faults, []);
    std::fs::write(bench.path("cancel"), "").expect("asked for");
    let job = bench.job();
    let ended = crate::planner::after::end_unplanned(&*job.disk, &job.root, "c1", crate::job::end::Outcome::Cancelled, "cancelled");
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(report(&bench).faults, []);
}

#[test]
fn a_missing_reduce_plan_is_found_where_there_were_reduce_tasks() {
    let mut bench = Bench::with_maps_done();
    let plan = std::fs::read(bench.path("phase/reduce")).expect("read");
    for is_ended in [false, true] {
        std::fs::remove_file(bench.path("phase/reduce")).expect("removed");
        finds(&bench, "phase/reduce", "is missing, and there were reduce tasks");
        std::fs::write(bench.path("phase/reduce"), &plan).expect("restored");
        if !is_ended {
            bench.run_to_end();
        }
    }
    assert_eq!(report(&bench).faults, []);
}
