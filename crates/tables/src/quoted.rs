//! Names and texts as a caller writes them in SQL, so that each is one name or one text and nothing
//! else, whatever is in it.

/// The name of a column, in backticks.
#[must_use]
pub fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text, in single quotes.
#[must_use]
pub fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
