//! Python's values inside the engine: sequences, dicts and generators that print, compare
//! and nest as Python's do, and what `str`, `repr` and `==` make of every value.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::api::python_json;

/// What an operation gives.
pub(in crate::manifest) type Outcome<T = Value> = Result<T, Error>;

/// The deepest nesting of lists and dicts that a template may build.
const MAX_DEPTH: usize = 64;

/// An error of an operation.
pub(super) fn fail(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// An error for what Jinja2 accepts and offline rendering does not reproduce.
pub(super) fn refuse(what: impl fmt::Display) -> Error {
    fail(format!("{what} is not rendered offline"))
}

/// An error for the use of an undefined value.
pub(super) fn undefined(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::UndefinedError, format!("{what} of an undefined value"))
}

/// How much one rendering may still produce. The engine's fuel counts instructions; this
/// counts what a single instruction can multiply: text and elements.
#[derive(Debug)]
pub(in crate::manifest) struct Budget {
    units: AtomicI64,
    /// When the rendering is given up: whoever asked for it waits no longer.
    until: Instant,
}

/// After how many units the clock is looked at.
const UNITS_A_LOOK: i64 = 64 * 1024;

impl Budget {
    pub(in crate::manifest) fn new(units: i64, until: Instant) -> Self {
        Self { units: AtomicI64::new(units), until }
    }

    /// Takes from the budget before the work is done.
    pub(in crate::manifest) fn charge(&self, units: usize) -> Outcome<()> {
        let units = i64::try_from(units).unwrap_or(i64::MAX / 2);
        let left = self.units.fetch_sub(units, Ordering::Relaxed);
        if left < units {
            // Kept from wrapping around, should a template go on after the error.
            self.units.store(0, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::OutOfFuel, "the template produces too much"));
        }
        let is_due = left / UNITS_A_LOOK != (left - units) / UNITS_A_LOOK;
        if is_due && Instant::now() > self.until {
            return Err(Error::new(ErrorKind::OutOfFuel, "the template takes too long"));
        }
        Ok(())
    }

    /// A text, after it was charged.
    pub(super) fn text(&self, text: String) -> Outcome {
        self.charge(text.len())?;
        Ok(Value::from(text))
    }

    /// A text that counts as markup if `safe`.
    pub(super) fn text_like(&self, text: String, safe: bool) -> Outcome {
        self.charge(text.len())?;
        Ok(if safe { Value::from_safe_string(text) } else { Value::from(text) })
    }

    pub(super) fn sequence(&self, kind: Kind, items: Vec<Value>) -> Outcome {
        self.charge(16 * items.len())?;
        let depth = 1 + items.iter().map(depth_of).max().unwrap_or_default();
        if depth > MAX_DEPTH {
            return Err(fail("lists are nested too deeply"));
        }
        if items.iter().any(|item| matches!(Py::of(item), Py::Opaque)) {
            return Err(refuse("a list that holds a macro, a loop or a namespace"));
        }
        Ok(Value::from_object(Sequence { kind, items, depth }))
    }

    pub(super) fn list(&self, items: Vec<Value>) -> Outcome {
        self.sequence(Kind::List, items)
    }

    pub(super) fn tuple(&self, items: Vec<Value>) -> Outcome {
        self.sequence(Kind::Tuple, items)
    }

    pub(super) fn generator(&self, items: Vec<Value>) -> Outcome {
        self.charge(16 * items.len())?;
        // What it holds may itself be nested; its items were made by a filter from a value
        // that had one level more.
        let depth = 1 + items.iter().map(depth_of).max().unwrap_or_default();
        Ok(Value::from_object(Generator { items: Mutex::new(Some(items)), depth }))
    }

    /// A dict; of equal keys the first keeps its place and the last its value.
    pub(super) fn dict(&self, pairs: Vec<(Value, Value)>) -> Outcome {
        self.charge(32 * pairs.len())?;
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            hashable(self, &key)?;
            if matches!(Py::of(&value), Py::Opaque) {
                return Err(refuse("a dict that holds a macro, a loop or a namespace"));
            }
            match self.position(&entries, &key)? {
                Some(index) => entries[index].1 = value,
                None => entries.push((key, value)),
            }
        }
        let depth = 1 + entries
            .iter()
            .map(|(key, value)| depth_of(key).max(depth_of(value)))
            .max()
            .unwrap_or_default();
        if depth > MAX_DEPTH {
            return Err(fail("dicts are nested too deeply"));
        }
        Ok(Value::from_object(Dict { entries, depth }))
    }

    pub(super) fn position(
        &self,
        entries: &[(Value, Value)],
        wanted: &Value,
    ) -> Outcome<Option<usize>> {
        for (index, (key, _)) in entries.iter().enumerate() {
            if equal(self, key, wanted)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

fn depth_of(value: &Value) -> usize {
    match Py::of(value) {
        Py::Seq(sequence) => sequence.depth,
        Py::Dict(dict) => dict.depth,
        Py::Generator(generator) => generator.depth,
        _ => 0,
    }
}

fn hashable(budget: &Budget, key: &Value) -> Outcome<()> {
    budget.charge(LOOK)?;
    match Py::of(key) {
        Py::Seq(Sequence { kind: Kind::Tuple | Kind::Group, items, .. }) => {
            items.iter().try_for_each(|item| hashable(budget, item))
        }
        Py::Seq(Sequence { kind: Kind::Range(_), .. }) | Py::Generator(_) | Py::Opaque => {
            Err(refuse("such a key of a dict"))
        }
        Py::Seq(_) | Py::Dict(_) => Err(fail("an unhashable key of a dict")),
        Py::Undefined => Err(refuse("an undefined key of a dict")),
        _ => Ok(()),
    }
}

/// Whether Python takes a value as a key of a dict.
///
/// # Errors
///
/// The budget is used up.
pub(super) fn is_hashable(budget: &Budget, key: &Value) -> Outcome<bool> {
    match hashable(budget, key) {
        Err(error) if error.kind() == ErrorKind::OutOfFuel => Err(error),
        checked => Ok(checked.is_ok()),
    }
}

/// What a look at one value counts, so that the units of a rendering are used up in much less
/// than a second.
pub(super) const LOOK: usize = 4;

/// What Python calls a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
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
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) kind: Kind,
    pub(super) items: Vec<Value>,
    depth: usize,
}

