//! The documents that go over the wire in 0.31, if they have a type. So far they have the same
//! fields as manifests, so they need no types of their own; `service_fields.txt` lists the fields
//! of 0.31, whatever fields manifests get later. Code that reads or writes a document of the wire
//! takes its type from here, and code that reads a manifest takes it from `kinds`.

use super::service;
use crate::api::spoken::Spoken;
use crate::dialect::inexpressible;
use crate::kinds::tree::Tree;
use crate::kinds::{Fault, specs};

/// A service, as the platform takes it and answers with it.
pub type ServiceSpec = specs::service::ServiceSpec;

/// A template of services, as the platform renders it.
pub type ServiceTemplateSpec = specs::template::ServiceTemplateSpec;

/// What of the fields of a service this API does not have.
#[must_use]
pub fn beyond(fields: &Tree) -> Vec<Fault> {
    inexpressible(&service::Service, Spoken::V0_31, fields)
}
