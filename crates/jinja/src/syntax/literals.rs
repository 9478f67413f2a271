//! Numbers and texts in a template, as Python reads them.

use crate::error::{Outcome, fail, refuse};

/// The length of `(\d+_)*\d+` at the start of a text.
fn digits(text: &str) -> usize {
    run(text, |byte| byte.is_ascii_digit())
}

/// The length of the digits at the start of a text, which may be separated by single underscores.
fn run(text: &str, is_digit: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    loop {
        let next = length + usize::from(length > 0 && bytes.get(length) == Some(&b'_'));
        match bytes.get(next) {
            Some(byte) if is_digit(*byte) => length = next + 1,
            _ => return length,
        }
    }
}

/// A float at the start of a text, and its length.
pub(super) fn float(text: &str) -> Option<(f64, usize)> {
    let whole = digits(text);
    let fraction = match text[whole..].strip_prefix('.').map(digits) {
        Some(length) if length > 0 => 1 + length,
        _ => 0,
    };
    let after = &text[whole + fraction..];
    let exponent = match after.strip_prefix(['e', 'E']) {
        Some(rest) => {
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            match digits(unsigned) {
                0 => 0,
                length => after.len() - unsigned.len() + length,
            }
        }
        None => 0,
    };
    if whole == 0 || fraction + exponent == 0 {
        return None;
    }
    let length = whole + fraction + exponent;
    Some((text[..length].replace('_', "").parse().ok()?, length))
}

/// An integer at the start of a text, and its length.
pub(super) fn integer(text: &str) -> Outcome<Option<(i128, usize)>> {
    let bytes = text.as_bytes();
    let radix = match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'b' | b'B')) => 2,
        (Some(b'0'), Some(b'o' | b'O')) => 8,
        (Some(b'0'), Some(b'x' | b'X')) => 16,
        _ => 10,
    };
    let of_radix = |byte: u8| char::from(byte).is_digit(radix);
    if radix != 10 {
        // One underscore may follow the prefix.
        let skipped = 2 + usize::from(bytes.get(2) == Some(&b'_'));
        let length = run(text.get(skipped..).unwrap_or_default(), of_radix);
        if length > 0 {
            let digits = &text[skipped..skipped + length];
            return parsed(digits, radix).map(|number| Some((number, skipped + length)));
        }
    }
    let length = match bytes.first() {
        Some(b'0') => run(text, |byte| byte == b'0'),
        _ => digits(text),
    };
    if length == 0 {
        return Ok(None);
    }
    parsed(&text[..length], 10).map(|number| Some((number, length)))
}

fn parsed(digits: &str, radix: u32) -> Outcome<i128> {
    i128::from_str_radix(&digits.replace('_', ""), radix)
        .map_err(|_| refuse("an integer beyond 127 bits"))
}

/// The value of a text between quotes, as Python decodes `unicode-escape`.
pub(super) fn unescaped(text: &str) -> Outcome<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(first) = after.chars().next() else { break };
        rest = &after[first.len_utf8()..];
        match first {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(first),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '0'..='7' => {
                let length = after.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
                let length = length.count();
                out.push(character(&after[..length], 8)?);
                rest = &after[length..];
            }
            'x' | 'u' | 'U' => {
                let length = match first {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = rest.get(..length).unwrap_or_default();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(fail(format!("`\\{first}` needs {length} hexadecimal digits")));
                }
                out.push(character(digits, 16)?);
                rest = &rest[length..];
            }
            'N' => return Err(refuse("a character by its name")),
            // Python writes what is not ASCII as an escape first, and reads that one's
            // backslash as escaped.
            _ if !first.is_ascii() => {
                let code = u32::from(first);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
            _ => out.extend(['\\', first]),
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn character(digits: &str, radix: u32) -> Outcome<char> {
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    match code {
        0xd800..=0xdfff => Err(refuse("half of a surrogate pair")),
        _ => char::from_u32(code).ok_or_else(|| fail("a character beyond U+10FFFF")),
    }
}
