//! What a platform says about itself, as far as that decides whether it accepts what a plan would
//! create.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::failure::ApiError;
use crate::api::reader::Reader;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::kinds::path::FieldPath;
use crate::kinds::specs::rules::{self, Rule};
use crate::manifest::set::Desired;
use crate::plan::{Action, Plan};

/// Refuses new mailboxes in domains that the platform does not serve. Which domains those are
/// depends on the platform, so this is not a rule of form. A platform that does not list them may
/// serve any.
///
/// # Errors
///
/// The mailboxes, each at its line; the platform's.
pub async fn refuse_unserved(
    reader: &Reader,
    plan: &Plan,
    desired: &BTreeMap<Key, Desired>,
) -> Result<()> {
    let new: Vec<&Desired> = plan
        .operations
        .iter()
        .filter(|it| it.action() == Action::Create && is_address(&it.key))
        .filter_map(|it| desired.get(&it.key))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let Some(domains) = mail_domains(reader).await? else { return Ok(()) };
    let unserved = |mailbox: &&Desired| {
        let message = rules::served(&mailbox.key.name, &domains).err()?;
        let origin = &mailbox.origin;
        let field = match origin.derived_from {
            Some(_) => FieldPath::of(&["values"]),
            None => FieldPath::of(&["address"]),
        };
        let path = match origin.has(&field) {
            true => field,
            false => FieldPath::of(&["metadata", "name"]),
        };
        Some(origin.problem_at(&path, format!("the address of {} {message}", mailbox.key)))
    };
    let problems: Vec<_> = new.iter().filter_map(unserved).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::manifests(problems)) }
}

/// Whether mail comes to an object by its name.
fn is_address(key: &Key) -> bool {
    key.kind.kind().name_rule().rule == Rule::Address
}

/// What is wrong with the domain of a new mailbox's address, if the platform says which domains it
/// serves.
pub async fn unserved(reader: &Reader, address: &str) -> Option<String> {
    rules::served(address, &mail_domains(reader).await.ok()??).err()
}

/// Whether the platform says that it has the same rules of form as this program. If that cannot be
/// read, it is not known.
pub async fn holds_rules_of_form(reader: &Reader) -> bool {
    let config = reader.get_json(&reader.dialect().config()).await;
    config.is_ok_and(|config| config.get("rules_of_form") == Some(&Value::Bool(true)))
}

/// The mail domains that the platform serves, if it says so.
async fn mail_domains(reader: &Reader) -> Result<Option<Vec<String>>> {
    let config = match reader.get_json(&reader.dialect().config()).await {
        Ok(config) => config,
        Err(ApiError { status: Some(404), .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let domains = config.get("mail_domains").and_then(Value::as_array);
    Ok(domains.and_then(|domains| {
        domains.iter().map(|domain| domain.as_str().map(str::to_owned)).collect()
    }))
}
