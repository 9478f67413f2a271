//! What the engine reads otherwise than Jinja2, without a word. A template that is translated
//! has these put right or refused on the way; one that the engine gets as it is must not
//! have them.

use minijinja::machinery::{ast, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

use super::{Done, Refusal, check_raw_tags};

/// Refuses such tags and loops.
pub(in crate::manifest::jinja) fn check_unlike(source: &str) -> Done {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    let syntax = syntax.map_err(|error| Refusal { error, offset: None })?;
    let mut end = 0;
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((_, span)) = token else { return Ok(()) };
        check_raw_tags(source, end..span.start_offset as usize)?;
        end = span.end_offset as usize;
    }
    check_raw_tags(source, end..source.len())?;
    match parse(source, "template", syntax) {
        Ok(ast::Stmt::Template(template)) => statements(&template.children),
        _ => Ok(()),
    }
}

fn statements(all: &[ast::Stmt<'_>]) -> Done {
    all.iter().try_for_each(|statement| match statement {
        ast::Stmt::ForLoop(inner) => {
            if let (true, Some(condition)) = (inner.recursive, &inner.filter_expr) {
                let message = "the condition of a recursive loop is lost in nested calls; put it into the loop as `{% if … %}`";
                return Err(Refusal {
                    error: Error::new(ErrorKind::InvalidOperation, message),
                    offset: Some(condition.span().start_offset as usize),
                });
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
