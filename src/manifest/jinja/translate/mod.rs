//! A template in Jinja2's language becomes one whose every operator, attribute, subscript
//! and literal is a call of our own operations, so that Python's rules decide what each of
//! them does. What has no counterpart is an error that names it.
//!
//! Each statement stays on its line, so the places in the engine's errors fit the original.
//! Statements are translated here, what stands in them in `expressions`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use minijinja::machinery::{Span, Token};
use minijinja::machinery::{ast, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

mod expressions;
mod unlike;

pub(super) use unlike::check_unlike;

use super::PREFIX;
use super::value::{fail, refuse};
use crate::manifest::tokens::{self, TooLong};

/// An error of the translation and the byte offset in the normalized text where it lies.
pub(super) struct Refusal {
    pub(super) error: Error,
    pub(super) offset: Option<usize>,
}

impl From<std::fmt::Error> for Refusal {
    fn from(_: std::fmt::Error) -> Self {
        Self { error: Error::from(ErrorKind::WriteFailure), offset: None }
    }
}

type Done = Result<(), Refusal>;

/// Attributes of `loop`, all of which both engines know.
const OF_LOOP: &[&str] = &[
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
];

/// Translates a template whose line ends are normalized.
pub(super) fn translate(source: &str) -> Result<String, Refusal> {
    // The one line feed that Jinja2 drops is gone already.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    let syntax = syntax.map_err(|error| Refusal { error, offset: None })?;
    tokens::check(source, &syntax).map_err(|TooLong { message, offset }| Refusal {
        error: fail(message),
        offset: Some(offset),
    })?;
    check_tokens(source, &syntax)?;
    let tree = parse(source, "template", syntax).map_err(|error| {
        let offset = error.range().map(|range| range.start);
        Refusal { error, offset }
    })?;
    let ast::Stmt::Template(template) = &tree else {
        return Err(Refusal { error: refuse("such a template"), offset: None });
    };
    let mut macros = Macros::default();
    macros.collect(&template.children);
    let mut translation = Translation {
        source,
        out: String::with_capacity(source.len() * 2),
        line: 1,
        starts: source.match_indices('\n').map(|(at, _)| at + 1).collect(),
        macros,
        loops: Vec::new(),
        loop_macros: 0,
        in_call_block: false,
        has_recursion: false,
    };
    translation.statements(&template.children)?;
    Ok(translation.out)
}

/// String literals may hold only those escapes that both languages read alike.
fn check_tokens(source: &str, syntax: &SyntaxConfig) -> Done {
    let mut end = 0;
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else { return Ok(()) };
        let at = |what: &str| {
            Err(Refusal { error: refuse(what), offset: Some(span.start_offset as usize) })
        };
        let raw = &source[span.start_offset as usize..span.end_offset as usize];
        check_raw_tags(source, end..span.start_offset as usize)?;
        end = span.end_offset as usize;
        match token {
            Token::String(_) => {
                let mut characters = raw.chars();
                while let Some(character) = characters.next() {
                    if character == '\\'
                        && !characters.next().is_some_and(|next| "\\nrt'\"".contains(next))
                    {
                        return at("an escape other than \\\\, \\n, \\r, \\t, \\' and \\\"");
                    }
                }
            }
            Token::Int(_) | Token::Int128(_)
                if raw.len() > 1 && raw.starts_with('0') && !raw.starts_with("0x") =>
            {
                return at("a number with a leading zero");
            }
            Token::Ident(name) if name.starts_with(PREFIX) => {
                return at("a name that starts with the prefix reserved for the translation");
            }
            Token::Ident("self" | "super" | "varargs" | "kwargs") => {
                return at(raw);
            }
            _ => {}
        }
    }
    check_raw_tags(source, end..source.len())
}

/// Refuses tags that the engine takes for `raw`, and Jinja2 for an unknown tag. They and their
/// likes are no tokens, so they stand between two of them.
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
        Some(tag) => Err(Refusal {
            error: refuse("a `raw` whose tag ends in `+%}`"),
            offset: Some(between.start + tag),
        }),
    }
}

/// What is known about the macros of a template before it is translated.
#[derive(Default)]
struct Macros {
    with_defaults: HashSet<String>,
}

