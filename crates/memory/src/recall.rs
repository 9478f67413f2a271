//! The search by words.
//!
//! The words of the query are looked up in the name, the type and the context of entities. Of those
//! with any of them, the ones that SQLite ranks first (BM25, a name counts four times as much) get a
//! score from 0 to 1:
//!
//! - nine tenths of it say how much of the query was found: each word counts 1 in the name, 0.8 in
//!   the context, 0.6 in the type, and 0.7 of that if a longer word only begins with it;
//! - one tenth is the rank beside that of the best one, so that rare words count more.
//!
//! Common English words are left out, if the query has others.

use meshagent_tables::Result;
use rusqlite::{Connection, params};

use crate::api::{Recalled, RecalledRelationship};
use crate::limits;
use crate::store::Column;
use crate::store::catalog::{Memory, entity, relationship};
use crate::words;

/// Words that say nothing of what is meant.
const COMMON: [&str; 48] = [
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "did",
    "do", "does", "for", "from", "had", "has", "have", "how", "i", "in", "is", "it", "its", "me",
    "my", "of", "on", "or", "she", "tell", "that", "the", "their", "there", "this", "to", "was",
    "were", "what", "when", "where", "which", "who", "with",
];

/// From how many letters on a word is searched for as the beginning of others, too.
const BEGINNING: usize = 3;

/// How many entities are scored, at least.
const CANDIDATES: usize = 200;

/// The entities that fit a text best.
pub fn recall(
    file: &Connection,
    memory: &Memory,
    query: &str,
    limit: usize,
    include_relationships: bool,
) -> Result<Vec<Recalled>> {
    let wanted = wanted(query);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let limit = limit.min(limits::RECALLED);
    let (words, entities) = (memory.words(), memory.entities().table());
    let columns: Vec<_> = [
        entity::ID,
        entity::NAME,
        entity::TYPE,
        entity::CONTEXT,
        entity::CONFIDENCE,
        entity::CREATED,
        entity::VALID,
    ]
    .iter()
    .map(|place| format!("e.{}", Column::At(*place)))
    .collect();
    let statement = format!(
        "WITH found AS (SELECT rowid AS id, bm25({words}, 4.0, 1.0, 1.0) AS far FROM {words}
                        WHERE {words} MATCH ?1 ORDER BY far LIMIT ?2)
         SELECT found.far, {} FROM found JOIN {entities} AS e ON e.row = found.id
         ORDER BY found.far, e.row",
        columns.join(", ")
    );
    let mut statement = file.prepare_cached(&statement)?;
    let candidates = CANDIDATES.max(limit.saturating_mul(2));
    let mut rows = statement.query(params![matching(&wanted), candidates])?;
    let mut found: Vec<Recalled> = Vec::new();
    let mut best = None;
    while let Some(row) = rows.next()? {
        let far: f64 = row.get(0)?;
        let best = *best.get_or_insert(far);
        let entity_type: Option<String> = row.get(3)?;
        let mut item = Recalled {
            entity_id: row.get(1)?,
            name: row.get(2)?,
            entity_type: entity_type.unwrap_or_default(),
            context: row.get(4)?,
            confidence: row.get(5)?,
            created_at: row.get(6)?,
            valid_at: row.get(7)?,
            score: 0.0,
            relationships: Vec::new(),
        };
        // Both are negative: what is farther below 0 fits better.
        let rank = if best < 0.0 { (far / best).clamp(0.0, 1.0) } else { 1.0 };
        item.score = 0.9 * coverage(&wanted, &item) + 0.1 * rank;
        if item.entity_type.trim().is_empty() {
            "Entity".clone_into(&mut item.entity_type);
        }
        found.push(item);
    }
    // Those with the same score stay as SQLite ranks them.
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(limit);
    if include_relationships {
        for item in &mut found {
            item.relationships = relationships(file, memory, &item.entity_id)?;
        }
    }
    Ok(found)
}

/// The words that are searched for.
fn wanted(query: &str) -> Vec<String> {
    let end = query.floor_char_boundary(limits::RECALL_QUERY);
    let all = words::distinct(&query[..end], limits::RECALL_WORDS * 2);
    let mut telling: Vec<_> =
        all.iter().filter(|word| !COMMON.contains(&word.as_str())).cloned().collect();
    if telling.is_empty() {
        telling = all;
    }
    telling.truncate(limits::RECALL_WORDS);
    telling
}

/// The words as FTS5 takes them. They have letters and digits and nothing else, so none of them can
/// be read as an operator within quotes.
fn matching(wanted: &[String]) -> String {
    let word = |word: &String| match word.chars().count() < BEGINNING {
        true => format!("\"{word}\""),
        false => format!("\"{word}\"*"),
    };
    wanted.iter().map(word).collect::<Vec<_>>().join(" OR ")
}

/// How much of the words was found, from 0 to 1.
fn coverage(wanted: &[String], item: &Recalled) -> f64 {
    let context = item.context.as_deref().unwrap_or_default();
    let parts = [
        (1.0, words::folded(&item.name)),
        (0.8, words::folded(&context[..context.floor_char_boundary(limits::SCORED)])),
        (0.6, words::folded(&item.entity_type)),
    ];
    let mut sum = 0.0;
    for word in wanted {
        let mut most: f64 = 0.0;
        for (weight, text) in &parts {
            for other in text.split(' ') {
                if other == word {
                    most = most.max(*weight);
                } else if word.chars().count() >= BEGINNING && other.starts_with(word.as_str()) {
                    most = most.max(0.7 * weight);
                }
            }
        }
        sum += most;
    }
    let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    sum / f64::from(count)
}

/// The relationships that begin or end at an entity.
fn relationships(
    file: &Connection,
    memory: &Memory,
    entity_id: &str,
) -> Result<Vec<RecalledRelationship>> {
    use relationship::{CREATED, DESCRIPTION, EXPIRED, INVALID, SOURCE, TARGET, TYPE, VALID};
    let columns: Vec<_> = [SOURCE, TARGET, TYPE, DESCRIPTION, CREATED, VALID, EXPIRED, INVALID]
        .iter()
        .map(|place| Column::At(*place).to_string())
        .collect();
    let statement = format!(
        "SELECT {} FROM {} WHERE {} = ?1 OR {} = ?1 ORDER BY row LIMIT ?2",
        columns.join(", "),
        memory.relationships().table(),
        Column::At(SOURCE),
        Column::At(TARGET),
    );
    let mut statement = file.prepare_cached(&statement)?;
    let rows = statement.query_map(params![entity_id, limits::RECALLED_RELATIONSHIPS], |row| {
        Ok(RecalledRelationship {
            source_entity_id: row.get(0)?,
            target_entity_id: row.get(1)?,
            relationship_type: row.get(2)?,
            description: row.get(3)?,
            created_at: row.get(4)?,
            valid_at: row.get(5)?,
            expired_at: row.get(6)?,
            invalid_at: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
