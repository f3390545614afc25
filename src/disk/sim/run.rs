//! The simulated disk run directly: for scenarios too large to explore.
//!
//! Clients of one [`SimDisk`] execute their calls at once, from any thread. Every call is counted by kind; a client can be made to die at its k-th
//! call ([`SimClientDirect::die_at`], caught by [`survives`]); calls can be made to fail, lose their replies, see stale or hang
//! ([`SimDisk::inject`]), by chance too ([`SimDisk::weather`]); time passes only when told to. Single-threaded, the same seed gives the same run; [`super::turns`]
//! gives every actor its turn.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::client::{disk_by_calls, expect_reply, hold_by_calls};
use super::op::{HoldId, Inode, Op, Reply};
use super::state::{DiskState, Room, Variant};
use super::turns::Chance;
pub use super::weather::Weather;
use super::weather::{self, Event, Leg, Skies};
use crate::disk::{Disk, Entry, Flush, Hold, Lock, Look};

/// A shared directory in memory.
pub struct SimDisk {
    inner: Mutex<Inner>,
    healed: Condvar,
}

struct Inner {
    state: DiskState,
    clients: Vec<Account>,
    faults: Vec<Fault>,
    weather: Weather,
    chance: Chance,
    skies: Skies,
    audit: Option<Audit>,
    wrong: Option<String>,
    held_up: Option<HeldUp>,
    latency: Duration,
    heals: u64,
}

/// What a call that is held up until some time waits by.
type HeldUp = Arc<dyn Fn(Duration) + Send + Sync>;

/// Judges every change of a name.
type Audit = Box<dyn FnMut(&Change<'_>) -> Result<(), String> + Send>;

/// A rename, link or removal that was just done, or tried in vain.
pub struct Change<'a> {
    /// What is on the disk now.
    pub state: &'a DiskState,
    /// Whose call it was.
    pub client: usize,
    /// That client's name.
    pub name: &'a str,
    /// The call.
    pub op: &'a Op,
    skies: &'a Skies,
}

impl Change<'_> {
    /// Whether something of this file would be lost with the machine that wrote it.
    pub fn is_dirty(&self, path: &str) -> bool {
        self.state.inode(path).is_some_and(|inode| self.skies.is_dirty(inode))
    }
}

#[derive(Default)]
struct Account {
    name: String,
    calls: Vec<(&'static str, u64)>,
    total: u64,
    dies_at: Option<u64>,
    mortal: bool,
}

struct Fault {
    left: u64,
    matches: Matcher,
    what: What,
}

/// Given the client's name and its call.
type Matcher = Box<dyn Fn(&str, &Op) -> bool + Send>;

/// What an injected fault does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is not done, and fails with this.
    Fail(io::ErrorKind),
    /// It is done twice, and the second reply is the one that arrives.
    LoseReply,
    /// It is answered by what the client believes, where that differs.
    Stale,
    /// A try to lock is answered with this.
    LockSays(Lock),
    /// It waits, in real time, until [`SimDisk::heal`].
    Hang,
}

/// A client of a [`SimDisk`]. Clones are the same client.
#[derive(Clone)]
pub struct SimClientDirect {
    disk: Arc<SimDisk>,
    number: usize,
}

struct DirectHold {
    client: SimClientDirect,
    id: HoldId,
}

/// What a dying client unwinds with.
struct Death;

/// Ends the life that is just being run: what is stopped for ever goes no further.
pub(super) fn stop_for_good() -> ! {
    resume_unwind(Box::new(Death))
}

