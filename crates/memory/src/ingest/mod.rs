//! What is found in texts.

use meshagent_tables::value::Row;
use meshagent_tables::{Error, Result};

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
