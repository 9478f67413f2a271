//! Managed agents: a configuration each, which is kept as it was written. None of them runs here, so
//! nobody connects to one.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::plain::{self, Resource, Stored};
use super::super::{check_annotations, services::refusal};
use super::held;
use super::named::{self, Named};
use super::page::{self, Filtered};
use super::{Refusal, Result, Route};
use crate::kinds::managed_agent::check;
use crate::kinds::specs::managed_agent::Configuration;
use crate::kinds::{KindName, specs::Version};
use crate::platform::App;
use crate::platform::auth::{Access, Caller};
use crate::platform::exchange::{self, Answer, Body, Condition};
use crate::platform::objects::stored;
use crate::platform::store::{Write, insert, of_row};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/accounts/projects/{project}/agents";
    const ONE: &str = "/accounts/projects/{project}/agents/{agent}";
    const CONNECT: &str = "/accounts/projects/{project}/agents/{agent}/connect";
    vec![
        Route::post(ALL, Access::Write, create),
        Route::get(ALL, Access::Read, page::list::<Agent>),
        Route::get(ONE, Access::Read, named::get_named::<Agent>),
        Route::put(ONE, Access::Write, put),
        Route::delete(ONE, Access::Write, plain::delete::<Agent>),
        Route::post(CONNECT, Access::Read, connect),
    ]
}

/// An agent as it is stored. Whoever reads the project sees all of them, so both views of the list
/// are the same.
struct Agent {
    id: String,
    name: String,
    configuration: String,
}

of_row!(Agent { id, name, configuration });

impl Resource for Agent {
    const TABLE: &'static str = "agents";
    const KEY: &'static str = "id";
    const NOUN: &'static str = "agent";

    fn whole(&self) -> Result<Value> {
        let mut configuration = stored(&self.configuration)?;
        configuration["id"] = json!(self.id);
        Ok(json!({ "id": self.id, "name": self.name, "configuration": configuration }))
    }
}

impl Filtered for Agent {
    const FILTER: &'static str = "name";
}

impl Named for Agent {}

/// What stands in the metadata of an agent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Names fields below `configuration`.
fn within(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid { field, message } => {
            let field = field.map_or("configuration".to_owned(), |field| match field.as_str() {
                "" => "configuration".to_owned(),
                field => format!("configuration.{field}"),
            });
            Refusal::Invalid { field: Some(field), message }
        }
        refusal => refusal,
    }
}

/// An agent as it was requested.
struct Wanted {
    name: String,
    id: Option<String>,
    document: Map<String, Value>,
    configuration: Configuration,
}

impl Wanted {
    /// Reads a configuration and checks it. 400 names the wrong field.
    fn read(document: Map<String, Value>) -> Result<Self> {
        Self::checked(document).map_err(within)
    }

    fn checked(mut document: Map<String, Value>) -> Result<Self> {
        if let Some(name) =
            document.get("name").cloned().filter(|_| !document.contains_key("metadata"))
        {
            document.shift_remove("name");
            document.insert("metadata".to_owned(), json!({ "name": name }));
        }
        let mut rest = document.clone();
        let mut take = |field: &str| rest.shift_remove(field).unwrap_or_default();
        let at = |field: &'static str| move |refusal| below(field, refusal);
        let (version, kind, id) = (take("version"), take("kind"), take("id"));
        if !version.is_null() {
            exchange::decode::<Version>(version).map_err(at("version"))?;
        }
        if !kind.is_null() && kind != "ManagedAgent" {
            return Err(Refusal::field("kind", "must be ManagedAgent"));
        }
        let id = exchange::decode(id).map_err(at("id"))?;
        let metadata: Metadata = exchange::decode(take("metadata")).map_err(at("metadata"))?;
        check_annotations(Some(&metadata.annotations)).map_err(at("metadata"))?;
        let mut configuration: Configuration = exchange::decode(Value::Object(rest))?;
        let name = KindName::ManagedAgent.kind().natural_name(&metadata.name);
        if let Some(run_as) = &mut configuration.run_as {
            run_as.email = run_as.email.trim().to_lowercase();
            if let Some(written) = document.get_mut("run_as") {
                written["email"] = json!(run_as.email);
            }
        }
        check(&name, &configuration, &Value::Object(document.clone())).map_err(refusal)?;
        document.shift_remove("id");
        document.insert("version".to_owned(), json!("v1"));
        document.insert("kind".to_owned(), json!("ManagedAgent"));
        document.insert(
            "metadata".to_owned(),
            json!({ "name": name, "annotations": metadata.annotations }),
        );
        Ok(Self { name, id, document, configuration })
    }

