//! What is told of a service in its room: its log, for those who watch.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::room::{Room, since_1970};
use crate::room::developer::Event;

/// Where what happens to a service is told.
#[derive(Clone)]
pub struct Journal {
    /// The room.
    pub room: Arc<Room>,
    /// The service's id.
    pub id: String,
    /// The service's name.
    pub name: String,
}

impl Journal {
    /// Logs a line for those who watch the room.
    pub fn log(&self, severity: &str, body: &str) {
        self.room.log(&self.event(severity, body, Map::new()));
    }

    /// Logs a line that a container of the service wrote, as fast as those who watch read.
    pub async fn line(&self, (container, stream): (&str, &str), body: &str) {
        let extra = [("container_id", container), ("stream", stream)];
        let extra = extra.map(|(name, of)| (name.to_owned(), Value::from(of)));
        self.room.log_and_wait(&self.event("INFO", body, Map::from_iter(extra))).await;
    }

    fn event(&self, severity: &str, body: &str, mut extra: Map<String, Value>) -> Event {
        let about = [
            ("service.name", self.name.as_str()),
            ("meshagent.room", self.room.name.as_str()),
            ("meshagent.session", self.room.session.as_str()),
        ];
        extra.insert("service_id".to_owned(), Value::from(self.id.clone()));
        Event::logged(since_1970().as_nanos(), severity, body, &extra, &about)
    }
}
