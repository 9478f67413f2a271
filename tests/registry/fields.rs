//! Every field, one at a time: removed, changed, put back. Each step is one operation that
//! names the field, and after it there is nothing to do.

use std::collections::BTreeSet;

use meshagent::api::spoken::Spoken;
use meshagent::kinds::path::{FieldPath, Step};
use meshagent::kinds::{self, Kind, KindName, schema};
use meshagent::plan::planner::Policy;
use meshagent::plan::{Action, FieldChange};
use serde_json::Value;

use super::documents::{Field, Variant, surrounded, variants, with};
use crate::reconciler::{Decided, World, decide, describe, destroying, lines, policy};
use crate::spoken::{BOTH, variants_in};

fn names(path: &FieldPath) -> Vec<&str> {
    let names = path.0.iter().filter_map(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Index(_) | Step::Item { .. } => None,
    });
    names.collect()
}

/// The names under which a change of a field may be told.
fn told(variant: &Variant, field: &Field) -> Vec<String> {
    let mut names = field.names.clone();
    match (variant.kind.name(), variant.label, field.names.join(".").as_str()) {
        (KindName::Secret, "gar", "json_key") => names = vec!["password".to_owned()],
        // What an agent says is told as a part of its service.
        (KindName::Agent, ..) => match names[0].as_str() {
            "metadata" => {}
            "environment" if field.identity => names = vec!["container".to_owned()],
            "image" | "secrets" | "environment" => names.insert(0, "container".to_owned()),
            "threading" | "agent_name" | "port" | "path" | "channels" => names.clear(),
            _ => names = ["container", "command"].map(str::to_owned).to_vec(),
        },
        // Without a message, it is as if nothing were said.
        (KindName::ManagedAgent, _, path) if path.ends_with("on_reject.message") => {
            drop(names.pop());
        }
        // Another item of the list: the old one goes, the new one comes.
        _ if field.identity => drop(names.pop()),
        // What comes of a template is told as a service.
        (KindName::ServiceTemplate, label, _) => {
            let services = variants(KindName::Service.kind());
            let service = services.iter().find(|service| service.label == label).unwrap();
            let fields = &service.fields;
            if fields.iter().any(|known| known.names == names && known.identity) {
                names.pop();
            }
        }
        _ => {}
    }
    names
}

struct Walk<'a> {
    world: &'a World,
    variant: &'a Variant,
    /// What the platform was last told.
    current: Value,
    /// What the platform answered after that.
    seen: Decided,
}

/// What a walk through the fields of a kind goes by. A table is made anew only where somebody looked.
fn policy_for(kind: KindName) -> Policy {
    Policy { enters_rooms: kind == KindName::Table, ..policy("s") }
}

