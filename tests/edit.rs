//! Edits of manifests keep everything that they do not change.

use std::collections::BTreeMap;

use meshagent::kinds::path::{FieldPath, Step};
use meshagent::manifest::{edit, yaml};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Where choices come from, so that a failing case shrinks.
struct Choices<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Choices<'_> {
    fn below(&mut self, count: usize) -> usize {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        usize::from(byte) % count
    }

    fn of<'b, T: ?Sized>(&mut self, options: &[&'b T]) -> &'b T {
        options[self.below(options.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 8 } else { 10 }) {
            0 => json!(null),
            1 => json!(true),
            2 => json!(self.below(100)),
            3 => json!(1.5),
            4 => json!(self.of(&[
                "yes",
                "1",
                "",
                "a: b",
                "#x",
                "- a",
                "null",
                "0x1",
                "é\u{1f600}",
                "a'b\"c"
            ])),
            5 => json!(self.of(&[
                "a\nb",
                "a\n\nb\n",
                " a\nb",
                "a\n  b\n\n",
                "\n",
                "\ta",
                "a\r\nb",
                "a\n#b: c\n"
            ])),
            6 | 7 => {
                json!(self.of(&["plain", "two words", "http://x/y", "*/5 * * * *", "x, y", "{z}"]))
            }
            8 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let mut fields = Map::new();
                for index in 0..self.below(4) {
                    let key = self.of(&["k", "a.b", "yes", "x y", "0"]);
                    fields.insert(format!("{key}{index}"), self.value(depth - 1));
                }
                fields.into()
            }
        }
    }
}

/// A document in many styles, with the lines that each value takes.
#[derive(Default)]
struct Written {
    text: String,
    /// The first and the last line of each entry, and whether it stands in flow style.
    lines: BTreeMap<Vec<Step>, (usize, usize, bool)>,
}

impl Written {
    fn line(&self) -> usize {
        self.text.matches('\n').count()
    }

    fn noise(&mut self, choices: &mut Choices<'_>, indent: usize) {
        match choices.below(6) {
            0 => self.text += "\n",
            1 => self.text += &format!("{}# note: [x]\n", " ".repeat(indent)),
            2 => self.text += "# at the margin\n\n",
            _ => {}
        }
    }

    fn end_line(&mut self, choices: &mut Choices<'_>) {
        self.text += choices.of(&["\n", "\n", "  # it's \"so\"\n"]);
    }

    fn key(&mut self, choices: &mut Choices<'_>, index: usize) -> String {
        let name = format!("{}{index}", choices.of(&["a", "name", "x.y", "ö"]));
        match choices.below(4) {
            0 => self.text += &format!("\"{name}\""),
            1 => self.text += &format!("'{name}'"),
            _ => self.text += &name,
        }
        name
    }

