//! Requests about what is inside of rooms, where REST does not reach. They are requests like any
//! other: built without being sent, answered with JSON or a status. Whoever carries them out enters
//! the rooms.

use futures_util::future::BoxFuture;

use super::client::{Answer, Client};
use super::failure::ApiError;
use super::request::Request;

/// The room that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The id of its project.
    pub project: String,
    /// Its name.
    pub room: String,
    /// Its id, where that is known.
    pub room_id: Option<String>,
}

/// Carries out requests about what is inside of rooms.
pub trait Enters: Send + Sync {
    /// Carries a request out. Entering a room starts it.
    fn carry_out<'a>(
        &'a self,
        client: &'a Client,
        request: &'a Request,
        inside: &'a Inside,
    ) -> BoxFuture<'a, Result<Answer, ApiError>>;

    /// Leaves all rooms.
    fn leave(&self) -> BoxFuture<'_, ()>;
}
