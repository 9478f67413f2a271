//! Text formatting: `%`, markup escaping, URL quoting, and lines.

use std::fmt::Write as _;

use crate::budget::Budget;
use crate::error::{Outcome, fail, refuse};
use crate::value::{Value, chars, exact_float, text, write_repr};

/// Escapes text for markup, as MarkupSafe does.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(character),
        }
    }
    out
}

/// Percent-encodes all but letters, digits, `_.-~` and what is named safe.
pub(crate) fn quote(text: &str, safe: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) || safe.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `str.splitlines`
pub(crate) fn split_lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let ends = matches!(
            character,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        );
        if !ends {
            continue;
        }
        let mut after = at + character.len_utf8();
        if character == '\r'
            && let Some((_, '\n')) = characters.peek()
        {
            characters.next();
            after += 1;
        }
        lines.push(&text[start..if keep_ends { after } else { at }]);
        start = after;
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// How one `%` conversion is laid out.
#[derive(Debug, Default)]
struct Layout {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// `template % arguments`
pub(crate) fn percent(budget: &Budget, template: &str, arguments: &[Value]) -> Outcome<String> {
    let mut given = arguments.iter();
    let mut out = String::new();
    let mut characters = template.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let mut layout = Layout::default();
        while let Some(flag) = characters.next_if(|next| "-0+ #(".contains(*next)) {
            match flag {
                '-' => layout.left = true,
                '0' => layout.zero = true,
                '+' => layout.plus = true,
                ' ' => layout.space = true,
                _ => return Err(refuse(format!("`%{flag}` in a format"))),
            }
        }
        layout.width = digits(&mut characters)?.unwrap_or_default();
        if characters.next_if_eq(&'.').is_some() {
            layout.precision = Some(digits(&mut characters)?.unwrap_or_default());
        }
        let Some(conversion) = characters.next() else { return Err(fail("an incomplete format")) };
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let Some(argument) = given.next() else {
            return Err(fail("not enough arguments for the format"));
        };
        let converted = convert(budget, conversion, &layout, argument)?;
        budget.charge(converted.len())?;
        out.push_str(&converted);
    }
    if given.next().is_some() {
        return Err(fail("not all arguments were used by the format"));
    }
    Ok(out)
}

fn digits(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Outcome<Option<usize>> {
    let mut number = None;
    while let Some(digit) = characters.next_if(char::is_ascii_digit) {
        let value = digit.to_digit(10).map_or(0, |digit| digit as usize);
        number = Some(number.unwrap_or(0) * 10 + value);
        if number > Some(10_000) {
            return Err(refuse("a format this wide"));
        }
    }
    if characters.peek() == Some(&'*') {
        return Err(refuse("`%*` in a format"));
    }
    Ok(number)
}

fn convert(
    budget: &Budget,
    conversion: char,
    layout: &Layout,
    argument: &Value,
) -> Outcome<String> {
    let value = argument;
    let (sign, body, numeric) = match conversion {
        's' | 'r' => {
            let mut body = String::new();
            if conversion == 's' {
                body.push_str(&text(budget, argument)?);
            } else {
                write_repr(budget, &mut body, argument)?;
            }
            if let Some(precision) = layout.precision {
                body = body.chars().take(precision).collect();
            }
            (String::new(), body, false)
        }
        'd' | 'i' | 'u' => {
            let number = match (value.as_int(), value) {
                (Some(number), _) => number,
                (None, Value::Float(number)) if number.abs() < 1e15 => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "it is far within 127 bits"
                    )]
                    let number = *number as i128;
                    number
                }
                _ => return Err(fail(format!("`%{conversion}` needs a number"))),
            };
            let mut body = number.unsigned_abs().to_string();
            if let Some(precision) = layout.precision {
                body = format!("{body:0>precision$}");
            }
            (sign_of(number < 0, layout), body, true)
        }
        'f' | 'F' => {
            let number = match (value.as_int(), value) {
                (Some(number), _) => exact_float(number)?,
                (None, Value::Float(number)) if number.is_finite() => *number,
                _ => return Err(fail(format!("`%{conversion}` needs a finite number"))),
            };
            let precision = layout.precision.unwrap_or(6);
            let negative = number.is_sign_negative();
            (sign_of(negative, layout), format!("{:.precision$}", number.abs()), true)
        }
        'x' | 'X' | 'o' => {
            let Some(number) = value.as_int() else {
                return Err(fail(format!("`%{conversion}` needs an integer")));
            };
            let size = number.unsigned_abs();
            let mut body = match conversion {
                'x' => format!("{size:x}"),
                'X' => format!("{size:X}"),
                _ => format!("{size:o}"),
            };
            if let Some(precision) = layout.precision {
                body = format!("{body:0>precision$}");
            }
            (sign_of(number < 0, layout), body, true)
        }
        _ => return Err(refuse(format!("`%{conversion}` in a format"))),
    };
    let missing = layout.width.saturating_sub(chars(&sign) + chars(&body));
    let (spaces, zeros) = (" ".repeat(missing), "0".repeat(missing));
    Ok(if layout.left {
        format!("{sign}{body}{spaces}")
    } else if layout.zero && numeric {
        format!("{sign}{zeros}{body}")
    } else {
        format!("{spaces}{sign}{body}")
    })
}

fn sign_of(negative: bool, layout: &Layout) -> String {
    match (negative, layout.plus, layout.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
    .to_owned()
}
