//! A template with values becomes a service, together with what installers would set up with it: a
//! mailbox, a route, scheduled tasks. The rules are those that the platform's own installers
//! follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::brought::Brought;
use super::document::Document;
use super::quoting;
use super::set::{Found, Origin};
use super::template::{self, TemplateError, Values};
use super::yaml;
use crate::error::{Place, Problem};
use crate::kinds::document::{FormerNames, Lifecycle};
use crate::kinds::path::FieldPath;
use crate::kinds::service::{fields_of, placements};
use crate::kinds::specs::service::{Annotations, PortNumber, ServiceSpec};
use crate::kinds::specs::template::{ServiceTemplateSpec, ServiceTemplateVariable, VariableType};
use crate::kinds::tree::Tree;
use crate::kinds::{Declared, Fault, Key, KindName};
use crate::listed::nearest;
use crate::listed::{SOME, at_most};

/// A template of the set.
pub struct Template {
    /// Where it stands.
    pub document: Arc<Document>,
    /// Why it cannot be rendered without values, if it cannot. That is not an error for a template
    /// that is placed with values.
    pub unplaceable: Option<Problem>,
}

impl Template {
    /// The place of the template.
    #[must_use]
    pub fn place(&self) -> Place {
        self.document.place()
    }
}

/// The templates of a set, by name.
pub type Templates = BTreeMap<String, Template>;

/// A template that is to become services.
pub struct Placement<'a> {
    /// The document that places it.
    document: &'a Arc<Document>,
    /// The document of the template; the same when a template places itself.
    pub(super) template: &'a Arc<Document>,
}

impl<'a> Placement<'a> {
    /// Whether a template document places itself.
    #[must_use]
    pub fn is_placed(document: &Document) -> bool {
        document.template.is_some()
            && ["values", "room", "rooms"].iter().any(|field| document.root().get(field).is_some())
    }

    /// The placement that a document asks for, if it asks for one.
    #[must_use]
    pub fn of(
        document: &'a Arc<Document>,
        templates: &'a Templates,
    ) -> Option<Result<Self, Vec<Problem>>> {
        if document.template.is_some() {
            return Self::is_placed(document).then_some(Ok(Self { document, template: document }));
        }
        let root = document.root();
        let name =
            root.get("template").filter(|_| document.kind.name() == KindName::Service)?.as_str()?;
        let path = FieldPath::of(&["template"]);
        for field in ["container", "build", "external", "agents", "ports"] {
            if root.get(field).is_some() {
                let message =
                    format!("a service made from a template cannot have its own `{field}`");
                return Some(Err(vec![document.problem_at(&FieldPath::of(&[field]), message)]));
            }
        }
        Some(match templates.get(name) {
            Some(template) => Ok(Self { document, template: &template.document }),
            None => {
                let problem =
                    document.problem_at(&path, format!("the set has no ServiceTemplate `{name}`"));
                Err(vec![match nearest(name, templates.keys().map(String::as_str)) {
                    Some(name) => problem.hint(format!("did you mean `{name}`?")),
                    None => problem.hint("give the file or folder of the template with -f too"),
                }])
            }
        })
    }
}

/// The problem of a template that cannot be rendered, at its line in the manifest.
#[must_use]
pub fn render_problem(document: &Document, error: &TemplateError) -> Problem {
    let text = document.template.as_ref();
    match (error.line, text) {
        (Some(line), Some(text)) if !error.in_rendered || is_line_for_line(&text.text) => document
            .problem_at_mark(text.mark(line, error.column.unwrap_or(1)), error.message.clone()),
        (Some(line), Some(text)) => document.problem_at_mark(
            text.mark(1, 1),
            format!("line {line} of the rendered template: {}", error.message),
        ),
        (None, Some(text)) => document.problem_at_mark(text.mark(1, 1), error.message.clone()),
        (_, None) => Problem::new(error.message.clone()),
    }
}

/// Whether a template's lines are those of what it is rendered to.
fn is_line_for_line(text: &str) -> bool {
    !text.contains("{%") && !text.contains("{#")
}

