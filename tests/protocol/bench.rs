//! A job on the simulated disk: the real submit, plan, claims and coordinator; a word count so small that a task is a handful of disk calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flockwork::control::Control;
use flockwork::coordinator::leases::Leases;
use flockwork::coordinator::{Coordinator, Tick};
use flockwork::data::{Counters, Failure, FileSum, Made, Piece, ShuffleForm, Split};
use flockwork::disk::sim::run::{SimClientDirect, SimDisk};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns;
use flockwork::disk::{Disk, Flush};
use flockwork::ids::{ClaimName, Phase, TaskFile, TaskId, WorkerName};
use flockwork::job::claim::Claim;
use flockwork::job::end::{End, Outcome};
use flockwork::job::log::Log;
use flockwork::job::register::Presence;
use flockwork::job::spec::{Ask, Bundle, FORMAT, Spec};
use flockwork::job::{layout, plan, record, spec};
use flockwork::worker::{Pulse, Tasks, Turn, Worker, assign};

/// Only for messages.
pub fn root() -> &'static Path {
    Path::new("/job")
}

/// `host.number.inc`
pub fn name(host: &str, number: u32) -> WorkerName {
    WorkerName::new(host, number, "x")
}

/// A job with so many tasks.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub maps: u32,
    pub reduces: u32,
}

/// What was asked.
pub fn spec(size: Size) -> Spec {
    let ask = Ask {
        app: "wc".to_owned(),
        options: BTreeMap::new(),
        inputs: Vec::new(),
        reduces: size.reduces,
        split_bytes: 1,
        split_lines: None,
        shuffle: ShuffleForm::Json,
        lease_ms: 10_000,
        memory_bytes: 1 << 20,
        max_errors: 4,
        max_lost: 16,
        stall_ms: 600_000,
        skip_bad_records: false,
        backup: true,
        bundle: Bundle::ONE,
        output: "output".to_owned(),
        priority: 0,
        after: Vec::new(),
    };
    Spec { format: FORMAT, id: "bench".to_owned(), submitted: String::new(), cwd: String::new(), ask }
}

/// Map task `task`'s text, which stands in its split's name.
fn text(task: u32) -> String {
    let words = ["the", "a", "sheep", "flock", "work", "wolf", "dog"];
    (0..6).map(|n| words[(task as usize * 5 + n * n) % words.len()]).collect::<Vec<_>>().join(" ")
}

fn split(task: u32) -> Split {
    let piece = Piece { name: text(task), path: "none".to_owned(), file: 0, from: 0, to: 1, len: 1, mtime_ns: 0 };
    Split { pieces: vec![piece] }
}

fn partition(word: &str, reduces: u32) -> u32 {
    word.bytes().map(u32::from).sum::<u32>() % reduces
}

fn count(words: impl Iterator<Item = (String, u64)>) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    words.for_each(|(word, n)| *counts.entry(word).or_default() += n);
    counts.iter().map(|(word, n)| format!("{word} {n}\n")).collect()
}

fn counted_words(text: &str, of: u32, reduces: u32) -> String {
    count(text.split(' ').filter(|word| partition(word, reduces) == of).map(|word| (word.to_owned(), 1)))
}

fn lines(text: &str) -> Vec<(String, u64)> {
    let pair = |line: &str| line.rsplit_once(' ').map(|(word, n)| (word.to_owned(), n.parse().expect("a number")));
    text.lines().filter_map(pair).collect()
}

/// What output `of` must hold.
pub fn expected(size: Size, of: u32) -> String {
    count((0..size.maps).flat_map(|task| lines(&counted_words(&text(task), of, size.reduces))))
}

/// Submits and plans the job `spec` of `maps` map tasks.
pub fn submit(disk: &dyn Disk, spec: &Spec, maps: u32) {
    let _ = spec::submit(disk, root(), spec).expect("submit");
    disk.make_dir("output/.attempts").expect("make the attempts' folder");
    let splits: Vec<Split> = (0..maps).map(split).collect();
    let _ = plan::create_map(disk, root(), &spec.id, &splits, None).expect("plan");
}

