//! What the objects of a project share that have an id, most of them with a name besides: one is
//! read by either of them, and returned as it is, with its entity tag. Their lists are in `page`, and
//! what deletes one is in `plain`.

use axum::extract::{Path, State};

use super::super::plain::{self, Resource, Stored};
use super::{Refusal, Result};
use crate::platform::App;
use crate::platform::auth::Caller;
use crate::platform::exchange::Answer;
use crate::platform::store::{Reads, select};

/// A resource whose objects have names, which are compared without case.
pub trait Named: Resource {}

/// One object, as the API returns it.
pub fn answer<T: Resource>(found: &Stored<T>) -> Result<Answer> {
    Ok(Answer::json(&found.row.whole()?).tagged(found.rev))
}

/// The object with an id, in a project.
pub async fn by_id<T: Resource>(reads: impl Reads, project: &str, id: &str) -> Result<Stored<T>> {
    plain::find(reads, project, (&T::key(id), id)).await
}

/// The object with a name, if a project has one.
pub async fn named<T: Named>(
    reads: impl Reads,
    project: &str,
    name: &str,
) -> Result<Option<Stored<T>>> {
    select(plain::question::<T>("lower(name) = lower($1) AND project_id = $2"))
        .bind(name)
        .bind(project)
        .find(reads)
        .await
}

/// Returns one by its id.
pub async fn get<T: Resource>(
    State(app): State<App>,
    caller: Caller,
    Path((_, id)): Path<(String, String)>,
) -> Result<Answer> {
    answer(&by_id::<T>(app.store().reads(), &caller.project, &id).await?)
}

/// Returns one by its name.
pub async fn get_named<T: Named>(
    State(app): State<App>,
    caller: Caller,
    Path((_, name)): Path<(String, String)>,
) -> Result<Answer> {
    let found = named::<T>(app.store().reads(), &caller.project, &name).await?;
    answer(&found.ok_or_else(|| Refusal::missing(T::NOUN, &name))?)
}
