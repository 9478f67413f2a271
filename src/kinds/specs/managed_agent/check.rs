//! What is wrong with the configuration of a managed agent beyond its form.

use std::collections::BTreeMap;

use url::Url;

use super::{
    AllowedModel, CHECK_LIMIT, Configuration, Connection, ConnectionHeader, Failure, FailureAction,
    Guardrail, Guardrails, McpServer, Provider, PythonTool, READS_SECRETS, SOURCE_LIMIT, Toolkit,
    ToolkitType, Variable, input,
};
use crate::kinds::account_secret::other_owner;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::shape::Broken;

/// The most environment variables that an agent has.
pub const MOST_VARIABLES: usize = 64;

/// The most checks that an agent has.
const MOST_CHECKS: usize = 32;

/// The most secrets that a connection sends.
const MOST_SECRETS: usize = 16;

/// The headers that no connection sets: they belong to the connection itself, or to browsers.
const RESERVED: [&str; 18] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "cookie",
    "set-cookie",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
];

/// What is found, each at its place.
#[derive(Default)]
struct Found(Vec<Broken>);

impl Found {
    fn add(&mut self, path: FieldPath, message: &str, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.0.push(Broken { path, message: message.to_owned(), hint });
    }
}

/// An item of a list at a place.
fn item(list: &FieldPath, index: usize) -> FieldPath {
    list.join(Step::Index(index))
}

impl Configuration {
    /// What is wrong with it beyond its form, each with the field at fault. What a field holds is
    /// named only where it is a name.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        let mut found = Found::default();
        for (index, model) in self.allowed_models.iter().enumerate() {
            of_model(&item(&FieldPath::of(&["allowed_models"]), index), model, &mut found);
        }
        if let Some(run_as) = &self.run_as
            && run_as.scopes.iter().any(|scope| scope.trim() != scope || scope.is_empty())
        {
            let path = FieldPath::of(&["run_as", "scopes"]);
            found.add(path, "has a scope that is empty, or has blanks around it", "");
        }
        for (index, toolkit) in self.toolkits.iter().flatten().enumerate() {
            of_toolkit(&item(&FieldPath::of(&["toolkits"]), index), toolkit, &mut found);
        }
        for (index, tool) in self.tools.iter().enumerate() {
            of_tool(&item(&FieldPath::of(&["tools"]), index), tool, &mut found);
        }
        let names = self.tools.iter().map(|tool| tool.name.as_str());
        distinct(&FieldPath::of(&["tools"]), names, &mut found);
        for (name, connection) in &self.connections {
            let path = FieldPath::of(&["connections"]).join(Step::Field(name.clone()));
            of_connection(&path, connection, &mut found);
        }
        self.of_environment(&mut found);
        self.of_owners(&mut found);
        if let Some(guardrails) = &self.guardrails {
            of_guardrails(guardrails, &mut found);
        }
        found.0
    }

    fn of_environment(&self, found: &mut Found) {
        let list = FieldPath::of(&["environment"]);
        if self.environment.len() > MOST_VARIABLES {
            let message = format!("has more than {MOST_VARIABLES} variables");
            found.add(list.clone(), &message, "");
        }
        let scopes = self.run_as.as_ref().map(|run_as| &run_as.scopes);
        let reads = scopes.is_some_and(|scopes| scopes.iter().any(|it| it == READS_SECRETS));
        for (index, Variable { name, value, secret }) in self.environment.iter().enumerate() {
            let path = item(&list, index);
            if !is_identifier(name, 128) {
                found.add(
                    path.field("name"),
                    "must be up to 128 letters, digits and `_`, and begin with no digit",
                    "",
                );
            }
            one_of(&path, value.is_some(), secret.is_some(), found);
            if let Some(secret) = secret {
                not_blank(&path.field("secret").field("id"), &secret.id, found);
                if !reads {
                    let hint = "add `run_as` with the address of the account whose secret it is, and `secrets:read` in its `scopes`";
                    found.add(
                        path.field("secret"),
                        "needs `run_as` with the scope `secrets:read`",
                        hint,
                    );
                }
            }
        }
        distinct(&list, self.environment.iter().map(|it| it.name.as_str()), found);
    }

    /// An agent is given no secrets of other accounts than the one for which it acts.
    fn of_owners(&self, found: &mut Found) {
        let Some(run_as) = &self.run_as else { return };
        for (path, secret) in self.secrets() {
            let Some(owner) = other_owner(secret, &run_as.email) else { continue };
            let message = format!(
                "names a secret of the service account `{owner}`, and the agent acts for `{}`",
                run_as.email
            );
            let hint = format!(
                "let the agent act for `{owner}` (`run_as`), or name a secret of the account for which it acts"
            );
            found.add(path, &message, &hint);
        }
    }

    /// The secrets that it names, each with its field.
    #[must_use]
    pub fn secrets(&self) -> Vec<(FieldPath, &str)> {
        let list = FieldPath::of(&["environment"]);
        let variables = self.environment.iter().enumerate().filter_map(|(index, variable)| {
            let id = &variable.secret.as_ref()?.id;
            Some((item(&list, index).field("secret").field("id"), id.as_str()))
        });
        let headers = self.connections.iter().flat_map(|(name, connection)| {
            let path = FieldPath::of(&["connections"]).join(Step::Field(name.clone()));
            let path = path.field("headers");
            connection.headers.iter().enumerate().filter_map(move |(index, header)| {
                let id = &header.secret.as_ref()?.id;
                Some((item(&path, index).field("secret").field("id"), id.as_str()))
            })
        });
        variables.chain(headers).collect()
    }
}

