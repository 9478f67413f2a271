//! What the kinds share whose objects are inside of rooms, where REST does not reach: in which rooms a
//! document puts its object.

use super::Fault;
use super::service::placements;

/// The rooms that a document names: one entry each.
///
/// # Errors
///
/// As [`placements`]; no room is named.
pub(super) fn rooms(
    room: Option<String>,
    rooms: Option<Vec<String>>,
) -> Result<Vec<Option<String>>, Vec<Fault>> {
    if room.is_none() && rooms.as_ref().is_none_or(Vec::is_empty) {
        let field = if rooms.is_some() { "rooms" } else { "room" };
        let fault = Fault::new(&[field], "no room is named");
        return Err(fault.hint("write `room: NAME`, or `rooms: [NAME, …]`").into());
    }
    placements(room, rooms)
}
