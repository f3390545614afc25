//! `job.json`: what was asked. Created once, by link; never changes. The file that makes a directory a job.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layout::{DIRS, JOB_JSON};
use crate::data::ShuffleForm;
use crate::disk::{Created, Disk, create, fresh};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::ORDER_MAX;
use crate::units::cut;

/// The on-disk format of jobs whose tasks have a file each.
pub const FORMAT: u32 = 1;
/// That of jobs where map tasks may share one, which older versions would not understand; the newest that this flockwork reads.
pub const FORMAT_OF_BUNDLES: u32 = 2;
/// Of a job with fewer map tasks none share a file, unless that was asked for.
const BUNDLED_MAPS_MIN: usize = 1024;
/// Two to the power of this many map tasks share a file at most, unless something else was asked for.
const BUNDLE_ORDER_AUTO: u8 = 16;

/// Largest `job.json` that is read, in bytes.
pub(super) const SPEC_BYTES_MAX: u64 = 64 << 20;

/// The app of jobs of commands; no program's own app is run under this name.
pub const COMMANDS_APP: &str = "each";
/// The app of jobs whose mapper and reducer are commands; it may do without a reducer.
pub const STREAM_APP: &str = "stream";
/// So many characters of a value are told where another job has another.
pub const TOLD_CHARS_MAX: usize = 60;
/// Most reduce tasks, and so output files.
pub const REDUCES_MAX: u32 = 100_000;

/// Longest lease or stall that is believed: a hundred years, so that sums of times stay within what a clock can say.
pub const TIME_MS_MAX: u64 = 100 * 366 * 24 * 3600 * 1000;

/// What was asked for. Unknown fields of a file are ignored; a newer `format` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// [`FORMAT`], or [`FORMAT_OF_BUNDLES`].
    pub format: u32,
    /// Random, so that another job at the same path is told apart.
    pub id: String,
    /// When it was submitted, by the submitter's clock; for people.
    pub submitted: String,
    /// The folder the inputs were typed in.
    pub cwd: String,
    /// What runs, and on what; its fields stand beside the others in the file.
    #[serde(flatten)]
    pub ask: Ask,
}

/// How many map tasks may share one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bundle {
    /// As many as take a second, by what is measured.
    Auto,
    /// The same, but no more than so many, which is a power of two. One: every task has a file of its own.
    AtMost(u32),
}

impl Bundle {
    /// Every task has a file of its own.
    pub const ONE: Bundle = Bundle::AtMost(1);

    /// Two to the power of this many tasks may share a file, in a job of so many map tasks.
    pub fn order_max(self, maps: usize) -> u8 {
        match self {
            Bundle::Auto if maps < BUNDLED_MAPS_MIN => 0,
            Bundle::Auto => BUNDLE_ORDER_AUTO,
            Bundle::AtMost(tasks) => (tasks.max(1).ilog2() as u8).min(ORDER_MAX),
        }
    }

    /// What an ask for this comes to in a job of so many map tasks; where none may share a file, it is as if that had been asked for.
    #[must_use]
    pub fn settled(self, maps: usize) -> Bundle {
        if self.order_max(maps) == 0 { Bundle::ONE } else { self }
    }

    fn most(self) -> u32 {
        match self {
            Bundle::Auto => 1 << BUNDLE_ORDER_AUTO,
            Bundle::AtMost(tasks) => tasks,
        }
    }

    /// The format of a job that is asked so.
    pub fn format(self) -> u32 {
        if self == Bundle::ONE { FORMAT } else { FORMAT_OF_BUNDLES }
    }
}

/// Jobs that do not say it have a file for each task.
fn bundle_before_it_was_asked() -> Bundle {
    Bundle::ONE
}

fn is_one(bundle: &Bundle) -> bool {
    *bundle == Bundle::ONE
}