impl Walk<'_> {
    async fn step(&mut self, document: Value, field: &Field, is_change: bool, what: &str) {
        let (kind, path) = (self.variant.kind.name(), field.names.join("."));
        let (spoken, label) = (self.world.spoken(), self.variant.label);
        let label = format!("{spoken} {kind} {label}: {what} `{path}`");
        if document == self.current {
            return;
        }
        let set = self.world.set_of(&surrounded(self.world.spoken(), &document));
        let set = set.unwrap_or_else(|problems| panic!("{label}: {}", lines(&problems)));
        let policy = policy_for(kind);
        let plan = decide(&set, &self.seen.state, &policy);
        self.seen.plan = plan.unwrap_or_else(|error| panic!("{label}: {}", lines(&error.problems)));
        if is_change {
            self.is_one_change(field, &label);
        } else {
            let plan = &self.seen.plan;
            let mut changes = plan.operations.iter().flat_map(|operation| &operation.changes);
            let is_empty = plan.is_empty() || kind == KindName::ServiceTemplate;
            assert!(is_empty && changes.all(is_text), "{label} says nothing: {}", describe(plan));
        }
        self.world.apply(&self.seen).await;
        let desired = set.objects.clone();
        self.seen = self.world.decide(set, &policy).await.unwrap();
        let again = &self.seen.plan;
        assert!(again.is_empty(), "{label}, applied: {}", describe(again));
        // What the platform has is what the documents say, no less and no more.
        for (key, desired) in desired {
            let mut seen = self.seen.state.objects[&key].fields.redacted();
            let desired = desired.fields.redacted();
            without_left_alone(&mut seen, &desired);
            assert_eq!(seen, desired, "{label}: {key}");
        }
        self.current = document;
    }

    fn is_one_change(&self, field: &Field, label: &str) {
        let plan = &self.seen.plan;
        let frozen = self.world.spelling(self.variant.kind.name()).immutable();
        let frozen = frozen.unwrap_or(self.variant.kind.immutable());
        // A flag that is set, of those that cannot be taken back.
        let is_final = self.variant.kind.final_flags().contains(&field.names[0].as_str())
            && self.current.pointer(&field.pointer) == Some(&true.into());
        let operations = plan.operations.iter();
        let is_part = operations.flat_map(|operation| &operation.changes).any(|it| {
            let (old, new) = (it.old.as_ref(), it.new.as_ref());
            self.variant.kind.takes_its_place(&it.path, old, new)
        });
        let is_frozen = is_final || is_part || frozen.contains(&field.names[0].as_str());
        let wanted: &[_] = match is_frozen {
            true => &[(Action::Delete, true), (Action::Create, true)],
            false => &[(Action::Update, false)],
        };
        let actions: Vec<_> = plan
            .operations
            .iter()
            .map(|operation| (operation.action(), operation.replaces()))
            .collect();
        assert_eq!(actions, wanted, "{label}: {}", describe(plan));
        let told = told(self.variant, field);
        let changes = plan.operations.iter().flat_map(|operation| &operation.changes);
        let changes = changes.filter(|change| !is_text(change));
        let paths: Vec<_> = changes.map(|change| &change.path).collect();
        assert!(!paths.is_empty(), "{label}: nothing is told: {}", describe(plan));
        for path in paths {
            let names = names(path);
            assert!(
                names.len() >= told.len() && names.iter().zip(&told).all(|(a, b)| a == b),
                "{label}: it is told as {path}: {}",
                describe(plan)
            );
        }
    }
}

/// Takes out of what the platform has what is left alone unless a document says it.
pub fn without_left_alone(seen: &mut Value, desired: &Value) {
    if let (Value::Object(seen), None) = (seen, desired.get("enabled")) {
        seen.shift_remove("enabled");
    }
}

/// Whether it is the text of a template, which a service keeps, and which says everything
/// again.
fn is_text(change: &FieldChange) -> bool {
    change.path.to_string().contains("meshagent.service.template.yaml")
}

/// Whether a template has it within something that a service has too, the very same: then
/// it is walked there, field by field, and here as a whole.
fn is_walked_as_service(variant: &Variant, field: &Field) -> bool {
    if variant.kind.name() == KindName::Agent {
        return field.names[0] == "environment" && field.names.len() > 2;
    }
    if variant.kind.name() != KindName::ServiceTemplate {
        return false;
    }
    let at = |kind: &dyn Kind, names: &[String]| {
        names.iter().fold(schema::inlined(kind), |schema, name| {
            let of_item = &schema["items"];
            let of_map = &schema["additionalProperties"];
            let below = [schema, of_item].map(|schema| &schema["properties"][name]);
            below.into_iter().find(|below| !below.is_null()).unwrap_or(of_map)
        })
    };
    (1..field.names.len()).any(|length| {
        let above = &field.names[..length];
        at(variant.kind, above) == at(KindName::Service.kind(), above)
    })
}

/// Whether another value of a field is one with other fields only: a container is given secrets of
/// the account for which it acts.
fn goes_with_others(field: &Field) -> bool {
    field.names.join(".") == "container.run_as.account"
}

