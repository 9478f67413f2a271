//! Statements, as Jinja2's own parser reads them.

use std::rc::Rc;

use super::lexer::Token;
use super::{Block, Body, Expression, For, IMPLICIT, Macro, Name, Node, Statement, Target};
use crate::error::{Failure, Outcome, fail, refuse};

/// The deepest nesting of statements: each of them is a level of indentation or two of the
/// program that Jinja2 makes, and Python takes 100.
const MAX_BLOCKS: usize = 45;

/// The most nested loops: Python allows 20 in one function.
const MAX_LOOPS: usize = 20;

/// The most branches of an `if`.
const MAX_BRANCHES: usize = 500;

/// Statements of Jinja2 that need more than one template, or change how all is written.
const REFUSED: [&str; 6] = ["autoescape", "block", "extends", "from", "import", "include"];

/// Which of [`IMPLICIT`] a macro uses so far, and which of them are a parameter of a macro inside
/// it: Jinja2 takes later uses of those for that parameter.
#[derive(Default)]
struct Implicit {
    used: [bool; 3],
    declared: [bool; 3],
}

pub(super) struct Parser<'t> {
    tokens: Vec<(Token<'t>, usize)>,
    next: usize,
    /// How many statements, loops of one function, and brackets are open.
    blocks: usize,
    loops: usize,
    pub(super) brackets: usize,
    implicit: Implicit,
    /// Filters and tests that do not exist. Jinja2 reports them when it runs the branch that a
    /// condition chooses, and otherwise before it runs anything.
    pub(super) unknown: Vec<(String, usize)>,
}

impl<'t> Parser<'t> {
    pub(super) fn new(tokens: Vec<(Token<'t>, usize)>) -> Self {
        Self {
            tokens,
            next: 0,
            blocks: 0,
            loops: 0,
            brackets: 0,
            implicit: Implicit::default(),
            unknown: Vec::new(),
        }
    }

    pub(super) fn template(mut self) -> Outcome<Block> {
        let statements = self.chosen(|parser| parser.body(&[]))?;
        Ok(Block { statements, ..Block::default() })
    }

    pub(super) fn token(&self) -> &Token<'t> {
        &self.tokens[self.next].0
    }

