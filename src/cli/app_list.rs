//! `flockwork apps`: what this program knows.

use std::fmt::Write;
use std::process::ExitCode;

use crate::engine::AppEntry;
use crate::error::Result;

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 printed.\nExample: flockwork apps | grep -A2 sort")]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let width = apps.iter().map(|app| app.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for app in apps {
        let _ = writeln!(text, "{:width$}  {}", app.name, app.about);
        for option in app.options {
            let _ = writeln!(text, "{:width$}    -o {}=…  {}", "", option.key, option.about);
        }
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
