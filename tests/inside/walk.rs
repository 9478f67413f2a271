//! Life after life of what is inside of rooms: it is declared, changed, renamed with its room and
//! taken away, people meddle with it, and runs are killed. After each turn all is as the documents
//! say, but for what somebody else wrote and nobody looked at; and nothing else was touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::seeds::seeds;

/// How many lives are told.
const LIVES: u64 = 4;

/// How many turns one has.
const TURNS: usize = 6;

const ROOMS: [&str; 2] = ["attic", "lobby"];

#[test]
fn whatever_happens_inside_of_rooms_nothing_is_lost_and_nothing_else_is_touched() {
    let lives: Vec<_> =
        seeds(LIVES).map(|seed| std::thread::spawn(move || Life::new(seed).tell())).collect();
    let failed = lives.into_iter().map(std::thread::JoinHandle::join);
    let failed = failed.filter(Result::is_err).count();
    assert_eq!(failed, 0, "{failed} lives failed");
}

/// What is wanted: objects by what they are called in a plan, each with its document.
type Wanted = BTreeMap<String, Value>;

struct Life {
    seed: u64,
    random: Rng,
    sandbox: Sandbox,
    /// The files that nobody declares, by their rooms: what is in them.
    strangers: BTreeMap<(String, String), String>,
    /// What somebody else wrote and nobody looked at since.
    meddled: BTreeSet<String>,
    /// The files among them that hold what somebody else wrote.
    by_hand: BTreeMap<String, String>,
    told: String,
}

