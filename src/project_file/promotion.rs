//! *Pure*: what one environment takes from another: the values and overrides that differ and that
//! go from one to the next, as images and versions do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use wildmatch::WildMatch;

use super::ProjectFile;
use super::environment::at;
use super::form::{SourceChange, SourceForm};
use super::hidden;
use crate::error::{Error, Problem, Result};
use crate::kinds;
use crate::manifest::edit;

/// The words of a name that is promoted where the project file does not say it.
const USUAL: [&str; 5] = ["image", "version", "tag", "digest", "ref"];

/// The fields of a source that say which version of it is meant.
const VERSIONS: [&str; 4] = ["ref", "archive", "sha256", "oci"];

/// Whether what stands at a path of an environment is the version of a source.
fn is_version(path: &[String]) -> bool {
    matches!(path, [field, _, last] if field == "sources" && VERSIONS.contains(&last.as_str()))
}

/// Whether a word of a name says that it goes from one environment to the next.
fn is_usual(name: &str) -> bool {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_small = false;
    for c in name.chars() {
        // `imageTag` are two words, and `stage` is one.
        if !c.is_ascii_alphanumeric() || (was_small && c.is_ascii_uppercase()) {
            words.push(std::mem::take(&mut word));
        }
        was_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        word.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    words.push(word);
    words.iter().any(|word| USUAL.contains(&word.as_str()))
}

/// One thing that two environments say differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// How people name it: `image`, or `Service/support container.image`.
    pub name: String,
    /// What the environment has that is taken from; `None` where it says nothing.
    pub from: Option<Value>,
    /// What the other one has.
    pub to: Option<Value>,
    /// Where it stands in an environment.
    path: Vec<String>,
}

impl Difference {
    /// Whether it is a value for templates.
    #[must_use]
    pub fn is_value(&self) -> bool {
        self.path.first().is_some_and(|field| field == "values")
    }
}

/// What becomes of a project file.
#[derive(Debug)]
pub struct Promotion {
    /// What is taken over.
    pub taken: Vec<Difference>,
    /// What differs and stays, although it could be taken over.
    pub left: Vec<Difference>,
    /// What only the other environment says.
    pub own: Vec<Difference>,
    /// The new text of the file.
    pub text: String,
    /// The old and the new text as they may be shown: of all values only those that are taken over.
    pub shown: (String, String),
}

impl ProjectFile {
    /// Takes into one environment what another one has, as far as it matches the patterns; without
    /// patterns, those of the file, or the usual ones.
    ///
    /// # Errors
    ///
    /// A pattern that matches nothing that differs; a file that cannot be edited.
    pub fn promote(&self, from: &str, to: &str, patterns: &[String]) -> Result<Promotion> {
        if from == to {
            let what = format!("`{from}` and `{to}` are one environment");
            return Err(
                Error::usage(what).hint("name the one to take from, and the one that gets it")
            );
        }
        let environment = self.environment(Some(from))?;
        let (one, other) = (self.said(from)?, self.said(to)?);
        let paths: BTreeSet<&Vec<String>> = one.keys().chain(other.keys()).collect();
        let paths = paths.into_iter().filter(|path| one.get(*path) != other.get(*path));
        let differences: Vec<Difference> = paths
            .map(|path| Difference {
                name: named(path),
                from: one.get(path).cloned(),
                to: other.get(path).cloned(),
                path: path.clone(),
            })
            .collect();
        let standing = self.form.promote.clone();
        let wanted = match (patterns, standing) {
            ([], standing) => standing,
            (given, _) => Some(given.to_vec()),
        };
        let matches = |pattern: &String, it: &Difference| {
            let wild = WildMatch::new(pattern);
            let source = it.path.get(1).filter(|_| it.path[0] == "sources");
            let names = [Some(&it.name), it.path.last(), source];
            names.into_iter().flatten().any(|name| wild.matches(name))
        };
        if let Some(unknown) =
            patterns.iter().find(|pattern| !differences.iter().any(|it| matches(pattern, it)))
        {
            let what = format!("`{unknown}` does not differ between `{from}` and `{to}`");
            let names: Vec<&str> = differences.iter().map(|it| it.name.as_str()).collect();
            return Err(Error::usage(what).hint(match names.is_empty() {
                true => "nothing does".to_owned(),
                false => format!("what differs is {}", names.join(", ")),
            }));
        }
        // What only the other one has is its own.
        let is_wanted = |it: &Difference| match &wanted {
            Some(patterns) => patterns.iter().any(|pattern| matches(pattern, it)),
            None => it.path.last().is_some_and(|last| is_usual(last)) || is_version(&it.path),
        };
        let is_taken = |it: &Difference| it.from.is_some() && !of_secret(&it.path) && is_wanted(it);
        if let Some(secret) = differences
            .iter()
            .find(|it| of_secret(&it.path) && !patterns.is_empty() && is_wanted(it))
        {
            let what = format!("`{}` is of a secret, which stays in its environment", secret.name);
            return Err(Error::usage(what).hint("write it into the project file by hand"));
        }
        let (mut taken, left): (Vec<_>, Vec<_>) = differences.into_iter().partition(is_taken);
        let (left, own): (Vec<_>, Vec<_>) = left.into_iter().partition(|it| it.from.is_some());
        // The digest is that of the archive, and goes with it.
        let is_of_taken = |it: &Difference| match &it.path[..] {
            [field, source, last] if field == "sources" && last == "sha256" => {
                taken.iter().any(|it| it.path[..] == [field, source, "archive"].map(String::from))
            }
            _ => false,
        };
        let (gone, own): (Vec<_>, Vec<_>) = own.into_iter().partition(is_of_taken);
        taken.extend(gone);
        let respelled: Vec<Problem> =
            taken.iter().filter_map(|it| environment.respelled(&it.path)).collect();
        if !respelled.is_empty() {
            return Err(Self::wrong(respelled).saying("nothing is promoted"));
        }
        let mut text = self.text().to_owned();
        for difference in &taken {
            let names: Vec<&str> = difference.path.iter().map(String::as_str).collect();
            let path = at(to, &names);
            text = edit::set(&text, &path, difference.from.as_ref()).map_err(|why| {
                Error::failed(format!("{}: `{path}` cannot be written: {why}", self.path.display()))
                    .hint("write it by hand")
            })?;
        }
        let environment = ["environments".to_owned(), to.to_owned()];
        let paths = taken.iter().map(|it| environment.iter().chain(&it.path).cloned().collect());
        let paths: Vec<Vec<String>> = paths.collect();
        let shown = (hidden::only(self.text(), &paths), hidden::only(&text, &paths));
        Ok(Promotion { taken, left, own, text, shown })
    }

