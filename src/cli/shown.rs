//! The command line as people see it: what `completions` and `man` are made from. Commands that only this program gives to itself are left out.

use clap::{Arg, ArgAction, Command, CommandFactory};

/// The whole command line, without hidden commands.
pub(super) fn command() -> Command {
    let whole = super::Cli::command();
    // clap takes no command out again, so the rest is put together anew.
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version).help("Print version");
    let mut shown = Command::new(whole.get_name().to_owned())
        .version(super::version::SHORT)
        .about(whole.get_about().cloned().unwrap_or_default())
        .after_help(whole.get_after_help().cloned().unwrap_or_default())
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg(version);
    for command in whole.get_subcommands().filter(|command| !command.is_hide_set()) {
        shown = shown.subcommand(command.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_the_program_gives_to_itself_are_not_shown() {
        let whole = super::super::Cli::command();
        let hidden: Vec<_> = whole.get_subcommands().filter(|command| command.is_hide_set()).map(Command::get_name).collect();
        assert_eq!(hidden, ["slot", "leash"], "what this test is about");
        let shown = command();
        let names: Vec<_> = shown.get_subcommands().map(Command::get_name).collect();
        assert_eq!(names.len() + hidden.len(), whole.get_subcommands().count());
        assert!(hidden.iter().all(|name| !names.contains(name)), "{names:?}");
    }

    #[test]
    fn every_help_has_an_example_and_the_exit_statuses() {
        let mut shown = command();
        let mut lacking = Vec::new();
        let top = shown.render_long_help().to_string();
        for command in shown.get_subcommands_mut() {
            let (name, help) = (command.get_name().to_owned(), command.render_long_help().to_string());
            for word in ["Exit: 0 ", "Example"] {
                if !help.contains(word) {
                    lacking.push(format!("{name}: {word}"));
                }
            }
            if !help.contains(&format!("flockwork {name} ")) && !help.contains(&format!("flockwork {name}\n")) {
                lacking.push(format!("{name}: an example of itself"));
            }
        }
        assert!(lacking.is_empty(), "no such line in the help of {lacking:#?}");
        assert!(top.contains("Exit: 0 ") && top.contains("Example"), "{top}");
    }
}
