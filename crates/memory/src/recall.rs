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
//! Common English words are left out, if the query has others. Of a thousand entities and more, those
//! are looked at that have a word which is in no more than a quarter of all.

use meshagent_tables::{Error, Result};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::api::{Recalled, RecalledRelationship};
use crate::limits;
use crate::store::Column;
use crate::store::catalog::{ENTITY, Memory, entity, relationship};
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

/// How many entities are so few that all words are searched for.
const FEW: u64 = 1_000;

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
    let mut scored = scored(file, memory, &wanted, limit)?;
    // Those with the same score stay as SQLite ranks them.
    scored.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    scored.truncate(limit);
    let mut left = limits::ANSWER;
    let mut found = Vec::with_capacity(scored.len());
    for (row, score) in scored {
        let mut item = entity_at(file, memory, row)?;
        item.score = rounded(score);
        take(
            &mut left,
            [&item.name, &item.entity_id, item.context.as_ref().unwrap_or(&item.name)],
        )?;
        if include_relationships {
            item.relationships = relationships(file, memory, &item.entity_id, &mut left)?;
        }
        found.push(item);
    }
    Ok(found)
}

/// A score as it is told: four digits behind the point, without what comes of adding binary numbers.
fn rounded(score: f64) -> f64 {
    (score * 1e4).round() / 1e4
}

/// The rows of entities with any of the words, with their scores.
fn scored(
    file: &Connection,
    memory: &Memory,
    wanted: &[String],
    limit: usize,
) -> Result<Vec<(i64, f64)>> {
    let statement = format!(
        "WITH found AS (SELECT rowid AS id, bm25({words}, 4.0, 1.0, 1.0) AS far FROM {words}
                        WHERE {words} MATCH ?1 ORDER BY far LIMIT ?2)
         SELECT e.row, found.far, e.{name}, e.{kind}, substr(e.{context}, 1, ?3)
         FROM found JOIN {entities} AS e ON e.row = found.id ORDER BY found.far, e.row",
        words = memory.words(),
        entities = memory.entities().table(),
        name = Column::At(entity::NAME),
        kind = Column::At(entity::TYPE),
        context = Column::At(entity::CONTEXT),
    );
    let mut statement = file.prepare_cached(&statement)?;
    let candidates = CANDIDATES.max(limit.saturating_mul(2));
    let telling = matching(&telling(file, memory, wanted)?);
    let mut rows = statement.query(params![telling, candidates, limits::SCORED])?;
    let mut found = Vec::new();
    let mut best = None;
    while let Some(row) = rows.next()? {
        let far: f64 = row.get(1)?;
        let best = *best.get_or_insert(far);
        // Both are negative: what is farther below 0 fits better.
        let rank = if best < 0.0 { (far / best).clamp(0.0, 1.0) } else { 1.0 };
        let text = |at| -> Result<String> {
            let text: Option<String> = row.get(at)?;
            Ok(words::folded(text.as_deref().unwrap_or_default()))
        };
        let parts = [(1.0, text(2)?), (0.6, text(3)?), (0.8, text(4)?)];
        found.push((row.get(0)?, 0.9 * coverage(wanted, &parts) + 0.1 * rank));
    }
    Ok(found)
}

/// An entity, without its score.
fn entity_at(file: &Connection, memory: &Memory, row: i64) -> Result<Recalled> {
    use entity::{CONFIDENCE, CONTEXT, CREATED, ID, NAME, TYPE, VALID};
    let columns: Vec<_> = [ID, NAME, TYPE, CONTEXT, CONFIDENCE, CREATED, VALID]
        .iter()
        .map(|place| Column::At(*place).to_string())
        .collect();
    let entities = memory.entities().table();
    let statement = format!("SELECT {} FROM {entities} WHERE row = ?", columns.join(", "));
    let mut statement = file.prepare_cached(&statement)?;
    let item = statement.query_row([row], |row| {
        let entity_type: Option<String> = row.get(2)?;
        Ok(Recalled {
            entity_id: row.get(0)?,
            name: row.get(1)?,
            entity_type: entity_type
                .filter(|it| !it.trim().is_empty())
                .unwrap_or_else(|| ENTITY.to_owned()),
            context: row.get(3)?,
            confidence: row.get(4)?,
            created_at: row.get(5)?,
            valid_at: row.get(6)?,
            score: 0.0,
            relationships: Vec::new(),
        })
    })?;
    Ok(item)
}

