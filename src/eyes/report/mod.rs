//! A job as one page of HTML that needs nothing else: no server, no other file, no script to be read. It prints, and is light or dark as its reader likes.
//!
//! Everything that was read in the job's directory is data (`markup.rs`); a policy in the page forbids it to load anything, and runs no script but the page's own, which only
//! sorts tables. Size: about 100 KiB, and at most some 600 KiB for any number of tasks; lists are cut, and say so.

use std::fmt::Write;
use std::path::Path;

use super::detail;
use super::digest::Digest;
use super::history::History;
use super::lanes;
use crate::disk::Disk;
use crate::error::Result;
use crate::here;
use crate::job::snapshot::Shape;
use crate::job::spec::Spec;
use crate::units::{show_ms, show_size, show_time};

pub(crate) mod markup;
mod tables;
#[cfg(test)]
mod tests;
mod timeline;

use markup::{grouped, several, text, time};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A look at a job, ready to be told.
pub struct Report {
    history: History,
    spec: Spec,
    /// In numbers.
    pub digest: Digest,
}

impl Report {
    /// Looks at the job `spec` at `root`; see [`History`] for what that costs.
    pub fn look(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Option<Shape>) -> Result<Report> {
        let history = History::look(disk, root, spec, shape)?;
        let slots = lanes::pack(&history).len();
        let full = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let mut digest = Digest::of(&full.display().to_string(), spec, &history, slots);
        detail::fill(&mut digest, disk, root, spec, &history);
        Ok(Report { history, spec: spec.clone(), digest })
    }

