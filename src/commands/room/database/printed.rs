//! How rows are printed: as they come, however many there are.

use std::io::IsTerminal;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meshagent_arrow::write::{Writer, columns_of};
use meshagent_tables::value::Row;
use meshagent_tables::{Field, Value as Held};
use serde_json::{Map, Value};

use crate::commands::room::printing::Pretty;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::visible;

/// How many rows are laid out in columns at once.
const PAGE: usize = 1000;

/// The form in which rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A list of objects.
    Json,
    /// For people.
    Table,
    /// For other programs.
    Csv,
    /// A stream of Arrow, for programs that keep rows in columns.
    Arrow,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PrintingArgs {
    /// Output format [default: table; json if the output is not a terminal]
    #[arg(short, long, value_enum)]
    output: Option<Form>,
    #[command(flatten)]
    pretty: Pretty,
}

impl PrintingArgs {
    fn form(self) -> Form {
        self.output.unwrap_or_else(|| match std::io::stdout().is_terminal() {
            true => Form::Table,
            false => Form::Json,
        })
    }

    /// Whether the columns' types are needed, which rows do not tell.
    pub fn needs_types(self) -> bool {
        self.form() == Form::Arrow
    }

    /// Whether the form can be printed where standard output goes.
    ///
    /// # Errors
    ///
    /// It would be bytes on a terminal.
    pub fn check(self) -> Result<()> {
        match self.needs_types() && std::io::stdout().is_terminal() {
            true => Err(Error::usage("-o arrow prints bytes, which a terminal does not show")
                .hint("write them to a file, as in `-o arrow > rows.arrows`, or pipe them into a program")),
            false => Ok(()),
        }
    }
}

/// Prints rows.
pub struct Printer {
    form: Form,
    is_pretty: bool,
    /// Whether something was printed.
    is_begun: bool,
    /// The columns: at first those that are known, then as the first row has them.
    columns: Vec<String>,
    /// Rows that are laid out with others, or from which it follows what their columns are.
    page: Vec<Row>,
    /// Columns with their types, as far as they are known before there is a row.
    planned: Vec<Field>,
    /// The stream of Arrow, once its columns are known.
    stream: Option<Writer>,
}

impl Printer {
    /// Prints nothing yet. The columns are those that are known before there is a row, those with
    /// types only where the form needs them.
    pub fn new(args: PrintingArgs, columns: Vec<String>, planned: Vec<Field>) -> Self {
        let page = Vec::new();
        let is_pretty = args.pretty.is_wanted();
        Self { form: args.form(), is_pretty, is_begun: false, columns, page, planned, stream: None }
    }

    /// Prints rows, or keeps some of them until there are more.
    ///
    /// # Errors
    ///
    /// What cannot be written in the form.
    pub fn take(&mut self, rows: Vec<Row>) -> Result<()> {
        match self.form {
            Form::Json => output::exactly(&visible::json(&self.json(rows)?)),
            Form::Csv => show_csv(&self.csv(rows)?),
            Form::Table => {
                self.page.extend(rows);
                if self.page.len() >= PAGE {
                    self.lay_out();
                }
            }
            Form::Arrow => output::raw(&self.arrow(rows)?),
        }
        Ok(())
    }

    /// Prints what was kept, and the end.
    ///
    /// # Errors
    ///
    /// As [`Self::take`].
    pub fn end(&mut self) -> Result<()> {
        match (self.form, self.is_begun) {
            (Form::Json, false) => output::exactly("[]\n"),
            (Form::Json, true) if self.is_pretty => output::exactly("\n]\n"),
            (Form::Json, true) => output::exactly("]\n"),
            (Form::Csv, false) => show_csv(&self.titles()?),
            (Form::Csv, true) => {}
            (Form::Table, _) => {
                self.lay_out();
                if !self.is_begun {
                    output::note("there are no rows");
                }
            }
            (Form::Arrow, _) => output::raw(&self.arrow_end()?),
        }
        Ok(())
    }

