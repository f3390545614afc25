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
    latency: Duration,
    heals: u64,
}

#[derive(Default)]
struct Account {
    name: String,
    calls: BTreeMap<&'static str, u64>,
    total: u64,
    dies_at: Option<u64>,
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

/// Faults by chance: of a thousand calls that may suffer them, so many do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Renames, links and removals whose reply is lost.
    pub lost_replies_per_mille: u16,
    /// Calls answered by what the client believes.
    pub stale_per_mille: u16,
    /// Tries to lock that are answered `Broken`.
    pub broken_locks_per_mille: u16,
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
        let inner = Inner { state, clients, faults: Vec::new(), weather, chance, latency: Duration::ZERO, heals: 0 };
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
        inner.execute(client, op, fault)
    }
}

impl Inner {
    fn count(&mut self, client: usize, op: &Op) {
        if *op == Op::Now {
            return; // no call to the server
        }
        let account = &mut self.clients[client];
        if account.dies_at.is_some_and(|k| account.total + 1 >= k) {
            self.state.close_all(client);
            resume_unwind(Box::new(Death));
        }
        account.total += 1;
        *account.calls.entry(op.kind()).or_default() += 1;
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
        let Weather { lost_replies_per_mille: lost, stale_per_mille: stale, broken_locks_per_mille: broken } = self.weather;
        if op.may_lose_its_reply() && self.chance.hits(lost) {
            return Some(What::LoseReply);
        }
        if matches!(op, Op::TryLock { .. }) && self.chance.hits(broken) {
            return Some(What::LockSays(Lock::Broken));
        }
        (stale > 0 && self.state.may_be_stale(client, op) && self.chance.hits(stale)).then_some(What::Stale)
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
        self.state.execute(client, op, variant)
    }
}

impl SimClientDirect {
    /// Lets this client die at its k-th call from now (the first is 1): that call and all after it are not done, and unwind. See [`survives`].
    pub fn die_at(&self, k: u64) {
        let mut inner = self.disk.inner();
        let account = &mut inner.clients[self.number];
        account.dies_at = Some(account.total + k);
    }

    /// Its calls so far, by kind.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.disk.inner().clients[self.number].calls.clone()
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
        self.client.disk.inner().state.close(self.id);
    }
}