impl Object for Sequence {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.kind {
            Kind::View(_) => ObjectRepr::Iterable,
            _ => ObjectRepr::Seq,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.kind {
            Kind::View(_) => Enumerator::Values(self.items.clone()),
            _ => Enumerator::Seq(self.items.len()),
        }
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.items.is_empty()
    }
}

/// A dict, in insertion order.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) entries: Vec<(Value, Value)>,
    depth: usize,
}

impl Object for Dict {
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.entries.iter().map(|(key, _)| key.clone()).collect())
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.entries.is_empty()
    }
}

/// What a lazy filter gives: it can be walked once, is always true and has no length.
#[derive(Debug)]
pub(super) struct Generator {
    items: Mutex<Option<Vec<Value>>>,
    depth: usize,
}

impl Generator {
    /// What is left; nothing from the second time on.
    pub(super) fn take(&self) -> Vec<Value> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.take())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// A value as Python sees it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Py<'a> {
    /// Jinja's undefined.
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
    Str(&'a str, bool),
    /// A list, tuple, range or view.
    Seq(&'a Sequence),
    /// A dict.
    Dict(&'a Dict),
    /// A generator.
    Generator(&'a Generator),
    /// A macro, a loop, a namespace, a function.
    Opaque,
}

impl<'a> Py<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value.kind() {
            ValueKind::Undefined => Self::Undefined,
            ValueKind::None => Self::None,
            ValueKind::Bool => Self::Bool(value.is_true()),
            ValueKind::Number if value.is_integer() => {
                i128::try_from(value.clone()).map_or(Self::Opaque, Self::Int)
            }
            ValueKind::Number => f64::try_from(value.clone()).map_or(Self::Opaque, Self::Float),
            ValueKind::String => {
                value.as_str().map_or(Self::Opaque, |text| Self::Str(text, value.is_safe()))
            }
            _ => {
                if let Some(sequence) = value.downcast_object_ref::<Sequence>() {
                    Self::Seq(sequence)
                } else if let Some(dict) = value.downcast_object_ref::<Dict>() {
                    Self::Dict(dict)
                } else if let Some(generator) = value.downcast_object_ref::<Generator>() {
                    Self::Generator(generator)
                } else {
                    Self::Opaque
                }
            }
        }
    }

    /// The name of its type in messages.
    pub(super) fn type_name(&self) -> &'static str {
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
            Self::Opaque => "an object",
        }
    }

    /// The integer of an integer or a boolean.
    pub(super) fn as_int(&self) -> Option<i128> {
        match self {
            Self::Bool(value) => Some(i128::from(*value)),
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }
}