/// The part of a spec that the user chose; two asks that are equal are the same job, run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The app's name.
    pub app: String,
    /// `-o key=value`.
    pub options: BTreeMap<String, String>,
    /// As typed, from the directory where they were typed.
    pub inputs: Vec<String>,
    /// Number of reduce tasks, and so of output files.
    pub reduces: u32,
    /// Largest split, in bytes.
    pub split_bytes: u64,
    /// A task per this many lines instead.
    pub split_lines: Option<u64>,
    /// How shuffle files are written.
    pub shuffle: ShuffleForm,
    /// Memory of an attempt for pairs before they are spilled, and for merging, in bytes.
    #[serde(default = "memory_bytes_before_it_was_asked")]
    pub memory_bytes: u64,
    /// How long a silent claim is believed, in milliseconds.
    pub lease_ms: u64,
    /// Reported errors of one task before the job fails.
    pub max_errors: u32,
    /// Lost leases and retracts of one task before the job fails.
    pub max_lost: u32,
    /// No record begun for this long is an error of the task, in milliseconds.
    pub stall_ms: u64,
    /// A record that made two attempts fail is skipped.
    #[serde(default)]
    pub skip_bad_records: bool,
    /// Whether a task that runs far longer than others is given a second attempt beside the first.
    #[serde(default = "backup_before_it_was_asked")]
    pub backup: bool,
    /// How many map tasks may share one file; where each has its own, this is not written down.
    #[serde(default = "bundle_before_it_was_asked", skip_serializing_if = "is_one")]
    pub bundle: Bundle,
    /// Where the outputs go: `output`, or an absolute path.
    pub output: String,
    /// In a farm, jobs of a higher priority go first.
    #[serde(default)]
    pub priority: i32,
    /// Jobs that must have finished before this one is planned; relative to the job directory where they are on the same mount.
    #[serde(default)]
    pub after: Vec<String>,
}

/// Jobs of the first days do not say it.
fn memory_bytes_before_it_was_asked() -> u64 {
    256 << 20
}

/// Nor this, and they are led like others.
fn backup_before_it_was_asked() -> bool {
    true
}

impl Ask {
    /// How long a silent claim is believed.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// True for a job that ends with its last map task: one of commands, each of which is all there is to its task, or one whose maps write the outputs.
    pub fn is_map_only(&self) -> bool {
        self.reduces == 0
    }

    /// True for a job of commands.
    pub fn is_of_commands(&self) -> bool {
        self.app == COMMANDS_APP
    }

    /// True for a job that was asked to have no reduce tasks.
    fn may_have_no_reduce(&self) -> bool {
        self.is_of_commands() || self.app == STREAM_APP && !self.options.contains_key("reducer")
    }

    /// After how many tasks that are past their limit the job fails; until then they are left out, and named at the end. Where none may be, `None`.
    pub fn leave_out(&self) -> Option<usize> {
        let asked = self.options.get("fail_fast").and_then(|text| text.parse().ok());
        self.is_of_commands().then(|| asked.unwrap_or(usize::MAX))
    }

    /// What no command line can have asked for: numbers beyond these are nobody's wish, and would cost memory or time without end.
    fn fault(&self) -> Option<String> {
        let limits = [
            ("reduces", u64::from(self.reduces), u64::from(!self.may_have_no_reduce()), u64::from(REDUCES_MAX)),
            ("split_bytes", self.split_bytes, 1, u64::MAX),
            ("split_lines", self.split_lines.unwrap_or(1), 1, u64::MAX),
            ("lease_ms", self.lease_ms, 1, TIME_MS_MAX),
            ("stall_ms", self.stall_ms, 1, TIME_MS_MAX),
            ("bundle", u64::from(self.bundle.most()), 1, 1 << ORDER_MAX),
        ];
        let wrong = limits.iter().find(|(_, value, least, most)| value < least || value > most);
        wrong.map(|(name, value, least, most)| format!("`{name}` is {value}, which is not in {least}..={most}"))
    }

    /// What `other` asks differently, in words.
    pub fn differences(&self, other: &Ask) -> Vec<String> {
        if self.app != other.app {
            return vec![format!("`app` is {:?} there, not {:?}", self.app, other.app)];
        }
        let texts = |ask: &Ask| match serde_json::to_value(Ask { options: BTreeMap::new(), ..ask.clone() }) {
            Ok(serde_json::Value::Object(mut fields)) => {
                // Not written down where it is one, and compared all the same.
                fields.insert("bundle".to_owned(), serde_json::to_value(ask.bundle).unwrap_or_default());
                fields
            }
            Ok(_) | Err(_) => serde_json::Map::new(),
        };
        let (mut here, mut there) = (texts(self), texts(other));
        // An app's options one by one: together they are too long to be shown, and to be compared by eye.
        for (ask, texts) in [(self, &mut here), (other, &mut there)] {
            texts.extend(ask.options.iter().map(|(name, value)| (format!("-o {name}"), value.clone().into())));
        }
        let short = |value: Option<&serde_json::Value>| {
            let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            cut(&text, TOLD_CHARS_MAX).into_owned()
        };
        let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        let differing = names.into_iter().filter(|name| here.get(*name) != there.get(*name));
        differing.map(|name| format!("`{name}` is {} there, not {}", short(here.get(name)), short(there.get(name)))).collect()
    }

