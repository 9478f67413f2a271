//! Values for `*.j2` manifests: from `--value-json`, `--value`, `--values-file`, and a
//! `values.yaml` beside the template, in this order of precedence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use minijinja::machinery::parse;

use self::pairs::{INEXACT, parse_pair};
use super::engine;
use super::jinja_differences;
use super::measured::measured;
use super::null;
use super::quoting;
use super::reach::Reach;
use super::source::{self, Source};
use super::spelling::{self, Respelled};
use super::template::TIME;
use super::tokens::{self, Unfit};
use super::variables::{self, Allowed, Misused, Variables, Written};
use super::yaml::{self, Mark};
use crate::error::Problem;
use crate::error::RENDERED;
use crate::limited;
use crate::listed::{SOME, at_most, nearest};

pub use self::layer::Layer;
pub use self::pairs::{exact_json, lost_spelling};

mod layer;
mod pairs;

/// Names of files whose values are used by the templates beside them.
pub const BESIDE: [&str; 2] = ["values.yaml", "values.yml"];

/// What the user gave for the templates of manifests.
#[derive(Debug, Clone, Default)]
pub struct FileValues {
    /// The merged values of all `--values-file`, then of all `--value`, then of all
    /// `--value-json`.
    values: Values,
    /// The variables of the environment that templates may read.
    allowed: Vec<Allowed>,
    /// The names that `--value` and `--value-json` gave, each behind its option.
    named: Vec<(&'static str, String)>,
    /// The files that were read, by where they really are.
    files: Vec<PathBuf>,
    /// Whether a variable that has no value here stands for one that was not read.
    may_miss: bool,
    /// The values that the project file gives by name, each at its place.
    given: Vec<(String, Problem)>,
}

impl FileValues {
    /// Reads the files, the pairs `name=text`, and the pairs `name=JSON`. A dot in a name
    /// goes one level down.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or are not maps, pairs without `=`, values that are not JSON.
    pub fn read(
        files: &[PathBuf],
        texts: &[String],
        json: &[String],
    ) -> Result<Self, Vec<Problem>> {
        Self::above(Layer::default(), files, texts, json)
    }

    /// The same, which go before the values of an environment.
    ///
    /// # Errors
    ///
    /// As [`FileValues::read`].
    pub fn above(
        layer: Layer,
        files: &[PathBuf],
        texts: &[String],
        json: &[String],
    ) -> Result<Self, Vec<Problem>> {
        let Layer { mut values, named: given, files: mut all } = layer;
        let mut problems = Vec::new();
        for file in files {
            match read_map(file) {
                Ok(more) => values.merge(more),
                Err(problem) => problems.push(problem),
            }
        }
        let text = |text: &str| Ok(Value::String(text.to_owned()));
        let texts = texts.iter().map(|pair| (pair, "value", parse_pair(pair, text)));
        let json = json.iter().map(|pair| (pair, "value-json", parse_pair(pair, exact_json)));
        let mut named = Vec::new();
        for (pair, option, parsed) in texts.chain(json) {
            match parsed {
                Ok(map) => {
                    named.extend(pair.split_once('=').map(|(name, _)| (option, name.to_owned())));
                    values.merge(Values { map, respelled: Vec::new() });
                }
                Err(message) => {
                    // The value may be a secret, and the name is enough to find it.
                    let name = pair.split('=').next().unwrap_or_default();
                    let form = if option == "value" { "TEXT" } else { "JSON" };
                    let hint = match message.strip_prefix(INEXACT) {
                        Some(_) => format!("use -v {name}=TEXT to give a text as it is written"),
                        None => format!("write --{option} NAME={form}"),
                    };
                    problems
                        .push(Problem::new(format!("--{option} {name:?}: {message}")).hint(hint));
                }
            }
        }
        all.extend(files.iter().filter_map(|file| file.canonicalize().ok()));
        match problems.is_empty() {
            true => Ok(Self { values, named, files: all, given, ..Self::default() }),
            false => Err(problems),
        }
    }
}

impl FileValues {
    /// Whether a file, by where it really is, is one of those that the values were read from.
    #[must_use]
    pub fn are_from(&self, real: &Path) -> bool {
        self.files.iter().any(|file| file == real)
    }

