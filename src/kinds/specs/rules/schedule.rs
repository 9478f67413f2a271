//! When something runs: five fields of cron.

use croner::parser::{CronParser, Seconds, Year};

use super::{SCHEDULE_LIMIT, within};

/// A schedule: five fields of cron, or a nickname such as `@hourly`; UTC.
///
/// # Errors
///
/// It is none.
pub fn schedule(text: &str) -> Result<(), String> {
    within(text, SCHEDULE_LIMIT)?;
    if cron(text).is_some() {
        return Ok(());
    }
    Err(format!("must be five cron fields in UTC, such as `0 9 * * 1-5`: {}", wrong_in(text)))
}

pub(in crate::kinds::specs) fn cron(text: &str) -> Option<croner::Cron> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).ok()
}

/// The fields of a schedule, with what they may be.
const SCHEDULE_FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12"),
    ("weekday", "0 to 7"),
];

/// What is wrong with a text that is not a schedule, without the text.
fn wrong_in(text: &str) -> String {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if text.trim_start().starts_with('@') {
        return "this nickname is unknown; a known one is `@hourly`".to_owned();
    }
    if fields.len() != SCHEDULE_FIELDS.len() {
        return match fields.len() {
            1 => "there is 1 field".to_owned(),
            count => format!("there are {count} fields"),
        };
    }
    let is_wrong = |at: usize| {
        let mut alone = ["*"; SCHEDULE_FIELDS.len()];
        alone[at] = fields[at];
        cron(&alone.join(" ")).is_none()
    };
    let wrong = (0..SCHEDULE_FIELDS.len()).find(|at| is_wrong(*at));
    match wrong.map(|at| SCHEDULE_FIELDS[at]) {
        Some((name, range)) => format!("the {name} is not valid; its values go from {range}"),
        None => "the fields cannot be combined".to_owned(),
    }
}

/// Whether a schedule names only days that never come, such as the 31st of February. Within
/// 28 years every date has been on every day of the week.
#[must_use]
pub fn never_fires(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [_, _, days, months, weekdays] = fields[..] else { return false };
    let Some(cron) = cron(&format!("0 0 {days} {months} {weekdays}")) else { return false };
    let start = jiff::civil::date(2024, 1, 1);
    let mut days = start.series(jiff::Span::new().days(1)).take(28 * 365 + 7);
    !days.any(|day| {
        let midnight = day.to_zoned(jiff::tz::TimeZone::UTC);
        midnight.is_ok_and(|midnight| cron.is_time_matching(&midnight).unwrap_or(true))
    })
}
