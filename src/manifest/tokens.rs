//! *Pure*: how long the expressions of a template may be. The engine reads an expression by
//! calling itself, so one without end would take the whole stack.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The most words and signs of one expression or statement.
const MOST: usize = 500;

/// The most `elif` of one `if`.
const MOST_BRANCHES: usize = 500;

/// What the engine is not to be given, and the byte where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    /// What is wrong.
    pub(super) message: String,
    /// Where it begins.
    pub(super) offset: usize,
}

/// Checks a template before it is parsed. The parser reports what is not a
/// template at all.
///
/// # Errors
///
/// An expression, or a chain of branches, that is too long.
pub(super) fn check(source: &str, syntax: &SyntaxConfig) -> Result<(), Unfit> {
    let mut begin = 0;
    let mut length = 0;
    let mut is_first = false;
    let mut branches: Vec<usize> = Vec::new();
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else { return Ok(()) };
        let too_long = |message: String| Err(Unfit { message, offset: begin });
        match token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => {
                begin = span.start_offset as usize;
                length = 0;
                is_first = matches!(token, Token::BlockStart);
                continue;
            }
            Token::Ident("if") if is_first => branches.push(0),
            Token::Ident("endif") if is_first => drop(branches.pop()),
            Token::Ident("elif") if is_first => {
                if let Some(count) = branches.last_mut() {
                    *count += 1;
                    if *count > MOST_BRANCHES {
                        return too_long(format!(
                            "an `if` may have at most {MOST_BRANCHES} `elif`"
                        ));
                    }
                }
            }
            _ => {}
        }
        is_first = false;
        length += 1;
        if length > MOST {
            return too_long(format!(
                "an expression may have at most {MOST} words and signs; use `set` to name a part of it"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_told_where_it_begins() {
        let at = |source: &str| {
            check(source, &SyntaxConfig::default()).err().map(|refused| refused.offset)
        };
        assert_eq!(at(&format!("x {{{{ 1{} }}}}", "+1".repeat(240))), None);
        assert_eq!(at(&format!("x {{{{ 1{} }}}}", "+1".repeat(260))), Some(2));
        assert_eq!(at(&format!("{{{{ {}1{} }}}}", "(".repeat(900), ")".repeat(900))), Some(0));
        assert_eq!(at(&format!("{{% set a = [{}] %}}", "1,".repeat(300))), Some(0));
        // Many short ones are none that is long, and text is no expression.
        assert_eq!(at(&"{{ a ~ b }} - + * ~ { } ".repeat(900)), None);
        let chain = |count: usize| {
            format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}{{ c }}".repeat(count))
        };
        assert_eq!(at(&chain(500)), None);
        assert!(at(&chain(501)).is_some());
        assert_eq!(at(&chain(300).repeat(3)), None);
    }
}
