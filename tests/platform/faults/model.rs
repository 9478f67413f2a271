//! Clients that know what the platform owes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::platform::process::Reached;

/// How many rooms and files each client has.
const NAMES: usize = 12;

/// What an object may be: absent, or with this content. More than one where an answer got lost.
type Possible = BTreeSet<Option<String>>;

/// How much was done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub acknowledged: usize,
    pub refused: usize,
    pub unanswered: usize,
    pub unsure: usize,
    pub verified: usize,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.unsure += other.unsure;
        self.verified += other.verified;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, refused, unanswered, unsure, verified } = self;
        write!(
            out,
            "{acknowledged} writes acknowledged, {refused} refused, {unanswered} without an answer, {unsure} not certain; {verified} objects verified"
        )
    }
}

/// A client with objects of its own, of which it does one thing at a time.
pub struct Worker {
    number: usize,
    random: fastrand::Rng,
    counter: usize,
    objects: BTreeMap<Object, Possible>,
    pub tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Room(usize),
    File(usize),
}

/// What became of a write.
enum Told {
    Done,
    Refused,
    Unknown,
}

/// What an object is; `Err` where it could not be read.
type Read = Result<Option<String>, String>;

impl Worker {
    pub fn new(number: usize, random: fastrand::Rng) -> Self {
        let names = (0..NAMES).flat_map(|at| [Object::Room(at), Object::File(at)]);
        let objects = names.map(|object| (object, Possible::from([None]))).collect();
        Self { number, random, counter: 0, objects, tally: Tally::default() }
    }

    fn name(&self, object: Object) -> String {
        match object {
            Object::Room(at) => format!("room-{}-{at}", self.number),
            Object::File(at) => format!("file-{}-{at}", self.number),
        }
    }

    /// The rooms that there are.
    pub fn rooms(&self) -> Vec<String> {
        let rooms = self.objects.iter().filter(|(object, possible)| {
            matches!(object, Object::Room(_)) && !possible.contains(&None)
        });
        rooms.map(|(object, _)| self.name(*object)).collect()
    }

    /// Changes one of its objects, or finds out what it is.
    pub async fn act(&mut self, reached: &Reached) {
        let at = self.random.usize(0..NAMES);
        let object = if self.random.bool() { Object::Room(at) } else { Object::File(at) };
        let possible = self.objects[&object].clone();
        if possible.len() > 1 || self.random.u8(0..8) == 0 {
            let read = self.read(reached, object).await;
            return self.settle(object, read, false);
        }
        let before = possible.into_iter().next().flatten();
        let (after, told) = self.write(reached, object, before.as_deref()).await;
        let possible = self.objects.get_mut(&object).expect("an object");
        match told {
            Told::Done => {
                self.tally.acknowledged += 1;
                *possible = Possible::from([after]);
            }
            Told::Refused => self.tally.refused += 1,
            Told::Unknown => {
                possible.insert(after);
            }
        }
    }

    /// Reads everything, which must succeed.
    pub async fn verify(&mut self, reached: &Reached) {
        for object in self.objects.keys().copied().collect::<Vec<_>>() {
            let read = self.read(reached, object).await;
            self.settle(object, read, true);
        }
    }

    /// Compares what was read with what may be.
    fn settle(&mut self, object: Object, read: Read, must: bool) {
        let name = self.name(object);
        let found = match read {
            Ok(found) => found,
            Err(why) if must => panic!("{name} cannot be read: {why}"),
            Err(_) => return,
        };
        let possible = self.objects.get_mut(&object).expect("an object");
        // The id of a room whose answer got lost is any.
        let any = |found: &String| found.split(' ').nth(1).map(|number| format!("? {number}"));
        let fits = possible.contains(&found)
            || found.as_ref().and_then(any).is_some_and(|any| possible.contains(&Some(any)));
        assert!(fits, "{name} is {found:?} and should be {possible:?}");
        *possible = Possible::from([found]);
        self.tally.verified += 1;
    }

