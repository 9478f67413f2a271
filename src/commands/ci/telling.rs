//! Where a run tells what it found: in a comment, on the page of the run, and to the next step.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::here::Here;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::forge::comment::{Frame, Section, compose};
use crate::forge::{Post, Posted};
use crate::output;
use crate::plan::markdown;
use crate::settings::variable;
use crate::visible;

/// The variables of GitHub, and of those that do as it does, for the page of the run and for the
/// next step.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
const OUTPUT: &str = "GITHUB_OUTPUT";

/// The most that the page of a run shows of a step, in bytes.
const SUMMARY_LIMIT: usize = 1024 * 1024;

/// What a run tells.
pub(super) struct Telling<'a> {
    /// What the run does, such as `plan`.
    pub(super) what: &'static str,
    /// What tells it from other runs about the same pull request.
    pub(super) job: &'a str,
    /// Its heading, as Markdown.
    pub(super) heading: String,
    /// What else is to be known, as Markdown.
    pub(super) about: String,
    /// What became of each job.
    pub(super) sections: Vec<Section>,
}

impl Telling<'_> {
    /// The first line of what is written at the forge.
    pub(super) fn marker(&self) -> String {
        let job = utf8_percent_encode(self.job, NON_ALPHANUMERIC);
        match self.job.is_empty() {
            true => format!("<!-- meshagent-ci {} -->", self.what),
            false => format!("<!-- meshagent-ci {} job={job} -->", self.what),
        }
    }

    /// All of it, for a place that holds so many bytes.
    pub(super) fn text(&self, here: &Here, limit: usize) -> String {
        let commit = here.at.pull_request().and_then(|it| it.head_commit.as_ref());
        let commit = commit.or(here.at.commit.as_ref());
        let commit = commit.map(|commit| format!("Commit {}", markdown::code(commit)));
        let run_url = here.at.run_url.as_deref().filter(|url| is_plain(url));
        let run = run_url.map(|url| format!("[run]({url})"));
        let footer: Vec<String> = [commit, run].into_iter().flatten().collect();
        let footer = footer.join(", ");
        let (marker, heading, about) = (&self.marker(), &self.heading, &self.about);
        let frame = Frame { marker, heading, about, footer: &footer, run_url, limit };
        conceal::within(compose(frame, &self.sections).into()).into_owned()
    }

    /// Prints it, and shows it on the page of the run.
    ///
    /// # Errors
    ///
    /// The page cannot be written.
    pub(super) fn show(&self, here: &Here) -> Result<()> {
        output::exactly(&visible::lines(&self.text(here, usize::MAX / 2)));
        let Some(path) = variable(SUMMARY) else { return Ok(()) };
        append(&path, &self.text(here, SUMMARY_LIMIT))
    }

    /// Writes it as the comment of a pull request.
    ///
    /// # Errors
    ///
    /// What the forge refuses.
    pub(super) async fn comment(&self, here: &Here, number: u64) -> Result<()> {
        let Some(forge) = here.forge_or_note("the comment") else { return Ok(()) };
        let body = self.text(here, forge.limit());
        let post = Post { marker: &self.marker(), title: "", body: &body };
        // Where nothing is to be told, only an older comment is put right.
        let is_wanted = !self.sections.is_empty();
        told("comment", &forge.comment(number, post, is_wanted).await?);
        Ok(())
    }
}

/// Whether a URL can stand in a link of Markdown.
fn is_plain(url: &str) -> bool {
    !url.chars().any(|c| c.is_whitespace() || "()<>[]\"".contains(c))
}

/// Says what became of what was written.
pub(super) fn told(what: &str, posted: &Posted) {
    let (done, page) = match posted {
        Posted::Created(page) => ("was written", page),
        Posted::Updated(page) => ("was updated", page),
        Posted::Same(page) => ("says the same already", page),
        Posted::Closed(page) => ("was closed", page),
        Posted::Later => {
            return output::note(&format!(
                "note: the {what} is of a later run, and stays as it is"
            ));
        }
        Posted::Nothing => return,
    };
    let page = page.as_ref().map(|page| format!(": {page}")).unwrap_or_default();
    output::note(&format!("the {what} {done}{page}"));
}

/// Tells the next step of the job, where the system has a way for that.
///
/// # Errors
///
/// The file cannot be written, or a value cannot be told.
pub(super) fn to_next_step(values: &[(&str, &str)]) -> Result<()> {
    let Some(path) = variable(OUTPUT) else { return Ok(()) };
    let mut lines = String::new();
    for (name, value) in values {
        if value.chars().any(char::is_control) {
            return Err(Error::failed(format!(
                "the output {name} has characters that no line has"
            )));
        }
        lines += &format!("{name}={value}\n");
    }
    append(&path, &lines)
}

fn append(path: &str, text: &str) -> Result<()> {
    let failed = || format!("failed to write {path}");
    let mut file = OpenOptions::new().create(true).append(true).open(path).context(failed)?;
    file.write_all(text.as_bytes()).context(failed)
}

/// A folder of this run's own, for what it does not hand out.
///
/// # Errors
///
/// It cannot be made.
pub(super) fn own_folder() -> Result<tempfile::TempDir> {
    // The folder of the job, where there is one, is taken away with the job.
    let folder = variable("RUNNER_TEMP").map(PathBuf::from).filter(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix("meshagent-ci-")
        .tempdir_in(&folder)
        .context(|| format!("failed to make a folder in {}", folder.display()))
}

/// The absolute form of a path that is handed to a run in another folder.
///
/// # Errors
///
/// The working folder is gone.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).context(|| path.display().to_string())
}
