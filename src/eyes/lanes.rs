//! Attempts to lanes: one lane per slot. Pure.
//!
//! A slot's process that died is followed by another under a new name: a worker that began when another of its host was over takes that one's lane. What was lost is drawn until
//! it was taken back, but no farther than the next attempt in its lane.

use std::collections::BTreeMap;

use super::history::{Attempt, Fate, History};
use crate::job::record::Ended;

/// One slot's attempts.
#[derive(Debug, Clone)]
pub(super) struct Lane<'a> {
    pub host: &'a str,
    /// In the order of their begin.
    pub bars: Vec<Bar<'a>>,
}

/// One attempt in its lane; milliseconds since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar<'a> {
    pub attempt: &'a Attempt,
    pub from: i64,
    pub to: i64,
}

/// The lanes, by host.
pub(super) fn pack(history: &History) -> Vec<Lane<'_>> {
    let start = history.start();
    let mut hosts: BTreeMap<&str, Vec<(i64, Lane<'_>)>> = BTreeMap::new();
    let by_worker = history.by_worker();
    let mut workers: Vec<(&str, Vec<Bar<'_>>)> = by_worker
        .iter()
        .map(|(name, attempts)| (name.host(), attempts.iter().filter_map(|attempt| bar(attempt, start, history.now)).collect()))
        .filter(|(_, bars): &(&str, Vec<Bar<'_>>)| !bars.is_empty())
        .collect();
    workers.sort_by_key(|(host, bars)| (*host, bars[0].from));
    for (host, bars) in workers {
        let (from, to) = (bars[0].from, bars.iter().map(busy_until).max().unwrap_or_default());
        let lanes = hosts.entry(host).or_default();
        match lanes.iter_mut().find(|(free, _)| *free <= from) {
            Some((free, lane)) => {
                *free = to;
                lane.bars.extend(bars);
            }
            None => lanes.push((to, Lane { host, bars })),
        }
    }
    let mut all: Vec<Lane<'_>> = hosts.into_values().flatten().map(|(_, lane)| lane).collect();
    all.iter_mut().for_each(clip);
    if history.end.is_none() {
        // Slots that are there and had nothing to do so far.
        let idle = history.registered.iter().filter(|name| !by_worker.contains_key(name));
        all.extend(idle.map(|name| Lane { host: name.host(), bars: Vec::new() }));
        all.sort_by(|a, b| a.host.cmp(b.host));
    }
    all
}

/// `None` where nobody wrote when it was.
fn bar(attempt: &Attempt, start: i64, now: i64) -> Option<Bar<'_>> {
    let from = attempt.begun?;
    let to = match attempt.fate {
        Fate::Running => now,
        Fate::Done | Fate::Failed | Fate::Ended(_) => attempt.ended.unwrap_or(from),
    };
    Some(Bar { attempt, from: from - start, to: to.max(from) - start })
}

/// Whoever lost its claim may have died at once.
fn busy_until(bar: &Bar<'_>) -> i64 {
    match bar.attempt.fate {
        Fate::Ended(Ended::Lost | Ended::Dropped) => bar.from,
        Fate::Done | Fate::Failed | Fate::Running | Fate::Ended(Ended::GivenBack | Ended::Retracted) => bar.to,
    }
}

fn clip(lane: &mut Lane<'_>) {
    lane.bars.sort_by_key(|bar| (bar.from, bar.to));
    for at in 1..lane.bars.len() {
        let next = lane.bars[at].from;
        let before = &mut lane.bars[at - 1];
        before.to = before.to.min(next).max(before.from);
    }
}
