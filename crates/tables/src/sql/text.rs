//! From a text to its syntax, within bounds.

use std::collections::HashMap;

use sqlparser::ast::{Expr, Query, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::error::{Error, Reason, Result};
use crate::sql::Dialect;

/// The most bytes of a text.
pub const LONGEST: usize = 64 * 1024;

/// The most words and signs of a text.
const TOKENS: usize = 20_000;

/// The most words and signs that can put something around what stands before them. The parser
/// builds such chains without end, and they are taken apart by recursion.
const LINKS: usize = 2_000;

/// How deep parentheses and brackets are nested at most.
const NESTED: usize = 24;

/// How deep the parser goes.
const DEPTH: usize = 50;

/// How many words and signs that nest the parser reads on the stack of the caller.
const FEW: usize = 16;

/// The bytes of the stack on which the parser reads what is deeper. It takes up to 100 KiB for
/// each that nests if it is not optimised.
const STACK: usize = 32 * 1024 * 1024;

/// Reads one expression.
pub(super) fn expression(text: &str) -> Result<Expr> {
    let tokens = tokens(text, Dialect::Filter)?;
    parsed(tokens, |parser| parser.parse_expr())
}

/// Reads one query.
pub(super) fn query(text: &str) -> Result<Box<Query>> {
    let tokens = tokens(text, Dialect::Query)?;
    let statement = parsed(tokens, |parser| {
        let statement = parser.parse_statement()?;
        while parser.consume_token(&Token::SemiColon) {}
        Ok(statement)
    })?;
    match statement {
        Statement::Query(query) => Ok(query),
        _ => Err(Error::invalid(
            "only a SELECT can be asked here; tables are changed by other requests",
        )),
    }
}

/// What a parser makes of all of a text.
fn parsed<T: Send>(
    (tokens, nesting): (Vec<TokenWithSpan>, usize),
    parse: impl FnOnce(&mut Parser<'_>) -> std::result::Result<T, ParserError> + Send,
) -> Result<T> {
    let end = tokens.iter().rfind(|it| !matches!(it.token, Token::Whitespace(_)));
    let end = end.map_or_else(String::new, |it| place(Span::new(it.span.end, it.span.end)));
    let whole = || {
        let rules = GenericDialect {};
        let parser = Parser::new(&rules).with_recursion_limit(DEPTH);
        let mut parser = parser.with_tokens_with_locations(tokens);
        let parsed = parse(&mut parser).map_err(|error| told(error, &end))?;
        ended(&parser)?;
        Ok(parsed)
    };
    if nesting <= FEW {
        return whole();
    }
    let failed =
        || Error::new(Reason::Failed, "the text cannot be read: there is no thread for it");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, whole);
        thread.map_err(|_| failed())?.join().map_err(|_| failed())?
    })
}

/// The words and signs of a text, and how many of them nest.
fn tokens(text: &str, dialect: Dialect) -> Result<(Vec<TokenWithSpan>, usize)> {
    if text.len() > LONGEST {
        return Err(too_much(format!("the text has {} bytes; {LONGEST} are allowed", text.len())));
    }
    if text.trim().is_empty() {
        return Err(Error::invalid("the text is empty; leave it out where nothing is meant"));
    }
    let (masked, texts) = match dialect {
        Dialect::Filter => texts_in_double_quotes(text)?,
        Dialect::Query => (text.to_owned(), HashMap::new()),
    };
    let tokens = Tokenizer::new(&GenericDialect {}, &masked).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| Error::invalid(format!("{error}")))?;
    for token in &mut tokens {
        if let Some(value) = texts.get(&token.span.start) {
            token.token = Token::SingleQuotedString(value.clone());
        }
    }
    let nesting = bounded(&tokens)?;
    Ok((tokens, nesting))
}

fn too_much(text: String) -> Error {
    Error::invalid(text)
}

