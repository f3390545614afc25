//! Commands that behave badly, each in its own way.

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::control::Control;
use crate::error::ErrorKind;

/// Keeps everything.
#[derive(Default)]
struct All {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Ears for All {
    fn out(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.out.extend_from_slice(block);
        Ok(())
    }

    fn err(&mut self, block: &[u8]) {
        self.err.extend_from_slice(block);
    }
}

fn words(script: &str) -> [OsString; 3] {
    ["sh", "-c", script].map(OsString::from)
}

fn order(words: &[OsString]) -> Order<'_> {
    Order { words, program: None, dir: None, env: &[], timeout: None }
}

/// Runs a shell script over `input`.
fn run(script: &str, input: &[u8], timeout: Option<Duration>) -> (Ended, All) {
    let (words, control, mut all) = (words(script), Control::default(), All::default());
    let mut running = Running::start(&Order { timeout, ..order(&words) }, Stdin::Fed).expect("started");
    for block in input.chunks(100_000) {
        if !running.feed(block, &control, &mut all).expect("fed") {
            break;
        }
    }
    let ended = running.finish(&control, &mut all).expect("ended");
    (ended, all)
}

/// More than any pipe holds.
fn much() -> Vec<u8> {
    b"a line of some length, again and again\n".repeat(100_000)
}

#[test]
fn what_goes_in_comes_out_also_where_it_is_more_than_pipes_hold() {
    let (ended, all) = run("cat; echo done >&2", &much(), None);
    assert!(ended.is_good() && all.out == much(), "{ended:?}, {} bytes", all.out.len());
    assert_eq!(all.err, b"done\n");
    assert!(ended.max_rss > 100_000 && ended.wall > Duration::ZERO, "{ended:?}");
}

#[test]
fn input_that_is_never_read_is_no_error() {
    for script in ["exit 0", "exec <&-; sleep 0.2", "head -n 1", "sleep 0.1"] {
        let (ended, _) = run(script, &much(), None);
        assert!(ended.is_good(), "{script}: {}", ended.words());
    }
}

#[test]
fn how_it_ended_is_told() {
    for (script, words) in [
        ("exit 3", "ended with status 3"),
        ("head -c 1; exit 7", "ended with status 7"),
        ("kill -9 $$", "was killed by signal 9 (SIGKILL)"),
        ("kill -SEGV $$", "was killed by signal 11 (SIGSEGV)"),
    ] {
        let (ended, _) = run(script, &much(), None);
        assert_eq!((ended.words().as_str(), ended.is_good()), (words, false), "{script}");
    }
}

#[test]
fn much_on_both_streams_and_no_reading_blocks_nobody() {
    let (ended, all) = run("yes out | head -c 3000000; yes err | head -c 3000000 >&2; cat >/dev/null", &much(), None);
    assert!(ended.is_good());
    assert_eq!((all.out.len(), all.err.len()), (3_000_000, 3_000_000));
}

#[test]
fn a_slow_reader_is_waited_for() {
    let (ended, all) = run("sleep 0.3; wc -c", &much(), None);
    assert!(ended.is_good());
    assert_eq!(String::from_utf8_lossy(&all.out).trim(), much().len().to_string());
}

#[test]
fn one_that_takes_too_long_is_ended_and_so_is_one_that_will_not_hear() {
    for script in ["exec sleep 3600", "trap '' TERM; sleep 3600 & wait; sleep 3600", "while :; do :; done"] {
        let (ended, _) = run(script, &much(), Some(Duration::from_millis(200)));
        assert!(ended.timed_out && !ended.is_good(), "{script}");
        assert!(ended.words().starts_with("ran for longer than "), "{}", ended.words());
    }
}

/// Takes its time over the second block, when the end was seen with the first: longer than others are listened to.
#[derive(Default)]
struct Slow {
    blocks: usize,
    bytes: usize,
}

impl Ears for Slow {
    fn out(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.blocks += usize::from(!block.is_empty());
        if self.blocks == 2 {
            std::thread::sleep(LINGER + Duration::from_millis(200));
        }
        self.bytes += block.len();
        Ok(())
    }

    fn err(&mut self, block: &[u8]) {
        self.bytes += block.len();
    }
}

#[test]
fn nothing_that_a_command_said_is_lost_however_long_it_is_not_listened_to() {
    // All that fits into its pipes; and a daemon keeps them open without a word.
    for script in
        ["head -c 60000 /dev/zero >&2; head -c 250000 /dev/zero", "setsid sleep 9 & head -c 60000 /dev/zero >&2; head -c 250000 /dev/zero"]
    {
        let (words, mut slow) = (words(script), Slow::default());
        let mut running = Running::start(&order(&words), Stdin::Fed).expect("started");
        running.expect_much();
        comes_true("it has ended", || {
            std::fs::read_to_string(format!("/proc/{}/stat", running.group_number())).is_ok_and(|stat| stat.contains(") Z "))
        });
        assert!(running.finish(&Control::default(), &mut slow).expect("ended").is_good());
        assert_eq!(slow.bytes, 310_000, "{script}");
    }
}