/// Runs `life` until it returns, or its client dies: then `None`. Other panics go on.
pub fn survives<T>(life: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(value) => Some(value),
        Err(panic) if panic.is::<Death>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

impl SimDisk {
    /// An empty directory.
    pub fn new() -> Arc<SimDisk> {
        SimDisk::holding(DiskState::new())
    }

    /// A directory in this state.
    pub fn holding(state: DiskState) -> Arc<SimDisk> {
        let (weather, chance) = (Weather::default(), Chance::from_seed(0));
        // A state that other clients have left behind keeps their numbers; nobody calls by them any more.
        let clients = state.clients.iter().skip(1).map(|_| Account::default()).collect();
        let (skies, latency, heals) = (Skies::default(), Duration::ZERO, 0);
        let (faults, audit, wrong, held_up) = (Vec::new(), None, None, None);
        let inner = Inner { state, clients, faults, weather, chance, skies, audit, wrong, held_up, latency, heals };
        Arc::new(SimDisk { inner: Mutex::new(inner), healed: Condvar::new() })
    }

    /// One more client; a restarted process is a new one.
    pub fn client(self: &Arc<SimDisk>, name: &str) -> SimClientDirect {
        let mut inner = self.inner();
        let number = inner.state.add_client();
        inner.clients.push(Account { name: name.to_owned(), ..Account::default() });
        SimClientDirect { disk: Arc::clone(self), number }
    }

    /// What is on it now.
    pub fn state(&self) -> DiskState {
        self.inner().state.clone()
    }

    /// Lets the next `times` calls that match suffer this; what was injected first is tried first.
    pub fn inject(&self, times: u64, matches: impl Fn(&str, &Op) -> bool + Send + 'static, what: What) {
        self.inner().faults.push(Fault { left: times, matches: Box::new(matches), what });
    }

    /// Lets all calls that match fail with this, until [`SimDisk::heal`].
    pub fn fail(&self, matches: impl Fn(&Op) -> bool + Send + 'static, kind: io::ErrorKind) {
        self.inject(u64::MAX, move |_, op| matches(op), What::Fail(kind));
    }

    /// Faults by chance from here on.
    pub fn weather(&self, seed: u64, weather: Weather) {
        let mut inner = self.inner();
        (inner.weather, inner.chance) = (weather, Chance::from_seed(seed));
    }

    /// Judges every change of a name from here on; the first that is wrong is remembered.
    pub fn audit(&self, judge: impl FnMut(&Change<'_>) -> Result<(), String> + Send + 'static) {
        self.inner().audit = Some(Box::new(judge));
    }

    /// What the audit found first; or what somebody else did, by [`SimDisk::accuse`].
    pub fn wrong(&self) -> Option<String> {
        self.inner().wrong.clone()
    }

    /// Something is wrong that the disk cannot see by itself.
    pub fn accuse(&self, what: String) {
        self.inner().wrong.get_or_insert(what);
    }

    /// How many calls have arrived from the dead.
    pub fn n_late(&self) -> usize {
        self.inner().skies.n_late()
    }

    /// Whether a name is there now.
    pub fn has(&self, path: &str) -> bool {
        self.inner().state.inode(path).is_some()
    }

    /// What a call that is held up waits by; without it none is.
    pub(super) fn held_up_by(&self, wait: Option<HeldUp>) {
        self.inner().held_up = wait;
    }

    /// Whether the disk has room.
    pub fn room(&self, room: Room) {
        self.inner().state.room = room;
    }

    /// Ends all injected faults, the weather and a lack of room; hanging calls go on.
    pub fn heal(&self) {
        let mut inner = self.inner();
        inner.faults.clear();
        inner.weather = Weather::default();
        inner.state.room = Room::Plenty;
        inner.heals += 1;
        self.healed.notify_all();
    }

    /// Lets the directory be what it was, as a server does that is set back to a snapshot; see [`DiskState::set_back`].
    pub fn set_back(&self, older: &DiskState) {
        self.inner().state.set_back(older);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.inner().state.clock += by;
    }

    /// Time is at least this from here on; what it is then.
    pub fn sleep_until(&self, time: Duration) -> Duration {
        let clock = &mut self.inner().state.clock;
        *clock = time.max(*clock);
        *clock
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.inner().state.clock
    }

    /// Lets every call take so long from here on.
    pub fn latency(&self, each: Duration) {
        self.inner().latency = each;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, client: usize, op: &Op) -> Reply {
        let mut inner = self.inner();
        inner.count(client, op);
        let mut fault = inner.fault(client, op);
        if fault == Some(What::Hang) {
            let healed = inner.heals + 1;
            inner = self.healed.wait_while(inner, |inner| inner.heals < healed).unwrap_or_else(PoisonError::into_inner);
            fault = None;
        }
        let (mut inner, leg) = self.in_weather(inner, client, op);
        let reply = inner.execute(client, op, fault);
        inner.judge(client, op);
        if let Some((Leg::Reply, until)) = leg {
            drop(self.held_up(inner, until));
        }
        reply
    }

    /// What the weather does to a call before it is done, and whether its reply will be late.
    fn in_weather<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        client: usize,
        op: &Op,
    ) -> (MutexGuard<'a, Inner>, Option<(Leg, Duration)>) {
        if *op == Op::Now {
            return (inner, None);
        }
        inner.late_arrivals();
        let leg = inner.event(client, op);
        if let Some((Leg::Request, until)) = leg {
            inner = self.held_up(inner, until);
        }
        while let Some(until) = inner.skies.held_up(client, inner.state.clock).filter(|_| inner.held_up.is_some()) {
            inner = self.held_up(inner, until);
        }
        (inner, leg)
    }

    fn held_up<'a>(&'a self, inner: MutexGuard<'a, Inner>, until: Duration) -> MutexGuard<'a, Inner> {
        let Some(wait) = inner.held_up.clone() else { return inner };
        drop(inner);
        wait(until);
        self.inner()
    }
}

impl Inner {
    fn count(&mut self, client: usize, op: &Op) {
        if *op == Op::Now {
            return; // no call to the server
        }
        let account = &mut self.clients[client];
        if account.dies_at.is_some_and(|k| account.total + 1 >= k) {
            self.die(client, weather::Death::Process);
        }
        account.total += 1;
        let kind = op.kind();
        match account.calls.iter_mut().find(|(known, _)| std::ptr::eq(*known, kind)) {
            Some((_, n)) => *n += 1,
            None => account.calls.push((kind, 1)),
        }
    }

    fn die(&mut self, client: usize, how: weather::Death) -> ! {
        self.skies.died(client, how, &mut self.state);
        self.state.close_all(client);
        // Whatever its holds and handlers still call while it unwinds is not done.
        self.clients[client].dies_at = Some(0);
        stop_for_good()
    }

    /// Begins what the weather has for this call.
    fn event(&mut self, client: usize, op: &Op) -> Option<(Leg, Duration)> {
        let (event, now, chance) = (self.weather.event(&mut self.chance)?, self.state.clock, &mut self.chance);
        match event {
            Event::Delay => {
                let leg = if chance.below(2) == 0 { Leg::Request } else { Leg::Reply };
                return Some((leg, now + Duration::from_millis(chance.below(3000) as u64)));
            }
            Event::Hang => self.skies.hang(client, now, chance),
            Event::Full => self.skies.fill(client, now, chance),
            Event::Restart => self.skies.restart(&mut self.state, chance),
            Event::Death if self.clients[client].mortal => {
                self.skies.send_late(client, op, now, chance);
                let how = if chance.below(2) == 0 { weather::Death::Process } else { weather::Death::Machine };
                self.die(client, how);
            }
            Event::Death => {}
        }
        None
    }

    fn late_arrivals(&mut self) {
        while let Some((dead, op)) = self.skies.arrived(self.state.clock) {
            self.state.execute_unheard(dead, &op);
            self.judge(dead, &op);
        }
    }

    fn judge(&mut self, client: usize, op: &Op) {
        let Some(audit) = &mut self.audit else { return };
        if op.may_lose_its_reply() {
            let change = Change { state: &self.state, client, name: &self.clients[client].name, op, skies: &self.skies };
            if let Err(what) = audit(&change) {
                self.wrong.get_or_insert(what);
            }
        }
    }

    fn fault(&mut self, client: usize, op: &Op) -> Option<What> {
        let name = &self.clients[client].name;
        if *op == Op::Now {
            return None;
        }
        if let Some(fault) = self.faults.iter_mut().find(|fault| fault.left > 0 && (fault.matches)(name, op)) {
            fault.left -= 1;
            return Some(fault.what);
        }
        let Weather { lost_replies_per_mille: lost, stale_per_mille: stale, broken_locks_per_mille: broken, .. } = self.weather;
        if op.may_lose_its_reply() && self.chance.hits(lost) {
            return Some(What::LoseReply);
        }
        if matches!(op, Op::TryLock { .. }) && self.chance.hits(broken) {
            return Some(What::LockSays(Lock::Broken));
        }
        (self.chance.hits(stale) && self.state.may_be_stale(client, op)).then_some(What::Stale)
    }

    fn execute(&mut self, client: usize, op: &Op, fault: Option<What>) -> Reply {
        if *op != Op::Now {
            self.state.clock += self.latency;
        }
        let variant = match fault {
            Some(What::Fail(kind)) => Variant::Fails(kind),
            Some(What::Stale) if self.state.may_be_stale(client, op) => Variant::Stale,
            Some(What::LockSays(lock)) if matches!(op, Op::TryLock { .. }) => Variant::Lock(lock),
            Some(What::LoseReply) => {
                self.state.execute_unheard(client, op);
                Variant::True
            }
            None | Some(What::Stale | What::LockSays(_) | What::Hang) => Variant::True,
        };
        let now = self.state.clock;
        if op.grows() && self.skies.is_full(client, now) {
            if let Op::Flush { hold } = op {
                self.skies.flush_failed(*hold, &mut self.state, &mut self.chance);
            }
            return Reply::Failed(io::ErrorKind::StorageFull);
        }
        let stale = self.weather.stale_attributes_per_mille;
        if let Some(old) = self.skies.old_attributes(client, op, &self.state).filter(|_| self.chance.hits(stale)) {
            return Reply::Look(old);
        }
        let reply = self.state.execute(client, op, variant);
        if self.held_up.is_some() {
            self.skies.note(client, op, &reply, &self.state);
        }
        reply
    }
}

impl SimClientDirect {
    /// It may die by the [`Weather`]; see [`survives`].
    #[must_use]
    pub fn mortal(self) -> SimClientDirect {
        self.disk.inner().clients[self.number].mortal = true;
        self
    }

    /// Lets this client die at its k-th call from now (the first is 1): that call and all after it are not done, and unwind. See [`survives`].
    pub fn die_at(&self, k: u64) {
        let mut inner = self.disk.inner();
        let account = &mut inner.clients[self.number];
        account.dies_at = Some(account.total + k);
    }

    /// Its calls so far, by kind.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        let mut calls = BTreeMap::new();
        self.disk.inner().clients[self.number].calls.iter().for_each(|(kind, n)| *calls.entry(*kind).or_default() += n);
        calls
    }

    /// Its calls so far.
    pub fn calls_total(&self) -> u64 {
        self.disk.inner().clients[self.number].total
    }

    fn call(&self, op: Op) -> io::Result<Reply> {
        match self.disk.call(self.number, &op) {
            Reply::Failed(kind) => Err(kind.into()),
            reply => Ok(reply),
        }
    }

    fn hold(&self, id: HoldId) -> Box<dyn Hold> {
        Box::new(DirectHold { client: self.clone(), id })
    }
}

impl Disk for SimClientDirect {
    disk_by_calls!();
}

impl Hold for DirectHold {
    hold_by_calls!();
}

impl Drop for DirectHold {
    fn drop(&mut self) {
        let mut inner = self.client.disk.inner();
        inner.skies.closed(self.id);
        inner.state.close(self.id);
    }
}