fn bounded(tokens: &[TokenWithSpan]) -> Result<usize> {
    let (mut all, mut links, mut opened, mut nested, mut before) = (0, 0, 0, 0_usize, 0);
    for token in tokens {
        // Beyond its depth the parser takes NOT for a name.
        match &token.token {
            Token::Word(word) if word.keyword == Keyword::NOT => before += 1,
            Token::Minus | Token::Plus | Token::Tilde => before += 1,
            Token::Whitespace(_) => {}
            _ => before = 0,
        }
        if before > NESTED {
            let at = place(token.span);
            return Err(too_much(format!(
                "NOT and signs stand more than {NESTED} times in a row{at}"
            )));
        }
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::Comma | Token::Number(..) | Token::SingleQuotedString(_) => {}
            Token::LParen | Token::LBracket | Token::LBrace => {
                opened += 1;
                nested += 1;
            }
            Token::RParen | Token::RBracket | Token::RBrace => nested = nested.saturating_sub(1),
            _ => links += 1,
        }
        all += 1;
        if nested > NESTED {
            let at = place(token.span);
            return Err(too_much(format!("parentheses are nested more than {NESTED} deep{at}")));
        }
    }
    if all > TOKENS || links > LINKS {
        return Err(too_much(format!(
            "the text has too many parts; {LINKS} names and operators are allowed, and {TOKENS} parts in all"
        )));
    }
    Ok(links + opened)
}

fn told(error: ParserError, end: &str) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            too_much(format!("the text is nested more than {DEPTH} deep"))
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let end = format!("found: the end of the text{end}; texts are in quotes, like 'a%'");
            let text = text.replace("found: EOF", &end);
            Error::invalid(format!("the text cannot be read: {text}"))
        }
    }
}

fn ended(parser: &Parser<'_>) -> Result<()> {
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(()),
        _ => Err(Error::invalid(format!(
            "the text goes on with {}{}, where it should have ended",
            next.token,
            place(next.span)
        ))),
    }
}

/// Where something is, for a message; nothing if that is not known.
pub(super) fn place(span: Span) -> String {
    match span.start {
        Location { line: 0, .. } => String::new(),
        Location { line, column } => format!(" at {line}:{column}"),
    }
}

/// Puts what is in double quotes out of the way, as texts of the same length in single quotes, and
/// says what it was by where it begins. The public SDK writes such texts as JSON does; what is no
/// JSON is taken as it is, with a doubled quote for one.
fn texts_in_double_quotes(text: &str) -> Result<(String, HashMap<Location, String>)> {
    let mut masked = String::with_capacity(text.len());
    let mut texts = HashMap::new();
    let (mut line, mut column) = (1, 1);
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '`' => quoted(rest, first),
            '"' => in_double_quotes(rest).ok_or_else(|| {
                Error::invalid(format!("a text in double quotes has no end, at {line}:{column}"))
            })?,
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            other => other.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        if first == '"' {
            let next = after.chars().next().unwrap_or(' ');
            let touches =
                |it: char| it.is_alphanumeric() || matches!(it, '_' | '\'' | '`' | '"' | '&');
            if touches(before) || touches(next) {
                return Err(Error::invalid(format!(
                    "a text in double quotes stands alone, with a space before and behind it, at {line}:{column}"
                )));
            }
            let inside = &part[1..part.len() - 1];
            let value = serde_json::from_str(part).unwrap_or_else(|_| inside.replace("\"\"", "\""));
            texts.insert(Location { line, column }, value);
            masked.push('\'');
            masked.extend(inside.chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
            masked.push('\'');
        } else {
            masked.push_str(part);
        }
        for it in part.chars() {
            if it == '\n' {
                (line, column) = (line + 1, 1);
            } else {
                column += 1;
            }
            before = it;
        }
        rest = after;
    }
    Ok((masked, texts))
}

/// How long what is in quotes is at the beginning of a text; all of it if the quotes have no end.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |end| end + 2)
}

fn in_double_quotes(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}