/// The directory after [`submit`].
pub fn submitted(size: Size) -> DiskState {
    let disk = SimDisk::new();
    submit(&disk.client("submitter"), &spec(size), size.maps);
    disk.state()
}

fn sum(name: &str, bytes: &[u8]) -> FileSum {
    FileSum { name: name.to_owned(), len: bytes.len() as u64, crc32: crc32fast::hash(bytes), sections: 1 }
}

/// What the map attempt `claim` makes, with the content of each file.
pub fn map_files(claim: &ClaimName, text: &str, reduces: u32) -> (Made, Vec<Vec<u8>>) {
    let contents: Vec<Vec<u8>> = (0..reduces).map(|of| counted_words(text, of, reduces).into_bytes()).collect();
    let names = (0..reduces).map(|of| layout::shuffle_json(claim, of).split_off("shuffle/".len()));
    let files = names.zip(&contents).map(|(name, bytes)| sum(&name, bytes)).collect();
    (Made { files, counters: Counters::from([("words".to_owned(), text.split(' ').count() as u64)]), ..Made::default() }, contents)
}

/// The same for map task `task` of the bench.
pub fn map_made(claim: &ClaimName, reduces: u32) -> (Made, Vec<Vec<u8>>) {
    map_files(claim, &claim.attempt.block().tasks().map(text).collect::<Vec<_>>().join(" "), reduces)
}

/// The miniature word count.
pub struct Mini {
    pub disk: Arc<dyn Disk>,
    pub reduces: u32,
    /// What goes wrong with an attempt before it begins.
    pub mishap: fn(&ClaimName) -> Option<Failure>,
    /// A bug: for a retracted block it reads one that holds more.
    pub takes_larger: bool,
}

impl Mini {
    pub fn new(disk: Arc<dyn Disk>, reduces: u32) -> Mini {
        Mini { disk, reduces, mishap: |_| None, takes_larger: false }
    }

    fn write(&self, dir: &str, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.disk.draft(dir, bytes, Flush::Always).and_then(|draft| match self.disk.rename(&draft, path) {
            Err(error) if !flockwork::disk::rename::is_gone(&error) => Err(error),
            _ => Ok(()),
        });
        written.map_err(|error| Failure::Disk(flockwork::Error::io("cannot write", path, error)))
    }

    fn map(&self, claim: &ClaimName) -> Result<Made, Failure> {
        let split = assign::split(&*self.disk, root(), claim.attempt.block(), &mut None).map_err(Failure::Disk)?;
        let texts: Vec<&str> = split.pieces.iter().map(|piece| &piece.name[..]).collect();
        let (made, contents) = map_files(claim, &texts.join(" "), self.reduces);
        for (file, bytes) in made.files.iter().zip(&contents) {
            self.write("shuffle", &format!("shuffle/{}", file.name), bytes)?;
        }
        Ok(made)
    }

    fn is_whole(&self, file: &FileSum) -> Option<Vec<u8>> {
        let path = format!("shuffle/{}", file.name);
        (0..2).find_map(|_| {
            let _ = flockwork::disk::fresh::renew(&*self.disk, "shuffle");
            self.disk.read(&path, 1 << 20).ok().filter(|bytes| sum(&file.name, bytes) == *file)
        })
    }

    fn take_larger(&self, of: u32, inputs: &mut [(String, FileSum)], damaged: &[String]) -> bool {
        let listed = self.disk.list("done").expect("listed");
        let done: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        let mut took = false;
        for (attempt, file) in inputs.iter_mut().filter(|(attempt, _)| damaged.contains(attempt)) {
            let block = attempt.parse::<ClaimName>().expect("a claim").attempt.block();
            if let Some(larger) = done.iter().find(|claim| claim.attempt.block() != block && claim.attempt.block().holds(block)) {
                let (made, _) = map_made(larger, self.reduces);
                (*attempt, *file) = (larger.to_string(), made.files[of as usize].clone());
                took = true;
            }
        }
        took
    }

