//! *Pure*: numbers in values that a template would write differently than their author did.
//! `tag: 1.10` is the number 1.1, and the image with that tag is another one.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::source::Source;
use super::yaml::{self, Mark, Node};
use crate::error::Problem;

/// A number whose spelling would get lost.
#[derive(Debug, Clone)]
pub(super) struct Respelled {
    /// The names that lead to it, or to the list that it is in.
    path: Vec<String>,
    /// Where it stands and what to do, for who uses it in a template.
    problem: Problem,
}

impl Respelled {
    /// The path of the value, as templates name it.
    pub(super) fn path(&self) -> String {
        self.path.join(".")
    }

    /// What is told where a template uses it.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    /// Whether other values that go before it say something in its place.
    pub(super) fn is_replaced_by(&self, values: &Map<String, Value>) -> bool {
        let mut values = values;
        for name in &self.path {
            match values.get(name) {
                None => return false,
                Some(Value::Object(below)) => values = below,
                Some(_) => return true,
            }
        }
        false
    }
}

/// The numbers of a document whose spelling would get lost. No number is repeated: some
/// values may be secrets, and nothing says which.
pub(super) fn in_values(
    source: &Source,
    root: &Node,
    numbers: &[(Mark, String)],
) -> Vec<Respelled> {
    lost(root, numbers)
        .into_iter()
        .map(|(path, mark)| {
            let message = format!(
                "a template would change the spelling of the number in `{}`",
                path.join(".")
            );
            let problem = Problem { source_line: None, ..source.problem(mark, message) }
                .hint("put it in quotes to make it a text, which stays as it is");
            Respelled { path, problem }
        })
        .collect()
}

/// What is told of numbers in `--value-json NAME=JSON` whose spelling gets lost. They were
/// asked for as numbers, so they are none the less used.
pub(super) fn in_argument(pair: &str) -> Option<String> {
    let (name, json) = pair.split_once('=')?;
    // What is wrong with it otherwise is told elsewhere.
    let (documents, numbers) = yaml::parse_with_numbers(json).ok()?;
    let (below, _) = lost(documents.first()?, &numbers).into_iter().next()?;
    let path: Vec<&str> = name.split('.').chain(below.iter().map(String::as_str)).collect();
    let path = path.join(".");
    Some(format!(
        "--value-json {name:?}: `{path}` is a number that a template writes differently than it is given; use --value to give it as a text"
    ))
}

/// The numbers that a template wrote out of texts, and that would be sent in another spelling:
/// `tag: {{ tag }}` with the text `1.10`. What stands in the template itself is its author's,
/// and the numbers that templates compute are spelled as they are sent.
pub(super) fn in_rendered(rendered: &Source, template: &str) -> Vec<Problem> {
    let ends = |c: char| c.is_ascii_whitespace() || ",:[]{}".contains(c);
    // What a comment says is in no value.
    let lines = template.lines().map(|line| match line.trim_start().starts_with('#') {
        true => "",
        false => line.split(" #").next().unwrap_or_default(),
    });
    let own: HashSet<&str> = lines.flat_map(|line| line.split(ends)).collect();
    let is_made = |written: &str| !own.contains(written);
    let may_be_number = |word: &str| {
        let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
        let bare = unsigned.strip_prefix('.').unwrap_or(unsigned);
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
        bare.starts_with(|first: char| first.is_ascii_digit()) && !is_plain && is_made(word)
    };
    // Hardly any template writes one, and a text is not read twice for nothing.
    if !rendered.text.split(ends).any(may_be_number) {
        return Vec::new();
    }
    // What is wrong with it otherwise is told elsewhere.
    let Ok((documents, numbers)) = yaml::parse_with_numbers(&rendered.text) else {
        return Vec::new();
    };
    let made: Vec<_> = numbers.into_iter().filter(|(_, written)| is_made(written)).collect();
    let lost = documents.iter().flat_map(|document| lost(document, &made));
    lost.map(|(path, mark)| {
        let message = format!(
            "the template writes `{}` as a number that would be sent in another spelling",
            path.join(".")
        );
        Problem { source_line: None, ..rendered.problem(mark, message) }.hint(
            "put it in quotes in the template, as in \"{{ name }}\", to make it a text, which stays as it is",
        )
    })
    .collect()
}

