//! Functions of numbers. Whole numbers stay whole: what does not fit is an error.

use std::cmp::Ordering;

use rusqlite::types::ValueRef;

use super::{Function, Given, Gives, Ran, Takes};
use crate::stored::Stored;

use Takes::{Any, Float, Int};

const fn strict(
    names: &'static [&'static str],
    sql: &'static str,
    takes: &'static [Takes],
    required: usize,
    gives: Gives,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    Function { names, sql, takes, required, more: None, gives, strict: true, run }
}

const fn whole(sql: &'static str, run: fn(&Given<'_, '_>) -> Ran) -> Function {
    strict(&[], sql, &[Int, Int], 2, Gives::Int, run)
}

const fn real(
    names: &'static [&'static str],
    sql: &'static str,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    strict(names, sql, &[Float], 1, Gives::Float, run)
}

/// What clients and translations call.
pub(super) const FUNCTIONS: &[Function] = &[
    whole("m_add", |it| fitting(it.int(0)?.checked_add(it.int(1)?))),
    whole("m_subtract", |it| fitting(it.int(0)?.checked_sub(it.int(1)?))),
    whole("m_multiply", |it| fitting(it.int(0)?.checked_mul(it.int(1)?))),
    whole("m_divide", |it| {
        let (one, other) = divided(it)?;
        fitting(one.checked_div(other))
    }),
    whole("m_modulo", |it| {
        let (one, other) = divided(it)?;
        Ok(Stored::Int(one.checked_rem(other).unwrap_or(0)))
    }),
    strict(&[], "m_divide_float", &[Float, Float], 2, Gives::Float, |it| {
        float(it.float(0)? / it.float(1)?)
    }),
    strict(&[], "m_modulo_float", &[Float, Float], 2, Gives::Float, |it| {
        float(it.float(0)? % it.float(1)?)
    }),
    strict(&[], "m_abs", &[Any], 1, Gives::Int, |it| match it.raw(0) {
        ValueRef::Integer(value) => fitting(value.checked_abs()),
        _ => float(it.float(0)?.abs()),
    }),
    strict(&["round"], "m_round", &[Float, Int], 1, Gives::Float, |it| {
        let value = it.float(0)?;
        let places = if it.count() > 1 { it.int(1)? } else { 0 };
        match i32::try_from(places) {
            Ok(0) => float(value.round()),
            Ok(places) if places.abs() <= 300 => {
                let scale = 10_f64.powi(places);
                let rounded = (value * scale).round() / scale;
                float(if rounded.is_finite() { rounded } else { value })
            }
            _ => Err("round takes at most 300 places".to_owned()),
        }
    }),
    strict(&["trunc"], "m_trunc_number", &[Float, Int], 1, Gives::Float, |it| {
        let value = it.float(0)?;
        let places = if it.count() > 1 { it.int(1)? } else { 0 };
        match i32::try_from(places) {
            Ok(places) if places.abs() <= 300 => {
                let scale = 10_f64.powi(places);
                let cut = (value * scale).trunc() / scale;
                float(if cut.is_finite() { cut } else { value })
            }
            _ => Err("trunc takes at most 300 places".to_owned()),
        }
    }),
    real(&["floor"], "m_floor", |it| float(it.float(0)?.floor())),
    real(&["ceil", "ceiling"], "m_ceil", |it| float(it.float(0)?.ceil())),
    real(&["sqrt"], "m_sqrt", |it| float(it.float(0)?.sqrt())),
    real(&["cbrt"], "m_cbrt", |it| float(it.float(0)?.cbrt())),
    real(&["exp"], "m_exp", |it| float(it.float(0)?.exp())),
    real(&["ln"], "m_ln", |it| float(it.float(0)?.ln())),
    real(&["log2"], "m_log2", |it| float(it.float(0)?.log2())),
    real(&["log10"], "m_log10", |it| float(it.float(0)?.log10())),
    real(&["sin"], "m_sin", |it| float(it.float(0)?.sin())),
    real(&["cos"], "m_cos", |it| float(it.float(0)?.cos())),
    real(&["tan"], "m_tan", |it| float(it.float(0)?.tan())),
    real(&["asin"], "m_asin", |it| float(it.float(0)?.asin())),
    real(&["acos"], "m_acos", |it| float(it.float(0)?.acos())),
    real(&["atan"], "m_atan", |it| float(it.float(0)?.atan())),
    real(&["degrees"], "m_degrees", |it| float(it.float(0)?.to_degrees())),
    real(&["radians"], "m_radians", |it| float(it.float(0)?.to_radians())),
    strict(&["atan2"], "m_atan2", &[Float, Float], 2, Gives::Float, |it| {
        float(it.float(0)?.atan2(it.float(1)?))
    }),
    // With one number the base is 10; with two the base comes first.
    strict(&["log"], "m_log", &[Float, Float], 1, Gives::Float, |it| match it.count() {
        1 => float(it.float(0)?.log10()),
        _ => float(it.float(1)?.ln() / it.float(0)?.ln()),
    }),
    strict(&["power", "pow"], "m_power", &[Float, Float], 2, Gives::Float, |it| {
        float(it.float(0)?.powf(it.float(1)?))
    }),
    strict(&["signum", "sign"], "m_sign", &[Float], 1, Gives::Float, |it| {
        let value = it.float(0)?;
        float(if value == 0.0 { 0.0 } else { value.signum() })
    }),
    strict(&["pi"], "m_pi", &[], 0, Gives::Float, |_| float(std::f64::consts::PI)),
    extreme("m_greatest", |it| picked(it, Ordering::Greater)),
    extreme("m_least", |it| picked(it, Ordering::Less)),
];

