//! What every disk promises, as claims that are checked on all of them: the real one, the simulated one run directly, and the replayed one.
//!
//! Only what the protocol rests on, and only without faults: two clients, one directory, nothing stale, nothing lost.

use std::io::ErrorKind;

use super::explore::Explorer;
use super::run::SimDisk;
use super::state::DiskState;
use super::world::{Faults, actor};
use crate::disk::create::{create_once, link_once, write_whole};
use crate::disk::fresh::{is_there, list_surely};
use crate::disk::real::RealDisk;
use crate::disk::rename::rename;
use crate::disk::{Created, Disk, Flush, Lock, Moved};

/// All claims, on two clients of one empty directory.
fn keeps_the_contract(a: &dyn Disk, b: &dyn Disk) {
    a.make_dir("d").expect("mkdir");
    b.make_dir("d").expect("an existing directory is fine");
    b.make_dir("e").expect("mkdir");
    drafts_are_whole_and_hidden(a, b);
    names_move_and_replace(a, b);
    links_are_second_names(a, b);
    opening_never_creates_and_appends(a, b);
    locks_exclude_and_end_with_the_file(a, b);
    stamps_change_by_touch_only(a, b);
    reading_has_a_limit(a);
    the_honest_calls_agree(a, b);
}

fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = list_surely(disk, dir).expect("list").into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