    /// The page.
    pub fn html(&self) -> String {
        let lanes = lanes::pack(&self.history);
        let nonce = here::nonce(20);
        let digest = &self.digest;
        let mut out = String::with_capacity(1 << 17);
        let _ = writeln!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n\
             <title>{}: {}</title>\n<style>{STYLE}</style></head><body><main>",
            text(&name_of(&digest.job)),
            digest.verdict
        );
        self.head(&mut out);
        self.figures(&mut out);
        if digest.trouble_count > 0 && digest.verdict == "failed" {
            tables::troubles(&mut out, digest);
        }
        out.push_str("<section id=\"timeline\"><h2>Timeline</h2>\n");
        timeline::write(&mut out, &self.history, &lanes);
        out.push_str("</section>\n");
        tables::phases(&mut out, digest);
        tables::slowest(&mut out, digest);
        tables::partitions(&mut out, digest);
        tables::heavy_keys(&mut out, digest);
        if digest.verdict != "failed" {
            tables::troubles(&mut out, digest);
        }
        tables::workers(&mut out, digest, &lanes);
        tables::counters(&mut out, digest);
        tables::incidents(&mut out, digest);
        self.facts(&mut out);
        let _ = writeln!(out, "</main><script nonce=\"{nonce}\">{SCRIPT}</script></body></html>");
        out
    }

    fn head(&self, out: &mut String) {
        let digest = &self.digest;
        let _ = writeln!(
            out,
            "<header><p class=\"kind\">{} job</p><h1>{} <span class=\"verdict {verdict}\">{verdict}</span></h1><p class=\"where\">{}</p><p class=\"lead\">{}</p>",
            text(&digest.app),
            text(&name_of(&digest.job)),
            text(&digest.job),
            text(&self.sentence()),
            verdict = digest.verdict,
        );
        if let Some(error) = &digest.error {
            let _ = writeln!(out, "<pre class=\"why\">{}</pre>", text(error));
        }
        out.push_str("</header>\n");
    }

    /// What there is to say in one breath.
    fn sentence(&self) -> String {
        let digest = &self.digest;
        let phases: Vec<String> = digest
            .phases
            .iter()
            .map(|phase| match digest.verdict {
                "finished" => several(phase.tasks, &format!("{} task", phase.phase)).into_owned(),
                _ => format!("{} of {}", grouped(phase.tasks_done as u64), several(phase.tasks, &format!("{} task", phase.phase))),
            })
            .collect();
        let hosts = digest.workers.iter().map(|worker| &worker.host).collect::<std::collections::BTreeSet<_>>().len();
        let on = match digest.slots {
            0 => "nobody has worked on it so far".to_owned(),
            slots => format!("on {} of {}", several(slots, "slot"), several(hosts, "host")),
        };
        let sum = |of: fn(&super::digest::Counts) -> usize| digest.phases.iter().map(|phase| of(&phase.counts)).sum::<usize>();
        let (failed, lost) = (sum(|counts| counts.failed), sum(|counts| counts.lost));
        let wrong = match (failed, lost) {
            (0, 0) => "no attempt was lost or failed".to_owned(),
            (failed, 0) => format!("{} failed, none was lost", several(failed, "attempt")),
            (0, lost) => format!("{} lost or retracted, none failed", several(lost, "attempt")),
            (failed, lost) => format!("{} failed, {} lost or retracted", several(failed, "attempt"), grouped(lost as u64)),
        };
        let bundles = if digest.bundles > 0 { " Map tasks share files: each such bundle counts as one attempt below." } else { "" };
        format!("{} {on}; {wrong}.{bundles}", phases.join(" and "))
    }

    fn figures(&self, out: &mut String) {
        let digest = &self.digest;
        let counter = |name: &str| digest.counters.get(name).copied();
        let mut figures: Vec<(String, &str)> =
            vec![(time(digest.wall_ms), if self.history.end.is_some() { "from its plan to the end" } else { "since it was planned" })];
        figures.push((time(digest.busy_ms), "work, all attempts together"));
        if digest.wall_ms > 0 && digest.slots > 0 {
            figures.push((format!("{:.0} %", digest.share_busy * 100.0), "of the slots’ time was worked"));
        }
        figures.extend(counter("bytes in").map(|n| (show_size(n), "input")));
        figures.extend(counter("records in").map(|n| (grouped(n), "records")));
        figures.extend(counter("shuffle bytes").map(|n| (show_size(n), "shuffled")));
        if digest.output_bytes > 0 {
            figures.push((show_size(digest.output_bytes), "output"));
        }
        out.push_str("<dl class=\"figures\">");
        for (value, words) in figures {
            let _ = write!(out, "<div><dd>{}</dd><dt>{words}</dt></div>", text(&value));
        }
        out.push_str("</dl>\n");
    }

    /// The job's own facts, and how far this page can be believed.
    fn facts(&self, out: &mut String) {
        let (digest, ask) = (&self.digest, &self.spec.ask);
        let mut facts: Vec<(&str, String)> = vec![
            ("job", digest.id.clone()),
            ("submitted", digest.submitted.clone()),
            ("from", self.spec.cwd.clone()),
            ("inputs", cut_list(&ask.inputs)),
        ];
        if let Some(end) = &self.history.end {
            facts.push(("ended", end.at.clone()));
        }
        facts.extend(ask.options.iter().map(|(key, value)| ("option", format!("{key}={value}"))));
        facts.push(("lease", show_time(ask.lease())));
        facts.push(("limits", format!("{} of one task, or {} times lost", several(ask.max_errors as usize, "error"), ask.max_lost)));
        facts.push(("looked at", show_ms(self.history.now)));
        out.push_str("<section id=\"facts\"><h2>This job, and this page</h2>\n<dl class=\"facts\">");
        for (name, value) in facts {
            let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", text(&value));
        }
        out.push_str("</dl>\n");
        let _ = writeln!(out, "<p class=\"note\">{} Made by flockwork {}.</p></section>", text(&self.belief()), env!("CARGO_PKG_VERSION"));
    }

    fn belief(&self) -> String {
        let digest = &self.digest;
        let mut said = vec![match digest.clock {
            "server" if digest.clocks_off_ms.is_empty() => {
                "Times are by the file server’s clock, with which those of all machines agree within 0.1 s.".to_owned()
            }
            "server" => format!(
                "Times are by the file server’s clock; that of {} is off, and was put right by what the server stamped.",
                cut_list(&digest.clocks_off_ms.keys().cloned().collect::<Vec<_>>())
            ),
            _ => "Times are by the clock of whoever wrote them; machines may differ.".to_owned(),
        }];
        if digest.records_read < digest.records {
            said.push(format!(
                "{} of {} records were read: sums of bytes and records beside the job’s own, and details of tasks, are of those.",
                grouped(digest.records_read as u64),
                grouped(digest.records as u64)
            ));
        }
        if digest.logs_cut > 0 {
            said.push(format!("{} not read to their end.", several(digest.logs_cut, "event log")));
        }
        said.join(" ")
    }
}

/// What its user calls it: the last part of its path.
fn name_of(job: &str) -> String {
    Path::new(job).file_name().map_or_else(|| job.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn cut_list(all: &[String]) -> String {
    const MOST: usize = 6;
    let mut shown = all.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > MOST {
        let _ = write!(shown, " and {} more", all.len() - MOST);
    }
    shown
}
