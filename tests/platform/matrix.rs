//! The whole matrix: every route of the platform, against every kind of credential, in the
//! credential's own project and in another one.
//!
//! The routes come from the platform itself; what each asks of its caller stands in
//! `matrix/routes.txt`. A route that is missing there fails the test, unless it is one of a plain
//! kind: what those ask is a rule, which holds for all that the table has. A parameter that nothing
//! is known to put into fails the test, too.

mod conditions;
mod of_new;
mod others;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use jsonwebtoken::Algorithm;
use meshagent::api::spoken::Spoken;
use meshagent::platform::Platform;
use serde_json::{Value, json};

use super::harness::{Server, claims, parts, signed, token, token_for};
use super::sign_in::Browser;
use crate::plain;

/// A line of the table.
#[derive(Debug, Clone)]
struct Row {
    asks: Asks,
    method: String,
    path: String,
    /// The API that it is asked in.
    spoken: Spoken,
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Asks {
    Open,
    Signed,
    Person,
    Owner,
    Participant,
    Tunnel,
    Belong,
    Read,
    CreateRoom,
    Write,
    Holder,
    Admin,
}

/// What a credential is worth in the first project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Worth {
    /// It is not valid, or not any more.
    Nothing,
    /// It is for rooms alone.
    Rooms,
    /// It is of another project.
    Elsewhere,
    /// It is for rooms, and tells which project they are in.
    Participant,
    Member,
    RoomCreator,
    Developer,
    Admin,
    Owner,
}

#[derive(Debug)]
struct Credential {
    who: String,
    text: String,
    worth: Worth,
    is_person: bool,
}

/// What routes ask that no rule says.
const TABLE: &str = include_str!("matrix/routes.txt");

/// The lines of a table of an API.
fn listed(table: &str, spoken: Spoken) -> Vec<Row> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_else(|| panic!("a whole line: {line}"));
        let asks = match word().as_str() {
            "open" => Asks::Open,
            "signed" => Asks::Signed,
            "person" => Asks::Person,
            "owner" => Asks::Owner,
            "participant" => Asks::Participant,
            "tunnel" => Asks::Tunnel,
            "belong" => Asks::Belong,
            "read" => Asks::Read,
            "create-room" => Asks::CreateRoom,
            "write" => Asks::Write,
            "holder" => Asks::Holder,
            "admin" => Asks::Admin,
            other => panic!("nothing asks {other:?}"),
        };
        Row { asks, method: word(), path: word(), spoken }
    };
    lines.map(row).collect()
}

/// Every route with what it asks: the lines of a table, and the rule for what is not there.
fn rows_of(table: &str) -> Vec<Row> {
    let mut rows = listed(table, Spoken::V0_31);
    let listed: BTreeSet<String> = rows.iter().map(Row::to_string).collect();
    let served = Platform::routes().into_iter().filter_map(|route| {
        let (method, path) = (route.method.to_string(), route.path.to_owned());
        let asks = of_plain_kind(&method, &path)?;
        let row = Row { asks, method, path, spoken: Spoken::V0_31 };
        (!listed.contains(&row.to_string())).then_some(row)
    });
    rows.extend(served);
    rows
}

fn rows() -> Vec<Row> {
    rows_of(TABLE)
}

/// What a route of a plain kind asks: its objects are read by members, and written by those who
/// build.
fn of_plain_kind(method: &str, path: &str) -> Option<Asks> {
    plain::of_path(path)?;
    Some(if method == "GET" { Asks::Read } else { Asks::Write })
}

