//! Functions of dates and timestamps, which SQLite keeps as days and microseconds since 1970.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span};

use super::convert::{day, moment};
use super::{Function, Given, Gives, Ran, Takes};
use crate::stored::{Stored, days, micros};

use Takes::{Any, Int, Text};

const fn function(
    sql: &'static str,
    takes: &'static [Takes],
    gives: Gives,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    Function { names: &[], sql, takes, required: takes.len(), more: None, gives, strict: true, run }
}

/// What translations call. Each gets the number of the type with a date or timestamp.
pub(super) const FUNCTIONS: &[Function] = &[
    // A date or timestamp, its type, and the months, days and microseconds to go on.
    function("m_shift", &[Any, Int, Int, Int, Int], Gives::Int, shift),
    function("m_date_trunc", &[Text, Any, Int], Gives::Int, |it| {
        let (at, unit) = (time(it, 1)?, it.text(0)?);
        truncated(at, unit).map(stored).ok_or_else(|| no_unit(unit))
    }),
    function("m_date_part", &[Text, Any, Int], Gives::Int, |it| {
        let (at, unit) = (time(it, 1)?, it.text(0)?);
        part(at, unit).map(Stored::Int).ok_or_else(|| no_unit(unit))
    }),
    function("m_epoch", &[Any, Int], Gives::Float, |it| {
        let micros = micros(time(it, 0)?);
        #[expect(clippy::cast_precision_loss, reason = "seconds are a number with a point")]
        Ok(Stored::Real(micros as f64 / 1e6))
    }),
    function("m_to_char", &[Any, Int, Text], Gives::Text, |it| {
        formatted(it.text(2)?, time(it, 0)?)
            .map(Stored::Text)
            .map_err(|_| "a format of to_char cannot be used".to_owned())
    }),
    // Seconds since 1970.
    function("m_seconds", &[Any], Gives::Int, |it| {
        let micros = match it.raw(0) {
            rusqlite::types::ValueRef::Integer(seconds) => seconds.checked_mul(1_000_000),
            _ => whole((it.float(0)? * 1e6).round()),
        };
        let micros = micros.ok_or("a timestamp is out of range")?;
        moment(micros).map(stored)
    }),
    function("m_make_date", &[Int, Int, Int], Gives::Int, |it| {
        let (year, month, day) = (it.int(0)?, it.int(1)?, it.int(2)?);
        let date =
            || Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok();
        let date = date().ok_or("there is no date of such a year, month and day")?;
        Ok(Stored::Int(days(date)))
    }),
];

/// The most bytes of a format. A few of them can stand for 255 digits.
const FORMAT: usize = 4096;

/// A moment as a format has it.
fn formatted(format: &str, moment: DateTime) -> Result<String, String> {
    if format.len() > FORMAT {
        return Err(format!("a format has at most {FORMAT} bytes"));
    }
    let mut parts = match moment.to_zoned(TimeZone::UTC) {
        Ok(zoned) => BrokenDownTime::from(&zoned),
        // The last day of the calendar. All that it lacks is the name of the time zone.
        Err(_) => BrokenDownTime::from(moment),
    };
    parts.set_offset(Some(Offset::UTC));
    parts.to_string(format).map_err(|error| error.to_string())
}

/// Why a format cannot be used, if it cannot.
pub(in crate::sql) fn checked_format(format: &str) -> Result<(), String> {
    let some = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    formatted(format, some).map(drop).map_err(|why| format!("a format cannot be used: {why}"))
}

fn no_unit(unit: &str) -> String {
    let unit: String = unit.chars().take(40).collect();
    format!(
        "there is no unit {unit:?} of time; there are year, quarter, month, week, day, hour, minute and second"
    )
}

/// A date or timestamp, with its type behind it.
fn time(given: &Given<'_, '_>, index: usize) -> Result<DateTime, String> {
    let value = given.int(index)?;
    match given.int(index + 1)? {
        6 => Ok(day(value)?.to_datetime(jiff::civil::Time::midnight())),
        _ => moment(value),
    }
}

