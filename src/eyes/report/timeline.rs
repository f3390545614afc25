//! The timeline: all slots' lanes as one drawing that is stretched to the page's width; words stand beside it, and so keep their size.
//!
//! Up to [`BARS_MAX`] attempts each has a bar of its own with a title. Of more, each lane shows how much of each moment was worked, and what went wrong still has a bar of its own.
//! Up to [`LANES_MAX`] lanes are slots; of more, each is a host. Sizes are bounded so: about 300 KiB for any number of tasks.

use std::fmt::Write;

use super::markup::{grouped, several, text, time};
use crate::eyes::history::{Fate, History};
use crate::eyes::lanes::{Bar, Lane};
use crate::ids::Phase;
use crate::job::record::Ended;

/// Width of the drawing, in its own units; it is stretched.
pub(super) const WIDTH: f64 = 1000.0;
/// Steps in which moments are told apart, where bars would be too many.
pub(super) const BINS: usize = 500;
/// Most attempts with a bar of their own.
const BARS_MAX: usize = 1500;
/// Most bars of attempts that went wrong, where the others have none.
const WRONG_MAX: usize = 600;
/// Most lanes.
const LANES_MAX: usize = 96;
/// Lanes up to this number are drawn high.
const ROOMY: usize = 40;
/// The least width of a bar.
const BAR_MIN: f64 = 1.2;
/// From this width on a bar has a gap to its neighbours.
const GAP_FROM: f64 = 4.0;
/// Height of the strip that says how many slots were at work.
const STRIP: f64 = 44.0;

/// One row of the drawing.
struct Row<'a> {
    host: &'a str,
    slots: usize,
    bars: Vec<Bar<'a>>,
}

/// Writes the timeline.
pub(super) fn write(out: &mut String, history: &History, lanes: &[Lane<'_>]) {
    let wall = (history.now - history.start()).max(1) as f64;
    let scale = Scale { wall };
    let bars: usize = lanes.iter().map(|lane| lane.bars.len()).sum();
    let untimed = match history.read.untimed {
        0 => None,
        n => Some(format!("{} of which nobody wrote when they were are not drawn.", several(n, "attempt"))),
    };
    if bars == 0 && lanes.is_empty() {
        let words = untimed.unwrap_or_else(|| "No attempt has begun so far.".to_owned());
        let _ = writeln!(out, "<p class=\"none\">{words}</p>");
        return;
    }
    let (rows, unshown) = rows(lanes);
    let is_dense = bars > BARS_MAX || rows.iter().any(|row| row.slots > 1);
    legend(out, history, is_dense);
    out.push_str("<figure class=\"time\" role=\"group\" aria-label=\"Timeline of all slots\">\n");
    phase_band(out, history, &scale);
    strip(out, lanes, &scale);
    drawing(out, history, &rows, is_dense, &scale);
    axis(out, wall);
    out.push_str("</figure>\n");
    let mut notes = Vec::new();
    if rows.iter().any(|row| row.slots > 1) {
        notes.push(format!("Each lane is a host: {} on {}.", several(lanes.len(), "slot"), several(hosts(lanes), "host")));
    }
    if unshown > 0 {
        notes.push(format!("{} more are not drawn.", several(unshown, "host")));
    }
    if is_dense {
        notes.push(format!("{} attempts: the height of a lane is the share of each moment that was worked.", grouped(bars as u64)));
    }
    notes.extend(untimed);
    if !notes.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", text(&notes.join(" ")));
    }
}

/// Milliseconds to the drawing's units.
struct Scale {
    wall: f64,
}

impl Scale {
    fn x(&self, ms: i64) -> f64 {
        (ms as f64 / self.wall * WIDTH).clamp(0.0, WIDTH)
    }
}

fn hosts(lanes: &[Lane<'_>]) -> usize {
    lanes.chunk_by(|a, b| a.host == b.host).count()
}

/// A row per slot, or where they are too many per host; and how many hosts have none.
fn rows<'a>(lanes: &[Lane<'a>]) -> (Vec<Row<'a>>, usize) {
    if lanes.len() <= LANES_MAX {
        return (lanes.iter().map(|lane| Row { host: lane.host, slots: 1, bars: lane.bars.clone() }).collect(), 0);
    }
    let by_host = lanes.chunk_by(|a, b| a.host == b.host).map(|of| Row {
        host: of[0].host,
        slots: of.len(),
        bars: of.iter().flat_map(|lane| lane.bars.iter().copied()).collect(),
    });
    let mut rows: Vec<Row<'a>> = by_host.collect();
    let unshown = rows.len().saturating_sub(LANES_MAX);
    rows.truncate(LANES_MAX);
    (rows, unshown)
}

