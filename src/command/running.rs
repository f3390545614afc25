//! A command that runs: one loop over its pipes and its end.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid};
use wait4::{ResUse, Wait4};

use super::leash::{self, Tied};
use super::start::{self, Stdin, cannot_start};
use super::{Ears, Ended, GRACE, LINGER, Order};
use crate::control::{Cancelled, Control};
use crate::data::Failure;
use crate::error::{Error, Result};

/// Longest time between two looks at the control.
const TICK: Duration = Duration::from_millis(50);
/// The same on a kernel that cannot tell a child's end by `poll`.
const BLIND_TICK: Duration = Duration::from_millis(5);
/// Read at once, to begin with: most commands say little.
const FIRST_BLOCK_BYTES: usize = 4 << 10;
/// Read at once of a command that says more.
const BLOCK_BYTES: usize = 64 << 10;
/// Asked for as the size of a pipe that much goes through: each side then works for longer before it waits for the other.
const PIPE_BYTES: usize = 256 << 10;

/// A command that was started. Dropping it kills its group.
pub struct Running {
    child: Child,
    group: Pid,
    /// Readable when the child has ended; none where the kernel knows no such thing.
    pidfd: Option<OwnedFd>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    block: Vec<u8>,
    started: Instant,
    /// Times in which it was held.
    held: Duration,
    timeout: Option<Duration>,
    timed_out: bool,
    /// When the child was seen to have ended; it is not yet waited for, so its number is still its own.
    ended: Option<Instant>,
    /// Bytes that lay unread in its stdout and stderr then: it wrote them before its end, so they are read however long that takes.
    owed: [u64; 2],
    /// Nothing is left to be killed.
    is_over: bool,
    _tied: Option<Tied>,
}