    fn reduce(&self, claim: &ClaimName) -> Result<Made, Failure> {
        let of = claim.attempt.task.number;
        let mut planned = assign::shuffle_inputs(&*self.disk, root(), of).map_err(Failure::Disk)?;
        loop {
            let read: Vec<Option<Vec<u8>>> = planned.iter().map(|(_, file)| self.is_whole(file)).collect();
            let missing = planned.iter().zip(&read).filter(|(_, bytes)| bytes.is_none());
            let damaged: Vec<String> = missing.map(|((attempt, _), _)| attempt.clone()).collect();
            if damaged.is_empty() {
                let all = read.into_iter().flatten().flat_map(|bytes| lines(&String::from_utf8(bytes).expect("text")));
                let output = count(all);
                let path = format!("output/.attempts/{claim}");
                self.write("output/.attempts", &path, output.as_bytes())?;
                let counters = Counters::from([("lines".to_owned(), output.lines().count() as u64)]);
                return Ok(Made { files: vec![sum(&claim.to_string(), output.as_bytes())], counters, ..Made::default() });
            }
            if self.takes_larger && self.take_larger(of, &mut planned, &damaged) {
                continue;
            }
            let replaced = assign::replace_retracted(&*self.disk, root(), of, &mut planned, &damaged).map_err(Failure::Disk)?;
            if replaced.count < damaged.len() {
                return Err(Failure::Damaged([damaged, replaced.unreadable].concat()));
            }
        }
    }
}

impl Tasks for Mini {
    fn run(&mut self, claim: &ClaimName, _: &Control) -> Result<Made, Failure> {
        if let Some(failure) = (self.mishap)(claim) {
            return Err(failure);
        }
        match claim.attempt.task.phase {
            Phase::Map => self.map(claim),
            Phase::Reduce => self.reduce(claim),
        }
    }

    fn discard(&mut self, claim: &ClaimName) {
        match claim.attempt.task.phase {
            Phase::Map => (0..self.reduces).for_each(|of| _ = self.disk.remove(&layout::shuffle_json(claim, of))),
            Phase::Reduce => _ = self.disk.remove(&format!("output/.attempts/{claim}")),
        }
    }
}

/// A heart without threads, which never beats: attempts take no time here.
#[derive(Default)]
pub struct Still {
    claim: RefCell<Option<Claim>>,
}

impl Pulse for Still {
    fn start(&self, claim: Claim) -> Arc<Control> {
        self.claim.replace(Some(claim));
        Arc::default()
    }

    fn finish(&self) -> Option<Claim> {
        self.claim.take()
    }

    fn rest(&self) {}

    fn well(&self) {}

    fn trouble(&self, text: &str) {
        panic!("a disk with room refused: {text}");
    }

    fn is_leaving(&self) -> bool {
        false
    }

    fn gives_back(&self) -> bool {
        false
    }
}

/// A worker process: registers, takes the real turns.
pub struct Slot {
    pub worker: Worker,
    pub tasks: Mini,
    pulse: Still,
    _presence: Presence,
}

impl Slot {
    /// Starts it; `None` says that the disk refused.
    pub fn start(client: &SimClientDirect, spec: &Spec, name: &WorkerName) -> Slot {
        let disk: Arc<dyn Disk> = Arc::new(client.clone());
        let presence = Presence::register(&*disk, name, 0).expect("register");
        let worker = Worker::new(Arc::clone(&disk), root().to_owned(), spec.clone(), name.clone(), u64::from(name.pid()), Log::none());
        let tasks = Mini::new(disk, spec.ask.reduces);
        Slot { worker, tasks, pulse: Still::default(), _presence: presence }
    }

    /// One turn, in the words of [`turns`].
    pub fn step(&mut self) -> turns::Turn {
        in_words(self.worker.turn(&mut self.tasks, &self.pulse))
    }

    /// The same, with other tasks.
    pub fn turn(&mut self, tasks: &mut dyn Tasks) -> turns::Turn {
        in_words(self.worker.turn(tasks, &self.pulse))
    }
}

fn in_words(turn: flockwork::Result<Turn>) -> turns::Turn {
    match turn.expect("a turn") {
        Turn::Worked(_) | Turn::Superseded(_) | Turn::Missed => turns::Turn::Ready,
        Turn::Idle | Turn::Paused | Turn::Unfit(_) => turns::Turn::Wait(Duration::from_secs(1)),
        Turn::Ended(_) | Turn::Leave => turns::Turn::Done,
    }
}

