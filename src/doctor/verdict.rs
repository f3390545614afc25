//! From figures to findings: what each means for flockwork, and what would help. Pure.

use serde::Serialize;

use super::facts::Facts;
use super::mounts;

mod locks;
mod one;
mod two;

/// How a figure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Results are right, but later.
    Slower,
    /// Something to know, or to do something about.
    Careful,
    /// For information.
    Note,
    /// flockwork cannot work here.
    Impossible,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Slower => "works, slower",
            Verdict::Careful => "careful",
            Verdict::Note => "note",
            Verdict::Impossible => "cannot work",
        }
    }
}

/// One thing found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which; stable.
    pub name: String,
    /// How it is judged.
    pub verdict: Verdict,
    /// What was measured.
    pub measured: String,
    /// What flockwork relies on here.
    pub relies: String,
    /// What would help.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn new(name: impl Into<String>, verdict: Verdict, measured: impl Into<String>, relies: impl Into<String>) -> Finding {
        Finding { name: name.into(), verdict, measured: measured.into(), relies: relies.into(), advice: None }
    }

    /// The same, found on the other machine.
    pub(super) fn there(mut self) -> Finding {
        self.name += " there";
        self
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Finding {
        self.advice = Some(advice.into());
        self
    }
}

/// All findings, in the order they are told. What is so on the other machine bears ` there` at the end of its name.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = mounts::findings(&facts.mount, None);
    all.extend(one::findings(&facts.alone));
    all.push(match &facts.pair {
        None => locks::alone(facts),
        Some(pair) => locks::between(pair, facts.alone.locks),
    });
    if let Some(pair) = &facts.pair {
        if !mounts::are_alike(&pair.peer.mount, &facts.mount) {
            all.extend(mounts::findings(&pair.peer.mount, Some(&pair.peer.host)).into_iter().map(Finding::there));
        }
        all.extend(two::findings(pair, facts.alone.touch.offset_ms));
    }
    if let Some(why) = &facts.peer_lost {
        let relies = "nothing is known of what two machines do to each other here";
        all.push(Finding::new("second machine", Verdict::Careful, why.clone(), relies).advise("run it again with both"));
    }
    all.push(lost_replies());
    all
}

fn lost_replies() -> Finding {
    let measured = "not provoked: a server must restart at the wrong moment";
    let relies = "after `no such file` from a rename, or `exists` from a link, the name that only this caller makes is looked for before it counts as lost";
    Finding::new("lost replies", Verdict::Note, measured, relies)
}

pub(super) fn show_us(us: u64) -> String {
    show_ms(us as f64 / 1000.0)
}

pub(super) fn show_ms(ms: f64) -> String {
    match ms {
        _ if ms < 1.0 => format!("{:.0} us", ms * 1000.0),
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}