fn kind<T>(result: std::io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn drafts_are_whole_and_hidden(a: &dyn Disk, b: &dyn Disk) {
    let draft = a.draft("d", b"whole", Flush::Always).expect("draft");
    assert!(draft.starts_with("d/.tmp-"), "{draft}");
    assert!(names(b, "d").is_empty(), "a draft is not listed");
    assert_eq!(b.read(&draft, 5).expect("read"), b"whole");
    a.rename(&draft, "d/whole").expect("rename");
    let entries = list_surely(b, "d").expect("list");
    assert_eq!(entries.iter().map(|e| (e.name.as_str(), e.is_file)).collect::<Vec<_>>(), [("whole", true)]);
    b.remove("d/whole").expect("remove");
    assert_eq!(kind(b.remove("d/whole")), Some(ErrorKind::NotFound));
    assert!(list_surely(a, ".").expect("list").iter().all(|e| !e.is_file), "directories are listed as such");
    let top = a.draft(".", b"", Flush::OnNetwork).expect("draft in the directory itself");
    assert!(!top.contains('/'), "{top}");
    a.remove(&top).expect("remove");
    assert_eq!(kind(a.list("nowhere")), Some(ErrorKind::NotFound));
    assert_eq!(kind(a.refresh("nowhere")), Some(ErrorKind::NotFound));
    assert_eq!(kind(a.draft("nowhere", b"", Flush::Always)), Some(ErrorKind::NotFound));
}

fn names_move_and_replace(a: &dyn Disk, b: &dyn Disk) {
    write_whole(a, "d/x", b"new", Flush::OnNetwork).expect("write");
    write_whole(b, "e/x", b"old", Flush::OnNetwork).expect("write");
    let moved = a.look("d/x").expect("look").inode;
    a.rename("d/x", "e/x").expect("rename replaces");
    assert_eq!(b.read("e/x", 10).expect("read"), b"new");
    assert_eq!(b.look("e/x").expect("look").inode, moved, "a moved file is the same file");
    assert_eq!(kind(b.rename("d/x", "e/y")), Some(ErrorKind::NotFound));
    assert_eq!(names(a, "d"), [""; 0]);
    b.remove("e/x").expect("remove");
}

fn links_are_second_names(a: &dyn Disk, b: &dyn Disk) {
    write_whole(a, "d/x", b"1", Flush::OnNetwork).expect("write");
    write_whole(a, "d/z", b"2", Flush::OnNetwork).expect("write");
    a.link("d/x", "d/y").expect("link");
    assert_eq!(b.look("d/x").expect("look").inode, b.look("d/y").expect("look").inode);
    assert_eq!(kind(b.link("d/z", "d/y")), Some(ErrorKind::AlreadyExists), "a link never replaces");
    assert_eq!(kind(b.link("d/none", "d/n")), Some(ErrorKind::NotFound));
    a.rename("d/x", "d/y").expect("two names of one file: nothing happens, and that is a success");
    assert_eq!(names(b, "d"), ["x", "y", "z"]);
    for path in ["d/x", "d/y", "d/z"] {
        a.remove(path).expect("remove");
    }
}

fn opening_never_creates_and_appends(a: &dyn Disk, b: &dyn Disk) {
    assert_eq!(kind(a.open("d/x").map(drop)), Some(ErrorKind::NotFound));
    assert!(names(a, "d").is_empty(), "opening does not create");
    assert!(a.open("e").is_err(), "a directory cannot be opened");
    write_whole(a, "d/x", b"one\n", Flush::OnNetwork).expect("write");
    let mut file = a.open("d/x").expect("open");
    file.append(b"two\n").expect("append");
    b.rename("d/x", "e/x").expect("rename");
    file.append(b"three\n").expect("append goes with the file");
    file.flush(Flush::OnNetwork).expect("flush");
    assert_eq!(file.inode().expect("inode"), b.look("e/x").expect("look").inode);
    drop(file);
    assert_eq!(b.read("e/x", 100).expect("read"), b"one\ntwo\nthree\n");
    b.remove("e/x").expect("remove");
}

fn locks_exclude_and_end_with_the_file(a: &dyn Disk, b: &dyn Disk) {
    write_whole(a, "d/x", b"", Flush::OnNetwork).expect("write");
    let first = a.open("d/x").expect("open");
    let second = b.open("d/x").expect("open");
    assert_eq!(first.try_lock(), Lock::Taken);
    assert_eq!(first.try_lock(), Lock::Taken, "one's own lock does not refuse");
    assert_eq!(second.try_lock(), Lock::Refused);
    a.rename("d/x", "e/x").expect("rename");
    assert_eq!(second.try_lock(), Lock::Refused, "a lock goes with the file");
    drop(first);
    assert_eq!(second.try_lock(), Lock::Taken, "a lock ends with its handle");
    drop(second);
    a.remove("e/x").expect("remove");
}

fn stamps_change_by_touch_only(a: &dyn Disk, b: &dyn Disk) {
    write_whole(a, "d/x", b"", Flush::OnNetwork).expect("write");
    let changes = |touch: &dyn Fn()| {
        let before = b.look("d/x").expect("look").stamp;
        // A local disk stamps by the tick: a few milliseconds.
        (0..100).any(|_| {
            touch();
            let changed = b.look("d/x").expect("look").stamp != before;
            if !changed {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            changed
        })
    };
    assert!(changes(&|| a.touch("d/x").expect("touch")), "by path");
    let held = a.open("d/x").expect("open");
    assert!(changes(&|| held.touch().expect("touch")), "by the open file");
    drop(held);
    let stamp = a.look("d/x").expect("look").stamp;
    b.rename("d/x", "e/x").expect("rename");
    assert_eq!(a.look("e/x").expect("look").stamp, stamp, "a rename is no heartbeat");
    assert_eq!(kind(a.touch("d/x")), Some(ErrorKind::NotFound), "touching does not create");
    a.remove("e/x").expect("remove");
}

fn reading_has_a_limit(a: &dyn Disk) {
    write_whole(a, "d/x", b"12345", Flush::OnNetwork).expect("write");
    assert_eq!(a.read("d/x", 5).expect("read"), b"12345");
    assert_eq!(kind(a.read("d/x", 4)), Some(ErrorKind::InvalidData));
    assert_eq!(a.look("d/x").expect("look").len, 5);
    a.remove("d/x").expect("remove");
    assert_eq!(kind(a.read("d/x", 4)), Some(ErrorKind::NotFound));
}

fn the_honest_calls_agree(a: &dyn Disk, b: &dyn Disk) {
    assert!(!is_there(b, "d/x").expect("look"));
    assert_eq!(create_once(a, "d/x", b"first").expect("create"), Created::Now);
    assert!(is_there(b, "d/x").expect("look"));
    assert_eq!(create_once(b, "d/x", b"second").expect("create"), Created::Before);
    assert_eq!(b.read("d/x", 10).expect("read"), b"first", "who comes second changes nothing");
    assert_eq!(link_once(a, "d/x", "d/y").expect("link"), Created::Now);
    assert_eq!(link_once(b, "d/x", "d/y").expect("link"), Created::Now, "the same file by another's hand is as good");
    assert_eq!(rename(a, "d/x", "e/x@a").expect("rename"), Moved::Here);
    assert_eq!(rename(b, "d/x", "e/x@b").expect("rename"), Moved::Gone);
    assert_eq!((names(b, "d"), names(a, "e")), (vec!["y".to_owned()], vec!["x@a".to_owned()]));
}

#[test]
fn the_real_disk_keeps_the_contract() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    keeps_the_contract(&RealDisk::at(dir.path()), &RealDisk::at(dir.path()));
}

/// `FLOCKWORK_TEST_DIR` names a directory on a network mount, if there is one to test on.
#[test]
fn the_real_disk_keeps_the_contract_on_the_mount_to_test() {
    let Some(mount) = std::env::var_os("FLOCKWORK_TEST_DIR") else { return };
    let dir = tempfile::tempdir_in(mount).expect("a temporary directory");
    keeps_the_contract(&RealDisk::at(dir.path()), &RealDisk::at(dir.path()));
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    let disk = SimDisk::new();
    keeps_the_contract(&disk.client("a"), &disk.client("b"));
}

#[test]
fn a_replayed_client_keeps_the_contract() {
    let whole = actor(|client| {
        keeps_the_contract(client, client);
        "kept".to_owned()
    });
    let explorer = Explorer { actors: vec![whole], initial: DiskState::new(), faults: Faults::default(), states_max: 10_000 };
    let at_end = |world: &super::world::World| if world.results().eq(["kept"]) { Ok(()) } else { Err("not at the end".to_owned()) };
    let report = explorer.explore(|_| Ok(()), at_end).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!((report.ends, report.moves + 1), (1, report.states), "one actor, one way");
}
