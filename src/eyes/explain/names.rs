//! Which task is meant: by its name, its number, an attempt's or a claim's name, an output's, with or without the folder before it.

use crate::error::{Error, ErrorKind, Result};
use crate::eyes::output_number;
use crate::ids::{AttemptId, Block, Phase, TaskFile, TaskId};
use crate::job::snapshot::Shape;

/// Reads what was typed; items of a job of commands are counted from 1, as `{#}` does.
pub fn parse(typed: &str, shape: Shape, of_commands: bool) -> Result<(TaskId, Option<AttemptId>)> {
    let name = typed.trim_end_matches('/').rsplit('/').next().unwrap_or(typed);
    let found = by_file(name, shape).or_else(|| by_name(name, shape).map(|task| (task, None))).or_else(|| {
        let item = of_commands.then(|| name.parse::<u32>().ok()?.checked_sub(1)).flatten()?;
        Some((TaskId::map(item), None))
    });
    let count = |phase| if phase == Phase::Map { shape.maps } else { shape.reduces };
    match found {
        Some((task, attempt)) if task.number < count(task.phase) => Ok((task, attempt)),
        Some(_) | None => {
            let error = Error::new(ErrorKind::Usage, format!("the job has no task `{typed}`"));
            Err(error.advise(range(shape, of_commands)))
        }
    }
}

/// `map-00042.a1`, `map-42.a1@node7.4121.k3f`.
fn by_file(name: &str, shape: Shape) -> Option<(TaskId, Option<AttemptId>)> {
    if let Ok(file) = name.parse::<TaskFile>() {
        return Some((file.attempt().task, Some(file.attempt())));
    }
    let (task, rest) = name.split_once(".a")?;
    let number = rest.split('@').next()?.parse().ok().filter(|number| *number > 0)?;
    let task = by_name(task, shape)?;
    Some((task, Some(task.attempt(number))))
}

/// `map-00042`, `map-42`, `mr-out-00003`; of `map-00064+63` the first.
fn by_name(name: &str, shape: Shape) -> Option<TaskId> {
    if let Some(number) = output_number(name) {
        // (without a reduce phase each map task makes an output)
        return Some(if shape.reduces == 0 { TaskId::map(number) } else { TaskId::reduce(number) });
    }
    if let Ok(block) = name.parse::<Block>() {
        return Some(block.first());
    }
    let (phase, digits) = name.split_once('-')?;
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    match phase {
        "map" => Some(TaskId::map(number)),
        "reduce" => Some(TaskId::reduce(number)),
        _ => None,
    }
}

fn range(shape: Shape, of_commands: bool) -> String {
    let last = |task: fn(u32) -> TaskId, count: u32| format!("{} to {}", task(0), task(count.saturating_sub(1)));
    match (shape.maps, shape.reduces) {
        (0, _) => "it is not planned yet, and has none".to_owned(),
        (maps, _) if of_commands => format!("it has {}, or by its item's number 1 to {maps}", last(TaskId::map, maps)),
        (maps, 0) => format!("it has {}", last(TaskId::map, maps)),
        (maps, reduces) => format!("it has {} and {}", last(TaskId::map, maps), last(TaskId::reduce, reduces)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { maps: 50, reduces: 4 };

    fn found(typed: &str) -> String {
        parse(typed, SHAPE, false)
            .map_or_else(|error| error.to_string(), |(task, attempt)| attempt.map_or(task.to_string(), |a| a.to_string()))
    }

    #[test]
    fn a_task_is_known_by_every_name_that_people_meet_it_under() {
        for typed in ["map-00042", "map-42", "map-042"] {
            assert_eq!(found(typed), "map-00042", "{typed}");
        }
        for typed in
            ["map-00042.a2", "map-42.a2", "map-00042.a2@node7.4121.k3f", "claimed/map-00042.a2@node7.4121.k3f", "job/done/map-42.a2@x"]
        {
            assert_eq!(found(typed), "map-00042.a2", "{typed}");
        }
        assert_eq!((found("reduce-3"), found("mr-out-00003")), ("reduce-00003".to_owned(), "reduce-00003".to_owned()));
        assert_eq!(parse("42", SHAPE, true).expect("an item").0, TaskId::map(41));
    }

    #[test]
    fn an_unknown_task_is_answered_with_those_that_there_are() {
        for typed in ["map-50", "reduce-4", "42", "x", "", "map-", "map--1", "map-+1", "map-99999999999", "map-1.a0", "mr-out-00004"] {
            let said = found(typed);
            assert!(
                said.contains("no task `") && said.contains("map-00000 to map-00049 and reduce-00000 to reduce-00003"),
                "{typed}: {said}"
            );
        }
        let items = Shape { maps: 50, reduces: 0 };
        for typed in ["0", "51"] {
            assert!(parse(typed, items, true).expect_err(typed).to_string().contains("its item's number 1 to 50"));
        }
    }
}