    /// The secrets that it names, each of which must exist.
    async fn secrets(&self, write: &mut Write, caller: &Caller) -> Result<BTreeSet<String>> {
        let run_as = self.configuration.run_as.as_ref().map(|run_as| run_as.email.as_str());
        let field = "configuration.run_as.email";
        let account = held::account(write, &caller.project, (field, run_as)).await?;
        let named = self.configuration.secrets().into_iter();
        let named = named.map(|(path, id)| (format!("configuration.{path}"), id.to_owned()));
        held::named(write, (caller, account.as_deref()), &named.collect::<Vec<_>>()).await
    }

    fn taken(&self) -> String {
        format!("an agent with the name {:?} already exists", self.name)
    }
}

/// Names fields below a field.
fn below(above: &str, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Invalid { field, message } => {
            let field = field.map_or(above.to_owned(), |field| format!("{above}.{field}"));
            Refusal::Invalid { field: Some(field), message }
        }
        refusal => refusal,
    }
}

async fn refer(write: &mut Write, agent: &str, secrets: &BTreeSet<String>) -> Result<()> {
    for secret in secrets {
        insert("INSERT INTO agent_held_secrets (agent_id, secret_id) VALUES ($1, $2)")
            .bind(agent)
            .bind(secret)
            .run(write, || format!("the agent refers to the secret {secret:?}"))
            .await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct NewAgent {
    configuration: Map<String, Value>,
    #[serde(default)]
    if_not_exists: bool,
}

/// An agent that is there already is the answer, if the request says so.
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewAgent>,
) -> Result<Answer> {
    let wanted = Wanted::read(new.configuration)?;
    if wanted.id.is_some() {
        return Err(Refusal::field("configuration.id", "is chosen by the platform"));
    }
    let mut write = app.store().write().await?;
    let there = named::named::<Agent>(write.reads(), &caller.project, &wanted.name).await?;
    if let Some(there) = there {
        return match new.if_not_exists {
            true => named::answer(&there),
            false => Err(Refusal::Conflict(wanted.taken())),
        };
    }
    let secrets = wanted.secrets(&mut write, &caller).await?;
    let revision = write.revision().await?;
    let agent = Agent {
        id: Uuid::new_v4().to_string(),
        name: wanted.name.clone(),
        configuration: serde_json::to_string(&wanted.document)?,
    };
    insert(
        "INSERT INTO agents (id, project_id, name, configuration, seq, rev) \
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(&agent.id)
    .bind(&caller.project)
    .bind(&agent.name)
    .bind(&agent.configuration)
    .bind(revision)
    .run(&mut write, || wanted.taken())
    .await?;
    refer(&mut write, &agent.id, &secrets).await?;
    write.commit().await?;
    Ok(Answer::json(&agent.whole()?).created().tagged(revision))
}

#[derive(Deserialize)]
struct AgentChange {
    configuration: Map<String, Value>,
}

/// Replaces the configuration as a whole, and the name with it.
async fn put(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
    condition: Condition,
    Body(body): Body<AgentChange>,
) -> Result<Answer> {
    let wanted = Wanted::read(body.configuration)?;
    if wanted.id.as_ref().is_some_and(|own| *own != id) {
        return Err(Refusal::field("configuration.id", "is not the id in the path"));
    }
    let mut write = app.store().write().await?;
    let Stored { row: mut agent, rev, .. } =
        named::by_id::<Agent>(write.reads(), &caller.project, &id).await?;
    let mut change = condition.admits(write, rev)?;
    let secrets = wanted.secrets(&mut change, &caller).await?;
    agent.name.clone_from(&wanted.name);
    agent.configuration = serde_json::to_string(&wanted.document)?;
    let revision = change.revision().await?;
    sqlx::query("UPDATE agents SET name = $1, configuration = $2, rev = $3 WHERE id = $4")
        .bind(&agent.name)
        .bind(&agent.configuration)
        .bind(revision)
        .bind(&agent.id)
        .execute(change.on())
        .await
        .map_err(|error| Refusal::taken(error, || wanted.taken()))?;
    sqlx::query("DELETE FROM agent_held_secrets WHERE agent_id = $1")
        .bind(&agent.id)
        .execute(change.on())
        .await?;
    refer(&mut change, &agent.id, &secrets).await?;
    change.commit().await?;
    Ok(Answer::json(&agent.whole()?).tagged(revision))
}

/// A token for an agent that does not run would be good for nothing.
async fn connect(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let found = named::named::<Agent>(app.store().reads(), &caller.project, &name).await?;
    let agent = found.ok_or_else(|| Refusal::missing(Agent::NOUN, &name))?.row;
    Err(Refusal::Conflict(format!(
        "the agent {:?} does not run: this platform keeps managed agents and does not run them",
        agent.name
    )))
}
