//! What a statement says.

use std::fmt;

use meshagent_tables::{Error, Value};

/// A place in a statement, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

impl Place {
    /// What is wrong there.
    pub fn error(self, text: impl fmt::Display) -> Error {
        Error::invalid(format!("{self}: {text}"))
    }
}

/// A name, and where it was written.
#[derive(Debug, Clone)]
pub struct Name {
    pub text: String,
    pub place: Place,
}

/// A statement that was understood.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(super) nodes: Vec<Node>,
    /// Each is between two nodes: the first between the first and the second.
    pub(super) edges: Vec<Edge>,
    pub(super) filter: Option<Expression>,
    pub(super) distinct: bool,
    pub(super) items: Vec<Item>,
    pub(super) order: Vec<Order>,
    pub(super) skip: u64,
    pub(super) limit: Option<u64>,
}

/// A node of a pattern.
#[derive(Debug, Clone)]
pub struct Node {
    pub place: Place,
    pub variable: Option<Name>,
    pub label: Option<Name>,
    pub properties: Vec<(Name, Expression)>,
}

/// Which way a relationship goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Right,
    Left,
    Either,
}

/// A relationship of a pattern.
#[derive(Debug, Clone)]
pub struct Edge {
    pub variable: Option<Name>,
    /// One of these; any if there are none.
    pub types: Vec<String>,
    pub properties: Vec<(Name, Expression)>,
    pub direction: Direction,
}

/// A column of the answer.
#[derive(Debug, Clone)]
pub struct Item {
    pub expression: Expression,
    pub name: String,
    /// Whether the name was said with `AS`.
    pub alias: bool,
}

/// A part of an order.
#[derive(Debug, Clone)]
pub struct Order {
    pub expression: Expression,
    pub descending: bool,
}

/// An expression, and where it begins.
#[derive(Debug, Clone)]
pub struct Expression {
    pub place: Place,
    pub what: What,
}

/// Two expressions are the same wherever they stand.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Literal(Value),
    Variable(String),
    Property(String, String),
    /// All of them hold.
    And(Vec<Expression>),
    /// Any of them holds.
    Or(Vec<Expression>),
    /// An odd number of them holds.
    Xor(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Test(Test, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    Null(Box<Expression>),
    /// `count(*)`.
    CountAll,
    Call {
        function: Function,
        distinct: bool,
        arguments: Vec<Expression>,
    },
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    Starts,
    Ends,
    Contains,
    Matches,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    ToLower,
    ToUpper,
    Trim,
    Size,
    Coalesce,
    ToText,
    ToInteger,
    ToFloat,
    Type,
    Count,
    Collect,
    Min,
    Max,
    Sum,
    Avg,
}

impl Function {
    /// All of them, by the names that clients write.
    pub const ALL: [(&'static str, Self); 15] = [
        ("toLower", Self::ToLower),
        ("toUpper", Self::ToUpper),
        ("trim", Self::Trim),
        ("size", Self::Size),
        ("coalesce", Self::Coalesce),
        ("toString", Self::ToText),
        ("toInteger", Self::ToInteger),
        ("toFloat", Self::ToFloat),
        ("type", Self::Type),
        ("count", Self::Count),
        ("collect", Self::Collect),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("avg", Self::Avg),
    ];

    /// Whether it makes one value of those of many rows.
    pub const fn is_aggregate(self) -> bool {
        matches!(self, Self::Count | Self::Collect | Self::Min | Self::Max | Self::Sum | Self::Avg)
    }
}

impl Expression {
    /// The expressions that it is directly made of.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.what {
            What::Literal(_) | What::Variable(_) | What::Property(..) | What::CountAll => {
                Vec::new()
            }
            What::And(all) | What::Or(all) | What::Xor(all) => all.iter().collect(),
            What::Not(it) | What::Null(it) => vec![it],
            What::Compare(_, left, right) | What::Test(_, left, right) => vec![left, right],
            What::In(it, list) => std::iter::once(&**it).chain(list).collect(),
            What::Call { arguments, .. } => arguments.iter().collect(),
        }
    }

    /// Whether it makes one value of those of many rows, itself or somewhere inside.
    pub fn is_aggregated(&self) -> bool {
        match &self.what {
            What::CountAll => true,
            What::Call { function, .. } if function.is_aggregate() => true,
            _ => self.parts().into_iter().any(Self::is_aggregated),
        }
    }
}