/// Takes texts from what is left of an answer.
fn take<'a>(left: &mut usize, texts: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let bytes: usize = texts.into_iter().map(String::len).sum();
    match left.checked_sub(bytes) {
        Some(less) => {
            *left = less;
            Ok(())
        }
        None => {
            let most = limits::ANSWER >> 20;
            let text = format!("what is recalled has more than {most} MiB; ask for fewer");
            Err(Error::invalid(text))
        }
    }
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

/// The words that are not in a quarter of all entities, if there are such. The others say little of
/// which entity is meant, and take long.
fn telling(file: &Connection, memory: &Memory, wanted: &[String]) -> Result<Vec<String>> {
    // About how many entities there are: rows have ascending numbers, and some may be gone.
    let last = format!("SELECT max(row) FROM {}", memory.entities().table());
    let last: Option<u64> = file.prepare_cached(&last)?.query_row([], |row| row.get(0))?;
    let all = last.unwrap_or_default();
    if all < FEW {
        return Ok(wanted.to_vec());
    }
    let statement = format!("SELECT doc FROM {} WHERE term = ?", memory.vocabulary());
    let mut statement = file.prepare_cached(&statement)?;
    let mut telling = Vec::new();
    let mut rare = false;
    for word in wanted {
        let found: Option<u64> = statement.query_row([word], |row| row.get(0)).optional()?;
        // What is no word of any may be the beginning of some.
        if found.is_none_or(|found| found <= all / 4) {
            telling.push(word.clone());
            rare |= found.is_some();
        }
    }
    Ok(if rare { telling } else { wanted.to_vec() })
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

/// How much of the words was found, from 0 to 1, in parts with what a word counts in them.
fn coverage(wanted: &[String], parts: &[(f64, String)]) -> f64 {
    let mut sum = 0.0;
    for word in wanted {
        let mut most: f64 = 0.0;
        for (weight, text) in parts {
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

/// The relationships that begin or end at an entity, and whose other end is known as well: those that
/// a path of a statement finds.
fn relationships(
    file: &Connection,
    memory: &Memory,
    entity_id: &str,
    left: &mut usize,
) -> Result<Vec<RecalledRelationship>> {
    use relationship::{CREATED, DESCRIPTION, EXPIRED, INVALID, SOURCE, TARGET, TYPE, VALID};
    let columns: Vec<_> = [SOURCE, TARGET, TYPE, DESCRIPTION, CREATED, VALID, EXPIRED, INVALID]
        .iter()
        .map(|place| Column::At(*place).to_string())
        .collect();
    let statement = format!(
        "SELECT {} FROM {} AS r WHERE ({source} = ?1 OR {target} = ?1)
         AND EXISTS (SELECT 1 FROM {entities} AS e WHERE e.{id} = r.{source})
         AND EXISTS (SELECT 1 FROM {entities} AS e WHERE e.{id} = r.{target})
         ORDER BY row LIMIT ?2",
        columns.join(", "),
        memory.relationships().table(),
        source = Column::At(SOURCE),
        target = Column::At(TARGET),
        entities = memory.entities().table(),
        id = Column::At(entity::ID),
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
    let mut found = Vec::new();
    for row in rows {
        let row = row?;
        take(left, row.description.iter().chain([&row.source_entity_id, &row.target_entity_id]))?;
        found.push(row);
    }
    Ok(found)
}
