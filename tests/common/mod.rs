//! The fixture: a farm is a temporary folder with inputs and jobs, and the programs started in it.
//!
//! Its programs run in that folder, each in a process group of its own, and all are killed when the farm is dropped. When a test fails, every
//! command with its status and words is printed, then every job's tree and logs. `FLOCKWORK_TEST_DIR` says where farms are made (for a mount to be tested).

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

mod books;

pub use books::{BOOKS, book, word};

/// The program under test.
pub const FLOCKWORK: &str = env!("CARGO_BIN_EXE_flockwork");
/// No command of these tests needs longer, also on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A temporary folder, and what runs in it.
pub struct Farm {
    dir: tempfile::TempDir,
    programs: RefCell<Vec<Rc<Program>>>,
}

/// A program that was started.
pub struct Program {
    words: String,
    child: RefCell<Child>,
    group: Pid,
    said: PathBuf,
    status: Cell<Option<ExitStatus>>,
}

impl Farm {
    /// An empty one.
    pub fn new() -> Farm {
        let mut builder = tempfile::Builder::new();
        builder.prefix("flockwork-test-");
        let dir = match std::env::var_os("FLOCKWORK_TEST_DIR") {
            Some(place) => builder.tempdir_in(place),
            None => builder.tempdir(),
        };
        Farm { dir: dir.expect("a temporary folder"), programs: RefCell::default() }
    }

    /// One with the eight books in `books/`.
    pub fn with_books() -> Farm {
        let farm = Farm::new();
        for (number, name) in (0..).zip(BOOKS) {
            farm.write(&format!("books/{name}"), books::book(number));
        }
        farm
    }

    /// Where `name` lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, making its folder.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("in the farm")).expect("the folder can be made");
        std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Writes a program: a script, or what it is given.
    pub fn write_program(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.write(".program", bytes);
        self.copy_program(self.path(".program"), name);
    }

