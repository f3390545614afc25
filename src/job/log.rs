//! One append-only event file per process, `log/NAME.jsonl`: NFS appends of several machines to one file do not interleave safely.
//!
//! For people and for reports; and `status` learns from it what the disk refuses a coordinator. A log that cannot be written (full disk) is never an error of the job: the line is dropped.

use std::sync::Mutex;

use serde::Serialize;

use super::layout;
use crate::disk::{Created, Disk, Flush, Hold, create};
use crate::ids::WorkerName;
use crate::units::stamp_utc;

/// The event of a coordinator whose disk refuses something, in these words;
pub const TROUBLE: &str = "trouble";
/// and when that is over.
pub const WELL: &str = "well";

/// This process's event file.
pub struct Log(Mutex<Pen>);

struct Pen {
    hold: Option<Box<dyn Hold>>,
    /// To be written with the next event.
    later: Vec<u8>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: String,
    event: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    task: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

impl Log {
    /// Opens a new event file for `name`.
    pub fn open(disk: &dyn Disk, name: &WorkerName) -> Log {
        let path = layout::log(name);
        let opened = disk.draft(layout::LOG, b"", Flush::OnNetwork).and_then(|draft| {
            let created = create::link_once(disk, &draft, &path);
            let _ = disk.remove(&draft);
            match created? {
                Created::Now | Created::Before => disk.open(&path),
            }
        });
        Log(Mutex::new(Pen { hold: opened.ok(), later: Vec::new() }))
    }

    /// Writes no events; for tests and one-shot commands.
    pub fn none() -> Log {
        Log(Mutex::new(Pen { hold: None, later: Vec::new() }))
    }

    /// Adds one event about `task` (may be empty) with a text for people (may be empty).
    pub fn event(&self, event: &str, task: &str, text: &str) {
        self.event_soon(event, task, text);
        self.flush();
    }

    /// The same, written with the next event: for whoever is about to have one, or to call [`Log::flush`].
    pub fn event_soon(&self, event: &str, task: &str, text: &str) {
        let Ok(mut pen) = self.0.lock() else { return };
        if pen.hold.is_some() {
            let line = Line { at: stamp_utc(), event, task, text };
            serde_json::to_writer(&mut pen.later, &line).expect("a line has string keys only, and memory takes it");
            pen.later.push(b'\n');
        }
    }

    /// Writes what was put off.
    pub fn flush(&self) {
        let Ok(mut pen) = self.0.lock() else { return };
        let Pen { hold, later } = &mut *pen;
        if let (Some(hold), false) = (hold, later.is_empty()) {
            let _ = hold.append(later);
            later.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    #[test]
    fn what_was_put_off_stands_before_the_next_event_and_is_not_lost_without_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        disk.make_dir(layout::LOG).expect("a folder");
        let name = crate::here::new_name();
        let log = Log::open(&disk, &name);
        let events = || {
            let text = std::fs::read_to_string(dir.path().join(layout::log(&name))).expect("readable");
            let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"].to_string();
            text.lines().map(event).collect::<Vec<_>>().join(" ")
        };
        log.event_soon("ended", "t", "");
        assert_eq!(events(), "");
        log.event("claimed", "u", "");
        assert_eq!(events(), r#""ended" "claimed""#);
        log.event_soon("ended", "u", "");
        log.flush();
        log.flush();
        assert_eq!(events(), r#""ended" "claimed" "ended""#, "once");
    }
}
