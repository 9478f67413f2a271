//! The text of a service template. It is recognized by its lines, because placeholders and
//! statements may make it invalid YAML.

use std::sync::Arc;

use serde_json::Value;

use super::super::conformity::check_part;
use super::super::source::Source;
use super::super::split::Part;
use super::super::yaml::{Mark, Node};
use super::Document;
use super::read::parse;
use crate::error::Problem;
use crate::kinds::KindName;
use crate::kinds::service_template::OWN_FIELDS;

/// The text of a service template, without the fields that the reconciler reads itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    /// What is rendered, and kept by the platform as the template's source.
    pub text: String,
    /// The line in the source of each line of the text.
    pub lines: Vec<u64>,
}

impl TemplateText {
    /// Adds a line of the source. It ends in a line feed, whatever the file has: the text that the
    /// platform stores must not depend on how a checkout was made.
    fn push(&mut self, number: u64, line: &str) {
        match line.strip_suffix("\r\n") {
            Some(bare) => self.text.extend([bare, "\n"]),
            None => self.text.push_str(line),
        }
        self.lines.push(number);
    }

    /// The mark of a line of the text in its source.
    #[must_use]
    pub fn mark(&self, line: u64, column: u64) -> Mark {
        let index = usize::try_from(line.max(1) - 1).unwrap_or(usize::MAX);
        let line = self.lines.get(index).or(self.lines.last()).copied().unwrap_or(1);
        Mark { line, column: column.max(1), ..Mark::default() }
    }
}

/// Whether a part is a service template in block style. It is recognized without parsing, because
/// placeholders and statements may make it invalid YAML.
pub(super) fn is_block_template(text: &str) -> bool {
    text.lines().any(|line| {
        line.strip_prefix("kind:").is_some_and(|rest| {
            rest.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\''])
                == "ServiceTemplate"
        })
    })
}

/// Removes the reconciler's own fields from the text of a template.
pub(super) fn read_template(
    source: &Arc<Source>,
    part: &Part<'_>,
) -> Result<(Document, Value), Vec<Problem>> {
    let mut template = TemplateText { text: String::new(), lines: Vec::new() };
    let mut own = String::new();
    // Comments and empty lines after a field may belong to the next one.
    let mut pending: Vec<(u64, &str)> = Vec::new();
    let mut in_own = false;
    for (index, line) in part.text.split_inclusive('\n').enumerate() {
        let number = part.lines + index as u64 + 1;
        let starts_field = !line.starts_with(char::is_whitespace)
            && !line.starts_with(['#', '-'])
            && !line.trim().is_empty();
        if starts_field {
            in_own = OWN_FIELDS.iter().any(|field| {
                line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with(':'))
            });
        }
        if in_own {
            let is_loose = line.trim().is_empty() || line.starts_with('#');
            if is_loose {
                pending.push((number, line));
            } else {
                pending.clear();
                own.push_str(line);
                continue;
            }
        } else {
            for (number, line) in pending.drain(..).chain([(number, line)]) {
                template.push(number, line);
            }
        }
        own.push('\n');
    }
    for (number, line) in pending {
        template.push(number, line);
    }
    let own_part = Part { text: &own, lines: part.lines, bytes: part.bytes };
    let root = parse(source, &own_part)?.unwrap_or(Node {
        mark: Mark { line: part.lines + 1, column: 1, ..Mark::default() },
        ..Node::empty()
    });
    let kind = KindName::ServiceTemplate.kind();
    let value = root.to_json();
    let document = Document::new(source, part, kind, Some(root));
    let document = Document { template: Some(template), ..document };
    // Only these fields are checked now; the rest is checked once it is rendered.
    let problems = check_part(&document, &value);
    if problems.is_empty() { Ok((document, value)) } else { Err(problems) }
}