    pub(super) fn following(&self) -> &Token<'t> {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].0
    }

    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].1
    }

    pub(super) fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    /// Takes a token if it is this one.
    pub(super) fn skip(&mut self, token: &Token<'_>) -> bool {
        let is_there = self.token() == token;
        if is_there {
            self.advance();
        }
        is_there
    }

    pub(super) fn skip_sign(&mut self, sign: &'static str) -> bool {
        self.skip(&Token::Sign(sign))
    }

    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        self.skip(&Token::Name(word))
    }

    pub(super) fn is_sign(&self, sign: &'static str) -> bool {
        *self.token() == Token::Sign(sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        *self.token() == Token::Name(word)
    }

    pub(super) fn expect(&mut self, token: &Token<'_>) -> Outcome<()> {
        if self.skip(token) {
            return Ok(());
        }
        Err(self.unexpected(&format!(", expected {}", described(token))))
    }

    pub(super) fn expect_sign(&mut self, sign: &'static str) -> Outcome<()> {
        self.expect(&Token::Sign(sign))
    }

    pub(super) fn unexpected(&self, expected: &str) -> Failure {
        fail(format!("unexpected {}{expected}", described(self.token()))).at(self.at())
    }

    pub(super) fn name(&mut self) -> Outcome<Name> {
        let Token::Name(name) = *self.token() else {
            return Err(self.unexpected(", expected a name"));
        };
        self.advance();
        Ok(name.into())
    }

    /// Takes note of a name that a macro has without declaring it.
    pub(super) fn mention(&mut self, name: &str) {
        if let Some(index) = IMPLICIT.iter().position(|implicit| *implicit == name) {
            self.implicit.used[index] |= !self.implicit.declared[index];
        }
    }

    /// What Jinja2 runs only where a condition says so: what is unknown in it may stay so.
    fn conditional<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let before = self.unknown.len();
        let parsed = parse(self)?;
        self.unknown.truncate(before);
        Ok(parsed)
    }

    /// What is run in a scope of its own: what is unknown in it is missed at once.
    fn chosen<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let before = self.unknown.len();
        let parsed = parse(self)?;
        match self.unknown.drain(before..).next() {
            Some((message, at)) => Err(fail(message).at(at)),
            None => Ok(parsed),
        }
    }

    /// Statements up to a tag that begins with one of these words, which is next then.
    fn body(&mut self, ends: &[&str]) -> Outcome<Body> {
        let mut body = Vec::new();
        loop {
            match *self.token() {
                Token::Data(text) => {
                    body.push(Statement::Text(text.into()));
                    self.advance();
                }
                Token::VariableBegin => {
                    self.advance();
                    body.push(Statement::Output(self.tuple(true, false)?));
                    self.expect(&Token::VariableEnd)?;
                }
                Token::BlockBegin => {
                    self.advance();
                    if ends.iter().any(|end| self.is_word(end)) {
                        return Ok(body);
                    }
                    self.blocks += 1;
                    if self.blocks > MAX_BLOCKS {
                        let what = format!("more than {MAX_BLOCKS} nested blocks");
                        return Err(refuse(what).at(self.at()));
                    }
                    self.statement(&mut body)?;
                    self.blocks -= 1;
                    self.expect(&Token::BlockEnd)?;
                }
                Token::End if ends.is_empty() => return Ok(body),
                _ => return Err(self.unexpected("")),
            }
        }
    }

    /// The rest of a tag, and statements up to the next tag that begins with one of these words.
    fn statements(&mut self, ends: &[&str]) -> Outcome<Body> {
        // As in Python.
        self.skip_sign(":");
        self.expect(&Token::BlockEnd)?;
        self.body(ends)
    }

    /// The same up to one word, which is read, too.
    fn block(&mut self, end: &str) -> Outcome<Block> {
        let statements = self.statements(&[end])?;
        self.advance();
        Ok(Block { statements, ..Block::default() })
    }

    fn statement(&mut self, body: &mut Body) -> Outcome<()> {
        let at = self.at();
        let name = self.name()?;
        body.push(match &*name {
            "for" => self.for_loop()?,
            "if" => self.conditional(Self::choice)?,
            "set" => self.set()?,
            "with" => self.with()?,
            "filter" => self.chosen(|parser| {
                Ok(Statement::Filter(parser.filters_of_block()?, parser.block("endfilter")?))
            })?,
            "macro" => {
                let name = self.parameter()?;
                Statement::Macro(Rc::new(self.procedure(Some(name), "endmacro")?))
            }
            "call" => self.call_block(at)?,
            "print" => {
                let begin = body.len();
                while *self.token() != Token::BlockEnd {
                    if body.len() > begin {
                        self.expect_sign(",")?;
                    }
                    body.push(Statement::Output(self.expression()?));
                }
                return Ok(());
            }
            name if REFUSED.contains(&name) => return Err(refuse(format!("`{name}`")).at(at)),
            name => return Err(fail(format!("unknown tag `{name}`")).at(at)),
        });
        Ok(())
    }

    fn for_loop(&mut self) -> Outcome<Statement> {
        let at = self.at();
        let target = self.target(false)?;
        self.expect(&Token::Name("in"))?;
        let items = self.tuple(false, false)?;
        let before = self.loops;
        let parsed = self.chosen(|parser| {
            let condition = match parser.skip_word("if") {
                true => Some(parser.expression()?),
                false => None,
            };
            let is_recursive = parser.skip_word("recursive");
            parser.loops = if is_recursive { 1 } else { before + 1 };
            if parser.loops > MAX_LOOPS {
                return Err(refuse(format!("more than {MAX_LOOPS} nested loops")).at(at));
            }
            let statements = parser.statements(&["endfor", "else"])?;
            let body = Block { statements, ..Block::default() };
            parser.loops = before;
            let otherwise = match parser.skip_word("else") {
                true => parser.block("endfor")?,
                false => {
                    parser.advance();
                    Block::default()
                }
            };
            Ok(For { target, items, condition, is_recursive, body, otherwise })
        })?;
        Ok(Statement::For(Rc::new(parsed)))
    }

    fn choice(&mut self) -> Outcome<Statement> {
        let at = self.at();
        let mut branches = Vec::new();
        loop {
            let condition = self.tuple(false, false)?;
            branches.push((condition, self.statements(&["elif", "else", "endif"])?));
            if branches.len() > MAX_BRANCHES {
                return Err(refuse(format!("more than {MAX_BRANCHES} `elif` of an `if`")).at(at));
            }
            if self.skip_word("else") {
                return Ok(Statement::If(branches, self.block("endif")?.statements));
            }
            if !self.skip_word("elif") {
                self.advance();
                return Ok(Statement::If(branches, Vec::new()));
            }
        }
    }

    fn set(&mut self) -> Outcome<Statement> {
        let target = self.target(true)?;
        if self.skip_sign("=") {
            return Ok(Statement::Set(target, self.tuple(true, false)?));
        }
        self.chosen(|parser| {
            let filter = match parser.skip_sign("|") {
                true => Some(parser.filters_of_set()?),
                false => None,
            };
            Ok(Statement::SetBlock(target, filter, parser.block("endset")?))
        })
    }

    /// Jinja2 knows only those names in the filters that are used elsewhere as well.
    fn filters_of_set(&mut self) -> Outcome<Expression> {
        fn has_name(expression: &Expression) -> bool {
            matches!(expression.node, Node::Name(_)) || expression.node.parts().any(has_name)
        }
        let at = self.at();
        let filters = self.filters_of_block()?;
        match has_name(&filters) {
            true => Err(refuse("a name in the filters of a `set` block").at(at)),
            false => Ok(filters),
        }
    }

    fn with(&mut self) -> Outcome<Statement> {
        let mut assigned = Vec::new();
        while *self.token() != Token::BlockEnd {
            if !assigned.is_empty() {
                self.expect_sign(",")?;
            }
            let target = self.target(false)?;
            self.expect_sign("=")?;
            assigned.push((target, self.expression()?));
        }
        let body = self.chosen(|parser| parser.block("endwith"))?;
        Ok(Statement::With(assigned, body))
    }

    fn call_block(&mut self, at: usize) -> Outcome<Statement> {
        let parameters = if self.is_sign("(") { self.parameters()? } else { Vec::new() };
        if parameters.iter().any(|(name, _)| &**name == "caller") {
            return Err(refuse("a call block with the parameter `caller`").at(at));
        }
        let call = self.expression()?;
        if !matches!(call.node, Node::Call(..)) {
            return Err(fail("a call block needs a call").at(at));
        }
        let body = self.procedure_body(None, parameters, "endcall")?;
        Ok(Statement::CallBlock(call, Rc::new(body)))
    }

    fn procedure(&mut self, name: Option<Name>, end: &str) -> Outcome<Macro> {
        let parameters = self.parameters()?;
        self.procedure_body(name, parameters, end)
    }

    fn procedure_body(
        &mut self,
        name: Option<Name>,
        parameters: Vec<(Name, Option<Expression>)>,
        end: &str,
    ) -> Outcome<Macro> {
        let outer = std::mem::take(&mut self.implicit);
        let loops = std::mem::take(&mut self.loops);
        let body = self.chosen(|parser| parser.block(end))?;
        self.loops = loops;
        let inner = std::mem::replace(&mut self.implicit, outer);
        for index in 0..IMPLICIT.len() {
            self.implicit.used[index] |= inner.used[index] && !self.implicit.declared[index];
            self.implicit.declared[index] |= inner.declared[index];
        }
        Ok(Macro { name, parameters, body, uses: inner.used })
    }

    /// A name that is declared: that of a macro, or of a parameter.
    fn parameter(&mut self) -> Outcome<Name> {
        let at = self.at();
        let name = self.name()?;
        if &*name != "caller" {
            Target::check_name(&name, at)?;
        }
        Ok(name)
    }

    fn parameters(&mut self) -> Outcome<Vec<(Name, Option<Expression>)>> {
        self.expect_sign("(")?;
        let mut parameters: Vec<(Name, Option<Expression>)> = Vec::new();
        while !self.is_sign(")") {
            if !parameters.is_empty() {
                self.expect_sign(",")?;
            }
            let at = self.at();
            let name = self.parameter()?;
            self.implicit.declared[0] |= &*name == "caller";
            let used = self.implicit.used;
            let default = match self.skip_sign("=") {
                true => Some(self.chosen(Self::expression)?),
                false => None,
            };
            if self.implicit.used != used {
                return Err(
                    refuse("a default that asks for the caller or for all arguments").at(at)
                );
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(fail(format!("there are two parameters `{name}`")).at(at));
            }
            if default.is_none() && (parameters.iter().any(|(_, given)| given.is_some())) {
                return Err(fail("a parameter without a default follows one with a default").at(at));
            }
            if default.is_none() && &*name == "caller" {
                return Err(refuse("a parameter `caller` without a default").at(at));
            }
            parameters.push((name, default));
        }
        self.advance();
        Ok(parameters)
    }

    /// What is assigned to.
    fn target(&mut self, may_be_field: bool) -> Outcome<Target> {
        let at = self.at();
        let (mut targets, mut is_tuple) = (Vec::new(), false);
        loop {
            if self.is_end_of_tuple() {
                break;
            }
            targets.push(self.single_target(may_be_field)?);
            if !self.skip_sign(",") {
                break;
            }
            is_tuple = true;
        }
        match (is_tuple, targets.pop()) {
            (false, Some(target)) => Ok(target),
            (true, Some(last)) => {
                targets.push(last);
                Ok(Target::Tuple(targets))
            }
            (_, None) => Err(fail("there is nothing to assign to").at(at)),
        }
    }

    fn single_target(&mut self, may_be_field: bool) -> Outcome<Target> {
        let at = self.at();
        if may_be_field && *self.following() == Token::Sign(".") {
            let name = self.name()?;
            self.advance();
            return Ok(Target::Field(name, self.name()?));
        }
        match self.token() {
            Token::Name(_) | Token::Sign("(") => assigned(self.primary()?),
            _ => Err(fail(format!("{} cannot be assigned to", described(self.token()))).at(at)),
        }
    }
}

/// An expression as what is assigned to.
fn assigned(expression: Expression) -> Outcome<Target> {
    match expression.node {
        Node::Name(name) => {
            Target::check_name(&name, expression.at)?;
            Ok(Target::Name(name))
        }
        Node::Tuple(parts) => {
            Ok(Target::Tuple(parts.into_iter().map(assigned).collect::<Outcome<_>>()?))
        }
        _ => Err(fail("this cannot be assigned to").at(expression.at)),
    }
}

fn described(token: &Token<'_>) -> String {
    match token {
        Token::Data(_) => "text".to_owned(),
        Token::VariableBegin => "`{{`".to_owned(),
        Token::VariableEnd => "`}}`".to_owned(),
        Token::BlockBegin => "`{%`".to_owned(),
        Token::BlockEnd => "`%}`".to_owned(),
        Token::Name(name) => format!("`{name}`"),
        Token::Text(_) => "a text".to_owned(),
        Token::Integer(_) | Token::Float(_) => "a number".to_owned(),
        Token::Sign(sign) => format!("`{sign}`"),
        Token::End => "end of the template".to_owned(),
    }
}
