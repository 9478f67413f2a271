//! The document of a route in 0.56, and its rules of form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Refusal, Result};
use crate::kinds::specs::route::{self, Backend, RoutePath};
use crate::kinds::specs::rules;

/// A route: which paths of a domain lead where.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The version of documents.
    #[serde(default)]
    pub version: Version,
    /// Always `Route`.
    #[serde(default)]
    pub kind: RouteKind,
    /// Its name and annotations.
    pub metadata: Metadata,
    /// The domain.
    pub domain: String,
    /// What its paths lead into.
    pub backend: Backend,
    /// The paths.
    #[serde(default)]
    pub paths: Vec<RoutePath>,
}

/// `v1`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub enum Version {
    /// The only one.
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// `Route`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub enum RouteKind {
    /// The only one.
    #[default]
    Route,
}

/// The metadata of a route.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Its name, which need not be the domain.
    pub name: String,
    /// Notes for programs.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl RouteSpec {
    /// Checks it, and gives its texts the form in which they are kept. 400 names the wrong field.
    pub fn checked(mut self) -> Result<Self> {
        rules::domain(&self.domain).map_err(Refusal::at("spec.domain"))?;
        rules::name(&self.metadata.name).map_err(Refusal::at("spec.metadata.name"))?;
        match route::settle(&self.backend, &mut self.paths).into_iter().next() {
            Some(broken) => Err(Refusal::field(format!("spec.{}", broken.path), broken.message)),
            None => Ok(self),
        }
    }
}
