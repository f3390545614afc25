//! What an attempt does differently where earlier attempts of its task failed and bad records may be skipped.
//!
//! Contract: the app is called with one record at a time, however many its unit gives it as a rule; before each call it is said where the attempt is, so that it is known
//! when the app ends the process; and what is known to be bad is passed over, counted and listed. The pairs are those of the same input
//! without these records. Without care an attempt pays nothing for all this.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::app::{Record, Unit};
use crate::data::{BadRecord, Failure, Place, Spot};

/// The counter of lines or files passed over.
pub const RECORDS_SKIPPED: &str = "records skipped";
/// The counter of keys passed over.
pub const KEYS_SKIPPED: &str = "keys skipped";
/// Longest key shown, in bytes.
pub(super) const KEY_SHOWN: usize = 200;

/// One attempt's care.
pub struct Care {
    bad: BTreeMap<Spot, String>,
    note: RefCell<Box<dyn FnMut(Option<Spot>)>>,
    skipped: RefCell<Vec<BadRecord>>,
}

impl Care {
    /// Passes over the records of `bad`, each with its reason. `note` is told of every other one before the app is, and of nowhere when the app is done.
    pub fn new(bad: BTreeMap<Spot, String>, note: impl FnMut(Option<Spot>) + 'static) -> Care {
        Care { bad, note: RefCell::new(Box::new(note)), skipped: RefCell::default() }
    }

    /// False if the record is to be passed over; it is then listed.
    pub(super) fn admits(&self, spot: Spot, place: impl FnOnce() -> Place) -> bool {
        if let Some(why) = self.bad.get(&spot) {
            self.skipped.borrow_mut().push(BadRecord { spot, place: place(), why: why.clone() });
            return false;
        }
        (self.note.borrow_mut())(Some(spot));
        true
    }

    /// The input is gone through once more from its beginning.
    pub fn begin_again(&self) {
        self.skipped.borrow_mut().clear();
    }

    /// The app will not be called again.
    pub(super) fn rest(&self) {
        (self.note.borrow_mut())(None);
    }

    /// What was passed over.
    pub(super) fn skipped(&self) -> Vec<BadRecord> {
        self.skipped.borrow().clone()
    }
}

/// What was passed over, where there was care, now that the app is done.
pub(super) fn skipped(care: Option<&Care>) -> Vec<BadRecord> {
    care.map_or_else(Vec::new, |care| {
        care.rest();
        care.skipped()
    })
}

/// The record that begins at byte `offset` of a file.
pub(super) fn spot_of(file_number: u32, offset: u64) -> Spot {
    Spot(file_number.into(), offset)
}

/// The app's words on a record. Of many lines in one record none can be blamed: the next attempt goes line by line.
#[cold]
pub(super) fn failure_at(text: &str, unit: Unit, record: Record<'_>, care: Option<&Care>) -> Failure {
    let unit = if unit == Unit::Blocks && care.is_some() { Unit::Lines } else { unit };
    let why = super::map::at_record(text, unit, record);
    match unit {
        Unit::Blocks => Failure::App(why),
        Unit::Lines | Unit::Files => {
            let place = Place::Record { file: record.file.to_owned(), offset: record.offset };
            Failure::Record(BadRecord { spot: spot_of(record.file_number, record.offset), place, why })
        }
    }
}

/// A key as it is shown.
pub(super) fn show_key(key: &[u8]) -> String {
    let (shown, dots) = if key.len() > KEY_SHOWN { (&key[..KEY_SHOWN], "…") } else { (key, "") };
    format!("{}{dots}", shown.escape_ascii())
}

/// A key's place.
pub(super) fn place_of(key: &[u8]) -> Place {
    Place::Key { key: show_key(key) }
}
