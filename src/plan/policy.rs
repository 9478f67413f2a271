//! Policies: Rego rules over a plan. They get the plan as data, like every other program, and
//! answer with messages; they decide nothing else.
//!
//! A rule file has a package at or below `meshagent` and the rules `deny` and `warn`, sets
//! of messages. A message is a text, or an object with `msg` and, if it is about one
//! object, `object`. Files of other packages are libraries that rules may import.

mod length;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use self::length::TooLong;
use crate::error::{Place, Problem};

/// How long the rules may take together before they count as running forever.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// One file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What the rules say of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the plan must not be performed, each with the files that say so.
    pub denied: Vec<Problem>,
    /// What somebody should look at.
    pub warned: Vec<String>,
    /// What the rules printed, for those who write them.
    pub printed: Vec<String>,
}

/// Asks the rules about a plan.
///
/// # Errors
///
/// Rules that cannot be parsed or evaluated, and files without `deny` or `warn` rules: a policy
/// that says nothing by mistake must not look like one that agrees.
pub fn evaluate(sources: &[Source], plan: &serde_json::Value) -> Result<Verdict, Problem> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_gather_prints(true);
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit: TIME_LIMIT,
        check_interval: NonZeroU32::MIN.saturating_add(999),
    });
    let mut packages: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in sources {
        check_length(source)?;
        let package = engine
            .add_policy(source.name.clone(), source.text.clone())
            .map_err(|error| problem(&error.to_string(), sources))?;
        if package == "data.meshagent" || package.starts_with("data.meshagent.") {
            packages.entry(package).or_default().insert(&source.name);
        }
    }
    engine.set_input(Value::from(plan.clone()));
    let mut verdict = Verdict::default();
    let mut asked = 0;
    for (package, files) in &packages {
        for rule in ["deny", "warn"] {
            let answer = ask(&mut engine, package, rule).map_err(|told| problem(&told, sources))?;
            let Some(answer) = answer else { continue };
            asked += 1;
            let files = files.iter().copied().collect::<Vec<_>>().join(", ");
            for (text, object) in messages(&answer, &files, rule)? {
                let text =
                    object.map_or_else(|| text.clone(), |object| format!("{object}: {text}"));
                if rule == "deny" {
                    verdict.denied.push(Problem::new(format!("{files}: {text}")));
                } else {
                    verdict.warned.push(format!("{files}: {text}"));
                }
            }
        }
    }
    verdict.printed = engine.take_prints().unwrap_or_default();
    if asked > 0 {
        return Ok(verdict);
    }
    Err(Problem::new("the policy has no rule `deny` or `warn` in or below the package `meshagent`")
        .hint("begin a rule file with `package meshagent`, and add `deny contains msg if { … }`"))
}

fn check_length(source: &Source) -> Result<(), Problem> {
    length::check(&source.text).map_err(|TooLong { message, line, column }| {
        let place = Place { file: source.name.clone(), line, column, from: None };
        Problem { place: Some(place), ..Problem::new(message) }
    })
}

/// The value of a rule; `None` when the package has no such rule. A set without elements
/// is a value. Errors are those of the interpreter.
fn ask(engine: &mut Engine, package: &str, rule: &str) -> Result<Option<Value>, String> {
    let results =
        engine.eval_query(format!("{package}.{rule}"), false).map_err(|error| error.to_string())?;
    let value = results.result.into_iter().next().and_then(|mut result| result.expressions.pop());
    Ok(value.map(|expression| expression.value).filter(|value| *value != Value::Undefined))
}

