//! What is wrong on the command line of `each`, and what only prints or plans.

use super::{cat, text};
use crate::common::Farm;

#[test]
fn a_dry_run_prints_the_commands_and_makes_nothing() {
    let farm = Farm::new();
    let program = farm.ok(&["each", "--dry-run", "--job", "job", "--", "mv", "{}", "{.}.bak", ":::", "a b.txt", "it's"]);
    assert_eq!(text(&program), "mv 'a b.txt' 'a b.bak'\nmv 'it'\\''s' 'it'\\''s.bak'\n");
    assert!(!farm.has("job"));
}

#[test]
fn a_submitted_job_is_run_by_workers_and_a_coordinator() {
    let farm = Farm::new();
    let program = farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", "sleep 0.05; echo item $0", ":::", "a", "b"]);
    assert_eq!(text(&program), "job\n");
    farm.run(&["cat", "job"]).fails_saying(1, &["2 of 2 tasks have not ended yet"]);
    let worker = farm.start(&["worker", "job", "--slots", "1"]);
    farm.ok(&["coordinator", "job"]);
    worker.ends_with(0);
    assert_eq!(cat(&farm, &[]), "item a\nitem b\n");
    farm.run(&["each", "--job", "job", "--", "sh", "-c", "sleep 0.05; echo item $0", ":::", "a", "b"]).ends_with(0);
    assert!(!text(&farm.ok(&["status", "job"])).contains("retry"), "all is well");
    let end: serde_json::Value = serde_json::from_slice(&farm.read("job/phase/end")).expect("JSON");
    assert!(end["busy_ms"].as_u64() >= Some(100), "how long its commands took is summed up: {end}");
}

#[test]
fn without_a_job_a_new_folder_is_made_here() {
    let farm = Farm::new();
    farm.ok(&["each", "--", "true", ":::", "a"]);
    assert_eq!(farm.names(".").iter().filter(|name| name.starts_with("flockwork-each-")).count(), 1);
}

#[test]
fn other_items_or_another_command_are_another_job() {
    let farm = Farm::new();
    farm.ok(&["each", "--job", "job", "--", "echo", ":::", "a"]);
    farm.ok(&["each", "--job", "job", "--", "echo", ":::", "a"]);
    let others: [(&[&str], &str); 5] = [
        (&["--", "echo", ":::", "b"], "it has other items"),
        (&["--", "echo", ":::", "a", "b"], "it has other items: 1 item, 2 bytes there, 2 items, 4 bytes here"),
        (&["--", "echo", "-n", ":::", "a"], "the command is `echo` there, not `echo -n`"),
        (&["--retries", "1", "--", "echo", ":::", "a"], "--retries is 0 there, not 1"),
        (&["--timeout", "1s", "--", "echo", ":::", "a"], "--timeout is none there, not 1s"),
    ];
    for (other, part) in others {
        farm.run(&[&["each", "--job", "job"], other].concat()).fails_saying(1, &["another job lies in", part, "choose another --job"]);
    }
    farm.write("full/thing", "x");
    farm.run(&["each", "--job", "full", "--", "echo", ":::", "a"]).fails_saying(1, &["holds other things"]);
}

