//! What the commands that list or show have in common: strict JSON, YAML, or a table that fits the
//! terminal.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::Value;

use crate::api::reader::Reader;
use crate::api::request::{Listing, Paging, Request};
use crate::error::Result;
use crate::output;
use crate::settings::PlatformArgs;

/// The format in which objects are listed or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For programs.
    Json,
    /// Everything, for people.
    Yaml,
    /// For people.
    Table,
}

/// How one object is shown.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ShowArgs {
    /// Output format [default: table; json if the output is not a terminal]
    #[arg(short, long, value_enum)]
    output: Option<Form>,
}

/// How a list is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ListArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value = "table")]
    output: Form,
    /// Print only the ids, one per line, for scripts
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
}

/// How a list is shown that was always JSON for programs.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct JsonListArgs {
    /// Output format [default: table; json if the output is not a terminal]
    #[arg(short, long, value_enum)]
    output: Option<Form>,
    /// Print only the names, one per line, for scripts
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
}

/// Says what a command prints with `--quiet`, if not ids.
pub fn quietly(what: &'static str) -> impl Fn(clap::Arg) -> clap::Arg {
    move |quiet| quiet.help(format!("Print only the {what}, one per line, for scripts"))
}

/// Arguments of a list of all objects in a project.
#[derive(Debug, clap::Args)]
pub struct AllArgs {
    /// How it is shown.
    #[command(flatten)]
    pub show: ListArgs,
    /// Where it is read.
    #[command(flatten)]
    pub platform: PlatformArgs,
}

/// The requested part of a list.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The maximum number of objects.
    pub limit: i128,
    /// How many are skipped first.
    pub offset: i128,
    /// The highest limit that the platform accepts.
    pub most: i128,
}

impl Page {
    /// Prints the page of those objects of a list that are meant, and says whether there is more.
    ///
    /// Where lists are walked by tokens, no page begins at a number, so the list is read to its end
    /// and the page is cut out of it.
    ///
    /// # Errors
    ///
    /// What the platform refuses; what `print` returns.
    pub async fn show(
        self,
        reader: &Reader,
        listing: &Listing,
        is_meant: impl Fn(&Value) -> bool,
        print: impl FnOnce(Vec<Value>) -> Result<ExitCode>,
    ) -> Result<ExitCode> {
        if !matches!(listing.paging, Paging::Offset(_)) {
            let mut items = reader.list(listing).await?;
            items.retain(is_meant);
            let number = |number: i128| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
            items.drain(..number(self.offset).min(items.len()));
            let is_more = items.len() > number(self.limit);
            items.truncate(number(self.limit));
            let code = print(items)?;
            if is_more {
                self.tell_more("are");
            }
            return Ok(code);
        }
        let items = reader.items(&self.of(&listing.request), listing.envelope).await?;
        let next = self.next(items.len());
        let code = print(items)?;
        if let Some(next) = next {
            match reader.items(&next.of(&listing.request), listing.envelope).await {
                Ok(items) if items.is_empty() => {}
                Ok(_) => self.tell_more("are"),
                Err(_) => self.tell_more("may be"),
            }
        }
        Ok(code)
    }

    /// A request for the page.
    fn of(self, request: &Request) -> Request {
        let request = request.clone().query("limit", self.limit.to_string());
        request.query("offset", self.offset.to_string())
    }

    /// The object after a full page: only the platform knows whether there is one.
    fn next(self, shown: usize) -> Option<Self> {
        let is_full = self.limit > 0 && i128::try_from(shown).is_ok_and(|it| it >= self.limit);
        is_full.then(|| Self { limit: 1, offset: self.offset.saturating_add(self.limit), ..self })
    }

    /// Says how to show more.
    fn tell_more(self, are: &str) {
        let at_once = if self.limit < self.most { ", and --limit more at once" } else { "" };
        let next = self.offset.saturating_add(self.limit);
        output::note(&format!(
            "note: there {are} more than these {}: --offset {next} shows the next ones{at_once}",
            self.limit
        ));
    }
}

