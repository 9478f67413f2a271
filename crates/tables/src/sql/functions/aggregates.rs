//! Functions of many rows that SQLite does not have.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use serde_json::Value as Json;

use super::convert::value_of;
use super::numbers::stored;
use super::watch::{Held, Meter};
use super::{LARGEST, told};
use crate::sql::kinds::of_code;
use crate::stored::Stored;

pub(super) fn install(connection: &Connection, flags: FunctionFlags, meter: &Meter) -> Result<()> {
    let spread = |sample, root| Spread { sample, root };
    connection.create_aggregate_function("m_var_samp", 1, flags, spread(true, false))?;
    connection.create_aggregate_function("m_var_pop", 1, flags, spread(false, false))?;
    connection.create_aggregate_function("m_stddev_samp", 1, flags, spread(true, true))?;
    connection.create_aggregate_function("m_stddev_pop", 1, flags, spread(false, true))?;
    connection.create_aggregate_function("m_median", 1, flags, Median(meter.clone()))?;
    connection.create_aggregate_function("m_array_agg", 2, flags, Gathered(meter.clone()))?;
    connection.create_aggregate_function("m_single", 1, flags, Single)
}

fn number(context: &Context<'_>) -> Option<f64> {
    match context.get_raw(0) {
        #[expect(clippy::cast_precision_loss, reason = "numbers with a point have 53 bits")]
        ValueRef::Integer(value) => Some(value as f64),
        ValueRef::Real(value) => Some(value),
        _ => None,
    }
}

/// How far numbers are apart.
struct Spread {
    sample: bool,
    root: bool,
}

/// How many there were, their mean, and the sum of the squares of what they are off it.
#[derive(Default)]
struct Spreading {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Aggregate<Spreading, Option<f64>> for Spread {
    fn init(&self, _: &mut Context<'_>) -> Result<Spreading> {
        Ok(Spreading::default())
    }

    fn step(&self, context: &mut Context<'_>, so_far: &mut Spreading) -> Result<()> {
        if let Some(value) = number(context) {
            so_far.count += 1.0;
            let off = value - so_far.mean;
            so_far.mean += off / so_far.count;
            so_far.squares += off * (value - so_far.mean);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, so_far: Option<Spreading>) -> Result<Option<f64>> {
        let so_far = so_far.unwrap_or_default();
        let by = if self.sample { so_far.count - 1.0 } else { so_far.count };
        Ok((by > 0.0).then(|| {
            let variance = so_far.squares / by;
            if self.root { variance.sqrt() } else { variance }
        }))
    }
}

/// The number in the middle.
struct Median(Meter);

impl Aggregate<(Vec<f64>, Held), Option<f64>> for Median {
    fn init(&self, _: &mut Context<'_>) -> Result<(Vec<f64>, Held)> {
        Ok((Vec::new(), self.0.hold()))
    }

    fn step(&self, context: &mut Context<'_>, so_far: &mut (Vec<f64>, Held)) -> Result<()> {
        if let Some(number) = number(context) {
            so_far.1.grow(size_of::<f64>()).map_err(told)?;
            so_far.0.push(number);
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        so_far: Option<(Vec<f64>, Held)>,
    ) -> Result<Option<f64>> {
        let mut all = so_far.map(|(all, _)| all).unwrap_or_default();
        all.sort_by(f64::total_cmp);
        let middle = all.len() / 2;
        Ok(match all.get(middle) {
            None => None,
            Some(high) if all.len() % 2 == 1 => Some(*high),
            Some(high) => all.get(middle - 1).map(|low| f64::midpoint(*low, *high)),
        })
    }
}

/// All values as a list.
struct Gathered(Meter);

/// A list, about how many bytes it has, and what it keeps.
type Gathering = (Vec<Json>, usize, Held);

impl Aggregate<Gathering, Option<String>> for Gathered {
    fn init(&self, _: &mut Context<'_>) -> Result<Gathering> {
        Ok((Vec::new(), 0, self.0.hold()))
    }

    fn step(&self, context: &mut Context<'_>, so_far: &mut Gathering) -> Result<()> {
        let raw = context.get_raw(0);
        let length = match raw {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 0,
        };
        so_far.1 += length + 32;
        if so_far.1 > LARGEST {
            return Err(told(format!("array_agg made a list of more than {LARGEST} bytes")));
        }
        so_far.2.grow(length + 32).map_err(told)?;
        let ValueRef::Integer(code) = context.get_raw(1) else {
            return Err(told("array_agg was given no type".to_owned()));
        };
        let kind = of_code(code).ok_or_else(|| told("there is no such type".to_owned()))?;
        so_far.0.push(value_of(raw, &kind).map_err(told)?.to_plain());
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, so_far: Option<Gathering>) -> Result<Option<String>> {
        Ok(so_far.map(|(all, ..)| Json::from(all).to_string()))
    }
}

/// The one value that there is.
struct Single;

impl Aggregate<Option<Stored>, Stored> for Single {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Stored>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, so_far: &mut Option<Stored>) -> Result<()> {
        if so_far.is_some() {
            return Err(told("a SELECT that stands for a value gave more than one row".to_owned()));
        }
        *so_far = Some(stored(context.get_raw(0)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, so_far: Option<Option<Stored>>) -> Result<Stored> {
        Ok(so_far.flatten().unwrap_or(Stored::Null))
    }
}