/// The messages of a rule in their own order, each with the object that it is about.
fn messages(
    answer: &Value,
    files: &str,
    rule: &str,
) -> Result<Vec<(String, Option<String>)>, Problem> {
    let wrong = |what: &str| {
        Problem::new(format!("{files}: {what}")).hint(format!(
            "write `{rule} contains msg if {{ … }}`, where msg is a text, or an object with `msg` and `object`"
        ))
    };
    let Value::Set(items) = answer else {
        return Err(wrong(&format!("`{rule}` is not a set of messages")));
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    };
    items
        .iter()
        .map(|item| match item {
            Value::String(message) => Ok((message.to_string(), None)),
            Value::Object(fields) => {
                let field = |name: &str| fields.get(&Value::from(name));
                let Some(message) = field("msg").and_then(text) else {
                    return Err(wrong(&format!("a message of `{rule}` has no text in `msg`")));
                };
                Ok((message, field("object").and_then(text)))
            }
            _ => Err(wrong(&format!("a message of `{rule}` is neither a text nor an object"))),
        })
        .collect()
}

/// The content of an error of the interpreter. It has no type, only a text.
enum Told<'a> {
    /// What is wrong at a place of one of the files.
    At(Place, &'a str),
    /// Anything else.
    Other(&'a str),
}

impl<'a> Told<'a> {
    /// Reads `--> file:line:column`, the line with a mark below it, and `error: ` with the message.
    /// Only the name of a given file counts as a place.
    fn of(text: &'a str, sources: &[Source]) -> Self {
        let at = sources.iter().find_map(|Source { name, .. }| {
            let (_, drawn) = text.split_once(&format!("--> {name}:"))?;
            let (at, drawn) = drawn.split_once('\n')?;
            let (line, column) = at.split_once(':')?;
            let (_, message) = drawn.split_once("\nerror: ")?;
            let (line, column) = (line.parse().ok()?, column.parse().ok()?);
            let place = Place { file: name.clone(), line, column, from: None };
            Some(Self::At(place, message.lines().next().unwrap_or_default()))
        });
        at.unwrap_or(Self::Other(text))
    }
}

/// An error of the interpreter, in one line.
fn problem(text: &str, sources: &[Source]) -> Problem {
    match Told::of(text, sources) {
        Told::At(place, message) => Problem { place: Some(place), ..Problem::new(message) },
        Told::Other(text) => Problem::new(text.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ask(text: &str) -> Result<Verdict, Problem> {
        let source = Source { name: "p.rego".to_owned(), text: text.to_owned() };
        evaluate(&[source], &json!({"operations": [{"address": "Room/a", "action": "delete"}]}))
    }

    #[test]
    fn messages_are_texts_or_objects() {
        let verdict = ask("package meshagent\ndeny contains \"no\" if { input.operations[_].action == \"delete\" }\nwarn contains {\"msg\": \"hm\", \"object\": o.address} if { some o in input.operations }\n").unwrap();
        assert_eq!(verdict.denied, [Problem::new("p.rego: no")]);
        assert_eq!(verdict.warned, ["p.rego: Room/a: hm"]);
    }

    #[test]
    fn a_rule_that_denies_nothing_is_still_a_rule() {
        let verdict = ask(
            "package meshagent.rooms\ndeny contains \"no\" if { input.operations[_].action == \"create\" }\n",
        );
        assert_eq!(verdict, Ok(Verdict::default()));
    }

    #[test]
    fn a_policy_that_cannot_be_asked_is_an_error_with_its_place() {
        for (text, expected) in [
            ("package meshagent\ndeny contains if {", "p.rego:2:"),
            ("package meshagent\ndeny contains x if { x := nowhere(1) }", "p.rego:2:"),
            ("package meshagent\ndeny contains x if { x := to_number(\"a\") }", "p.rego:2:"),
            ("package meshagent\ndeny := true", "p.rego: `deny` is not a set"),
            ("package meshagent\ndeny contains 1", "p.rego: a message of `deny` is neither"),
            (
                "package meshagent\ndeny contains {\"object\": \"x\"}",
                "p.rego: a message of `deny` has no",
            ),
            ("package other\ndeny contains \"x\"", "the policy has no rule `deny` or `warn`"),
            ("package meshagent\nallow := true", "the policy has no rule `deny` or `warn`"),
        ] {
            let problem = ask(text).unwrap_err();
            let shown = problem.to_string();
            assert!(shown.starts_with(expected) && !shown.contains('\n'), "{text}: {shown}");
        }
    }
}