    /// What follows a colon or a dash, up to the end of its lines.
    fn block(
        &mut self,
        choices: &mut Choices<'_>,
        path: &[Step],
        column: usize,
        depth: usize,
    ) -> Value {
        let deeper = column + 2 + choices.below(2);
        match choices.below(if depth == 0 { 8 } else { 12 }) {
            0 => {
                self.end_line(choices);
                Value::Null
            }
            1 => {
                let (text, value) = [
                    ("1", json!(1)),
                    ("true", json!(true)),
                    ("'it''s'", json!("it's")),
                    ("\"a\\tb\"", json!("a\tb")),
                    ("~", json!(null)),
                    ("a b", json!("a b")),
                ][choices.below(6)]
                .clone();
                self.text += &format!(" {text}");
                self.end_line(choices);
                value
            }
            2 => {
                let indent = " ".repeat(deeper);
                self.text += &format!(" plain\n{indent}goes on\n\n{indent}there\n");
                json!("plain goes on\nthere")
            }
            3 => {
                let indent = " ".repeat(deeper);
                self.text += &format!(" \"quoted\n{indent}goes on\"");
                self.end_line(choices);
                json!("quoted goes on")
            }
            4 => {
                let indent = " ".repeat(deeper);
                let (header, value) = [
                    ("|", "a\n b: |\n\n# c\n"),
                    ("|-", "a\n b: |\n\n# c"),
                    ("|2", "a\n b: |\n\n# c\n"),
                ][choices.below(3)];
                let (header, indent) = match header {
                    "|2" => (format!("|{}", deeper - column), indent),
                    other => (other.to_owned(), indent),
                };
                self.text += &format!(
                    " {header}{}\n{indent}a\n{indent} b: |\n\n{indent}# c\n",
                    choices.of(&["", " # note"])
                );
                self.text += choices.of(&["", "\n"]);
                json!(value)
            }
            5 => {
                let indent = " ".repeat(deeper);
                self.text += &format!(" >\n{indent}folded\n{indent}goes on\n\n{indent}there\n");
                json!("folded goes on\nthere\n")
            }
            6 => {
                self.text += " ";
                let value = self.flow(choices, path, column, 2);
                self.end_line(choices);
                value
            }
            7 => {
                self.text += choices.of(&[" {}", " []"]);
                let is_map = self.text.ends_with('}');
                self.end_line(choices);
                if is_map { json!({}) } else { json!([]) }
            }
            8 | 9 => {
                let is_item = matches!(path.last(), Some(Step::Index(_)));
                if is_item && choices.below(2) == 0 {
                    let spaces = 1 + choices.below(2);
                    self.text += &" ".repeat(spaces);
                    self.map(choices, path, column + 1 + spaces, depth - 1, true)
                } else {
                    self.end_line(choices);
                    self.map(choices, path, deeper, depth - 1, false)
                }
            }
            _ => {
                self.end_line(choices);
                let is_item = matches!(path.last(), Some(Step::Index(_)));
                let column = if is_item { deeper } else { column + 2 * choices.below(2) };
                let mut items = Vec::new();
                for index in 0..=choices.below(3) {
                    self.noise(choices, column);
                    let first = self.line();
                    self.text += &format!("{}-", " ".repeat(column));
                    let path = [path, &[Step::Index(index)]].concat();
                    items.push(self.block(choices, &path, column, depth - 1));
                    self.lines.insert(path, (first, self.line() - 1, false));
                }
                items.into()
            }
        }
    }

    fn map(
        &mut self,
        choices: &mut Choices<'_>,
        path: &[Step],
        column: usize,
        depth: usize,
        started: bool,
    ) -> Value {
        let mut fields = Map::new();
        for index in 0..=choices.below(4) {
            if index > 0 || !started {
                self.noise(choices, column);
                self.text += &" ".repeat(column);
            }
            let first = self.line();
            let name = self.key(choices, index);
            self.text += ":";
            let path = [path, &[Step::Field(name.clone())]].concat();
            let value = self.block(choices, &path, column, depth);
            self.lines.insert(path, (first, self.line() - 1, false));
            fields.insert(name, value);
        }
        fields.into()
    }

    fn flow(
        &mut self,
        choices: &mut Choices<'_>,
        path: &[Step],
        column: usize,
        depth: usize,
    ) -> Value {
        let count = choices.below(4);
        let is_map = choices.below(2) == 0;
        let style = choices.below(3);
        let comma = choices.below(3) == 0;
        let indent = " ".repeat(column + 2);
        self.text += if is_map { "{" } else { "[" };
        let (mut fields, mut items) = (Map::new(), Vec::new());
        for index in 0..count {
            match style {
                0 => self.text += &format!("\n{indent}"),
                1 if index == 0 => self.text += " ",
                _ if index > 0 => self.text += " ",
                _ => {}
            }
            let first = self.line();
            let name = if is_map { self.key(choices, index) } else { String::new() };
            self.text += if is_map { ": " } else { "" };
            let step = if is_map { Step::Field(name.clone()) } else { Step::Index(index) };
            let path = [path, &[step]].concat();
            let value = if depth > 0 && choices.below(3) == 0 {
                self.flow(choices, &path, column + 2, depth - 1)
            } else {
                let (text, value) = [
                    ("1", json!(1)),
                    ("'it''s'", json!("it's")),
                    ("\"a, b\"", json!("a, b")),
                    ("a b", json!("a b")),
                ][choices.below(4)]
                .clone();
                self.text += text;
                value
            };
            self.lines.insert(path, (first, self.line(), true));
            if index + 1 < count || comma {
                self.text += ",";
            }
            if style == 0 && choices.below(3) == 0 {
                self.text += " # of an item";
            }
            if is_map { drop(fields.insert(name, value)) } else { items.push(value) }
        }
        match style {
            0 if count > 0 => self.text += &format!("\n{}", " ".repeat(column + 2)),
            1 => self.text += " ",
            _ => {}
        }
        self.text += if is_map { "}" } else { "]" };
        if is_map { fields.into() } else { items.into() }
    }
}

