//! What belongs to projects in 0.31 and to service accounts in 0.56: the same commands, with an
//! option that names the account.

use serde_json::Value;

use crate::api::reader::is_called;
use crate::api::spoken::Spoken;
use crate::connection::Connection;
use crate::dialect::Speaks;
use crate::error::{Class, Error, Result};
use crate::visible;

/// The service account that something belongs to.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AccountArgs {
    /// The service account that it belongs to, where the platform speaks 0.56
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
}

/// A service account that was found.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its name, as the platform spells it.
    pub name: String,
}

impl AccountArgs {
    /// The account that is meant, if one is.
    ///
    /// # Errors
    ///
    /// There is none with this name; the platform has no service accounts.
    pub async fn find(&self, connection: &Connection) -> Result<Option<Account>> {
        let Some(wanted) = &self.service_account else { return Ok(None) };
        let project = connection.project_id().await?;
        let reader = connection.client.reader();
        let missing = || {
            let wanted = visible::line(wanted);
            Error::failed(format!("there is no service account `{wanted}` in this project"))
        };
        let Some(request) = reader.dialect().service_account(project, wanted) else {
            return Err(match reader.spoken() {
                spoken @ Spoken::V0_31 => wrong_holder(spoken, Wrong::Account),
                Spoken::V0_56 => missing(),
            });
        };
        let found = match reader.get_json(&request).await {
            Err(error) if error.status == Some(404) => return Err(missing()),
            found => found?,
        };
        // What is written would go to whom the answer names.
        if !is_called(&found, wanted) {
            return Err(Error::failed("the platform answered with another service account")
                .hint("nothing was written; ask whoever runs the platform"));
        }
        let text = |field: &str| found.get(field).and_then(Value::as_str).map(str::to_owned);
        match (text("id"), text("name")) {
            (Some(id), Some(name)) => Ok(Some(Account { id, name })),
            _ => Err(Error::failed("the platform's answer contains no id and name of the account")),
        }
    }
}

/// What a platform does not have.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    /// Service accounts.
    Account,
    /// These, of projects: what they are, and how they are called afterwards.
    OfProject(&'static str, &'static str),
}

/// The error where something belongs to others than was said.
#[must_use]
pub fn wrong_holder(spoken: Spoken, wrong: Wrong) -> Error {
    let (lacks, hint) = match wrong {
        Wrong::Account => (
            "service accounts".to_owned(),
            "leave --service-account out: it belongs to the project there".to_owned(),
        ),
        Wrong::OfProject(what, they) => (
            format!("{what} of projects"),
            format!(
                "{they} belong to service accounts there: name one with --service-account NAME"
            ),
        ),
    };
    let told = format!("the platform's API, that of {spoken}, has no {lacks}");
    Error::new(Class::Refused, told).hint(hint)
}
