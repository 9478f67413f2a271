//! `man`: manual pages, one for each command, made from the text of `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

use crate::error::{Context, Result};
use crate::output;
use crate::plan::document::TOOL;
use crate::whole_file;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  meshagent man -d ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The folder to write to, such as ~/.local/share/man/man1; it is created if it is missing
    #[arg(short, long, value_name = "DIR")]
    dir: PathBuf,
}

/// Writes the pages.
///
/// # Errors
///
/// The folder or a page cannot be written.
pub fn run(args: &ManArgs) -> Result<ExitCode> {
    let folder = args.dir.as_path();
    std::fs::create_dir_all(folder).context(|| format!("failed to create {}", folder.display()))?;
    let pages = pages()?;
    for (name, page) in &pages {
        let path = folder.join(name);
        whole_file::write(&path, page).context(|| format!("failed to write {}", path.display()))?;
    }
    output::note(&format!("wrote {} pages to {}", pages.len(), folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// The pages by the names of their files, such as `meshagent-set-move.1`.
///
/// # Errors
///
/// A page cannot be made.
pub fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    add(super::whole_tree(), &mut pages)?;
    Ok(pages)
}

fn add(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        add(below.clone(), pages)?;
    }
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let usage = command.clone().render_usage().to_string();
    let page = Man::new(command).title(title).source(TOOL);
    let mut text = Vec::new();
    page.render(&mut text).context(|| format!("failed to generate {}", page.get_filename()))?;
    let text = with_usage(&String::from_utf8_lossy(&text), &usage);
    pages.push((page.get_filename(), text.into_bytes()));
    Ok(())
}

/// The page with the usage that `--help` prints, which has the values of options and the order of
/// arguments.
fn with_usage(page: &str, usage: &str) -> String {
    let Some((before, rest)) = page.split_once(SYNOPSIS) else { return page.to_owned() };
    let after = rest.find("\n.SH ").map_or("", |at| &rest[at + 1..]);
    let usage = usage.trim_start_matches("Usage:").split_whitespace();
    let usage = usage.collect::<Vec<_>>().join(" ").replace('\\', "\\e").replace('-', "\\-");
    format!("{before}{SYNOPSIS}{usage}\n{after}")
}

/// The head of the section with the usage.
const SYNOPSIS: &str = ".SH SYNOPSIS\n";
