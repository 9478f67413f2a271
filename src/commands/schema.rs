//! `schema`: JSON Schemas, as they are published in `schemas/`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::plan::PlansDocument;
use super::validate::Validation;
use crate::approval::verdict::ApprovalsDocument;
use crate::error::{Context, Error, Result};
use crate::kinds::{self, By, Kind, KindName, Relation, schema};
use crate::listed::nearest;
use crate::output;
use crate::plan::document::PlanDocument;
use crate::project_file;
use crate::reconcile::events::Event;
use crate::reconcile::history::HistoryDocument;
use crate::reconcile::report::ReportDocument;
use crate::whole_file;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  meshagent schema Service\n  meshagent schema plan\n  meshagent schema -d schemas   # all of them, a file each"
)]
pub struct SchemaArgs {
    /// A kind, `plan` for plans, `plans` for those of all environments, `project-file` for meshagent.yaml, `events` for what apply prints as JSON, `report` for what --report writes, `approvals` for what approvals prints as JSON, `history` for what history prints as JSON, or `validation` for what validate prints as JSON; without it, or with `manifest`, one schema for all kinds
    kind: Option<String>,
    /// Write every schema to this folder, and kinds.md, a table of the kinds
    #[arg(short, long, value_name = "DIR", conflicts_with = "kind")]
    dir: Option<PathBuf>,
}

/// Every published schema, with the name of its file.
#[must_use]
pub fn all() -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = kinds::ALL
        .iter()
        .map(|kind| {
            (format!("{}.json", kind.name().to_string().to_lowercase()), schema::published(*kind))
        })
        .collect();
    all.push(("manifest.json".to_owned(), schema::combined()));
    all.push(("plan.json".to_owned(), schemars::schema_for!(PlanDocument).to_value()));
    all.push(("plans.json".to_owned(), schemars::schema_for!(PlansDocument).to_value()));
    // Its fields have values, or are left out.
    let mut project_file = schemars::schema_for!(project_file::Form).to_value();
    without_null(&mut project_file);
    all.push(("project-file.json".to_owned(), project_file));
    all.push(("events.json".to_owned(), schemars::schema_for!(Event).to_value()));
    all.push(("report.json".to_owned(), schemars::schema_for!(ReportDocument).to_value()));
    let approvals = schemars::schema_for!(ApprovalsDocument).to_value();
    all.push(("approvals.json".to_owned(), approvals));
    all.push(("history.json".to_owned(), schemars::schema_for!(HistoryDocument).to_value()));
    let validation = schemars::schema_for!(Validation).to_value();
    all.push(("validation.json".to_owned(), validation));
    let named = |(name, schema): (String, Value)| (name.clone(), identified(&name, schema));
    all.into_iter().map(named).collect()
}

