//! The data that counts: shuffle files, output attempts, outputs, and the counters that sum them up.

use std::io;

use super::Inspection;
use crate::data::{Counters, Ran};
use crate::each::segment::Reader;
use crate::eyes::{is_segment_name, is_shuffle_name, output_number};
use crate::ids::{Block, ClaimName, TaskId};
use crate::job::end::OutputSum;
use crate::job::layout::{self, OUTPUT, PHASE_CLEANED, PHASE_END, SHUFFLE, State};
use crate::job::snapshot::TaskView;

impl Inspection<'_> {
    /// The shuffle files of the map attempts that count.
    pub(super) fn check_shuffle(&mut self) {
        if self.snapshot.phases.cleaned {
            self.report.note(PHASE_CLEANED, "shuffle data and output attempts were removed by `flockwork clean`; they are not checked");
            return;
        }
        if self.spec.ask.is_map_only() {
            return; // What its maps made are the outputs.
        }
        for claim in self.counting.clone() {
            let Some(made) = self.made.get(&claim) else { continue };
            for file in made.files.clone() {
                // A record that was edited must not lead elsewhere.
                if is_shuffle_name(&file.name) && file.name.starts_with(&claim.to_string()) {
                    self.check_file(&format!("{SHUFFLE}/{}", file.name), (file.len, file.crc32), &claim);
                } else {
                    self.report.fault(layout::held(State::Done, &claim), format!("names {}, which is no file of its own", file.name));
                }
            }
        }
    }

    /// What the commands that count wrote: their stretches of the segments.
    pub(super) fn check_segments(&mut self) {
        let ran = self.counting.iter().filter_map(|claim| Some((claim.clone(), self.made.get(claim)?.ran.clone()?)));
        for (claim, ran) in ran.collect::<Vec<_>>() {
            self.check_stretches(&claim, &ran);
        }
    }

    /// What one command wrote.
    pub(super) fn check_stretches(&mut self, claim: &ClaimName, ran: &Ran) {
        if ran.out.is_empty() && ran.err.is_empty() {
            return;
        }
        let path = layout::segment(&claim.worker);
        let read = Reader::open(&self.root.join(&path)).and_then(|reader| {
            ran.out.iter().chain(&ran.err).try_for_each(|stretch| reader.copy(*stretch, &mut io::sink()))?;
            Ok(crate::data::bytes_of(&ran.out).saturating_add(crate::data::bytes_of(&ran.err)))
        });
        match read {
            Ok(bytes) => self.report.bytes += bytes,
            Err(error) => self.report.fault(path, format!("does not hold what {claim} wrote: {error}")),
        }
    }

    /// The outputs that the end names; before it, the attempts that may become outputs. And that nothing else looks like an output.
    pub(super) fn check_outputs(&mut self) -> io::Result<()> {
        match self.finished().map(|end| end.outputs.clone()) {
            Some(outputs) => {
                if outputs.len() != self.n_makers() as usize {
                    let what = format!("names {} outputs, and the job has {}", outputs.len(), self.n_makers());
                    self.report.fault(PHASE_END, what);
                }
                for (partition, output) in (0..).zip(&outputs) {
                    self.check_output(partition, output);
                }
            }
            None if !self.snapshot.phases.cleaned => self.check_attempts(),
            None => {}
        }
        self.check_output_names()
    }

    /// The tasks of the last phase, which make the outputs; of commands, none does.
    fn n_makers(&self) -> u32 {
        let ask = &self.spec.ask;
        if ask.is_map_only() && !ask.is_of_commands() { self.snapshot.n_maps() } else { ask.reduces }
    }

    fn view_of_maker(&self, partition: u32) -> Option<&TaskView> {
        self.snapshot.view(Block::one(self.maker(partition))).filter(|_| partition < self.n_makers())
    }

    fn maker(&self, partition: u32) -> TaskId {
        if self.spec.ask.is_map_only() { TaskId::map(partition) } else { TaskId::reduce(partition) }
    }

    fn check_output(&mut self, partition: u32, output: &OutputSum) {
        let claim = output.attempt.parse::<ClaimName>().ok().filter(|claim| claim.attempt.task == self.maker(partition));
        let Some(claim) = claim.filter(|_| output.file == layout::output_name(partition)) else {
            return self.report.fault(PHASE_END, format!("names {} of {} as output {partition}", output.file, output.attempt));
        };
        let done = self.view_of_maker(partition).is_some_and(|view| view.done.contains(&claim));
        match self.made.get(&claim).and_then(|made| made.files.first()) {
            Some(file) if (file.len, file.crc32) == (output.len, output.crc32) => {}
            Some(_) => self.report.fault(layout::held(State::Done, &claim), "says another length or checksum than phase/end does"),
            None if done => {} // Hollow, and said so.
            None => self.report.fault(PHASE_END, format!("counts {claim}, which does not lie in done/")),
        }
        let path = format!("{}/{}", self.spec.ask.output, output.file);
        self.check_file(&path, (output.len, output.crc32), &claim);
        let attempt = layout::attempt_output(&self.spec.ask.output, &claim);
        match (self.inode(&path), self.inode(&attempt)) {
            (Some(published), Some(made)) if published != made => {
                self.report.fault(path, format!("is not the file that {claim} made (no link of it)"));
            }
            (Some(_), None) if !self.snapshot.phases.cleaned => self.report.fault(attempt, "is missing"),
            _ => {}
        }
    }

    /// Before a good end, the first good attempt of every reduce task will count.
    fn check_attempts(&mut self) {
        let views = (0..self.n_makers()).filter_map(|partition| self.view_of_maker(partition));
        let first: Vec<_> = views.filter_map(|view| view.done.iter().find(|claim| self.made.contains_key(claim)).cloned()).collect();
        for claim in first {
            if let Some(file) = self.made.get(&claim).and_then(|made| made.files.first().cloned()) {
                self.check_file(&layout::attempt_output(&self.spec.ask.output, &claim), (file.len, file.crc32), &claim);
            }
        }
    }

    fn check_output_names(&mut self) -> io::Result<()> {
        let dir = self.spec.ask.output.clone();
        for entry in self.disk.list(&dir)? {
            let path = format!("{dir}/{}", entry.name);
            match output_number(&entry.name) {
                Some(partition) => self.check_published(&path, &entry.name, partition),
                // What else lies in a directory that the user chose is the user's.
                None if dir == OUTPUT && is_segment_name(&entry.name) => {}
                None if dir == OUTPUT => self.report.note(path, "is not flockwork's; it is left alone"),
                None => {}
            }
        }
        Ok(())
    }

    fn check_published(&mut self, path: &str, name: &str, partition: u32) {
        if let Some(end) = self.finished() {
            if !end.outputs.iter().any(|output| output.file == name) {
                self.report.fault(path, "bears an output's name, and phase/end does not name it");
            }
            return;
        }
        if self.snapshot.phases.cleaned {
            return;
        }
        // Published just before an end that is not decided yet, or was a bad one.
        let inode = self.inode(path);
        let done = self.view_of_maker(partition).map_or(&[][..], |view| &view.done);
        let ours = done.iter().any(|claim| self.inode(&layout::attempt_output(&self.spec.ask.output, claim)) == inode);
        if !ours && !self.is_ended_meanwhile() {
            self.report.fault(path, "bears an output's name, and no attempt in done/ made it");
        }
    }

    fn is_ended_meanwhile(&self) -> bool {
        self.end.is_none() && self.is_there(PHASE_END).unwrap_or(true)
    }

    /// The end's counters are the sums over the attempts that count.
    pub(super) fn check_counters(&mut self) {
        // Which replacement was counted is not written down.
        let Some(end) = self.finished().filter(|_| self.replaced.is_empty()) else { return };
        let makers = end.outputs.iter().filter_map(|output| output.attempt.parse::<ClaimName>().ok());
        // Where the maps made the outputs, they are told already.
        let maps = self.counting.iter().filter(|_| !self.spec.ask.is_map_only()).cloned();
        let claims: Vec<ClaimName> = maps.chain(makers).collect();
        let mut sums = Counters::new();
        for claim in &claims {
            let Some(made) = self.made.get(claim) else { return };
            for (name, n) in &made.counters {
                let sum = sums.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*n);
            }
        }
        let wrong = end.counters != sums;
        if wrong {
            self.report.fault(PHASE_END, "its counters are not the sums of those in done/");
        }
    }
}
