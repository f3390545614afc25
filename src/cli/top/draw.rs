//! A frame, from a [`View`] and a [`Screen`] and nothing else: the same always gives the same picture. Above what the job is doing, below one pane, at the bottom the keys.

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::panes;
use super::screen::{Act, Pane, Screen};
use super::view::{Seen, View};
use crate::eyes::span;
use crate::eyes::status::{Status, Tasks};
use crate::units::{on_one_line, plural, show_size};

/// So tall a body shows all panes at once.
const STACKED_HEIGHT: u16 = 30;
/// So narrow a screen shows less on a line.
const NARROW: u16 = 60;
/// So low a screen has room for one hint only.
const LOW: u16 = 16;
/// Rates in the little picture.
const SPARKS: usize = 24;
/// Lines of the reason why a job failed.
const ERROR_LINES: usize = 3;
/// The keys, and what the words mean.
pub(super) const HELP: &str = "q      quit\n?      this help\ntab    the next pane (or 1 to 4)\nup, down, page up, page down   scroll\n\
                    s      another order of workers\np      pause the job, or let it go on: asks first\n\
                    enter  of a farm: look into the chosen job\nesc    back to the farm\n\n\
                    a bar is done, claimed and the rest;\nseen: before the newest sign of life of anybody,\nruns: at least, by the server's stamps\n";

/// Whether there are colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    /// False where `NO_COLOR` is set.
    pub colors: bool,
}

impl Paint {
    fn of(self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.of(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.of(Color::Yellow)
    }

    pub(super) fn bad(self) -> Style {
        self.of(Color::Red)
    }

    pub(super) fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything, and keeps the screen from being scrolled beyond what there is.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View, screen: &mut Screen, paint: Paint) {
    let area = frame.area();
    let mut head = match &view.seen {
        Some(Seen::Job(status)) => job_head(status, &view.rates, area, paint),
        Some(Seen::Farm(farm)) => vec![title(&format!("farm {}", farm.farm), &plural(farm.jobs.len() as u64, "job"), area.width, paint)],
        None => Vec::new(),
    };
    if let Some(trouble) = &view.trouble {
        head.push(Line::styled(on_one_line(trouble).into_owned(), paint.bad()));
    }
    head.truncate(usize::from(area.height.saturating_sub(2)));
    let rows = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let [top, body, foot] = Layout::vertical([Constraint::Length(rows), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(head), top);
    match &view.seen {
        Some(Seen::Job(status)) if body.height >= STACKED_HEIGHT => stacked(frame, body, status, screen, paint),
        Some(Seen::Job(status)) => one_pane(frame, body, status, screen, paint),
        Some(Seen::Farm(farm)) => {
            let (head, lines) = panes::farm(farm, screen.scroll, body.width, paint);
            // The chosen row stays in sight.
            let first = screen.scroll.saturating_sub(usize::from(body.height).saturating_sub(2));
            listed(frame, body, head, lines, &mut first.clone());
        }
        None => {}
    }
    frame.render_widget(Paragraph::new(footer(view, screen, paint)), foot);
    if screen.help {
        popup(frame, area, " keys ", HELP);
    }
    if let Some(act) = screen.asks {
        let asked =
            if act == Act::Pause { "Pause this job? What runs is finished, nothing further begins." } else { "Let this job go on?" };
        popup(frame, area, " sure? ", &format!("{asked}\n\ny: yes    any other key: no\n"));
    }
}

fn title(left: &str, right: &str, width: u16, paint: Paint) -> Line<'static> {
    let left = on_one_line(left).into_owned();
    let room = usize::from(width).saturating_sub(right.chars().count() + 1);
    Line::from(vec![Span::styled(format!("{} ", panes::fit(&left, room)), paint.bold()), Span::styled(right.to_owned(), paint.bold())])
}

fn job_head(status: &Status, rates: &[u64], area: Rect, paint: Paint) -> Vec<Line<'static>> {
    let right = format!("{} {}%", status.where_it_is().trim_start_matches("phase "), status.percent);
    let mut head = vec![title(&format!("{} ({})", status.job, status.app), &right, area.width, paint)];
    head.push(bar_line("map", &status.map, area.width, paint));
    if status.reduce.total > 0 {
        head.push(bar_line("reduce", &status.reduce, area.width, paint));
    }
    match &status.end {
        Some(end) => {
            let outputs = match end.outputs {
                0 => String::new(),
                n => format!(", {}, {}", plural(n as u64, "output file"), show_size(end.output_bytes)),
            };
            head.push(Line::raw(format!("ended    {}{outputs}", on_one_line(&end.at))));
            let lines = end.error.iter().flat_map(|error| error.lines().take(ERROR_LINES));
            head.extend(lines.map(|line| Line::styled(on_one_line(line).into_owned(), paint.bad())));
        }
        None => head.push(pace_line(status, rates, paint)),
    }
    head.push(attempts_line(status, paint));
    let most = if area.height < LOW { 1 } else { 3 };
    let lead = status.coordinator.iter().filter_map(|lead| lead.trouble.as_ref());
    let troubles = status.storage.iter().chain(lead).chain(&status.hints).take(most);
    let lines = troubles.flat_map(|hint| in_two(hint, area.width.into()));
    head.extend(lines.map(|line| Line::styled(line, paint.warn())));
    head
}

