//! The findings of one examination, as text for people and as JSON for programs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::facts::Facts;
use super::verdict::{self, Finding, Verdict};
use crate::here;
use crate::units::{for_shell, show_time};

/// One examination. As JSON its fields stay under `"version": 1`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    version: u32,
    dir: String,
    host: String,
    peer: Option<String>,
    can_run: bool,
    seconds: f64,
    findings: Vec<Finding>,
    figures: Facts,
}

impl Report {
    /// The report on `dir`.
    pub fn new(dir: &Path, facts: Facts, took: Duration) -> Report {
        let findings = verdict::findings(&facts);
        Report {
            version: 1,
            dir: dir.display().to_string(),
            host: here::host(),
            peer: facts.pair.as_ref().map(|pair| pair.peer.host.clone()),
            can_run: findings.iter().all(|finding| finding.verdict != Verdict::Impossible),
            seconds: took.as_secs_f64(),
            findings,
            figures: facts,
        }
    }

    /// False where flockwork cannot work.
    pub fn can_run(&self) -> bool {
        self.can_run
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("string keys only")
    }

    /// For people.
    pub fn text(&self) -> String {
        let with = self.peer.as_ref().map_or_else(|| "alone".to_owned(), |peer| format!("with {peer}"));
        let mut text =
            format!("{} examined by {}, {with}, in {}\n\n", self.dir, self.host, show_time(Duration::from_secs_f64(self.seconds)));
        for finding in &self.findings {
            let _ = writeln!(text, "{:<14} {}: {}", finding.verdict.words(), finding.name, finding.measured);
            let _ = writeln!(text, "{:<14}   {}", "", finding.relies);
            if let Some(advice) = &finding.advice {
                let _ = writeln!(text, "{:<14}   -> {advice}", "");
            }
        }
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (slower, careful, no) = (count(Verdict::Slower), count(Verdict::Careful), count(Verdict::Impossible));
        let _ = match (no, slower + careful) {
            (0, 0) => writeln!(text, "\nflockwork works here."),
            (0, _) => writeln!(text, "\nflockwork works here{}.", aside(slower, careful)),
            _ => writeln!(text, "\nflockwork cannot work here: see `cannot work` above."),
        };
        if self.peer.is_none() {
            let again = format!("run `flockwork doctor {} --peer` on a second one, then this again", for_shell(Path::new(&self.dir)));
            let _ = writeln!(text, "What two machines do to each other was not seen: {again}.");
        }
        text
    }
}

/// What else the last line says: only what there is.
fn aside(slower: usize, careful: usize) -> String {
    let slower = (slower > 0).then(|| format!("slower for {slower} of these"));
    let careful = (careful > 0).then(|| format!("{careful} of these {} care", if careful == 1 { "wants" } else { "want" }));
    slower.into_iter().chain(careful).map(|part| format!("; {part}")).collect()
}
