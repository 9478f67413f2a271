//! Moments, which memories keep as texts.

use jiff::civil::DateTime;
use meshagent_tables::value;

/// A moment in the one way in which it is kept: in UTC, with as many digits as it has. None if the
/// text is no moment.
pub fn kept(text: &str) -> Option<String> {
    read(text).map(|moment| format!("{moment}Z"))
}

/// A text that sorts as the moment does: all of them are equally long. What is no moment stays as it
/// is, such as `2026`, which a statement may compare with.
pub fn key(text: &str) -> String {
    read(text).map_or_else(|| text.to_owned(), |moment| format!("{moment:.9}Z"))
}

fn read(text: &str) -> Option<DateTime> {
    value::moment(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_one_form_and_keys_that_sort_as_they_do() {
        let ascending = [
            ["0001-01-01", "0001-01-01T00:00Z"],
            ["2026-01-01T01:00:00+01:00", "2026-01-01"],
            ["2026-01-01T00:00:00.5Z", "2026-01-01 00:00:00.500"],
            ["9999-12-31T23:59:59.999Z", "9999-12-31T22:59:59.999-01:00"],
        ];
        for same in ascending {
            assert_eq!(kept(same[0]), kept(same[1]));
            assert_eq!(key(same[0]), key(same[1]));
        }
        assert!(ascending.iter().is_sorted_by_key(|same| key(same[0])));
        assert_eq!(kept("2026-01-01T01:00:00.50+01:00").unwrap(), "2026-01-01T00:00:00.5Z");
        assert_eq!((kept("2026"), key("2026")), (None, "2026".to_owned()));
    }
}