    /// The same, with variables of the environment that templates may read.
    #[must_use]
    pub fn allowing(mut self, variables: &[Allowed]) -> Self {
        self.allowed.extend_from_slice(variables);
        self
    }

    /// The same for a plan that is for reading only, and needs no value of the environment.
    #[must_use]
    pub fn missing(self, may_miss: bool) -> Self {
        Self { may_miss, ..self }
    }

    /// The values that no template uses, by the paths that the templates use.
    #[must_use]
    pub fn unused(&self, used: &BTreeSet<String>) -> Vec<String> {
        let mut paths = Vec::new();
        leaves(&self.values.map, "", &mut paths);
        let is_given = |path: &String| self.given.iter().any(|(name, _)| name == path);
        paths.retain(|path| !is_used(path, used) && !is_given(path));
        paths
    }

    /// What is wrong with `--value` and `--value-json` whose names no template uses. Whoever
    /// gives a value by its name means it to be used.
    #[must_use]
    pub fn unread(&self, used: &BTreeSet<String>) -> Vec<Problem> {
        let unread = self.named.iter().filter(|(_, name)| !is_used(name, used));
        let problem = |(option, name): &(&str, String)| {
            let message = format!("--{option} {name}: no template (*.j2) uses `{name}`");
            let names = used.iter().map(String::as_str);
            Problem::new(message).hint(match nearest(name, names.clone()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if used.is_empty() => "only a file whose name ends in .j2 is a template; a ServiceTemplate takes the `values` of the document that places it".to_owned(),
                None => format!("the templates use {}", at_most(SOME, names)),
            })
        };
        unread.map(problem).collect()
    }

