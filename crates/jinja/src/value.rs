//! Python's values, and what `str`, `repr` and `==` make of them. Lists and dicts do not
//! change once they are made: what would change one is refused.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::rc::Rc;

use crate::budget::Budget;
use crate::characters::printable;
use crate::error::{Outcome, fail, refuse};
use crate::python;
use crate::run::Object;

/// The deepest nesting of lists and dicts that a template may build.
const MAX_DEPTH: usize = 64;

/// What a look at one value counts, so that the units of a rendering are used up in much less
/// than a second.
pub(crate) const LOOK: usize = 4;

/// A value.
#[derive(Clone, Default)]
pub(crate) enum Value {
    /// Jinja's undefined.
    #[default]
    Undefined,
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// An integer; Python's have no end, ours end at 127 bits.
    Int(i128),
    /// A float.
    Float(f64),
    /// Text, and whether it counts as markup.
    Str(Rc<str>, bool),
    /// A list, tuple, range or view.
    Seq(Rc<Sequence>),
    /// A dict.
    Dict(Rc<Dict>),
    /// A generator.
    Generator(Rc<Generator>),
    /// A macro, a loop, a namespace, a function.
    Object(Rc<Object>),
}

/// What Python calls a sequence.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[1, 2]`
    List,
    /// `(1, 2)`
    Tuple,
    /// A named tuple of `groupby`: `grouper` and `list`.
    Group,
    /// `range(…)`, with its text.
    Range(String),
    /// What `keys`, `values` and `items` of a dict give.
    View(&'static str),
}

/// A list, tuple, range or view.
pub(crate) struct Sequence {
    pub(crate) kind: Kind,
    pub(crate) items: Vec<Value>,
    depth: usize,
}

/// A dict, in insertion order.
pub(crate) struct Dict {
    pub(crate) entries: Vec<(Value, Value)>,
    depth: usize,
}

/// What a lazy filter gives: it can be walked once, is always true and has no length.
pub(crate) struct Generator {
    items: RefCell<Vec<Value>>,
    depth: usize,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into(), false)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into(), false)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i128::try_from(number).unwrap_or(i128::MAX))
    }
}

impl Value {
    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text, _) => Some(text),
            _ => None,
        }
    }

    /// The integer of an integer or a boolean.
    pub(crate) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some(i128::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether it counts as markup.
    pub(crate) fn is_markup(&self) -> bool {
        matches!(self, Self::Str(_, true))
    }

    /// `bool(value)`
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Undefined | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text, _) => !text.is_empty(),
            Self::Seq(sequence) => !sequence.items.is_empty(),
            Self::Dict(dict) => !dict.entries.is_empty(),
            Self::Generator(_) | Self::Object(_) => true,
        }
    }

    /// The name of its type in messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::None => "none",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(..) => "text",
            Self::Seq(sequence) => match sequence.kind {
                Kind::List => "a list",
                Kind::Tuple | Kind::Group => "a tuple",
                Kind::Range(_) => "a range",
                Kind::View(_) => "a view of a dict",
            },
            Self::Dict(_) => "a dict",
            Self::Generator(_) => "a generator",
            Self::Object(object) => object.type_name(),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Seq(sequence) => sequence.depth,
            Self::Dict(dict) => dict.depth,
            Self::Generator(generator) => generator.depth,
            _ => 0,
        }
    }

    /// Whether Python takes it as a key of a dict, and it is rendered offline as one.
    pub(crate) fn is_hashable(&self, budget: &Budget) -> Outcome<bool> {
        match self.check_key(budget) {
            Err(failure) if failure.is_spent() => Err(failure),
            checked => Ok(checked.is_ok()),
        }
    }

    /// Refuses what cannot be a key of a dict, or cannot be one when it is rendered offline.
    pub(crate) fn check_key(&self, budget: &Budget) -> Outcome<()> {
        budget.charge(LOOK)?;
        match self {
            Self::Seq(sequence) => match &sequence.kind {
                Kind::Tuple | Kind::Group => {
                    sequence.items.iter().try_for_each(|item| item.check_key(budget))
                }
                Kind::Range(_) => Err(refuse("such a key of a dict")),
                _ => Err(fail("an unhashable key of a dict")),
            },
            Self::Dict(_) => Err(fail("an unhashable key of a dict")),
            Self::Undefined => Err(refuse("an undefined key of a dict")),
            Self::Generator(_) | Self::Object(_) => Err(refuse("such a key of a dict")),
            _ => Ok(()),
        }
    }
}

impl Generator {
    /// What is left; nothing from the second time on.
    pub(crate) fn take(&self) -> Vec<Value> {
        self.items.take()
    }
}

impl Dict {
    /// Where a key stands.
    pub(crate) fn position(&self, budget: &Budget, wanted: &Value) -> Outcome<Option<usize>> {
        position(budget, &self.entries, wanted)
    }
}