/// A sentence that is too long for a line is cut where its remedy begins, so that a command in it can be read whole.
fn in_two(hint: &str, width: usize) -> Vec<String> {
    let hint = on_one_line(hint);
    match hint.split_once("; ") {
        Some((reason, remedy)) if hint.chars().count() > width => vec![format!("{reason};"), format!("  {remedy}")],
        _ => vec![hint.into_owned()],
    }
}

/// `map      ████▒▒····  12/24  8 claimed, 4 pending`
fn bar_line(name: &str, tasks: &Tasks, width: u16, paint: Paint) -> Line<'static> {
    let mut text = format!(" {}/{}", tasks.done, tasks.total);
    if width >= NARROW {
        text += &format!("  {} claimed, {} pending", tasks.claimed, tasks.pending);
    }
    let room = usize::from(width).saturating_sub(9 + text.chars().count().max(if width >= NARROW { 34 } else { 0 }));
    let part = |n: usize| (n * room).checked_div(tasks.total).unwrap_or(0);
    let (done, begun) = (part(tasks.done), part(tasks.done + tasks.claimed));
    Line::from(vec![
        Span::raw(format!("{name:<9}")),
        Span::styled("█".repeat(done), paint.good()),
        Span::styled("▒".repeat(begun - done), paint.warn()),
        Span::styled("·".repeat(room - begun), paint.dim()),
        Span::raw(text),
    ])
}

fn pace_line(status: &Status, rates: &[u64], paint: Paint) -> Line<'static> {
    let mut told = Vec::new();
    if let Some(pace) = &status.pace {
        told.extend(pace.eta_ms.map(|ms| format!("{} to go", span(ms))));
        told.extend(pace.tasks_per_second.map(|rate| format!("{rate} tasks/s")));
        told.extend(pace.bytes_per_second.map(|rate| format!("{}/s", show_size(rate as u64))));
        told.push(format!("{} a task", span(pace.median_task_ms)));
    }
    let text = if told.is_empty() { "nothing is done yet".to_owned() } else { told.join(", ") };
    Line::from(vec![Span::raw(format!("{:<9}", "pace")), Span::styled(format!("{} ", sparks(rates)), paint.good()), Span::raw(text)])
}

/// The last rates as a little picture.
fn sparks(rates: &[u64]) -> String {
    let last = &rates[rates.len().saturating_sub(SPARKS)..];
    let most = last.iter().copied().max().unwrap_or(0).max(1);
    let spark = |rate: &u64| ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][usize::try_from(rate * 7 / most).unwrap_or(0)];
    last.iter().map(spark).collect()
}

fn attempts_line(status: &Status, paint: Paint) -> Line<'static> {
    let attempts = &status.attempts;
    let style = |n: u64, style: Style| if n > 0 { style } else { Style::new() };
    Line::from(vec![
        Span::raw(format!("{:<9}{} done{}, ", "attempts", attempts.done, status.bundled().map_or("", |_| " (in bundles)"))),
        Span::styled(format!("{} failed", attempts.failed), style(attempts.failed, paint.bad())),
        Span::raw(", "),
        Span::styled(format!("{} lost or taken back", attempts.expired), style(attempts.expired, paint.warn())),
    ])
}