    /// Copies a program, by another process: what this one has open for writing is open, too, in whatever another test has just forked,
    /// and what is open for writing cannot be started (ETXTBSY).
    pub fn copy_program(&self, from: impl AsRef<OsStr>, name: &str) {
        let mut install = Command::new("install");
        install.args(["-D", "-m", "755", "--"]).arg(from).arg(self.path(name));
        assert!(install.status().expect("install(1) is there").success(), "cannot copy a program to {name}");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("cannot read {name}: {error}"))
    }

    /// Whether something of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// The names in a folder, sorted, without those that begin with a dot; none if there is no such folder.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
        let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort_unstable();
        names
    }

    /// Starts flockwork in the farm.
    pub fn start(&self, args: &[&str]) -> Rc<Program> {
        self.start_as(Path::new(FLOCKWORK), args)
    }

    /// Starts another program in the farm.
    pub fn start_as(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Rc<Program> {
        let program = program.as_ref();
        let mut programs = self.programs.borrow_mut();
        let said = self.path(&format!(".said-{}", programs.len()));
        let file = |end: &str| std::fs::File::create(said.with_extension(end)).expect("a file for what it says");
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path()).env_remove("NO_COLOR").process_group(0);
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let group = Pid::from_child(&child);
        let words = format!("{} {}", Path::new(program).file_name().unwrap_or_default().display(), args.join(" "));
        programs.push(Rc::new(Program { words, child: RefCell::new(child), group, said, status: Cell::default() }));
        Rc::clone(programs.last().expect("just pushed"))
    }

    /// Runs flockwork in the farm to its end.
    pub fn run(&self, args: &[&str]) -> Rc<Program> {
        let program = self.start(args);
        program.wait();
        program
    }

    /// Runs flockwork in the farm to a good end.
    pub fn ok(&self, args: &[&str]) -> Rc<Program> {
        let program = self.run(args);
        program.ends_with(0);
        program
    }

    /// What `flockwork sequential` says: the oracle.
    pub fn sequential(&self, app: &str, more: &[&str]) -> Vec<u8> {
        self.ok(&[&["sequential", app], more].concat()).stdout()
    }

    /// A job's outputs, in order, as one.
    pub fn outputs(&self, job: &str) -> Vec<u8> {
        let folder = format!("{job}/output");
        self.names(&folder)
            .iter()
            .filter(|name| name.starts_with("mr-out-"))
            .flat_map(|name| self.read(&format!("{folder}/{name}")))
            .collect()
    }

    /// The job has finished with these bytes, and nothing is left to be claimed or claimed.
    pub fn finished_with(&self, job: &str, expected: &[u8]) {
        assert!(self.has(&format!("{job}/phase/finished")), "{job} has finished");
        self.same_bytes(&self.outputs(job), expected, job);
        self.is_settled(job);
    }

    /// The same bytes; if not, the first line that differs is told.
    pub fn same_bytes(&self, found: &[u8], expected: &[u8], what: &str) {
        if found == expected {
            return;
        }
        let lines = |bytes: &[u8]| bytes.split(|&b| b == b'\n').map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>();
        let (there, wanted) = (lines(found), lines(expected));
        let at = there.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(its end)".to_owned());
        let (there, wanted) = (line(&there), line(&wanted));
        panic!("{what}: {} bytes, not {}; line {}: {there:?}, not {wanted:?}", found.len(), expected.len(), at + 1);
    }

    /// Nothing is left to be claimed or claimed.
    pub fn is_settled(&self, job: &str) {
        assert_eq!(self.names(&format!("{job}/pending")), [""; 0], "nothing is left in pending/");
        assert_eq!(self.names(&format!("{job}/claimed")), [""; 0], "nothing is left in claimed/");
    }

    /// Waits for something, and gives it.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} in vain: {what}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until `folder` holds a name that begins with `prefix`, and gives the first.
    pub fn wait_for_name(&self, folder: &str, prefix: &str) -> String {
        self.wait_for(&format!("{folder}/{prefix}… is there"), || self.names(folder).into_iter().find(|name| name.starts_with(prefix)))
    }

    /// Waits until `folder` holds so many names.
    pub fn wait_for_names(&self, folder: &str, n: usize) -> Vec<String> {
        self.wait_for(&format!("{folder} holds {n} names"), || Some(self.names(folder)).filter(|names| names.len() >= n))
    }

    /// The live slots of a job, in the order of their names. Only processes that are slots of this very farm are given.
    pub fn slots(&self, job: &str) -> Vec<Pid> {
        let pids = self.names(&format!("{job}/workers")).into_iter().filter_map(|name| pid_of(&name));
        pids.filter(|pid| self.is_slot(*pid)).collect()
    }

    /// Sends a signal to the slot that `name` (of a worker, or of a claim) speaks of. False if it lives no more.
    pub fn signal_slot(&self, name: &str, signal: Signal) -> bool {
        let pid = pid_of(name).unwrap_or_else(|| panic!("{name} names a process"));
        self.is_slot(pid) && kill_process(pid, signal).is_ok()
    }

    /// Whether `pid` is a slot that was started in this farm: numbers of processes are used again.
    fn is_slot(&self, pid: Pid) -> bool {
        let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
        let is_slot = std::fs::read(proc.join("cmdline")).is_ok_and(|line| line.split(|&b| b == 0).nth(1) == Some(b"slot"));
        is_slot && std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == self.dir.path().canonicalize().expect("the farm is there"))
    }

    /// Now, by the clock that stamps this farm's files, in seconds.
    pub fn now(&self) -> f64 {
        self.write(".now", b"");
        changed(&self.path(".now"))
    }

    /// Shuts the gate `gate` for the tasks of the example `dawdle` that were told of it.
    pub fn shut(&self) {
        self.write("gate/shut", "");
    }

    /// Lets them go on.
    pub fn open_gate(&self) {
        std::fs::remove_file(self.path("gate/shut")).expect("it was shut");
    }

    /// How often a task has come to the gate.
    pub fn calls(&self) -> usize {
        self.names("gate").iter().filter(|name| name.starts_with("call.")).count()
    }

    /// Waits until tasks have come to the gate so often.
    pub fn wait_for_calls(&self, n: usize) {
        self.wait_for(&format!("{n} tasks have come to the gate"), || (self.calls() >= n).then_some(()));
    }

    /// All that helps to understand a failure.
    fn dump(&self) -> String {
        let mut text = format!("=== the farm {}\n", self.dir.path().display());
        for program in self.programs.borrow().iter() {
            program.look();
            let status = program.status.get().map_or_else(|| "still running".to_owned(), |status| status.to_string());
            let _ = writeln!(text, "--- {} -> {status}", program.words);
            let _ = write!(text, "{}{}", clip(&program.stderr(), 4000), clip(&String::from_utf8_lossy(&program.stdout()), 600));
        }
        for job in self.names(".").iter().filter(|name| self.has(&format!("{name}/job.json"))) {
            let _ = writeln!(text, "--- the tree of {job}");
            for folder in
                [".", "phase", "workers", "pending", "claimed", "done", "failed", "expired", "output", "output/.attempts", "shuffle"]
            {
                let names = self.names(&format!("{job}/{folder}"));
                let _ = writeln!(text, "{folder}/ ({}) {}", names.len(), clip(&names.join("  "), 700));
            }
            for log in self.names(&format!("{job}/log")) {
                let said = std::fs::read(self.path(&format!("{job}/log/{log}"))).unwrap_or_default();
                let _ = writeln!(text, "--- {job}/log/{log}\n{}", clip(&String::from_utf8_lossy(&said), 1500));
            }
        }
        text
    }
}

