//! The way from the containers of a room to the platform, which listens on this machine alone: a
//! listener on the address that this machine has in the room's network. It hands on what arrives, as it
//! is, as long as the room runs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use socket2::{Domain, Socket, Type};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::super::room::Room;

/// How many connections the containers of a room may have to the platform.
const CONNECTIONS: usize = 128;

/// How many may wait to be accepted.
const WAITING: i32 = 128;

/// The port of a URL that says none.
const HTTP: u16 = 80;

/// A way that is open. It closes when this is dropped.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    _open: DropGuard,
}

impl Door {
    /// Opens a way; none where this machine has no such address, because the engine runs in
    /// another one.
    pub async fn open(room: &Arc<Room>, gateway: Option<IpAddr>) -> Option<Self> {
        let platform = Url::parse(&room.house.url).ok()?;
        let platform = platform.socket_addrs(|| Some(HTTP)).ok()?.into_iter().next()?;
        let listener = TcpListener::from_std(listen(gateway?).ok()?).ok()?;
        let address = listener.local_addr().ok()?;
        let closes = room.stop.child_token();
        let guard = closes.clone().drop_guard();
        room.house.run(hand_on(listener, platform, closes));
        Some(Self { address, _open: guard })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Listens on an address. On Linux, this machine gets it when the first container of the network
/// starts.
fn listen(address: IpAddr) -> io::Result<std::net::TcpListener> {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    #[cfg(target_os = "linux")]
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.bind(&address.into())?;
    socket.listen(WAITING)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn hand_on(listener: TcpListener, platform: SocketAddr, closes: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let serve = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            // What cannot be accepted now may be in a moment.
            let Ok((mut inside, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let closes = closes.clone();
            tokio::spawn(async move {
                let _place = place;
                let handing = async {
                    let mut outside = TcpStream::connect(platform).await?;
                    copy_bidirectional(&mut inside, &mut outside).await
                };
                closes.run_until_cancelled(handing).await
            });
        }
    };
    closes.run_until_cancelled(serve).await;
}

/// The platform by the name that engines give to the machine that they run on.
pub fn by_name(url: &str, is_podman: bool) -> String {
    let host = if is_podman { "host.containers.internal" } else { "host.docker.internal" };
    let Ok(mut url) = Url::parse(url) else { return url.to_owned() };
    // A name is always possible in the place of an address.
    let _ = url.set_host(Some(host));
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_in_another_machine_has_a_name_for_this_one() {
        let url = "http://127.0.0.1:8787";
        assert_eq!(by_name(url, true), "http://host.containers.internal:8787");
        assert_eq!(by_name(url, false), "http://host.docker.internal:8787");
    }
}
