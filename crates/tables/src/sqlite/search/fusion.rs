//! Two orders joined to one by the ranks that a row has in each: reciprocal rank fusion, as LanceDB
//! does it.

use std::collections::HashMap;

use super::Hit;

/// How little the first ranks count more than the others.
const FLAT: f64 = 60.0;

/// How far down both orders are looked at, so that one page of an answer goes on where the other
/// ended.
pub(super) const CANDIDATES: usize = 1000;

/// The rows of both, the best first.
pub(super) fn joined(one: Vec<Hit>, other: Vec<Hit>) -> Vec<Hit> {
    let mut scores: HashMap<i64, f64> = HashMap::new();
    for hits in [one, other] {
        let mut rank = FLAT;
        for hit in hits {
            *scores.entry(hit.row).or_default() += 1.0 / rank;
            rank += 1.0;
        }
    }
    let mut hits: Vec<Hit> = scores.into_iter().map(|(row, score)| Hit { row, score }).collect();
    hits.sort_unstable_by(|one, other| {
        other.score.total_cmp(&one.score).then(one.row.cmp(&other.row))
    });
    hits
}
