//! Rows that have words, the best ones first by BM25.

use rusqlite::Connection;

use super::super::catalog::{Table, listed};
use super::super::indexes;
use super::super::statement::Statement;
use super::{Hit, Scope};
use crate::engine::Search;
use crate::error::{Error, Reason, Result};
use crate::sql::Fragment;
use crate::stored::Stored;

/// So many different words of a text are looked for: the first ones.
const WORDS: usize = 128;

/// Words that are looked for.
pub(super) struct Words {
    /// The tables that have the words of columns.
    pub tables: Vec<String>,
    /// The words, as FTS5 wants them.
    pattern: String,
}

impl Words {
    pub(super) fn new(db: &Connection, table: &Table, search: &Search) -> Result<Self> {
        let indexed = indexes::of_words(db, table.id)?;
        let has = |number: i64| indexed.iter().any(|index| index.number == number);
        let without = |name: &str| {
            let text = format!(
                "the column {name:?} of the table {} has no full-text index; make one (create_full_text_search_index, on the command line \"room database index-create --kind fts\") before it is searched for a text",
                table.name
            );
            Error::new(Reason::NotFound, text)
        };
        let numbers = match &search.text_columns {
            Some(names) if !names.is_empty() => {
                let number = |name: &String| {
                    let number = table.column(name)?.number;
                    has(number).then_some(number).ok_or_else(|| without(name))
                };
                let mut numbers = names.iter().map(number).collect::<Result<Vec<_>>>()?;
                numbers.sort_unstable();
                numbers.dedup();
                numbers
            }
            _ => {
                let numbers = table.columns.iter().map(|column| column.number);
                numbers.filter(|number| has(*number)).collect()
            }
        };
        if numbers.is_empty() {
            let names: Vec<&str> =
                table.columns.iter().map(|column| column.field.name.as_str()).collect();
            let text = format!(
                "no column of the table {} has a full-text index; make one (create_full_text_search_index, on the command line \"room database index-create --kind fts\") on a column of text before it is searched for a text; it has {}",
                table.name,
                listed(&names)
            );
            return Err(Error::new(Reason::NotFound, text));
        }
        let tables = numbers.into_iter().map(|number| indexes::words(table.id, number)).collect();
        let pattern = pattern(search.text.as_deref().unwrap_or_default());
        Ok(Self { tables, pattern })
    }

    /// The numbers of the rows that have a word.
    pub(super) fn rows(&self) -> Fragment {
        self.union(|table| format!("SELECT rowid FROM {table} WHERE {table} MATCH ?"))
    }

    fn union(&self, one: impl Fn(&String) -> String) -> Fragment {
        if self.pattern.is_empty() {
            return Statement::new("SELECT NULL WHERE 0").0;
        }
        let parts: Vec<String> = self.tables.iter().map(one).collect();
        let values = vec![Stored::Text(self.pattern.clone()); parts.len()];
        Fragment { text: parts.join(" UNION ALL "), values }
    }

    pub(super) fn hits(&self, db: &Connection, scope: &Scope, count: usize) -> Result<Vec<Hit>> {
        if self.pattern.is_empty() {
            return Ok(Vec::new());
        }
        // FTS5 knows the score only while it stands at the row, hence first all hits.
        let found = self.union(|table| {
            format!("SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ?")
        });
        let mut statement = Statement::new("WITH found (hit, part) AS MATERIALIZED (");
        let (rows, seen) = (&scope.rows, &scope.seen);
        statement
            .part(found)
            .text(&format!(
                ") SELECT hit, sum(part) AS score FROM found CROSS JOIN {rows} ON row = hit WHERE {seen}"
            ))
            .and(scope.filter.clone())
            .text(&format!(" GROUP BY hit ORDER BY score DESC, hit LIMIT {count}"));
        let mut prepared = db.prepare(&statement.0.text)?;
        let values = rusqlite::params_from_iter(&statement.0.values);
        let hits =
            prepared.query_map(values, |row| Ok(Hit { row: row.get(0)?, score: row.get(1)? }))?;
        Ok(hits.collect::<rusqlite::Result<_>>()?)
    }
}

/// The words of a text as FTS5 wants them: any of them may be there. Each is quoted, so that none
/// is read as more than a word.
fn pattern(text: &str) -> String {
    // Marks above letters belong to their words.
    let letter = |it: char| it.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&it);
    let mut words: Vec<&str> = Vec::new();
    for word in text.split(|it| !letter(it)).filter(|word| !word.is_empty()) {
        if words.len() == WORDS {
            break;
        }
        if !words.contains(&word) {
            words.push(word);
        }
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_syntax() {
        for (text, wanted) in [
            ("", ""),
            ("- * ^ \" ' ()", ""),
            ("one", "\"one\""),
            ("one, two one", "\"one\" OR \"two\""),
            ("a NEAR(b) NOT col:c*", "\"a\" OR \"NEAR\" OR \"b\" OR \"NOT\" OR \"col\" OR \"c\""),
            ("cafe\u{301}s\u{0}é", "\"cafe\u{301}s\" OR \"é\""),
        ] {
            assert_eq!(pattern(text), wanted);
        }
    }
}