/// Walks the fields of a variant that no earlier one had.
async fn walk(world: &World, variant: &Variant, walked: &mut BTreeSet<String>) {
    let spoken = world.spoken();
    let full = &variant.document;
    let around = surrounded(spoken, full);
    let label = format!("{spoken} {} {}", variant.kind.name(), variant.label);
    world.run(&around, &policy("s")).await;
    let seen = world.plan(&around, &policy_for(variant.kind.name())).await;
    assert!(seen.plan.is_empty(), "{label}: {}", describe(&seen.plan));
    let mut walk = Walk { world, variant, current: full.clone(), seen };
    for field in &variant.fields {
        if !walked.insert(field.names.join(".")) || is_walked_as_service(variant, field) {
            continue;
        }
        if !field.required {
            walk.step(with(full, &field.pointer, None), field, true, "without").await;
        }
        if let Some(other) = field.values.get(1).filter(|_| !goes_with_others(field)) {
            let is_change = field.required || *other != field.default;
            walk.step(with(full, &field.pointer, Some(other)), field, is_change, "other").await;
        }
        walk.step(full.clone(), field, true, "full").await;
    }
    let gone = world.plan(&around, &destroying("s")).await;
    world.apply(&gone).await;
    let after = world.plan(&[], &policy("s")).await;
    assert!(after.plan.is_empty(), "{label}: {}", describe(&after.plan));
}

/// Walks the fields of a kind in an API.
async fn walk_kind(spoken: Spoken, kind: &'static dyn Kind) {
    let mut walked = BTreeSet::new();
    for variant in variants_in(spoken, kind) {
        let world = World::of_kind(spoken, kind.name()).await;
        walk(&world, &variant, &mut walked).await;
    }
}

/// One test a kind, so that they run side by side.
macro_rules! walks {
    ($($test:ident: $kind:ident,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                for spoken in BOTH {
                    walk_kind(spoken, KindName::$kind.kind()).await;
                }
            }
        )*

        /// A kind that was just added needs no line here.
        #[tokio::test]
        async fn each_field_of_any_other_kind_is_one_change() {
            let named = [$(KindName::$kind),*];
            let others = kinds::ALL.into_iter().filter(|kind| !named.contains(&kind.name()));
            let others: Vec<_> = others.collect();
            assert_eq!(named.len() + others.len(), kinds::ALL.len(), "a kind stands twice");
            for (kind, spoken) in others.into_iter().flat_map(|kind| BOTH.map(|it| (kind, it))) {
                walk_kind(spoken, kind).await;
            }
        }
    };
}

walks! {
    each_field_of_a_project_is_one_change: Project,
    each_field_of_a_room_is_one_change: Room,
    each_field_of_a_service_is_one_change: Service,
    each_field_of_a_service_template_is_one_change: ServiceTemplate,
    each_field_of_an_agent_is_one_change: Agent,
    each_field_of_a_managed_agent_is_one_change: ManagedAgent,
    each_field_of_a_role_grant_is_one_change: RoleGrant,
    each_field_of_a_mailbox_is_one_change: Mailbox,
    each_field_of_a_route_is_one_change: Route,
    each_field_of_a_scheduled_task_is_one_change: ScheduledTask,
    each_field_of_a_secret_is_one_change: Secret,
    each_field_of_a_webhook_is_one_change: Webhook,
}

#[tokio::test]
async fn an_object_becomes_any_other_form_of_its_kind_in_one_change() {
    for (kind, spoken) in kinds::ALL.into_iter().flat_map(|kind| BOTH.map(|it| (kind, it))) {
        let mut variants = variants_in(spoken, kind);
        // Some are of other objects: their names say what they are.
        let key =
            |document: &Value| [&document["metadata"]["name"], &document["room"]].map(Value::clone);
        if let Some(first) = variants.first().map(|variant| key(&variant.document)) {
            variants.retain(|variant| key(&variant.document) == first);
        }
        if variants.len() < 2 {
            continue;
        }
        let world = World::of_kind(spoken, kind.name()).await;
        world.run(&surrounded(spoken, &variants[0].document), &policy("s")).await;
        for (from, to) in (0..variants.len()).flat_map(|one| {
            let last = variants.len() - 1;
            [(one, last - one), (last - one, one)]
        }) {
            for index in [from, to] {
                let (name, label) = (kind.name(), variants[index].label);
                let documents = surrounded(spoken, &variants[index].document);
                let decided = world.plan(&documents, &policy("s")).await;
                assert!(decided.plan.operations.len() <= 1, "{name} {label}: {:?}", decided.plan);
                world.apply(&decided).await;
                let again = world.plan(&documents, &policy("s")).await;
                assert!(again.plan.is_empty(), "{name} {label}: {}", describe(&again.plan));
            }
        }
    }
}
