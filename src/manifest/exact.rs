//! *Pure*: whether a number is held as it is written.

/// Whether a number, written in the decimal system, is another one once it is held in 64 bits
/// with a floating point.
pub(super) fn is_rounded(written: &str) -> bool {
    let Ok(held) = written.parse::<f64>() else { return false };
    held.is_finite() && Decimal::read(written) != Decimal::read(&format!("{held:e}"))
}

/// A decimal number: its digits, without zeros at both ends, and where the point stands.
#[derive(PartialEq)]
struct Decimal {
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let unsigned = text.trim_start_matches(['+', '-']);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            // An exponent of so many digits makes nothing or no number of anything.
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?.into()),
            None => (unsigned, 0_i64),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let from_point = all.trim_start_matches('0');
        let leading = all.len() - from_point.len();
        let digits = from_point.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { digits, exponent: 0 });
        }
        let exponent = exponent + whole.len() as i64 - leading as i64;
        Some(Self { digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_rounded_where_it_has_more_digits_than_are_held() {
        for text in [
            "0.1",
            "-2.50",
            "1e3",
            "1E+3",
            "1.e3",
            "-.5",
            "1e22",
            "1e23",
            "0.0",
            "0e5",
            "00.10",
            "5e-324",
            "123456789012345.5",
            "1.7976931348623157e308",
            "9007199254740993e0",
        ] {
            let is_rounded = is_rounded(text);
            assert_eq!(is_rounded, text.starts_with("9007199254740993"), "{text}");
        }
        for text in [
            "123456789012345678.5",
            "-0.12345678901234567890",
            "3.14159265358979323846",
            "12345678901234567890e-3",
            "1e-400",
            "1e-99999999999",
        ] {
            assert!(is_rounded(text), "{text}");
        }
    }
}
