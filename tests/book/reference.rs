//! The pages of the reference are made from the program and its schemas. `BLESS=1` writes them.

use clap::{Arg, ArgAction, Command};
use meshagent::commands::explain::{default_of, type_of};
use meshagent::kinds::{self, Kind, schema};
use serde_json::Value;

use super::pages;

/// The options that every command has are told once.
const OF_ALL: [&str; 3] = ["help", "version", "log"];

/// A text in a cell of a table. What is not code has no marks of Markdown.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let parts = line.split('`').enumerate().map(|(index, part)| match index % 2 {
        0 => part.replace('*', "\\*").replace('<', "\\<"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// An option or argument as it is written in a line.
fn spelled(argument: &Arg) -> String {
    let short = argument.get_short().map(|it| format!("-{it}"));
    let long = argument.get_long().map(|it| format!("--{it}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let id = argument.get_id().to_string().to_uppercase();
    let value = argument.get_value_names().map_or(id, |names| names.join("> <"));
    let is_optional = argument.get_num_args().is_some_and(|count| count.min_values() == 0);
    let value = match (is_optional && takes, argument.is_require_equals_set()) {
        (true, true) => return format!("`{}[=<{value}>]`", names.join(", ")),
        (true, false) if !names.is_empty() => {
            return format!("`{} [<{value}>]`", names.join(", "));
        }
        _ => value,
    };
    match (names.is_empty(), takes) {
        (true, _) => format!("`<{value}>`"),
        (false, true) => format!("`{} <{value}>`", names.join(", ")),
        (false, false) => format!("`{}`", names.join(", ")),
    }
}

/// What an option or argument means.
fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let values = argument.get_possible_values();
    if !values.is_empty() && !matches!(argument.get_action(), ArgAction::SetTrue) {
        let values: Vec<_> = values.iter().map(|it| format!("`{}`", it.get_name())).collect();
        text += &format!("; one of {}", values.join(", "));
    }
    let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let defaults = argument.get_default_values().iter().filter(|_| takes);
    let defaults: Vec<_> = defaults.map(|it| format!("`{}`", it.to_string_lossy())).collect();
    if !defaults.is_empty() {
        text += &format!("; default {}", defaults.join(", "));
    }
    if let Some(variable) = argument.get_env() {
        text += &format!("; variable `{}`", variable.to_string_lossy());
    }
    if argument.is_required_set() {
        text += "; required";
    }
    cell(&text)
}

/// The options of a command below a heading of its help, as a table.
fn table(command: &Command, heading: Option<&str>) -> String {
    let is_told = |it: &&Arg| {
        it.get_help_heading() == heading
            && !it.is_hide_set()
            && !OF_ALL.contains(&it.get_id().as_str())
    };
    let rows = command.get_arguments().filter(is_told);
    let rows: String = rows.map(|it| format!("| {} | {} |\n", spelled(it), meaning(it))).collect();
    let title = heading.unwrap_or("options").to_lowercase();
    if rows.is_empty() { rows } else { format!("| {title} | meaning |\n|---|---|\n{rows}\n") }
}

/// A command and those below it, in the order of the help.
fn described(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    *text += &format!("## {name}\n\n{about}.\n\n");
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    *text += &format!("```text\n{usage}\n```\n\n");
    let aliases: Vec<_> = command.get_visible_aliases().map(|it| format!("`{it}`")).collect();
    if !aliases.is_empty() {
        *text += &format!("Also called {}.\n\n", aliases.join(", "));
    }
    let mut headings: Vec<Option<&str>> = vec![None];
    for heading in command.get_arguments().map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        *text += &table(command, heading);
    }
    if let Some(after) = command.get_after_help() {
        *text += &format!("```text\n{}\n```\n\n", after.to_string().trim_end());
    }
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        described(below, text);
    }
}

fn commands() -> String {
    let tree = meshagent::commands::whole_tree();
    let log = tree.get_arguments().find(|it| it.get_id() == "log").expect("--log");
    let mut text = format!(
        "# Commands\n\n\
         This page is generated from the program: every command and its options, in the order of\n\
         `meshagent --help`. Every command also has `-h, --help`, `-V, --version` and this option:\n\n\
         | option | meaning |\n|---|---|\n| {} | {} |\n\n",
        spelled(log),
        meaning(log),
    );
    for command in tree.get_subcommands().filter(|it| !it.is_hide_set()) {
        described(command, &mut text);
    }
    text.trim_end().to_owned() + "\n"
}

