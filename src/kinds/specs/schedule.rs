//! *Pure*: how often a schedule fires.

use std::time::Duration;

use super::rules;

/// How many firings are looked at. What fires more often does so among them, or hardly ever.
const FIRINGS: usize = 100;

/// The shortest time between two firings of a schedule; `None` where it is no schedule, or fires
/// once at most.
#[must_use]
pub fn shortest_interval(text: &str) -> Option<Duration> {
    let cron = rules::cron(text).filter(|_| !rules::never_fires(text))?;
    let start = jiff::civil::date(2024, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let firings: Vec<jiff::Timestamp> = cron
        .iter_from(start, croner::Direction::Forward)
        .take(FIRINGS)
        .map(|at| at.timestamp())
        .collect();
    let gaps = firings.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs());
    gaps.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_interval_of_a_schedule_is_found() {
        let minutes = |text: &str| shortest_interval(text).map(|it| it.as_secs() / 60);
        for (text, expected) in [
            ("*/15 * * * *", Some(15)),
            ("*/10 * * * *", Some(10)),
            ("* * * * *", Some(1)),
            ("0,5 3 * * *", Some(5)),
            ("50 9,10 * * 1", Some(60)),
            ("55,0 * * * *", Some(5)),
            // From the last minute of a day to the first of the next one.
            ("59,0 0,23 * * *", Some(1)),
            ("@hourly", Some(60)),
            ("0 0 29 2 *", Some(4 * 366 * 24 * 60 - 3 * 24 * 60)),
            ("0 0 31 2 *", None),
            ("5 minutes", None),
            ("", None),
        ] {
            assert_eq!(minutes(text), expected, "{text}");
        }
    }
}
