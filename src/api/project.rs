//! Finds a project by its id or its name.

use std::fmt;
use std::sync::OnceLock;

use serde_json::Value;

use super::reader::{ListError, Reader};
use super::request::Request;
use crate::error::{Error, Result};
use crate::listed::few;

/// What names the project of whoever names none in a document or a command's own argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The option.
    Option,
    /// The environment of the project file.
    Environment,
    /// The variable of the environment.
    Variable,
    /// The project that was activated.
    Activated,
    /// The credential, which belongs to a project.
    Key,
    /// The embedded platform, which has a project of its own.
    Embedded,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Option => "--project-id",
            Self::Environment => "the environment in meshagent.yaml",
            Self::Variable => "MESHAGENT_PROJECT_ID",
            Self::Activated => "the activated project (`meshagent project activate`)",
            Self::Key => "the credential",
            Self::Embedded => "the embedded platform",
        })
    }
}

/// What names the project of this process, to be told when the platform does not have it.
static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// Says what names the project; the first one counts.
pub fn named_by(origin: Origin) {
    let _ = ORIGIN.set(origin);
}

/// What names the project, where that is known.
#[must_use]
pub fn origin() -> Option<Origin> {
    ORIGIN.get().copied()
}

/// Whether a text is the id of a project and not a name. Ids are UUIDs.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// The id of a project. A name takes one request, an id none.
///
/// # Errors
///
/// The platform's; there is no such project, or there are several.
pub async fn id_of(reader: &Reader, wanted: &str) -> Result<String> {
    if is_id(wanted) {
        return Ok(wanted.to_owned());
    }
    let projects = listed(reader).await?;
    let found = the_one(&projects, wanted, |it| (text(it, "id"), text(it, "name")))?;
    Ok(text(found, "id").to_owned())
}

/// The name of a project, if the credential has access to it.
///
/// # Errors
///
/// The platform's.
pub async fn name_of(reader: &Reader, id: &str) -> std::result::Result<Option<String>, ListError> {
    let projects = listed(reader).await?;
    let found = projects.iter().find(|project| text(project, "id") == id);
    Ok(found.map(|project| text(project, "name").to_owned()))
}

async fn listed(reader: &Reader) -> std::result::Result<Vec<Value>, ListError> {
    reader.items(&Request::get(&["accounts", "projects"]), "projects").await
}

fn text<'a>(project: &'a Value, field: &str) -> &'a str {
    project.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// What a text means among projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant<'a, T> {
    /// The project with this id or, if there is none, with this name.
    One(&'a T),
    /// None of them.
    None,
    /// All that have this name.
    Several(Vec<&'a T>),
}

/// Which project an id or a name means; `told` returns both for a project. An id has precedence.
pub fn meant<'a, T>(
    projects: &'a [T],
    wanted: &str,
    told: impl Fn(&'a T) -> (&'a str, &'a str),
) -> Meant<'a, T> {
    if let Some(project) = projects.iter().find(|project| told(project).0 == wanted) {
        return Meant::One(project);
    }
    let named: Vec<&T> = projects.iter().filter(|project| told(project).1 == wanted).collect();
    match named.as_slice() {
        [] => Meant::None,
        [project] => Meant::One(project),
        _ => Meant::Several(named),
    }
}

/// The project that an id or a name means, among those that the credential has access to.
///
/// # Errors
///
/// There is none, or there are several.
pub fn the_one<'a, T>(
    projects: &'a [T],
    wanted: &str,
    told: impl Fn(&'a T) -> (&'a str, &'a str),
) -> Result<&'a T> {
    match meant(projects, wanted, &told) {
        Meant::One(project) => Ok(project),
        Meant::None => Err(Error::failed(format!(
            "there is no project {wanted:?}, or the credential has no access to it"
        ))
        .hint("`meshagent project list` shows the names and ids")),
        Meant::Several(several) => {
            let ids: Vec<&str> = several.iter().map(|project| told(project).0).collect();
            Err(Error::failed(format!("{} projects are called {wanted:?}", several.len()))
                .hint(format!("use an id instead of the name: {}", few(ids))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_by_id_before_it_is_found_by_name() {
        let projects = [("1", "b"), ("b", "c"), ("3", "d"), ("4", "d")];
        let found = |wanted| the_one(&projects, wanted, |(id, name)| (*id, *name)).map(|it| it.0);
        assert_eq!(found("b").unwrap(), "b");
        assert_eq!(found("c").unwrap(), "b");
        for (wanted, said) in [("e", "there is no project"), ("d", "2 projects are called")] {
            assert!(found(wanted).unwrap_err().to_string().contains(said), "{wanted}");
        }
    }

    #[test]
    fn names_are_no_ids() {
        assert!(is_id("0b6ce2f9-9a7e-4a4f-8e3e-6a1f1d8f3c11"));
        for name in
            ["", "acme", "0b6ce2f99a7e4a4f8e3e6a1f1d8f3c11", "acme-support-staging-and-prod-and-qa"]
        {
            assert!(!is_id(name), "{name}");
        }
    }
}
