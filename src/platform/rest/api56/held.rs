//! For which service account something acts, and the secrets that it names.

use std::collections::BTreeSet;

use super::proxies;
use crate::platform::auth::Caller;
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

/// The secrets that stand in some fields. Each must be within reach: one of the account for which
/// something acts, one of a user's that this account was granted, or the caller's own. A secret of
/// somebody else is told apart from none by nobody.
///
/// # Errors
///
/// 400 when one does not exist, or is out of reach.
pub async fn named(
    write: &mut Write,
    (caller, account): (&Caller, Option<&str>),
    secrets: &[(String, String)],
) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for (field, id) in secrets {
        let owners: Option<(Option<String>, Option<String>)> = select(
            "SELECT user_id, service_account_id FROM held_secrets WHERE id = $1 AND project_id = $2",
        )
        .bind(id)
        .bind(&caller.project)
        .find(write.reads())
        .await?;
        match (owners, account) {
            (Some((Some(user), _)), _) if caller.principal.user() == Some(&*user) => {}
            (Some((Some(_), _)), Some(account))
                if proxies::is_granted(write, id, account).await? => {}
            (Some((None, owner)), account) if account.is_none() || owner.as_deref() == account => {}
            (Some((None, _)), _) => {
                let message = format!("secret {id:?} is not one of the account in `run_as`");
                return Err(Refusal::field(field, message));
            }
            _ => return Err(Refusal::field(field, format!("secret {id:?} does not exist"))),
        }
        ids.insert(id.clone());
    }
    Ok(ids)
}