    /// How often a worker touches its claim: at least every 2 s, five times a lease.
    pub fn beat(&self) -> Duration {
        (self.lease() / 5).min(Duration::from_secs(2))
    }
}

/// Makes the job's directories and `job.json`, or finds the same ask there already; refuses what could not be read back. `root` is only for
/// messages.
pub fn submit(disk: &dyn Disk, root: &Path, spec: &Spec) -> Result<(Spec, Created)> {
    if let Some(fault) = spec.ask.fault() {
        let error = Error::new(ErrorKind::Usage, "cannot submit such a job in").on(root).because(fault);
        return Err(error.advise("whoever opened it would refuse it, too; ask for something within that"));
    }
    for dir in DIRS {
        disk.make_dir(dir).map_err(|error| Error::io("cannot create the job's folder", root.join(dir), error))?;
    }
    let bytes = serde_json::to_vec_pretty(spec).expect("a spec has string keys only");
    let created = create::create_once(disk, JOB_JSON, &bytes).map_err(|error| Error::io("cannot create", root.join(JOB_JSON), error))?;
    match created {
        Created::Now => Ok((spec.clone(), created)),
        Created::Before => Ok((load(disk, root)?, created)),
    }
}

/// True if the directory holds a job, by a fresh listing.
pub fn is_job(disk: &dyn Disk) -> std::io::Result<bool> {
    Ok(disk.list(".")?.iter().any(|entry| entry.name == JOB_JSON))
}

/// Reads `job.json`, in two fresh reads if the first is not whole.
pub fn load(disk: &dyn Disk, root: &Path) -> Result<Spec> {
    let path = root.join(JOB_JSON);
    fresh::renew(disk, ".")
        .or_else(|error| {
            if error.kind() == std::io::ErrorKind::PermissionDenied || crate::error::is_no_room(&error) {
                disk.refresh(".")
            } else {
                Err(error)
            }
        })
        .map_err(|error| Error::io("cannot open the job", root, error))?;
    let read = || disk.read(JOB_JSON, SPEC_BYTES_MAX);
    let bytes = match read() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let not = Error::new(ErrorKind::NotThisJob, "no job in").on(root);
            return Err(not.advise("a job is a folder with a job.json; `flockwork submit` or `flockwork run` makes one"));
        }
        other => other.map_err(|error| Error::io("cannot read", &path, error))?,
    };
    parse(&bytes, &path).or_else(|_| parse(&read().map_err(|error| Error::io("cannot read", &path, error))?, &path))
}

/// True of an error of [`load`] that says that no job lies there.
pub fn says_no_job(error: &Error) -> bool {
    error.is_not_found() || error.kind() == ErrorKind::NotThisJob
}

/// The spec in these bytes of `path`, or what is wrong with them.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Spec> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |cause: serde_json::Error| {
        let error = Error::new(ErrorKind::Damaged, "cannot understand").on(path).because(cause);
        error.advise("the file was truncated or edited; it is written once and whole, so restore it, or submit the job anew elsewhere")
    };
    let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
    if head.format > FORMAT_OF_BUNDLES {
        let text = format!("cannot open a job of format {} (this flockwork knows up to {FORMAT_OF_BUNDLES}) in", head.format);
        return Err(Error::new(ErrorKind::Newer, text).on(path).advise("use the flockwork that made it, or a newer one"));
    }
    let spec: Spec = serde_json::from_slice(bytes).map_err(damaged)?;
    match spec.ask.fault() {
        None => Ok(spec),
        Some(fault) => {
            let error = Error::new(ErrorKind::Damaged, "cannot believe").on(path).because(fault);
            Err(error.advise("no flockwork writes that, so it was edited; submit the job anew elsewhere"))
        }
    }
}

#[cfg(test)]
impl Ask {
    /// As little as can be asked of `app`, for tests.
    pub(crate) fn plain(app: &str) -> Ask {
        let asked = serde_json::json!({"app": app, "options": {}, "inputs": ["in"], "reduces": 1, "split_bytes": 1, "split_lines": null, "shuffle": "run",
            "lease_ms": 10_000, "max_errors": 4, "max_lost": 16, "stall_ms": 600_000, "output": "output"});
        serde_json::from_value(asked).expect("an ask")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    /// As the first versions wrote it.
    const OLD: &str = r#"{"format":1,"id":"x","submitted":"then","cwd":"/","app":"wc","options":{},"inputs":["in"],"reduces":10,"split_bytes":1,
        "split_lines":null,"shuffle":"run","lease_ms":10000,"max_errors":4,"max_lost":16,"stall_ms":600000,"output":"output"}"#;

