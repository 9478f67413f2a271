//! Values for `*.j2` manifests: from `-v`, from `--values-file`, from a `values.yaml`
//! beside the template, in this order of weight.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::quoting;
use super::source::{self, RENDERED, Source};
use super::yaml::{self, Mark};
use crate::error::Problem;

/// Names of files whose values are used by the templates beside them.
pub const BESIDE: [&str; 2] = ["values.yaml", "values.yml"];

/// What the user gave for the templates of manifests.
#[derive(Debug, Clone, Default)]
pub struct FileValues {
    /// The merged values of all `--values-file`, then of all `-v`.
    values: Map<String, Value>,
}

impl FileValues {
    /// Reads the files, and the pairs `name=value`; a dot in a name goes one level down,
    /// and a value is YAML, so that `-v replicas=2` is a number.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or are not maps, pairs without `=`.
    pub fn read(files: &[PathBuf], pairs: &[String]) -> Result<Self, Vec<Problem>> {
        let mut values = Map::new();
        let mut problems = Vec::new();
        for file in files {
            match read_map(file) {
                Ok(map) => merge(&mut values, map),
                Err(problem) => problems.push(problem),
            }
        }
        for pair in pairs {
            match parse_pair(pair) {
                Ok(map) => merge(&mut values, map),
                Err(message) => problems.push(
                    Problem::new(format!("--value {pair:?}: {message}"))
                        .hint("write --value name=value"),
                ),
            }
        }
        if problems.is_empty() { Ok(Self { values }) } else { Err(problems) }
    }
}

fn parse_pair(pair: &str) -> Result<Map<String, Value>, String> {
    let (name, text) = pair.split_once('=').ok_or("there is no `=`")?;
    if name.split('.').any(str::is_empty) {
        return Err("the name is empty".to_owned());
    }
    let value = match yaml::parse(text) {
        Ok(mut nodes) if nodes.len() == 1 => nodes.remove(0).to_json(),
        _ => Value::String(text.to_owned()),
    };
    let nested = name
        .rsplit('.')
        .fold(value, |value, part| Value::Object(Map::from_iter([(part.to_owned(), value)])));
    match nested {
        Value::Object(map) => Ok(map),
        _ => Err("the name is empty".to_owned()),
    }
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(below)), Value::Object(more)) => merge(below, more),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}

fn read_map(file: &std::path::Path) -> Result<Map<String, Value>, Problem> {
    let text = source::read_text(file)?;
    let name = file.display().to_string();
    let source = Source { name, folder: PathBuf::from("."), text };
    // Some of its values may be secrets, and nothing says which.
    let problem =
        |mark, message: &str| Problem { source_line: None, ..source.problem(mark, message) };
    let nodes = yaml::parse(&source.text)
        .map_err(|error| problem(error.mark.unwrap_or_default(), &error.message))?;
    match nodes.first().map(yaml::Node::to_json) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) if nodes.len() == 1 => Ok(map),
        Some(_) => Err(problem(nodes[0].mark, "a values file is one map of names to values")),
    }
}

/// Renders a `*.j2` file. A name that has no value is an error, unlike in a service
/// template, whose rules are the platform's. `env("NAME")` reads the environment.
pub fn render(source: Source, values: &FileValues) -> Result<Source, Problem> {
    let mut all = Map::new();
    for name in BESIDE {
        let beside = source.folder.join(name);
        if beside.is_file() {
            merge(&mut all, read_map(&beside)?);
        }
    }
    merge(&mut all, values.values.clone());
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    if let Ok(syntax) =
        minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(10_000_000));
    environment.add_function("env", env);
    let rendered =
        environment.render_str(&source.text, minijinja::value::Serde(&all)).map_err(|error| {
            let line = error.line().unwrap_or(1) as u64;
            let message = match (error.detail(), error.kind()) {
                (Some(detail), kind) => format!("{kind}: {detail}"),
                (None, minijinja::ErrorKind::UndefinedError) => {
                    "a name here has no value".to_owned()
                }
                (None, kind) => kind.to_string(),
            };
            let mut problem = source.problem(Mark { line, column: 1, ..Mark::default() }, message);
            if quoting::may_hold_secret_at(&source.text, line) {
                problem.source_line = None;
            }
            match error.kind() {
                minijinja::ErrorKind::UndefinedError => problem
                    .hint("give it with --value NAME=VALUE or in values.yaml beside the template"),
                _ => problem,
            }
        })?;
    Ok(Source { name: source.name.clone() + RENDERED, text: rendered, ..source })
}

fn env(name: &str, default: Option<String>) -> Result<String, minijinja::Error> {
    std::env::var(name).ok().or(default).ok_or_else(|| {
        minijinja::Error::new(
            minijinja::ErrorKind::InvalidOperation,
            format!("the environment variable {name} is not set"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, pairs: &[&str]) -> Result<String, String> {
        let pairs: Vec<_> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let values = FileValues::read(&[], &pairs).map_err(|problems| problems[0].to_string())?;
        let source =
            Source { name: "t.j2".into(), folder: "/nonexistent".into(), text: text.into() };
        render(source, &values).map(|source| source.text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn values_reach_the_template_by_their_path() {
        assert_eq!(rendered("{{ a.b }} {{ n + 1 }}\n", &["a.b=x", "n=2"]).unwrap(), "x 3\n");
    }

    #[test]
    fn a_missing_value_is_an_error_at_its_line() {
        assert_eq!(
            rendered("a\n{{ b }}", &[]).unwrap_err(),
            "t.j2:2:1: undefined value: `b` is undefined"
        );
        assert!(rendered("x", &["novalue"]).unwrap_err().contains("there is no `=`"));
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        assert!(
            rendered(
                "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
                &[]
            )
            .is_err()
        );
    }
}
