//! Services that start on demand: each time that a participant asks, a container of its own. It is the
//! participant's, ends by itself, and stays until it is removed or the room ends.

use std::sync::Arc;

use meshagent_containers::Variables;

use super::super::calls::{Caller, refused, short};
use super::super::containers::owned::Ownership;
use super::boxed::{Boxed, Made, News};
use super::contained::exit;
use super::declared::Declared;
use super::journal::Journal;
use super::lines;
use crate::platform::objects::services::effective;
use crate::room::codes;
use crate::room::content::Refused;

/// Runs a service for a participant, with variables besides its own. The id of its container.
///
/// # Errors
///
/// There is no such service; it does not start on demand; it cannot run here, or did not start.
pub async fn run(caller: &Caller, service: &str, more: Variables) -> Result<String, Refused> {
    let room = &caller.room;
    let services = effective(&room.house.store, &room.project, &room.id).await;
    let services = services.map_err(|it| refused(codes::OPERATION_FAILED, it.to_string()))?;
    let missing = || {
        let text = format!("there is no service {:?} in the room", short(service));
        refused(codes::SERVICE_NOT_FOUND, text)
    };
    let stored = services.into_iter().find(|it| it.id == service).ok_or_else(missing)?;
    let declared = Declared::read(stored).map_err(|it| Refused::new(it.to_string()))?;
    let name = declared.spec.metadata.name.clone();
    let not_so = |text: String| refused(codes::SERVICE_RESTART_NOT_ALLOWED, text);
    if !declared.spec.is_on_demand() {
        return Err(not_so(format!("the service {name:?} does not start on demand")));
    }
    if let Some(why) = declared.impossible() {
        return Err(not_so(format!("the service {name:?} cannot run: {why}")));
    }
    let container = declared.spec.container.as_ref();
    let owner = Ownership::of(caller, container.is_none_or(|it| it.private));
    let journal = Journal { room: Arc::clone(room), id: declared.id.clone(), name };
    let boxed = Boxed { journal, declared: Arc::new(declared) };
    boxed.fetch().await?;
    // Whoever leaves meanwhile leaves a container that the room has, and no half of one.
    let making = boxed.clone();
    let made = room.to_the_end(async move { making.make(Some(owner), more).await }).await?;
    let id = made.id.clone();
    room.house.run(attend(boxed, made));
    Ok(id)
}

/// Looks after a container until it ends, or its room does.
async fn attend(boxed: Boxed, made: Made) {
    let room = Arc::clone(&boxed.journal.room);
    let Ok(engine) = room.house.containers.engine().await else { return };
    let work = async {
        boxed.work(&made, |_: News<'_>| {}).await;
        // Whoever started it decides what becomes of one that does not answer.
        std::future::pending::<()>().await;
    };
    let work = async {
        tokio::select! {
            () = lines::follow(engine.clone(), boxed.journal.clone(), made.id.clone()) => {}
            () = work => {}
        }
        exit(engine, &made.id).await;
    };
    room.stop.run_until_cancelled(work).await;
}
