//! Services in containers, with an engine of the test's own: what they are given, what becomes of
//! them, and that nothing of them stays.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meshagent::room::client::{Incoming, Room};
use meshagent::room::containers::{self, RunService};
use meshagent::room::developer::Event;
use meshagent::room::invocation::Invocation;
use meshagent::room::secrets::Set;
use meshagent::room::services::{List, Restart, State};
use meshagent_containers::Listed;
use secrecy::SecretBox;
use serde_json::{Value, json};

use crate::engine_here::{EngineHere, IMAGE};
use crate::needs;
use crate::platform::process::{Process, server};

/// How long anything may take on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A platform with an engine, and one room.
struct Place {
    here: EngineHere,
    folder: tempfile::TempDir,
    process: Process,
}

impl Place {
    async fn start() -> Option<Self> {
        if !needs::podman("services in containers") {
            return None;
        }
        let here = EngineHere::start("").await;
        let folder = tempfile::tempdir().expect("a folder");
        let process = Self::serve(&here, &folder);
        assert_eq!(process.reached.create_room("lobby").await, Some(201));
        Some(Self { here, folder, process })
    }

    fn serve(here: &EngineHere, folder: &tempfile::TempDir) -> Process {
        let mut command = server(&folder.path().join("data"), "");
        command.arg("--containers").arg(here.engine.socket());
        Process::start(&mut command)
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.process.reached.own(method, path).body(body.to_string()).send().await;
        let answer = answer.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a text"));
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn enter(&self) -> (Room, Incoming) {
        let answer = self.ask("POST", "/rooms/lobby/connect", &json!({})).await;
        let token = answer["jwt"].as_str().expect("a token").to_owned();
        let url = format!("ws://{}/rooms/lobby", self.process.reached.address());
        Room::enter(&url, &token.into(), false).await.expect("a room")
    }

    /// Deploys a service to the room; its id.
    async fn deploy(&self, name: &str, container: Value, more: Value) -> String {
        let body = spec(name, container, more);
        let made = self.ask("POST", "/rooms/lobby/services", &body).await;
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn redeploy(&self, id: &str, name: &str, container: Value, more: Value) {
        let body = spec(name, container, more);
        self.ask("PUT", &format!("/rooms/lobby/services/{id}"), &body).await;
    }

    /// The containers of the engine.
    async fn all(&self) -> Vec<Listed> {
        self.here.engine.list(&BTreeMap::new(), true).await.expect("a list")
    }

    /// The whole text of a file of the room, once it has one.
    async fn file(&self, name: &str) -> String {
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|it| it == name);
        until(async || {
            let files = walkdir::WalkDir::new(self.folder.path().join("data/rooms")).into_iter();
            let path = files.flatten().map(walkdir::DirEntry::into_path).find(is_it)?;
            std::fs::read_to_string(path).ok().filter(|text| !text.is_empty())
        })
        .await
    }

    async fn nothing_is_left(&self) {
        until(async || self.all().await.is_empty().then_some(())).await;
    }
}

fn spec(name: &str, container: Value, more: Value) -> Value {
    let mut spec = json!({"version": "v1", "kind": "Service", "metadata": {"name": name}});
    let mut whole = json!({ "image": IMAGE });
    whole.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    spec["container"] = whole;
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// What there is once there is something.
#[track_caller]
fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < end, "not in time: {place}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The state of a service once it is as expected.
#[track_caller]
fn becomes(room: &Room, id: &str, is_so: impl Fn(&State) -> bool) -> impl Future<Output = State> {
    let place = std::panic::Location::caller();
    async move {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = room.perform(&List {}).await.expect("the services");
            let state = told.service_states.iter().find(|it| it.service_id == id).cloned();
            if let Some(state) = state.clone().filter(&is_so) {
                return state;
            }
            assert!(Instant::now() < end, "{place}: it is {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn runs(state: &State) -> bool {
    state.state == "running"
}

fn shell(line: &str) -> Value {
    json!({"command": format!("sh -c {}", shlex::try_quote(line).expect("a line"))})
}

fn with(mut container: Value, more: Value) -> Value {
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    container
}

/// Mounts a folder of the room where a container writes.
fn out() -> Value {
    json!({"room": [{"path": "/out", "subpath": "out"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_with_its_room_has_what_it_declares_and_ends_with_the_room() {
    let Some(place) = Place::start().await else { return };
    let keys = json!({"name": "keys", "type": "keys", "data": {"KEY": "of the project", "B": "x"}});
    let keys = place.ask("POST", "/secrets", &keys).await["id"].clone();
    let (room, _incoming) = place.enter().await;
    let secret = Set {
        secret_id: Some("s1".to_owned()),
        kind: Some("text/plain".to_owned()),
        name: Some("s1".to_owned()),
        delegated_to: None,
        for_identity: Some("bot".to_owned()),
        has_data: Some(true),
        data: SecretBox::new(Box::new(b"of the room".to_vec())),
    };
    room.perform(&secret).await.expect("it is stored");
    let token = json!({"identity": "bot", "role": "helper", "api": {"queues": {"list": true}}});
    let environment = json!([
        {"name": "PLAIN", "value": "a=b\nc \"d\" $HOME\n"},
        {"name": "B", "value": "its own"},
        {"name": "TOKEN", "token": token},
        {"name": "SECRET", "secret": {"identity": "bot", "id": "s1"}},
    ]);
    let mut storage = out();
    storage["files"] = json!([{"path": "/etc/told", "text": "a text"}]);
    storage["empty_dirs"] = json!([{"path": "/empty"}]);
    let line = "cat /etc/told > /out/told && touch /empty/a && cat /proc/self/environ > /out/environ; \
         touch /x || echo no > /out/root; pwd > /out/pwd; exec sleep 600";
    let more = json!({
        "environment": environment, "secrets": [keys], "storage": storage, "working_dir": "/tmp",
    });
    let ports = json!({"ports": [{"num": "*"}]});
    let id = place.deploy("teller", with(shell(line), more), ports).await;
    let state = becomes(&room, &id, runs).await;
    assert_eq!((state.restart_count, &state.message), (0, &None));
    assert!(state.started_at.is_some() && state.container_id.is_some(), "{state:?}");
    assert_eq!(place.file("pwd").await, "/tmp\n");
    assert_eq!(place.file("told").await, "a text");
    assert_eq!(place.file("root").await, "no\n");
    let environ = place.file("environ").await;
    let env: BTreeMap<&str, &str> =
        environ.split('\0').filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!(env["PLAIN"], "a=b\nc \"d\" $HOME\n");
    assert_eq!((env["KEY"], env["B"], env["SECRET"]), ("of the project", "its own", "of the room"));
    assert_eq!((env["MESHAGENT_ROOM"], env["MESHAGENT_PORT"]), ("lobby", "8080"));
    let room_url = format!("{}/rooms/lobby", env["MESHAGENT_API_URL"]);
    assert_eq!(env["OPENAI_BASE_URL"], format!("{room_url}/openai/v1"));
    assert_eq!(env["ANTHROPIC_BASE_URL"], format!("{room_url}/anthropic"));
    assert!(env["MESHAGENT_SESSION_ID"].len() > 30 && !env.contains_key("MESHAGENT_TOKEN"));
    let claims = env["TOKEN"].split('.').nth(1).expect("a token");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("claims");
    let claims: Value = serde_json::from_slice(&claims).expect("claims");
    let grant = |name: &str| {
        let grants = claims["grants"].as_array().unwrap();
        grants.iter().find(|it| it["name"] == name).map(|it| it["scope"].clone())
    };
    assert_eq!((&claims["name"], grant("role")), (&json!("bot"), Some(json!("helper"))));
    assert_eq!(grant("api").unwrap()["queues"]["list"], true);
    let listed = room.perform(&containers::List { all: None }).await.expect("the containers");
    let [container] = &listed.containers[..] else { panic!("{listed:?}") };
    assert_eq!(Some(&container.id), state.container_id.as_ref());
    assert_eq!((container.service_id.as_ref(), container.private), (Some(&id), true));

    room.leave().await;
    place.nothing_is_left().await;
    // Who comes back finds it again, also if the room has just ended.
    let (room, _incoming) = place.enter().await;
    let again = becomes(&room, &id, runs).await;
    assert_ne!(again.container_id, state.container_id);
    room.leave().await;
    let (room, _incoming) = place.enter().await;
    becomes(&room, &id, runs).await;
    assert_eq!(place.all().await.len(), 1);
    room.leave().await;
    place.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_starts_again_and_one_that_changes_is_replaced() {
    let Some(place) = Place::start().await else { return };
    let (room, _incoming) = place.enter().await;
    let id = place.deploy("ends", shell("exit 3"), json!({})).await;
    let state = becomes(&room, &id, |it| it.restart_count >= 2 && it.state == "failing").await;
    assert_eq!(state.last_exit_code, Some(3));
    assert_eq!(state.message.as_deref(), Some("it ended with the code 3"));
    let (at, next) = (state.last_exit_at.unwrap(), state.restart_scheduled_at.unwrap());
    assert!(next > at && next < at + 40.0, "{state:?}");
    assert!(place.all().await.len() <= 1, "containers that ended pile up");

    place.redeploy(&id, "ends", shell("exec sleep 600"), json!({})).await;
    let first = becomes(&room, &id, runs).await;
    assert_eq!(first.restart_count, 0);
    // What says the same goes on.
    place.redeploy(&id, "ends", shell("exec sleep 600"), json!({})).await;
    let same = becomes(&room, &id, runs).await;
    assert_eq!((same.container_id, same.restart_count), (first.container_id.clone(), 0));
    room.perform(&Restart { service_id: id.clone() }).await.expect("a restart");
    let second = becomes(&room, &id, |it| runs(it) && it.restart_count == 1).await;
    assert_ne!(second.container_id, first.container_id);
    // One that is killed by somebody is started again, too.
    let container = second.container_id.clone().unwrap();
    place.here.engine.kill(&container).await.expect("it is killed");
    let third = becomes(&room, &id, |it| runs(it) && it.restart_count == 2).await;
    assert_eq!(third.last_exit_code, Some(137));
    let container = third.container_id.clone().unwrap();
    place.here.engine.remove(&container, true).await.expect("it is removed");
    becomes(&room, &id, |it| runs(it) && it.restart_count == 3).await;
    assert_eq!(place.all().await.len(), 1);

    let missing = json!({"image": "localhost/no-such-image:7"});
    place.redeploy(&id, "ends", missing, json!({})).await;
    let state = becomes(&room, &id, |it| it.state == "failing").await;
    assert!(state.message.unwrap().contains("localhost/no-such-image:7"));
    let key = json!({"api_key": {"role": "admin", "name": "k"}});
    place.redeploy(&id, "ends", key, json!({})).await;
    let state = becomes(&room, &id, |it| it.state == "unavailable").await;
    assert!(state.message.unwrap().contains("`api_key`"));
    let refused = room.perform(&Restart { service_id: id.clone() }).await.expect_err("refused");
    assert_eq!(refused.code, Some(7002));
    place.nothing_is_left().await;

    place.redeploy(&id, "ends", shell("exec sleep 600"), json!({})).await;
    becomes(&room, &id, runs).await;
    place.ask("DELETE", &format!("/rooms/lobby/services/{id}"), &json!({})).await;
    place.nothing_is_left().await;
    assert_eq!(room.perform(&List {}).await.unwrap().service_states.len(), 0);
}

/// Answers HTTP with 200 once `/out/ready` is there, and writes down what it was asked.
const HANDLER: &str = r#"read -r method path rest
length=0
while read -r line; do
  line=${line%?}
  [ -z "$line" ] && break
  case "$line" in [Cc]ontent-[Ll]ength:*) length=${line#*: };; esac
done
[ "$length" -gt 0 ] && head -c "$length" > /out/call
status=200
[ -e /out/ready ] || status=503
printf 'HTTP/1.1 %s it\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' $status
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_called_once_it_is_live_and_what_it_writes_is_logged() {
    let Some(place) = Place::start().await else { return };
    let (room, _incoming) = place.enter().await;
    let mut watching = room.open(Invocation::stream("developer", "logs")).await.expect("a stream");
    let mut storage = out();
    storage["files"] = json!([{"path": "/handler.sh", "text": HANDLER}]);
    let line = "echo hello; echo aside >&2; while true; do nc -l -p 8080 -e sh /handler.sh; done";
    let endpoint = json!({"path": "/agent", "meshagent": {"identity": "bot"}});
    let port = json!({"num": 8080, "liveness": "/live", "endpoints": [endpoint]});
    let ports = json!({ "ports": [port] });
    let id = place.deploy("called", with(shell(line), json!({ "storage": storage })), ports).await;
    let is_not_live = |it: &State| it.message.as_ref().is_some_and(|why| why.contains("503"));
    let state = becomes(&room, &id, is_not_live).await;
    assert_eq!((state.state.as_str(), state.restart_count), ("starting", 0));
    let files = walkdir::WalkDir::new(place.folder.path().join("data/rooms")).into_iter();
    let files = files.flatten().map(walkdir::DirEntry::into_path);
    let mut files = files.filter(|it| it.ends_with("out") && it.is_dir());
    let folder = files.next().expect("a folder");
    std::fs::write(folder.join("ready"), "").expect("a file");
    let state = becomes(&room, &id, runs).await;
    assert_eq!((state.restart_count, &state.message), (0, &None));
    assert_eq!(state.absent, Some(vec!["bot".to_owned()]));
    let call: Value = serde_json::from_str(&place.file("call").await).expect("a call");
    assert_eq!(
        (&call["event"], &call["data"]["room_name"]),
        (&json!("room.call"), &json!("lobby"))
    );
    let url = call["data"]["room_url"].as_str().unwrap();
    assert!(url.starts_with("ws://") && url.ends_with("/rooms/lobby"), "{url}");
    assert!(!url.contains("127.0.0.1"), "{url} does not lead out of the container");

    // The agent enters, and the room does not go on for it.
    let token = call["data"]["token"].as_str().unwrap().to_owned();
    let own = format!("ws://{}/rooms/lobby", place.process.reached.address());
    let (_agent, _its) = Room::enter(&own, &token.into(), false).await.expect("it enters");
    becomes(&room, &id, |it| it.absent.as_ref().is_some_and(Vec::is_empty)).await;

    let (mut out, mut aside) = (None, None);
    while out.is_none() || aside.is_none() {
        let part = watching.output.next().await.expect("a log").expect("a part");
        let event = Value::from(Event::of(part).expect("an event").data);
        let record = &event["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        let about = event["resourceLogs"][0]["resource"]["attributes"].to_string();
        match record["body"]["stringValue"].as_str() {
            Some("hello") => out = Some((about, record["attributes"].to_string())),
            Some("aside") => aside = Some((about, record["attributes"].to_string())),
            _ => {}
        }
    }
    let (about, extra) = out.unwrap();
    assert!(about.contains("\"called\"") && extra.contains("\"stdout\""), "{about} {extra}");
    assert!(extra.contains(&id) && aside.unwrap().1.contains("\"stderr\""), "{extra}");
    room.leave().await;
    place.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_demand_runs_each_time_that_somebody_asks() {
    let Some(place) = Place::start().await else { return };
    let (room, _incoming) = place.enter().await;
    let own = json!({"on_demand": true, "environment": [{"name": "A", "value": "own"}]});
    let line = "cat /proc/self/environ > /out/$NAME; exec sleep 600";
    let own = with(own, json!({ "storage": out() }));
    let id = place.deploy("asked", with(shell(line), own), json!({})).await;
    let other = place.deploy("other", shell("exec sleep 600"), json!({})).await;
    let state = becomes(&room, &id, |it| it.state == "idle").await;
    assert_eq!((state.container_id, state.restart_count), (None, 0));
    becomes(&room, &other, runs).await;
    let run = async |service_id: &str, name: &str| {
        let pair = |key: &str, value: &str| containers::Pair {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let env = vec![pair("NAME", name), pair("B", "more=\n")];
        room.perform(&RunService { service_id: service_id.to_owned(), env }).await
    };
    let one = run(&id, "one").await.expect("a container").container_id;
    let two = run(&id, "two").await.expect("a container").container_id;
    assert_ne!(one, two);
    for name in ["one", "two"] {
        let environ = place.file(name).await;
        let pairs: Vec<&str> = environ.split('\0').collect();
        assert!(pairs.contains(&"A=own") && pairs.contains(&"B=more=\n"), "{environ}");
    }
    let listed = room.perform(&containers::List { all: None }).await.expect("the containers");
    let of = |wanted: &str| {
        let of = listed.containers.iter().filter(|it| it.service_id.as_deref() == Some(wanted));
        of.count()
    };
    assert_eq!((of(&id), of(&other)), (2, 1));
    for (wanted, code) in [(&*other, 7002), ("none", 7001)] {
        let refused = run(wanted, "x").await.expect_err("a refusal");
        assert_eq!(refused.code, Some(code), "{refused}");
    }
    let refused = room.perform(&Restart { service_id: id.clone() }).await.expect_err("a refusal");
    assert_eq!(refused.code, Some(7002));
    // One that is killed stays so: nobody starts it again.
    let stop = containers::Stop { container_id: one.clone(), force: true };
    room.perform(&stop).await.expect("it is stopped");
    let exit = room.perform(&containers::WaitForExit { container_id: one }).await.expect("a code");
    assert_eq!(exit.exit_code, 137);
    room.leave().await;
    place.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_server_that_was_killed_are_replaced_by_the_next_one() {
    let Some(mut place) = Place::start().await else { return };
    let id = place.deploy("stays", shell("exec sleep 600"), json!({})).await;
    let gone = place.deploy("gone", shell("exec sleep 600"), json!({})).await;
    let (room, _incoming) = place.enter().await;
    let before = becomes(&room, &id, runs).await;
    becomes(&room, &gone, runs).await;
    place.process.child.kill().expect("it is killed");
    place.process.child.wait().expect("it is gone");
    assert_eq!(place.all().await.len(), 2, "the engine goes on");
    place.process = Place::serve(&place.here, &place.folder);
    place.ask("DELETE", &format!("/rooms/lobby/services/{gone}"), &json!({})).await;
    let (room, _incoming) = place.enter().await;
    let after = becomes(&room, &id, runs).await;
    assert_ne!(after.container_id, before.container_id);
    let [one] = &place.all().await[..] else { panic!("others are left") };
    assert_eq!(Some(&one.id), after.container_id.as_ref());
    // A server that ends takes them along.
    place.process.terminate();
    place.process.ends(PATIENCE);
    assert_eq!(place.all().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_takes_all_it_gets_takes_nothing_from_others() {
    let Some(place) = Place::start().await else { return };
    let (room, _incoming) = place.enter().await;
    let calm = "while true; do echo calm; sleep 1; done";
    let calm = place.deploy("calm", shell(calm), json!({})).await;
    let flood = place.deploy("flood", shell("exec yes flood"), json!({})).await;
    let long = "head -c 3000000 /dev/zero; echo; exec sleep 600";
    place.deploy("long", shell(long), json!({})).await;
    let bomb = place.deploy("bomb", shell("f() { f | f & }; f; exec sleep 600"), json!({})).await;
    for id in [&calm, &flood] {
        becomes(&room, id, runs).await;
    }
    becomes(&room, &bomb, |it| it.container_id.is_some()).await;
    let mut watching = room.open(Invocation::stream("developer", "logs")).await.expect("a stream");
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_told = false;
    while count.get("calm").is_none_or(|&it| it < 3) || !is_told {
        let part = watching.output.next().await.expect("a log").expect("a part");
        let event = Value::from(Event::of(part).expect("an event").data);
        let body = &event["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["body"];
        let line = body["stringValue"].as_str().expect("a line");
        assert!(line.len() < 9000, "a line of {} bytes", line.len());
        is_told |= line.contains("lines were left out");
        *count.entry(line.chars().take(8).collect()).or_default() += 1;
    }
    let (now, most) = place.process.memory();
    assert!(most < now + (64 << 20) && most < 512 << 20, "{now} {most}");
    room.leave().await;
    place.nothing_is_left().await;
}
