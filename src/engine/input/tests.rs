//! Names as typed, in order, and every kind of input that is none.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

/// A folder with the files given (empty where a name ends in `/`), each holding its own name.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in names {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("created");
        if name.ends_with('/') {
            fs::create_dir_all(path).expect("created");
        } else {
            fs::write(path, name).expect("written");
        }
    }
    dir
}

/// The names that inputs below `dir` resolve to, without `dir`.
fn names(dir: &Path, inputs: &[&str]) -> Result<Vec<String>> {
    let typed: Vec<String> = inputs.iter().map(|input| format!("{}/{input}", dir.display())).collect();
    let prefix = format!("{}/", dir.display());
    let files = resolve(&typed, &dir.join("job"))?;
    Ok(files.into_iter().map(|file| file.name.strip_prefix(&prefix).expect("as typed").to_owned()).collect())
}

#[test]
fn files_keep_the_order_typed_and_may_come_twice() {
    let dir = tree(&["b", "a"]);
    assert_eq!(names(dir.path(), &["b", "a", "b"]).expect("there"), ["b", "a", "b"]);
}

#[test]
fn names_are_as_typed_wherever_that_was() {
    let dir = tree(&["run[1]/a.txt", "run[1]/in/b", "run[1]/in/deep/c", "run1/not.txt"]);
    let (here, absolute) = (dir.path().join("run[1]"), dir.path().join("run[1]/a.txt").display().to_string());
    let typed = ["*.txt", "in", "./in/*", "in/**/c", &absolute].map(str::to_owned);
    let files = resolve_in(&here, &typed, &dir.path().join("job")).expect("all there");
    let found: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(found, ["a.txt", "in/b", "in/deep/c", "./in/b", "./in/deep/c", "in/deep/c", &absolute]);
    assert!(files.iter().all(|file| file.path.starts_with(&here) && file.stored.starts_with("../run[1]/")), "{files:?}");
    let root = resolve_in(Path::new("/"), &["dev/nul?".to_owned()], dir.path()).expect_err("a device");
    assert!(root.to_string().contains("cannot read input /dev/null"), "{root}");
}

#[test]
fn a_folder_is_walked_in_order_without_hidden_names_and_the_job_itself() {
    let dir = tree(&["in/b", "in/a/z", "in/.hidden", "in/.git/x", "in/c", "in/job/job.json", "else/y", "empty/"]);
    symlink("../else/y", dir.path().join("in/d")).expect("linked");
    let typed = dir.path().join("in").to_str().expect("UTF-8").to_owned();
    let files = resolve(std::slice::from_ref(&typed), &dir.path().join("in/job")).expect("there");
    let inner: Vec<_> = files.iter().map(|file| file.name.strip_prefix(&typed).expect("as typed")).collect();
    assert_eq!(inner, ["/a/z", "/b", "/c", "/d"]);
    assert_eq!(files.iter().map(|file| file.stored.as_str()).collect::<Vec<_>>(), ["../a/z", "../b", "../c", "../d"]);
    assert_eq!(names(dir.path(), &["empty"]).expect("an empty folder is no error"), [""; 0]);
}

#[test]
fn a_pattern_matches_as_a_shell_would() {
    let dir = tree(&["a1.txt", "a2.txt", "b.txt", ".h.txt", "sub/a3.txt", "sub/deep/a4.txt", "sub/.git/a5.txt", "lit[1]"]);
    for (pattern, expected) in [
        ("a*.txt", &["a1.txt", "a2.txt"][..]),
        ("a[!1].txt", &["a2.txt"]),
        ("{b,a1}.txt", &["a1.txt", "b.txt"]),
        ("*/a?.txt", &["sub/a3.txt"]),
        ("**/a?.txt", &["a1.txt", "a2.txt", "sub/a3.txt", "sub/deep/a4.txt"]),
        (".*.txt", &[".h.txt"]),
        ("su*", &["sub/a3.txt", "sub/deep/a4.txt"]),
        ("lit[1]", &["lit[1]"]),
    ] {
        assert_eq!(names(dir.path(), &[pattern]).expect(pattern), expected, "{pattern}");
    }
    for pattern in ["x*", "nowhere/*.txt"] {
        let error = names(dir.path(), &[pattern]).expect_err("nothing matches");
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with("no input matches "), "{error}");
    }
    assert!(names(dir.path(), &["a{b"]).expect_err("no pattern").to_string().starts_with("cannot understand the pattern "));
}

#[test]
fn what_is_no_input_is_named_with_advice() {
    let dir = tree(&["a"]);
    let error = names(dir.path(), &["a", "missing"]).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::Input);
    let text =
        format!("{}/missing: No such file or directory (os error 2); check the path, it is taken as you typed it", dir.path().display());
    assert_eq!(error.to_string(), format!("cannot read input {text}"));

    let null = resolve(&["/dev/null".into()], dir.path()).expect_err("a device");
    assert!(null.to_string().starts_with("cannot read input /dev/null: it is a fifo, socket or device; "), "{null}");

    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"x\xff")), "").expect("written");
    let error = names(dir.path(), &["."]).expect_err("not UTF-8");
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("its path is not UTF-8"), "{error}");
}