/// Whether a text is a name in a program.
fn is_identifier(text: &str, most: usize) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = text.chars().next().is_some_and(|c| !c.is_ascii_digit());
    begins && text.len() <= most && text.chars().all(is_plain)
}

fn not_blank(path: &FieldPath, text: &str, found: &mut Found) {
    if text.trim().is_empty() {
        found.add(path.clone(), "must not be empty", "");
    }
}

fn one_of(path: &FieldPath, value: bool, secret: bool, found: &mut Found) {
    match (value, secret) {
        (true, true) => {
            found.add(path.field("secret"), "stands beside `value`", "remove one of the two")
        }
        (false, false) => {
            found.add(path.clone(), "has neither `value` nor `secret`", "add one of the two")
        }
        _ => {}
    }
}

/// No two items of a list have one name.
fn distinct<'a>(list: &FieldPath, names: impl Iterator<Item = &'a str>, found: &mut Found) {
    let mut first = BTreeMap::new();
    for (index, name) in names.enumerate() {
        if let Some(first) = first.get(name) {
            let path = item(list, index).field("name");
            let message = format!("is `{name}`, which occurs twice, first at `{list}[{first}]`");
            found.add(path, &message, "remove one of the two");
        } else {
            first.insert(name, index);
        }
    }
}

fn of_model(path: &FieldPath, model: &AllowedModel, found: &mut Found) {
    not_blank(&path.field("model"), &model.model, found);
    if model.provider != Provider::Openai && model.output_modalities.is_some() {
        let path = path.field("output_modalities");
        found.add(path, "is for models of the provider `openai`", "remove it");
    }
}

fn of_toolkit(path: &FieldPath, toolkit: &Toolkit, found: &mut Found) {
    use ToolkitType::{ImageGeneration, Mcp, WebSearch};
    let fields = [
        ("allowed_domains", WebSearch, toolkit.allowed_domains.is_some()),
        ("blocked_domains", WebSearch, toolkit.blocked_domains.is_some()),
        ("background", ImageGeneration, toolkit.background.is_some()),
        ("input_image_mask_url", ImageGeneration, toolkit.input_image_mask_url.is_some()),
        ("model", ImageGeneration, toolkit.model.is_some()),
        ("moderation", ImageGeneration, toolkit.moderation.is_some()),
        ("output_compression", ImageGeneration, toolkit.output_compression.is_some()),
        ("output_format", ImageGeneration, toolkit.output_format.is_some()),
        ("partial_images", ImageGeneration, toolkit.partial_images.is_some()),
        ("quality", ImageGeneration, toolkit.quality.is_some()),
        ("size", ImageGeneration, toolkit.size.is_some()),
        ("servers", Mcp, toolkit.servers.is_some()),
    ];
    for (name, of, is_said) in fields {
        if is_said && of != toolkit.r#type {
            let message = format!("is for toolkits of the type `{}`", of.word());
            found.add(path.field(name), &message, "remove it");
        }
    }
    if toolkit.r#type == Mcp && toolkit.servers.is_none() {
        found.add(
            path.clone(),
            "needs `servers`",
            "add `servers: [{server_label: …, server_url: …}]`",
        );
    }
    for (index, server) in toolkit.servers.iter().flatten().enumerate() {
        of_server(&item(&path.field("servers"), index), server, found);
    }
}

