//! Participants who may no longer be where they are, because what let them in was taken back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Rooms, UNCHECKED};
use crate::platform::error::Result;
use crate::platform::objects::rooms::Room as StoredRoom;

impl Rooms {
    /// Removes participants who may no longer be where they are: something was taken back that let
    /// them in. If that cannot be known, they stay. Nothing is asked for them as long as nobody
    /// entered and nothing was committed.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn remove_unwelcome(&self) -> Result<()> {
        let revision = self.0.store.revision().await?;
        // Who enters from here on is seen below, or sets it back.
        if self.0.checked.swap(revision, Ordering::SeqCst) == revision {
            return Ok(());
        }
        let checked = self.check_all().await;
        if checked.is_err() {
            self.0.checked.store(UNCHECKED, Ordering::SeqCst);
        }
        checked
    }

    async fn check_all(&self) -> Result<()> {
        let rooms: Vec<_> =
            self.0.open().rooms.values().map(|handle| Arc::clone(&handle.room)).collect();
        let reads = self.0.store.reads();
        for room in rooms {
            let guests: Vec<_> =
                room.state().present.values().map(|it| Arc::clone(&it.guest)).collect();
            let Some(row) = StoredRoom::find_by_id(reads, &room.project, &room.id).await? else {
                continue;
            };
            if !row.enabled {
                self.end(&row.id);
                continue;
            }
            self.0.tunnels.remove_unwelcome(reads, &row).await?;
            for guest in guests {
                if !guest.participant.may_stay(reads, &row).await? {
                    guest.dismiss(CloseCode::Policy, "what let the participant in was taken back");
                }
            }
        }
        Ok(())
    }
}
