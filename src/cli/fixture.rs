//! A small job driven by hand, for the tests of the commands that look and steer: the real protocol on a real directory, and a stand-in for the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::open::Job;
use crate::coordinator::leases::Watched;
use crate::coordinator::{Coordinator, Tick};
use crate::data::{Counters, FileSum, Made, ShuffleForm, Split};
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::engine::sum;
use crate::ids::{ClaimName, Phase, WorkerName};
use crate::job::claim::{Claim, Claimer, Commit, Manners, Tried};
use crate::job::layout::{ATTEMPTS, OUTPUT, SHUFFLE, State};
use crate::job::log::Log;
use crate::job::plan;
use crate::job::record::TaskError;
use crate::job::register::Presence;
use crate::job::spec::{self, Ask, Bundle, FORMAT, Spec};

pub(super) const MAPS: u32 = 3;
pub(super) const REDUCES: u32 = 2;

/// A job and its one worker.
pub(super) struct Bench {
    dir: tempfile::TempDir,
    pub coordinator: Coordinator,
    pub claimer: Claimer,
    pub presence: Option<Presence>,
}

impl Bench {
    /// A planned job with a registered worker, on which no coordinator has looked yet.
    pub fn planned() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("job");
        std::fs::create_dir_all(root.join(OUTPUT).join(ATTEMPTS)).expect("made");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(&root));
        let stamp = crate::units::stamp_utc();
        let spec = Spec { format: FORMAT, id: "k3fk3f".to_owned(), submitted: stamp, cwd: "/".to_owned(), ask: ask() };
        let _ = spec::submit(&*disk, &root, &spec).expect("submitted");
        let splits = vec![Split { pieces: Vec::new() }; MAPS as usize];
        let _ = plan::create_map(&*disk, &root, &spec.id, &splits, None).expect("planned");
        let worker = WorkerName::new("node7", 4121, "k3f");
        let presence = Some(Presence::register(&*disk, &worker, 0).expect("registered"));
        let coordinator = coordinator(&disk, root, spec, "c1");
        Bench { dir, coordinator, claimer: Claimer::new(worker), presence }
    }

    /// A job all of whose maps are done, and whose reduces can be claimed.
    pub fn with_maps_done() -> Bench {
        let mut bench = Bench::planned();
        while !bench.claim_is_reduce() {
            bench.work();
            bench.tick();
        }
        bench
    }

    /// A job that ran to its good end.
    pub fn finished() -> Bench {
        let mut bench = Bench::planned();
        bench.run_to_end();
        bench
    }

    /// A job of which one task reported as many errors as it may.
    pub fn failed() -> Bench {
        let mut bench = Bench::planned();
        while !bench.tick().ended {
            if let Some(claim) = bench.claim() {
                let ended = claim.fail(&*bench.job().disk, TaskError::App("first line\nsecond line".to_owned()));
                assert_eq!(ended.map_err(|refusal| refusal.1).expect("reported"), Commit::Done);
            }
        }
        bench
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("job")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn job(&self) -> Job {
        Job::open(&self.root()).expect("it is a job")
    }

    pub fn tick(&mut self) -> Tick {
        self.coordinator.tick(&Watched::default()).expect("a tick")
    }

    /// Claims whatever can be claimed.
    pub fn claim(&mut self) -> Option<Claim> {
        let disk = RealDisk::at(self.root());
        let mut names: Vec<String> = disk.list(State::Pending.dir()).expect("listed").into_iter().map(|entry| entry.name).collect();
        names.sort();
        let attempt = names.first()?.parse().expect("an attempt");
        match self.claimer.claim(&disk, attempt, Manners::Polite).expect("claimed") {
            Tried::Held(claim) => Some(claim),
            Tried::Lost | Tried::Refused | Tried::AskedToLeave => panic!("nobody else is here"),
        }
    }

    /// True once reduce tasks can be claimed.
    pub fn claim_is_reduce(&self) -> bool {
        self.names(State::Pending.dir()).iter().any(|name| name.starts_with("reduce"))
    }

    /// Does one attempt, if there is one to do.
    pub fn work(&mut self) -> Option<ClaimName> {
        let claim = self.claim()?;
        let (name, made) = (claim.name().clone(), self.make(claim.name()));
        let committed = claim.commit(&RealDisk::at(self.root()), &made).map_err(|refusal| refusal.1);
        assert_eq!(committed.expect("committed"), Commit::Done);
        Some(name)
    }

    pub fn run_to_end(&mut self) {
        while !self.tick().ended {
            self.work();
        }
        if let Some(presence) = self.presence.take() {
            presence.leave(&*self.job().disk);
        }
    }

    /// What the engine would make: files with some content, described.
    fn make(&self, claim: &ClaimName) -> Made {
        let files = match claim.attempt.task.phase {
            Phase::Map => (0..REDUCES).map(|part| self.write(SHUFFLE, &format!("{claim}-{part:05}.json"))).collect(),
            Phase::Reduce => vec![self.write(&format!("{OUTPUT}/{ATTEMPTS}"), &claim.to_string())],
        };
        Made { files, counters: Counters::from([("records in".to_owned(), 7)]), ..Made::default() }
    }

    fn write(&self, dir: &str, name: &str) -> FileSum {
        let path = self.path(&format!("{dir}/{name}"));
        std::fs::write(&path, format!("content of {}\n", name.split('@').next().unwrap_or_default())).expect("written");
        sum::of_file(&path, &mut |_| Ok(())).expect("summed")
    }

    /// A new incarnation of the worker: one that gave a task back is asked no more.
    pub fn restart_worker(&mut self) {
        let worker = WorkerName::new("node7", 4122, &crate::here::nonce(6));
        let disk = RealDisk::at(self.root());
        self.presence = Some(Presence::register(&disk, &worker, 0).expect("registered"));
        self.claimer = Claimer::new(worker);
    }

    /// Another coordinator of the same job, as one started after the first is gone.
    pub fn restart_coordinator(&mut self) {
        let job = self.job();
        self.coordinator = coordinator(&job.disk, job.root, job.spec, "c2");
    }

    /// Everything that lies in the job, as paths; for comparing before and after.
    pub fn names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(dir))
            .expect("listed")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn coordinator(disk: &Arc<dyn Disk>, root: PathBuf, spec: Spec, nonce: &str) -> Coordinator {
    Coordinator::new(Arc::clone(disk), root, WorkerName::new("node1", 1, nonce), spec, MAPS, Log::none())
}

fn ask() -> Ask {
    Ask {
        app: "wc".to_owned(),
        options: BTreeMap::new(),
        inputs: vec!["/in".to_owned()],
        reduces: REDUCES,
        split_bytes: 1,
        split_lines: None,
        shuffle: ShuffleForm::Json,
        memory_bytes: 64 << 20,
        lease_ms: 10_000,
        max_errors: 2,
        max_lost: 2,
        stall_ms: 1000,
        skip_bad_records: false,
        backup: true,
        bundle: Bundle::ONE,
        output: OUTPUT.to_owned(),
        priority: 0,
        after: Vec::new(),
    }
}
