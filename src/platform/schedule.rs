//! *Pure*: when a scheduled task runs.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How many runs are looked at for the shortest interval, and from when on.
const LOOKED_AT: usize = 101;
const FROM: &str = "2026-01-01T00:00:00Z";

/// When something runs.
#[derive(Debug)]
pub enum Schedule {
    /// At the times of fields of cron, in UTC.
    Cron(Box<Cron>),
    /// Once in so many seconds.
    Every(i64),
}

impl Schedule {
    /// Reads fields of cron, of which the first may be seconds, or an interval such as
    /// `30 minutes`.
    pub fn read(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        if let (Some(count), Some(unit), None) = (words.next(), words.next(), words.next()) {
            let seconds = match unit.to_lowercase().as_str() {
                "second" | "seconds" => 1,
                "minute" | "minutes" => 60,
                "hour" | "hours" => 60 * 60,
                "day" | "days" => 24 * 60 * 60,
                _ => return None,
            };
            return count.parse::<u32>().ok().map(|count| Self::Every(i64::from(count) * seconds));
        }
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        parser.parse(text).ok().map(|cron| Self::Cron(Box::new(cron)))
    }

    /// The first run later than a time; none if there is no other. Intervals are counted from
    /// `since`.
    pub fn after(&self, time: Timestamp, since: Timestamp) -> Option<Timestamp> {
        // Runs begin at whole seconds, so parts of a second make no difference.
        let time = Timestamp::from_second(time.as_second()).ok()?;
        match self {
            Self::Cron(cron) => {
                let time = time.to_zoned(TimeZone::UTC);
                Some(cron.find_next_occurrence(&time, false).ok()?.timestamp())
            }
            Self::Every(seconds) => {
                let passed = (time.as_second() - since.as_second()).max(0);
                let count = passed.checked_div(*seconds)? + 1;
                let run = since.as_second().checked_add(count.checked_mul(*seconds)?)?;
                Timestamp::from_second(run).ok()
            }
        }
    }

    /// How many seconds there are between two runs, at least; none if there are no two.
    pub fn shortest(&self) -> Option<i64> {
        if let Self::Every(seconds) = self {
            return Some(*seconds);
        }
        let from: Timestamp = FROM.parse().ok()?;
        let runs = std::iter::successors(self.after(from, from), |run| self.after(*run, from));
        let runs: Vec<i64> = runs.take(LOOKED_AT).map(Timestamp::as_second).collect();
        runs.windows(2).map(|pair| pair[1] - pair[0]).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortest(schedule: &str) -> Option<i64> {
        Schedule::read(schedule)?.shortest()
    }

    #[test]
    fn the_shortest_interval_is_that_of_the_public_sdk() {
        for (schedule, expected) in [
            ("*/15 * * * *", Some(900)),
            ("*/10 * * * *", Some(600)),
            ("0,5 3 * * *", Some(300)),
            ("@hourly", Some(3600)),
            ("59 23 * * 1", Some(7 * 24 * 3600)),
            ("0,59 0,23 * * *", Some(60)),
            ("0,59 0,23 * * 1", Some(59 * 60)),
            ("30 minutes", Some(1800)),
            (" 1  Day ", Some(24 * 3600)),
            ("5 weeks", None),
            ("-5 minutes", None),
            ("99999999999 days", None),
            ("0 0 31 2 *", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(shortest(schedule), expected, "{schedule}");
        }
    }

    #[test]
    fn the_next_run_is_later_than_the_last_one() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let since = time("2026-03-01T10:00:30.5Z");
        for (schedule, after, expected) in [
            ("* * * * *", "2026-03-01T10:00:00Z", Some("2026-03-01T10:01:00Z")),
            ("* * * * *", "2026-03-01T10:00:59.999Z", Some("2026-03-01T10:01:00Z")),
            ("* * * * *", "2026-03-01T10:01:00.5Z", Some("2026-03-01T10:02:00Z")),
            ("*/20 * * * * *", "2026-03-01T10:00:20Z", Some("2026-03-01T10:00:40Z")),
            ("0 9 29 2 *", "2026-03-01T10:00:00Z", Some("2028-02-29T09:00:00Z")),
            ("@daily", "2026-12-31T23:59:59Z", Some("2027-01-01T00:00:00Z")),
            ("0 0 30 2 *", "2026-03-01T10:00:00Z", None),
            ("30 minutes", "2026-01-01T00:00:00Z", Some("2026-03-01T10:30:30Z")),
            ("30 minutes", "2026-03-01T10:30:29Z", Some("2026-03-01T10:30:30Z")),
            ("30 minutes", "2026-03-01T10:30:30Z", Some("2026-03-01T11:00:30Z")),
            ("4294967295 days", "2026-03-01T10:00:00Z", None),
            ("0 days", "2026-03-01T10:00:00Z", None),
        ] {
            let next = Schedule::read(schedule).unwrap().after(time(after), since);
            assert_eq!(next, expected.map(time), "{schedule} after {after}");
        }
    }
}