    /// The same file with another text.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn with_text(&self, text: String) -> Result<Self> {
        Self::of(&self.path, text)
    }

    /// What an environment says, and those that it extends: values and overrides, by where they
    /// stand in an environment.
    fn said(&self, name: &str) -> Result<BTreeMap<Vec<String>, Value>> {
        let environment = self.environment(Some(name))?;
        let mut said = BTreeMap::new();
        leaves(&mut vec!["values".to_owned()], environment.values.values(), &mut said);
        for (source, form) in &self.form.sources {
            let SourceForm { reference, archive, sha256, oci, values, overrides, .. } =
                form.clone();
            let all = SourceChange { reference, archive, sha256, oci, values, overrides };
            of_source(source, &all, &mut said);
        }
        for (_, form) in self.chain(name) {
            for (of, values) in form.secrets.iter().flatten() {
                for (key, source) in values {
                    let path = vec!["secrets".to_owned(), of.clone(), key.clone()];
                    said.insert(path, source.clone());
                }
            }
            for (of, fields) in form.overrides.iter().flatten() {
                for (path, value) in fields {
                    let path = vec!["overrides".to_owned(), of.clone(), path.clone()];
                    said.insert(path, value.clone());
                }
            }
            for (source, change) in &form.sources {
                // The digest is that of another archive.
                if change.archive.is_some() {
                    let digest = ["sources", source, "sha256"].map(str::to_owned);
                    said.remove(&digest[..]);
                }
                of_source(source, change, &mut said);
            }
        }
        Ok(said)
    }
}

/// The values of a map, one by one.
fn leaves(
    above: &mut Vec<String>,
    map: &Map<String, Value>,
    said: &mut BTreeMap<Vec<String>, Value>,
) {
    for (name, value) in map {
        above.push(name.clone());
        match value {
            Value::Object(below) if !below.is_empty() => leaves(above, below, said),
            _ => drop(said.insert(above.clone(), value.clone())),
        }
        above.pop();
    }
}

/// What an environment says of a source: its version, values and overrides.
fn of_source(name: &str, change: &SourceChange, said: &mut BTreeMap<Vec<String>, Value>) {
    let at = |field: &str| vec!["sources".to_owned(), name.to_owned(), field.to_owned()];
    let versions = [&change.reference, &change.archive, &change.sha256, &change.oci];
    for (field, version) in VERSIONS.into_iter().zip(versions) {
        if let Some(version) = version {
            said.insert(at(field), version.clone().into());
        }
    }
    if let Some(values) = &change.values {
        leaves(&mut at("values"), values, said);
    }
    for (of, fields) in change.overrides.iter().flatten() {
        for (path, value) in fields {
            let below = [of.clone(), path.clone()];
            said.insert(at("overrides").into_iter().chain(below).collect(), value.clone());
        }
    }
}

/// Whether what stands at a path of an environment may belong to a secret.
fn of_secret(path: &[String]) -> bool {
    let secrets: Vec<String> = kinds::for_secrets().map(|kind| format!("{kind}/")).collect();
    // What comes after the first `*` or `?` may be anything.
    let is_secret = |of: &String| {
        let plain = of.split(['*', '?']).next().unwrap_or_default();
        secrets.iter().any(|secret| secret.starts_with(plain) || plain.starts_with(secret))
    };
    match path {
        [field, ..] if field == "secrets" => true,
        [field, of, ..] if field == "overrides" => is_secret(of),
        [field, _, over, of, ..] if field == "sources" && over == "overrides" => is_secret(of),
        _ => false,
    }
}

/// How people name what stands at a path of an environment.
fn named(path: &[String]) -> String {
    match path {
        [field, rest @ ..] if field == "values" => rest.join("."),
        [_, rest @ ..] => rest.join(" "),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_versions_are_promoted_and_stages_are_not() {
        for name in
            ["image", "image_tag", "imageTag", "apiVersion", "container.image", "sha.digest"]
        {
            assert!(is_usual(name), "{name}");
        }
        for name in ["stage", "imagery", "host", "staging_host", "conversion", ""] {
            assert!(!is_usual(name), "{name}");
        }
    }

    #[test]
    fn a_pattern_that_may_be_of_a_secret_is_taken_for_one() {
        let is_secret = |of: &str| of_secret(&["overrides", of, "data.tag"].map(str::to_owned));
        let of_a_source = |of: &str| {
            of_secret(&["sources", "base", "overrides", of, "data.tag"].map(str::to_owned))
        };
        for of in ["Secret/keys", "S*/keys", "Sec*/keys", "Secre?/keys", "*/keys", "?ecret/*"] {
            assert!(is_secret(of) && of_a_source(of), "{of}");
        }
        for of in ["Service/support", "Serv*/support", "Room/*"] {
            assert!(!is_secret(of) && !of_a_source(of), "{of}");
        }
    }
}
