//! The documents that go over the wire in 0.31, where they have a type. So far they say field for
//! field what manifests say, so they are no types of their own; `service_fields.txt` lists the
//! fields that 0.31 has, whichever manifests come to have. Whoever reads or writes a document of
//! the wire takes its type from here, and whoever reads a manifest takes it from `kinds`.

use crate::kinds::specs;

/// A service, as the platform takes it and answers with it.
pub type ServiceSpec = specs::service::ServiceSpec;

/// A template of services, as the platform renders it.
pub type ServiceTemplateSpec = specs::template::ServiceTemplateSpec;