impl std::fmt::Display for Row {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

impl Row {
    /// The path in a project, with something in it that does not exist there; of users, one
    /// who does.
    fn filled(&self, project: &str) -> String {
        let segments = self.path.split('/').map(|segment| match segment {
            "{project}" => project,
            "{user}" if self.path.starts_with("/accounts/profiles/") => "me",
            segment if segment.starts_with('{') => "x",
            segment => segment,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    fn is_in_a_project(&self) -> bool {
        self.path.contains("{project}")
    }

    /// The refusal that a credential must get, or none.
    fn refusal(&self, credential: &Credential) -> Option<u16> {
        let is_enough = match self.asks {
            Asks::Open | Asks::Signed => true,
            Asks::Person => credential.is_person,
            Asks::Owner => credential.worth >= Worth::Owner,
            // No token is for the room that is asked for.
            Asks::Participant => false,
            Asks::Tunnel => grants_tunnels(&credential.text),
            Asks::Belong => credential.worth >= Worth::Participant,
            Asks::Read => credential.worth >= Worth::Member,
            Asks::CreateRoom => credential.worth >= Worth::RoomCreator,
            Asks::Write => credential.worth >= Worth::Developer,
            Asks::Holder => {
                let is_held = ["ma-", "oa-"].iter().any(|start| credential.text.starts_with(start));
                is_held && credential.worth >= Worth::Developer
            }
            Asks::Admin => credential.worth >= Worth::Admin,
        };
        match credential.worth {
            _ if self.asks == Asks::Open => None,
            Worth::Nothing => Some(401),
            Worth::Rooms => Some(403),
            _ if is_enough => None,
            _ => Some(403),
        }
    }
}

/// Everything that a request can be made with.
struct Credentials {
    server: Server,
    key: String,
    all: Vec<Credential>,
}

impl Credentials {
    fn add(&mut self, who: &str, text: String, worth: Worth) {
        self.all.push(Credential { who: who.to_owned(), text, worth, is_person: false });
    }

    fn person(&mut self, who: &str, text: String, worth: Worth) {
        self.all.push(Credential { who: who.to_owned(), text, worth, is_person: true });
    }

    async fn new() -> Self {
        let server = Server::start().await;
        let key = server.key_of(&server.project).await;
        let mut credentials = Self { server, key, all: Vec::new() };
        credentials.invalid();
        credentials.keys().await;
        credentials.scopes();
        credentials.members().await;
        credentials.accounts().await;
        credentials.ended().await;
        credentials
    }

    /// What was never valid.
    fn invalid(&mut self) {
        let key = self.key.clone();
        let (id, project, secret) = parts(&key);
        let full = || claims(&key, Some(json!({"admin": {}})));
        let changed = |name: &str, value: Value| {
            let mut claims = full();
            claims[name] = value;
            signed(Algorithm::HS256, &claims, &key)
        };
        let nobody = uuid::Uuid::new_v4().to_string();
        // Nobody but the platform says in a token who stands behind it.
        let mut named = full();
        named["principal"] = json!({"key": parts(&self.server.owner).0});
        let named = signed(Algorithm::HS256, &named, &format!("{key}x"));
        for (who, text) in [
            ("a key with another secret", format!("{key}x")),
            ("a key without the end", key[..key.len() - 1].to_owned()),
            ("a key without a secret", key.replace(&secret, "")),
            ("a key with plain ids", format!("ma-{id}-{project}-{secret}")),
            ("a token that has ended", changed("exp", json!(1))),
            ("a token of the future", changed("nbf", json!(u32::MAX))),
            ("a token of no key", changed("kid", json!(nobody))),
            ("a token of another project", changed("sub", json!(nobody))),
            ("a token that names the owner", named),
            ("a token of another algorithm", signed(Algorithm::HS512, &full(), &key)),
            ("a sign-in that never was", format!("oa-{secret}")),
            ("no word", String::new()),
        ] {
            self.add(who, text, Worth::Nothing);
        }
    }

    /// Keys, and what is signed in with them, of both projects.
    async fn keys(&mut self) {
        let owner = self.server.owner.clone();
        let tokens = Browser::new(&self.server.url).tokens(&owner).await;
        let access = tokens["access_token"].as_str().expect("a token").to_owned();
        self.person("the owner's key", owner.clone(), Worth::Owner);
        self.person("the owner's sign-in", access, Worth::Owner);
        self.add(
            "a refresh token",
            tokens["refresh_token"].as_str().expect("one").to_owned(),
            Worth::Nothing,
        );
        self.add("the owner's token", token(&owner, json!({"admin": {}})), Worth::Developer);
        self.add("a key of the project", self.key.clone(), Worth::Admin);
        let (_, other) = self.server.other_project("other").await;
        self.add(
            "a token of another project",
            token(&other, json!({"admin": {}})),
            Worth::Elsewhere,
        );
        // Whoever has a key of another project names this project, and this project's key.
        let forged =
            signed(Algorithm::HS256, &claims(&self.key, Some(json!({"admin": {}}))), &other);
        self.add("a token that was forged elsewhere", forged, Worth::Nothing);
        self.add("a key of another project", other, Worth::Elsewhere);
    }

    /// Tokens that a key of the project signs, with every scope there is.
    fn scopes(&mut self) {
        let key = self.key.clone();
        let room = signed(Algorithm::HS256, &claims(&key, None), &key);
        self.add("a token for a room", room, Worth::Rooms);
        for scope in [json!(null), json!("admin"), json!(["admin"]), json!(true)] {
            self.add(&format!("a token with the scope {scope}"), token(&key, scope), Worth::Rooms);
        }
        let areas = [
            "livekit",
            "queues",
            "messaging",
            "database",
            "memory",
            "sync",
            "storage",
            "containers",
            "developer",
            "agents",
            "secrets",
            "tunnels",
            "services",
            "owner",
        ];
        let mut all: serde_json::Map<_, _> =
            areas.iter().map(|area| ((*area).to_owned(), json!({}))).collect();
        let mut scopes: Vec<Value> = areas.map(|area| json!({ area: {} })).into();
        scopes.extend([json!({}), json!({"admin": null}), json!({"admin": true})]);
        scopes.extend([json!({"Admin": {}}), json!({"admin": []}), json!(all)]);
        for scope in scopes {
            self.add(&format!("a token with {scope}"), token(&key, scope), Worth::Participant);
        }
        all.insert("admin".to_owned(), json!({}));
        for scope in [json!({"admin": {}}), json!({"admin": {"config": false}}), json!(all)] {
            self.add(&format!("a token with {scope}"), token(&key, scope), Worth::Developer);
        }
        // Who stands behind a token is whoever signed it, whatever else it says.
        let mut named = claims(&key, Some(json!({"queues": {}})));
        named["principal"] = json!({"key": parts(&self.server.owner).0, "role": "admin"});
        let named = signed(Algorithm::HS256, &named, &key);
        self.add("a token that calls itself the owner's", named, Worth::Participant);
    }

    /// People with each role, what they sign, sign in with, and get for a room.
    async fn members(&mut self) {
        let office = self.server.room("office").await;
        for (user, flags, worth) in [
            ("admin", json!({"is_admin": true}), Worth::Admin),
            ("developer", json!({"is_developer": true}), Worth::Developer),
            ("creator", json!({"can_create_rooms": true}), Worth::RoomCreator),
            ("member", json!({}), Worth::Member),
        ] {
            let key = join(&self.server, user, flags).await;
            let tokens = Browser::new(&self.server.url).tokens(&key).await;
            let access = tokens["access_token"].as_str().expect("a token").to_owned();
            self.person(&format!("the {user}'s sign-in"), access.clone(), worth);
            // A token never makes its signer more, and never an admin.
            let most = if worth > Worth::Developer { Worth::Developer } else { worth };
            let full = token(&key, json!({"admin": {}, "queues": {}}));
            self.add(&format!("the {user}'s token with admin"), full, most);
            let plain = token(&key, json!({"queues": {}}));
            self.add(&format!("the {user}'s token"), plain, Worth::Participant);
            if worth < Worth::Developer {
                grant(&self.server, &office, user, json!({"admin": {}, "queues": {}})).await;
            }
            for (how, credential) in [("key", &key), ("sign-in", &access)] {
                let given = self.server.connect(credential, "office").await;
                self.add(&format!("what the {user}'s {how} gets for a room"), given, most);
            }
            self.person(&format!("the {user}'s key"), key, worth);
        }
        let given = self.server.connect(&self.key, "office").await;
        let again = self.server.connect(&given, "office").await;
        let limited = token_for(&self.key, "office", json!({"admin": {}, "queues": {"send": []}}));
        let limited = self.server.connect(&limited, "office").await;
        self.add("what a key gets for a room", given, Worth::Developer);
        self.add("what that gets for a room", again, Worth::Developer);
        self.add("what a token gets for a room", limited, Worth::Developer);
    }

    /// What was valid until something behind it went.
    async fn ended(&mut self) {
        let room = self.server.room("hall").await;
        let gone = self.server.key_of(&self.server.project).await;
        let left = join(&self.server, "left", json!({"is_developer": true})).await;
        let lost = join(&self.server, "lost", json!({"is_developer": true})).await;
        let ungranted = join(&self.server, "ungranted", json!({})).await;
        let narrowed = join(&self.server, "narrowed", json!({})).await;
        let unkeyed = join(&self.server, "unkeyed", json!({"is_admin": true})).await;
        for user in ["ungranted", "narrowed"] {
            grant(&self.server, &room, user, json!({"queues": {}})).await;
        }
        let browser = Browser::new(&self.server.url);
        let access =
            browser.tokens(&unkeyed).await["access_token"].as_str().expect("one").to_owned();
        let full = || json!({"admin": {}});
        let server = &self.server;
        let ended = [
            ("a token of a key that is gone", token(&gone, full())),
            ("for a room, by a key that is gone", server.connect(&gone, "hall").await),
            ("for a room, by a token of a key that is gone", {
                server.connect(&token_for(&gone, "hall", full()), "hall").await
            }),
            ("a token of somebody who left", token(&left, full())),
            ("for a room, to somebody who left", server.connect(&left, "hall").await),
            ("for a room, to one who was a developer", server.connect(&lost, "hall").await),
            ("for a room, by a grant that is gone", server.connect(&ungranted, "hall").await),
            ("for a room, by a grant that has changed", server.connect(&narrowed, "hall").await),
            ("for a room, by a sign-in that ended", server.connect(&access, "hall").await),
            ("a sign-in whose key is gone", access),
            ("a key that is gone", gone.clone()),
        ];
        for (who, text) in &ended {
            let ask = self.server.ask("GET", "/accounts/projects").bearer(text).send().await;
            assert_eq!(ask.status, 200, "{who}: {}", ask.text);
        }
        for key in [&gone, &unkeyed] {
            let path = format!("/api-keys/{}", parts(key).0);
            self.server.own("DELETE", &path).send().await.expect(204);
        }
        self.server.own("DELETE", "/users/left").send().await.expect(200);
        let flags = json!({"is_admin": false, "is_developer": false, "can_create_rooms": true});
        self.server.send("PUT", "/users/lost", flags).await.expect(200);
        let path = format!("/room-grants/{room}/ungranted");
        self.server.own("DELETE", &path).send().await.expect(204);
        // The same grant again is another one.
        grant(&self.server, &room, "ungranted", json!({"queues": {}})).await;
        let change = json!({"room_id": room, "user_id": "narrowed", "permissions": {}});
        self.server.send("PUT", "/room-grants/unused", change).await.expect(200);
        for (who, text) in ended {
            self.add(who, text, Worth::Nothing);
        }
        self.person("the key of somebody who left", left, Worth::Elsewhere);
    }
}

/// Makes somebody a member of the first project, and gives a key of theirs.
async fn join(server: &Server, user: &str, mut flags: Value) -> String {
    flags["user_id"] = json!(user);
    server.send("POST", "/users", flags).await.expect(201);
    server.key_for_user(user).await
}

async fn grant(server: &Server, room: &str, user: &str, permissions: Value) {
    let grant = json!({"room_id": room, "user_id": user, "permissions": permissions});
    server.send("POST", "/room-grants", grant).await.expect(201);
}

#[test]
fn the_table_has_every_route_and_no_other() {
    let listed: Vec<String> = rows().iter().map(Row::to_string).collect();
    let unique: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "a route is listed twice");
    let served: BTreeSet<String> =
        Platform::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let served: BTreeSet<&String> = served.iter().collect();
    let unlisted: Vec<_> = served.difference(&unique).collect();
    assert!(unlisted.is_empty(), "say in matrix/routes.txt what these ask for: {unlisted:#?}");
    let unserved: Vec<_> = unique.difference(&served).collect();
    assert!(unserved.is_empty(), "these are served no more: {unserved:#?}");
}

/// A line of a plain kind is there because the route asks for something else.
#[test]
fn no_line_of_the_table_says_what_the_rule_for_plain_kinds_says() {
    let is_of_rule = |row: &Row| of_plain_kind(&row.method, &row.path) == Some(row.asks);
    let superfluous: Vec<_> = listed(TABLE, Spoken::V0_31).into_iter().filter(is_of_rule).collect();
    assert!(superfluous.is_empty(), "take these out of matrix/routes.txt: {superfluous:#?}");
    let held = rows().iter().filter(|row| is_of_rule(row)).count();
    assert!(held >= 20, "{held} routes are held to the rule");
}

#[test]
fn a_line_of_the_table_outdoes_the_rule_for_plain_kinds() {
    let path = "/accounts/projects/{project}/webhooks";
    let asked = |table: &str| {
        let rows = rows_of(table).into_iter();
        let rows = rows.filter(|row| row.method == "GET" && row.path == path);
        rows.map(|row| row.asks).collect::<Vec<_>>()
    };
    assert_eq!(asked(TABLE), [Asks::Read]);
    assert_eq!(asked(&format!("{TABLE}\nadmin GET {path}\n")), [Asks::Admin]);
}

/// Sends every combination, several at once, and tells those that were answered wrongly.
async fn wrong<'a>(
    server: &Server,
    combinations: impl Iterator<Item = (&'a Row, &'a Credential, String, Option<u16>)>,
) -> Vec<String> {
    let asked = futures_util::stream::iter(combinations).map(
        |(row, credential, path, refusal)| async move {
            let ask = server.ask(&row.method, &path).bearer(&credential.text).text("{}");
            let ask = match row.spoken {
                Spoken::V0_31 => ask,
                Spoken::V0_56 => ask.header("consistency", "fast"),
            };
            let status = ask.send().await.status;
            let is_right = match refusal {
                Some(refusal) => status == refusal,
                None => !matches!(status, 401 | 403 | 500..),
            };
            let wanted = refusal.map_or("admitted".to_owned(), |refusal| refusal.to_string());
            let who = &credential.who;
            (!is_right).then(|| format!("{} {path} with {who}: {status}, not {wanted}", row.method))
        },
    );
    asked.buffer_unordered(8).filter_map(async |wrong| wrong).collect().await
}

#[tokio::test]
async fn every_credential_reaches_as_far_as_it_should_on_every_route() {
    let Credentials { server, all, .. } = Credentials::new().await;
    let rows = [rows(), of_new::rows()].concat();
    let combinations = rows.iter().filter(|row| row.asks != Asks::Open).flat_map(|row| {
        let path = row.filled(&server.project);
        all.iter().map(move |credential| (row, credential, path.clone(), row.refusal(credential)))
    });
    let wrong = wrong(&server, combinations).await;
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn no_credential_reaches_into_a_project_that_is_not_its_own() {
    let Credentials { server, all, .. } = Credentials::new().await;
    let (third, _) = server.other_project("third").await;
    let rows = [rows(), of_new::rows()].concat();
    let combinations = rows.iter().filter(|row| row.is_in_a_project()).flat_map(|row| {
        let path = row.filled(&third);
        all.iter().map(move |credential| {
            let refusal = match credential.worth {
                Worth::Nothing => Some(401),
                Worth::Owner => None,
                _ => Some(403),
            };
            (row, credential, path.clone(), refusal)
        })
    });
    let wrong = wrong(&server, combinations).await;
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn only_those_who_were_let_in_connect_to_a_room() {
    let Credentials { server, all, .. } = Credentials::new().await;
    server.room("private").await;
    let path = format!("/accounts/projects/{}/rooms/private/connect", server.project);
    let mut of_others = 0;
    for credential in &all {
        let refusal = match credential.worth {
            Worth::Nothing => 401,
            worth if worth < Worth::Developer => 403,
            // Whatever its scope is, a token for a room does not open another one.
            _ if room_of(&credential.text).is_some_and(|room| room != "private") => {
                of_others += 1;
                403
            }
            _ => 200,
        };
        let reply = server.ask("POST", &path).bearer(&credential.text).text("{}").send().await;
        assert_eq!(reply.status, refusal, "{}: {}", credential.who, reply.text);
    }
    assert!(of_others > 2, "{of_others}");
}

#[tokio::test]
async fn a_room_is_entered_with_a_token_for_it_by_whoever_was_let_in() {
    let Credentials { server, all, .. } = Credentials::new().await;
    server.room("demo").await;
    let (mut admitted, mut ungranted) = (0, 0);
    for room in ["demo", "office"] {
        for credential in &all {
            let who = &credential.who;
            // In demo, which members sign for, nothing was granted to them.
            let is_of_member = [
                "the member's token",
                "the creator's token",
                "a token of an account with reading",
                "a token of an account with rooms",
            ];
            let is_of_member = is_of_member.iter().any(|start| who.starts_with(start));
            let expected = match room_of(&credential.text) {
                _ if credential.worth == Worth::Nothing => 401,
                Some(named) if named == room => match credential.worth {
                    // A token of another project's key is for a room there, which it creates.
                    Worth::Elsewhere => 400,
                    _ if is_of_member => {
                        ungranted += 1;
                        403
                    }
                    // Whoever is let in is told that a websocket must be asked for.
                    _ => {
                        admitted += 1;
                        400
                    }
                },
                _ => 403,
            };
            let path = format!("/rooms/{room}");
            let reply = server.ask("GET", &path).bearer(&credential.text).send().await;
            assert_eq!(reply.status, expected, "{room} with {who}: {}", reply.text);
            let path = format!("{path}?token={}", credential.text);
            let reply = server.ask("GET", &path).send().await;
            assert_eq!(reply.status, expected, "{room} with {who} in the query: {}", reply.text);
        }
    }
    assert!(admitted > 30 && ungranted == 6, "{admitted} were let in, {ungranted} had no grant");
}

/// The room that a token is for, when the credential is such a token.
fn room_of(credential: &str) -> Option<String> {
    granted(credential, "room")?.as_str().map(str::to_owned)
}

/// Whether a participant token grants tunnels.
fn grants_tunnels(credential: &str) -> bool {
    granted(credential, "api").is_some_and(|scope| scope["tunnels"].is_object())
}

/// What a participant token grants under a name.
fn granted(credential: &str, name: &str) -> Option<Value> {
    let claims: Value = jsonwebtoken::dangerous::insecure_decode_claims(credential).ok()?;
    let grants = claims["grants"].as_array()?;
    Some(grants.iter().find(|grant| grant["name"] == name)?["scope"].clone())
}