    /// Prints what was kept, and no end: there should have been more.
    ///
    /// # Errors
    ///
    /// As [`Self::take`].
    pub fn give_up(&mut self) -> Result<()> {
        match self.form {
            Form::Json if self.is_begun => output::exactly("\n"),
            // What is not ended is known to lack something.
            Form::Json | Form::Csv | Form::Arrow => {}
            Form::Table => self.lay_out(),
        }
        Ok(())
    }

    /// Rows as items of a list.
    fn json(&mut self, rows: Vec<Row>) -> Result<String> {
        let mut text = String::new();
        for row in rows {
            let object: Map<String, Value> =
                row.into_iter().map(|(name, value)| (name, value.to_plain())).collect();
            let written = match self.is_pretty {
                true => serde_json::to_string_pretty(&object),
                false => serde_json::to_string(&object),
            };
            let written = written.context(|| "failed to write JSON".to_owned())?;
            text.push(if self.is_begun { ',' } else { '[' });
            self.is_begun = true;
            if self.is_pretty {
                for line in written.lines() {
                    text.push_str("\n  ");
                    text.push_str(line);
                }
            } else {
                text.push_str(&written);
            }
        }
        Ok(text)
    }

    /// Rows as lines, below their titles.
    fn csv(&mut self, rows: Vec<Row>) -> Result<String> {
        let failed = || "failed to write CSV".to_owned();
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            if !self.is_begun {
                self.columns = row.iter().map(|(name, _)| name.clone()).collect();
                writer.write_record(&self.columns).context(failed)?;
                self.is_begun = true;
            }
            if let Some((name, _)) = row.iter().find(|(name, _)| !self.columns.contains(name)) {
                return Err(Error::failed(failed())
                    .because(format!("the first row has no column {name:?}"))
                    .hint("use -o json"));
            }
            let cells = self.columns.iter().map(|column| {
                row.iter()
                    .find(|(name, _)| name == column)
                    .map_or_else(String::new, |(_, it)| cell(it))
            });
            writer.write_record(cells).context(failed)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| Error::failed(failed()).because(error.to_string()))?;
        String::from_utf8(bytes).context(failed)
    }

    /// The line with the titles, where no row says what they are; nothing if they are unknown.
    fn titles(&self) -> Result<String> {
        let failed = || "failed to write CSV".to_owned();
        let mut writer = csv::Writer::from_writer(Vec::new());
        if !self.columns.is_empty() {
            writer.write_record(&self.columns).context(failed)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| Error::failed(failed()).because(error.to_string()))?;
        String::from_utf8(bytes).context(failed)
    }

    /// Rows as a batch of a stream, which begins as soon as its columns are known: at once if they were
    /// planned.
    fn arrow(&mut self, rows: Vec<Row>) -> Result<Vec<u8>> {
        if let Some(stream) = &mut self.stream {
            stream.rows(&rows).map_err(no_arrow)?;
            return Ok(stream.taken());
        }
        self.page.extend(rows);
        let is_planned = |name: &String| self.planned.iter().any(|field| field.name == *name);
        let first = self.page.first();
        let is_known = first.is_some_and(|row| row.iter().all(|(name, _)| is_planned(name)));
        match is_known || self.page.len() >= PAGE {
            true => self.arrow_begun(),
            false => Ok(Vec::new()),
        }
    }

    /// The beginning of a stream, with the rows that were kept.
    fn arrow_begun(&mut self) -> Result<Vec<u8>> {
        let rows = std::mem::take(&mut self.page);
        let mut stream = Writer::new(columns_of(&self.planned, &rows)).map_err(no_arrow)?;
        stream.rows(&rows).map_err(no_arrow)?;
        let begun = stream.taken();
        self.stream = Some(stream);
        Ok(begun)
    }

    /// What of a stream is left to print.
    fn arrow_end(&mut self) -> Result<Vec<u8>> {
        let mut bytes = match self.stream {
            Some(_) => Vec::new(),
            None => self.arrow_begun()?,
        };
        if let Some(stream) = &mut self.stream {
            stream.end().map_err(no_arrow)?;
            bytes.extend(stream.taken());
        }
        Ok(bytes)
    }

    /// Prints what was kept in columns.
    fn lay_out(&mut self) {
        let page = std::mem::take(&mut self.page);
        if page.is_empty() {
            return;
        }
        self.is_begun = true;
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in page.iter().flatten() {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let line = |row: Row| {
            let cell = |column: &String| {
                row.iter()
                    .find(|(name, _)| name == column)
                    .map_or_else(String::new, |(_, it)| cell(it))
            };
            columns.iter().map(cell).collect()
        };
        let rows = page.into_iter().map(line).collect();
        output::table(&columns, rows);
    }
}

