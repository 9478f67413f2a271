//! For which service account something acts, and the secrets that it names.

use std::collections::BTreeSet;

use crate::platform::error::{Refusal, Result};
use crate::platform::store::{Write, select};

/// The id of the account with an address, if one is given in a field.
///
/// # Errors
///
/// 400 when the project has no such account.
pub async fn account(
    write: &mut Write,
    project: &str,
    (field, email): (&str, Option<&str>),
) -> Result<Option<String>> {
    let Some(email) = email else { return Ok(None) };
    let found: Option<(String,)> =
        select("SELECT id FROM service_accounts WHERE project_id = $1 AND email = $2")
            .bind(project)
            .bind(email)
            .find(write.reads())
            .await?;
    let missing = || Refusal::field(field, format!("service account {email:?} does not exist"));
    Ok(Some(found.ok_or_else(missing)?.0))
}

/// The secrets that stand in some fields, each of which must exist in the project, and be one of
/// the account, if something acts for one, or of a person.
///
/// # Errors
///
/// 400 when one does not exist, or belongs to another account.
pub async fn named(
    write: &mut Write,
    (project, account): (&str, Option<&str>),
    secrets: &[(String, String)],
) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for (field, id) in secrets {
        let found: Option<(Option<String>,)> =
            select("SELECT service_account_id FROM held_secrets WHERE id = $1 AND project_id = $2")
                .bind(id)
                .bind(project)
                .find(write.reads())
                .await?;
        match found {
            None => return Err(Refusal::field(field, format!("secret {id:?} does not exist"))),
            Some((owner,))
                if owner.is_none() || owner.as_deref() == account || account.is_none() =>
            {
                ids.insert(id.clone());
            }
            Some(_) => {
                let message = format!("secret {id:?} is not one of the account in `run_as`");
                return Err(Refusal::field(field, message));
            }
        }
    }
    Ok(ids)
}
