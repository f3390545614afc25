//! One append-only event file per process, `log/NAME.jsonl`: NFS appends of several machines to one file do not interleave safely.
//!
//! For people and for reports. A log that cannot be written (full disk) is never an error of the job: the line is dropped.

use std::sync::Mutex;

use serde::Serialize;

use super::layout;
use crate::disk::{Created, Disk, Flush, Hold, create};
use crate::ids::WorkerName;
use crate::units::stamp_utc;

/// This process's event file.
pub struct Log {
    hold: Mutex<Option<Box<dyn Hold>>>,
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
        Log { hold: Mutex::new(opened.ok()) }
    }

    /// Writes no events; for tests and one-shot commands.
    pub fn none() -> Log {
        Log { hold: Mutex::new(None) }
    }

    /// Adds one event about `task` (may be empty) with a text for people (may be empty).
    pub fn event(&self, event: &str, task: &str, text: &str) {
        let Ok(mut hold) = self.hold.lock() else { return };
        if let Some(hold) = hold.as_mut() {
            let mut bytes = serde_json::to_vec(&Line { at: stamp_utc(), event, task, text }).expect("a line has string keys only");
            bytes.push(b'\n');
            let _ = hold.append(&bytes);
        }
    }
}