#[expect(clippy::disallowed_macros, reason = "of a test that has failed already")]
impl Drop for Farm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.dump());
        }
        for program in self.programs.get_mut() {
            program.kill();
        }
    }
}

impl Program {
    /// Waits for its end.
    pub fn wait(&self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.look() {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "`{}` has not ended after {LIMIT:?}", self.words);
            std::thread::sleep(LOOK);
        }
    }

    /// Its status, if it has ended.
    pub fn look(&self) -> Option<ExitStatus> {
        if self.status.get().is_none() {
            self.status.set(self.child.borrow_mut().try_wait().expect("a child of ours can be waited for"));
        }
        self.status.get()
    }

    /// Waits for its end, and asserts its exit status.
    pub fn ends_with(&self, code: i32) {
        let status = self.wait();
        assert_eq!(status.code(), Some(code), "the exit status of `{}` ({status}), which said: {}", self.words, self.stderr());
    }

    /// Waits for its end by a failure that it tells in these words, and without a panic.
    pub fn fails_saying(&self, code: i32, parts: &[&str]) {
        self.ends_with(code);
        let said = self.stderr();
        for part in parts {
            assert!(said.contains(part), "`{}` says {part:?}; it said: {said}", self.words);
        }
        assert!(!said.contains("panicked"), "`{}` does not panic: {said}", self.words);
    }

    /// What it has written to stdout.
    pub fn stdout(&self) -> Vec<u8> {
        std::fs::read(self.said.with_extension("out")).expect("what it said is there")
    }

    /// What it has written to stderr.
    pub fn stderr(&self) -> String {
        let bytes = std::fs::read(self.said.with_extension("err")).expect("what it said is there");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The processor time of the process alone so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.group.as_raw_nonzero())).expect("it lives");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name in brackets").1.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number of ticks");
        // Fields 14 and 15, at 100 ticks a second on Linux.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Whether the process alone has come so far that an interrupt does not just kill it.
    pub fn heeds_interrupts(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group.as_raw_nonzero())).unwrap_or_default();
        let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        // A bit per signal, from 1 on; SIGINT is 2.
        caught.is_some_and(|caught| caught & 0b10 != 0)
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: Signal) {
        if self.look().is_none() {
            let _ = kill_process(self.group, signal);
        }
    }

    /// Sends a signal to it and its slots, as a terminal does.
    pub fn signal_all(&self, signal: Signal) {
        if self.look().is_none() {
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// `kill -9`, the process alone; its slots die with it.
    pub fn kill_alone(&self) {
        self.signal(Signal::KILL);
        self.is_killed_or_ended_well();
    }

    /// It has ended, and not by a fault of its own.
    pub fn is_killed_or_ended_well(&self) {
        let status = self.wait();
        assert!(status.signal() == Some(9) || status.success(), "{status}: {}", self.stderr());
    }

    /// Ends it and all it has started.
    pub fn kill(&self) {
        // A leader that was waited for gives its number back, but never while a member of its group lives.
        let alive = self.look().is_none();
        if alive {
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.borrow_mut().wait();
        }
    }
}

/// The process that a worker's or claim's name speaks of: `…host.PID.nonce`.
pub fn pid_of(name: &str) -> Option<Pid> {
    let (rest, _nonce) = name.rsplit_once('.')?;
    Pid::from_raw(rest.rsplit_once('.')?.1.parse().ok()?)
}

/// The worker in a claim's name.
pub fn worker_of(claim: &str) -> &str {
    claim.split_once('@').unwrap_or_else(|| panic!("{claim} is a claim's name")).1
}

/// Sets the permissions of a file or folder.
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode is set");
}

/// When `path` was last written, touched or moved, as its file system stamped it, in seconds.
pub fn changed(path: &Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let meta = path.symlink_metadata().unwrap_or_else(|error| panic!("cannot look at {}: {error}", path.display()));
    meta.ctime() as f64 + meta.ctime_nsec() as f64 / 1e9
}

fn clip(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let start = text.char_indices().map(|(at, _)| at).find(|at| text.len() - at <= limit).unwrap_or(0);
    format!("[...]{}", &text[start..])
}
