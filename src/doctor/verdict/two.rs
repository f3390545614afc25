//! What two machines have found out together.

use super::one::{ahead, race};
use super::{Finding, Verdict, show_ms};
use crate::doctor::facts::{Pair, Sight};

pub fn findings(pair: &Pair, offset_ms: f64) -> Vec<Finding> {
    let host = &pair.peer.host;
    let mut all = Vec::new();
    if pair.same_machine {
        let measured = "both doctors ran on this machine";
        all.push(
            Finding::new("second machine", Verdict::Careful, measured, "nothing below says anything about two machines")
                .advise("run the one with --peer on another machine"),
        );
    }
    let both = format!("this machine and {host}");
    all.push(race("rename between", &pair.rename, &both, "a claim has one winner, whichever machines want it"));
    all.push(race("link between", &pair.link, &both, "what is created once is created once for all machines"));
    all.extend(of_sight(&pair.here, "here"));
    all.extend(of_sight(&pair.there, &format!("on {host}")).map(Finding::there));
    all.push(notify(pair));
    let between = pair.peer.offset_ms - offset_ms;
    let measured = format!("this machine's clock is about {} that of {host}", ahead(between));
    all.push(Finding::new("clocks", Verdict::Note, measured, "nothing: no clock is ever compared with another"));
    if pair.peer.version != env!("CARGO_PKG_VERSION") {
        let measured = format!("{host} has flockwork {}, this machine {}", pair.peer.version, env!("CARGO_PKG_VERSION"));
        all.push(
            Finding::new("versions", Verdict::Careful, measured, "all processes of a job read and write one format")
                .advise("install the same on all"),
        );
    }
    all
}

fn of_sight(sight: &Sight, who: &str) -> impl Iterator<Item = Finding> + use<> {
    [new_names(sight, who), bursts(sight, who), beats(sight, who)].into_iter()
}

fn new_names(sight: &Sight, who: &str) -> Finding {
    let lag = |ms: Option<f64>, limit: &str| ms.map_or_else(|| format!("not within {limit}"), show_ms);
    let measured = format!(
        "the other's new name is seen {who} after {} (after a touch of the folder), {} (by listing alone), {} (by asking for the name)",
        lag(sight.sure_ms, "5 s"),
        lag(sight.plain_ms, "5 s"),
        lag(sight.stat_ms, "3 s"),
    );
    let relies = "fresh listings to find work, and a touch before what rests on absence; names are never asked for";
    match (sight.sure_ms, sight.plain_ms) {
        (Some(sure), Some(plain)) if sure < 1000.0 && plain < 1000.0 => Finding::new("listing", Verdict::Good, measured, relies),
        (Some(sure), _) if sure < 1000.0 => Finding::new("listing", Verdict::Slower, measured, relies)
            .advise("work is found late by so much: vers=4.2 instead of vers=3, and no nocto; acdirmin=1,acdirmax=1 helps a little (noac is not needed)"),
        _ => Finding::new("listing", Verdict::Careful, measured, relies)
            .advise("even a touched folder is listed late: tasks start late and may be tried twice; look for a caching layer (FUSE, object store)"),
    }
}

fn bursts(sight: &Sight, who: &str) -> Finding {
    let measured = format!(
        "after {} bursts of new names, a listing {who} lacked some for good {} times, after a touch of the folder {} times",
        sight.bursts, sight.wrong_plain, sight.wrong_sure
    );
    let relies = "what rests on absence is decided after a touch of the folder";
    match (sight.wrong_plain, sight.wrong_sure) {
        (0, 0) => Finding::new("bursts", Verdict::Good, measured, relies),
        (_, 0) => Finding::new("bursts", Verdict::Slower, measured, relies)
            .advise("two changes within one tick of the server's clock look like one: vers=4.2 instead of vers=3 cures it"),
        _ => Finding::new("bursts", Verdict::Careful, measured, relies)
            .advise("tasks may be tried twice, and wait; use vers=4.2, or another file system on the server"),
    }
}

fn beats(sight: &Sight, who: &str) -> Finding {
    let measured = format!(
        "the other's heartbeat is seen {who} late by {} at worst within 5 s (asking the server), {} (opening the file), {} (plain stat)",
        show_ms(sight.beat_forced_ms),
        show_ms(sight.beat_open_ms),
        show_ms(sight.beat_plain_ms)
    );
    let relies = "looks that ask the server; a claim whose stamp has not changed for a lease is taken back";
    match sight.beat_forced_ms {
        ms if ms < 1000.0 => Finding::new("heartbeat", Verdict::Good, measured, relies),
        ms if ms < 4000.0 => Finding::new("heartbeat", Verdict::Slower, measured, relies)
            .advise("on an idle pair of machines this says that the mount answers from a cache; leases of 10 s still hold"),
        ms => Finding::new("heartbeat", Verdict::Careful, measured, relies)
            .advise(format!("use --lease {}s, or live workers will be taken for dead; NFS: acregmax=1", (ms / 1000.0 * 3.0).ceil())),
    }
}

fn notify(pair: &Pair) -> Finding {
    let relies = "events on local disks only; on a network mount folders are listed about once a second";
    let measured = match (pair.here.notified, pair.there.notified) {
        (true, true) => "events tell of the other's new names",
        (false, false) => "no event tells of the other's new names",
        _ => "events tell only one of the two of the other's new names",
    };
    Finding::new("notification", Verdict::Note, measured, relies)
}