fn of_server(path: &FieldPath, server: &McpServer, found: &mut Found) {
    not_blank(&path.field("server_label"), &server.server_label, found);
}

fn of_tool(path: &FieldPath, tool: &PythonTool, found: &mut Found) {
    let message = "must be up to 64 letters, digits and `_`, and begin with no digit";
    if !is_identifier(&tool.name, 64) {
        found.add(path.field("name"), message, "");
    }
    if tool.entrypoint.as_deref().is_some_and(|name| !is_identifier(name, 64)) {
        found.add(path.field("entrypoint"), message, "");
    }
    if tool.source.is_empty() || tool.source.len() > SOURCE_LIMIT {
        let message = format!("must have 1 to {SOURCE_LIMIT} bytes");
        found.add(path.field("source"), &message, "");
    }
    for (below, message, hint) in input::faults(&tool.input_schema) {
        let path = below.into_iter().fold(path.field("input_schema"), |path, step| path.join(step));
        found.add(path, &message, hint);
    }
}

/// Whether a text may be the name of a header.
fn is_header(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+.^_`|~-".contains(c);
    !name.is_empty() && name.chars().all(is_plain)
}

fn has_controls(text: &str) -> bool {
    text.chars().any(|c| u32::from(c) < 32 || c == '\u{7f}')
}

fn of_connection(path: &FieldPath, connection: &Connection, found: &mut Found) {
    let is_plain = Url::parse(&connection.base_url).is_ok_and(|url| {
        let has_user = !url.username().is_empty() || url.password().is_some();
        !has_user && url.fragment().is_none_or(str::is_empty)
    });
    // `https://@host` names a user, which is empty.
    let authority = connection.base_url.split("://").nth(1).unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_plain || authority.contains('@') {
        let hint = "put credentials into `headers`, as a secret";
        found.add(
            path.field("base_url"),
            "must be a URL without credentials and without `#`",
            hint,
        );
    }
    if connection.use_proxy_secret.as_ref().is_some_and(|secret| secret.trim().is_empty()) {
        found.add(path.field("use_proxy_secret"), "must not be empty", "");
    }
    let list = path.field("headers");
    let proxied = connection.use_proxy_secret.is_some();
    let of_headers = connection.headers.iter().filter(|header| header.secret.is_some()).count();
    let secrets = of_headers + usize::from(proxied);
    if secrets > MOST_SECRETS {
        let message = format!("and `use_proxy_secret` name more than {MOST_SECRETS} secrets");
        found.add(list.clone(), &message, "");
    }
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (index, header) in connection.headers.iter().enumerate() {
        let path = item(&list, index);
        let lower = header.name.to_ascii_lowercase();
        of_header(&path, header, found);
        if let Some(first) = first.get(&lower) {
            let message = format!("is the header of `{list}[{first}]`");
            found.add(path.field("name"), &message, "remove one of the two");
        }
        if lower == "authorization" && proxied {
            let hint = "remove the header, or `use_proxy_secret`";
            found.add(path.field("name"), "stands beside `use_proxy_secret`, which sets it", hint);
        } else if lower == "authorization" && secrets > 0 && header.value.is_some() {
            let hint = "make a secret of it, too";
            found.add(path.field("value"), "stands beside headers with secrets", hint);
        }
        first.entry(lower).or_insert(index);
    }
}

fn of_header(path: &FieldPath, header: &ConnectionHeader, found: &mut Found) {
    if !is_header(&header.name) {
        found.add(path.field("name"), "must be the name of a header", "");
    } else if RESERVED.contains(&header.name.to_ascii_lowercase().as_str()) {
        found.add(path.field("name"), "is a header that no connection may set", "remove it");
    }
    one_of(path, header.value.is_some(), header.secret.is_some(), found);
    if header.value.as_deref().is_some_and(has_controls) {
        found.add(path.field("value"), "must not contain control characters", "");
    }
    if has_controls(&header.prefix) {
        found.add(path.field("prefix"), "must not contain control characters", "");
    }
    if header.value.is_some() && !header.prefix.is_empty() {
        found.add(path.field("prefix"), "is for a secret", "write it at the beginning of `value`");
    }
    if let Some(secret) = &header.secret {
        not_blank(&path.field("secret").field("id"), &secret.id, found);
    }
}

