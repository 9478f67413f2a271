//! Tunnels as they go over the wire: who gets one, and how it ends.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::World;
use crate::needs;

/// Opens a tunnel, or says with which status it was refused.
async fn open(
    world: &World,
    (id, port): (&str, &str),
    token: &str,
    tells_ends: bool,
) -> Result<WebSocketStream<TcpStream>, u16> {
    let address = world.server.reached.address();
    let request = format!("ws://{address}/tunnel/{id}/{port}/");
    let mut request = request.into_client_request().expect("a request");
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    if tells_ends {
        request.headers_mut().insert("meshagent-tunnel-ends", "told".parse().expect("a header"));
    }
    let stream = TcpStream::connect(address).await.expect("a connection");
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// What comes until the tunnel is closed, and with which code that is.
async fn rest(socket: &mut WebSocketStream<TcpStream>) -> (Vec<u8>, Vec<String>, Option<u16>) {
    let (mut bytes, mut texts) = (Vec::new(), Vec::new());
    while let Some(Ok(frame)) = socket.next().await {
        match frame {
            Frame::Binary(part) => bytes.extend_from_slice(&part),
            Frame::Text(text) => texts.push(text.to_string()),
            Frame::Close(close) => return (bytes, texts, close.map(|it| it.code.into())),
            _ => {}
        }
    }
    (bytes, texts, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_for_those_whose_token_grants_its_port() {
    if !needs::podman("tunnels") {
        return;
    }
    let world = World::start().await;
    assert_eq!(world.server.reached.create_room("attic").await, Some(201));
    assert_eq!(world.server.reached.create_room("cellar").await, Some(201));
    let id = world.serving(&[]);
    world.answers(&id, 7).await;
    let tried =
        async |at: (&str, &str), token: &str| open(&world, at, token, false).await.map(drop).err();
    let (seven, all) = ((id.as_str(), "7"), json!({"tunnels": {}}));
    for (scope, refused) in [
        (all.clone(), None),
        (json!({"tunnels": {"ports": null}}), None),
        (json!({"tunnels": {"ports": []}}), None),
        (json!({"tunnels": {"ports": ["80", "7"]}}), None),
        (json!({"tunnels": {"ports": ["70"]}}), Some(403)),
        (json!({"containers": {}, "admin": {}}), Some(403)),
        (json!({}), Some(403)),
        (Value::Null, Some(403)),
    ] {
        assert_eq!(tried(seven, &world.token("lobby", scope.clone())).await, refused, "{scope}");
    }
    let token = world.token("lobby", all.clone());
    for (at, refused) in [
        ((&id[..12], "7"), None),
        ((&id[..11], "7"), Some(404)),
        (("feedfeedfeed", "7"), Some(404)),
        (("..", "7"), Some(404)),
        ((&id, "9"), Some(502)),
        ((&id, "0"), Some(400)),
        ((&id, "65536"), Some(400)),
        ((&id, "x"), Some(400)),
    ] {
        assert_eq!(tried(at, &token).await, refused, "{at:?}");
    }
    assert_eq!(tried(seven, &format!("{token}x")).await, Some(401));
    assert_eq!(tried(seven, &world.server.reached.key).await, Some(403));
    // A container of another room is not there, whether that runs or not.
    assert_eq!(tried(seven, &world.token("cellar", all.clone())).await, Some(404));
    let mut other = world.command();
    other.env("MESHAGENT_ROOM", "attic").args(["room", "developer", "watch"]);
    other.stdout(std::process::Stdio::null());
    other.stderr(std::fs::File::create(world.folder.path().join("attic")).expect("a file"));
    let mut other = other.spawn().expect("a process");
    world.wait_for("attic", "watching").await;
    assert_eq!(tried(seven, &world.token("attic", all.clone())).await, Some(404));
    other.kill().expect("it is killed");
    other.wait().expect("it is gone");
    // No websocket, no tunnel.
    let url = format!("{}/tunnel/{id}/7/", world.server.reached.url);
    let plain = world.server.reached.client.get(&url).bearer_auth(&token).send().await;
    assert_eq!(plain.expect("an answer").status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_tells_its_ends_to_those_who_ask_for_it_and_closes_for_others() {
    if !needs::podman("tunnels") {
        return;
    }
    let world = World::start().await;
    let id = world.serving(&[]);
    world.answers(&id, 7).await;
    let token = world.token("lobby", json!({"tunnels": {}}));
    let at = (id.as_str(), "7");

    let mut socket = open(&world, at, &token, true).await.expect("a tunnel");
    socket.send(Frame::binary(b"one ".to_vec())).await.expect("a way out");
    socket.send(Frame::text("ignored")).await.expect("a way out");
    socket.send(Frame::binary(b"two".to_vec())).await.expect("a way out");
    socket.send(Frame::text("end")).await.expect("a way out");
    let (bytes, texts, code) = rest(&mut socket).await;
    assert_eq!((bytes.as_slice(), code), (&b"one two"[..], Some(1000)));
    assert_eq!(texts, ["end"]);

    // Others get no text, and their own is none of ours.
    let mut socket = open(&world, at, &token, false).await.expect("a tunnel");
    socket.send(Frame::binary(b"one".to_vec())).await.expect("a way out");
    socket.send(Frame::text("end")).await.expect("a way out");
    socket.send(Frame::binary(b"two".to_vec())).await.expect("a way out");
    let mut bytes = Vec::new();
    while bytes.len() < 6 {
        let frame = socket.next().await.expect("more").expect("a frame");
        bytes.extend_from_slice(&frame.into_data());
    }
    assert_eq!(bytes, b"onetwo");
    world.here.engine.kill(&id).await.expect("it is killed");
    let (rest, texts, _) = rest(&mut socket).await;
    assert_eq!((rest.len(), texts.len()), (0, 0));
}