/// What is wrong with a document beyond its schema, each at its field.
pub(super) fn problems_of(document: &Document, faults: Vec<Fault>) -> Vec<Problem> {
    let problem =
        |Fault { path, message, hint }| Problem { hint, ..document.problem_at(&path, message) };
    faults.into_iter().map(problem).collect()
}

/// Renders the template, checks the values, and yields the services and what they imply.
///
/// # Errors
///
/// What is wrong with the values or the template, each at its line.
pub(super) fn place(
    placement: &Placement<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Found>, Vec<Problem>> {
    let document = placement.document;
    let Some(text) = &placement.template.template else { return Ok(Vec::new()) };
    let root = document.root();
    let values = values(document);
    let spec = template::render(&text.text, &values).map_err(|mut error| {
        // Any of the values may be secret: which of them are is not known yet.
        error.message = quoting::without_values(&error.message, &text.text, values.values());
        vec![render_problem(placement.template, &error)]
    })?;
    let variables = spec.variables.clone().unwrap_or_default();
    if !variables.iter().any(|variable| variable.obscure) {
        document.set_plain_values();
    }
    let problems = check_values(document, &spec, &values);
    if !problems.is_empty() {
        return Err(problems);
    }
    let text_field = |name: &str| root.get(name).and_then(yaml::Node::as_str).map(str::to_owned);
    let rooms = root.get("rooms").and_then(|node| serde_json::from_value(node.to_json()).ok());
    let rooms =
        placements(text_field("room"), rooms).map_err(|faults| problems_of(document, faults))?;
    let lifecycle: Lifecycle = root
        .get("lifecycle")
        .and_then(|node| serde_json::from_value(node.to_json()).ok())
        .unwrap_or_else(Lifecycle::standard);
    let service = named_service(placement, spec)?;
    let needles: Vec<&str> = variables
        .iter()
        .filter(|variable| variable.obscure)
        .filter_map(|variable| values.get(&variable.name).map(String::as_str))
        .collect();
    let mut fields = fields_of(&service);
    // The annotations spell the template and its values in their own way, so they are
    // hidden as a whole where there is a secret in them.
    let has_literals = fields.has_secrets();
    fields.seal_texts_with(&needles);
    for (annotation, is_secret) in [
        (template::SOURCE_ANNOTATION, has_literals),
        (template::VALUES_ANNOTATION, !needles.is_empty()),
    ] {
        let path = FieldPath::of(&["metadata", "annotations", annotation]);
        if let Some(leaf) = fields.at_mut(&path).filter(|_| is_secret) {
            *leaf = std::mem::replace(leaf, Tree::Null).sealed();
        }
    }
    let mut found = Vec::new();
    for room in rooms {
        let installation = Installation {
            document,
            template: placement.template,
            service: &service,
            room: room.as_deref(),
            project: text_field("project"),
            lifecycle: &lifecycle,
        };
        if lifecycle.derive {
            let secrets = variables.iter().filter(|variable| variable.obscure);
            let secrets = secrets.filter_map(|variable| values.get(&variable.name));
            let derived = installation.derive(&variables, &values, notes);
            found.extend(derived.map_err(|mut problems| {
                for problem in &mut problems {
                    problem.message = quoting::without_parts(&problem.message, secrets.clone());
                }
                problems
            })?);
        }
        found.push(Found {
            declared: Declared {
                project: text_field("project"),
                room: room.clone(),
                name: service.metadata.name.clone(),
                fields: fields.clone(),
                lifecycle: lifecycle.clone(),
            },
            kind: KindName::Service,
            origin: Origin {
                document: Arc::clone(document),
                derived_from: None,
                brought: None,
                value_at: None,
            },
            content: None,
        });
    }
    Ok(found)
}

/// The service; a `Service` document gives it its own name, description and annotations.
fn named_service(
    placement: &Placement<'_>,
    spec: ServiceTemplateSpec,
) -> Result<ServiceSpec, Vec<Problem>> {
    let document = placement.document;
    let mut service = spec
        .into_service()
        .map_err(|message| vec![document.problem_at(&FieldPath::of(&["template"]), message)])?;
    if document.template.is_none() {
        let root = document.root();
        let own = root.get("metadata");
        let text = |name: &str| {
            own.and_then(|own| own.get(name)).and_then(yaml::Node::as_str).map(str::to_owned)
        };
        if let Some(name) = text("name") {
            service.metadata.name = name;
        }
        for (field, name) in [
            (&mut service.metadata.description, "description"),
            (&mut service.metadata.repo, "repo"),
            (&mut service.metadata.icon, "icon"),
        ] {
            if let Some(text) = text(name) {
                *field = Some(text);
            }
        }
        let annotations = own.and_then(|own| own.get("annotations")).map(yaml::Node::to_json);
        if let Some(Ok(own)) = annotations.map(serde_json::from_value::<Annotations>) {
            service.metadata.annotations.get_or_insert_default().extend(own);
        }
    }
    if service.container.is_some() == service.external.is_some() {
        let problem = "a placed template must have exactly one of `container` and `external`";
        return Err(vec![placement.template.problem_at(&FieldPath::default(), problem)]);
    }
    Ok(service)
}

fn values(document: &Document) -> Values {
    match document.root().get("values").map(|node| &node.value) {
        Some(yaml::Value::Map(entries)) => entries
            .iter()
            .filter_map(|(key, node)| Some((key.text.clone(), node.as_str()?.to_owned())))
            .collect(),
        _ => Values::new(),
    }
}

fn check_values(document: &Document, spec: &ServiceTemplateSpec, values: &Values) -> Vec<Problem> {
    let variables = spec.variables.as_deref().unwrap_or_default();
    let mut problems = Vec::new();
    let at = |path: &FieldPath, message: String| document.problem_at(path, message);
    let root = FieldPath::of(&["values"]);
    for variable in variables {
        match values.get(&variable.name) {
            None if variable.optional => {}
            None => {
                let problem = at(&root, format!("the value `{}` is missing", variable.name));
                problems.push(
                    match variable.description.as_deref().or(variable.title.as_deref()) {
                        Some(description) => problem.hint(description.to_owned()),
                        None => problem,
                    },
                );
            }
            Some(value) => {
                let allowed = variable.allowed.as_deref().unwrap_or_default();
                let is_left_out = variable.optional && value.is_empty();
                if variable.allowed.is_some() && !allowed.contains(value) && !is_left_out {
                    let message = match variable.obscure {
                        true => format!("`{}` has a value that is not allowed", variable.name),
                        false => format!(
                            "`{}` has the value `{value}`, which is not allowed",
                            variable.name
                        ),
                    };
                    problems.push(
                        at(&root.field(&variable.name), message)
                            .hint(format!("use one of {}", allowed.join(", "))),
                    );
                }
            }
        }
    }
    for name in
        values.keys().filter(|name| !variables.iter().any(|variable| variable.name == **name))
    {
        let problem = at(&root.field(name), format!("the template has no variable `{name}`"));
        let known = variables.iter().map(|variable| variable.name.as_str());
        problems.push(match nearest(name, known.clone()) {
            Some(name) => problem.hint(format!("did you mean `{name}`?")),
            None if variables.is_empty() => problem,
            None => problem.hint(format!("known variables are {}", at_most(SOME, known))),
        });
    }
    problems
}

/// One service in one room, as an installer sees it.
struct Installation<'a> {
    document: &'a Arc<Document>,
    template: &'a Arc<Document>,
    service: &'a ServiceSpec,
    room: Option<&'a str>,
    project: Option<String>,
    lifecycle: &'a Lifecycle,
}