    /// The same of the values that the project file gives.
    #[must_use]
    pub fn unread_given(&self, used: &BTreeSet<String>) -> Vec<Problem> {
        let unread = self.given.iter().filter(|(name, _)| !is_used(name, used));
        let names = || used.iter().map(String::as_str);
        let told = |(name, problem): &(String, Problem)| match nearest(name, names()) {
            Some(near) => problem.clone().hint(format!("did you mean `{near}`?")),
            None => problem.clone().hint("take it out, or use it in a template"),
        };
        unread.map(told).collect()
    }
}

/// Values, and the numbers among them that a template would write in another way than their
/// author did.
#[derive(Debug, Clone, Default)]
struct Values {
    map: Map<String, Value>,
    respelled: Vec<Respelled>,
}

impl Values {
    /// Adds values that go before these.
    fn merge(&mut self, more: Self) {
        self.respelled.retain(|it| !it.is_replaced_by(&more.map));
        self.respelled.extend(more.respelled);
        merge(&mut self.map, more.map);
    }
}

/// Whether a template that uses these paths uses a value, or a part of it.
fn is_used(path: &str, used: &BTreeSet<String>) -> bool {
    let is_below = |path: &str, above: &str| {
        path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    used.iter().any(|used| is_below(path, used) || is_below(used, path))
}

/// The paths of all values.
fn leaves(values: &Map<String, Value>, above: &str, paths: &mut Vec<String>) {
    for (name, value) in values {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Object(below) if !below.is_empty() => leaves(below, &path, paths),
            _ => paths.push(path),
        }
    }
}

/// The paths of the values that a template may use.
pub(super) fn used(template: &str) -> BTreeSet<String> {
    let environment = minijinja::Environment::new();
    let parsed = environment.template_from_str(template);
    parsed.map_or_else(
        |_| BTreeSet::new(),
        |parsed| parsed.undeclared_variables(true).into_iter().collect(),
    )
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

fn read_map(file: &Path) -> Result<Values, Problem> {
    let text = source::read_text(file)?;
    let name = file.display().to_string();
    map_of(&Source::new(name, PathBuf::from("."), text))
}

/// The values in a text.
fn map_of(source: &Source) -> Result<Values, Problem> {
    // Some of its values may be secrets, and nothing says which.
    let problem =
        |mark, message: &str| Problem { source_line: None, ..source.problem(mark, message) };
    let (nodes, numbers) = yaml::parse_with_numbers(&source.text).map_err(|error| {
        problem(error.mark.unwrap_or_default(), &quoting::without_quotes(&error.message))
    })?;
    match nodes.first().map(yaml::Node::to_json) {
        None => Ok(Values::default()),
        Some(Value::Object(map)) if nodes.len() == 1 => {
            Ok(Values { map, respelled: spelling::in_values(source, &nodes[0], &numbers) })
        }
        Some(_) => Err(problem(nodes[0].mark, "a values file must be one map of names to values")),
    }
}

/// Renders a `*.j2` file. A name that has no value is an error, unlike in a service
/// template, whose rules are the platform's. `env("NAME")` reads what the user allows of the
/// environment.
///
/// # Errors
///
/// What cannot be read, or be rendered within the limits, each at its line; every variable
/// that has no value, unless it may miss; numbers that it uses and that it would write in
/// another way than they are spelled.
pub fn render(
    source: Source,
    values: &FileValues,
    reach: &Reach,
) -> Result<Rendered, Vec<Problem>> {
    let alone = |problem: Problem| vec![problem];
    let mut all = beside(&source, reach).map_err(alone)?;
    all.merge(values.values.clone());
    let syntax = engine::syntax();
    tokens::check(&source.text, &syntax).map_err(|Unfit { message, offset }| {
        let line = source.text[..offset].matches('\n').count() as u64 + 1;
        alone(Problem { source_line: None, ..source.problem(at(line), message) })
    })?;
    if limited::given_up() > 0 {
        // Each may take as much memory as a template is allowed.
        let message = "was not rendered, because a template that timed out is still running";
        return Err(vec![Problem::new(format!("{}: the template {message}", source.name))]);
    }
    let (template, allowed) = (source.text.clone(), values.allowed.clone());
    let (written, lacks) =
        limited::run(TIME, move || written(&template, &all, &allowed)).map_err(|unfinished| {
            alone(Problem::new(format!("{}: the template {unfinished}", source.name)))
        })?;
    let lacks = lacks.into_iter().flat_map(|it| Unrendered::Failed(it).problems(&source));
    let lacks: Vec<Problem> = lacks.collect();
    match written {
        Ok(Written { text, signs }) if lacks.is_empty() || values.may_miss => {
            let text = source::with_line_feeds(text);
            let mut rendered = source.with_text(text).with_signs(signs);
            rendered.name += RENDERED;
            match spelling::in_rendered(&rendered, &source.text) {
                respelled if respelled.is_empty() => {
                    Ok(Rendered { source: rendered, not_read: lacks })
                }
                respelled => Err(respelled),
            }
        }
        // What else is wrong may come of what is lacking.
        _ if !lacks.is_empty() => Err(lacks),
        Err(unrendered) => Err(unrendered.problems(&source)),
        Ok(_) => Err(lacks),
    }
}

/// The values beside a template.
fn beside(source: &Source, reach: &Reach) -> Result<Values, Problem> {
    let mut all = Values::default();
    if let Some(inside) = &source.inside {
        for values in inside.values() {
            all.merge(map_of(&values?)?);
        }
        return Ok(all);
    }
    for name in BESIDE {
        let beside = source.folder.join(name);
        // A link that leads outside is told of whatever is there.
        let real = match reach.resolve(&beside) {
            Ok(real) => real,
            Err(outside) if outside.is_link || beside.is_file() => {
                return Err(outside.problem(&beside));
            }
            Err(_) => continue,
        };
        // What is there and is no file is an error, too: it may have been one.
        if real.symlink_metadata().is_ok() {
            all.merge(read_map(&beside)?);
        }
    }
    Ok(all)
}

/// What a template was rendered to.
pub struct Rendered {
    /// The text.
    pub source: Source,
    /// The variables in it that have no value here.
    pub not_read: Vec<Problem>,
}

fn at(line: u64) -> Mark {
    Mark { line, column: 1, ..Mark::default() }
}

/// Why a template was not rendered.
enum Unrendered {
    /// It says something else elsewhere.
    Unlike(Unfit),
    /// The engine's reason.
    Failed(minijinja::Error),
    /// It computes with what is sealed.
    Misused(Misused),
    /// Something in it cannot be measured, at this byte.
    Blank(usize),
    /// It uses numbers that it would write in another way than they are spelled.
    Respelled(Vec<Respelled>),
}

/// The most variables of one template that are told to have no value.
const MOST_LACKING: usize = 20;

/// The text that a template renders to, and the variables that have no value. It is rendered
/// once more for each of them, to find the next one.
fn written(
    template: &str,
    values: &Values,
    allowed: &[Allowed],
) -> (Result<Written, Unrendered>, Vec<minijinja::Error>) {
    let mut lacks = Vec::new();
    let (template, mut variables) = match prepared(template, values, allowed) {
        Ok(prepared) => prepared,
        Err(unrendered) => return (Err(unrendered), lacks),
    };
    let mut assumed = BTreeSet::new();
    loop {
        let error = match engine::render(&template, &variables, &values.map) {
            Ok(rendered) => {
                return (variables.written_out(rendered).map_err(Unrendered::Misused), lacks);
            }
            Err(error) => error,
        };
        match (variables.misused(), variables.lacking()) {
            (Some(misused), _) => return (Err(Unrendered::Misused(misused)), lacks),
            (None, Some(name)) if lacks.len() < MOST_LACKING && assumed.insert(name.clone()) => {
                lacks.push(error);
                variables = variables.assuming(assumed.clone());
            }
            _ => return (Err(Unrendered::Failed(error)), lacks),
        }
    }
}

/// A template that can be rendered, and what it may read.
fn prepared(
    template: &str,
    values: &Values,
    allowed: &[Allowed],
) -> Result<(String, Arc<Variables>), Unrendered> {
    jinja_differences::check(template).map_err(Unrendered::Unlike)?;
    let others = serde_json::to_string(&values.map).unwrap_or_default();
    let variables = Variables::new(allowed, template, &others);
    // Only a template that can be read is changed, so that what is wrong is told of it.
    let is_template = parse(template, "template", engine::syntax()).is_ok();
    let measured = match is_template {
        true => measured(template).map_err(Unrendered::Blank)?,
        false => template.to_owned(),
    };
    if is_template && !values.respelled.is_empty() {
        let used = used(template);
        let respelled = values.respelled.iter().filter(|it| is_used(&it.path(), &used));
        let respelled: Vec<_> = respelled.cloned().collect();
        if !respelled.is_empty() {
            return Err(Unrendered::Respelled(respelled));
        }
    }
    Ok((measured, variables))
}

impl Unrendered {
    fn problems(self, source: &Source) -> Vec<Problem> {
        let mut problem = match self {
            Self::Respelled(numbers) => {
                return numbers.into_iter().map(Respelled::into_problem).collect();
            }
            Self::Failed(error) => failed(&error, source),
            Self::Unlike(unlike) => {
                let before = &source.text[..unlike.offset];
                let line = before.matches('\n').count() as u64 + 1;
                let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count());
                let mark = Mark { column: column as u64 + 1, ..at(line) };
                source.problem(mark, unlike.message)
            }
            Self::Blank(byte) => {
                let line = source.text[..byte].matches('\n').count() as u64 + 1;
                let message = "a text of only spaces and braces must be short in a template that repeats something";
                source.problem(at(line), message)
            }
            Self::Misused(misused) => {
                let hint = misused.hint();
                let named = source.text.lines().position(|line| line.contains(&misused.0));
                let mark = at(named.map_or(1, |line| line as u64 + 1));
                source.problem(mark, misused.to_string()).hint(hint)
            }
        };
        let line = problem.place.as_ref().map_or(1, |place| place.line);
        if quoting::may_hold_secret_at(&source.text, line) {
            problem.source_line = None;
        }
        vec![problem]
    }
}

/// What the engine says is wrong. Of a document that may hold a secret, only names are
/// repeated.
fn failed(error: &minijinja::Error, source: &Source) -> Problem {
    let line = error.line().unwrap_or(1) as u64;
    let kind = error.kind();
    let is_undefined = kind == minijinja::ErrorKind::UndefinedError;
    let message = match error.detail() {
        Some(detail) if !is_undefined && quoting::may_hold_secret_at(&source.text, line) => {
            format!("{kind}: {}", quoting::without_quotes(detail))
        }
        Some(detail) => format!("{kind}: {detail}"),
        None if is_undefined => "a name here has no value".to_owned(),
        None => kind.to_string(),
    };
    let column = match is_undefined {
        true => error.detail().and_then(|detail| column_of_undefined(detail, source, line)),
        false => None,
    };
    let mark = Mark { column: column.unwrap_or(1), ..at(line) };
    let problem = source.problem(mark, message);
    match is_undefined {
        true => match &source.inside {
            // Nothing else reaches it.
            Some(inside) => problem.hint(format!(
                "write it into `values` of `sources.{}` in the project file",
                inside.of.name
            )),
            None => problem.hint("give it with --value NAME=VALUE, with --values-file FILE, or in values.yaml beside the template"),
        },
        false if null::is_reason(error) => problem.hint(null::HINT),
        false => match variables::way_out(error) {
            Some(hint) => problem.hint(hint),
            None => problem,
        },
    }
}

/// The column of the name that is said to be undefined, where it stands in its line as the one
/// word of its kind.
fn column_of_undefined(detail: &str, source: &Source, line: u64) -> Option<u64> {
    let name = detail.split('`').nth(1)?;
    let text = source.text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let begins = |at: usize| ["{{", "{%"].iter().filter_map(|sign| text[..at].rfind(sign)).max();
    let is_inside = |at: usize| begins(at).is_some_and(|begin| !text[begin..at].contains("}}"));
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut found = text.match_indices(name).map(|(at, _)| at).filter(|at| {
        let after = &text[at + name.len()..];
        !text[..*at].ends_with(is_word) && !after.starts_with(is_word) && is_inside(*at)
    });
    let at = found.next()?;
    Some(text[..at].chars().count() as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, pairs: &[&str]) -> Result<String, String> {
        let pairs: Vec<_> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        let values =
            FileValues::read(&[], &pairs, &[]).map_err(|problems| problems[0].to_string())?;
        let source = Source::new("t.j2".into(), "/nonexistent".into(), text.into());
        render(source, &values, &Reach::default())
            .map(|rendered| rendered.source.text)
            .map_err(|problems| problems[0].to_string())
    }

    #[test]
    fn values_reach_the_template_by_their_path() {
        assert_eq!(rendered("{{ a.b }} {{ a.n }}\n", &["a.b=x", "a.n=2"]).unwrap(), "x 2\n");
    }

    #[test]
    fn a_value_is_the_text_that_was_given() {
        for text in ["1.10", "1234567e2", "0x1F", "true", "~", "", "{a: b}", "a #b", " x ", "'y'"] {
            let written = rendered("\"{{ v }}\"", &[&format!("v={text}")]).unwrap();
            assert_eq!(written, format!("\"{text}\""));
        }
    }

    #[test]
    fn a_value_of_another_type_is_json() {
        let read = |pair: &str| FileValues::read(&[], &["a.b=x".to_owned()], &[pair.to_owned()]);
        let values = read("a={\"n\": [1, 2.5, true, null]}").unwrap().values.map;
        let expected = serde_json::json!({"a": {"b": "x", "n": [1, 2.5, true, null]}});
        assert_eq!(Value::Object(values), expected);
        for (pair, message) in [
            ("a=yes", "not JSON"),
            ("a", "there is no `=`"),
            ("a=[1, 18446744073709551616]", "`18446744073709551616` has more than 64 bits"),
            ("a={\"b\\\"\": -9223372036854775809}", "has more than 64 bits"),
        ] {
            let problems = read(pair).unwrap_err();
            assert!(problems[0].message.contains(message), "{}", problems[0].message);
        }
        assert!(read("a=\"18446744073709551616\"").is_ok());
        assert!(read("a={\"\\\\\": [\"1\\\"99999999999999999999\", 1e3]}").is_ok());
    }

    #[test]
    fn a_missing_value_is_an_error_at_its_line() {
        assert_eq!(
            rendered("a\n{{ b }}", &[]).unwrap_err(),
            "t.j2:2:4: undefined value: `b` is undefined"
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
