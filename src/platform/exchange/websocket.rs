//! Requests that become websockets.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;

use crate::platform::error::{Refusal, Result};
use crate::room::handshake;
use crate::serving::{Connection, Lasting};

/// A request for a websocket that can become one.
pub struct Upgrade {
    accepted: String,
    connection: Connection,
    upgrade: OnUpgrade,
}

impl Upgrade {
    /// Checks that a request asks for a websocket.
    ///
    /// # Errors
    ///
    /// 400 if it asks wrongly, and 405 with another method: a HEAD request gets no websocket.
    pub fn of(request: &mut Request<Body>) -> Result<Self> {
        if request.method() != Method::GET {
            return Err(Refusal::MethodNotAllowed);
        }
        if request.version() < Version::HTTP_11 {
            let message = "a websocket needs HTTP/1.1".to_owned();
            return Err(Refusal::Invalid { field: None, message });
        }
        let accepted = handshake::accepted(request.headers())
            .map_err(|message| Refusal::Invalid { field: None, message })?;
        let connection = request.extensions_mut().remove::<Connection>();
        let connection = connection.ok_or_else(|| Refusal::internal("no connection is known"))?;
        Ok(Self { accepted, connection, upgrade: hyper::upgrade::on(request) })
    }

    /// The connection, once it is a websocket, with its place among connections; and the answer that
    /// makes it one.
    pub fn accept(self) -> (OnUpgrade, Lasting, Response) {
        let headers = [
            (header::CONNECTION, "Upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, self.accepted),
        ];
        let response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
        (self.upgrade, self.connection.outlast(), response)
    }
}