impl Life {
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox::with_platform();
        std::fs::create_dir(sandbox.path("set")).unwrap();
        Self {
            seed,
            random: Rng::with_seed(seed),
            sandbox,
            strangers: BTreeMap::new(),
            meddled: BTreeSet::new(),
            by_hand: BTreeMap::new(),
            told: String::new(),
        }
    }

    fn fail(&self, what: &str) -> ! {
        println!("MESHAGENT_TEST_SEED={}: {what}\n{}", self.seed, self.told);
        panic!("MESHAGENT_TEST_SEED={}: {what}", self.seed);
    }

    fn run(&mut self, arguments: &[&str]) -> Run {
        let run = self.sandbox.run(&[arguments, &["--embedded"]].concat());
        let _ = writeln!(self.told, "{arguments:?} {}\n{}{}", run.code, run.stdout, run.stderr);
        if format!("{}{}", run.stdout, run.stderr).contains("canary") {
            self.fail("a secret is shown");
        }
        run
    }

    fn draw(&mut self) -> Wanted {
        let mut wanted = Wanted::new();
        for room in ROOMS {
            if self.random.u8(0..5) == 0 {
                continue;
            }
            let document = |kind: &str, name: &str, more: Value| {
                let mut document =
                    json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
                document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                document
            };
            wanted.insert(format!("Room/{room}"), document("Room", room, json!({})));
            for number in 0..3 {
                let (name, version) = (format!("f{number}.txt"), self.random.u8(0..3));
                let text = match number {
                    // Too long to be a field.
                    2 => format!("{version}").repeat(70_000),
                    _ => format!("text {version}\n"),
                };
                if self.random.bool() {
                    self.sandbox.write(&format!("set/{room}-{name}"), &text);
                    let content = match number {
                        0 => json!({"room": room, "text": text}),
                        _ => json!({"room": room, "file": format!("{room}-{name}")}),
                    };
                    let file = document("RoomFile", &name, content);
                    wanted.insert(format!("RoomFile/{name}@{room}"), file);
                }
            }
            if self.random.bool() {
                let text = format!("version {}", self.random.u8(0..3));
                let content = json!({"document": {"content": [{"body": {"text": text}}]}});
                let lifecycle = json!({"overwrite": self.random.bool()});
                let more = json!({"room": room, "content": content, "lifecycle": lifecycle});
                let note = document("Document", "n.document", more);
                wanted.insert(format!("Document/n.document@{room}"), note);
            }
            if self.random.bool() {
                let value = format!("canary-{}", self.random.u8(0..3));
                let more = json!({"room": room, "identity": "agent", "value": value});
                let secret = document("RoomSecret", "key", more);
                wanted.insert(format!("RoomSecret/agent/key@{room}"), secret);
            }
            if self.random.bool() {
                let table = document("Table", "t", self.table(room));
                wanted.insert(format!("Table/t@{room}"), table);
            }
            if self.random.bool() {
                let memory = document("Memory", "m", json!({"room": room, "namespace": ["n"]}));
                wanted.insert(format!("Memory/n/m@{room}"), memory);
            }
        }
        wanted
    }

    /// What a table has beyond its name.
    fn table(&mut self, room: &str) -> Value {
        let mut columns = vec![json!({"name": "id", "type": "int", "nullable": false})];
        if self.random.bool() {
            columns.insert(0, json!({"name": "name", "type": "text"}));
        }
        if self.random.bool() {
            let of = if self.random.bool() { "int" } else { "float" };
            columns.push(json!({"name": "size", "type": of}));
        }
        let mut indexes = vec![json!({"column": "id", "kind": "scalar"})];
        indexes.truncate(self.random.usize(0..2));
        let rows: Vec<Value> = (0..self.random.u8(0..3)).map(|id| json!({"id": id})).collect();
        json!({"room": room, "columns": columns, "indexes": indexes, "key": "id", "rows": rows})
    }

    fn write(&self, wanted: &Wanted) {
        let documents: Vec<String> = wanted.values().map(Value::to_string).collect();
        self.sandbox
            .write("set/set.yaml", &format!("# a set\n---\n{}\n", documents.join("\n---\n")));
    }

    /// Somebody else writes, deletes and adds.
    fn meddle(&mut self, wanted: &Wanted) {
        let inside: Vec<&String> = wanted.keys().filter(|key| key.contains('@')).collect();
        if inside.is_empty() || self.random.bool() {
            return;
        }
        let key = (*self.random.choice(&inside).unwrap()).clone();
        let (_, rest) = key.split_once('/').unwrap();
        let (name, room) = rest.split_once('@').unwrap();
        let at = ["--room", room];
        if key.starts_with("RoomFile") {
            self.sandbox.write("by-hand.txt", "by hand");
            let to = format!("room://{name}");
            let is_written = self.random.bool();
            match is_written {
                true => {
                    self.run(&[&["room", "storage", "cp", "by-hand.txt", &to][..], &at].concat())
                }
                false => self.run(&[&["room", "storage", "rm", &to][..], &at].concat()),
            };
            self.by_hand.remove(&key);
            if is_written {
                self.by_hand.insert(key.clone(), "by hand".to_owned());
            }
            self.meddled.insert(key.clone());
        } else if key.starts_with("Document") {
            let add = json!([{"op": "add", "path": "/document/content/-", "value": {"body": {"text": "by hand"}}}]);
            self.run(
                &[&["room", "sync", "update", name, "--patch", &add.to_string()][..], &at].concat(),
            );
            self.meddled.insert(key.clone());
        } else if key.starts_with("Table") {
            // It stays, or it may be there already.
            let add = ["room", "database", "add-columns", "-t", name, "-c", "note text"];
            self.run(&[&add[..], &at].concat());
        }
        let number = self.random.u8(0..2);
        let (path, text) = (format!("s{number}.txt"), format!("stranger {}", self.random.u8(..)));
        self.sandbox.write("stranger.txt", &text);
        let to = format!("room://{path}");
        let put = ["room", "storage", "cp", "stranger.txt", &to];
        if self.run(&[&put[..], &at].concat()).code != 0 {
            self.fail("a stranger cannot write");
        }
        self.strangers.insert((room.to_owned(), path), text);
    }

    /// Applies, and is killed on the way.
    fn die(&mut self) {
        let after = Duration::from_millis(self.random.u64(50..900));
        let mut command = self.sandbox.command(&[
            "apply",
            "--yes",
            "-f",
            "set",
            "--embedded",
            "--allow-deletes",
            "99",
        ]);
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        let _ = child.kill();
        let _ = child.wait();
        let _ = writeln!(self.told, "killed after {after:?}");
    }

    fn apply(&mut self, more: &[&str]) -> i32 {
        let apply = [
            "apply",
            "--yes",
            "-f",
            "set",
            "--allow-deletes",
            "99",
            "--allow-empty",
            "--break-lock",
        ];
        self.run(&[&apply[..], more].concat()).code
    }

    /// The objects that a plan writes to.
    fn planned(&mut self, more: &[&str]) -> BTreeSet<String> {
        let plan =
            ["plan", "-f", "set", "--output", "json", "--allow-deletes", "99", "--allow-empty"];
        let run = self.run(&[&plan[..], more].concat());
        if run.code != 0 {
            self.fail("there is no plan");
        }
        let plan = run.json();
        let operations = plan["operations"].as_array().unwrap().iter();
        operations.map(|it| it["address"].as_str().unwrap().to_owned()).collect()
    }

    /// What somebody else wrote is there as long as nobody looked.
    fn check_meddled(&mut self, wanted: &Wanted) {
        for (key, text) in self.by_hand.clone() {
            let (name, room) = key.strip_prefix("RoomFile/").unwrap().split_once('@').unwrap();
            if !wanted.contains_key(&format!("Room/{room}")) {
                continue;
            }
            let shown =
                self.run(&["room", "storage", "show", &format!("room://{name}"), "--room", room]);
            if shown.stdout != text {
                self.fail(&format!("{key} was overwritten, and nobody had looked at it"));
            }
        }
    }

    fn check(&mut self, wanted: &Wanted, looked: bool) {
        let left = self.planned(&[]);
        if !left.is_empty() {
            self.fail(&format!("there is more to do: {left:?}"));
        }
        if looked {
            self.meddled.clear();
            self.by_hand.clear();
        }
        let left = self.planned(&["--enter-rooms"]);
        if !left.is_subset(&self.meddled) {
            self.fail(&format!(
                "{left:?} is not as declared, and {:?} was meddled with",
                self.meddled
            ));
        }
        let rooms: BTreeSet<&str> =
            wanted.keys().filter_map(|key| key.strip_prefix("Room/")).collect();
        self.strangers.retain(|(room, _), _| rooms.contains(room.as_str()));
        self.meddled
            .retain(|key| key.rsplit_once('@').is_some_and(|(_, room)| rooms.contains(room)));
        for ((room, path), text) in self.strangers.clone() {
            let shown =
                self.run(&["room", "storage", "show", &format!("room://{path}"), "--room", &room]);
            if shown.stdout != text {
                self.fail(&format!("{path} in {room} was touched"));
            }
        }
    }

    fn tell(mut self) {
        let mut former = Wanted::new();
        for turn in 0..=TURNS {
            let is_end = turn == TURNS;
            self.meddle(&former);
            let wanted = if is_end { Wanted::new() } else { self.draw() };
            self.write(&wanted);
            if self.random.u8(0..3) == 0 {
                self.die();
            }
            let looks = self.random.bool();
            let mut code = self.apply(if looks { &["--enter-rooms"] } else { &[] });
            let mut looked = looks;
            if !looks {
                self.check_meddled(&wanted);
            }
            // What somebody else wrote, or a run that was killed: somebody has to look.
            if code != 0 && !looks {
                code = self.apply(&["--enter-rooms"]);
                looked = true;
            }
            if code != 0 {
                code = self.apply(&["--enter-rooms", "--adopt"]);
            }
            if code != 0 {
                self.fail("it does not converge");
            }
            self.check(&wanted, looked);
            former = wanted;
        }
    }
}