#[test]
fn a_wrong_command_line_is_refused_and_leaves_nothing() {
    let farm = Farm::new();
    farm.write("list", "a\n");
    let wrong: [(&[&str], &str); 28] = [
        (&[], "required"),
        (&["echo", "{}"], "unexpected argument"),
        (&["--"], "required"),
        (&["--", ":::", "a"], "there is no command"),
        (&["--", "", ":::", "a"], "there is no command"),
        (&["--", "echo", ":::", "a", ":::", "b"], "stands twice"),
        (&["-a", "list", "--", "echo", ":::", "a"], "not both"),
        (&["--timeout", "0s", "--", "echo"], "needs some time"),
        (&["--timeout", "soon", "--", "echo"], "--timeout"),
        (&["--retries=-1", "--", "echo"], "--retries"),
        (&["--retries", "1000001", "--", "echo"], "--retries"),
        (&["--fail-fast", "0", "--", "echo"], "--fail-fast"),
        (&["--fail-fast", "1", "--keep-going", "--", "echo"], "cannot be used with"),
        (&["--slots", "4097", "--", "echo"], "--slots"),
        (&["--lease", "0.5s", "--", "echo"], "smallest lease"),
        (&["--max-lost", "0", "--", "echo"], "--max-lost"),
        (&["-0", "--json-items", "--", "echo"], "cannot be used with"),
        (&["--submit", "--dry-run", "--", "echo"], "cannot be used with"),
        (&["--submit", "--joblog", "log", "--", "echo"], "cannot be used with"),
        (&["--reduces", "1", "--", "echo"], "unexpected argument"),
        (&["--priority", "high", "--", "echo"], "--priority"),
        (&["--after", "list", "--", "echo"], "--submit"),
        (&["--after", "list", "-q", "--", "echo"], "add --submit"),
        (&["--after", "list", "--slots", "1", "--", "echo"], "add --submit"),
        (&["--after", "list", "--json", "--", "echo"], "add --submit"),
        (&["--after", "list", "--dry-run", "--", "echo"], "add --submit"),
        (&["--submit", "--slots", "2", "--", "echo"], "cannot be used with"),
        (&["--submit", "--json", "--", "echo"], "cannot be used with"),
    ];
    for (args, part) in wrong {
        farm.run(&[&["each", "--job", "job"], args].concat()).fails_saying(2, &[part]);
    }
    farm.run(&["run", "each", "list"]).fails_saying(2, &["no app is called `each`"]);
    assert_eq!(farm.names("."), ["list"]);
}

#[test]
fn a_job_that_no_worker_of_its_farm_would_see_is_refused() {
    let farm = Farm::new();
    farm.write("in", "x\n");
    for job in ["farm/.job", "farm/job\\377"] {
        let [each, submit] = ["each --submit --job \"$j\" -- echo ::: a", "submit wc in --job \"$j\""];
        for command in [each, submit] {
            let program = super::shell(&farm, &format!("j=$(printf '{job}'); $F {command}"));
            program.fails_saying(2, &["no worker of its farm would see", "choose another --job"]);
        }
    }
    assert_eq!(farm.names("."), ["in"], "nothing is left behind");
    // By its own path it can be served.
    super::shell(&farm, "j=$(printf 'job\\377'); $F each --submit --job .hidden -- echo ::: a && $F each -q --job \"$j\" -- echo ::: a")
        .ends_with(0);
}

#[test]
fn items_that_cannot_be_read_are_named() {
    let farm = Farm::new();
    farm.write("list", "{}\n[1]\n");
    farm.run(&["each", "--job", "job", "-a", "gone", "--", "echo"]).fails_saying(1, &["cannot read the items from", "gone"]);
    farm.run(&["each", "--job", "job", "--json-items", "-a", "list", "--", "echo"]).fails_saying(1, &["line 2 is no JSON object"]);
    assert!(!farm.has("job"));
    farm.run(&["each", "--dry-run", "--json-items", "--", "echo", "{a}", ":::", "{}"]).fails_saying(1, &["item 1", "no field `a`"]);
}

#[test]
fn a_program_that_is_not_there_fails_its_items() {
    let farm = Farm::new();
    farm.run(&["each", "--job", "job", "--joblog", "log", "--", "no-such-program", ":::", "a"])
        .fails_saying(1, &["1 of 1 tasks", "cannot start `no-such-program`"]);
    assert!(String::from_utf8_lossy(&farm.read("log")).lines().last().is_some_and(|row| row.contains("\t127\t0\tno-such-program a")));
}

#[test]
fn a_task_and_tags_are_only_of_jobs_of_commands() {
    let farm = Farm::new();
    farm.write("in", "word\n");
    farm.ok(&["run", "wc", "in", "--job", "job"]);
    for more in [&["--tag"][..], &["1"]] {
        farm.run(&[&["cat", "job"], more].concat()).fails_saying(2, &["of jobs of commands"]);
    }
}