fn one_pane(frame: &mut Frame<'_>, area: Rect, status: &Status, screen: &mut Screen, paint: Paint) {
    let [tabs, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let mut names = Vec::new();
    for pane in Pane::ALL {
        let style = if pane == screen.pane { paint.chosen() } else { paint.dim() };
        names.extend([Span::styled(format!(" {} {} ", pane.name(), panes::count(pane, status)), style), Span::raw(" ")]);
    }
    frame.render_widget(Paragraph::new(Line::from(names)), tabs);
    let (head, lines) = panes::job(screen.pane, status, screen.sort, body.width, paint);
    listed(frame, body, head, lines, &mut screen.scroll);
}

/// All panes one below the other; the chosen one scrolls.
fn stacked(frame: &mut Frame<'_>, area: Rect, status: &Status, screen: &mut Screen, paint: Paint) {
    let heights = [Constraint::Fill(2), Constraint::Length(14), Constraint::Length(5), Constraint::Fill(1)];
    let areas: [Rect; 4] = Layout::vertical(heights).areas(area);
    for (pane, area) in Pane::ALL.into_iter().zip(areas) {
        let style = if pane == screen.pane { paint.bold() } else { paint.dim() };
        let block = Block::bordered().title(format!(" {} {} ", pane.name(), panes::count(pane, status))).border_style(style);
        let inner = block.inner(area);
        frame.render_widget(block, area);
        let (head, lines) = panes::job(pane, status, screen.sort, inner.width, paint);
        let mut still = 0;
        listed(frame, inner, head, lines, if pane == screen.pane { &mut screen.scroll } else { &mut still });
    }
}

/// A head that stays and lines that scroll.
fn listed(frame: &mut Frame<'_>, area: Rect, head: Option<Line<'static>>, lines: Vec<Line<'static>>, scroll: &mut usize) {
    let rows = usize::from(area.height).saturating_sub(usize::from(head.is_some()));
    *scroll = (*scroll).min(lines.len().saturating_sub(rows));
    let shown: Vec<Line<'_>> = head.into_iter().chain(lines.into_iter().skip(*scroll).take(rows)).collect();
    frame.render_widget(Paragraph::new(Text::from(shown)), area);
}

fn footer(view: &View, screen: &Screen, paint: Paint) -> Line<'static> {
    if let Some(said) = &screen.said {
        return Line::styled(on_one_line(said).into_owned(), paint.warn());
    }
    let keys = match &view.seen {
        Some(Seen::Farm(_)) => "q quit  ? help  up/down choose  enter look into the job",
        Some(Seen::Job(status)) if status.end.is_some() => "q quit  ? help  tab pane  up/down scroll",
        Some(Seen::Job(status)) if status.paused => "q quit  ? help  tab pane  up/down scroll  s sort  p resume",
        Some(Seen::Job(_)) | None => "q quit  ? help  tab pane  up/down scroll  s sort  p pause",
    };
    Line::styled(keys, paint.dim())
}

fn popup(frame: &mut Frame<'_>, area: Rect, title: &'static str, text: &str) {
    let lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    let (width, height) = (area.width.min(66), area.height.min(lines.saturating_add(2)));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(title);
    frame.render_widget(Paragraph::new(text.to_owned()).wrap(Wrap { trim: false }).block(block), place);
}

/// A frame as plain text, each line without what is blank at its end.
pub(super) fn plain(view: &View, screen: &Screen, width: u16, height: u16) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let mut screen = screen.clone();
    let Ok(drawn) = terminal.draw(|frame| draw(frame, view, &mut screen, Paint { colors: false }));
    let cell = |x, y| drawn.buffer.cell((x, y)).map_or(" ", |cell| cell.symbol());
    let line = |y| (0..width).map(|x| cell(x, y)).collect::<String>().trim_end().to_owned() + "\n";
    (0..height).map(line).collect()
}
