//! The batch script that Slurm starts workers with: text, made from what was asked; nothing is run here.
//!
//! Slurm signals the script before the time limit. Then the worker gives its claims back and the job is requeued, so that it goes on in the next allocation. A worker that ends by
//! itself (`--idle`, `--drain`) ends the job; `scancel` ends both.

use std::path::Path;

use crate::units::{for_shell, word_for_shell};

/// Slurm signals so many seconds before the time limit; it may be a minute early.
const SIGNAL_SECONDS: u32 = 120;

/// What the script is made from.
#[derive(Debug)]
pub struct Batch<'a> {
    /// This program, as it is called on the nodes.
    pub program: &'a Path,
    /// The farm.
    pub farm: &'a Path,
    /// Where the workers' words go.
    pub words: &'a Path,
    /// Options of the worker.
    pub options: &'a [String],
    /// Slots, where not as many as the allocation has cores.
    pub slots: Option<u32>,
    /// Options of sbatch, as typed.
    pub sbatch: &'a [String],
}

impl Batch<'_> {
    /// The script.
    pub fn script(&self) -> Result<String, String> {
        let typed = directives(self.sbatch)?;
        let given =
            |name: &str, short: &str| typed.iter().any(|line| line.starts_with(name) || (!short.is_empty() && line.starts_with(short)));
        let mut lines = vec!["#!/bin/bash".to_owned()];
        let words = for_shell(&self.words.join("slurm-%j.txt"));
        for (name, short, line) in [
            ("--job-name", "-J", "--job-name=flockwork".to_owned()),
            ("--requeue", "--no-requeue", "--requeue".to_owned()),
            ("--open-mode", "", "--open-mode=append".to_owned()),
            ("--signal", "", format!("--signal=B:USR1@{SIGNAL_SECONDS}")),
            ("--output", "-o", format!("--output={words}")),
        ] {
            if !given(name, short) {
                lines.push(format!("#SBATCH {line}"));
            }
        }
        lines.extend(typed.iter().map(|line| format!("#SBATCH {line}")));
        let slots = self.slots.map_or_else(|| r#""${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}""#.to_owned(), |n| n.to_string());
        let quoted: String = self.options.iter().map(|word| format!(" {}", word_for_shell(word))).collect();
        lines.push(format!(
            r#"
# Before the time limit Slurm sends USR1: the worker gives its claims back, and this job begins anew. What is cancelled ends.
again=
trap 'again=yes; kill -TERM "$worker"' USR1
trap 'kill -TERM "$worker"' TERM
{program} worker {farm} --slots {slots}{quoted} &
worker=$!
status=255
while :; do
  wait "$worker"; status=$?
  kill -0 "$worker" 2> /dev/null || break
done
if [ -n "$again" ]; then
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
"#,
            program = for_shell(self.program),
            farm = for_shell(self.farm),
        ));
        Ok(lines.join("\n"))
    }
}

/// The options, one a line, with the words that belong to each.
fn directives(typed: &[String]) -> Result<Vec<String>, String> {
    let mut lines: Vec<String> = Vec::new();
    for word in typed {
        if word.contains(['\n', '\r']) {
            return Err("an option of sbatch holds a line end".to_owned());
        }
        let plain = word.chars().all(|c| !c.is_whitespace() && !"'\"\\#".contains(c));
        let quoted = if plain { word.clone() } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) };
        match lines.last_mut() {
            _ if word.starts_with('-') => lines.push(quoted),
            Some(line) => *line = format!("{line} {quoted}"),
            None => return Err(format!("`{word}` is no option of sbatch; write for example -- --time=2:00:00 --array=0-9")),
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(sbatch: &[&str], options: &[&str], slots: Option<u32>) -> Result<String, String> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (sbatch, options) = (own(sbatch), own(options));
        let (program, farm, words) = (Path::new("/opt/flockwork"), Path::new("/mnt/my farm"), Path::new("/mnt/my farm/.launch"));
        Batch { program, farm, words, options: &options, slots, sbatch: &sbatch }.script()
    }

    #[test]
    fn the_script_says_what_was_asked_and_nothing_twice() {
        let text = script(&["--time=2:00:00", "-p", "short", "--comment=two words", "--signal=B:USR1@300"], &["--idle=10m"], None)
            .expect("a script");
        for part in [
            "#!/bin/bash\n",
            "#SBATCH --requeue\n",
            "#SBATCH --time=2:00:00\n",
            "#SBATCH -p short\n",
            "#SBATCH \"--comment=two words\"\n",
            "#SBATCH --signal=B:USR1@300\n",
            "/opt/flockwork worker '/mnt/my farm' --slots \"${SLURM_CPUS_PER_TASK:-${SLURM_CPUS_ON_NODE:-1}}\" --idle=10m &",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(text.matches("--signal").count(), 1, "the user's own stands alone");
        assert!(script(&[], &[], Some(8)).expect("a script").contains("--slots 8 &"));
    }

    #[test]
    fn what_is_no_option_of_sbatch_is_refused() {
        assert!(script(&["short"], &[], None).is_err_and(|why| why.contains("no option of sbatch")));
        assert!(script(&["--comment=a\nb"], &[], None).is_err());
    }
}
