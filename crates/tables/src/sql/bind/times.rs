//! Functions of dates and timestamps.

use super::calls::called;
use super::{Binder, Typed};
use crate::data_type::Kind;
use crate::error::{Error, Result};
use crate::sql::functions::{convert, times};
use crate::sql::kinds::{Type, code};
use crate::sql::piece::{Piece, piece};
use crate::value::Value;

impl Binder<'_> {
    /// A function of dates and timestamps; none if it is another.
    pub(super) fn time_function(&mut self, name: &str, parts: &[Typed]) -> Result<Option<Typed>> {
        Ok(Some(match (name, parts) {
            ("now" | "current_timestamp", []) => {
                let now = Value::Timestamp(self.now()).taken_as(&Kind::Timestamp.into());
                Typed::value(now.map_err(Error::invalid)?)
            }
            ("current_date" | "today", []) => Typed::value(Value::Date(self.now().date())),
            ("date_trunc" | "datetrunc", [unit, of]) => {
                let unit = unit_of(unit)?;
                if !times::is_cut(&unit) {
                    return Err(Error::invalid(times::unknown(&unit)));
                }
                let of = self.time(of.clone(), name)?;
                Typed::of(at("m_date_trunc(", &unit, &of), Kind::Timestamp, &[&of])
            }
            ("date_part" | "datepart", [unit, of]) => {
                let unit = unit_of(unit)?;
                if !times::is_part(&unit) {
                    return Err(Error::invalid(times::unknown(&unit)));
                }
                let of = self.time(of.clone(), name)?;
                match unit.as_str() {
                    "epoch" => {
                        let sql = piece!["m_epoch(", &of.sql, ", ", time_code(&of), ")"];
                        Typed::of(sql, Kind::Float, &[&of])
                    }
                    _ => Typed::of(at("m_date_part(", &unit, &of), Kind::Int, &[&of]),
                }
            }
            ("to_timestamp" | "to_timestamp_seconds" | "from_unixtime", [of]) => match of.kind() {
                Some(Kind::Int | Kind::Float) => {
                    let of = match of.kind() {
                        Some(Kind::Float) => of.clone(),
                        _ => self.become_kind(of.clone(), &Kind::Int, name)?,
                    };
                    called("m_seconds(", &[of], Kind::Timestamp)
                }
                _ => self.cast_to(of.clone(), &Kind::Timestamp, false)?,
            },
            ("to_date" | "date", [of]) => self.cast_to(of.clone(), &Kind::Date, false)?,
            ("to_char" | "date_format" | "strftime", [of, format]) => {
                let of = self.time(of.clone(), name)?;
                let format = self.become_kind(format.clone(), &Kind::Text, "a format")?;
                if let Some(Value::Text(text)) = format.known() {
                    times::checked_format(text).map_err(Error::invalid)?;
                }
                let sql =
                    piece!["m_to_char(", &of.sql, ", ", time_code(&of), ", ", &format.sql, ")"];
                Typed::of(sql, Kind::Text, &[&of, &format])
            }
            ("make_date", [_, _, _]) => {
                let mut numbers = Vec::new();
                for part in parts {
                    numbers.push(self.become_kind(part.clone(), &Kind::Int, "a part of a date")?);
                }
                called("m_make_date(", &numbers, Kind::Date)
            }
            _ => return Ok(None),
        }))
    }

    fn time(&self, of: Typed, name: &str) -> Result<Typed> {
        match (of.kind(), of.known()) {
            (Some(Kind::Date | Kind::Timestamp), _) => Ok(of),
            (None, _) if of.kind == Type::Null => Ok(of),
            (Some(Kind::Text), Some(value)) => {
                let moment = convert::cast(value.clone(), &Kind::Timestamp);
                Ok(Typed::value(moment.map_err(Error::invalid)?))
            }
            _ => self.become_kind(of, &Kind::Timestamp, &format!("what {name} takes")),
        }
    }
}

fn at(before: &'static str, unit: &str, of: &Typed) -> Piece {
    let unit = Piece::value(Value::Text(unit.to_owned()));
    piece![before, unit, ", ", &of.sql, ", ", time_code(of), ")"]
}

fn time_code(of: &Typed) -> &'static str {
    code(of.kind().unwrap_or(&Kind::Timestamp))
}

/// A unit of time, in one way.
fn unit_of(unit: &Typed) -> Result<String> {
    let Some(Value::Text(unit)) = unit.known() else {
        return Err(Error::invalid("a unit of time is a text, such as 'month'"));
    };
    let unit = unit.trim().to_lowercase();
    Ok(match unit.as_str() {
        "dayofweek" | "weekday" => "dow".to_owned(),
        "dayofyear" => "doy".to_owned(),
        "isoweek" => "week".to_owned(),
        _ => unit.strip_suffix('s').unwrap_or(&unit).to_owned(),
    })
}
