//! `POST /templates/render`, and the only place where the platform renders a template.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Route;
use crate::api::spoken::Spoken;
use crate::dialect;
use crate::dialect::wire::ServiceTemplateSpec;
use crate::kinds::KindName;
use crate::manifest::template::{self, TemplateError, Values};
use crate::platform::auth::{Access, Principal};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Body};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/templates/render", Access::Signed, render)]
}

/// How many templates are rendered at once.
const AT_ONCE: usize = 2;

/// How long a template waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

/// Whose turn it is to render: a few at once, and one for each caller, so that nobody waits for
/// all requests of another caller.
#[derive(Debug)]
struct Turns {
    all: Arc<Semaphore>,
    callers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
struct Turn {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

static TURNS: LazyLock<Turns> = LazyLock::new(Turns::default);

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), callers: Mutex::default() }
    }
}

impl Turns {
    async fn next(&self, caller: &str) -> Result<Turn> {
        let own = {
            let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
            // Callers that neither render nor wait are forgotten.
            callers.retain(|_, own| Arc::strong_count(own) > 1);
            let own = callers.entry(caller.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let both = async {
            let own = own.acquire_owned().await.map_err(Refusal::internal)?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.map_err(Refusal::internal)?;
            Ok(Turn { _own: own, _of_all: of_all })
        };
        tokio::time::timeout(WAIT, both).await.unwrap_or(Err(Refusal::Busy))
    }
}

/// A template and the values for it. Missing values are an empty map.
#[derive(Deserialize)]
pub(super) struct TemplateBody {
    template: String,
    values: Option<IndexMap<String, String>>,
}

/// Renders a template; the caller gets to know what is wrong with it.
pub(super) async fn rendered(
    principal: &Principal,
    body: TemplateBody,
) -> Result<ServiceTemplateSpec> {
    let rendered = in_turn(principal, body, |template, values, turn| {
        template::render_holding(template, values, turn)
    });
    let rendered = rendered.await?;
    // Of what manifests have, this API lacks some.
    let said = KindName::Service.kind().shape().read(&serde_json::to_value(&rendered)?);
    match dialect::of(Spoken::V0_31, KindName::Service).unsaid().in_use(&said).first() {
        Some(field) => {
            let message = format!("has the field `{field}`, which the API 0.31 does not have");
            Err(Refusal::field("template", message))
        }
        None => Ok(rendered),
    }
}

/// Renders a template to a document, whatever fields it has.
pub(super) async fn document(principal: &Principal, body: TemplateBody) -> Result<Value> {
    in_turn(principal, body, |template, values, turn| {
        template::document_holding(template, values, turn)
    })
    .await
}

/// Rendering occupies a processor for a while, so it waits for its turn. The turn is not free
/// again when the caller disconnects, nor when a template was given up and still runs.
async fn in_turn<T: Send + 'static>(
    principal: &Principal,
    body: TemplateBody,
    render: impl FnOnce(&str, &Values, Turn) -> Result<T, TemplateError> + Send + 'static,
) -> Result<T> {
    let turn = TURNS.next(principal.behind()).await?;
    let rendered = tokio::task::spawn_blocking(move || {
        render(&body.template, &body.values.unwrap_or_default(), turn)
    });
    rendered
        .await
        .map_err(Refusal::internal)?
        .map_err(|error| Refusal::field("template", error.to_string()))
}

async fn render(principal: Principal, Body(body): Body<TemplateBody>) -> Result<Answer> {
    Ok(Answer::text(serde_json::to_string(&rendered(&principal, body).await?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_all_that_another_asked_for() {
        let turns = Turns::default();
        let first = turns.next("a").await.expect("a turn");
        // Of the same caller the next one waits, in vain.
        assert!(matches!(turns.next("a").await, Err(Refusal::Busy)));
        let other = turns.next("b").await.expect("a turn of another");
        assert!(matches!(turns.next("c").await, Err(Refusal::Busy)));
        drop(other);
        turns.next("c").await.expect("a turn once there is one");
        drop(first);
        turns.next("a").await.expect("the next turn");
        let known = turns.callers.lock().unwrap_or_else(PoisonError::into_inner).len();
        assert!(known <= 2, "{known}");
    }
}