/// The fields below a schema with their paths, each before those below it.
fn fields(path: &str, schema: &Value, rows: &mut String) {
    let below = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = below(name);
        let description = field["description"].as_str().unwrap_or_default();
        let is_required = required.iter().any(|it| it == name.as_str());
        let mark = if is_required { ", required" } else { "" };
        let kind = cell(&format!("{}{mark}{}", type_of(field), default_of(field)));
        *rows += &format!("| `{path}` | {kind} | {} |\n", cell(description));
        fields(&path, field, rows);
    }
    if schema["items"].is_object() {
        fields(&format!("{path}[]"), &schema["items"], rows);
    }
    if schema["additionalProperties"].is_object() {
        fields(&below("NAME"), &schema["additionalProperties"], rows);
    }
    for choice in ["anyOf", "oneOf"] {
        let options = schema[choice].as_array().into_iter().flatten();
        options.for_each(|option| fields(path, option, rows));
    }
}

/// A kind with all of its fields, and its example.
fn kind(kind: &dyn Kind) -> String {
    let mut rows = String::new();
    fields("", schema::inlined(kind), &mut rows);
    let (name, summary, example) = (kind.name(), kind.summary(), kind.example().trim_end());
    let summary = summary[..1].to_uppercase() + &summary[1..];
    format!(
        "## {name}\n\n{summary}.\n\n| field | type | meaning |\n|---|---|---|\n{rows}\n\
         ```yaml\n{example}\n```\n\n"
    )
}

fn every_field() -> String {
    let published = meshagent::commands::schema::published().expect("schemas");
    let (_, table) = published.into_iter().find(|(name, _)| name == "kinds.md").expect("a table");
    let (_, rows) = table.split_once("\n|---|---|---|\n").expect("rows");
    // The schemas are no part of the book; the sections below are.
    let mut rows = rows.to_owned();
    for kind in kinds::ALL {
        let name = kind.name().to_string().to_lowercase();
        rows = rows.replace(&format!("({name}.json)"), &format!("(#{name})"));
    }
    let kinds: String = kinds::ALL.map(kind).concat();
    let text = format!(
        "# Fields\n\n\
         This page is generated from the schemas: every kind and its fields. `[]` stands for each\n\
         item of a list, `NAME` for any name. `meshagent explain KIND.FIELD` shows the same in a\n\
         terminal.\n\n| kind | what it is | refers to |\n|---|---|---|\n{rows}\n{kinds}"
    );
    text.trim_end().to_owned() + "\n"
}

/// Compares a page with what it must be.
fn compare(name: &str, made: &str) {
    if std::env::var_os("BLESS").is_some() {
        let path = pages::path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, made).expect("the page");
    }
    let written = std::fs::read_to_string(pages::path(name)).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(written.as_str(), made);
    assert!(written == made, "{name}: BLESS=1 writes it anew:\n{}", diff.unified_diff());
}

/// What the page of fields says of a field, `explain` says as well.
#[test]
fn every_field_of_the_page_can_be_explained() {
    let page = pages::text("docs/reference/fields.md");
    let mut count = 0;
    for section in page.split("\n## ").skip(1) {
        let (name, body) = section.split_once('\n').expect("a kind");
        if meshagent::kinds::find(name).is_none() {
            continue;
        }
        let rows = body.lines().filter_map(|line| line.strip_prefix("| `"));
        for row in rows {
            let (field, rest) = row.split_once("` | ").expect("a field");
            let explained =
                meshagent::commands::explain::explained(&format!("{name}.{field}"), false);
            let explained = explained.unwrap_or_else(|error| panic!("{name}.{field}: {error}"));
            let (_, meaning) = rest.split_once(" | ").expect("a meaning");
            assert!(
                meaning != " |" && explained.lines().count() > 2,
                "{name}.{field} has no meaning"
            );
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn the_reference_has_every_command_and_option() {
    let made = commands();
    for told in ["\n## meshagent plan\n", "\n## meshagent room agent list-toolkits\n"] {
        assert!(made.contains(told), "{told}");
    }
    assert!(made.contains("| `-f, --file <PATH>` | A manifest"), "{made}");
    compare("docs/reference/commands.md", &made);
}

#[test]
fn the_reference_has_every_field() {
    let made = every_field();
    for told in ["| `container.environment[].name` |", "| `data.NAME.from.env` |"] {
        assert!(made.contains(told), "{told}");
    }
    compare("docs/reference/fields.md", &made);
}
