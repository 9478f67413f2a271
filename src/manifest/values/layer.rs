//! The values of an environment of the project file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::super::located::locate;
use super::super::source::Source;
use super::super::{spelling, yaml};
use super::{Values, leaves, read_map};
use crate::error::Problem;
use crate::kinds::path::FieldPath;

/// Values that go before none of those that are given on the command line: those of an
/// environment of the project file.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(super) values: Values,
    pub(super) named: Vec<(String, Problem)>,
    pub(super) files: Vec<PathBuf>,
}

impl Layer {
    /// Adds the values of a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no map.
    pub fn add_file(&mut self, file: &Path) -> Result<(), Problem> {
        self.values.merge(read_map(file)?);
        self.files.extend(file.canonicalize());
        Ok(())
    }

    /// Adds the values of a map in a project file. Values that no template uses are a problem at
    /// the place where `from` says them.
    pub fn add(&mut self, source: &Source, map: &yaml::Node, from: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let numbers = yaml::parse_with_numbers(&source.text).map(|(_, numbers)| numbers);
        let respelled = spelling::in_values(source, map, &numbers.unwrap_or_default());
        let Value::Object(fields) = map.to_json() else { return problems };
        let mut paths = Vec::new();
        leaves(&fields, "", &mut paths);
        for path in paths {
            self.named.retain(|(name, _)| *name != path);
            let steps: Vec<&str> = path.split('.').collect();
            let (mark, _) = locate(&FieldPath::of(&steps), map);
            if value_at(&fields, &steps) == Some(&Value::Null) {
                let message = format!("the value `{path}` is empty");
                let problem = Problem { source_line: None, ..source.problem(mark, message) };
                problems
                    .push(problem.hint("write `\"\"` for an empty text, or take the value out; what an extended environment gives is replaced, and not taken back"));
            }
            let message = format!("no template (*.j2) uses `{path}`, which {from} gives");
            let problem = Problem { source_line: None, ..source.problem(mark, message) };
            self.named.push((path, problem));
        }
        self.values.merge(Values { map: fields, respelled });
        problems
    }

    /// The problem of a number at a path, or in what is there, whose spelling would get lost.
    #[must_use]
    pub fn respelled(&self, path: &[String]) -> Option<Problem> {
        let path = path.join(".");
        let is_at = |own: String| {
            own == path || own.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'))
        };
        let found = self.values.respelled.iter().find(|it| is_at(it.path()))?;
        Some(found.clone().into_problem())
    }

    /// The values, by their names.
    #[must_use]
    pub fn values(&self) -> &Map<String, Value> {
        &self.values.map
    }
}

/// What stands at a path of names.
fn value_at<'a>(fields: &'a Map<String, Value>, steps: &[&str]) -> Option<&'a Value> {
    let (first, rest) = steps.split_first()?;
    rest.iter().try_fold(fields.get(*first)?, |value, step| value.get(step))
}
