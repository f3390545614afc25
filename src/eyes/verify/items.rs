//! The items of a job of commands: that they are those it was made of.

use super::Inspection;
use crate::disk::rename::is_gone;
use crate::each::orders::{self, Orders, SUM};
use crate::job::layout::{ITEMS, JOB_JSON};

impl Inspection<'_> {
    /// Compares `items` with its sum in `job.json`, in two reads.
    pub(super) fn check_items(&mut self) {
        if !self.spec.ask.is_of_commands() {
            return;
        }
        let form = match Orders::of(&self.spec.ask) {
            Ok(orders) => orders.form,
            Err(error) => return self.report.fault(JOB_JSON, error.to_string()),
        };
        let asked = self.spec.ask.options.get(SUM);
        let mut wrong = String::new();
        for _fresh in 0..2 {
            wrong = match orders::sum_of_file(&self.root.join(ITEMS), form) {
                Ok(found) if asked == Some(&found) => return,
                Ok(found) => format!("has {found}, not {}: its content was changed", asked.map_or("what job.json says", String::as_str)),
                Err(error) if is_gone(&error) => "is missing".to_owned(),
                Err(error) => format!("cannot be read: {error}"),
            };
            // An answer from a cache is no evidence.
            let _ = self.disk.refresh(".");
        }
        self.report.fault(ITEMS, wrong);
    }
}
