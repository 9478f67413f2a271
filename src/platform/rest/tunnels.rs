//! Tunnels: a TCP connection to a port of a container, over a websocket.
//!
//! Whether it can be made is known before the websocket is there, so that every refusal has a
//! status. What goes over it is in `crate::room::tunnel`.

use axum::extract::{Path, Request, State};
use axum::response::Response;

use super::Route;
use crate::kinds::specs::rules;
use crate::platform::App;
use crate::platform::auth::{Access, Tunneler};
use crate::platform::error::{Refusal, Result};
use crate::platform::exchange::websocket::Upgrade;
use crate::room::tunnel;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/tunnel/{container}/{port}/", Access::Tunnel, open)]
}

/// Connects a participant to a port of a container of its room.
async fn open(
    State(app): State<App>,
    Path((container, port)): Path<(String, String)>,
    tunneler: Tunneler,
    mut request: Request,
) -> Result<Response> {
    rules::port(&port).map_err(Refusal::at("port"))?;
    let port = port.parse().map_err(Refusal::internal)?;
    let upgrade = Upgrade::of(&mut request)?;
    let halves = tunnel::tells_ends(request.headers());
    let dug = app.rooms().dig(&tunneler, (&container, port)).await?;
    let (upgrade, lasting, mut response) = upgrade.accept();
    response.headers_mut().insert(tunnel::ENDS, tunnel::TOLD);
    dug.carry(upgrade, lasting, halves);
    Ok(response)
}