/// The class of a bar: what colour it has.
fn class(bar: &Bar<'_>) -> &'static str {
    match (bar.attempt.fate, bar.attempt.name.attempt.task.phase) {
        (Fate::Done, Phase::Map) => "m",
        (Fate::Done, Phase::Reduce) => "r",
        (Fate::Running, Phase::Map) => "m go",
        (Fate::Running, Phase::Reduce) => "r go",
        (Fate::Failed, _) => "f",
        (Fate::Ended(Ended::Lost | Ended::Retracted), _) => "l",
        (Fate::Ended(Ended::GivenBack | Ended::Dropped), _) => "o",
    }
}

fn legend(out: &mut String, history: &History, is_dense: bool) {
    let count = |which: &dyn Fn(Fate, Phase) -> bool| {
        history.attempts.iter().filter(|attempt| which(attempt.fate, attempt.name.attempt.task.phase)).count()
    };
    let kinds: [(&str, &str, usize); 7] = [
        ("m", "map", count(&|fate, phase| fate == Fate::Done && phase == Phase::Map)),
        ("r", "reduce", count(&|fate, phase| fate == Fate::Done && phase == Phase::Reduce)),
        ("m go", "running", count(&|fate, _| fate == Fate::Running)),
        ("f", "failed", count(&|fate, _| fate == Fate::Failed)),
        ("l", "lost", count(&|fate, _| matches!(fate, Fate::Ended(Ended::Lost | Ended::Retracted)))),
        ("o", "dropped or given back", count(&|fate, _| matches!(fate, Fate::Ended(Ended::Dropped | Ended::GivenBack)))),
        ("k", "backup", history.attempts.iter().filter(|attempt| attempt.backup).count()),
    ];
    out.push_str("<ul class=\"legend\">");
    for (class, word, n) in kinds.iter().filter(|(class, _, n)| *n > 0 && !(is_dense && *class == "k")) {
        let _ = write!(out, "<li><i class=\"{class}\"></i>{word} <b>{}</b></li>", grouped(*n as u64));
    }
    out.push_str("</ul>\n");
}

/// Where each phase lies, in words.
fn phase_band(out: &mut String, history: &History, scale: &Scale) {
    out.push_str("<div class=\"band\"><span></span><div>");
    let start = history.start();
    for (phase, class, word) in [(Phase::Map, "m", "map"), (Phase::Reduce, "r", "reduce")] {
        let of = history.attempts.iter().filter(|attempt| attempt.name.attempt.task.phase == phase);
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        for attempt in of {
            from = from.min(attempt.begun.unwrap_or(i64::MAX));
            to = to.max(if attempt.fate == Fate::Running { history.now } else { attempt.ended.unwrap_or(i64::MIN) });
        }
        if from <= to {
            let (left, right) = (scale.x(from - start) / WIDTH * 100.0, scale.x(to - start) / WIDTH * 100.0);
            let took = text(&time(u64::try_from(to - from).unwrap_or_default()));
            let _ = write!(out, "<p class=\"{class}\" style=\"left:{left:.2}%;width:{:.2}%\"></p>", (right - left).max(0.3));
            // Where there is no room behind its beginning, the word ends with the phase.
            let place = if left > 80.0 { format!("right:{:.2}%", 100.0 - right) } else { format!("left:{left:.2}%") };
            let _ = write!(out, "<b class=\"{class}\" style=\"{place}\">{word} <span>{took}</span></b>");
        }
    }
    out.push_str("</div></div>\n");
}

/// How much of each bin the bars fill, in slots.
fn fill<'a>(bars: impl Iterator<Item = &'a Bar<'a>>, scale: &Scale) -> Vec<f64> {
    let mut filled = vec![0.0; BINS];
    let width = WIDTH / BINS as f64;
    for bar in bars {
        let (from, to) = (scale.x(bar.from), scale.x(bar.to));
        let (first, last) = ((from / width) as usize, ((to / width) as usize).min(BINS - 1));
        for (bin, filled) in filled.iter_mut().enumerate().take(last + 1).skip(first) {
            let left = bin as f64 * width;
            *filled += ((to.min(left + width) - from.max(left)) / width).max(0.0);
        }
    }
    filled
}

