//! The mistakes: what, how it is typed, and what must be said of it. The strings of `says` are what was attempted, on what, and what to do next.

/// One mistake.
#[derive(Clone, Copy)]
pub struct Mistake {
    /// In the words of the page.
    pub what: &'static str,
    /// What was done before it.
    pub first: &'static str,
    /// The mistake itself.
    pub typed: &'static str,
    pub exit: i32,
    pub says: [&'static str; 3],
    pub leaves: Leaves,
    pub place: Place,
}

/// What may be there afterwards that was not there before.
#[derive(Clone, Copy)]
pub enum Leaves {
    Nothing,
    /// The job, which says how it ended.
    Job,
}

/// Where it is made.
#[derive(Clone, Copy)]
pub enum Place {
    Here,
    /// By somebody without permissions.
    AsNobody,
    /// Beside a mount `small` without room for a job.
    FullDisk,
    /// Beside a mount `small` that may not be written.
    ReadOnly,
}

const fn said(what: &'static str, typed: &'static str, exit: i32, says: [&'static str; 3]) -> Mistake {
    Mistake { what, first: "", typed, exit, says, leaves: Leaves::Nothing, place: Place::Here }
}

impl Mistake {
    const fn after(self, first: &'static str) -> Mistake {
        Mistake { first, ..self }
    }

    const fn leaving_a_job(self) -> Mistake {
        Mistake { leaves: Leaves::Job, ..self }
    }

    const fn at(self, place: Place) -> Mistake {
        Mistake { place, ..self }
    }
}

const SUBMITTED: &str = "flockwork submit wc a.txt --job j";
const FINISHED: &str = "flockwork run wc a.txt -r 1 --job j -q";
const CANCELLED: &str = "flockwork submit wc a.txt --job j; flockwork cancel j; flockwork coordinator j";

/// By what they are about.
#[rustfmt::skip]
pub const GROUPS: &[(&str, &[Mistake])] = &[
    ("The command line", &[
        said("a command that does not exist", "flockwork rnu wc a.txt", 2, ["unrecognized subcommand", "rnu", "--help"]),
        said("an app without `run`", "flockwork wc a.txt", 2, ["unrecognized subcommand", "tip: wc is an app", "`flockwork run wc a.txt`"]),
        said("nothing behind the app", "flockwork run wc", 2, ["not provided", "<INPUTS>", "--help"]),
        said("an option that does not exist", "flockwork run wc a.txt --reduce 3", 2, ["unexpected argument", "--reduce", "'--reduces'"]),
        said("an app that does not exist", "flockwork run wcc a.txt", 2, ["no app is called", "`wcc`", "did you mean `wc`?"]),
        said("an option that the app does not have", "flockwork run grep a.txt -o patern=x", 2, ["no option `patern`", "the app `grep`", "did you mean `pattern`?"]),
        said("an option without its value", "flockwork run wc a.txt -o combine", 2, ["invalid value", "combine", "write it as key=value"]),
        said("an option that the app needs is missing", "flockwork run grep a.txt", 2, ["`grep`", "`pattern` is missing", "give it as -o pattern=VALUE"]),
        said("an expression that is none", "flockwork run grep a.txt -o 'pattern=('", 2, ["cannot make the app `grep`", "`pattern`", "unclosed group"]),
        said("a size that is none", "flockwork run wc a.txt --split-size 64X", 2, ["`64X` is not a size", "--split-size", "write for example 64MiB"]),
        said("a time that is none", "flockwork run wc a.txt --lease soon", 2, ["soon", "--lease", "write for example"]),
        said("a lease that is too short", "flockwork run wc a.txt --lease 100ms", 2, ["100ms", "--lease", "the smallest lease is 1s"]),
        said("a lease that nobody lives to see", "flockwork run wc a.txt --lease 99999d", 2, ["99999d", "--lease", "write at most 36600d"]),
        said("no reduces", "flockwork run wc a.txt -r 0", 2, ["invalid value '0'", "--reduces", "1..=100000"]),
        said("a shuffle form that does not exist", "flockwork run wc a.txt --shuffle yaml", 2, ["yaml", "--shuffle", "the forms are run and json"]),
        said("slots that are no number", "flockwork worker j --slots many", 2, ["many", "--slots", "--help"]),
        said("a time to leave that is none", "flockwork worker farm --until noon", 2, ["`noon` is no time", "--until", "write a time from now"]).after("mkdir farm"),
        said("a rate that is none", "flockwork chaos j --kill-workers often", 2, ["`often` is not a rate", "--kill-workers", "write 0.2/s"]),
    ]),
    ("Inputs", &[
        said("an input that is not there", "flockwork run wc b.txt --job j", 1, ["cannot read input", "b.txt", "check the path"]),
        said("the same with `sequential`", "flockwork sequential wc b.txt", 1, ["cannot read input", "b.txt", "check the path"]),
        said("a pattern that matches nothing", "flockwork run wc '*.csv' --job j", 1, ["no input matches", "*.csv", "check the pattern with ls"]),
        said("a folder with nothing in it", "flockwork run wc empty --job j --slots 1", 0, ["nothing was found to work on", "job j", "the outputs will be empty"]).after("mkdir empty").leaving_a_job(),
        said("a pipe as input", "flockwork run wc pipe --job j", 1, ["cannot read input", "pipe", "write what it gives to a file first"]).after("mkfifo pipe"),
        said("an input that may not be read", "flockwork run wc secret --job j", 1, ["cannot read input", "secret", "check the owner and the permissions"]).after("echo x > secret; chmod 0 secret").at(Place::AsNobody),
        said("a file that is no gzip but is called so", "flockwork run wc a.gz --job j --slots 1 -q", 1, ["cannot unpack input", "a.gz", "get it anew"]).after("cp a.txt a.gz").leaving_a_job(),
        said("an archive that was cut off at once", "flockwork run wc a.gz --job j", 1, ["cannot read input", "a.gz", "get it anew"]).after(": > a.gz"),
        said("a job as an input", "flockwork run wc old --job j", 1, ["cannot read input", "old", "its `output`"]).after("flockwork submit wc a.txt --job old"),
        said("an input that is gone when its task begins", "flockwork run wc a.txt --job j --slots 1 -q", 1, ["cannot read input", "a.txt", "check that this machine sees it"]).after("flockwork submit wc a.txt --job j; rm a.txt").leaving_a_job(),
        said("an input that was changed after the planning", "flockwork run wc a.txt --job j --slots 1 -q", 1, ["changed since the job was planned", "a.txt", "submit a new job"]).after("flockwork submit wc a.txt --job j; echo more >> a.txt").leaving_a_job(),
    ]),
    ("The job's directory", &[
        said("the directory has another job", "flockwork run wc a.txt --job j -r 3", 1, ["another job lies in j", "`reduces` is 10 there, not 3", "choose another --job"]).after(SUBMITTED),
        said("the directory has other things", "flockwork run wc a.txt --job home", 1, ["cannot use as a job's directory", "home", "name a new or an empty directory"]).after("mkdir home; echo dear > home/letter"),
        said("the directory is a file", "flockwork run wc a.txt --job a.txt", 1, ["cannot use as a job's directory", "a.txt", "name a folder"]),
        said("a place where no folder can be made", "flockwork run wc a.txt --job /proc/j", 1, ["cannot create the folder", "/proc/j", "check the path"]),
        said("a folder that may not be written", "flockwork run wc a.txt --job closed/j", 1, ["cannot create the folder", "closed/j", "check the owner and the permissions"]).after("mkdir closed; chmod 555 closed").at(Place::AsNobody),
        said("a disk without room", "flockwork run wc a.txt --job small/j", 1, ["cannot create", "small/j", "free space on that file system"]).at(Place::FullDisk),
        said("a disk mounted read-only", "flockwork run wc a.txt --job small/j", 1, ["cannot create the folder", "small/j", "mount it read-write"]).at(Place::ReadOnly),
        said("the outputs inside an input folder", "flockwork run wc in --job j --output in/out", 2, ["cannot write the outputs to", "in/out", "choose an --output outside it"]).after("mkdir in; cp a.txt in"),
        said("outputs of another job in the way", "flockwork run wc a.txt --job j --output out", 1, ["cannot write the outputs to", "`mr-out-00000` is there already", "choose another --output"]).after("mkdir out; touch out/mr-out-00000"),
        said("outputs to a file", "flockwork run wc a.txt --job j --output a.txt", 2, ["cannot write the outputs to", "a.txt", "name a folder with --output"]),
        said("outputs among the job's own files", "flockwork run wc a.txt --job j --output j/done", 2, ["cannot write the outputs to", "j/done", "leave --output away"]),
        said("a farm where a job is wanted", "flockwork wait farm", 1, ["a farm of jobs", "farm", "name one of its jobs"]).after("flockwork submit wc a.txt --job farm/j"),
        said("no job there", "flockwork status j", 1, ["no job in j", "there is no such folder", "`flockwork submit` makes one"]),
        said("a file where a job is wanted", "flockwork status a.txt", 1, ["no job in a.txt", "it is a file", "name the job's folder"]),
        said("an output where a job is wanted", "flockwork cat j/output/mr-out-00000", 1, ["no job in j/output/mr-out-00000", "it is a file", "it lies in the job `j`: name that"]).after(FINISHED),
        said("a folder of a job's", "flockwork cat j/output", 1, ["no job in", "j/output", "it lies in the job `j`: name that"]).after(FINISHED),
        said("a job in a folder that may not be entered", "flockwork status closed/j", 1, ["cannot open the job", "closed/j", "check the owner and the permissions"]).after("mkdir closed; chmod 444 closed").at(Place::AsNobody),
        said("a worker of a file", "flockwork worker a.txt", 1, ["cannot use as a job's directory", "a.txt", "name a folder"]),
        said("a coordinator of a folder that is none", "flockwork coordinator home", 1, ["no job in home", "`letter`", "a job is a folder with a job.json"]).after("mkdir home; echo dear > home/letter"),
        said("a `job.json` that was cut", "flockwork status j", 1, ["cannot understand", "j/job.json", "restore it, or submit the job anew"]).after("flockwork submit wc a.txt --job j; truncate -s 50 j/job.json"),
        said("a job of a newer flockwork", "flockwork worker j", 1, ["a job of format 9", "j/job.json", "use the flockwork that made it"]).after("flockwork submit wc a.txt --job j; sed -i 's/\"format\": [0-9]*/\"format\": 9/' j/job.json"),
        said("a `job.json` that was edited", "flockwork coordinator j", 1, ["cannot believe", "j/job.json", "restore it, or submit the job anew"]).after("flockwork submit wc a.txt --job j; sed -i 's/\"reduces\": 10/\"reduces\": 9/' j/job.json"),
        said("a plan that was edited", "flockwork run wc a.txt --job j --slots 1 -q", 1, ["cannot believe the plan", "j/phase/map", "submit the job anew"]).after("flockwork submit wc a.txt --job j; sed -i 's/a.txt/b.txt/' j/phase/map").leaving_a_job(),
        said("everybody may write the job", "flockwork worker j", 1, ["everybody may write it", "j", "`chmod o-w j`"]).after("flockwork submit wc a.txt --job j; chmod o+w j"),
        said("a job from a folder that was removed", "mkdir gone; cd gone; rmdir ../gone; flockwork run wc $OLDPWD/a.txt --job $OLDPWD/j", 1, ["cannot tell", "the current directory", "change into a folder that is there"]),
        said("the same with `each`", "mkdir gone; cd gone; rmdir ../gone; flockwork each --job $OLDPWD/j --slots 1 -- true ::: a", 1, ["cannot tell", "the current directory", "change into a folder that is there"]),
        said("the same with `--after`", "mkdir gone; cd gone; rmdir ../gone; flockwork submit wc $OLDPWD/a.txt --job $OLDPWD/k --after $OLDPWD/j", 1, ["cannot tell", "the current directory", "change into a folder that is there"]).after(SUBMITTED),
        said("a job that its farm would not see", "flockwork submit wc a.txt --job farm/.j", 2, ["no worker of its farm would see", "farm/.j", "choose another --job"]).after("mkdir farm"),
        said("a user to trust who does not exist", "flockwork worker j --trust-user nobodyhere", 2, ["there is no user", "`nobodyhere`", "check the spelling"]).after(SUBMITTED),
    ]),
    ("Steering and reading a job", &[
        said("`run` of a finished job", "flockwork run wc a.txt -r 1 --job j", 0, ["had finished already", "the job in j", "`flockwork clean --all j`, or choose another --job"]).after(FINISHED).leaving_a_job(),
        said("`submit` of a finished job", "flockwork submit wc a.txt -r 1 --job j", 0, ["had finished already", "the job in j", "`flockwork clean --all j`, or choose another --job"]).after(FINISHED),
        said("`run` of a cancelled job", "flockwork run wc a.txt --job j -q", 1, ["was cancelled", "the job in j", "`flockwork retry j`"]).after(CANCELLED).leaving_a_job(),
        said("pausing an ended job", "flockwork pause j", 1, ["cannot be paused", "j", "`flockwork status`"]).after(FINISHED),
        said("cancelling an ended job", "flockwork cancel j", 1, ["cannot be cancelled", "j", "`flockwork status`"]).after(FINISHED),
        said("retrying a job that runs", "flockwork retry j", 1, ["has not ended, so there is nothing to retry", "j", "`flockwork status`"]).after(SUBMITTED),
        said("retrying a finished job", "flockwork retry j", 1, ["has finished, so there is nothing to retry", "j", "`flockwork status`"]).after(FINISHED),
        said("reading before the end", "flockwork cat j", 1, ["no outputs: the job has not finished", "j", "`flockwork wait j`"]).after(SUBMITTED),
        said("reading a cancelled job", "flockwork cat j", 1, ["no outputs: the job was cancelled", "j", "`flockwork retry j`"]).after(CANCELLED),
        said("reading damaged outputs", "flockwork cat j > got", 1, ["damaged is", "j/output/mr-out-00000", "run the job anew"]).after("flockwork run wc a.txt -r 1 --job j -q; printf x | dd of=j/output/mr-out-00000 conv=notrunc").leaving_a_job(),
        said("verifying damaged outputs", "flockwork verify j", 1, ["FAULT", "output/mr-out-00000", "its content was changed"]).after("flockwork run wc a.txt -r 1 --job j -q; printf x | dd of=j/output/mr-out-00000 conv=notrunc"),
        said("stdout that takes nothing", "flockwork cat j > /dev/full", 1, ["cannot write to", "stdout", "free space"]).after(FINISHED),
        said("one task's output of a job that is no farm of commands", "flockwork cat j map-00000", 2, ["jobs of commands", "j", "`flockwork cat JOB`"]).after(FINISHED),
        said("cleaning a job that runs", "flockwork clean j", 1, ["cannot clean a job that has not ended", "j", "wait for it or cancel it"]).after(SUBMITTED),
        said("waiting for too long", "flockwork wait j --timeout 1s", 1, ["there is no end yet", "j", "`flockwork status`"]).after(SUBMITTED),
        said("waiting for a job that does not exist", "flockwork wait j", 1, ["no job in j", "no such folder", "makes one"]),
        said("a job after itself", "flockwork submit wc a.txt --job j --after j", 2, ["cannot start after itself", "j", "--after"]),
        said("a job after one that is not there", "flockwork submit wc a.txt --job j --after k", 1, ["cannot open the job", "k", "check the path"]),
    ]),
    ("Commands", &[
        said("`each` without a command", "flockwork each --job j", 2, ["not provided", "<CMD>", "--help"]),
        said("`each` without `--`", "flockwork each --job j wc -c {} ::: a.txt", 2, ["unexpected argument 'wc'", "flockwork each", "tip: the command stands behind --"]),
        said("`each` without items", "flockwork each --job j --slots 1 -- true {}", 0, ["nothing was found to work on", "job j", "will be empty"]).leaving_a_job(),
        said("other items in the same directory", "flockwork each --job j --slots 1 -q --retries 2 -- echo {} ::: b", 1, ["another job lies in j", "--retries is 0 there, not 2", "choose another --job"]).after("flockwork each --job j --slots 1 -q -- echo {} ::: a"),
        said("a job here that is to wait for another", "flockwork each --job j --after k -q -- echo {} ::: a", 2, ["cannot start a job here", "--after", "add --submit"]),
        said("a joblog in a folder that is not there", "flockwork each --job j --joblog logs/all -- echo {} ::: a", 1, ["cannot write the joblog to", "logs/all", "another with --joblog"]),
        said("a joblog in a file", "flockwork each --job j --joblog a.txt/log -- echo {} ::: a", 1, ["cannot write the joblog to", "a.txt is not a folder", "name another with --joblog"]),
        said("a list of items that is not there", "flockwork each -a list --job j -- true {}", 1, ["cannot read the items from", "list", "check the path"]),
        said("two lists of items", "flockwork each --job j -- echo {} ::: a ::: b", 2, ["::: stands twice", "one list of items", "see --json-items"]),
        said("an item that is no JSON", "flockwork each --json-items -a list --job j -- echo {a}", 1, ["line 2 is no JSON object", "list", "write one JSON object per line"]).after("printf '{\"a\":1}\\n{a:2}\\n' > list"),
        said("a field that the items do not have", "flockwork each --json-items -a list --job j --slots 1 -q -- echo {b}", 1, ["has no field `b`", "map-00000", "it has a"]).after("printf '{\"a\":1}\\n' > list").leaving_a_job(),
        said("a command that does not exist", "flockwork each --job j --slots 1 -q -- nonesuch {} ::: a", 1, ["cannot start `nonesuch`", "map-00000", "install it on every machine"]).leaving_a_job(),
        said("a command given as one word", "flockwork each --job j --slots 1 -q -- 'wc -c {}' ::: a.txt", 1, ["cannot start `wc -c a.txt`", "map-00000", "write it without quotes"]).leaving_a_job(),
        said("no folder for temporary files", "TMPDIR=nowhere flockwork each --job j -q -- echo {} ::: a", 1, ["cannot create a folder for temporary files", "nowhere", "set TMPDIR to one that is there"]),
        said("a command that fails for one item", "flockwork each --job j --slots 1 -q -- ls {} ::: a.txt b.txt", 1, ["ended with status 2", "`ls` for `b.txt`", "`flockwork retry j`"]).leaving_a_job(),
        said("a task that does not exist", "flockwork cat j 7", 2, ["the job has no task", "`7`", "name one as map-00000"]).after("flockwork each --job j --slots 1 -q -- echo {} ::: a"),
        said("a mapper that does not exist", "flockwork stream --mapper nonesuch --reducer cat --job j --slots 1 -q a.txt", 1, ["cannot start `nonesuch`", "the mapper", "install it on every machine"]).leaving_a_job(),
        said("a mapper that is not executable", "flockwork stream --mapper ./map.sh --reducer cat --job j --slots 1 -q a.txt", 1, ["cannot start `./map.sh`", "the mapper", "chmod +x"]).after("echo cat > map.sh").leaving_a_job(),
        said("a mapper that ends badly", "flockwork stream --mapper 'sh -c \"echo no more >&2; exit 3\"' --reducer cat --job j --slots 1 -q a.txt", 1, ["ended with status 3", "on input a.txt", "no more"]).leaving_a_job(),
        said("a quote that is not closed", "flockwork stream --mapper \"sh -c 'cat\" --reducer cat --job j a.txt", 2, ["the quote ' is not closed", "--mapper", "--help"]),
    ]),
    ("Workers that die", &[
        said("a command that takes its worker along", "flockwork stream --mapper 'sh -c \"kill -9 $PPID\"' --reducer cat --job j --slots 1 -q --max-lost 2 a.txt", 1, ["map-00000 was lost", "the job in j failed", "`flockwork retry j`"]).leaving_a_job(),
    ]),
    ("Machines and mounts", &[
        said("doctor of a file", "flockwork doctor a.txt", 1, ["cannot examine", "a.txt", "name the folder"]),
        said("doctor of nothing", "flockwork doctor nowhere", 1, ["cannot examine", "nowhere", "check the path"]),
        said("chaos where nobody works", "flockwork chaos j --kill-workers 1/s", 1, ["nobody of this user works on", "j", "start `flockwork coordinator`"]).after(SUBMITTED),
        said("chaos in an ended job", "flockwork chaos j --slots 1", 1, ["there is nothing to break in", "j", "submit another one"]).after(FINISHED),
        said("a hosts file that is not there", "flockwork launch farm --hosts hosts", 1, ["cannot read the hosts file", "hosts", "check the path"]).after("mkdir farm"),
        said("a hosts file with nonsense", "flockwork launch farm --hosts hosts", 2, ["cannot understand the hosts file", "line 1, `x/node7`", "write a host a line"]).after("mkdir farm; echo x/node7 > hosts"),
        said("Slurm where there is none", "PATH=$(dirname $(command -v flockwork)); flockwork launch farm --slurm --submit", 1, ["cannot start", "sbatch", "without --submit the script is printed"]).after("mkdir farm").leaving_a_job(),
        said("a hook that is no command", "flockwork coordinator j --hook ''", 2, ["invalid value ''", "--hook", "write a command"]).after(SUBMITTED),
    ]),
];