/// Checks, and what each may do.
type Boundary<'a> = (FieldPath, &'a [Guardrail], &'a [FailureAction]);

fn of_guardrails(guardrails: &Guardrails, found: &mut Found) {
    use FailureAction::{Block, Deny, Replace};
    let at = FieldPath::of(&["guardrails"]);
    let mut boundaries: Vec<Boundary<'_>> = vec![
        (at.field("input"), &guardrails.input, &[Block]),
        (at.field("output").field("checks"), &guardrails.output.checks, &[Block, Replace]),
    ];
    for (index, tool) in guardrails.tools.iter().enumerate() {
        let path = item(&at.field("tools"), index);
        not_blank(&path.field("name"), &tool.name, found);
        let names = path.field("match").field("names");
        if tool.r#match.names.is_empty() {
            found.add(names.clone(), "must not be empty", "name a tool");
        }
        for (index, name) in tool.r#match.names.iter().enumerate() {
            not_blank(&item(&names, index), name, found);
        }
        boundaries.push((path.field("input"), &tool.input, &[Block, Deny]));
        boundaries.push((path.field("output"), &tool.output, &[Block, Deny, Replace]));
    }
    if boundaries.iter().map(|(_, checks, _)| checks.len()).sum::<usize>() > MOST_CHECKS {
        found.add(at, &format!("has more than {MOST_CHECKS} checks"), "");
    }
    let mut first: BTreeMap<&str, FieldPath> = BTreeMap::new();
    for (list, checks, actions) in boundaries {
        for (index, check) in checks.iter().enumerate() {
            let path = item(&list, index);
            of_check(&path, check, actions, found);
            if let Some(first) = first.get(check.name.as_str()) {
                let message = format!("is the name of the check at `{first}`, too");
                found.add(path.field("name"), &message, "give each check a name of its own");
            }
            first.entry(&check.name).or_insert(path);
        }
    }
}

