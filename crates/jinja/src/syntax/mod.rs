//! A template as a tree. The lexer and the parser follow those of Jinja2 rule by rule, because
//! both must accept the same templates and read them in the same way.

use std::rc::Rc;

use crate::error::{Outcome, fail, refuse};
use crate::value::Value;

mod expressions;
mod lexer;
mod literals;
mod parser;
mod scopes;

/// The deepest nesting of an expression. Python gives up at about 190 levels of parentheses,
/// and Jinja2 writes one pair for most operators.
const MAX_DEPTH: u16 = 120;

/// A name in a template.
pub(crate) type Name = Rc<str>;

/// Statements in their order.
pub(crate) type Body = Vec<Statement>;

/// Statements in a scope of their own.
#[derive(Default)]
pub(crate) struct Block {
    pub(crate) statements: Body,
    /// Names that are undefined in the scope until it assigns to them.
    pub(crate) hidden: Vec<Name>,
}

/// An expression, and the byte where it stands.
pub(crate) struct Expression {
    pub(crate) at: usize,
    pub(crate) node: Node,
    depth: u16,
}

/// What an expression is.
pub(crate) enum Node {
    Constant(Value),
    Name(Name),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Positive(Box<Expression>),
    And(Box<[Expression; 2]>),
    Or(Box<[Expression; 2]>),
    Binary(Operator, Box<[Expression; 2]>),
    Compare(Box<Expression>, Vec<(Comparison, Expression)>),
    Concatenation(Vec<Expression>),
    /// The condition, the value if it holds, and the value otherwise.
    Condition(Box<[Expression; 2]>, Option<Box<Expression>>),
    Attribute(Box<Expression>, Name),
    Item(Box<[Expression; 2]>),
    /// What is sliced; the start, the stop and the step.
    Slice(Box<Expression>, Box<[Option<Expression>; 3]>),
    Call(Box<Expression>, Given),
    /// Without an expression it is applied to the text of a block.
    Filter(Option<Box<Expression>>, Name, Given),
    Test(Box<Expression>, Name, Given),
}

/// The arguments of a call.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) positional: Vec<Expression>,
    pub(crate) named: Vec<(Name, Expression)>,
    /// What follows `*`, and what follows `**`.
    pub(crate) rest: [Option<Box<Expression>>; 2],
}

/// An operator with two sides, both of which are evaluated.
#[derive(Clone, Copy)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

/// An operator of a chain of comparisons.
#[derive(Clone, Copy)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// A statement.
pub(crate) enum Statement {
    Text(Rc<str>),
    Output(Expression),
    For(Rc<For>),
    /// Conditions with their bodies, and what is done otherwise.
    If(Vec<(Expression, Body)>, Body),
    Set(Target, Expression),
    /// A target, filters, and the body whose text is assigned.
    SetBlock(Target, Option<Expression>, Block),
    With(Vec<(Target, Expression)>, Block),
    Filter(Expression, Block),
    Macro(Rc<Macro>),
    /// A call, and what is given to it as `caller`.
    CallBlock(Expression, Rc<Macro>),
}

/// A loop.
pub(crate) struct For {
    pub(crate) target: Target,
    pub(crate) items: Expression,
    pub(crate) condition: Option<Expression>,
    pub(crate) is_recursive: bool,
    pub(crate) body: Block,
    pub(crate) otherwise: Block,
}

/// A macro, or the body of a call block.
pub(crate) struct Macro {
    pub(crate) name: Option<Name>,
    pub(crate) parameters: Vec<(Name, Option<Expression>)>,
    pub(crate) body: Block,
    /// Which of [`IMPLICIT`] the body uses.
    pub(crate) uses: [bool; 3],
}

/// The parameters that a macro has without naming them: the body of a call block, and the
/// remaining arguments.
pub(crate) const IMPLICIT: [&str; 3] = ["caller", "kwargs", "varargs"];

/// The target of an assignment.
pub(crate) enum Target {
    Name(Name),
    /// A field of a namespace.
    Field(Name, Name),
    Tuple(Vec<Target>),
}

/// Reads a template whose line ends are normalized.
pub(crate) fn parse(source: &str) -> Outcome<Block> {
    let mut template = parser::Parser::new(lexer::tokenize(source)?).template()?;
    scopes::hide(&mut template);
    Ok(template)
}

impl Expression {
    /// An expression that is not nested too deeply.
    fn new(at: usize, node: Node) -> Outcome<Self> {
        let depth = 1 + node.parts().map(|part| part.depth).max().unwrap_or_default();
        if depth > MAX_DEPTH {
            return Err(refuse(format!("an expression nested more than {MAX_DEPTH} deep")).at(at));
        }
        Ok(Self { at, node, depth })
    }
}

impl Node {
    fn parts(&self) -> Box<dyn Iterator<Item = &Expression> + '_> {
        match self {
            Self::Constant(_) | Self::Name(_) => Box::new(std::iter::empty()),
            Self::List(parts) | Self::Tuple(parts) | Self::Concatenation(parts) => {
                Box::new(parts.iter())
            }
            Self::Dict(pairs) => Box::new(pairs.iter().flat_map(|(key, value)| [key, value])),
            Self::Not(part)
            | Self::Negative(part)
            | Self::Positive(part)
            | Self::Attribute(part, _) => Box::new(std::iter::once(&**part)),
            Self::And(parts) | Self::Or(parts) | Self::Binary(_, parts) | Self::Item(parts) => {
                Box::new(parts.iter())
            }
            Self::Compare(first, rest) => {
                Box::new(rest.iter().map(|(_, part)| part).chain([&**first]))
            }
            Self::Condition(parts, other) => Box::new(parts.iter().chain(other.as_deref())),
            Self::Slice(part, bounds) => Box::new(bounds.iter().flatten().chain([&**part])),
            Self::Call(part, given) | Self::Test(part, _, given) => {
                Box::new(given.parts().chain([&**part]))
            }
            Self::Filter(part, _, given) => Box::new(given.parts().chain(part.as_deref())),
        }
    }
}

impl Given {
    fn parts(&self) -> impl Iterator<Item = &Expression> {
        let named = self.named.iter().map(|(_, value)| value);
        self.positional.iter().chain(named).chain(self.rest.iter().flatten().map(|rest| &**rest))
    }
}

impl Target {
    fn names(&self, names: &mut Vec<Name>) {
        match self {
            Self::Name(name) => names.push(name.clone()),
            Self::Field(..) => {}
            Self::Tuple(targets) => targets.iter().for_each(|target| target.names(names)),
        }
    }

    fn check_name(name: &str, at: usize) -> Outcome<()> {
        match name {
            "true" | "false" | "none" | "True" | "False" | "None" => {
                Err(fail(format!("`{name}` cannot be assigned to")).at(at))
            }
            "loop" | "self" | "super" | "caller" | "kwargs" | "varargs" => {
                Err(refuse(format!("assigning to `{name}`")).at(at))
            }
            _ => Ok(()),
        }
    }
}