fn position(budget: &Budget, entries: &[(Value, Value)], wanted: &Value) -> Outcome<Option<usize>> {
    for (index, (key, _)) in entries.iter().enumerate() {
        if equal(budget, key, wanted)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Values that are charged before they are made.
impl Budget {
    /// A text, after it was charged.
    pub(crate) fn text(&self, text: impl AsRef<str>) -> Outcome {
        self.text_like(text, false)
    }

    /// A text that counts as markup if `safe`.
    pub(crate) fn text_like(&self, text: impl AsRef<str>, safe: bool) -> Outcome {
        let text = text.as_ref();
        self.charge(text.len())?;
        Ok(Value::Str(text.into(), safe))
    }

    pub(crate) fn sequence(&self, kind: Kind, items: Vec<Value>) -> Outcome {
        self.charge(16 * items.len())?;
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or_default();
        if depth > MAX_DEPTH {
            return Err(refuse("a list nested this deeply"));
        }
        if items.iter().any(|item| matches!(item, Value::Object(_))) {
            return Err(refuse("a list that holds a macro, a loop or a namespace"));
        }
        Ok(Value::Seq(Rc::new(Sequence { kind, items, depth })))
    }

    pub(crate) fn list(&self, items: Vec<Value>) -> Outcome {
        self.sequence(Kind::List, items)
    }

    pub(crate) fn tuple(&self, items: Vec<Value>) -> Outcome {
        self.sequence(Kind::Tuple, items)
    }

    pub(crate) fn generator(&self, items: Vec<Value>) -> Outcome {
        self.charge(16 * items.len())?;
        // What it holds may itself be nested; its items were made by a filter from a value
        // that had one level more.
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or_default();
        Ok(Value::Generator(Rc::new(Generator { items: RefCell::new(items), depth })))
    }

    /// A dict; of equal keys the first keeps its place and the last its value.
    pub(crate) fn dict(&self, pairs: impl IntoIterator<Item = (Value, Value)>) -> Outcome {
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut depth = 1;
        for (key, value) in pairs {
            self.charge(32)?;
            key.check_key(self)?;
            if matches!(value, Value::Object(_)) {
                return Err(refuse("a dict that holds a macro, a loop or a namespace"));
            }
            depth = depth.max(1 + key.depth()).max(1 + value.depth());
            match position(self, &entries, &key)? {
                Some(index) => entries[index].1 = value,
                None => entries.push((key, value)),
            }
        }
        if depth > MAX_DEPTH {
            return Err(refuse("a dict nested this deeply"));
        }
        Ok(Value::Dict(Rc::new(Dict { entries, depth })))
    }
}

/// The number of code points, as `len` counts them.
pub(crate) fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Writes `str(value)`.
pub(crate) fn write_text(budget: &Budget, out: &mut String, value: &Value) -> Outcome<()> {
    match value {
        Value::Undefined => {}
        Value::Str(text, _) => {
            budget.charge(text.len())?;
            out.push_str(text);
        }
        _ => write_repr(budget, out, value)?,
    }
    Ok(())
}

/// `str(value)`
pub(crate) fn text<'a>(budget: &Budget, value: &'a Value) -> Outcome<Cow<'a, str>> {
    match value {
        Value::Str(text, _) => {
            budget.charge(text.len())?;
            Ok(Cow::Borrowed(text))
        }
        _ => {
            let mut out = String::new();
            write_text(budget, &mut out, value)?;
            Ok(Cow::Owned(out))
        }
    }
}

/// `str(float)`
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        python::float_text(number)
    }
}

/// Writes `repr(value)`.
pub(crate) fn write_repr(budget: &Budget, out: &mut String, value: &Value) -> Outcome<()> {
    let before = out.len();
    match value {
        Value::Undefined => out.push_str("Undefined"),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::Float(number) => out.push_str(&float_text(*number)),
        Value::Str(text, false) => write_text_repr(out, text)?,
        Value::Str(text, true) => {
            out.push_str("Markup(");
            write_text_repr(out, text)?;
            out.push(')');
        }
        Value::Seq(sequence) => return write_sequence(budget, out, sequence),
        Value::Dict(dict) => {
            budget.charge(2 + 4 * dict.entries.len())?;
            out.push('{');
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_repr(budget, out, key)?;
                out.push_str(": ");
                write_repr(budget, out, value)?;
            }
            out.push('}');
            return Ok(());
        }
        Value::Generator(_) => {
            return Err(refuse("the text of a generator (use the `list` filter)"));
        }
        Value::Object(object) => {
            return Err(refuse(format!("the text of {}", object.type_name())));
        }
    }
    Ok(budget.charge(out.len() - before)?)
}