/// The form of a list.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// The field that holds the objects in JSON and YAML; without it, the list is the whole
    /// document.
    pub envelope: Option<&'a str>,
    /// The fields that are the columns of the table.
    pub columns: &'a [&'a str],
    /// The field that `--quiet` prints.
    pub name: &'a str,
    /// The message if the list is empty.
    pub none: &'a str,
}

fn on_a_pipe(form: Option<Form>) -> Form {
    form.unwrap_or(if std::io::stdout().is_terminal() { Form::Table } else { Form::Json })
}

impl JsonListArgs {
    /// Whether a table is printed.
    #[must_use]
    pub fn is_table(self) -> bool {
        on_a_pipe(self.output) == Form::Table && !self.quiet
    }

    /// Prints a list.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON.
    pub fn print(self, listed: Listed<'_>, items: Vec<Value>) -> Result<ExitCode> {
        print(on_a_pipe(self.output), self.quiet, listed, items)
    }
}

impl Default for ListArgs {
    fn default() -> Self {
        Self { output: Form::Table, quiet: false }
    }
}

impl ListArgs {
    /// Prints a list.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON.
    pub fn print(self, listed: Listed<'_>, items: Vec<Value>) -> Result<ExitCode> {
        print(self.output, self.quiet, listed, items)
    }

    /// Whether a table is requested.
    #[must_use]
    pub fn is_table(self) -> bool {
        self.output == Form::Table && !self.quiet
    }
}

impl ShowArgs {
    /// Prints one object.
    ///
    /// # Errors
    ///
    /// What cannot be written as JSON.
    pub fn print(self, object: &Value) -> Result<ExitCode> {
        match on_a_pipe(self.output) {
            Form::Json => output::json(object)?,
            Form::Yaml => output::yaml(object),
            Form::Table => {
                let fields = object.as_object().into_iter().flatten();
                let rows = fields.map(|(name, value)| vec![title(name), cell(value)]).collect();
                output::table(&[], rows);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(form: Form, quiet: bool, listed: Listed<'_>, mut items: Vec<Value>) -> Result<ExitCode> {
    // A revision is not the object's, but its answer's.
    for item in &mut items {
        if let Value::Object(fields) = item {
            fields.shift_remove("etag");
        }
    }
    if quiet {
        let names = items.iter().filter_map(|item| item.get(listed.name));
        names.for_each(|name| output::value(&cell(name)));
        return Ok(ExitCode::SUCCESS);
    }
    if form == Form::Table {
        if items.is_empty() {
            output::note(listed.none);
            return Ok(ExitCode::SUCCESS);
        }
        let titles: Vec<String> = listed.columns.iter().map(|name| title(name)).collect();
        let row = |item: &Value| {
            let cells =
                listed.columns.iter().map(|name| item.get(name).map_or_else(String::new, cell));
            cells.collect()
        };
        output::table(&titles, items.iter().map(row).collect());
        return Ok(ExitCode::SUCCESS);
    }
    let whole = match listed.envelope {
        Some(envelope) => serde_json::json!({ envelope: items }),
        None => Value::Array(items),
    };
    match form {
        Form::Json => output::json(&whole)?,
        _ => output::yaml(&whole),
    }
    Ok(ExitCode::SUCCESS)
}

/// A field's name as a title: `room_name` is `Room_Name`.
fn title(field: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect::<String>()
        })
    };
    field.split('_').map(word).collect::<Vec<_>>().join("_")
}

/// A value in one cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_and_cells_read_as_the_references_do() {
        assert_eq!(title("room_name"), "Room_Name");
        assert_eq!(title("data_keys"), "Data_Keys");
        assert_eq!(cell(&serde_json::json!(["a", "b"])), "a, b");
        assert_eq!(cell(&Value::Null), "");
    }
}