impl Macros {
    fn collect(&mut self, statements: &[ast::Stmt<'_>]) {
        for statement in statements {
            match statement {
                ast::Stmt::Macro(declared) => {
                    if !declared.defaults.is_empty() {
                        self.with_defaults.insert(declared.name.to_owned());
                    }
                    self.collect(&declared.body);
                }
                ast::Stmt::CallBlock(block) => {
                    if !block.macro_decl.defaults.is_empty() {
                        self.with_defaults.insert("caller".to_owned());
                    }
                    self.collect(&block.macro_decl.body);
                }
                ast::Stmt::ForLoop(inner) => {
                    self.collect(&inner.body);
                    self.collect(&inner.else_body);
                }
                ast::Stmt::IfCond(inner) => {
                    self.collect(&inner.true_body);
                    self.collect(&inner.false_body);
                }
                ast::Stmt::WithBlock(inner) => self.collect(&inner.body),
                ast::Stmt::SetBlock(inner) => self.collect(&inner.body),
                ast::Stmt::FilterBlock(inner) => self.collect(&inner.body),
                _ => {}
            }
        }
    }
}

/// How a loop is gone through again for what is below its items.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Loop {
    /// It is not.
    Plain,
    /// By calling `loop`.
    Recursive,
    /// By calling this macro, because the engine's own `loop` forgets the condition.
    Macro(String),
}

struct Translation<'a> {
    source: &'a str,
    out: String,
    line: usize,
    starts: Vec<usize>,
    macros: Macros,
    /// The loops around the current place.
    loops: Vec<Loop>,
    /// How many loops became macros.
    loop_macros: usize,
    in_call_block: bool,
    has_recursion: bool,
}

