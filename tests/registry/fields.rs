//! Every field, one at a time: removed, changed, put back. Each step is one operation that
//! names the field, and after it there is nothing to do.

use meshagent::kinds::path::{FieldPath, Step};
use meshagent::kinds::{self, KindName};
use meshagent::plan::Action;
use serde_json::Value;

use super::documents::{Field, Variant, surrounded, variants, with};
use crate::reconciler::{Decided, World, describe, destroying, policy};

fn names(path: &FieldPath) -> Vec<&str> {
    let name = |step| match step {
        &Step::Field(ref name) => Some(name.as_str()),
        Step::Index(_) | Step::Item { .. } => None,
    };
    path.0.iter().filter_map(name).collect()
}

/// The names under which a change of a field may be told.
fn told(variant: &Variant, field: &Field) -> Vec<String> {
    let mut names = field.names.clone();
    match (variant.kind.name(), variant.label, field.names.join(".").as_str()) {
        (KindName::Secret, "gar", "json_key") => names = vec!["password".to_owned()],
        // Another item of the list: the old one goes, the new one comes.
        _ if field.identity => drop(names.pop()),
        _ => {}
    }
    names
}

struct Walk<'a> {
    world: &'a World,
    variant: &'a Variant,
    /// What the platform was last told.
    current: Value,
}

impl Walk<'_> {
    fn label(&self) -> String {
        format!("{} {}", self.variant.kind.name(), self.variant.label)
    }

    async fn plan(&self, document: &Value) -> Decided {
        self.world.plan(&surrounded(document), &policy("s")).await
    }

    async fn step(&mut self, document: Value, field: &Field, is_change: bool, what: &str) {
        let label = format!("{}: {what} `{}`", self.label(), field.names.join("."));
        if document == self.current {
            return;
        }
        let decided = self.plan(&document).await;
        let plan = &decided.plan;
        if is_change {
            let is_frozen = self.variant.kind.immutable().contains(&field.names[0].as_str());
            let actions: Vec<_> = plan
                .operations
                .iter()
                .map(|operation| (operation.action, operation.replaces))
                .collect();
            let wanted = if is_frozen {
                vec![(Action::Delete, true), (Action::Create, true)]
            } else {
                vec![(Action::Update, false)]
            };
            assert_eq!(actions, wanted, "{label}: {}", describe(plan));
            let told = told(self.variant, field);
            let changes: Vec<_> =
                plan.operations.iter().flat_map(|operation| &operation.changes).collect();
            assert!(!changes.is_empty(), "{label}: nothing is told");
            for change in changes {
                // The service keeps the text of its template, which says the same again.
                if change.path.to_string().contains("meshagent.service.template.yaml") {
                    continue;
                }
                let names = names(&change.path);
                assert!(
                    names.len() >= told.len() && names.iter().zip(&told).all(|(a, b)| a == b),
                    "{label}: it is told as {}: {}",
                    change.path,
                    describe(plan)
                );
            }
        } else {
            assert!(plan.is_empty(), "{label} says nothing new: {}", describe(plan));
        }
        self.world.apply(&decided).await;
        let again = self.plan(&document).await;
        assert!(again.plan.is_empty(), "{label}, applied: {}", describe(&again.plan));
        self.is_as_declared(&again, &document, &label);
        self.current = document;
    }

    /// What the platform has is what the documents say, no less and no more.
    fn is_as_declared(&self, decided: &Decided, document: &Value, label: &str) {
        for (key, desired) in self.world.set_of(&surrounded(document)).unwrap().objects {
            let seen = decided.state.objects.iter().find(|(seen, _)| {
                (seen.kind, &seen.name, &seen.room) == (key.kind, &key.name, &key.room)
            });
            let seen = seen.unwrap_or_else(|| panic!("{label}: {key} is not there")).1;
            assert_eq!(seen.fields.redacted(), desired.fields.redacted(), "{label}: {key}");
        }
    }
}

async fn walk(variant: &Variant) {
    let world = World::start().await;
    let full = &variant.document;
    let label = format!("{} {}", variant.kind.name(), variant.label);
    world.run(&surrounded(full), &policy("s")).await;
    let mut walk = Walk { world: &world, variant, current: Value::Null };
    let again = walk.plan(full).await;
    assert!(again.plan.is_empty(), "{label}: {}", describe(&again.plan));
    walk.current = full.clone();
    for field in &variant.fields {
        if !field.required {
            let without = with(full, &field.pointer, None);
            walk.step(without, field, true, "without").await;
        }
        if let Some(other) = field.values.get(1) {
            let was_absent = !field.required;
            let is_change = !(was_absent && *other == field.default);
            let changed = with(full, &field.pointer, Some(other));
            walk.step(changed, field, is_change, "other").await;
        } else {
            assert!(
                field.composite || !field.required || full.pointer(&field.pointer).is_some(),
                "{label}: `{}` cannot be changed",
                field.names.join(".")
            );
        }
        walk.step(full.clone(), field, true, "full").await;
    }
    let gone = world.plan(&surrounded(full), &destroying("s")).await;
    world.apply(&gone).await;
    let after = world.plan(&[], &policy("s")).await;
    assert!(after.plan.is_empty(), "{label}: {}", describe(&after.plan));
}

/// One test a kind, so that they run side by side.
macro_rules! walks {
    ($($test:ident: $kind:ident,)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                for variant in variants(KindName::$kind.kind()) {
                    walk(&variant).await;
                }
            }
        )*

        #[test]
        fn every_kind_has_its_fields_walked() {
            let walked = [$(KindName::$kind),*];
            for kind in kinds::ALL {
                assert!(walked.contains(&kind.name()), "{}", kind.name());
            }
        }
    };
}

walks! {
    each_field_of_a_project_is_one_change: Project,
    each_field_of_a_room_is_one_change: Room,
    each_field_of_a_service_is_one_change: Service,
    each_field_of_a_service_template_is_one_change: ServiceTemplate,
    each_field_of_a_mailbox_is_one_change: Mailbox,
    each_field_of_a_route_is_one_change: Route,
    each_field_of_a_scheduled_task_is_one_change: ScheduledTask,
    each_field_of_a_secret_is_one_change: Secret,
    each_field_of_a_webhook_is_one_change: Webhook,
}

#[tokio::test]
async fn an_object_becomes_any_other_form_of_its_kind_in_one_change() {
    for kind in kinds::ALL {
        let variants = variants(kind);
        if variants.len() < 2 {
            continue;
        }
        let world = World::start().await;
        world.run(&surrounded(&variants[0].document), &policy("s")).await;
        for (from, to) in (0..variants.len()).flat_map(|one| {
            let last = variants.len() - 1;
            [(one, last - one), (last - one, one)]
        }) {
            for index in [from, to] {
                let (name, label) = (kind.name(), variants[index].label);
                let documents = surrounded(&variants[index].document);
                let decided = world.plan(&documents, &policy("s")).await;
                assert!(decided.plan.operations.len() <= 1, "{name} {label}: {:?}", decided.plan);
                world.apply(&decided).await;
                let again = world.plan(&documents, &policy("s")).await;
                assert!(again.plan.is_empty(), "{name} {label}: {}", describe(&again.plan));
            }
        }
    }
}
