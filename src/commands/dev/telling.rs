//! How rounds and logs are shown: lines for people, or objects for programs.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::rc::Rc;

use anstyle::AnsiColor;
use serde_json::Value;

use crate::commands::apply::ApplyFormat;
use crate::commands::apply::progress::print;
use crate::conceal;
use crate::error::Error;
use crate::output;
use crate::reconcile::events::{Event, Failure};
use crate::room::developer::{self, LOGS, Record};
use crate::visible;

/// The colours by which names are told apart.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Yellow,
    AnsiColor::BrightCyan,
];

/// How wide the column of names gets at most.
const WIDEST: usize = 24;

/// Shows what happens. Clones share the width of the column of names.
#[derive(Clone)]
pub struct Telling {
    format: ApplyFormat,
    is_coloured: bool,
    width: Rc<Cell<usize>>,
}

impl Telling {
    /// In a format.
    pub fn new(format: ApplyFormat) -> Self {
        Self { format, is_coloured: std::io::stdout().is_terminal(), width: Rc::default() }
    }

    /// Whether it is for programs.
    pub fn is_json(&self) -> bool {
        self.format == ApplyFormat::Json
    }

    /// Shows an event to programs.
    pub fn event(&self, event: &Event) {
        if self.is_json() {
            print(event);
        }
    }

    /// Shows a line of a round to people.
    pub fn line(&self, line: &str) {
        if !self.is_json() {
            output::data(&format!("{line}\n"));
        }
    }

    /// Shows a note.
    pub fn note(&self, message: &str) {
        match self.format {
            ApplyFormat::Text => output::note(&format!("note: {message}")),
            ApplyFormat::Json => print(&Event::Note { message: message.to_owned() }),
        }
    }

    /// Shows why a round did not do all that it should.
    pub fn error(&self, error: &Error) {
        self.event(&Event::Error(Failure::of(error)));
        output::error(error);
    }

    /// Shows what was logged in a room. Secrets of manifests are taken out of it.
    pub fn logged(&self, room: &str, event: developer::Event) {
        if event.kind == LOGS {
            event.records().into_iter().for_each(|record| self.record(room, record));
            return;
        }
        let body = format!("{} {}", event.kind, Value::Object(event.data));
        self.record(room, Record { of: None, nanos: None, severity: "INFO".to_owned(), body });
    }

    fn record(&self, room: &str, Record { of, nanos, severity, body }: Record) {
        let body = conceal::within_answer(&body).into_owned();
        if self.is_json() {
            let time = nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok());
            print(&Event::Log {
                room: room.to_owned(),
                service: of,
                time: time.map(|time| time.to_string()),
                severity,
                message: body,
            });
            return;
        }
        let name = of.unwrap_or_else(|| room.to_owned());
        let width = name.chars().count().min(WIDEST).max(self.width.get());
        self.width.set(width);
        output::data(&lines(&name, (&severity, &body), width, self.is_coloured));
    }
}

/// A record as lines, each with the name before it.
fn lines(name: &str, (severity, body): (&str, &str), width: usize, is_coloured: bool) -> String {
    let shown = visible::line(name).into_owned();
    let padding = " ".repeat(width.saturating_sub(shown.chars().count()));
    let prefix = match is_coloured {
        true => {
            let which = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_add(byte.into()));
            let style = COLOURS[which % COLOURS.len()].on_default();
            format!("{style}{shown}{padding} |{style:#}")
        }
        false => format!("{shown}{padding} |"),
    };
    // Most of what a container writes has no severity of its own.
    let severity = match severity {
        "INFO" | "" => String::new(),
        severity => format!("{} ", visible::line(severity)),
    };
    let mut lines = String::new();
    for line in body.trim_end_matches(['\n', '\r']).split('\n') {
        let line = visible::line(line.trim_end_matches('\r'));
        // A text can always be written to.
        let _ = writeln!(lines, "{}", format!("{prefix} {severity}{line}").trim_end());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_log_has_its_name_and_nothing_forged() {
        let shown = |name: &str, said| lines(name, said, 5, false);
        assert_eq!(shown("a", ("INFO", "one\ntwo\n")), "a     | one\na     | two\n");
        assert_eq!(shown("agent", ("WARN", "x")), "agent | WARN x\n");
        assert_eq!(shown("longer", ("ERROR", "")), "longer | ERROR\n");
        let forged = shown("a\nb", ("INFO\u{1b}[1m", "\u{1b}[31mred\rx"));
        assert_eq!(forged, "a\\nb  | INFO\\u{1b}[1m \\u{1b}[31mred\\rx\n");
        assert!(lines("a", ("INFO", "x"), 1, true).contains("\u{1b}["));
    }
}