/// Takes null out of all types of a schema.
fn without_null(schema: &mut Value) {
    let is_null = |it: &Value| it.is_null() || it == "null" || it["type"] == "null";
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(fields) => {
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            for name in ["type", "anyOf", "enum"] {
                let Some(Value::Array(items)) = fields.get_mut(name) else { continue };
                items.retain(|it| !is_null(it));
                if name == "type"
                    && let [only] = &items[..]
                {
                    let only = only.clone();
                    fields.insert(name.to_owned(), only);
                }
            }
            fields.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// The names that the command accepts, each with what it is.
#[must_use]
pub fn names() -> Vec<(String, Option<String>)> {
    let kinds = kinds::ALL.iter();
    let kinds = kinds.map(|kind| (kind.name().to_string(), Some(kind.summary().to_owned())));
    let others = OTHERS.map(|(name, about)| (name.to_owned(), Some(about.to_owned())));
    kinds.chain(others).collect()
}

/// What else has a schema, by the name of its file.
const OTHERS: [(&str, &str); 9] = [
    ("manifest", "documents of all kinds"),
    ("plan", "plans"),
    ("plans", "plans of all environments"),
    ("project-file", "meshagent.yaml"),
    ("events", "what apply prints as JSON"),
    ("report", "what --report writes"),
    ("approvals", "what approvals prints as JSON"),
    ("history", "what history prints as JSON"),
    ("validation", "what validate prints as JSON"),
];

/// The schema with its dialect and its own id, by which tools with several schemas distinguish
/// them. The id is only a name: nothing can be fetched from it.
fn identified(file: &str, schema: Value) -> Value {
    let Value::Object(keywords) = schema else { return schema };
    let mut named = serde_json::Map::new();
    named.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    let name = file.trim_end_matches(".json");
    named.insert("$id".to_owned(), format!("urn:meshagent:schema:{name}").into());
    named.extend(keywords);
    Value::Object(named)
}

/// What is published in `schemas/`, with the names of the files: every schema, and a table of the
/// kinds for people.
///
/// # Errors
///
/// A schema cannot be written as JSON.
pub fn published() -> Result<Vec<(String, String)>> {
    let text = |(name, schema): (String, Value)| {
        let text = serde_json::to_string_pretty(&schema);
        Ok((name, text.context(|| "failed to write JSON".to_owned())? + "\n"))
    };
    let mut files: Vec<_> = all().into_iter().map(text).collect::<Result<_>>()?;
    files.push(("kinds.md".to_owned(), table()));
    Ok(files)
}

/// The table of the kinds, in Markdown.
fn table() -> String {
    let mut text = "# The kinds\n\n\
        Written by `meshagent schema -d schemas`, like the schemas beside it. Everything except a\n\
        `Project` belongs to a project, which its document may name.\n\n\
        | kind | what it is | refers to |\n|---|---|---|\n"
        .to_owned();
    for kind in kinds::ALL {
        let (name, summary) = (kind.name(), kind.summary());
        let refers_to = referred_to(kind).join(", ");
        let file = name.to_string().to_lowercase();
        text += &format!("| [`{name}`]({file}.json) | {summary} | {refers_to} |\n");
    }
    text
}

/// What documents of a kind may refer to: the place, the template, and what their objects refer to.
fn referred_to(kind: &dyn Kind) -> Vec<String> {
    let document = schema::inlined(kind);
    let names = |field: &str, to| {
        let is_field = document["properties"].get(field).is_some();
        let is_related = kind.name().refers_to(to).is_some();
        (is_field && !is_related).then_some(Relation { to, by: By::Name })
    };
    let placed = [("room", KindName::of_rooms()), ("template", KindName::ServiceTemplate)];
    let placed = placed.into_iter().filter_map(|(field, to)| names(field, to));
    let relations = placed.chain(kind.declares().kind().relations().iter().copied());
    let told = relations.map(|relation| match relation.by {
        By::Name | By::Id | By::Email => format!("`{}`", relation.to),
        By::Port => format!("`{}`, by its port", relation.to),
    });
    told.collect()
}

/// Runs `schema`.
///
/// # Errors
///
/// A kind that does not exist; a folder that cannot be written.
pub fn run(args: &SchemaArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.dir {
        std::fs::create_dir_all(folder)
            .context(|| format!("failed to create {}", folder.display()))?;
        let files = published()?;
        for (name, text) in &files {
            let path = folder.join(name);
            whole_file::write(&path, text.as_bytes())
                .context(|| format!("failed to write {}", path.display()))?;
        }
        output::note(&format!("wrote {} files to {}", files.len(), folder.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let name = args
        .kind
        .as_deref()
        .map_or_else(|| "manifest.json".to_owned(), |kind| format!("{}.json", kind.to_lowercase()));
    match all().into_iter().find(|(file, _)| *file == name) {
        Some((_, schema)) => output::json(&schema)?,
        None => {
            let names: Vec<String> = names().into_iter().map(|(name, _)| name).collect();
            return Err(unknown(args.kind.as_deref().unwrap_or_default(), &names));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The error for a kind that does not exist.
pub fn unknown_kind(written: &str) -> Error {
    let names: Vec<String> = kinds::ALL.iter().map(|kind| kind.name().to_string()).collect();
    unknown(written, &names)
}

fn unknown(written: &str, names: &[String]) -> Error {
    let error = Error::usage(format!("unknown kind `{written}`"));
    match nearest(written, names.iter().map(String::as_str)) {
        Some(name) => error.hint(format!("did you mean {name}?")),
        None => error.hint(format!("use one of {}", names.join(", "))),
    }
}
