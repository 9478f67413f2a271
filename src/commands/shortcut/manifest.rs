//! The manifest that is equivalent to a shortcut.

use crate::error::{Error, Result};
use crate::kinds::tree::Tree;
use crate::manifest::export::{self, Agents, Kept, Layout, Object};
use crate::output;
use crate::plan::Plan;

/// Prints the manifest that is equivalent to the plan.
///
/// # Errors
///
/// What no manifest can declare.
pub fn declare(plan: &Plan, agents: Agents) -> Result<()> {
    for operation in &plan.operations {
        let object = Object {
            key: operation.key.clone(),
            fields: operation
                .fields()
                .map(|fields| Tree::clone(fields))
                .unwrap_or_else(|| Tree::map([])),
            kept: Kept::default(),
            ignored: Vec::new(),
        };
        let export = export::export(vec![object], Layout::Kind, agents);
        let Some(text) = export.files.values().next() else {
            return Err(Error::failed(export.notes.join("; ")));
        };
        output::exactly(text);
        for (variable, field) in &export.variables {
            output::note(&format!("note: {field} is read from the environment as {variable}"));
        }
    }
    Ok(())
}
