//! `POST /templates/render`, and the one place where the platform renders a template.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::Route;
use crate::api::specs::template::ServiceTemplateSpec;
use crate::manifest::template;
use crate::platform::auth::Access;
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Body};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/templates/render", Access::Signed, render)]
}

/// How many templates are rendered at once.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How long a template waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

/// A template and the values for it. No values are as good as an empty map.
#[derive(Deserialize)]
pub(super) struct TemplateBody {
    template: String,
    values: Option<IndexMap<String, String>>,
}

/// Renders a template; what is wrong with it is the caller's to read.
///
/// It takes a processor for a while, so no more than a few are rendered at once, beside the
/// threads that answer. Whoever asked and went away does not make room for another.
pub(super) async fn rendered(body: TemplateBody) -> Result<ServiceTemplateSpec> {
    let Ok(Ok(turn)) = tokio::time::timeout(WAIT, TURNS.acquire()).await else {
        return Err(Refusal::Busy);
    };
    let rendered = tokio::task::spawn_blocking(move || {
        let rendered = template::render(&body.template, &body.values.unwrap_or_default());
        drop(turn);
        rendered
    });
    rendered
        .await
        .map_err(Refusal::internal)?
        .map_err(|error| Refusal::field("template", error.to_string()))
}

async fn render(Body(body): Body<TemplateBody>) -> Result<Answer> {
    Ok(Answer::text(serde_json::to_string(&rendered(body).await?)?))
}
