//! JSON exactly as Python's `json.dumps` writes it: spaces after separators, ASCII only,
//! members in their order. The platform hashes and stores such text, so its bytes matter.

use meshagent_jinja::python::{float_text, write_string};
use serde_json::Value;

/// The JSON text of a value, as `json.dumps(value)` gives it.
#[must_use]
pub fn dumps(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&float_text(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_string(out, name);
                out.push_str(": ");
                write_value(out, member);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_ascii_with_lower_case_escapes_and_surrogate_pairs() {
        let value = serde_json::json!({"ü": "a\"\\/\u{7f}\u{0}😀\n", "b": [1, null, true, {}]});
        assert_eq!(
            dumps(&value),
            r#"{"\u00fc": "a\"\\/\u007f\u0000\ud83d\ude00\n", "b": [1, null, true, {}]}"#
        );
    }
}