fn write_sequence(budget: &Budget, out: &mut String, sequence: &Sequence) -> Outcome<()> {
    let (open, close) = match &sequence.kind {
        Kind::List => ("[", "]"),
        Kind::Tuple | Kind::Group if sequence.items.len() == 1 => ("(", ",)"),
        Kind::Tuple | Kind::Group => ("(", ")"),
        Kind::Range(text) => {
            out.push_str(text);
            return Ok(budget.charge(text.len())?);
        }
        Kind::View(name) => {
            out.push_str(name);
            ("([", "])")
        }
    };
    budget.charge(2 + 2 * sequence.items.len())?;
    out.push_str(open);
    for (index, item) in sequence.items.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        write_repr(budget, out, item)?;
    }
    out.push_str(close);
    Ok(())
}

fn write_text_repr(out: &mut String, text: &str) -> Outcome<()> {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if printable(character)? => out.push(character),
            _ => {
                let code = u32::from(character);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
    Ok(())
}

/// `left == right`
pub(crate) fn equal(budget: &Budget, left: &Value, right: &Value) -> Outcome<bool> {
    budget.charge(LOOK)?;
    Ok(match (left, right) {
        (Value::Object(_) | Value::Generator(_), _)
        | (_, Value::Object(_) | Value::Generator(_)) => {
            return Err(refuse("comparing a generator, a macro, a loop or a namespace"));
        }
        (Value::Undefined, Value::Undefined) | (Value::None, Value::None) => true,
        (Value::Str(left, _), Value::Str(right, _)) => {
            budget.charge(left.len().min(right.len()) / 16)?;
            left == right
        }
        (Value::Seq(left), Value::Seq(right)) => match (&left.kind, &right.kind) {
            (Kind::View(_), _) | (_, Kind::View(_)) => {
                return Err(refuse("comparing views of a dict"));
            }
            (Kind::Tuple | Kind::Group, Kind::Tuple | Kind::Group)
            | (Kind::List, Kind::List)
            | (Kind::Range(_), Kind::Range(_)) => {
                if left.items.len() != right.items.len() {
                    return Ok(false);
                }
                for (left, right) in left.items.iter().zip(&right.items) {
                    if !equal(budget, left, right)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => false,
        },
        (Value::Dict(left), Value::Dict(right)) => {
            if left.entries.len() != right.entries.len() {
                return Ok(false);
            }
            for (key, value) in &left.entries {
                match right.position(budget, key)? {
                    Some(index) if equal(budget, value, &right.entries[index].1)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => compare_numbers(left, right)? == Some(Some(Ordering::Equal)),
    })
}

/// How two numbers compare: nothing when one is not a number, `Some(None)` when one is NaN.
#[expect(clippy::option_option, reason = "no number and no order are two things")]
pub(crate) fn compare_numbers(left: &Value, right: &Value) -> Outcome<Option<Option<Ordering>>> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return Ok(Some(Some(left.cmp(&right))));
    }
    Ok(floats(left, right)?.map(|(left, right)| left.partial_cmp(&right)))
}

/// Two numbers as floats; nothing when one is not a number.
pub(crate) fn floats(left: &Value, right: &Value) -> Outcome<Option<(f64, f64)>> {
    let side = |side: &Value| match side {
        Value::Float(number) => Ok(Some(*number)),
        _ => side.as_int().map(exact_float).transpose(),
    };
    // Both are asked, so that what is no number comes before what is too large.
    Ok(match (left, right) {
        (
            Value::Float(_) | Value::Int(_) | Value::Bool(_),
            Value::Float(_) | Value::Int(_) | Value::Bool(_),
        ) => side(left)?.zip(side(right)?),
        _ => None,
    })
}

/// A float of the same number; integers that a float cannot hold are refused.
pub(crate) fn exact_float(number: i128) -> Outcome<f64> {
    const LIMIT: i128 = 1 << 53;
    if (-LIMIT..=LIMIT).contains(&number) {
        #[expect(clippy::cast_precision_loss, reason = "it is within 53 bits")]
        let float = number as f64;
        return Ok(float);
    }
    Err(refuse("mixing floats with integers beyond 53 bits"))
}

/// The elements of what can be iterated over; an undefined value has none.
pub(crate) fn iterate(budget: &Budget, value: &Value) -> Outcome<Vec<Value>> {
    let count = match value {
        Value::Str(text, _) => text.len(),
        Value::Seq(sequence) => sequence.items.len(),
        Value::Dict(dict) => dict.entries.len(),
        _ => 0,
    };
    budget.charge(LOOK.saturating_mul(count))?;
    Ok(match value {
        Value::Undefined => Vec::new(),
        // Walking over markup gives plain characters.
        Value::Str(text, _) => text
            .chars()
            .map(|character| Value::from(&*character.encode_utf8(&mut [0; 4])))
            .collect(),
        Value::Seq(sequence) => sequence.items.clone(),
        Value::Dict(dict) => dict.entries.iter().map(|(key, _)| key.clone()).collect(),
        Value::Generator(generator) => generator.take(),
        Value::Object(_) => return Err(refuse("iterating over a macro, a loop or a namespace")),
        other => return Err(fail(format!("{} cannot be iterated over", other.type_name()))),
    })
}
