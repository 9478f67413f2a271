//! `POST /templates/render`, and the one place where the platform renders a template.

use indexmap::IndexMap;
use serde::Deserialize;

use super::Route;
use crate::api::specs::template::ServiceTemplateSpec;
use crate::manifest::template;
use crate::platform::auth::Access;
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::{Answer, Body};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::post("/templates/render", Access::Signed, render)]
}

/// A template and the values for it. No values are as good as an empty map.
#[derive(Deserialize)]
pub(super) struct TemplateBody {
    template: String,
    values: Option<IndexMap<String, String>>,
}

/// Renders a template; what is wrong with it is the caller's to read.
pub(super) fn rendered(body: &TemplateBody) -> Result<ServiceTemplateSpec> {
    let none = IndexMap::new();
    template::render(&body.template, body.values.as_ref().unwrap_or(&none))
        .map_err(|error| Refusal::field("template", error.to_string()))
}

async fn render(Body(body): Body<TemplateBody>) -> Result<Answer> {
    Ok(Answer::text(serde_json::to_string(&rendered(&body)?)?))
}
