//! What is shown while a plan is performed.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::ApplyFormat;
use super::report::line;
use crate::apply::execute::{Outcome, Progress};
use crate::output;
use crate::plan::{Operation, Plan};
use crate::reconcile::events::{Event, Events};

/// Events for programs, otherwise one line per operation, on a terminal with a bar below.
pub fn reporter(plan: &Plan, format: ApplyFormat) -> Box<dyn Progress + '_> {
    if format == ApplyFormat::Json {
        return Box::new(Events { plan, tell: |event| print(&event) });
    }
    if !std::io::stderr().is_terminal() || plan.is_empty() {
        return Box::new(Lines { plan });
    }
    let bar = ProgressBar::new(plan.operations.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} {elapsed} {wide_msg}")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Box::new(Bar { plan, bar, running: Mutex::new(Vec::new()) })
}

/// Prints an event as one line on standard output. Every event can be written as JSON, so there is
/// no error to report.
pub fn print(event: &Event) {
    let _ = output::json_line(event);
}

struct Lines<'a> {
    plan: &'a Plan,
}

impl Progress for Lines<'_> {
    fn started(&self, _operation: &Operation) {}

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        output::note(&line(self.plan, operation, outcome));
    }
}

struct Bar<'a> {
    plan: &'a Plan,
    bar: ProgressBar,
    running: Mutex<Vec<String>>,
}

impl Bar<'_> {
    fn show(&self, change: impl FnOnce(&mut Vec<String>)) {
        let mut running = self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut running);
        self.bar.set_message(running.join(", "));
    }
}

impl Progress for Bar<'_> {
    fn started(&self, operation: &Operation) {
        self.show(|running| running.push(operation.key.to_string()));
    }

    fn finished(&self, operation: &Operation, outcome: &Outcome) {
        let name = operation.key.to_string();
        self.bar.suspend(|| output::note(&line(self.plan, operation, outcome)));
        self.show(|running| {
            if let Some(index) = running.iter().position(|running| *running == name) {
                running.remove(index);
            }
        });
        self.bar.inc(1);
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
