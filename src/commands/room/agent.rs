//! `room agent`: agents and their toolkits.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::invoke::{self, InvokeToolArgs};
use super::{InRoom, RoomArgs, run_one};
use crate::commands::show::{JsonListArgs, Listed};
use crate::error::Result;
use crate::room::agents::{ListToolkits, Tool, Toolkit, Toolkits};

/// Commands of `room agent`.
#[derive(Debug, clap::Subcommand)]
pub enum AgentCommand {
    /// Call a tool of a toolkit
    // The reference has another --timeout here than that of requests.
    #[command(mut_arg("timeout", |it| it.long("request-timeout")))]
    InvokeTool(InvokeToolArgs),
    /// List the toolkits that are in a room, with their tools
    ListToolkits(ListToolkitsArgs),
}

/// Arguments of `room agent list-toolkits`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent room agent list-toolkits --room lobby\n  meshagent room agent list-toolkits --room lobby -q   # their names, one per line"
)]
pub struct ListToolkitsArgs {
    /// Only those that this participant may use; without it, those that you may use
    #[arg(long, value_name = "ID")]
    participant_id: Option<String>,
    /// Accepted but ignored: the platform's token sets your role in the room
    #[arg(long, value_name = "ROLE", default_value = "user")]
    role: String,
    #[command(flatten)]
    show: JsonListArgs,
    #[command(flatten)]
    at: RoomArgs,
}

impl InRoom for ListToolkitsArgs {
    type Asked = ListToolkits;

    fn at(&self) -> &RoomArgs {
        &self.at
    }

    fn asked(&self) -> Result<ListToolkits> {
        let participant_id = self.participant_id.clone();
        Ok(ListToolkits { participant_id, ..ListToolkits::default() })
    }

    fn show(&self, answer: Toolkits) -> Result<ExitCode> {
        let is_table = self.show.is_table();
        let listed = Listed {
            envelope: None,
            columns: &["name", "title", "description", "tools"],
            name: "name",
            none: "there are no toolkits in the room",
        };
        let toolkits = answer.tools.iter();
        self.show.print(listed, toolkits.map(|(name, it)| shown(name, it, is_table)).collect())
    }
}

/// A toolkit as it is printed; a table has only the names of its tools.
fn shown(name: &str, toolkit: &Toolkit, is_table: bool) -> Value {
    let tools = toolkit.tools.iter().map(|(name, tool)| match is_table {
        true => name.as_str().into(),
        false => shown_tool(name, tool),
    });
    json!({
        "name": name,
        "title": toolkit.title,
        "description": toolkit.description,
        "thumbnail_url": toolkit.thumbnail_url,
        "tools": tools.collect::<Vec<Value>>(),
    })
}

fn shown_tool(name: &str, tool: &Tool) -> Value {
    json!({
        "name": name,
        "title": tool.title,
        "description": tool.description,
        "input_schema": tool.takes(),
        "thumbnail_url": tool.thumbnail_url,
        "defs": tool.defs,
        "supports_context": tool.takes_context(),
    })
}

/// Runs a command of `room agent`.
///
/// # Errors
///
/// As [`super::run`].
pub async fn run(command: AgentCommand) -> Result<ExitCode> {
    match command {
        AgentCommand::InvokeTool(args) => invoke::run(&args).await,
        AgentCommand::ListToolkits(args) => run_one(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolkit_is_shown_as_the_reference_shows_it() {
        let schema = json!({"type": "object"});
        let told = json!({"title": "T", "description": "d", "participant_id": "p", "tools": {
            "look": {"title": "Look", "input_spec": {"types": ["json"], "schema": schema}},
        }});
        let toolkit: Toolkit = serde_json::from_value(told).unwrap();
        let tool = json!({
            "name": "look", "title": "Look", "description": "", "input_schema": schema,
            "thumbnail_url": null, "defs": null, "supports_context": false,
        });
        let expected = |tools: Value| {
            json!({
                "name": "t", "title": "T", "description": "d", "thumbnail_url": null,
                "tools": tools,
            })
        };
        assert_eq!(shown("t", &toolkit, false), expected(json!([tool])));
        assert_eq!(shown("t", &toolkit, true), expected(json!(["look"])));
    }
}
