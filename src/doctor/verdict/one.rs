//! What one machine has found out.

use super::{Finding, Verdict, show_us};
use crate::doctor::facts::{Alone, Race, Rate, Touch};
use crate::units::show_size;

pub fn findings(alone: &Alone) -> Vec<Finding> {
    let mut all = vec![
        race("rename", &alone.rename, "4 threads", "a claim and a commit are a rename, and nothing else decides"),
        over(alone),
        race("link", &alone.link, "4 threads", "job.json, plans and ends are created once, by link"),
        exclusive(&alone.exclusive),
        touch(&alone.touch),
        clock("clock", alone.touch.offset_ms, alone.touch.unsure_ms),
    ];
    all.extend(names(alone));
    all.push(publish(&alone.rates.publish));
    all.push(calls(alone));
    all.push(room(alone));
    if !alone.leftovers.is_empty() {
        let relies = "a doctor that is killed cannot clean up";
        all.push(Finding::new("leftovers", Verdict::Note, alone.leftovers.join(", "), relies).advise("remove them: rm -r"));
    }
    all
}

pub fn race(name: &'static str, race: &Race, who: &str, relies: &str) -> Finding {
    if let Some(why) = &race.refused {
        let finding = Finding::new(name, Verdict::Impossible, format!("refused: {why}"), relies);
        return finding.advise("choose a folder on a POSIX file system or an NFS export; FAT, SMB and most object stores cannot do it");
    }
    if race.is_fair() {
        return Finding::new(name, Verdict::Good, format!("{} names raced for by {who}: each had one winner", race.names), relies);
    }
    let measured = format!("of {} names raced for by {who}, {} had several winners and {} none", race.names, race.twice, race.nobody);
    Finding::new(name, Verdict::Impossible, measured, relies).advise("this mount loses or doubles names; choose another one for jobs")
}

fn over(alone: &Alone) -> Finding {
    let (name, relies) = ("rename over", "logs and drafts of equal content may replace each other; outputs are never replaced");
    let over = &alone.over;
    match &over.refused {
        Some(why) => Finding::new(name, Verdict::Impossible, format!("refused: {why}"), relies)
            .advise("choose another mount (sshfs: -o workaround=rename is not atomic either)"),
        None if over.missing > 0 => {
            let measured =
                format!("{} of {} opens found no such name while it was renamed over: it is not atomic", over.missing, over.opens);
            Finding::new(name, Verdict::Impossible, measured, relies).advise("choose another mount for jobs")
        }
        None => {
            let measured = format!("{} times, and none of {} opens meanwhile found the name missing", over.renames, over.opens);
            Finding::new(name, Verdict::Good, measured, relies)
        }
    }
}

fn exclusive(race: &Race) -> Finding {
    let relies = "temporary names only: nothing is decided by it";
    if race.is_fair() {
        let measured = format!("O_EXCL: {} names, each created by one thread", race.names);
        return Finding::new("create once", Verdict::Good, measured, relies);
    }
    let why = race.refused.clone().unwrap_or_else(|| format!("{} names were created twice", race.twice));
    Finding::new("create once", Verdict::Careful, format!("O_EXCL does not exclude: {why}"), relies)
}

fn touch(touch: &Touch) -> Finding {
    let (name, relies) = ("touch", "heartbeats are touches that the server stamps; only a change of the stamp counts, never its value");
    match (&touch.refused, touch.grain_us) {
        (Some(why), _) => Finding::new(name, Verdict::Impossible, format!("refused: {why}"), relies)
            .advise("without it every claim would be taken back: mount with write permission for this user"),
        (None, None) => Finding::new(name, Verdict::Careful, "no stamp changed within 150 ms", relies)
            .advise("stamps in whole seconds make leases longer by that: use --lease 10s or more"),
        (None, Some(us)) => Finding::new(name, Verdict::Good, format!("each gives a new stamp, in steps of {}", show_us(us)), relies),
    }
}

