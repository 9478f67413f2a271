//! The services of a room and of its project.

use crate::platform::live::calls::{Caller, refused, short};
use crate::platform::live::services::Restarted;
use crate::platform::objects::services as stored;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::services::{List, Restart, Services};

/// Lists the services, and how they are.
pub async fn list(caller: &Caller, _: List) -> Result<Services, Refused> {
    let room = &caller.room;
    let effective = stored::effective(&room.house.store, &room.project, &room.id).await;
    let effective =
        effective.map_err(|refusal| refused(codes::OPERATION_FAILED, refusal.to_string()))?;
    let present = room.state().present.values().map(|it| it.guest.name.clone()).collect();
    let service_states = room.services.states(&present);
    let services_json = effective.into_iter().map(|service| service.document).collect();
    Ok(Services { services_json, service_states })
}

/// Starts a service again.
pub async fn restart(caller: &Caller, asked: Restart) -> Result<(), Refused> {
    match caller.room.services.restart(&asked.service_id) {
        Restarted::Yes => Ok(()),
        Restarted::NotRun(why) => Err(refused(codes::SERVICE_RESTART_NOT_ALLOWED, why)),
        Restarted::Unknown => {
            let id = short(&asked.service_id);
            Err(refused(
                codes::SERVICE_NOT_FOUND,
                format!("there is no service {id:?} in the room"),
            ))
        }
    }
}