/// A coordinator process: the real ticks, and looks at heartbeats every tenth of a lease.
pub struct Boss {
    disk: Arc<dyn Disk>,
    coordinator: Coordinator,
    leases: Leases,
}

impl Boss {
    pub fn start(client: &SimClientDirect, spec: &Spec, maps: u32, name: &WorkerName) -> Boss {
        Boss::start_on(Arc::new(client.clone()), spec, maps, name)
    }

    /// The same on any disk.
    pub fn start_on(disk: Arc<dyn Disk>, spec: &Spec, maps: u32, name: &WorkerName) -> Boss {
        Boss::try_start(disk, spec, maps, name).expect("the lock's file")
    }

    /// The same on a disk that may refuse.
    pub fn try_start(disk: Arc<dyn Disk>, spec: &Spec, maps: u32, name: &WorkerName) -> io::Result<Boss> {
        let _ = flockwork::disk::create::create_once(&*disk, layout::COORDINATOR_LOCK, b"")?;
        let coordinator = Coordinator::new(Arc::clone(&disk), root().to_owned(), name.clone(), spec.clone(), maps, Log::none());
        Ok(Boss { disk, coordinator, leases: Leases::new(spec.ask.lease()) })
    }

    /// The same, that has so many tasks unclaimed at once, in however small a job.
    pub fn with_window(self, least: usize) -> Boss {
        Boss { coordinator: self.coordinator.with_window(least), ..self }
    }

    /// The same, that has seen so many tasks, a power of two, take 49 ms: it makes blocks of so many, where that was asked for.
    pub fn that_saw(self, tasks: u32) -> Boss {
        let block = flockwork::ids::Block::first_of(&(0..tasks), flockwork::ids::ORDER_MAX);
        Boss { coordinator: self.coordinator.with_pace(block, 49), ..self }
    }

    /// One look at the leases and one tick.
    pub fn step(&mut self) -> turns::Turn {
        self.try_step().expect("a disk that refuses nothing")
    }

    /// The same on a disk that may refuse.
    pub fn try_step(&mut self) -> flockwork::Result<turns::Turn> {
        let refused = |error| flockwork::Error::io("cannot look at the claims", "claimed", error);
        let listed = self.disk.list("claimed").map_err(refused)?;
        let claims: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        self.leases.look(&*self.disk, &claims).map_err(refused)?;
        let Tick { ended, snapshot, .. } = self.coordinator.tick(&self.leases.watched())?;
        self.coordinator.keep(snapshot);
        Ok(if ended { turns::Turn::Done } else { turns::Turn::Wait(self.leases.period()) })
    }
}

/// The end, where there is one.
pub fn end(state: &DiskState) -> Option<End> {
    state.bytes("phase/end").map(|bytes| serde_json::from_slice(bytes).expect("an end"))
}

/// Everything that must be true whatever has happened so far.
pub fn check_always(state: &DiskState) -> Result<(), String> {
    let deeds = state.deeds();
    let once = |path: &str| {
        let dirs = ["claimed/", "done/", "failed/", "phase/", "output/"];
        // An end on its way may be given up, and come again.
        dirs.iter().any(|dir| path.starts_with(dir)) && !path.starts_with("phase/ending.")
            || (path.starts_with("expired/") && path.contains('@'))
    };
    if let Some((path, n)) = deeds.made.iter().find(|(path, n)| **n > 1 && once(path)) {
        return Err(format!("{path} was made {n} times"));
    }
    if let Some(path) = deeds.replaced.iter().find(|path| once(path)) {
        return Err(format!("{path} was replaced"));
    }
    let kept = |path: &&String| path.starts_with("expired/") || path.starts_with("failed/") || path.starts_with("output/mr-");
    if let Some(path) = deeds.left.iter().find(kept) {
        return Err(format!("{path} is no more"));
    }
    let mut seen = BTreeSet::new();
    for dir in ["claimed", "done", "failed", "expired"] {
        for entry in state.children(dir) {
            if entry.name.contains('@') && !seen.insert(entry.name.clone()) {
                return Err(format!("{} lies in two directories, one of them {dir}", entry.name));
            }
        }
    }
    Ok(())
}

