//! Filters that make numbers, or show them.

use super::Filter;
use crate::arguments::{Arguments, flag, whole};
use crate::budget::Budget;
use crate::error::{Outcome, fail, refuse, undefined};
use crate::methods;
use crate::value::{Value, exact_float};

/// The filter of a name.
pub(super) fn find(name: &str) -> Option<Filter> {
    Some(match name {
        "abs" => abs,
        "float" => float,
        "int" => int,
        "round" => round,
        "filesizeformat" => filesizeformat,
        _ => return None,
    })
}

fn abs(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    rest.none("abs")?;
    match (value, value.as_int()) {
        (_, Some(number)) => {
            Ok(Value::Int(number.checked_abs().ok_or_else(|| refuse("this `abs`"))?))
        }
        (Value::Float(number), _) => Ok(number.abs().into()),
        (other, _) => Err(fail(format!("`abs` does not take {}", other.type_name()))),
    }
}

fn float(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [default] = rest.bind("float", ["default"])?;
    Ok(match number(value)? {
        Some(number) => number.into(),
        None => default.unwrap_or_else(|| 0.0.into()),
    })
}

/// The number in a text, as Python's `float` reads it.
fn parse_float(text: &str) -> Outcome<Option<f64>> {
    let trimmed = methods::strip(text, None, true, true);
    if !trimmed.is_ascii() {
        if trimmed.chars().any(|character| !character.is_ascii() && character.is_numeric()) {
            return Err(refuse("a number in other digits than 0 to 9"));
        }
        return Ok(None);
    }
    let Some(plain) = without_underscores(trimmed) else { return Ok(None) };
    let unsigned = plain.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let named = ["inf", "infinity", "nan"].contains(&unsigned.as_str());
    let numeric = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    Ok(if named || numeric { plain.parse().ok() } else { None })
}

/// Underscores are allowed between digits, and nowhere else.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let digit =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        if *byte == b'_' && !(digit(index.checked_sub(1)) && digit(Some(index + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

fn number(value: &Value) -> Outcome<Option<f64>> {
    match (value, value.as_int()) {
        (_, Some(number)) => exact_float(number).map(Some),
        (Value::Float(number), _) => Ok(Some(*number)),
        (Value::Str(text, _), _) => parse_float(text),
        (Value::Undefined, _) => Err(undefined("the number")),
        (Value::Object(_), _) => Err(refuse("the number of a macro, a loop or a namespace")),
        _ => Ok(None),
    }
}

/// The integer in a text, as Python's `int` reads it.
fn parse_int(text: &str, base: u32) -> Outcome<Option<i128>> {
    let trimmed = methods::strip(text, None, true, true);
    if !trimmed.is_ascii() {
        if trimmed.chars().any(|character| !character.is_ascii() && character.is_numeric()) {
            return Err(refuse("a number in other digits than 0 to 9"));
        }
        return Ok(None);
    }
    let (negative, digits) = match trimmed.strip_prefix(['+', '-']) {
        Some(digits) => (trimmed.starts_with('-'), digits),
        None => (false, trimmed),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let mut digits = lower.as_str();
    let mut base = base;
    for (prefix, of) in prefixed {
        if (base == of || base == 0)
            && let Some(rest) = digits.strip_prefix(prefix)
        {
            // One underscore may follow the prefix.
            digits = rest.strip_prefix('_').unwrap_or(rest);
            base = of;
        }
    }
    if base == 0 {
        let zeros = digits.bytes().all(|byte| byte == b'0' || byte == b'_');
        if digits.starts_with('0') && !zeros {
            return Ok(None);
        }
        base = 10;
    }
    let bytes = digits.as_bytes();
    let edges = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if bytes.is_empty() || edges {
        return Ok(None);
    }
    let plain = digits.replace('_', "");
    if !plain.chars().all(|digit| digit.is_digit(base)) {
        return Ok(None);
    }
    match i128::from_str_radix(&plain, base) {
        Ok(number) => Ok(Some(if negative { -number } else { number })),
        Err(_) => Err(refuse("an integer beyond 127 bits")),
    }
}

fn truncated(number: f64) -> Outcome<Option<i128>> {
    if !number.is_finite() {
        return Ok(None);
    }
    if number.abs() >= 1e30 {
        return Err(refuse("an integer beyond 100 bits"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is far within 127 bits")]
    let number = number.trunc() as i128;
    Ok(Some(number))
}

fn int(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [default, base] = rest.bind("int", ["default", "base"])?;
    let base = whole(base.as_ref(), 10)?;
    let default = default.unwrap_or(Value::Int(0));
    let valid = base == 0 || (2..=36).contains(&base);
    let found = match value {
        Value::Str(text, _) => {
            let base = u32::try_from(base).unwrap_or_default();
            match if valid { parse_int(text, base)? } else { None } {
                Some(number) => Some(number),
                None => match parse_float(text)? {
                    Some(number) => truncated(number)?,
                    None => None,
                },
            }
        }
        Value::Float(number) if number.is_infinite() => {
            return Err(fail("infinity is not an integer"));
        }
        Value::Float(number) => truncated(*number)?,
        Value::Undefined => return Err(undefined("the integer")),
        Value::Object(_) => return Err(refuse("the integer of a macro, a loop or a namespace")),
        other => other.as_int(),
    };
    Ok(found.map_or(default, Value::Int))
}

fn round(_: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [precision, method] = rest.bind("round", ["precision", "method"])?;
    let precision = whole(precision.as_ref(), 0)?;
    let method = method.as_ref().map_or(Some("common"), Value::as_str);
    let number = match (value, value.as_int()) {
        (_, Some(number)) if method == Some("common") && precision >= 0 => {
            return Ok(Value::Int(number));
        }
        (_, Some(number)) => exact_float(number)?,
        (Value::Float(number), _) => *number,
        (Value::Undefined, _) => return Err(undefined("rounding")),
        (other, _) => return Err(fail(format!("`round` does not take {}", other.type_name()))),
    };
    let digits = u32::try_from(precision).ok().filter(|digits| *digits <= 15);
    let digits = digits.ok_or_else(|| refuse("rounding to such a precision"))?;
    if !number.is_finite() {
        return Err(refuse("rounding infinity or NaN"));
    }
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or_default());
    match method {
        Some("common") => {
            let digits = digits as usize;
            let rounded: f64 =
                format!("{number:.digits$}").parse().map_err(|_| refuse("this rounding"))?;
            Ok(rounded.into())
        }
        Some("ceil") => Ok(((number * scale).ceil() / scale).into()),
        Some("floor") => Ok(((number * scale).floor() / scale).into()),
        _ => Err(fail("`round` rounds by \"common\", \"ceil\" or \"floor\"")),
    }
}

fn filesizeformat(budget: &Budget, value: &Value, rest: Arguments) -> Outcome {
    let [binary] = rest.bind("filesizeformat", ["binary"])?;
    let binary = flag(binary.as_ref(), false);
    let size = number(value)?.filter(|size| size.is_finite());
    let size = size.ok_or_else(|| fail("`filesizeformat` needs a finite number"))?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if (size - 1.0).abs() == 0.0 {
        return budget.text("1 Byte");
    }
    if size < base {
        return budget.text(format!("{} Bytes", truncated(size)?.unwrap_or_default()));
    }
    let mut unit = base;
    let mut shown = String::new();
    for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
        unit *= base;
        let prefix = if binary { format!("{}i", prefix.to_uppercase()) } else { prefix.to_owned() };
        shown = format!("{:.1} {prefix}B", base * size / unit);
        if size < unit {
            break;
        }
    }
    budget.text(shown)
}