fn stored(at: DateTime) -> Stored {
    Stored::Int(micros(at))
}

fn whole(value: f64) -> Option<i64> {
    let fits = (-9.2e18..9.2e18).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "it was looked at")]
    fits.then_some(value as i64)
}

fn shift(given: &Given<'_, '_>) -> Ran {
    let out = |_| "a date or timestamp goes out of range".to_owned();
    let at = time(given, 0)?;
    let (months, days) = (given.int(2)?, given.int(3)?);
    let span = Span::new().try_months(months).and_then(|it| it.try_days(days)).map_err(out)?;
    let later = at.checked_add(span).map_err(out)?;
    let later = later.checked_add(SignedDuration::from_micros(given.int(4)?)).map_err(out)?;
    match given.int(1)? {
        // A part of a day is lost, towards the day it was counted from.
        6 => {
            let whole = at.checked_add(span).map_err(out)?.date();
            let rest = given.int(4)? / 86_400_000_000;
            let date = whole.checked_add(Span::new().try_days(rest).map_err(out)?).map_err(out)?;
            Ok(Stored::Int(crate::stored::days(date)))
        }
        _ => Ok(stored(later)),
    }
}

fn truncated(at: DateTime, unit: &str) -> Option<DateTime> {
    let date = at.date();
    let first = |year: i16, month: i8| Date::new(year, month, 1).ok();
    let date_of = |date: Date| date.to_datetime(jiff::civil::Time::midnight());
    let nanos = at.subsec_nanosecond();
    Some(match unit {
        "year" => date_of(first(date.year(), 1)?),
        "quarter" => date_of(first(date.year(), (date.month() - 1) / 3 * 3 + 1)?),
        "month" => date_of(first(date.year(), date.month())?),
        "week" => {
            let behind = date.weekday().to_monday_zero_offset();
            date_of(date.checked_sub(Span::new().days(i64::from(behind))).ok()?)
        }
        "day" => date_of(date),
        "hour" => date.at(at.hour(), 0, 0, 0),
        "minute" => date.at(at.hour(), at.minute(), 0, 0),
        "second" => date.at(at.hour(), at.minute(), at.second(), 0),
        "millisecond" => {
            date.at(at.hour(), at.minute(), at.second(), nanos / 1_000_000 * 1_000_000)
        }
        "microsecond" => date.at(at.hour(), at.minute(), at.second(), nanos / 1000 * 1000),
        _ => return None,
    })
}

/// Whether there is a unit to cut timestamps to.
pub(in crate::sql) fn is_cut(unit: &str) -> bool {
    truncated(DateTime::constant(2000, 1, 1, 0, 0, 0, 0), unit).is_some()
}

/// Whether there is a part of timestamps.
pub(in crate::sql) fn is_part(unit: &str) -> bool {
    unit == "epoch" || part(DateTime::constant(2000, 1, 1, 0, 0, 0, 0), unit).is_some()
}

/// Why there is no such unit.
pub(in crate::sql) fn unknown(unit: &str) -> String {
    no_unit(unit)
}

fn part(at: DateTime, unit: &str) -> Option<i64> {
    let date = at.date();
    let micros = i64::from(at.second()) * 1_000_000 + i64::from(at.subsec_nanosecond() / 1000);
    Some(match unit {
        "year" => date.year().into(),
        "isoyear" => date.iso_week_date().year().into(),
        "quarter" => ((date.month() - 1) / 3 + 1).into(),
        "month" => date.month().into(),
        "week" => date.iso_week_date().week().into(),
        "day" => date.day().into(),
        "dow" => date.weekday().to_sunday_zero_offset().into(),
        "isodow" => date.weekday().to_monday_one_offset().into(),
        "doy" => date.day_of_year().into(),
        "hour" => at.hour().into(),
        "minute" => at.minute().into(),
        "second" => at.second().into(),
        "millisecond" => micros / 1000,
        "microsecond" => micros,
        "nanosecond" => micros * 1000,
        _ => return None,
    })
}
