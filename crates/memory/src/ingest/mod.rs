//! What is found in texts, by rules and without a model.
//!
//! A text is cut into sentences, and these are looked through for names. What is found is told with
//! the sentence, so that anybody can see why.
//!
//! | what is found | as an entity of type | confidence |
//! |---|---|---|
//! | `a@b.org` | `Email` | 0.95 |
//! | `https://…`, `www.…` | `Url` | 0.95 |
//! | `@name` | `Account` | 0.9 |
//! | `#tag` | `Tag` | 0.9 |
//! | `2026-11-30`, 30 November 2026, November 30, 2026, November 2026 | `Date` | 0.9 |
//! | a short text in quotes that begins with a capital | `Title` | 0.7 |
//! | words with capitals, after Dr or Mrs, or where a rule below says so | `Person` | 0.8 |
//! | …, with Inc, GmbH, University and such, or where a rule below says so | `Organization` | 0.8 |
//! | …, with Street, River, City and such, or where a rule below says so | `Place` | 0.8 |
//! | other words with capitals, without those that only begin a sentence | `Concept` | 0.6 |
//! | a sentence in which nothing is found, so that it can be recalled | `Note` | 0.5 |
//! | an image | `Image` | 1 |
//!
//! | between two names | relationship | confidence |
//! |---|---|---|
//! | works at, works for, joined, is employed by | `WORKS_AT` | 0.8 |
//! | lives in, moved to; is based in, is located in | `LIVES_IN`; `LOCATED_IN` | 0.8 |
//! | works with, knows, met, manages, reports to, is married to | `WORKS_WITH`, `KNOWS`, `MANAGES`, `REPORTS_TO`, `MARRIED_TO` | 0.8 |
//! | founded, created, wrote, owns, uses, likes, is a, is part of, depends on | `FOUNDED`, `CREATED`, `WROTE`, `OWNS`, `USES`, `LIKES`, `IS_A`, `PART_OF`, `DEPENDS_ON` | 0.8 |
//! | anything else in the same sentence, up to four names apart | `RELATED_TO` | 0.4 |
//! | an image and what its caption names | `DEPICTS` | 0.7 |
//!
//! A rule holds for all names in a row: in "Ann and Bob work at Acme" for both. The rules are for
//! English; names with capitals, addresses and dates are found in any language that has them.
//!
//! **What must not live here**: reading of files and tables, which the caller has done.

mod collect;
mod mentions;
mod phrases;
mod plain;
mod sentences;

use meshagent_tables::value::{Row, Value};
use meshagent_tables::{Error, Field, Kind, Result};

use crate::limits;

pub(crate) use collect::{Found, keep};

/// How entities are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// By rules, on this machine.
    #[default]
    Heuristic,
    /// By a model.
    Llm,
}

impl Strategy {
    /// The strategy of a name on the wire (public SDK 0.31.4).
    ///
    /// # Errors
    ///
    /// There is none of this name.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "heuristic" => Ok(Self::Heuristic),
            "llm" => Ok(Self::Llm),
            other => Err(Error::invalid(format!(
                "there is no strategy {other:?}; there are heuristic and llm"
            ))),
        }
    }
}

/// What is ingested. The caller has read it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content<'a> {
    /// A text.
    Text(&'a str),
    /// A file: Markdown, HTML, JSON, CSV, or plain text. Anything else is an error.
    File {
        /// Its path. The end of its name says what it is, if the media type doesn't.
        path: &'a str,
        /// Its media type, if that is known.
        media_type: Option<&'a str>,
        /// What is in it.
        bytes: &'a [u8],
    },
    /// An image. What is seen on it is not looked at.
    Image {
        /// What is on it, in words.
        caption: Option<&'a str>,
        /// Its media type, if that is known.
        media_type: Option<&'a str>,
        /// Where it came from.
        source: Option<&'a str>,
        /// What is said of it besides.
        annotations: &'a [(String, String)],
    },
    /// Rows of a table. Each row with text is a source.
    Rows {
        /// The rows.
        rows: &'a [Row],
        /// The columns that are read; all with text if none.
        text_columns: Option<&'a [String]>,
    },
}

/// What is in sources.
pub(crate) fn found(sources: &[Content<'_>]) -> Result<Found> {
    let mut found = Found::default();
    let mut bytes = 0;
    for source in sources {
        match source {
            Content::Text(text) => found.text(&bounded("the text", text, &mut bytes)?)?,
            Content::File { path, media_type, bytes: content } => {
                let text = plain::text_of(path, *media_type, content)?;
                found.text(&bounded(path, &text, &mut bytes)?)?;
            }
            Content::Image { caption, source, annotations, .. } => {
                let said = annotations.iter().map(|(name, value)| format!("{name}: {value}"));
                let said: Vec<String> =
                    caption.map(str::to_owned).into_iter().chain(said).collect();
                let said = bounded("what is said of an image", &said.join("\n\n"), &mut bytes)?;
                found.image(*source, &said)?;
            }
            Content::Rows { rows, text_columns } => {
                for row in *rows {
                    let text = bounded("a row", &row_text(row, *text_columns), &mut bytes)?;
                    if !text.trim().is_empty() {
                        found.text(&text)?;
                    }
                }
            }
        }
        if found.sources > u64::try_from(limits::SOURCES).unwrap_or(u64::MAX) {
            let most = limits::SOURCES;
            return Err(Error::invalid(format!("there are more than {most} sources")));
        }
    }
    Ok(found)
}

/// The columns of a table that a memory reads: those that are named, or all, as far as they have
/// texts. A name that the table does not have stays, for the table tells that.
#[must_use]
pub fn text_columns(fields: &[Field], named: Option<&[String]>) -> Vec<String> {
    let has_text = |it: &Field| it.data_type.kind == Kind::Text;
    match named {
        None => fields.iter().filter(|it| has_text(it)).map(|it| it.name.clone()).collect(),
        Some(named) => {
            let is_read =
                |name: &&String| fields.iter().find(|it| it.name == **name).is_none_or(has_text);
            named.iter().filter(is_read).cloned().collect()
        }
    }
}

/// The texts of a row, each as a paragraph.
fn row_text(row: &Row, columns: Option<&[String]>) -> String {
    let wanted = |name: &String| columns.is_none_or(|columns| columns.contains(name));
    let texts = row.iter().filter(|(name, _)| wanted(name)).filter_map(|(_, value)| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// A text, unless it is too much alone or with those before it.
fn bounded(what: &str, text: &str, before: &mut usize) -> Result<String> {
    *before = before.saturating_add(text.len());
    if text.len() > limits::SOURCE {
        let most = limits::SOURCE >> 20;
        return Err(Error::invalid(format!("{what} has more than {most} MiB; ingest parts of it")));
    }
    if *before > limits::SOURCES_BYTES {
        let most = limits::SOURCES_BYTES >> 20;
        return Err(Error::invalid(format!("the sources have more than {most} MiB; ingest fewer")));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_columns_with_texts_are_read_of_a_table() {
        let field = |name: &str, kind| Field { name: name.to_owned(), data_type: Kind::into(kind) };
        let list = Kind::List(Box::new(Kind::Text.into()));
        let fields = [field("t", Kind::Text), field("b", Kind::Binary), field("l", list)];
        assert_eq!(text_columns(&fields, None), ["t"]);
        let named = ["b", "t", "x"].map(str::to_owned);
        assert_eq!(text_columns(&fields, Some(&named)), ["t", "x"]);
    }
}