fn at<'a>(root: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(root, |value, step| match step {
        Step::Field(name) => &mut value[name],
        Step::Index(index) => &mut value[index],
        Step::Item { .. } => unreachable!(),
    })
}

fn parse(text: &str) -> Value {
    yaml::parse(text).unwrap().remove(0).to_json()
}

fn check(bytes: &[u8]) {
    let mut choices = Choices { bytes, at: 0 };
    let mut written = Written::default();
    let mut model = written.map(&mut choices, &[], 0, 4, false);
    written.text += choices.of(&["", "# end\n", "\n"]);
    let text = if choices.below(8) == 0 {
        written.text.replace('\n', "\r\n")
    } else {
        written.text.clone()
    };
    assert_eq!(parse(&text), model, "{text}");

    let paths: Vec<&Vec<Step>> = written.lines.keys().collect();
    let mut path = paths[choices.below(paths.len())].clone();
    let old = at(&mut model.clone(), &path).clone();
    let mut touched = written.lines[&path];
    let value = match (choices.below(4), &old) {
        (0, Value::Object(_) | Value::Null) => {
            path.push(Step::Field("added".to_owned()));
            Some(choices.value(2))
        }
        (0, Value::Array(items)) => {
            path.push(Step::Index(items.len()));
            Some(choices.value(2))
        }
        (1, _) => None,
        _ => Some(choices.value(2)),
    };
    let mut expected = model.clone();
    match (&value, path.split_last().unwrap()) {
        (Some(value), (Step::Field(name), parents)) => {
            let parent = at(&mut expected, parents);
            if parent.is_null() {
                *parent = json!({});
            }
            parent[name] = value.clone();
        }
        (Some(value), (Step::Index(index), parents)) => {
            let items = at(&mut expected, parents).as_array_mut().unwrap();
            if *index < items.len() {
                items[*index] = value.clone()
            } else {
                items.push(value.clone())
            }
        }
        (None, (Step::Field(name), parents)) => {
            drop(at(&mut expected, parents).as_object_mut().unwrap().shift_remove(name));
        }
        (None, (Step::Index(index), parents)) => {
            drop(at(&mut expected, parents).as_array_mut().unwrap().remove(*index));
        }
        _ => unreachable!(),
    }
    // What the edit may touch: the entry; of flow style all of it; of what becomes empty
    // the entry that it stands in.
    for end in (1..path.len()).rev() {
        let parent = at(&mut model, &path[..end]).clone();
        let is_only = value.is_none()
            && end + 1 == path.len()
            && (parent.as_object().is_some_and(|fields| fields.len() == 1)
                || parent.as_array().is_some_and(|items| items.len() == 1));
        let (first, last, is_flow) = written.lines[&path[..end]];
        // Without its first key, what comes next moves up to the dash.
        let moves_up = value.is_none() && end + 1 == path.len() && first == touched.0;
        if is_only || touched.2 || moves_up {
            touched = (first, last, is_flow);
        }
    }
    let edited = match edit::set(&text, &FieldPath(path.clone()), value.as_ref()) {
        Ok(edited) => edited,
        Err(reason) => panic!("{} = {value:?} in\n{text}\n{reason}", FieldPath(path)),
    };
    let told = || format!("{} = {value:?} in\n{text}\nbecame\n{edited}", FieldPath(path.clone()));
    assert_eq!(parse(&edited), expected, "{}", told());
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let new: Vec<&str> = edited.split_inclusive('\n').collect();
    assert_eq!(old[..touched.0], new[..touched.0], "{}", told());
    let tail = old.len() - touched.1 - 1;
    assert!(new.len() >= touched.0 + tail, "{}", told());
    assert_eq!(old[touched.1 + 1..], new[new.len() - tail..], "{}", told());
    let comments = |lines: &[&str]| {
        lines
            .iter()
            .filter(|line| line.contains("# note: [x]") || line.contains("# at the margin"))
            .count()
    };
    if value.is_some()
        && path.len() == 1
        && !old[touched.0..=touched.1].iter().any(|line| line.contains('#'))
    {
        assert_eq!(comments(&old), comments(&new), "{}", told());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_says_what_it_should_and_touches_nothing_else(bytes in proptest::collection::vec(any::<u8>(), 8..160)) {
        check(&bytes);
    }
}
