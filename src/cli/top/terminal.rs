//! The terminal itself: taken and given back whatever happens (a panic, Ctrl-C, SIGTERM), keys, and the thread that looks.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::draw::{self, Paint};
use super::screen::{Act, Screen};
use super::view::{Rates, Seen, View};
use super::{Args, REST_PER_LOOK, look};
use crate::cli::control;
use crate::cli::open::Job;
use crate::cli::run::on_signals;
use crate::error::{Error, Result};

/// How long keys are waited for before the screen is looked after.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// How long it is shown what came of an act, if no key is pressed.
const SAID_FOR: Duration = Duration::from_secs(8);

/// The terminal's width and height.
pub(super) fn size() -> Option<(u16, u16)> {
    ratatui::crossterm::terminal::size().ok().filter(|(width, height)| *width > 0 && *height > 0)
}

/// Draws until somebody leaves.
pub(super) fn show(args: &Args, first: Seen) -> Result<ExitCode> {
    if !std::io::stdin().is_terminal() {
        let error = Error::new(crate::ErrorKind::Usage, "cannot listen to keys: stdin is no terminal");
        return Err(error.advise("--once prints one plain frame, --json a line per look"));
    }
    let left = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&left);
    on_signals(move |times| {
        told.store(true, Relaxed);
        if times > 1 {
            ratatui::restore();
            std::process::exit(0);
        }
    })?;
    leave_with_terminal();
    // Whatever panics, the terminal is given back first.
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let drawn = Top::start(args, first).run(&mut terminal, &left);
    ratatui::restore();
    drawn.map(|()| ExitCode::SUCCESS)
}

/// Problem: where the terminal goes away and no SIGHUP tells of it (its window was another session's), whoever waits for a key reads its end again and again, and is
/// never let go. Workaround: a thread that waits for nothing but that ends the process.
fn leave_with_terminal() {
    std::thread::spawn(|| {
        let stdin = std::io::stdin();
        let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
        loop {
            match poll(&mut terminal, None) {
                Ok(_) if terminal[0].revents().contains(PollFlags::HUP) => std::process::exit(0),
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            std::thread::sleep(KEY_WAIT);
        }
    });
}

fn failed(error: std::io::Error) -> Error {
    Error::io("cannot draw on", "the terminal", error)
}

/// What the looking thread tells.
type Told = (PathBuf, Result<Seen>, Duration);

struct Top<'a> {
    args: &'a Args,
    view: View,
    screen: Screen,
    rates: Rates,
    begun: Instant,
    /// Where is looked.
    target: Arc<Mutex<PathBuf>>,
    looks: Receiver<Told>,
    /// Dropped, it ends the looking thread; a word wakes it.
    wake: Sender<()>,
    paint: Paint,
    /// When the screen said what came of an act.
    said_at: Instant,
}

impl<'a> Top<'a> {
    fn start(args: &'a Args, first: Seen) -> Top<'a> {
        let target = Arc::new(Mutex::new(args.job.clone()));
        let (tell, looks) = channel();
        let (wake, woken) = channel();
        let (at, interval) = (Arc::clone(&target), args.interval);
        std::thread::spawn(move || keep_looking(&at, interval, &tell, &woken));
        let mut rates = Rates::default();
        rates.add(&first, Duration::ZERO);
        let view = View { seen: Some(first), ..View::default() };
        let paint = Paint { colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
        let now = Instant::now();
        Top { args, view, screen: Screen::default(), rates, begun: now, target, looks, wake, paint, said_at: now }
    }

    fn run(mut self, terminal: &mut DefaultTerminal, left: &AtomicBool) -> Result<()> {
        let mut is_new = true;
        while !left.load(Relaxed) {
            is_new |= self.take_looks()?;
            if self.screen.said.is_some() && self.said_at.elapsed() > SAID_FOR {
                (self.screen.said, is_new) = (None, true);
            }
            if std::mem::take(&mut is_new) {
                terminal.draw(|frame| draw::draw(frame, &self.view, &mut self.screen, self.paint)).map_err(failed)?;
            }
            if !event::poll(KEY_WAIT).map_err(failed)? {
                continue;
            }
            is_new = true;
            let Event::Key(key) = event::read().map_err(failed)? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match self.screen.key(key.code, key.modifiers.contains(KeyModifiers::CONTROL), &self.view) {
                Act::Stay => {}
                Act::Quit => return Ok(()),
                Act::Pause => self.act(control::pause_job),
                Act::Resume => self.act(control::resume_job),
                Act::Open(row) => {
                    let job = self.view.job_at(row).map(|job| self.args.job.join(job));
                    job.iter().for_each(|job| self.look_at(job));
                }
                Act::Back => self.look_at(&self.args.job),
            }
        }
        Ok(())
    }

    /// Takes what was looked at meanwhile; true if there was something.
    fn take_looks(&mut self) -> Result<bool> {
        let mut any = false;
        loop {
            let (path, seen, took) = match self.looks.try_recv() {
                Ok(told) => told,
                Err(TryRecvError::Empty) => return Ok(any),
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::new(crate::ErrorKind::Failed, "cannot look any more at").on(&self.args.job));
                }
            };
            // What was looked at before the target changed is of no interest any more.
            if path != *lock(&self.target) {
                continue;
            }
            any = true;
            self.view.took = took;
            match seen {
                Ok(seen) => {
                    self.view.rates = self.rates.add(&seen, self.begun.elapsed());
                    (self.view.seen, self.view.trouble) = (Some(seen), None);
                }
                Err(error) => self.view.trouble = Some(error.to_string()),
            }
        }
    }

    fn look_at(&mut self, path: &Path) {
        path.clone_into(&mut lock(&self.target));
        self.screen.scroll = 0;
        let _ = self.wake.send(());
    }

    /// Does to the job what was confirmed, and says what came of it.
    fn act(&mut self, act: impl Fn(&Job) -> Result<String>) {
        let path = lock(&self.target).clone();
        let done = Job::open_to_act(&path, &self.args.trust).and_then(|job| act(&job));
        let _ = self.wake.send(());
        (self.screen.said, self.said_at) = (Some(done.unwrap_or_else(|error| error.to_string())), Instant::now());
    }
}

fn lock(target: &Mutex<PathBuf>) -> MutexGuard<'_, PathBuf> {
    target.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks again and again, until nobody listens.
fn keep_looking(target: &Mutex<PathBuf>, interval: Duration, tell: &Sender<Told>, woken: &Receiver<()>) {
    loop {
        let path = lock(target).clone();
        let begun = Instant::now();
        let seen = look(&path);
        let took = begun.elapsed();
        if tell.send((path, seen, took)).is_err() {
            return;
        }
        if woken.recv_timeout(interval.max(took * REST_PER_LOOK)) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}