/// A value as a text.
fn cell(value: &Held) -> String {
    match value {
        Held::Null => String::new(),
        Held::Text(text) => text.clone(),
        Held::Binary(bytes) => STANDARD.encode(bytes),
        Held::Date(day) => day.to_string(),
        Held::Timestamp(moment) => moment.to_string(),
        other => other.to_plain().to_string(),
    }
}

/// The error for what a stream of Arrow cannot have.
fn no_arrow(why: String) -> Error {
    Error::failed("failed to write Arrow")
        .because(why)
        .hint("make all values of the column the same type in the statement, or use -o json")
}

/// Prints CSV; on a terminal, so that nothing in it is obeyed.
fn show_csv(text: &str) {
    match std::io::stdout().is_terminal() {
        true => output::data(text),
        false => output::exactly(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printer(form: Form, is_pretty: bool) -> Printer {
        Printer {
            form,
            is_pretty,
            is_begun: false,
            columns: Vec::new(),
            page: Vec::new(),
            planned: Vec::new(),
            stream: None,
        }
    }

    fn row(id: i64, text: &str) -> Row {
        vec![("id".to_owned(), Held::Int(id)), ("t".to_owned(), Held::Text(text.to_owned()))]
    }

    #[test]
    fn batches_of_json_are_one_list() {
        for is_pretty in [true, false] {
            let mut printer = printer(Form::Json, is_pretty);
            let mut text = printer.json(Vec::new()).unwrap();
            assert_eq!(text, "");
            text += &printer.json(vec![row(1, "a\n"), row(2, "ü")]).unwrap();
            text +=
                &printer.json(vec![vec![("b".to_owned(), Held::Binary(vec![0, 255]))]]).unwrap();
            // What is not ended is no JSON.
            assert!(serde_json::from_str::<Value>(&text).is_err());
            text += "]";
            let expected = json!([
                {"id": 1, "t": "a\n"}, {"id": 2, "t": "ü"},
                {"b": {"encoding": "base64", "data": "AP8="}},
            ]);
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
            assert_eq!(text.contains("\n    \"id\": 1,\n"), is_pretty, "{text}");
        }
    }

    #[test]
    fn csv_has_titles_once_and_cells_by_name() {
        let mut printer = printer(Form::Csv, true);
        let mut text = printer.csv(vec![row(1, "a,\"b\"\n")]).unwrap();
        let mut other = row(2, "");
        other.reverse();
        text += &printer.csv(vec![other, vec![("id".to_owned(), Held::Null)]]).unwrap();
        assert_eq!(text, "id,t\n1,\"a,\"\"b\"\"\n\"\n2,\n,\n");
        assert!(printer.csv(vec![vec![("x".to_owned(), Held::Null)]]).is_err());
    }

    #[test]
    fn csv_without_rows_has_the_titles_that_are_known() {
        let mut printer = printer(Form::Csv, true);
        assert_eq!(printer.titles().unwrap(), "");
        printer.columns = vec!["id".to_owned(), "a,b".to_owned()];
        assert_eq!(printer.titles().unwrap(), "id,\"a,b\"\n");
        // A row says more than what was known.
        assert_eq!(printer.csv(vec![row(1, "x")]).unwrap(), "id,t\n1,x\n");
    }

    #[test]
    fn values_are_texts_in_cells() {
        for (value, text) in [
            (Held::Null, ""),
            (Held::Bool(true), "true"),
            (Held::Float(0.5), "0.5"),
            (Held::Binary(vec![0, 255]), "AP8="),
            (Held::Vector(vec![0.5]), "[0.5]"),
            (Held::Struct(vec![("a".to_owned(), Held::Int(1))]), "{\"a\":1}"),
        ] {
            assert_eq!(cell(&value), text);
        }
    }
}
