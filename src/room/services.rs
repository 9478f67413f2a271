//! *Pure*: the toolkit `services`, which every room has: the services of the room and of its
//! project, and how they are.

use serde::{Deserialize, Serialize};

use super::operation::{At, Operation, done};

/// Which services a room has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {}

/// The services of a room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// Their documents, each as the text of a JSON object.
    pub services_json: Vec<String>,
    /// How they are; not every service has to have a state.
    pub service_states: Vec<State>,
}

/// How a service is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The service's id.
    pub service_id: String,
    /// A word, such as `running`.
    pub state: String,
    /// The container that it runs in.
    pub container_id: Option<String>,
    /// When it is started again, in seconds since 1970.
    pub restart_scheduled_at: Option<f64>,
    /// When it was started, in seconds since 1970.
    pub started_at: Option<f64>,
    /// When it last ended, in seconds since 1970.
    pub last_exit_at: Option<f64>,
    /// How often it was started again.
    pub restart_count: u64,
    /// The code with which it last ended.
    pub last_exit_code: Option<i64>,
    /// Why it does not run, in words. This field is the embedded platform's own; other clients
    /// ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The names of its agents that are not in the room. This field is the embedded platform's
    /// own, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<Vec<String>>,
}

/// Starts a service again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The service's id.
    pub service_id: String,
}

impl Operation for List {
    type Answer = Services;
    const AT: At = At::Tool("services", "list");
}

done! { Restart => At::Tool("services", "restart") }