impl Running {
    /// Starts it.
    pub fn start(order: &Order<'_>, stdin: Stdin) -> Result<Running> {
        let started = Instant::now();
        let mut child = start::start(order, stdin)?;
        let group = Pid::from_child(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Running {
            child,
            group,
            pidfd: pidfd_open(group, PidfdFlags::empty()).ok(),
            stdin,
            stdout,
            stderr,
            block: vec![0; FIRST_BLOCK_BYTES],
            started,
            held: Duration::ZERO,
            timeout: order.timeout,
            timed_out: false,
            ended: None,
            owed: [0; 2],
            is_over: false,
            _tied: None,
        };
        // Where one of these fails, the drop kills what was started.
        running._tied = leash::tie(group).map_err(|cause| cannot_start(order, cause))?;
        running.make_pipes_ready().map_err(|cause| cannot_start(order, cause.into()))?;
        Ok(running)
    }

    /// The number of its process group, and of its first process.
    pub fn group_number(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    fn make_pipes_ready(&self) -> rustix::io::Result<()> {
        let pipes = [self.stdin.as_ref().map(AsFd::as_fd), self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        for pipe in pipes.into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        // A user's share of large pipes may be used up: then they stay small.
        let _ = self.stdin.as_ref().map(|pipe| fcntl_setpipe_size(pipe, PIPE_BYTES));
        Ok(())
    }

    /// It says more than a first block holds.
    #[cold]
    pub(super) fn expect_much(&mut self) {
        self.block.resize(BLOCK_BYTES, 0);
        let _ = self.stdout.as_ref().map(|pipe| fcntl_setpipe_size(pipe, PIPE_BYTES));
    }

    /// Hands `bytes` to the command, and what it says meanwhile to `ears`. False when it takes no more: it closed its stdin, has ended, or ran out of time; that is
    /// no error, [`Running::finish`] tells how it ended.
    pub fn feed(&mut self, mut bytes: &[u8], control: &Control, ears: &mut dyn Ears) -> Result<bool, Failure> {
        while !bytes.is_empty() && self.stdin.is_some() && self.ended.is_none() {
            self.turn(&mut bytes, control, ears)?;
        }
        Ok(self.stdin.is_some() && self.ended.is_none())
    }

    /// Closes its stdin and waits for its end.
    pub fn finish(mut self, control: &Control, ears: &mut dyn Ears) -> Result<Ended, Failure> {
        self.stdin = None;
        while !self.is_done() {
            self.turn(&mut &[][..], control, ears)?;
        }
        let wall = self.started.elapsed();
        self.end_group();
        let ResUse { status, rusage } = self.reap().map_err(|error| Failure::Disk(Error::io("cannot wait for", "a command", error)))?;
        let (user, system) = (rusage.utime, rusage.stime);
        Ok(Ended { status, timed_out: self.timed_out, wall, user, system, max_rss: rusage.maxrss })
    }

    /// Its first process has ended, all it said is read, and nobody else has more to say, or had time enough to.
    fn is_done(&self) -> bool {
        let silent = self.stdout.is_none() && self.stderr.is_none();
        self.ended.is_some_and(|at| silent || (self.owed == [0; 2] && at.elapsed() >= LINGER))
    }

    /// Its first process has ended.
    fn note_end(&mut self) {
        self.ended = Some(Instant::now());
        let in_pipe = |pipe: Option<BorrowedFd<'_>>| pipe.and_then(|pipe| ioctl_fionread(pipe).ok()).unwrap_or(0);
        self.owed = [in_pipe(self.stdout.as_ref().map(AsFd::as_fd)), in_pipe(self.stderr.as_ref().map(AsFd::as_fd))];
    }

    /// Waits until something can be done, and does it.
    fn turn(&mut self, bytes: &mut &[u8], control: &Control, ears: &mut dyn Ears) -> Result<(), Failure> {
        self.obey(control)?;
        let ready = self.wait(!bytes.is_empty()).map_err(|error| Failure::Disk(Error::io("cannot wait for", "a command", error.into())))?;
        if ready.err {
            let n = read(&mut self.stderr, &mut self.block, &mut self.owed[1]);
            ears.err(&self.block[..n]);
        }
        if ready.out {
            let n = read(&mut self.stdout, &mut self.block, &mut self.owed[0]);
            ears.out(&self.block[..n])?;
            if n == FIRST_BLOCK_BYTES && n == self.block.len() {
                self.expect_much();
            }
        }
        if ready.stdin {
            self.write(bytes);
        }
        if self.ended.is_none() && (ready.end || self.pidfd.is_none()) && self.has_ended() {
            self.note_end();
        }
        Ok(())
    }

    /// Does what the control, and the time, demand.
    fn obey(&mut self, control: &Control) -> Result<(), Failure> {
        control.lives();
        if control.is_held() {
            let since = Instant::now();
            self.signal(Signal::STOP);
            let held = control.step();
            self.signal(Signal::CONT);
            self.held += since.elapsed();
            held.map_err(|Cancelled| self.cancel())?;
        }
        if control.is_cancelled() {
            return Err(self.cancel());
        }
        let ran = self.started.elapsed().saturating_sub(self.held);
        let is_late = self.ended.is_none() && !self.timed_out && self.timeout.is_some_and(|timeout| ran > timeout);
        // One that ended in time, and is only looked at late, was not too slow.
        if is_late && !self.has_ended() {
            self.timed_out = true;
            self.end_gently();
        }
        Ok(())
    }

    #[cold]
    fn cancel(&mut self) -> Failure {
        self.end_gently();
        Failure::Cancelled
    }

    fn wait(&self, wants_to_write: bool) -> rustix::io::Result<Ready> {
        let tick = if self.pidfd.is_some() { TICK } else { BLIND_TICK };
        let left = self.timeout.map_or(tick, |timeout| timeout.saturating_sub(self.started.elapsed().saturating_sub(self.held)));
        let tick = if self.timed_out { tick } else { tick.min(left.max(Duration::from_millis(1))) };
        let tick = Timespec::try_from(tick).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 50_000_000 });
        let sources = [
            (self.stdout.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stderr.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stdin.as_ref().filter(|_| wants_to_write).map(AsFd::as_fd), PollFlags::OUT),
            (self.pidfd.as_ref().filter(|_| self.ended.is_none()).map(AsFd::as_fd), PollFlags::IN),
        ];
        let (mut fds, mut places) = (Vec::with_capacity(sources.len()), [None; 4]);
        for ((fd, flags), place) in sources.into_iter().zip(&mut places) {
            let Some(fd) = fd else { continue };
            *place = Some(fds.len());
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        match poll(&mut fds, Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let [out, err, stdin, end] = places.map(|place| place.is_some_and(|place: usize| !fds[place].revents().is_empty()));
        Ok(Ready { out, err, stdin, end })
    }

    /// Writes as much as the pipe takes. A pipe that nobody reads any more is closed: unread input is no error.
    fn write(&mut self, bytes: &mut &[u8]) {
        while let Some(stdin) = self.stdin.as_mut().filter(|_| !bytes.is_empty()) {
            match stdin.write(bytes) {
                Ok(n) => *bytes = &bytes[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.stdin = None,
            }
        }
    }

    fn has_ended(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // What cannot be waited for is not there any more.
        waitid(WaitId::Pid(self.group), look).map_or(true, |status| status.is_some())
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }

    /// Asks the group to end, and kills it when it does not.
    fn end_gently(&mut self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal(Signal::KILL);
    }

    /// Kills what is left of the group; while the child is not waited for, the number is its own.
    fn end_group(&self) {
        self.signal(Signal::KILL);
    }

    fn reap(&mut self) -> std::io::Result<ResUse> {
        self.is_over = true;
        loop {
            match self.child.wait4() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                waited => return waited,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            self.signal(Signal::KILL);
            let _ = self.reap();
        }
    }
}

/// What can be done at once.
struct Ready {
    out: bool,
    err: bool,
    stdin: bool,
    end: bool,
}

/// Reads a block, of which so much was owed; at its end, or where it is broken, the pipe is closed.
fn read(pipe: &mut Option<impl Read>, block: &mut [u8], owed: &mut u64) -> usize {
    let Some(open) = pipe else { return 0 };
    match open.read(block) {
        Ok(n) if n > 0 => {
            *owed = owed.saturating_sub(n as u64);
            n
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
        Ok(_) | Err(_) => {
            (*pipe, *owed) = (None, 0);
            0
        }
    }
}