impl Translation<'_> {
    fn refuse<T>(&self, span: Span, what: impl std::fmt::Display) -> Result<T, Refusal> {
        Err(Refusal { error: refuse(what), offset: Some(span.start_offset as usize) })
    }

    /// Opens a tag on the line where it stands in the original.
    fn open(&mut self, tag: &str, span: Span) {
        self.out.push_str(tag);
        let line = 1 + self.starts.partition_point(|start| *start <= span.start_offset as usize);
        while self.line < line {
            self.out.push('\n');
            self.line += 1;
        }
        self.out.push(' ');
    }

    fn statements(&mut self, statements: &[ast::Stmt<'_>]) -> Done {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) -> Done {
        match statement {
            ast::Stmt::Template(inner) => self.refuse(inner.span(), "a nested template"),
            ast::Stmt::EmitRaw(raw) => {
                self.out.push_str("{{ ");
                self.text_literal(raw.raw);
                self.out.push_str(" }}");
                Ok(())
            }
            ast::Stmt::EmitExpr(emitted) => {
                self.open("{{", emitted.span());
                self.expression(&emitted.expr)?;
                self.out.push_str(" }}");
                Ok(())
            }
            ast::Stmt::ForLoop(inner) => self.for_loop(inner, inner.span()),
            ast::Stmt::IfCond(inner) => {
                self.open("{%", inner.span());
                self.out.push_str("if ");
                self.expression(&inner.expr)?;
                self.out.push_str(" %}");
                self.statements(&inner.true_body)?;
                if !inner.false_body.is_empty() {
                    self.out.push_str("{% else %}");
                    self.statements(&inner.false_body)?;
                }
                self.out.push_str("{% endif %}");
                Ok(())
            }
            ast::Stmt::WithBlock(inner) => self.with_block(inner, inner.span()),
            ast::Stmt::Set(inner) => {
                self.open("{%", inner.span());
                self.out.push_str("set ");
                let count = self.target(&inner.target)?;
                self.out.push_str(" = ");
                let wrap = match (&inner.target, count) {
                    (ast::Expr::GetAttr(_), _) => Some("plain"),
                    (_, Some(_)) => Some("single"),
                    _ => None,
                };
                match wrap {
                    Some(operation) => self.operation(operation, &[&inner.expr])?,
                    None => self.expression(&inner.expr)?,
                }
                self.out.push_str(" %}");
                Ok(())
            }
            ast::Stmt::SetBlock(inner) => {
                if !matches!(inner.target, ast::Expr::Var(_) | ast::Expr::GetAttr(_)) {
                    return self.refuse(inner.span(), "a block assigned to several names");
                }
                self.open("{%", inner.span());
                self.out.push_str("set ");
                self.target(&inner.target)?;
                if let Some(filter) = &inner.filter {
                    self.out.push_str(" | ");
                    self.expression(filter)?;
                }
                self.out.push_str(" %}");
                self.scoped(&inner.body)?;
                self.out.push_str("{% endset %}");
                Ok(())
            }
            ast::Stmt::FilterBlock(inner) => {
                self.open("{%", inner.span());
                self.out.push_str("filter ");
                self.expression(&inner.filter)?;
                self.out.push_str(" %}");
                self.scoped(&inner.body)?;
                self.out.push_str("{% endfilter %}");
                Ok(())
            }
            ast::Stmt::Macro(declared) => {
                self.open("{%", declared.span());
                let _ = write!(self.out, "macro {}", declared.name);
                self.signature(declared)?;
                self.out.push_str(" %}");
                let loops = std::mem::take(&mut self.loops);
                self.statements(&declared.body)?;
                self.loops = loops;
                self.out.push_str("{% endmacro %}");
                Ok(())
            }
            ast::Stmt::CallBlock(inner) => {
                self.open("{%", inner.span());
                self.out.push_str("call");
                if !inner.macro_decl.args.is_empty() {
                    self.signature(&inner.macro_decl)?;
                }
                self.out.push(' ');
                if !matches!(&inner.call.expr, ast::Expr::Var(_)) {
                    return self.refuse(inner.span(), "a call block of anything but a macro");
                }
                self.call(&inner.call, inner.span())?;
                self.out.push_str(" %}");
                let loops = std::mem::take(&mut self.loops);
                let outer = std::mem::replace(&mut self.in_call_block, true);
                self.statements(&inner.macro_decl.body)?;
                self.in_call_block = outer;
                self.loops = loops;
                self.out.push_str("{% endcall %}");
                Ok(())
            }
            ast::Stmt::AutoEscape(inner) => self.refuse(inner.span(), "`autoescape`"),
            ast::Stmt::Block(inner) => self.refuse(inner.span(), "`block`"),
            ast::Stmt::Import(inner) => self.refuse(inner.span(), "`import`"),
            ast::Stmt::FromImport(inner) => self.refuse(inner.span(), "`from ... import`"),
            ast::Stmt::Extends(inner) => self.refuse(inner.span(), "`extends`"),
            ast::Stmt::Include(inner) => self.refuse(inner.span(), "`include`"),
            ast::Stmt::Continue(inner) => self.refuse(inner.span(), "`continue`"),
            ast::Stmt::Break(inner) => self.refuse(inner.span(), "`break`"),
            ast::Stmt::Do(inner) => self.refuse(inner.span(), "`do`"),
        }
    }

    fn for_loop(&mut self, inner: &ast::ForLoop<'_>, span: Span) -> Done {
        let kind = match (inner.recursive, &inner.filter_expr) {
            (false, _) => Loop::Plain,
            (true, None) => Loop::Recursive,
            (true, Some(_)) => {
                self.loop_macros += 1;
                Loop::Macro(format!("{PREFIX}loop_{}", self.loop_macros))
            }
        };
        self.open("{%", span);
        if let Loop::Macro(name) = &kind {
            let _ = write!(self.out, "macro {name}({PREFIX}items) %}}{{% ");
        }
        self.out.push_str("for ");
        let count = self.target(&inner.target)?;
        self.out.push_str(" in ");
        let operation = if count.is_some() { "unpack" } else { "iter" };
        if count.is_some() && inner.recursive {
            return self.refuse(span, "a recursive loop that unpacks its items");
        }
        match &kind {
            Loop::Macro(_) => drop(write!(self.out, "{PREFIX}items")),
            Loop::Plain | Loop::Recursive => self.operation(operation, &[&inner.iter])?,
        }
        if let Some(filter) = &inner.filter_expr {
            self.out.push_str(" if ");
            // The condition cannot see the loop that it belongs to.
            self.loops.push(Loop::Plain);
            let before = self.out.len();
            self.expression(filter)?;
            let uses_loop = self.out[before..]
                .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                .any(|word| word == "loop");
            if uses_loop {
                return self.refuse(filter.span(), "`loop` in the condition of a loop");
            }
            self.loops.pop();
        }
        if kind == Loop::Recursive {
            self.out.push_str(" recursive");
        }
        self.has_recursion |= inner.recursive;
        self.out.push_str(" %}");
        self.loops.push(kind.clone());
        self.statements(&inner.body)?;
        self.loops.pop();
        if !inner.else_body.is_empty() {
            self.out.push_str("{% else %}");
            self.statements(&inner.else_body)?;
        }
        self.out.push_str("{% endfor %}");
        if let Loop::Macro(name) = kind {
            let _ = write!(self.out, "{{% endmacro %}}{{{{ {name}(");
            self.operation(operation, &[&inner.iter])?;
            self.out.push_str(") }}");
        }
        Ok(())
    }

    fn with_block(&mut self, inner: &ast::WithBlock<'_>, span: Span) -> Done {
        self.open("{%", span);
        self.out.push_str("with ");
        let mut names: Vec<&str> = Vec::new();
        for (index, (target, value)) in inner.assignments.iter().enumerate() {
            let ast::Expr::Var(name) = target else {
                return self.refuse(span, "a `with` that unpacks");
            };
            if index > 0 {
                self.out.push_str(", ");
            }
            let _ = write!(self.out, "{} = ", name.id);
            let before = self.out.len();
            self.expression(value)?;
            // Jinja2 takes every value from outside of the block.
            let sees_earlier = self.out[before..]
                .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                .any(|word| names.contains(&word));
            if sees_earlier {
                return self.refuse(span, "a `with` whose values refer to its own names");
            }
            names.push(name.id);
        }
        self.out.push_str(" %}");
        self.statements(&inner.body)?;
        self.out.push_str("{% endwith %}");
        Ok(())
    }

    /// Writes what is assigned to; gives the number of names when it unpacks.
    fn target(&mut self, target: &ast::Expr<'_>) -> Result<Option<usize>, Refusal> {
        match target {
            ast::Expr::Var(name) => {
                if ["loop", "caller", "range", "dict", "cycler", "joiner", "namespace", "lipsum"]
                    .contains(&name.id)
                {
                    return self.refuse(name.span(), format!("assigning to `{}`", name.id));
                }
                self.out.push_str(name.id);
                Ok(None)
            }
            ast::Expr::GetAttr(attribute) => match &attribute.expr {
                ast::Expr::Var(name) => {
                    let _ = write!(self.out, "{}.{}", name.id, attribute.name);
                    Ok(None)
                }
                _ => self.refuse(attribute.span(), "assigning to a nested attribute"),
            },
            ast::Expr::List(list) => {
                for (index, item) in list.items.iter().enumerate() {
                    if !matches!(item, ast::Expr::Var(_)) {
                        return self.refuse(list.span(), "unpacking into anything but names");
                    }
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.target(item)?;
                }
                if list.items.len() < 2 {
                    return self.refuse(list.span(), "unpacking into fewer than two names");
                }
                Ok(Some(list.items.len()))
            }
            _ => self.refuse(target.span(), "assigning to such an expression"),
        }
    }

    fn signature(&mut self, declared: &ast::Macro<'_>) -> Done {
        self.out.push('(');
        let plain = declared.args.len() - declared.defaults.len();
        for (index, argument) in declared.args.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.target(argument)?;
            if let Some(default) = index.checked_sub(plain).map(|at| &declared.defaults[at]) {
                if !matches!(default, ast::Expr::Const(_)) {
                    return self.refuse(default.span(), "a default that is no constant");
                }
                self.out.push('=');
                self.expression(default)?;
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// The body of a block that is captured: what is set inside stays inside.
    fn scoped(&mut self, statements: &[ast::Stmt<'_>]) -> Done {
        self.out.push_str("{% with %}");
        self.statements(statements)?;
        self.out.push_str("{% endwith %}");
        Ok(())
    }
}

/// Whether a filter chain starts with the text of a block rather than an expression.
fn starts_open(filter: &ast::Filter<'_>) -> bool {
    match &filter.expr {
        None => true,
        Some(ast::Expr::Filter(inner)) => starts_open(inner),
        Some(_) => false,
    }
}
