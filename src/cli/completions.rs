//! `flockwork completions`: what makes a shell complete this program's commands and options.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::error::Result;

#[derive(clap::Args)]
#[command(after_help = "Where a shell looks for it:\n  \
                        bash        ~/.local/share/bash-completion/completions/flockwork\n  \
                        zsh         _flockwork in a folder of $fpath\n  \
                        fish        ~/.config/fish/completions/flockwork.fish\n  \
                        elvish      at the end of ~/.config/elvish/rc.elv\n  \
                        powershell  at the end of the file that $PROFILE names\n\
                        Exit: 0 printed; 2 there is no such shell.\n\
                        Example, for this bash only: . <(flockwork completions bash)")]
pub(super) struct Args {
    /// Whose completions to print
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::shown::command(), super::NAME, &mut text);
    super::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
