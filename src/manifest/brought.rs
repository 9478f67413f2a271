//! Marks an object that came with a placed template, unlike one with its own document.

use serde::{Deserialize, Serialize};

use crate::kinds::{Key, KindName};

/// Which service an object came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The service's name.
    pub service: String,
    /// Its room.
    pub room: String,
    /// Which of the service's objects it is, where its name is made up from those of the room
    /// and the service. It keeps that name when they get others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl Brought {
    /// The service, in a project.
    #[must_use]
    pub fn by(&self, project: &str) -> Key {
        Key::new(KindName::Service, project, Some(self.room.clone()), &self.service)
    }
}