/// The numbers that would get lost, by the names that lead to them.
fn lost(root: &Node, numbers: &[(Mark, String)]) -> Vec<(Vec<String>, Mark)> {
    let mut found = Vec::new();
    walk(root, &mut Vec::new(), numbers, &mut found);
    found
}

fn walk(
    node: &Node,
    above: &mut Vec<String>,
    numbers: &[(Mark, String)],
    found: &mut Vec<(Vec<String>, Mark)>,
) {
    match &node.value {
        yaml::Value::Map(entries) => {
            for (key, below) in entries {
                above.push(key.text.clone());
                walk(below, above, numbers, found);
                above.pop();
            }
        }
        yaml::Value::List(items) => {
            // A list goes as a whole, so its numbers are told by its name.
            for item in items {
                let mut in_item = Vec::new();
                walk(item, &mut Vec::new(), numbers, &mut in_item);
                found.extend(in_item.into_iter().map(|(_, mark)| (above.clone(), mark)));
            }
        }
        yaml::Value::Number(number) => {
            let at = numbers.partition_point(|(mark, _)| mark.start < node.mark.start);
            let written = numbers.get(at).filter(|(mark, _)| *mark == node.mark);
            if written.is_some_and(|(_, written)| is_lost(number, written)) {
                found.push((above.clone(), node.mark));
            }
        }
        _ => {}
    }
}

/// Whether a template writes a number in another way than it is spelled.
fn is_lost(number: &Number, written: &str) -> bool {
    let value = match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(number), ..) => minijinja::Value::from(number),
        (_, Some(number), _) => minijinja::Value::from(number),
        (.., number) => minijinja::Value::from(number),
    };
    value.to_string() != written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let source = Source::new("v.yaml".to_owned(), ".".into(), text.to_owned());
        let (documents, numbers) = yaml::parse_with_numbers(text).unwrap();
        let respelled = in_values(&source, &documents[0], &numbers).into_iter();
        let place = |it: &Respelled| {
            let place = it.problem.place.as_ref().unwrap();
            format!("{}:{}", place.line, place.column)
        };
        respelled.map(|it| format!("{} {}", place(&it), it.path())).collect()
    }

    #[test]
    fn numbers_that_are_written_as_they_are_spelled_are_fine() {
        for number in [
            "0",
            "7",
            "-3",
            "1.5",
            "1.0",
            "0.25",
            "-0.5",
            "18446744073709551615",
            // No numbers, but texts.
            "010",
            "1_000",
            "0b11",
            "1.2.3",
            "1.10-rc",
            "'1.10'",
            "\"0x1F\"",
            "1e",
            "v1.10",
        ] {
            assert!(told(&format!("a: {number}\n")).is_empty(), "{number}");
        }
    }

    #[test]
    fn numbers_that_are_written_in_another_way_are_told_at_their_place() {
        for number in [
            "1.10",
            "2024.10",
            "0x1F",
            "0o17",
            "1e3",
            "12e4",
            "1234567e2",
            "+5",
            "-0",
            ".5",
            "1.",
            "1.50",
            "00.5",
            "1E-3",
            "1e20",
        ] {
            assert_eq!(told(&format!("a: {number}\n")), ["1:4 a"], "{number}");
        }
    }

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        let text = "a:\n  b: {c: 1.10, d: 2}\nl: [1, 1.10, {x: 0x10}]\ne: &e 2.20\nf: *e\n";
        let expected = ["2:10 a.b.c", "3:8 l", "3:18 l", "4:4 e", "5:4 f"];
        let found = told(text);
        let names = |all: &[String]| {
            all.iter()
                .map(|it| it.split(' ').nth(1).unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        let expected_names: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(names(&found), names(&expected_names), "{found:?}");
        assert_eq!(found[..3], expected_names[..3]);
    }
}
