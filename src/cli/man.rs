//! `flockwork man`: the manual pages, made of the same words as `--help`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

use crate::error::{Error, Result};

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 done; 1 a page could not be written; 130 interrupted.\n\
                        Example: flockwork man | man -l -\n\
                        Example, for one's own manual: flockwork man --dir ~/.local/share/man/man1 && man flockwork-run")]
pub(super) struct Args {
    /// Write a page for each command, and the first page, into this folder (made where it is missing) instead of printing the first page
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut shown = super::shown::command().disable_help_subcommand(true);
    shown.build();
    match &args.dir {
        Some(dir) => write_all(&shown, dir)?,
        None => super::print(&page(&shown)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write_all(shown: &Command, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|error| Error::io("cannot make the folder for the manual", dir, error))?;
    for command in std::iter::once(shown).chain(shown.get_subcommands()) {
        let path = dir.join(format!("{}.1", name_of(command)));
        std::fs::write(&path, page(command)?).map_err(|error| Error::io("cannot write the manual page", &path, error))?;
    }
    Ok(())
}

/// `flockwork-run`: what its page is called.
fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command) -> Result<String> {
    let name = name_of(command);
    let mut bytes = Vec::new();
    let man =
        Man::new(command.clone().name(name.clone())).title(name.to_uppercase()).source(format!("flockwork {}", super::version::SHORT));
    man.render(&mut bytes).map_err(|error: io::Error| Error::io("cannot write the manual page of", &name, error))?;
    Ok(lines_kept(&String::from_utf8_lossy(&bytes)))
}

/// What stands at the end of `--help` is lines, which a manual page would run together.
fn lines_kept(page: &str) -> String {
    let Some((before, rest)) = page.split_once("\n.SH EXTRA\n") else { return page.to_owned() };
    let (notes, after) = rest.find("\n.SH ").map_or((rest, ""), |end| rest.split_at(end));
    format!("{before}\n.SH NOTES\n{}{after}\n", notes.trim_end().replace('\n', "\n.br\n"))
}