/// An integer as a value.
pub(super) fn int(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number), Value::from)
}

/// The number of code points, as `len` counts them.
pub(super) fn chars(text: &str) -> usize {
    text.chars().count()
}

/// `str(value)`
pub(super) fn text<'a>(budget: &Budget, value: &'a Value) -> Outcome<Cow<'a, str>> {
    match Py::of(value) {
        Py::Undefined => Ok(Cow::Borrowed("")),
        Py::Str(text, _) => {
            budget.charge(text.len())?;
            Ok(Cow::Borrowed(text))
        }
        _ => {
            let mut out = String::new();
            write_repr(budget, &mut out, value)?;
            Ok(Cow::Owned(out))
        }
    }
}

/// `str(float)`
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        python_json::float_text(number)
    }
}

/// Writes `repr(value)`.
pub(super) fn write_repr(budget: &Budget, out: &mut String, value: &Value) -> Outcome<()> {
    let before = out.len();
    match Py::of(value) {
        Py::Undefined => out.push_str("Undefined"),
        Py::None => out.push_str("None"),
        Py::Bool(true) => out.push_str("True"),
        Py::Bool(false) => out.push_str("False"),
        Py::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Py::Float(number) => out.push_str(&float_text(number)),
        Py::Str(text, false) => write_text_repr(out, text),
        Py::Str(text, true) => {
            out.push_str("Markup(");
            write_text_repr(out, text);
            out.push(')');
        }
        Py::Seq(sequence) => {
            let (open, close) = match &sequence.kind {
                Kind::List => ("[", "]"),
                Kind::Tuple | Kind::Group if sequence.items.len() == 1 => ("(", ",)"),
                Kind::Tuple | Kind::Group => ("(", ")"),
                Kind::Range(text) => {
                    out.push_str(text);
                    return budget.charge(text.len());
                }
                Kind::View(name) => {
                    out.push_str(name);
                    ("([", "])")
                }
            };
            out.push_str(open);
            for (index, item) in sequence.items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(budget, out, item)?;
            }
            out.push_str(close);
            return budget.charge(2 + 2 * sequence.items.len());
        }
        Py::Dict(dict) => {
            out.push('{');
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(budget, out, key)?;
                out.push_str(": ");
                write_repr(budget, out, value)?;
            }
            out.push('}');
            return budget.charge(2 + 4 * dict.entries.len());
        }
        Py::Generator(_) => return Err(refuse("the text of a generator (use the `list` filter)")),
        Py::Opaque => return Err(refuse("the text of a macro, a loop, a namespace or a function")),
    }
    budget.charge(out.len() - before)
}