/// Every file in `done/` holds one result, its own. (Not where records are damaged on purpose.) Where a flush failed it may be said again.
pub fn check_records(state: &DiskState) -> Result<(), String> {
    for entry in state.children("done") {
        let lines = record::parse(state.bytes(&format!("done/{}", entry.name)).expect("listed"));
        let own = lines.iter().filter(|line| line.by == entry.name);
        let results: Vec<_> =
            own.filter_map(|line| if let record::Event::Result { made, .. } = &line.event { Some(made) } else { None }).collect();
        if results.is_empty() || results.iter().any(|made| *made != results[0]) {
            return Err(format!("done/{} holds {} results of its own", entry.name, results.len()));
        }
    }
    Ok(())
}

/// The job has ended well, with the right bytes, each task counted once and nothing left lying about.
pub fn check_finished(state: &DiskState, size: Size) -> Result<(), String> {
    check_end(state, size)?;
    if state.inode("phase/finished") != state.inode("phase/end") || state.inode("phase/failed").is_some() {
        return Err("the end has a wrong second name".to_owned());
    }
    match ["pending", "claimed"].into_iter().find(|dir| !state.children(dir).is_empty()) {
        Some(dir) => Err(format!("{:?} stay in {dir}/", state.children(dir))),
        None => Ok(()),
    }
}

/// The end is decided, with the right bytes and each task counted once.
fn check_end(state: &DiskState, size: Size) -> Result<(), String> {
    check_always(state)?;
    check_records(state)?;
    let end = end(state).ok_or("there is no end")?;
    if end.outcome != Outcome::Finished {
        return Err(format!("it ended {:?}: {:?}", end.outcome, end.error));
    }
    for of in 0..size.reduces {
        let path = format!("output/{}", layout::output_name(of));
        let bytes = state.bytes(&path).ok_or_else(|| format!("there is no {path}"))?;
        if bytes != expected(size, of).as_bytes() {
            return Err(format!("{path} holds {:?}", String::from_utf8_lossy(bytes)));
        }
        let sum = &end.outputs[of as usize];
        if (sum.len, sum.crc32) != (bytes.len() as u64, crc32fast::hash(bytes)) {
            return Err(format!("{path} is described wrongly"));
        }
        if state.inode(&format!("output/.attempts/{}", sum.attempt)) != state.inode(&path) {
            return Err(format!("{path} is not of {}", sum.attempt));
        }
    }
    let lines: u64 = (0..size.reduces).map(|of| expected(size, of).lines().count() as u64).sum();
    let counters = Counters::from([("lines".to_owned(), lines), ("words".to_owned(), 6 * u64::from(size.maps))]);
    if end.counters != counters {
        return Err(format!("counted {:?} and not {counters:?}", end.counters));
    }
    let done = done_tasks(state);
    if done.len() != (size.maps + size.reduces) as usize {
        return Err(format!("only {done:?} are done"));
    }
    Ok(())
}

/// The tasks that some attempt in `done/` holds.
pub fn done_tasks(state: &DiskState) -> BTreeSet<TaskId> {
    let blocks = state.children("done").into_iter().filter_map(|entry| Some(entry.name.parse::<TaskFile>().ok()?.attempt().block()));
    blocks.flat_map(|block| block.tasks().map(move |number| TaskId { number, ..block.first() })).collect()
}

/// Judges where the end has been decided, and perhaps not all cleared up: panics with all there is to say.
pub fn assert_ended(state: &DiskState, size: Size, about: &str) {
    if let Err(what) = check_end(state, size) {
        panic!("{about}: {what}\n{}", tree(state));
    }
}

/// Everything on the disk, for messages.
pub fn tree(state: &DiskState) -> String {
    let dirs = ["phase", "pending", "claimed", "done", "failed", "expired", "workers", "output"];
    let names = dirs.iter().flat_map(|dir| state.children(dir).into_iter().map(move |entry| format!("  {dir}/{}\n", entry.name)));
    names.collect()
}

/// Judges, and panics with all there is to say.
pub fn assert_finished(state: &DiskState, size: Size, about: &str) {
    if let Err(what) = check_finished(state, size) {
        panic!("{about}: {what}\n{}", tree(state));
    }
}