fn of_check(path: &FieldPath, rule: &Guardrail, actions: &[FailureAction], found: &mut Found) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if rule.name.is_empty() || rule.name.len() > 64 || !rule.name.chars().all(is_plain) {
        found.add(path.field("name"), "must be 1 to 64 letters, digits, `_`, `.` and `-`", "");
    }
    let of_check = path.field("check");
    let model = rule.check.model.strip_prefix("openai/").unwrap_or_default();
    if model.is_empty() || model.contains('/') || model.contains(char::is_whitespace) {
        let message = "must be `openai/` and the name of a model";
        found.add(of_check.field("model"), message, "");
    }
    let instructions = &rule.check.instructions;
    if instructions.trim().is_empty() || instructions.len() > CHECK_LIMIT {
        let message = format!("must have 1 to {CHECK_LIMIT} bytes");
        found.add(of_check.field("instructions"), &message, "");
    }
    if !(0.0..=1.0).contains(&rule.check.minimum_allow_probability) {
        let path = of_check.field("minimum_allow_probability");
        found.add(path, "must be from 0 to 1", "");
    }
    if rule.max_retries > 3 {
        found.add(path.field("max_retries"), "must be from 0 to 3", "");
    }
    let always = [FailureAction::Pass, FailureAction::Fail];
    for (name, failure, is_error) in
        [("on_reject", &rule.on_reject, false), ("on_error", &rule.on_error, true)]
    {
        let Failure { action, message } = failure;
        let path = path.field(name);
        if !(actions.contains(action) || is_error && always.contains(action)) {
            let more = if is_error { always.as_slice() } else { &[] };
            let may: Vec<&str> = actions.iter().chain(more).map(|it| it.word()).collect();
            let hint = format!("use one of {}", may.join(", "));
            found.add(path.field("action"), "cannot be that for checks of this list", &hint);
        }
        let is_said = message.as_ref().is_some_and(|message| !message.trim().is_empty());
        if *action == FailureAction::Replace && !is_said {
            found.add(path, "needs a `message`, which stands in the place of the answer", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn broken(more: Value) -> Vec<String> {
        let mut whole = json!({"allowed_models": []});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let configuration: Configuration = serde_json::from_value(whole).unwrap();
        configuration.broken().into_iter().map(|it| it.path.to_string()).collect()
    }

    fn check(name: &str, more: Value) -> Value {
        let check =
            json!({"model": "openai/m", "instructions": "i", "minimum_allow_probability": 0.5});
        let mut check = json!({"name": name, "check": check});
        check.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        check
    }

    #[test]
    fn what_an_agent_cannot_be_is_found_at_its_place() {
        let header = |header: Value| json!({"connections": {"c": {"base_url": "https://a.example", "headers": [header]}}});
        let url = |url: &str| json!({"connections": {"c": {"base_url": url}}});
        let at = "connections.c.headers[0]";
        for (more, places) in [
            (url("https://u@a.example"), vec!["connections.c.base_url".to_owned()]),
            (url("https://a.example/#x"), vec!["connections.c.base_url".to_owned()]),
            (url("https://a.example/x@y?z"), vec![]),
            (header(json!({"name": "Cookie", "value": "x"})), vec![format!("{at}.name")]),
            (header(json!({"name": "a b", "value": "x"})), vec![format!("{at}.name")]),
            (header(json!({"name": "A", "value": "x\n"})), vec![format!("{at}.value")]),
            (header(json!({"name": "A"})), vec![at.to_owned()]),
            (
                header(json!({"name": "A", "value": "x", "prefix": "p"})),
                vec![format!("{at}.prefix")],
            ),
            (header(json!({"name": "A", "secret": {"id": " "}})), vec![format!("{at}.secret.id")]),
            (
                json!({"toolkits": [{"type": "web_fetch", "size": "auto"}, {"type": "mcp"}]}),
                vec!["toolkits[0].size".to_owned(), "toolkits[1]".to_owned()],
            ),
            (
                json!({"guardrails": {
                    "input": [check("a", json!({"on_reject": {"action": "deny"}}))],
                    "output": {"checks": [check("a", json!({"on_error": {"action": "replace"}}))]},
                }}),
                vec![
                    "guardrails.input[0].on_reject.action".to_owned(),
                    "guardrails.output.checks[0].on_error".to_owned(),
                    "guardrails.output.checks[0].name".to_owned(),
                ],
            ),
            (
                json!({"guardrails": {"input": (0..33).map(|it| check(&it.to_string(), json!({}))).collect::<Vec<_>>()}}),
                vec!["guardrails".to_owned()],
            ),
        ] {
            assert_eq!(broken(more.clone()), places, "{more}");
        }
    }

    #[test]
    fn the_schema_of_a_tool_is_strict_all_the_way_down() {
        let tool = |schema: Value| json!({"tools": [{"name": "t", "source": "x", "input_schema": schema}]});
        let strict = |properties: Value, required: Value| {
            json!({
                "type": "object", "properties": properties, "required": required,
                "additionalProperties": false,
            })
        };
        let at = "tools[0].input_schema";
        let open = json!({"type": "object", "properties": {}, "required": []});
        let text = json!({"type": "string"});
        for (schema, places) in [
            (strict(json!({"a": text}), json!(["a"])), vec![]),
            (strict(json!({"a": text}), json!([])), vec![format!("{at}.required")]),
            (strict(json!({"a": text}), json!(["a", "a"])), vec![format!("{at}.required")]),
            (
                strict(json!({"a": open}), json!(["a"])),
                vec![format!("{at}.properties.a.additionalProperties")],
            ),
            (
                strict(json!({"a": {"$ref": "https://a.example"}}), json!(["a"])),
                vec![format!("{at}.properties.a[\"$ref\"]")],
            ),
            (
                strict(json!({"a": {"type": "string", "if": {}}}), json!(["a"])),
                vec![format!("{at}.properties.a.if")],
            ),
            (strict(json!({"a": {"type": "none"}}), json!(["a"])), vec![at.to_owned()]),
        ] {
            assert_eq!(broken(tool(schema.clone())), places, "{schema}");
        }
    }
}
