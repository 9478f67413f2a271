//! Who reads the platform: what this one is called where it says what somebody may do, so that no plan
//! and no command takes that away from whoever runs it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::wanted::Wanted;
use crate::api::reader::Reader;
use crate::api::request::Request;
use crate::dialect::Speaks;
use crate::error::{Error, Result};
use crate::kinds::specs::roles::ADMIN;
use crate::kinds::{self, KindName};

/// What is not known where nobody tells who this is.
const UNKNOWN: &str = "it is not known whose access this must not take away";

/// Whoever reads, as documents and the platform name them.
#[derive(Debug, Clone, Default)]
pub struct Own {
    /// What an object may be called that is about them: what they may do, or they themselves.
    names: BTreeSet<(KindName, String)>,
    /// How a question names them.
    subject: Value,
}

impl Own {
    /// Whoever reads, if that matters. It is asked for once.
    pub(super) async fn if_wanted(
        reader: &Reader,
        wanted: &Wanted,
        whose: &OnceCell<Self>,
    ) -> Result<Self> {
        match reader.dialect().whose().filter(|_| wanted.is_about_access()) {
            Some(request) => whose.get_or_try_init(|| Self::of(reader, request)).await.cloned(),
            None => Ok(Self::default()),
        }
    }

    /// Whoever reads; nobody where the platform's API does not tell.
    ///
    /// # Errors
    ///
    /// The platform's; an answer that does not say who this is.
    pub async fn read(reader: &Reader) -> Result<Self> {
        match reader.dialect().whose() {
            Some(request) => Self::of(reader, request).await,
            None => Ok(Self::default()),
        }
    }

    async fn of(reader: &Reader, request: Request) -> Result<Self> {
        let told = reader.get_json(&request).await.map_err(|error| {
            let cause = Error::from(error);
            let failed = Error::new(cause.class, UNKNOWN);
            let failed = match &cause.hint {
                Some(hint) => failed.hint(hint.clone()),
                None => failed,
            };
            failed.because(cause)
        })?;
        let text = |field: &str| told.get(field).and_then(Value::as_str);
        let of = text("type").unwrap_or_default();
        let name = told.pointer("/service_account/name").and_then(Value::as_str);
        let called = [text("id"), text("email"), name].into_iter().flatten();
        let called: Vec<String> =
            called.filter(|who| !who.is_empty()).map(|who| format!("{of}:{who}")).collect();
        if of.is_empty() || called.is_empty() {
            return Err(Error::failed(format!("{UNKNOWN}: the platform does not say who this is"))
                .hint("use another credential, or ask whoever runs the platform"));
        }
        let kinds = || kinds::ALL.into_iter().filter(|kind| kind.is_access());
        let mut names = BTreeSet::new();
        for (name, kind) in
            called.into_iter().flat_map(|name| kinds().map(move |kind| (name.clone(), kind)))
        {
            names.insert((kind.name(), kind.natural_name(&name)));
            names.extend(kind.named_in(&name).map(|(kind, who)| (kind, who.to_owned())));
        }
        let field = if text("id").is_some() { "id" } else { "email" };
        let subject = json!({ "type": of, field: text(field) });
        Ok(Self { names, subject })
    }

    /// Whether an object with this name, or this id, is about whoever reads.
    #[must_use]
    pub fn is_called(&self, kind: KindName, name: &str) -> bool {
        self.names.contains(&(kind, name.to_owned()))
    }

    /// Whether whoever reads is an admin of a project, for whatever reason. Where that is not told,
    /// they count as none.
    pub(super) async fn is_admin(&self, reader: &Reader, project: &str) -> bool {
        let request = reader.dialect().roles_of(project, &self.subject);
        let Some(request) = request.filter(|_| !self.subject.is_null()) else { return false };
        match reader.get_json(&request).await {
            Ok(told) => {
                let roles = told.get("effective_roles").and_then(Value::as_array);
                roles.into_iter().flatten().any(|role| role.as_str() == Some(ADMIN))
            }
            Err(error) => {
                tracing::debug!(%error, "failed to read the roles of whoever reads");
                false
            }
        }
    }
}
