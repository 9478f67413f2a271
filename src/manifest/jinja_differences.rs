//! *Pure*: what the engine of `*.j2` files silently reads in another way than Jinja2.

use std::ops::Range;

use minijinja::machinery::{ast, parse, tokenize};

use super::engine::syntax;
use super::tokens::Unfit;

type Done = Result<(), Unfit>;

/// Refuses such tags and loops. The engine reports text that is not a template at all.
///
/// # Errors
///
/// The first of them.
pub(super) fn check(source: &str) -> Done {
    let mut end = 0;
    for token in tokenize(source, false, syntax()) {
        let Ok((_, span)) = token else { return Ok(()) };
        check_raw_tags(source, end..span.start_offset as usize)?;
        end = span.end_offset as usize;
    }
    check_raw_tags(source, end..source.len())?;
    match parse(source, "template", syntax()) {
        Ok(ast::Stmt::Template(template)) => statements(&template.children),
        _ => Ok(()),
    }
}

/// Refuses tags that the engine takes for `raw`, and Jinja2 for an unknown tag. They are not
/// tokens, so they are found between two tokens.
fn check_raw_tags(source: &str, between: Range<usize>) -> Done {
    let text = source.get(between.clone()).unwrap_or_default();
    let mut tags = text.match_indices("{%").map(|(tag, _)| tag).filter(|tag| {
        let inside = text[tag + 2..].trim_start_matches(['+', '-']).trim_start();
        let end = inside.strip_prefix("raw").map(str::trim_start);
        let in_comment = text[..*tag].rfind("{#") > text[..*tag].rfind("#}");
        !in_comment && end.is_some_and(|end| end.starts_with("+%}"))
    });
    match tags.next() {
        None => Ok(()),
        Some(tag) => Err(Unfit {
            message: "a `raw` whose tag ends in `+%}` is not supported offline".to_owned(),
            offset: between.start + tag,
        }),
    }
}

fn statements(all: &[ast::Stmt<'_>]) -> Done {
    all.iter().try_for_each(|statement| match statement {
        ast::Stmt::ForLoop(inner) => {
            if let (true, Some(condition)) = (inner.recursive, &inner.filter_expr) {
                let message = "the condition of a recursive loop is lost in nested calls; put it into the loop as `{% if … %}`";
                let offset = condition.span().start_offset as usize;
                return Err(Unfit { message: message.to_owned(), offset });
            }
            statements(&inner.body)?;
            statements(&inner.else_body)
        }
        ast::Stmt::IfCond(inner) => {
            statements(&inner.true_body)?;
            statements(&inner.false_body)
        }
        ast::Stmt::WithBlock(inner) => statements(&inner.body),
        ast::Stmt::SetBlock(inner) => statements(&inner.body),
        ast::Stmt::FilterBlock(inner) => statements(&inner.body),
        ast::Stmt::AutoEscape(inner) => statements(&inner.body),
        ast::Stmt::Block(inner) => statements(&inner.body),
        ast::Stmt::Macro(inner) => statements(&inner.body),
        ast::Stmt::CallBlock(inner) => statements(&inner.macro_decl.body),
        _ => Ok(()),
    })
}