    #[test]
    fn a_job_that_does_not_say_so_is_led_with_backups() {
        let spec = parse(OLD.as_bytes(), Path::new("job.json")).expect("an old job");
        assert!(spec.ask.backup);
        assert_eq!(parse(&serde_json::to_vec(&spec).expect("written"), Path::new("job.json")).expect("read back"), spec);
    }

    #[test]
    fn only_a_job_that_may_have_bundles_says_so_and_bears_a_newer_format() {
        let spec = parse(OLD.as_bytes(), Path::new("job.json")).expect("an old job");
        assert_eq!((spec.ask.bundle, spec.ask.bundle.order_max(1 << 20), spec.ask.bundle.format()), (Bundle::ONE, 0, 1));
        assert!(!serde_json::to_string(&spec).expect("written").contains("bundle"), "and is written as it was");
        for (bundle, order, text) in [(Bundle::Auto, 16, r#""bundle":"auto""#), (Bundle::AtMost(64), 6, r#""bundle":{"at_most":64}"#)] {
            let spec = Spec { format: bundle.format(), ask: Ask { bundle, ..spec.ask.clone() }, ..spec.clone() };
            let written = serde_json::to_string(&spec).expect("written");
            assert!(written.contains(text) && written.contains(r#""format":2"#), "{written}");
            assert_eq!(parse(written.as_bytes(), Path::new("job.json")).expect("read back"), spec);
            assert_eq!(bundle.order_max(1 << 20), order);
        }
        for wrong in ["0", "4194305"] {
            let text = OLD.replace(r#""lease_ms""#, &format!(r#""bundle":{{"at_most":{wrong}}},"lease_ms""#));
            assert!(parse(text.as_bytes(), Path::new("job.json")).is_err_and(|error| error.to_string().contains("`bundle`")), "{wrong}");
        }
    }

    #[test]
    fn a_job_without_backups_is_another_job() {
        let with = parse(OLD.as_bytes(), Path::new("job.json")).expect("an old job").ask;
        let without = Ask { backup: false, ..with.clone() };
        assert_ne!(with, without);
        assert_eq!(with.differences(&without), ["`backup` is true there, not false"]);
        let of = |options: &[(&str, &str)]| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Ask { options, ..with.clone() }
        };
        let told = of(&[("a", "same"), ("b", "1"), ("c", "x")]).differences(&of(&[("a", "same"), ("b", "2"), ("d", "y")]));
        assert_eq!(told, ["`-o b` is \"1\" there, not \"2\"", "`-o c` is \"x\" there, not nothing", "`-o d` is nothing there, not \"y\""]);
    }

    #[test]
    fn a_job_with_bundles_is_another_job_than_one_without() {
        let without = parse(OLD.as_bytes(), Path::new("job.json")).expect("an old job").ask;
        let with = Ask { bundle: Bundle::AtMost(64), ..without.clone() };
        assert_eq!(with.differences(&without), [r#"`bundle` is {"at_most":64} there, not {"at_most":1}"#]);
        assert_eq!(without.differences(&with), [r#"`bundle` is {"at_most":1} there, not {"at_most":64}"#]);
    }

    #[test]
    fn a_job_that_nobody_could_open_is_not_written() {
        let spec = parse(OLD.as_bytes(), Path::new("job.json")).expect("an old job");
        let of = |ask: Ask| Spec { ask, ..spec.clone() };
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        for (what, ask) in [
            ("`lease_ms`", Ask { lease_ms: TIME_MS_MAX + 1, ..spec.ask.clone() }),
            ("`stall_ms`", Ask { stall_ms: 0, ..spec.ask.clone() }),
            ("`reduces`", Ask { reduces: REDUCES_MAX + 1, ..spec.ask.clone() }),
        ] {
            let error = submit(&disk, dir.path(), &of(ask)).expect_err("refused");
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(what), "{error}");
        }
        assert_eq!(dir.path().read_dir().expect("a folder").count(), 0, "nothing is made");
        let longest = of(Ask { lease_ms: TIME_MS_MAX, stall_ms: TIME_MS_MAX, ..spec.ask.clone() });
        let (written, created) = submit(&disk, dir.path(), &longest).expect("submitted");
        assert_eq!((load(&disk, dir.path()).expect("opened"), created), (written, Created::Now));
    }
}
