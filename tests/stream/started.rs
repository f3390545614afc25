//! How commands are started: scripts without a first line of their own, and where they are told that their job lies.

use super::stream;
use crate::common::{FLOCKWORK, Farm};

#[test]
fn a_script_that_names_no_program_is_the_shells() {
    let farm = Farm::new();
    farm.write("in", "a\nb\n");
    farm.write_program("map", "sed s/^/x/\n");
    farm.write_program("reduce", "exec cat \"$@\"\n");
    for mapper in ["./map", "map"] {
        let end = stream(&farm, &["--mapper", mapper, "--reducer", "reduce -"], &["-r", "1", "in"]);
        assert_eq!(farm.outputs(end["job"].as_str().expect("its job")), b"xa\t\nxb\t\n", "{mapper}");
    }
    farm.write_program("alien", "\x7fELF\x02\x01\x01\0of another machine's\n");
    farm.run(&["stream", "--job", "job", "--max-errors", "1", "--mapper", "./alien", "--reducer", "cat", "in"])
        .fails_saying(1, &["the mapper `./alien`: cannot start", "this kind of machine"]);
}

#[test]
fn a_command_is_told_its_job_by_a_path_that_is_right_where_it_runs() {
    let farm = Farm::new();
    farm.write("cw/in", "a\n");
    let mapper = "sh -c 'cat > /dev/null; test -f $FLOCKWORK_JOB/job.json && echo found'";
    let submit = "cd cw && f=$1 && shift && exec $f stream --submit --job ../job --mapper \"$1\" --reducer cat -r 1 in";
    farm.start_as("sh", &["-c", submit, "sh", FLOCKWORK, mapper]).ends_with(0);
    let worker = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    farm.ok(&["coordinator", "job", "--quiet"]);
    worker.ends_with(0);
    farm.finished_with("job", b"found\t\n");
}
