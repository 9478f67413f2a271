//! What is logged in the rooms that are declared. Whoever watches a room is in it, so the room runs,
//! and with it the services that are in it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::telling::Telling;
use crate::api::project;
use crate::commands::room::entering::Entering;
use crate::connection::Connection;
use crate::error::{Error, Result, with_causes};
use crate::output;
use crate::room::client::{Incoming, Room};
use crate::room::developer::Event;
use crate::room::invocation::Invocation;
use crate::room::lasting::{self, NotEntered};
use crate::settings::PlatformArgs;
use crate::visible;

/// A room, with its project by name or id.
type Place = (String, String);

/// The rooms that are watched.
pub struct Logs {
    connection: Rc<Connection>,
    telling: Telling,
    stop: CancellationToken,
    rooms: BTreeMap<Place, (CancellationToken, JoinHandle<()>)>,
}

impl Logs {
    /// None yet.
    pub fn new(connection: Rc<Connection>, telling: Telling, stop: CancellationToken) -> Self {
        Self { connection, telling, stop, rooms: BTreeMap::new() }
    }

    /// Watches these rooms, and no others. One that could not be entered, or has ended, is entered
    /// again.
    pub fn follow(&mut self, rooms: &BTreeSet<Place>) {
        self.rooms.retain(|place, (stop, task)| {
            if !rooms.contains(place) {
                stop.cancel();
            }
            rooms.contains(place) && !task.is_finished()
        });
        for place in rooms {
            if self.rooms.contains_key(place) {
                continue;
            }
            let stop = self.stop.child_token();
            let (connection, telling) = (Rc::clone(&self.connection), self.telling.clone());
            let (place, told) = (place.clone(), stop.clone());
            let watched = place.clone();
            let task = tokio::task::spawn_local(async move {
                if let Err(error) = watch(&connection, &telling, &watched, &told).await
                    && !told.is_cancelled()
                {
                    let (room, error) = (visible::line(&watched.1), with_causes(&error));
                    telling.note(&format!("the room {room} is not watched: {error}"));
                }
            });
            self.rooms.insert(place, (stop, task));
        }
    }

    /// Leaves all rooms.
    pub async fn end(self) {
        self.stop.cancel();
        for (_, task) in self.rooms.into_values() {
            // A task that failed has nothing to end.
            let _ = task.await;
        }
    }
}

/// Shows what is logged in a room until it is told to stop.
async fn watch(
    connection: &Connection,
    telling: &Telling,
    (project, room): &Place,
    stop: &CancellationToken,
) -> Result<()> {
    let mut was_there = false;
    let enter = async || {
        let enter = async {
            let id = project::id_of(&connection.client.reader(), project).await?;
            let entering = Entering::ask_in(connection, &id, room).await?;
            entering.enter(&PlatformArgs::default()).await.map_err(NotEntered::from)
        };
        let entered = enter.await;
        let is_first = !was_there;
        was_there |= entered.is_ok();
        entered.map_err(|known| NotEntered { is_for_good: known.is_for_good || is_first, ..known })
    };
    let work = async |inside: &Room, incoming: Incoming| {
        // Nobody listens to what the room tells besides.
        drop(incoming);
        let failed = |why: crate::room::content::Refused| Error::failed(why.to_string());
        let logs = Invocation::stream("developer", "logs");
        let mut call = inside.open(logs).await.map_err(failed)?;
        while let Some(part) = call.output.next().await.map_err(failed)? {
            // What is no event is of a newer platform.
            if let Some(event) = Event::of(part) {
                telling.logged(room, event);
            }
        }
        Ok::<(), Error>(())
    };
    let tell = |news: lasting::News| match news {
        lasting::News::Lost { why, .. } | lasting::News::NotEntered { why, .. } => {
            output::note(&format!("note: {}: {why}", visible::line(room)));
        }
        lasting::News::Returned => {}
    };
    lasting::lasting(enter, work, stop, tell).await.map(|_: Option<()>| ())
}
