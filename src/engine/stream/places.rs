//! What a command finds in its environment: the names that scripts of Hadoop Streaming read, new and old, and ours.

use std::ffi::OsString;
use std::path::Path;

use crate::app::Context;
use crate::data::Piece;
use crate::ids::Phase;

/// Which task a command works on, and which file.
pub(super) struct Place<'a> {
    pub(super) context: &'a Context,
    /// What a mapper reads.
    pub(super) piece: Option<&'a Piece>,
}

impl Place<'_> {
    /// Where commands run: where the job was submitted.
    pub(super) fn dir(&self) -> &Path {
        &self.context.job.cwd
    }

    /// Names and values.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let attempt = self.context.attempt;
        let is_map = attempt.task.phase == Phase::Map;
        let (letter, number) = (if is_map { 'm' } else { 'r' }, attempt.task.number);
        // Scripts cut these at `_`: as many parts as Hadoop has.
        let id = format!("{}_0001", self.context.job.id);
        let task = format!("task_{id}_{letter}_{number:06}");
        let tried = format!("attempt_{id}_{letter}_{number:06}_{}", attempt.number.saturating_sub(1));
        let mut names: Vec<(&str, &str, String)> = vec![
            ("mapreduce_job_id", "mapred_job_id", format!("job_{id}")),
            ("mapreduce_task_id", "mapred_tip_id", task),
            ("mapreduce_task_attempt_id", "mapred_task_id", tried),
            ("mapreduce_task_partition", "mapred_task_partition", number.to_string()),
            ("mapreduce_task_ismap", "mapred_task_is_map", is_map.to_string()),
            ("mapreduce_job_reduces", "mapred_reduce_tasks", self.context.job.reduces.to_string()),
            ("FLOCKWORK_TASK", "", attempt.task.to_string()),
            ("FLOCKWORK_ATTEMPT", "", attempt.number.to_string()),
        ];
        if let Some(piece) = self.piece {
            names.push(("mapreduce_map_input_file", "map_input_file", piece.name.clone()));
            names.push(("mapreduce_map_input_start", "map_input_start", piece.from.to_string()));
            names.push(("mapreduce_map_input_length", "map_input_length", piece.to.saturating_sub(piece.from).to_string()));
        }
        let both = names.into_iter().flat_map(|(new, old, value)| [(new, value.clone()), (old, value)]);
        let both = both.filter(|(name, _)| !name.is_empty()).map(|(name, value)| (name.into(), value.into()));
        // A command runs in another folder than its worker.
        let job = std::path::absolute(&self.context.job_dir).unwrap_or_else(|_| self.context.job_dir.clone());
        both.chain([("FLOCKWORK_JOB".into(), job.into())]).collect()
    }
}