#[test]
fn a_loop_of_links_is_refused_and_not_walked_for_ever() {
    let dir = tree(&["in/a"]);
    symlink("..", dir.path().join("in/loop")).expect("linked");
    let error = names(dir.path(), &["in"]).expect_err("a loop");
    assert!(error.to_string().contains("a link in it leads back to a folder above"), "{error}");
}

#[test]
fn directories_of_jobs_are_passed_over_and_refused_where_they_are_typed() {
    let job = ["job.json", "pending/", "phase/end", "output/mr-out-00000"];
    let inside = job.map(|name| format!("in/old/{name}"));
    let dir = tree(&[&["in/a", "in/deep/job.json", "in/b"][..], &inside.each_ref().map(String::as_str)].concat());
    for walked in ["in", "in/*", "in/**"] {
        assert_eq!(names(dir.path(), &[walked]).expect(walked), ["in/a", "in/b", "in/deep/job.json"], "{walked}");
    }
    for spelled in ["in/old/output", "in/*/output/mr-*", "in/old/*/mr-out-*"] {
        assert_eq!(names(dir.path(), &[spelled]).expect(spelled), ["in/old/output/mr-out-00000"], "{spelled}");
    }
    let error = names(dir.path(), &["in/old"]).expect_err("typed");
    assert!(error.to_string().contains("/in/old: it is the directory of a job; "), "{error}");
    let of_a_job = |name: &&str| crate::job::layout::DIRS.contains(name) || *name == crate::job::layout::JOB_JSON;
    assert!(OF_A_JOB.iter().all(of_a_job), "as `job::layout` has it");
}

#[test]
fn a_pattern_is_not_troubled_by_links_that_it_does_not_match() {
    let dir = tree(&["in/b1", "in/sub/b2"]);
    symlink("nowhere", dir.path().join("in/dang")).expect("linked");
    symlink(".", dir.path().join("in/loop")).expect("linked");
    assert_eq!(names(dir.path(), &["in/b*"]).expect("as a shell would"), ["in/b1"]);
    let refused = |pattern: &str| names(dir.path(), &[pattern]).expect_err(pattern).to_string();
    assert!(refused("in/d*").contains("/in/dang: No such file or directory (os error 2); it is a link that leads nowhere"));
    for through in ["in/l*", "in/*/b*", "in/**/b*"] {
        assert!(refused(through).contains("a link in it leads back to a folder above"), "{through}");
    }
}

#[test]
fn an_archive_of_no_bytes_was_cut_off() {
    let dir = tree(&["plain"]);
    for name in ["x.gz", "y.zst", "plain"] {
        fs::write(dir.path().join(name), "").expect("written");
    }
    for name in ["x.gz", "y.zst"] {
        let error = names(dir.path(), &[name]).expect_err(name).to_string();
        assert!(error.contains("it is empty, which no archive is; it was cut off: `"), "{error}");
    }
    assert_eq!(names(dir.path(), &["plain"]).expect("empty text is text"), ["plain"]);
}

#[test]
fn a_stored_folder_need_not_exist_yet() {
    let dir = tree(&["far/away/"]);
    symlink("far/away", dir.path().join("link")).expect("linked");
    let stored = |folder: &str, job: &str| stored_folder(&dir.path().join(folder), &dir.path().join(job)).expect("UTF-8");
    assert_eq!(stored("new/deep/out", "job"), "../new/deep/out");
    assert_eq!(stored("job/output", "job"), "output");
    assert_eq!(stored("link/out", "job"), "../far/away/out");
    assert_eq!(stored("out", "link/job"), "../../../out");
    assert_eq!(stored("out", "none/../job"), "../out");
}

#[test]
fn a_stored_path_leads_from_the_job_to_the_file_also_through_links() {
    let dir = tree(&["data/a", "far/away/"]);
    symlink("far/away", dir.path().join("jobs")).expect("linked");
    for job in ["job", "far/job/deep", "jobs/job", "data"] {
        let job = dir.path().join(job);
        let stored = stored_path(&dir.path().join("data/a"), &job).expect("UTF-8");
        assert!(!Path::new(&stored).is_absolute(), "on one device: {stored}");
        fs::create_dir_all(&job).expect("created");
        assert_eq!(fs::read_to_string(job.join(&stored)).expect("found"), "data/a", "{stored} from {}", job.display());
    }
    assert_eq!(stored_path(Path::new("/proc/self/status"), dir.path()).expect("UTF-8"), "/proc/self/status", "on another device");
}