fn write_text_repr(out: &mut String, text: &str) {
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
            _ if printable(character) => out.push(character),
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
}

/// `str.isprintable` of one character.
pub(super) fn printable(character: char) -> bool {
    // Rust's escaping uses the same categories; the leading letter keeps a combining mark
    // from being escaped for that alone.
    match character {
        ' '..='~' => true,
        _ => !format!("a{character}").escape_debug().to_string().starts_with("a\\"),
    }
}

/// `left == right`
pub(super) fn equal(budget: &Budget, left: &Value, right: &Value) -> Outcome<bool> {
    budget.charge(LOOK)?;
    Ok(match (Py::of(left), Py::of(right)) {
        (Py::Opaque | Py::Generator(_), _) | (_, Py::Opaque | Py::Generator(_)) => {
            return Err(refuse("comparing a generator, a macro, a loop or a namespace"));
        }
        (Py::Undefined, Py::Undefined) | (Py::None, Py::None) => true,
        (Py::Str(left, _), Py::Str(right, _)) => {
            budget.charge(left.len().min(right.len()) / 16)?;
            left == right
        }
        (Py::Seq(left), Py::Seq(right)) => match (&left.kind, &right.kind) {
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
        (Py::Dict(left), Py::Dict(right)) => {
            if left.entries.len() != right.entries.len() {
                return Ok(false);
            }
            for (key, value) in &left.entries {
                match budget.position(&right.entries, key)? {
                    Some(index) if equal(budget, value, &right.entries[index].1)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (left, right) => match compare_numbers(left, right)? {
            Some(ordering) => ordering == Some(std::cmp::Ordering::Equal),
            None => false,
        },
    })
}

/// How two numbers compare: nothing when one is no number, `Some(None)` when one is NaN.
#[allow(clippy::option_option)]
pub(super) fn compare_numbers(
    left: Py<'_>,
    right: Py<'_>,
) -> Outcome<Option<Option<std::cmp::Ordering>>> {
    if let (Some(left), Some(right)) = (left.as_int(), right.as_int()) {
        return Ok(Some(Some(left.cmp(&right))));
    }
    let float = |side: Py<'_>| match side {
        Py::Float(number) => Ok(Some(number)),
        _ => side.as_int().map(exact_float).transpose(),
    };
    Ok(match (float(left)?, float(right)?) {
        (Some(left), Some(right)) => Some(left.partial_cmp(&right)),
        _ => None,
    })
}

/// A float of the same number; integers that a float cannot hold are refused.
pub(super) fn exact_float(number: i128) -> Outcome<f64> {
    const LIMIT: i128 = 1 << 53;
    if (-LIMIT..=LIMIT).contains(&number) {
        #[allow(clippy::cast_precision_loss)]
        let float = number as f64;
        return Ok(float);
    }
    Err(refuse("mixing floats with integers beyond 53 bits"))
}

/// The elements of what can be iterated over; an undefined value has none.
pub(super) fn iterate(budget: &Budget, value: &Value) -> Outcome<Vec<Value>> {
    let count = match Py::of(value) {
        Py::Str(text, _) => text.len(),
        Py::Seq(sequence) => sequence.items.len(),
        Py::Dict(dict) => dict.entries.len(),
        _ => 0,
    };
    budget.charge(LOOK.saturating_mul(count))?;
    let items = match Py::of(value) {
        Py::Undefined => Vec::new(),
        // Walking over markup gives plain characters.
        Py::Str(text, _) => text.chars().map(|character| character.to_string().into()).collect(),
        Py::Seq(sequence) => sequence.items.clone(),
        Py::Dict(dict) => dict.entries.iter().map(|(key, _)| key.clone()).collect(),
        Py::Generator(generator) => generator.take(),
        Py::Opaque => return Err(refuse("iterating over a macro, a loop or a namespace")),
        other => return Err(fail(format!("{} cannot be iterated over", other.type_name()))),
    };
    Ok(items)
}
