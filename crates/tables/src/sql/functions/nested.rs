//! Functions of lists and structs, which SQLite keeps as JSON, and of vectors.

use rusqlite::types::ValueRef;
use serde_json::Value as Json;

use super::convert::{kept, value_of};
use super::{Function, Given, Gives, Ran, Takes, fits};
use crate::sql::kinds::of_code;
use crate::stored::{Stored, numbers};

use Takes::{Any, Int, Text};

const fn function(
    sql: &'static str,
    takes: &'static [Takes],
    gives: Gives,
    run: fn(&Given<'_, '_>) -> Ran,
) -> Function {
    Function { names: &[], sql, takes, required: takes.len(), more: None, gives, strict: true, run }
}

/// What translations call.
pub(super) const FUNCTIONS: &[Function] = &[
    // A struct, the name of a part, and the number of its type.
    function("m_part", &[Any, Text, Int], Gives::Text, |it| match json(it, 0)? {
        Json::Object(object) => {
            object.get(it.text(1)?).map_or(Ok(Stored::Null), |part| kept(part, it.int(2)?))
        }
        _ => Ok(Stored::Null),
    }),
    // A list, the place of an item from 1 or from -1 at the end, and the number of its type.
    function("m_item", &[Any, Int, Int], Gives::Text, |it| {
        let list = list(it, 0)?;
        match place(it.int(1)?, list.len()) {
            Some(index) => kept(&list[index], it.int(2)?),
            None => Ok(Stored::Null),
        }
    }),
    function("m_component", &[Any, Int], Gives::Float, |it| {
        let all = floats(it, 0)?;
        Ok(place(it.int(1)?, all.len()).map_or(Stored::Null, |index| Stored::Real(all[index])))
    }),
    function("m_list_length", &[Any], Gives::Int, |it| {
        let length = match it.raw(0) {
            ValueRef::Blob(bytes) => bytes.len() / 4,
            _ => list(it, 0)?.len(),
        };
        Ok(Stored::Int(i64::try_from(length).unwrap_or(i64::MAX)))
    }),
    // A list, a value, and the number of its type.
    function("m_list_has", &[Any, Any, Int], Gives::Bool, |it| {
        let wanted = plain(it, 1, 2)?;
        Ok(Stored::Int(list(it, 0)?.contains(&wanted).into()))
    }),
    function("m_list_position", &[Any, Any, Int], Gives::Int, |it| {
        let wanted = plain(it, 1, 2)?;
        let found = list(it, 0)?.iter().position(|one| *one == wanted);
        let found = found.and_then(|index| i64::try_from(index + 1).ok());
        Ok(found.map_or(Stored::Null, Stored::Int))
    }),
    function("m_list_has_any", &[Any, Any], Gives::Bool, |it| {
        let (all, wanted) = (keys(it, 0)?, keys(it, 1)?);
        Ok(Stored::Int(wanted.iter().any(|one| all.contains(one)).into()))
    }),
    function("m_list_has_all", &[Any, Any], Gives::Bool, |it| {
        let (all, wanted) = (keys(it, 0)?, keys(it, 1)?);
        Ok(Stored::Int(wanted.is_subset(&all).into()))
    }),
    Function {
        names: &[],
        sql: "m_list_text",
        takes: &[Any, Text, Text],
        required: 2,
        more: None,
        gives: Gives::Text,
        strict: true,
        run: |it| {
            let null = if it.count() > 2 { Some(it.text(2)?) } else { None };
            let mut out = String::new();
            let mut begun = false;
            for one in list(it, 0)? {
                let one = match &one {
                    Json::Null => match null {
                        Some(null) => null.to_owned(),
                        None => continue,
                    },
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if begun {
                    out.push_str(it.text(1)?);
                }
                begun = true;
                out.push_str(&one);
                fits(out.len())?;
            }
            Ok(Stored::Text(out))
        },
    },
    // The number of a type, and values of it.
    Function {
        names: &[],
        sql: "m_list",
        takes: &[Int],
        required: 1,
        more: Some(Any),
        gives: Gives::Text,
        strict: false,
        run: |it| {
            let kind = of_code(it.int(0)?).ok_or("there is no such type")?;
            let one = |index| value_of(it.raw(index), &kind).map(|value| value.to_plain());
            let all: Vec<Json> = (1..it.count()).map(one).collect::<Result<_, String>>()?;
            Ok(Stored::Text(Json::from(all).to_string()))
        },
    },
    function("m_distance", &[Any, Any], Gives::Float, |it| {
        let squares = pairs(it)?.into_iter().map(|(one, other)| (one - other).powi(2));
        Ok(Stored::Real(squares.sum::<f64>().sqrt()))
    }),
    function("m_inner_product", &[Any, Any], Gives::Float, |it| {
        Ok(Stored::Real(pairs(it)?.into_iter().map(|(one, other)| one * other).sum()))
    }),
    function("m_cosine_distance", &[Any, Any], Gives::Float, |it| {
        let (mut dot, mut one_length, mut other_length) = (0.0, 0.0, 0.0);
        for (one, other) in pairs(it)? {
            dot += one * other;
            one_length += one * one;
            other_length += other * other;
        }
        let lengths = f64::sqrt(one_length) * f64::sqrt(other_length);
        Ok(if lengths == 0.0 { Stored::Null } else { Stored::Real(1.0 - dot / lengths) })
    }),
];

fn json(given: &Given<'_, '_>, index: usize) -> Result<Json, String> {
    serde_json::from_slice(given.bytes(index)?)
        .map_err(|_| "a list or struct is no JSON".to_owned())
}

fn list(given: &Given<'_, '_>, index: usize) -> Result<Vec<Json>, String> {
    match json(given, index)? {
        Json::Array(list) => Ok(list),
        _ => Err("a function was given something else than a list".to_owned()),
    }
}

fn keys(given: &Given<'_, '_>, index: usize) -> Result<std::collections::HashSet<String>, String> {
    Ok(list(given, index)?.iter().map(Json::to_string).collect())
}

/// A value as it would be in a list.
fn plain(given: &Given<'_, '_>, index: usize, code: usize) -> Result<Json, String> {
    let kind = of_code(given.int(code)?).ok_or("there is no such type")?;
    value_of(given.raw(index), &kind).map(|value| value.to_plain())
}

/// Which item is meant.
fn place(index: i64, length: usize) -> Option<usize> {
    let away = usize::try_from(index.unsigned_abs()).ok()?;
    let index = if index > 0 { away.checked_sub(1)? } else { length.checked_sub(away)? };
    (index < length).then_some(index)
}

fn floats(given: &Given<'_, '_>, index: usize) -> Result<Vec<f64>, String> {
    match given.raw(index) {
        ValueRef::Blob(bytes) => {
            let numbers = numbers(bytes).ok_or("a vector has another length than its numbers")?;
            Ok(numbers.into_iter().map(f64::from).collect())
        }
        _ => {
            let number =
                |it: &Json| it.as_f64().ok_or_else(|| "a vector has numbers only".to_owned());
            list(given, index)?.iter().map(number).collect()
        }
    }
}

fn pairs(given: &Given<'_, '_>) -> Result<Vec<(f64, f64)>, String> {
    let (one, other) = (floats(given, 0)?, floats(given, 1)?);
    if one.len() != other.len() {
        return Err(format!("the vectors have {} and {} numbers", one.len(), other.len()));
    }
    Ok(one.into_iter().zip(other).collect())
}
