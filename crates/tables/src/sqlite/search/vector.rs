//! Rows whose vectors are nearest to one. All are looked at, so the answer is exact.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::super::catalog::{self, Column, Index, Table};
use super::super::statement::Statement;
use super::{Hit, Scope};
use crate::data_type::Kind;
use crate::engine::IndexKind;
use crate::error::{Error, Result};
use crate::stored;

/// So many numbers are looked at together, which lets the processor do them at once.
const LANES: usize = 16;

/// A vector, and the column that has such vectors.
pub(super) struct Near {
    column: String,
    vector: Vec<f32>,
}

impl Near {
    /// The column is the one with vectors of this size. If there are several, it is the only one of
    /// them with a vector index.
    pub(super) fn new(db: &Connection, table: &Table, vector: &[f32]) -> Result<Self> {
        if vector.iter().any(|number| !number.is_finite()) {
            return Err(Error::invalid("the vector has what is no number"));
        }
        let sized = |kind: &Kind| matches!(kind, Kind::Vector { size, .. } if usize::try_from(*size) == Ok(vector.len()));
        let (name, size) = (&table.name, vector.len());
        let fitting: Vec<&Column> =
            table.columns.iter().filter(|column| sized(&column.field.data_type.kind)).collect();
        let mut indexed = fitting.clone();
        if fitting.len() > 1 {
            let indexes = catalog::indexes(db, table.id)?;
            indexed.retain(|column| {
                let of_it = |it: &Index| it.number == column.number && it.kind == IndexKind::Vector;
                indexes.iter().any(of_it)
            });
        }
        let found = match (fitting.as_slice(), indexed.as_slice()) {
            ([], _) => {
                return Err(Error::invalid(format!(
                    "the table {name} has no column of vectors with {size} numbers"
                )));
            }
            ([found], _) | (_, [found]) => found,
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|it| it.field.name.as_str()).collect();
                return Err(Error::invalid(format!(
                    "the table {name} has several columns of vectors with {size} numbers: {}; the one that is meant has a vector index, and the others have none",
                    catalog::listed(&names)
                )));
            }
        };
        Ok(Self { column: found.sql(), vector: vector.to_vec() })
    }

    pub(super) fn hits(&self, db: &Connection, scope: &Scope, count: usize) -> Result<Vec<Hit>> {
        let (column, rows, seen) = (&self.column, &scope.rows, &scope.seen);
        let mut statement = Statement::new(format!(
            "SELECT row, {column} FROM {rows} WHERE {seen} AND {column} IS NOT NULL"
        ));
        statement.and(scope.filter.clone());
        let mut prepared = db.prepare(&statement.0.text)?;
        let mut found = prepared.query(rusqlite::params_from_iter(&statement.0.values))?;
        let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
        while let Some(row) = found.next()? {
            let ValueRef::Blob(bytes) = row.get_ref(1)? else { return Err(damaged()) };
            if bytes.len() != self.vector.len() * 4 {
                return Err(damaged());
            }
            let score = self.distance(bytes)?;
            let worst = best.peek().filter(|_| best.len() >= count);
            if count == 0 || worst.is_some_and(|worst| worst.0.score < score) {
                continue;
            }
            best.push(Ranked(Hit { row: row.get(0)?, score }));
            if best.len() > count {
                best.pop();
            }
        }
        Ok(best.into_sorted_vec().into_iter().map(|ranked| ranked.0).collect())
    }

    fn distance(&self, bytes: &[u8]) -> Result<f64> {
        let near = f64::from(squares(&self.vector, bytes));
        if near.is_finite() {
            return Ok(near);
        }
        // Large numbers have squares that 32 bits don't hold.
        let numbers = stored::numbers(bytes).ok_or_else(damaged)?;
        let square = |(one, other): (&f32, &f32)| (f64::from(*one) - f64::from(*other)).powi(2);
        let far: f64 = self.vector.iter().zip(&numbers).map(square).sum();
        if far.is_finite() { Ok(far) } else { Err(damaged()) }
    }
}

fn damaged() -> Error {
    Error::damaged("a vector cannot be read")
}

/// The square of the distance.
fn squares(vector: &[f32], bytes: &[u8]) -> f32 {
    let (numbers, _) = bytes.as_chunks::<4>();
    let (ours, ours_rest) = vector.as_chunks::<LANES>();
    let (theirs, theirs_rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (ours, theirs) in ours.iter().zip(theirs) {
        for lane in 0..LANES {
            let difference = ours[lane] - f32::from_le_bytes(theirs[lane]);
            sums[lane] += difference * difference;
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for (ours, theirs) in ours_rest.iter().zip(theirs_rest) {
        let difference = ours - f32::from_le_bytes(*theirs);
        sum += difference * difference;
    }
    sum
}

/// Ordered by its distance, and then by when it was written.
#[derive(PartialEq)]
struct Ranked(Hit);

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_distance = self.0.score.total_cmp(&other.0.score);
        by_distance.then(self.0.row.cmp(&other.0.row))
    }
}
