//! What the keys have made of the screen: the pane, how far it is scrolled, what is asked. Pure: a key goes in, an act comes out.

use ratatui::crossterm::event::KeyCode;

use super::view::{Seen, View};

/// What a job's lower half shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// Who works on what, and was seen when.
    #[default]
    Workers,
    /// The claims that have run longest.
    Slowest,
    /// How old what waits and runs is.
    Ages,
    /// The last errors.
    Errors,
}

impl Pane {
    /// All, in the order of the tabs.
    pub(super) const ALL: [Pane; 4] = [Pane::Workers, Pane::Slowest, Pane::Ages, Pane::Errors];

    /// As it stands on its tab.
    pub(super) fn name(self) -> &'static str {
        match self {
            Pane::Workers => "workers",
            Pane::Slowest => "slowest",
            Pane::Ages => "ages",
            Pane::Errors => "errors",
        }
    }

    fn step(self, by: usize) -> Pane {
        let at = Pane::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Pane::ALL[(at + by) % Pane::ALL.len()]
    }
}

/// The order of workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// By name, and so by machine.
    #[default]
    Name,
    /// The quietest first.
    Quiet,
    /// Idle ones first.
    Idle,
}

impl Sort {
    /// As it is told.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Name => "by name",
            Sort::Quiet => "quietest first",
            Sort::Idle => "idle first",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Name => Sort::Quiet,
            Sort::Quiet => Sort::Idle,
            Sort::Idle => Sort::Name,
        }
    }
}

/// What is to be done outside of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    Stay,
    /// Leave.
    Quit,
    /// Pause the job: that was confirmed.
    Pause,
    /// Let it go on.
    Resume,
    /// Look into the job in the chosen row of a farm.
    Open(usize),
    /// Back to the farm.
    Back,
}

/// The screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen {
    /// What is shown below.
    pub pane: Pane,
    /// Lines passed over, or the row chosen in a farm.
    pub scroll: usize,
    /// The order of workers.
    pub sort: Sort,
    /// The keys are told.
    pub help: bool,
    /// It is asked whether to pause, or to resume.
    pub asks: Option<Act>,
    /// What came of the last act.
    pub said: Option<String>,
}

impl Screen {
    /// Takes a key. `is_ctrl`: with Ctrl held.
    pub(super) fn key(&mut self, key: KeyCode, is_ctrl: bool, view: &View) -> Act {
        if is_ctrl {
            return if matches!(key, KeyCode::Char('c' | 'd')) { Act::Quit } else { Act::Stay };
        }
        self.said = None;
        if let Some(act) = self.asks.take() {
            return if matches!(key, KeyCode::Char('y' | 'Y')) { act } else { Act::Stay };
        }
        if std::mem::take(&mut self.help) {
            return Act::Stay;
        }
        match key {
            KeyCode::Char('q') => return Act::Quit,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.help = true,
            KeyCode::Tab | KeyCode::Right => self.turn_to(self.pane.step(1)),
            KeyCode::BackTab | KeyCode::Left => self.turn_to(self.pane.step(Pane::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='4') => self.turn_to(Pane::ALL[digit as usize - '1' as usize]),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::PageDown => self.scroll += 10,
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p') => self.asks = pausing(view),
            KeyCode::Enter if self.scroll < view.rows() => return Act::Open(self.scroll),
            KeyCode::Esc => return Act::Back,
            _ => {}
        }
        self.scroll = self.scroll.min(view.rows().checked_sub(1).unwrap_or(self.scroll));
        Act::Stay
    }

    fn turn_to(&mut self, pane: Pane) {
        (self.pane, self.scroll) = (pane, 0);
    }
}

/// Whether to pause the job or to let it go on; a job that has ended can do neither.
fn pausing(view: &View) -> Option<Act> {
    match &view.seen {
        Some(Seen::Job(status)) if status.end.is_none() => Some(if status.paused { Act::Resume } else { Act::Pause }),
        Some(Seen::Job(_) | Seen::Farm(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eyes::farm::{FarmStatus, Row};
    use crate::eyes::status::Status;

    fn job(paused: bool) -> View {
        View { seen: Some(Seen::Job(Box::new(Status { paused, ..Status::default() }))), ..View::default() }
    }

    #[test]
    fn nothing_is_done_to_a_job_before_it_was_confirmed() {
        let (mut screen, view) = (Screen::default(), job(false));
        assert_eq!(screen.key(KeyCode::Char('p'), false, &view), Act::Stay);
        assert_eq!(screen.asks, Some(Act::Pause));
        assert_eq!(screen.key(KeyCode::Enter, false, &view), Act::Stay, "no");
        assert_eq!(screen.asks, None);
        screen.key(KeyCode::Char('p'), false, &view);
        assert_eq!(screen.key(KeyCode::Char('y'), false, &view), Act::Pause);
        screen.key(KeyCode::Char('p'), false, &job(true));
        assert_eq!(screen.key(KeyCode::Char('y'), false, &job(true)), Act::Resume);
    }

    #[test]
    fn every_way_out_leads_out_and_help_hides_with_any_key() {
        let (mut screen, view) = (Screen::default(), job(false));
        assert_eq!(screen.key(KeyCode::Char('q'), false, &view), Act::Quit);
        assert_eq!(screen.key(KeyCode::Char('c'), true, &view), Act::Quit);
        screen.key(KeyCode::Char('?'), false, &view);
        assert!(screen.help);
        assert_eq!(screen.key(KeyCode::Char('q'), false, &view), Act::Stay);
        assert!(!screen.help);
    }

    #[test]
    fn panes_turn_both_ways_and_begin_at_their_top() {
        let (mut screen, view) = (Screen::default(), job(false));
        screen.key(KeyCode::Down, false, &view);
        assert_eq!(screen.scroll, 1);
        screen.key(KeyCode::BackTab, false, &view);
        assert_eq!((screen.pane, screen.scroll), (Pane::Errors, 0));
        screen.key(KeyCode::Tab, false, &view);
        assert_eq!(screen.pane, Pane::Workers);
        screen.key(KeyCode::Char('3'), false, &view);
        assert_eq!(screen.pane, Pane::Ages);
    }

    #[test]
    fn in_a_farm_a_row_is_chosen_and_never_one_that_is_not_there() {
        let jobs = vec![Row::default(), Row::default()];
        let view = View { seen: Some(Seen::Farm(FarmStatus { version: 1, farm: "f".to_owned(), jobs })), ..View::default() };
        let mut screen = Screen::default();
        (0..9).for_each(|_| _ = screen.key(KeyCode::Down, false, &view));
        assert_eq!(screen.key(KeyCode::Enter, false, &view), Act::Open(1));
        assert_eq!(screen.key(KeyCode::Enter, false, &job(false)), Act::Stay);
    }
}
