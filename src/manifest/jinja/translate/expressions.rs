//! Expressions: operators, attributes, subscripts, literals, filters, tests and calls.

use std::fmt::Write as _;

use minijinja::machinery::{Span, ast};
use minijinja::{Error, ErrorKind, Value};

use super::{Done, Loop, OF_LOOP, Refusal, Translation, starts_open};
use crate::manifest::jinja::PREFIX;
use crate::manifest::jinja::filters::{FILTERS, REFUSED};
use crate::manifest::jinja::predicates::PREDICATES;
use crate::manifest::jinja::value::float_text;

impl Translation<'_> {
    pub(super) fn operation(&mut self, name: &str, operands: &[&ast::Expr<'_>]) -> Done {
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

    pub(super) fn text_literal(&mut self, text: &str) {
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

    pub(super) fn expression(&mut self, expression: &ast::Expr<'_>) -> Done {
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

    fn loop_attribute(&mut self, name: &str, span: Span) -> Done {
        if !OF_LOOP.contains(&name) {
            return self.refuse(span, format!("`loop.{name}`"));
        }
        // The engines count depth differently where plain loops meet recursive ones.
        let plain = self.loops.last() == Some(&Loop::Plain);
        if name.starts_with("depth") && matches!(self.loops.last(), Some(Loop::Macro(_))) {
            return self.refuse(span, "`loop.depth` of a recursive loop with a condition");
        }
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

    pub(super) fn call(&mut self, call: &ast::Call<'_>, span: Span) -> Done {
        match &call.expr {
            ast::Expr::Var(name) if name.id == "loop" && !self.loops.is_empty() => {
                let again = match self.loops.last() {
                    Some(Loop::Recursive) => "loop".to_owned(),
                    Some(Loop::Macro(name)) => name.clone(),
                    Some(Loop::Plain) | None => {
                        return self.refuse(span, "a call of `loop` outside of a recursive loop");
                    }
                };
                match &call.args[..] {
                    [ast::CallArg::Pos(items)] => {
                        self.out.push_str(&again);
                        self.out.push('(');
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