fn clock(name: &'static str, offset_ms: f64, unsure_ms: f64) -> Finding {
    let measured = format!("the clock that stamps is {} this machine's (give or take {unsure_ms:.0} ms)", ahead(offset_ms));
    let finding = Finding::new(name, Verdict::Note, measured, "nothing: no clock is ever compared with another");
    if offset_ms.abs() < 2000.0 { finding } else { finding.advise("dates in `ls -l` and in the logs will disagree; run ntpd or chronyd") }
}

pub fn ahead(ms: f64) -> String {
    match ms {
        _ if ms.abs() < 1000.0 => format!("{:.0} ms {}", ms.abs(), if ms < 0.0 { "behind" } else { "ahead of" }),
        _ => format!("{:.1} s {}", ms.abs() / 1000.0, if ms < 0.0 { "behind" } else { "ahead of" }),
    }
}

fn names(alone: &Alone) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(why) = &alone.long_name_refused {
        let relies = "the name of a claim says who does what: host, process, chance";
        all.push(
            Finding::new("names", Verdict::Careful, format!("a name of 210 bytes with `@` is refused: {why}"), relies)
                .advise("use machines with short host names"),
        );
    } else {
        let case = if alone.folds_case { "a and A are one name" } else { "a and A are two names" };
        let relies = "names of 210 bytes at most; none differ by case alone";
        all.push(Finding::new("names", Verdict::Good, format!("long ones work; {case}"), relies));
    }
    let owner = alone.owner;
    let relies = "every worker of a job may rename and touch the others' files";
    all.push(if owner.of_file == owner.of_process {
        Finding::new("owner", Verdict::Good, format!("files are made as the user that makes them ({})", owner.of_file), relies)
    } else {
        let measured =
            format!("files of user {} are made as {}: the export maps users (root_squash, all_squash)", owner.of_process, owner.of_file);
        Finding::new("owner", Verdict::Careful, measured, relies)
            .advise("run all workers as one ordinary user, not as root; a mix of users cannot touch each other's files")
    });
    all
}

fn publish(rate: &Rate) -> Finding {
    let measured = format!(
        "a small file written, flushed and renamed: {:.0}/s, half within {}, 99 % within {}",
        rate.per_second,
        show_us(rate.p50_us),
        show_us(rate.p99_us)
    );
    let relies = "plans, outputs and data files are flushed before they get their names";
    if rate.p50_us < 20_000 {
        return Finding::new("publish", Verdict::Good, measured, relies);
    }
    Finding::new("publish", Verdict::Slower, measured, relies)
        .advise(format!("let tasks last a hundred times that or more ({} s): larger --split-size", rate.p50_us.div_ceil(10_000)))
}

fn calls(alone: &Alone) -> Finding {
    let rates = &alone.rates;
    let us = |rate: &Rate| format!("{} (99 %: {})", show_us(rate.p50_us), show_us(rate.p99_us));
    let measured = format!(
        "rename {}, touch {}, look {}, list of 100 names {}",
        us(&rates.rename),
        us(&rates.touch),
        us(&rates.look),
        us(&rates.list)
    );
    // A task is three renames, two touches, and a file made and looked at.
    let task_us = 3 * rates.rename.p50_us + 2 * rates.touch.p50_us + 3 * rates.look.p50_us;
    let relies = format!("about 8 calls a task: at best {} tasks a second and slot", 1_000_000 / task_us.max(1));
    let verdict = if task_us < 100_000 { Verdict::Good } else { Verdict::Slower };
    Finding::new("calls", verdict, measured, relies)
}

fn room(alone: &Alone) -> Finding {
    let room = alone.room;
    let files = if room.files == 0 { "files are not counted".to_owned() } else { format!("{} files may be made", room.files_free) };
    let measured = format!("{} of {} free; {files}", show_size(room.bytes_free), show_size(room.bytes));
    let relies = "a full disk is nobody's error: workers keep their claims and go on when there is room";
    let short = room.bytes_free < 1 << 30 || (room.files > 0 && room.files_free < 10_000);
    let verdict = if short { Verdict::Careful } else { Verdict::Good };
    let measured = format!("{measured}; a quota of the user's is not seen (`quota -s`)");
    let finding = Finding::new("room", verdict, measured, relies);
    if short { finding.advise("free some: a job needs its shuffle data and its output twice, and a few files per task") } else { finding }
}