    async fn read(&self, reached: &Reached, object: Object) -> Read {
        let name = self.name(object);
        let path = match object {
            Object::Room(_) => format!("/rooms/{name}"),
            Object::File(_) => format!("/storage/download?path={name}"),
        };
        let answer =
            reached.own("GET", &path).send().await.map_err(|error| format!("{error:?}"))?;
        match answer.status().as_u16() {
            404 => return Ok(None),
            200 => {}
            other => return Err(other.to_string()),
        }
        let body = answer.bytes().await.map_err(|error| format!("{error:?}"))?;
        Ok(Some(match object {
            Object::File(_) => format!("{:x}", Sha256::digest(&body)),
            Object::Room(_) => {
                let room: Value = serde_json::from_slice(&body).expect("JSON");
                format!("{} {}", room["id"].as_str().expect("an id"), room["metadata"]["n"])
            }
        }))
    }

    /// Does something to an object that is known, and says what it is if that was done.
    async fn write(
        &mut self,
        reached: &Reached,
        object: Object,
        before: Option<&str>,
    ) -> (Option<String>, Told) {
        self.counter += 1;
        let (name, counter) = (self.name(object), self.counter);
        let is_delete = before.is_some() && self.random.u8(0..3) == 0;
        let id = before.and_then(|before| before.split(' ').next());
        let metadata = json!({"name": name, "metadata": {"n": counter}}).to_string();
        match object {
            Object::Room(_) => match id {
                None => {
                    let (told, body) =
                        self.told(reached.own("POST", "/rooms").body(metadata)).await;
                    // Without an answer its id is not known, but its number is.
                    let id = body["id"].as_str().unwrap_or("?");
                    (Some(format!("{id} {counter}")), told)
                }
                Some(id) if is_delete => {
                    (None, self.told(reached.own("DELETE", &format!("/rooms/{id}"))).await.0)
                }
                Some(id) => {
                    let put = reached.own("PUT", &format!("/rooms/{id}")).body(metadata);
                    (Some(format!("{id} {counter}")), self.told(put).await.0)
                }
            },
            Object::File(_) if is_delete => {
                let path = format!("/storage?path={name}");
                (None, self.told(reached.own("DELETE", &path)).await.0)
            }
            Object::File(_) => {
                let length = if self.random.u8(0..4) == 0 { 300_000 } else { 5_000 };
                let content: Vec<u8> =
                    (0..self.random.usize(1..length)).map(|_| self.random.u8(..)).collect();
                let digest = format!("{:x}", Sha256::digest(&content));
                let path = format!("/storage/upload?path={name}");
                (Some(digest), self.told(reached.own("POST", &path).body(content)).await.0)
            }
        }
    }

    /// Sends a write, of which nothing is known without an answer.
    async fn told(&mut self, request: reqwest::RequestBuilder) -> (Told, Value) {
        let request = request.timeout(std::time::Duration::from_secs(60));
        let Ok(answer) = request.send().await else {
            self.tally.unanswered += 1;
            return (Told::Unknown, Value::Null);
        };
        let status = answer.status();
        let Ok(text) = answer.text().await else {
            self.tally.unanswered += 1;
            return (Told::Unknown, Value::Null);
        };
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return (Told::Done, body);
        }
        if text.contains("is not certain") {
            self.tally.unsure += 1;
            return (Told::Unknown, Value::Null);
        }
        // Nobody else touches these objects, so the platform is at fault whatever it says.
        assert!(status.is_server_error() || status == 408, "{status} {text}");
        (Told::Refused, body)
    }
}

/// Checks that there are these rooms and no others.
pub async fn only(reached: &Reached, mut expected: Vec<String>) {
    let list = reached.own("GET", "/rooms?limit=100000&offset=0").send().await.expect("an answer");
    let list: Value = serde_json::from_str(&list.text().await.expect("a body")).expect("JSON");
    let rooms = list["rooms"].as_array().expect("rooms").iter();
    let mut found: Vec<_> =
        rooms.map(|room| room["name"].as_str().expect("a name").to_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