/// An area under steps of these heights, as a path; nothing where all are 0.
fn steps(heights: &[f64], bottom: f64) -> String {
    let width = WIDTH / heights.len() as f64;
    let mut path = String::new();
    let mut at = 0;
    while at < heights.len() {
        let height = quantized(heights[at]);
        let run = heights[at..].iter().take_while(|next| quantized(**next) == height).count();
        if height > 0.0 {
            let _ = write!(path, "M{} {bottom}v{}h{}V{bottom}z", short(at as f64 * width), -height, short(run as f64 * width));
        }
        at += run;
    }
    path
}

fn quantized(height: f64) -> f64 {
    // Something is never drawn as nothing.
    if height > 0.0 { (height * 4.0).round().max(2.0) / 4.0 } else { 0.0 }
}

fn short(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

/// How many slots were at work.
fn strip(out: &mut String, lanes: &[Lane<'_>], scale: &Scale) {
    let of = |phase: Phase| {
        let bars = lanes.iter().flat_map(|lane| &lane.bars).filter(move |bar| bar.attempt.name.attempt.task.phase == phase);
        fill(bars, scale)
    };
    let (maps, reduces) = (of(Phase::Map), of(Phase::Reduce));
    let most = lanes.len().max(1) as f64;
    let height = |slots: f64| slots / most * (STRIP - 2.0);
    let both: Vec<f64> = maps.iter().zip(&reduces).map(|(map, reduce)| height(map + reduce)).collect();
    let maps: Vec<f64> = maps.into_iter().map(height).collect();
    let _ = writeln!(
        out,
        "<div class=\"lanes strip\"><div class=\"labels\"><span title=\"how many of the slots were at work\">at work <em>of {}</em></span></div>\
         <svg viewBox=\"0 0 {WIDTH} {STRIP}\" preserveAspectRatio=\"none\" height=\"{STRIP}\" role=\"img\" aria-label=\"Slots at work over time\">\
         <path class=\"r\" d=\"{}\"/><path class=\"m\" d=\"{}\"/></svg></div>",
        grouped(lanes.len() as u64),
        steps(&both, STRIP),
        steps(&maps, STRIP),
    );
}

fn drawing(out: &mut String, history: &History, rows: &[Row<'_>], is_dense: bool, scale: &Scale) {
    let pitch = if rows.len() <= ROOMY { 18.0 } else { 9.0 };
    let height = pitch * rows.len() as f64;
    let _ = write!(out, "<div class=\"lanes{}\"><div class=\"labels\">", if pitch < 12.0 { " tight" } else { "" });
    for of in rows.chunk_by(|a, b| a.host == b.host) {
        let slots: usize = of.iter().map(|row| row.slots).sum();
        let name = text(of[0].host);
        let _ = write!(
            out,
            "<span style=\"height:{}px\" title=\"{name}, {}\">{name} <em>{}</em></span>",
            pitch * of.len() as f64,
            several(slots, "slot"),
            if slots > 1 { format!("×{slots}") } else { String::new() }
        );
    }
    let _ = write!(
        out,
        "</div><svg class=\"slots\" viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=\"none\" height=\"{height}\" role=\"img\" aria-label=\"{} over time\">",
        several(rows.len(), "lane")
    );
    let mut wrong_left = WRONG_MAX;
    for (n, row) in rows.iter().enumerate() {
        let y = pitch * n as f64;
        let is_first = n == 0 || rows[n - 1].host != row.host;
        let _ = write!(out, "<g class=\"lane\"><path class=\"rule{}\" d=\"M0 {y}H{WIDTH}\"/>", if is_first { " host" } else { "" });
        lane(out, row, y, pitch - if pitch < 12.0 { 1.0 } else { 3.0 }, is_dense, scale, &mut wrong_left);
        out.push_str("</g>\n");
    }
    if let Some(at) = history.marks.reduce.map(|at| scale.x(at - history.start())).filter(|_| history.shape.reduces > 0) {
        let _ = write!(out, "<path class=\"mark\" d=\"M{at:.1} 0V{height}\"><title>the reduces could begin</title></path>");
    }
    out.push_str("</svg></div>\n");
}

fn lane(out: &mut String, row: &Row<'_>, y: f64, high: f64, is_dense: bool, scale: &Scale, wrong_left: &mut usize) {
    let bottom = y + high + 1.0;
    if is_dense {
        for (phase, class) in [(Phase::Map, "m"), (Phase::Reduce, "r")] {
            let is_of =
                |bar: &&Bar<'_>| bar.attempt.name.attempt.task.phase == phase && matches!(bar.attempt.fate, Fate::Done | Fate::Running);
            let heights: Vec<f64> =
                fill(row.bars.iter().filter(is_of), scale).into_iter().map(|slots| slots / row.slots as f64 * high).collect();
            let path = steps(&heights, bottom);
            if !path.is_empty() {
                let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
            }
        }
    }
    let is_plain = |bar: &&Bar<'_>| matches!(bar.attempt.fate, Fate::Done | Fate::Running);
    row.bars.iter().filter(|bar| is_plain(bar) && !is_dense).for_each(|bar| rect(out, bar, y + 1.0, high, scale));
    // What went wrong is drawn over what did not.
    for bar in row.bars.iter().filter(|bar| !is_plain(bar)) {
        if is_dense && *wrong_left == 0 {
            break;
        }
        *wrong_left -= usize::from(is_dense);
        rect(out, bar, y + 1.0, high, scale);
    }
}

fn rect(out: &mut String, bar: &Bar<'_>, y: f64, high: f64, scale: &Scale) {
    let from = scale.x(bar.from).min(WIDTH - BAR_MIN);
    let width = (scale.x(bar.to) - from).max(BAR_MIN);
    let took = text(&time(u64::try_from(bar.to - bar.from).unwrap_or_default()));
    let backup = if bar.attempt.backup { " k" } else { "" };
    let wide = if width > GAP_FROM { " w" } else { "" };
    let _ = write!(
        out,
        "<rect class=\"{}{backup}{wide}\" x=\"{from:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{high}\"><title>{}: {}{}, {took}</title></rect>",
        class(bar),
        text(&bar.attempt.name.to_string()),
        bar.attempt.fate.word(),
        if bar.attempt.backup { " (a backup)" } else { "" },
    );
}

/// Times below the drawing.
fn axis(out: &mut String, wall: f64) {
    let step = tick(wall);
    out.push_str("<div class=\"axis\"><span></span><div>");
    let mut at = 0.0;
    while at <= wall {
        let share = at / wall * 100.0;
        let class = if share > 94.0 { " class=\"end\"" } else { "" };
        let _ = write!(out, "<i{class} style=\"left:{share:.2}%\">{}</i>", axis_time(at as u64));
        at += step;
    }
    out.push_str("</div></div>\n");
}

/// A round step that gives three to seven ticks.
fn tick(wall_ms: f64) -> f64 {
    const STEPS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0];
    const LONG: [f64; 14] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
    let steps = STEPS.into_iter().chain(LONG.into_iter().map(|seconds| seconds * 1000.0));
    let hours = (1..).map(|n: u32| f64::from(n) * 2.0 * 3_600_000.0);
    steps.chain(hours).find(|step| wall_ms / step <= 7.0).unwrap_or(wall_ms)
}

fn axis_time(ms: u64) -> String {
    match ms {
        0 => "0".to_owned(),
        1..=999 => format!("{ms} ms"),
        1000..=59_999 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        1000..=59_999 => format!("{:.1} s", ms as f64 / 1000.0),
        60_000..=3_599_999 if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        60_000..=3_599_999 => format!("{}:{:02}", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{}:{:02} h", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_three_to_seven_ticks_or_one_per_two_hours() {
        for wall in [3.0, 17.0, 240.0, 999.0, 4000.0, 61_000.0, 3.6e6, 4e7, 1e9] {
            let ticks = (wall / tick(wall)) as u32;
            assert!((2..=7).contains(&ticks), "{wall}: {ticks}");
        }
        assert_eq!(
            [0, 500, 1500, 2000, 120_000, 90_000, 7_200_000].map(axis_time),
            ["0", "500 ms", "1.5 s", "2 s", "2 min", "1:30", "2:00 h"]
        );
    }

    #[test]
    fn steps_of_one_height_are_one_area_and_little_is_never_nothing() {
        assert_eq!(steps(&[0.0, 4.0, 4.0, 0.0, 0.01], 10.0), "M200 10v-4h400V10zM800 10v-0.5h200V10z");
        assert_eq!(steps(&[0.0; 4], 10.0), "");
    }
}