const fn extreme(sql: &'static str, run: fn(&Given<'_, '_>) -> Ran) -> Function {
    Function {
        names: &[],
        sql,
        takes: &[],
        required: 1,
        more: Some(Any),
        gives: Gives::Text,
        strict: false,
        run,
    }
}

fn fitting(value: Option<i64>) -> Ran {
    value.map(Stored::Int).ok_or_else(|| "a whole number does not fit 64 bits".to_owned())
}

fn float(value: f64) -> Ran {
    Ok(if value.is_nan() { Stored::Null } else { Stored::Real(value) })
}

fn divided(given: &Given<'_, '_>) -> Result<(i64, i64), String> {
    match (given.int(0)?, given.int(1)?) {
        (_, 0) => Err("a whole number is divided by zero".to_owned()),
        both => Ok(both),
    }
}

/// The greatest or least that is not null.
fn picked(given: &Given<'_, '_>, wanted: Ordering) -> Ran {
    let mut best: Option<ValueRef<'_>> = None;
    for index in 0..given.count() {
        let one = given.raw(index);
        if !matches!(one, ValueRef::Null)
            && best.is_none_or(|best| order(one, best) == Some(wanted))
        {
            best = Some(one);
        }
    }
    Ok(best.map_or(Stored::Null, stored))
}

/// How two of one kind compare.
fn order(one: ValueRef<'_>, other: ValueRef<'_>) -> Option<Ordering> {
    match (one, other) {
        (ValueRef::Integer(one), ValueRef::Integer(other)) => Some(one.cmp(&other)),
        (ValueRef::Real(one), ValueRef::Real(other)) => one.partial_cmp(&other),
        (ValueRef::Text(one), ValueRef::Text(other))
        | (ValueRef::Blob(one), ValueRef::Blob(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// A copy of a value.
pub(super) fn stored(raw: ValueRef<'_>) -> Stored {
    match raw {
        ValueRef::Null => Stored::Null,
        ValueRef::Integer(value) => Stored::Int(value),
        ValueRef::Real(value) => Stored::Real(value),
        ValueRef::Text(bytes) => Stored::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Stored::Blob(bytes.to_vec()),
    }
}