impl Installation<'_> {
    /// The mailbox, routes and tasks that come with the service.
    fn derive(
        &self,
        variables: &[ServiceTemplateVariable],
        values: &Values,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Found>, Vec<Problem>> {
        let given = |wanted: VariableType| {
            variables
                .iter()
                .filter(move |variable| variable.variable_type == Some(wanted))
                .filter_map(|variable| Some((variable, values.get(&variable.name)?)))
                .filter(|(_, value)| !value.trim().is_empty())
        };
        let mut found = Vec::new();
        // An agent has one mailbox: of several addresses the last one counts.
        let email = given(VariableType::Email).next_back();
        let routes: Vec<_> = given(VariableType::Route).collect();
        let tasks = self.tasks(notes)?;
        let Some(room) = self.room else {
            if email.is_some() || !routes.is_empty() || !tasks.is_empty() {
                notes.push(format!(
                    "{} runs in every room, so the mailboxes, routes and tasks that its template asks for are left out",
                    self.key()
                ));
            }
            return Ok(found);
        };
        if let Some((variable, address)) = email {
            let public = match variable
                .annotations
                .as_ref()
                .and_then(|map| map.get("meshagent.email.privacy"))
                .map(String::as_str)
            {
                Some("public") => true,
                None | Some("private") => false,
                Some(other) => {
                    let what = format!("has the annotation `meshagent.email.privacy: {other}`");
                    let hint = "write `public` or `private`".to_owned();
                    return Err(vec![self.problem(&variable.name, &what).hint(hint)]);
                }
            };
            let document = json!({"room": room, "queue": address, "public": public, "metadata": self.metadata(address)});
            found.push(self.found(
                KindName::Mailbox,
                document,
                (&format!("variable `{}`", variable.name), None),
            )?);
        }
        for (variable, domain) in routes {
            let port =
                variable.annotations.as_ref().and_then(|map| map.get("meshagent.route.port"));
            let Some(port) = port else {
                let what = "is a route but lacks the annotation `meshagent.route.port`";
                return Err(vec![self.problem(&variable.name, what).hint(self.port_hint())]);
            };
            let document = json!({"room": room, "port": port, "metadata": self.metadata(domain)});
            found.push(self.found(
                KindName::Route,
                document,
                (&format!("variable `{}`", variable.name), None),
            )?);
        }
        for Task { document, reason, part } in tasks {
            found.push(self.found(KindName::ScheduledTask, document, (&reason, Some(part)))?);
        }
        Ok(found)
    }

    fn key(&self) -> Key {
        let project = self.project.clone().unwrap_or_default();
        let room = self.room.map(str::to_owned);
        Key::new(KindName::Service, project, room, &self.service.metadata.name)
    }

    /// What is wrong with a variable, where the template says what it is.
    fn problem(&self, variable: &str, what: &str) -> Problem {
        let mark = self.template.variable_mark(variable);
        self.template.problem_at_mark(mark, format!("the variable `{variable}` {what}"))
    }

    /// How a variable says to which port its route leads.
    fn port_hint(&self) -> String {
        let ports = self.service.ports.iter().flatten();
        let fixed = ports.filter_map(|port| match port.num {
            PortNumber::Fixed(number) => Some(number.to_string()),
            PortNumber::Any => None,
        });
        let port = { fixed }.next().unwrap_or_else(|| "8080".to_owned());
        format!(
            "add `annotations: {{meshagent.route.port: \"{port}\"}}` to the variable, with the port of the service that the route leads to"
        )
    }

    /// The name of a derived object, with the service's logical id, by which installers find it
    /// again.
    fn metadata(&self, name: &str) -> Value {
        let id = self
            .service
            .metadata
            .annotations
            .as_ref()
            .and_then(|map| map.get("meshagent.service.id"));
        match id {
            Some(id) => json!({"name": name, "annotations": {"meshagent.service.id": id}}),
            None => json!({"name": name}),
        }
    }

    /// An object that comes with the service, why it does, and which one it is where its name
    /// is made up.
    fn found(
        &self,
        kind: KindName,
        document: Value,
        (reason, part): (&str, Option<String>),
    ) -> Result<Found, Vec<Problem>> {
        let mut document = document;
        document["version"] = "v1".into();
        document["kind"] = kind.to_string().into();
        let origin = format!("{reason} of {}", self.key());
        let declared = kind.kind().declare(&document).map_err(|faults| {
            let at = FieldPath::of(&["values"]);
            let problem = |fault: Fault| {
                self.document.problem_at(&at, format!("{origin}: {}", fault.message))
            };
            faults.into_iter().map(problem).collect::<Vec<_>>()
        })?;
        // The former names of the service do not apply to derived objects: an object with such a
        // name is another one.
        let lifecycle = Lifecycle {
            derive: true,
            ignore: Vec::new(),
            moved_from: FormerNames::default(),
            ..self.lifecycle.clone()
        };
        declared
            .into_iter()
            .next()
            .map(|declared| Found {
                declared: Declared { project: self.project.clone(), lifecycle, ..declared },
                kind,
                origin: Origin {
                    document: Arc::clone(self.document),
                    derived_from: Some(origin.clone()),
                    brought: self.room.map(|room| Brought {
                        service: self.service.metadata.name.clone(),
                        room: room.to_owned(),
                        part,
                    }),
                    value_at: None,
                },
                content: None,
            })
            .ok_or_else(|| vec![Problem::new(format!("{origin} declares nothing"))])
    }

    /// The scheduled tasks that agents ask for in `meshagent.agent.schedule`.
    fn tasks(&self, notes: &mut Vec<String>) -> Result<Vec<Task>, Vec<Problem>> {
        const ANNOTATION: &str = "meshagent.agent.schedule";
        let mut tasks: Vec<(String, Task)> = Vec::new();
        for agent in self.service.agents.as_deref().unwrap_or_default() {
            let Some(text) = agent.annotations.as_ref().and_then(|map| map.get(ANNOTATION)) else {
                continue;
            };
            let reason = format!("annotation `{ANNOTATION}` of agent `{}`", agent.name);
            let wrong = |what: &str| {
                vec![
                    self.document
                        .problem_at(&FieldPath::of(&["template"]), format!("{reason}: {what}")),
                ]
            };
            let parsed: Value =
                serde_json::from_str(text).map_err(|error| wrong(&format!("not JSON: {error}")))?;
            let entries = match parsed {
                Value::Array(entries) => entries,
                entry => vec![entry],
            };
            for entry in entries {
                let text = |name: &str| {
                    entry.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
                };
                let Some(queue) = text("queue") else {
                    notes.push(format!(
                        "{}: {reason} names no queue, so no task is derived from it",
                        self.key()
                    ));
                    continue;
                };
                let schedule = text("schedule").ok_or_else(|| wrong("`schedule` is missing"))?;
                let name = text("name").unwrap_or(queue);
                let payload = entry
                    .get("payload")
                    .cloned()
                    .filter(|payload| !payload.is_null())
                    .unwrap_or_else(|| json!({}));
                if !payload.is_object() {
                    return Err(wrong("`payload` is not a map"));
                }
                let base =
                    slug(&[self.room.unwrap_or_default(), &self.service.metadata.name, name]);
                let taken = tasks.iter().filter(|(other, _)| *other == base).count();
                let numbered = |name: &str| match taken {
                    0 => name.to_owned(),
                    taken => format!("{name}-{}", taken + 1),
                };
                let mut metadata = self.metadata(&numbered(&base));
                metadata["annotations"]["meshagent.agent.name"] = agent.name.clone().into();
                metadata["annotations"]["meshagent.agent.task.name"] = name.into();
                let document = json!({
                    "metadata": metadata, "room": self.room.unwrap_or_default(), "queue": queue,
                    "schedule": schedule, "payload": payload,
                });
                let part = numbered(&slug(&[name]));
                tasks.push((base, Task { document, reason: reason.clone(), part }));
            }
        }
        Ok(tasks.into_iter().map(|(_, task)| task).collect())
    }
}

/// A scheduled task that an agent asks for.
struct Task {
    document: Value,
    /// Why it is there.
    reason: String,
    /// Which of the service's tasks it is, whatever the service and its room are called.
    part: String,
}

/// Words joined into an id: lower-case letters, digits and single dashes.
fn slug(words: &[&str]) -> String {
    let text = words.join("-").to_lowercase();
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}