#[test]
fn what_a_command_leaves_running_does_not_keep_it() {
    let (ended, all) = run("setsid sleep 3600 & daemon=$!; sleep 3600 & echo $!; echo $daemon; echo said", b"", None);
    assert!(ended.is_good(), "{ended:?}");
    let said = String::from_utf8(all.out).expect("text");
    assert!(said.ends_with("said\n"));
    // The one in its group is gone with it; the other has a session of its own.
    let [left, daemon] = [0, 1].map(|n| said.lines().nth(n).and_then(|pid| pid.parse().ok()).expect("a number"));
    comes_true("what its group left is gone", || !lives(left));
    assert!(lives(daemon), "nobody follows it");
    kill_process(Pid::from_raw(daemon).expect("a number"), Signal::KILL).expect("ended");
}

/// Whether a process runs; one that was ended and not yet waited for does not.
fn lives(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until it is true, longer than any busy machine takes.
fn comes_true(what: &str, is_true: impl Fn() -> bool) {
    let looks = (0..12_000).map(|_| std::thread::sleep(Duration::from_millis(10)));
    assert!(is_true() || looks.into_iter().any(|()| is_true()), "waited two minutes in vain: {what}");
}

#[test]
fn a_cancelled_command_ends_at_once() {
    let (words, control) = (words("exec sleep 3600"), Control::default());
    let running = Running::start(&order(&words), Stdin::Fed).expect("started");
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| running.finish(&control, &mut All::default()));
        comes_true("it is waited for", || control.records() > 1);
        control.cancel();
        running.join().expect("no panic")
    });
    assert!(matches!(ended, Err(Failure::Cancelled)), "{ended:?}");
}

#[test]
fn a_held_command_stands_still_and_goes_on() {
    // It starts nothing: a shell that is just starting a program waits for that one, stopped or not.
    let (words, control) = (words("exec sleep 3600"), Control::default());
    let order = Order { timeout: Some(Duration::from_secs(5)), ..order(&words) };
    let running = Running::start(&order, Stdin::Fed).expect("started");
    let path = format!("/proc/{}/stat", running.group_number());
    let is_stopped = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(") T "));
    assert!(!is_stopped());
    control.hold();
    std::thread::scope(|scope| {
        let control = &control;
        let running = scope.spawn(move || running.finish(control, &mut All::default()));
        comes_true("it is stopped", is_stopped);
        control.go_on();
        let ended = running.join().expect("no panic").expect("ended");
        assert!(ended.timed_out, "it went on until its time was over");
    });
}

#[test]
fn a_command_that_lives_counts_as_progress() {
    let (words, control) = (words("exec sleep 3600"), Control::default());
    let running = Running::start(&order(&words), Stdin::Fed).expect("started");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| running.finish(&control, &mut All::default()));
        comes_true("whoever watches for a stall sees that it lives", || control.records() > 3);
        control.cancel();
        assert!(running.join().expect("no panic").is_err(), "cancelled");
    });
}

#[test]
fn what_cannot_be_started_says_what_to_do() {
    let words = [OsString::from("no-such-program-here")];
    let text = Running::start(&order(&words), Stdin::Fed).err().expect("refused").to_string();
    assert!(text.starts_with("cannot start `no-such-program-here`: No such file"), "{text}");
    assert!(text.contains("install it on every machine"), "{text}");
}

#[test]
fn its_folder_and_environment_are_as_ordered_and_without_the_folder_it_is_not_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path().canonicalize().expect("there");
    let (words, env) = (words("pwd; echo $GREETING"), [("GREETING".into(), "hello".into())]);
    let start = |dir: &Path| Running::start(&Order { dir: Some(dir), env: &env, ..order(&words) }, Stdin::Fed);
    let (control, mut all) = (Control::default(), All::default());
    assert!(start(&dir).expect("started").finish(&control, &mut all).expect("ended").is_good());
    assert_eq!(String::from_utf8(all.out).expect("text"), format!("{}\nhello\n", dir.display()));
    let refused = start(&dir.join("gone")).err().expect("refused");
    assert_eq!(refused.kind(), ErrorKind::Unfit, "{refused}");
    assert!(refused.to_string().starts_with("no such folder here: "), "not that the program is not there: {refused}");
}

#[test]
fn a_program_in_the_folder_is_found_without_a_slash() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("map.py");
    std::fs::write(&script, "").expect("written");
    assert_eq!(find_program(&"map.py".into(), dir.path()), "map.py", "it may not be run");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("set");
    assert_eq!(find_program(&"map.py".into(), dir.path()), script.as_os_str());
    for name in ["./map.py", "/bin/cat", "cat"] {
        assert_eq!(find_program(&name.into(), dir.path()), name);
    }
}
