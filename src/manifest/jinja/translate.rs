//! A template in Jinja2's language becomes one whose every operator, attribute, subscript
//! and literal is a call of our own operations, so that Python's rules decide what each of
//! them does. What has no counterpart is an error that names it.
//!
//! Each statement stays on its line, so the places in the engine's errors fit the original.

use std::collections::HashSet;
use std::fmt::Write as _;

use minijinja::machinery::{Span, Token};
use minijinja::machinery::{ast, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind, Value};

use super::PREFIX;
use super::filters::{FILTERS, REFUSED};
use super::predicates::PREDICATES;
use super::value::{float_text, refuse};

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
        in_call_block: false,
        has_recursion: false,
    };
    translation.statements(&template.children)?;
    Ok(translation.out)
}

/// String literals may hold only those escapes that both languages read alike.
fn check_tokens(source: &str, syntax: &SyntaxConfig) -> Done {
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else { return Ok(()) };
        let at = |what: &str| {
            Err(Refusal { error: refuse(what), offset: Some(span.start_offset as usize) })
        };
        let raw = &source[span.start_offset as usize..span.end_offset as usize];
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
    Ok(())
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

struct Translation<'a> {
    source: &'a str,
    out: String,
    line: usize,
    starts: Vec<usize>,
    macros: Macros,
    /// Whether each loop around the current place is recursive.
    loops: Vec<bool>,
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
        self.open("{%", span);
        self.out.push_str("for ");
        let count = self.target(&inner.target)?;
        self.out.push_str(" in ");
        let operation = if count.is_some() { "unpack" } else { "iter" };
        if count.is_some() && inner.recursive {
            return self.refuse(span, "a recursive loop that unpacks its items");
        }
        self.operation(operation, &[&inner.iter])?;
        if let Some(filter) = &inner.filter_expr {
            self.out.push_str(" if ");
            // The condition cannot see the loop that it belongs to.
            self.loops.push(false);
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
        if inner.recursive {
            self.out.push_str(" recursive");
            self.has_recursion = true;
        }
        self.out.push_str(" %}");
        self.loops.push(inner.recursive);
        self.statements(&inner.body)?;
        self.loops.pop();
        if !inner.else_body.is_empty() {
            self.out.push_str("{% else %}");
            self.statements(&inner.else_body)?;
        }
        self.out.push_str("{% endfor %}");
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

    fn operation(&mut self, name: &str, operands: &[&ast::Expr<'_>]) -> Done {
        let _ = write!(self.out, "{PREFIX}{name}(");
        for (index, operand) in operands.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.expression(operand)?;
        }
        self.out.push(')');
        Ok(())
    }

    fn text_literal(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn constant(&mut self, value: &Value, span: Span) -> Done {
        if let Some(text) = value.as_str() {
            self.text_literal(text);
        } else if value.is_none() {
            self.out.push_str("none");
        } else if value.is_integer() {
            let _ = write!(self.out, "{value}");
        } else if value.is_number() {
            let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
            if !number.is_finite() {
                return self.refuse(span, "a number this large");
            }
            self.out.push_str(&float_text(number).replace("e+", "e"));
        } else {
            self.out.push_str(if value.is_true() { "true" } else { "false" });
        }
        Ok(())
    }

    fn items(&mut self, operation: &str, items: &[ast::Expr<'_>]) -> Done {
        let items: Vec<_> = items.iter().collect();
        self.operation(operation, &items)
    }

    fn optional(&mut self, bound: Option<&ast::Expr<'_>>) -> Done {
        self.out.push_str(", ");
        match bound {
            Some(bound) => self.expression(bound),
            None => {
                self.out.push_str("none");
                Ok(())
            }
        }
    }

    fn expression(&mut self, expression: &ast::Expr<'_>) -> Done {
        match expression {
            ast::Expr::Var(name) => {
                self.plain_name(name.id, name.span())?;
                self.out.push_str(name.id);
                Ok(())
            }
            ast::Expr::Const(constant) => self.constant(&constant.value, constant.span()),
            ast::Expr::List(list) => self.items("list", &list.items),
            ast::Expr::Tuple(tuple) => self.items("tuple", &tuple.items),
            ast::Expr::Map(map) => {
                let _ = write!(self.out, "{PREFIX}dict(");
                for (index, (key, value)) in map.keys.iter().zip(&map.values).enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.expression(key)?;
                    self.out.push_str(", ");
                    self.expression(value)?;
                }
                self.out.push(')');
                Ok(())
            }
            ast::Expr::Slice(slice) => {
                let _ = write!(self.out, "{PREFIX}slice(");
                self.expression(&slice.expr)?;
                self.optional(slice.start.as_ref())?;
                self.optional(slice.stop.as_ref())?;
                self.optional(slice.step.as_ref())?;
                self.out.push(')');
                Ok(())
            }
            ast::Expr::UnaryOp(unary) => match unary.op {
                ast::UnaryOpKind::Neg => self.operation("neg", &[&unary.expr]),
                ast::UnaryOpKind::Not => {
                    self.out.push_str("(not ");
                    self.expression(&unary.expr)?;
                    self.out.push(')');
                    Ok(())
                }
            },
            ast::Expr::BinOp(binary) => self.binary(binary),
            ast::Expr::Compare(chain) => self.chain(chain, chain.span()),
            ast::Expr::IfExpr(inner) => {
                self.out.push('(');
                self.expression(&inner.true_expr)?;
                self.out.push_str(" if ");
                self.expression(&inner.test_expr)?;
                if let Some(otherwise) = &inner.false_expr {
                    self.out.push_str(" else ");
                    self.expression(otherwise)?;
                }
                self.out.push(')');
                Ok(())
            }
            ast::Expr::Filter(filter) => {
                if REFUSED.contains(&filter.name) {
                    return self.refuse(filter.span(), format!("the filter `{}`", filter.name));
                }
                if !FILTERS.iter().any(|(known, _)| *known == filter.name) {
                    let error = Error::new(
                        ErrorKind::UnknownFilter,
                        format!("there is no filter `{}`", filter.name),
                    );
                    let offset = Some(filter.span().start_offset as usize);
                    return Err(Refusal { error, offset });
                }
                if let Some(expression) = &filter.expr {
                    // A filter chain of a block starts without an expression.
                    let chained =
                        matches!(expression, ast::Expr::Filter(inner) if starts_open(inner));
                    if chained {
                        self.expression(expression)?;
                    } else {
                        self.out.push('(');
                        self.expression(expression)?;
                        self.out.push(')');
                    }
                    self.out.push('|');
                }
                self.out.push_str(filter.name);
                self.arguments(&filter.args, filter.span(), false)
            }
            ast::Expr::Test(test) => {
                if !PREDICATES.iter().any(|(known, _)| *known == test.name) {
                    let error = Error::new(
                        ErrorKind::UnknownTest,
                        format!("there is no test `{}`", test.name),
                    );
                    let offset = Some(test.span().start_offset as usize);
                    return Err(Refusal { error, offset });
                }
                // Jinja2 takes a sign after the name of a test for an operator.
                if let [ast::CallArg::Pos(ast::Expr::UnaryOp(argument))] = &test.args[..]
                    && !self.source[..argument.span().start_offset as usize]
                        .trim_end()
                        .ends_with('(')
                {
                    return self.refuse(test.span(), "a sign after the name of a test");
                }
                let tested = match &test.expr {
                    ast::Expr::UnaryOp(unary) => &unary.expr,
                    expression => expression,
                };
                if matches!(tested, ast::Expr::Test(_)) {
                    return self.refuse(test.span(), "a test of the result of a test");
                }
                self.out.push_str("((");
                self.expression(&test.expr)?;
                let _ = write!(self.out, ") is {}", test.name);
                self.arguments(&test.args, test.span(), false)?;
                self.out.push(')');
                Ok(())
            }
            ast::Expr::GetAttr(attribute) => {
                if let ast::Expr::Var(name) = &attribute.expr
                    && name.id == "loop"
                    && !self.loops.is_empty()
                {
                    return self.loop_attribute(attribute.name, attribute.span());
                }
                let _ = write!(self.out, "{PREFIX}attr(");
                self.expression(&attribute.expr)?;
                self.out.push_str(", ");
                self.text_literal(attribute.name);
                self.out.push(')');
                Ok(())
            }
            ast::Expr::GetItem(item) => self.operation("item", &[&item.expr, &item.subscript_expr]),
            ast::Expr::Call(call) => self.call(call, call.span()),
        }
    }

    /// A name in an expression is neither a keyword, which the engine lets through where an
    /// operand is due, nor random text.
    fn plain_name(&self, name: &str, span: Span) -> Done {
        match name {
            "lipsum" | "not" | "and" | "or" | "if" | "else" | "in" | "is" | "elif" => {
                self.refuse(span, format!("`{name}` in such a place"))
            }
            _ => Ok(()),
        }
    }

    /// The body of a block that is captured: what is set inside stays inside.
    fn scoped(&mut self, statements: &[ast::Stmt<'_>]) -> Done {
        self.out.push_str("{% with %}");
        self.statements(statements)?;
        self.out.push_str("{% endwith %}");
        Ok(())
    }

    fn loop_attribute(&mut self, name: &str, span: Span) -> Done {
        if !OF_LOOP.contains(&name) {
            return self.refuse(span, format!("`loop.{name}`"));
        }
        // The engines count depth differently where plain loops meet recursive ones.
        let plain = self.loops.last() == Some(&false);
        if name.starts_with("depth") && plain && self.has_recursion {
            return self.refuse(span, "`loop.depth` of a plain loop beside a recursive one");
        }
        if name.starts_with("depth") && plain {
            self.out.push_str(if name == "depth" { "1" } else { "0" });
            return Ok(());
        }
        let _ = write!(self.out, "loop.{name}");
        Ok(())
    }

    fn binary(&mut self, binary: &ast::BinOp<'_>) -> Done {
        let name = match binary.op {
            ast::BinOpKind::Eq => "eq",
            ast::BinOpKind::Ne => "ne",
            ast::BinOpKind::Lt => "lt",
            ast::BinOpKind::Lte => "le",
            ast::BinOpKind::Gt => "gt",
            ast::BinOpKind::Gte => "ge",
            ast::BinOpKind::Add => "add",
            ast::BinOpKind::Sub => "sub",
            ast::BinOpKind::Mul => "mul",
            ast::BinOpKind::Div => "div",
            ast::BinOpKind::FloorDiv => "floordiv",
            ast::BinOpKind::Rem => "rem",
            ast::BinOpKind::Pow => "pow",
            ast::BinOpKind::Concat => "cat",
            ast::BinOpKind::In => "in",
            ast::BinOpKind::ScAnd | ast::BinOpKind::ScOr => {
                self.out.push('(');
                self.expression(&binary.left)?;
                let and = matches!(binary.op, ast::BinOpKind::ScAnd);
                self.out.push_str(if and { " and " } else { " or " });
                self.expression(&binary.right)?;
                self.out.push(')');
                return Ok(());
            }
        };
        self.operation(name, &[&binary.left, &binary.right])
    }

    /// `a < b < c`: what stands in the middle is written twice, so it must be free of calls.
    fn chain(&mut self, chain: &ast::Compare<'_>, span: Span) -> Done {
        self.out.push('(');
        let mut left = &chain.expr;
        for (index, part) in chain.ops.iter().enumerate() {
            if index > 0 {
                if !matches!(left, ast::Expr::Var(_) | ast::Expr::Const(_)) {
                    return self.refuse(span, "a chain of comparisons around an expression");
                }
                self.out.push_str(" and ");
            }
            let (name, negated) = match part.op {
                ast::CompareOpKind::Eq => ("eq", false),
                ast::CompareOpKind::Ne => ("ne", false),
                ast::CompareOpKind::Lt => ("lt", false),
                ast::CompareOpKind::Lte => ("le", false),
                ast::CompareOpKind::Gt => ("gt", false),
                ast::CompareOpKind::Gte => ("ge", false),
                ast::CompareOpKind::In => ("in", false),
                ast::CompareOpKind::NotIn => ("in", true),
            };
            if negated {
                self.out.push_str("(not ");
            }
            self.operation(name, &[left, &part.expr])?;
            if negated {
                self.out.push(')');
            }
            left = &part.expr;
        }
        self.out.push(')');
        Ok(())
    }

    fn call(&mut self, call: &ast::Call<'_>, span: Span) -> Done {
        match &call.expr {
            ast::Expr::Var(name) if name.id == "loop" && !self.loops.is_empty() => {
                if self.loops.last() != Some(&true) {
                    return self.refuse(span, "a call of `loop` outside of a recursive loop");
                }
                match &call.args[..] {
                    [ast::CallArg::Pos(items)] => {
                        self.out.push_str("loop(");
                        self.operation("iter", &[items])?;
                        self.out.push(')');
                        Ok(())
                    }
                    _ => self.refuse(span, "a call of `loop` with other than one argument"),
                }
            }
            ast::Expr::Var(name) => {
                self.plain_name(name.id, name.span())?;
                self.out.push_str(name.id);
                if name.id == "namespace" {
                    let positional = call
                        .args
                        .iter()
                        .any(|argument| !matches!(argument, ast::CallArg::Kwarg(..)));
                    if positional {
                        return self.refuse(span, "`namespace` of another value");
                    }
                    return self.wrapped_arguments(&call.args, span, Some("plain"));
                }
                let checked = self.macros.with_defaults.contains(name.id).then_some("given");
                self.wrapped_arguments(&call.args, span, checked)
            }
            ast::Expr::GetAttr(attribute) => {
                if let ast::Expr::Var(name) = &attribute.expr
                    && name.id == "loop"
                    && !self.loops.is_empty()
                {
                    if !["cycle", "changed"].contains(&attribute.name) || call.args.is_empty() {
                        return self.refuse(span, format!("`loop.{}(...)`", attribute.name));
                    }
                    if attribute.name == "changed" {
                        return self.refuse(span, "`loop.changed`");
                    }
                    let _ = write!(self.out, "loop.{}", attribute.name);
                    return self.arguments(&call.args, span, true);
                }
                let _ = write!(self.out, "{PREFIX}method(");
                self.expression(&attribute.expr)?;
                self.out.push_str(", ");
                self.text_literal(attribute.name);
                for argument in &call.args {
                    self.out.push_str(", ");
                    self.argument(argument, span, None)?;
                }
                self.out.push(')');
                Ok(())
            }
            _ => self.refuse(span, "a call of anything but a name or a method"),
        }
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>], span: Span, always: bool) -> Done {
        if arguments.is_empty() && !always {
            return Ok(());
        }
        self.wrapped_arguments(arguments, span, None)
    }

    fn wrapped_arguments(
        &mut self,
        arguments: &[ast::CallArg<'_>],
        span: Span,
        operation: Option<&str>,
    ) -> Done {
        self.out.push('(');
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.argument(argument, span, operation)?;
        }
        self.out.push(')');
        Ok(())
    }

    fn argument(
        &mut self,
        argument: &ast::CallArg<'_>,
        span: Span,
        operation: Option<&str>,
    ) -> Done {
        let value = match argument {
            ast::CallArg::Pos(value) => value,
            ast::CallArg::Kwarg(name, value) => {
                let _ = write!(self.out, "{name}=");
                value
            }
            ast::CallArg::PosSplat(_) | ast::CallArg::KwargSplat(_) => {
                return self.refuse(span, "`*` and `**` in a call");
            }
        };
        match operation {
            Some(operation) => self.operation(operation, &[value]),
            None => self.expression(value),
        }
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
