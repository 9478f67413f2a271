//! What a platform refuses by its form is refused in a manifest, at its line; what a command
//! plans is what it sends; projects go by name or id.

#[path = "rules/bodies.rs"]
mod bodies;
#[path = "rules/form.rs"]
mod form;
#[path = "rules/projects.rs"]
mod projects;
#[path = "rules/warnings.rs"]
mod warnings;
