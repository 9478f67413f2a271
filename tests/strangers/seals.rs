//! Whoever reads an inventory can try out guesses of secrets, each of which takes time; and a
//! plan that compares a thousand of them takes next to none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use meshagent::kinds::Key;
use meshagent::kinds::fingerprint::Fingerprinter;
use meshagent::kinds::recorded::Recorded;
use meshagent::manifest::set::{Desired, Input, from_sources};
use meshagent::manifest::source::Source;
use meshagent::plan::fingerprints::Fingerprints;
use meshagent::plan::{Facts, Inventory};
use serde_json::{Value, json};

use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

fn text_of(number: usize, changed: Option<usize>) -> String {
    format!("hunter-{number}{}", if changed == Some(number) { "-new" } else { "" })
}

/// So many secrets, one of them changed.
fn declared(count: usize, changed: Option<usize>) -> BTreeMap<Key, Desired> {
    let document = |number| {
        let name = format!("s{number}");
        let data = json!({"A": text_of(number, changed)});
        json!({"version": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "keys", "data": data})
    };
    let text = (0..count).map(|number| format!("---\n{}\n", document(number))).collect();
    let source = Source::new("m.yaml".to_owned(), PathBuf::from("."), text);
    let input = Input { project: Some("p".to_owned()), ..Input::default() };
    from_sources(&[Arc::new(source)], Vec::new(), &input).expect("a set").objects
}

/// An inventory that has them, with fingerprints that no text has: who gets one of those from
/// a text has not made it.
fn remembered(desired: &BTreeMap<Key, Desired>) -> Inventory {
    let mut inventory = Inventory::new(Fingerprints::new("salt"));
    for (number, (key, desired)) in desired.iter().enumerate() {
        let salt = inventory.fingerprints.salt_of(key);
        let with = inventory.fingerprints.under(&salt);
        let text = desired.fields.reveal()["data"]["A"].as_str().unwrap().to_owned();
        with.learn(&text, &format!("made-up-{number}"));
        let entry = Facts {
            applied: Some(Recorded::of(&desired.fields, &with)),
            salt: Some(salt),
            ..Facts::default()
        };
        inventory.entries.insert(key.clone(), entry.into());
    }
    inventory.seals = inventory.sealed(&inventory.entries);
    inventory
}

/// The same as another run reads it, which has made nothing yet.
fn read_again(inventory: &Inventory) -> Inventory {
    let fingerprints = Fingerprints::new(inventory.fingerprints.salt.clone());
    Inventory { fingerprints, ..inventory.clone() }
}

/// How many of the fingerprints of these are known without being made.
fn unmade(inventory: &Inventory, desired: &BTreeMap<Key, Desired>) -> usize {
    inventory.prepare(desired.values(), true);
    let is_known = |(key, desired): &(&Key, &Desired)| {
        let recorded = Recorded::of(&desired.fields, &inventory.fingerprinter(key)).value();
        recorded.to_string().contains("made-up-")
    };
    desired.iter().filter(is_known).count()
}

#[test]
fn what_is_under_a_seal_that_fits_is_not_made_anew() {
    let all = declared(200, None);
    let inventory = remembered(&all);
    assert!(inventory.seals.len() > 16, "{:?}", inventory.seals);
    assert_eq!(unmade(&read_again(&inventory), &all), 200);
    // Where one changed, all of the other groups still fit.
    let changed = declared(200, Some(7));
    let known = unmade(&read_again(&inventory), &changed);
    assert!((150..200).contains(&known), "{known}");
    // Those that are new, and those that are gone, spoil the seals of their groups alone.
    let known = unmade(&read_again(&inventory), &declared(201, None));
    assert_eq!(known, 200);
    let known = unmade(&read_again(&inventory), &declared(199, None));
    assert!((150..199).contains(&known), "{known}");
}

#[test]
fn a_seal_that_does_not_belong_there_proves_nothing() {
    let all = declared(20, None);
    let inventory = remembered(&all);
    // The record was changed after the seals were made.
    let mut forged = read_again(&inventory);
    let (one, other) = (all.keys().next().unwrap(), all.keys().nth(1).unwrap());
    let applied = forged.entries[other].applied.clone();
    let entry = forged.entries.get_mut(one).unwrap();
    *entry = entry.clone().but(|it| it.applied = applied);
    assert!(unmade(&forged, &all) < 20);
    let mut forged = read_again(&inventory);
    forged.seals.values_mut().for_each(|seal| *seal = "0".repeat(16));
    assert_eq!(unmade(&forged, &all), 0);
    // Nothing is sealed of which the text is not known, and few secrets have no seal at all.
    let unknown = read_again(&inventory);
    assert!(unknown.sealed(&unknown.entries).is_empty());
    assert!(remembered(&declared(3, None)).seals.is_empty());
    // A few secrets have one seal for all: one for each group would cost as much as they do.
    let seals = inventory.seals.keys().filter(|name| *name != "all").count();
    assert!(inventory.seals.contains_key("all") && seals < 3, "{:?}", inventory.seals);
}

struct Setting {
    server: Server,
    sandbox: Sandbox,
}

impl Setting {
    async fn run(&self, words: &[&str]) -> Run {
        let mut command = self.sandbox.command(words);
        command
            .env("MESHAGENT_API_URL", &self.server.url)
            .env("MESHAGENT_API_KEY", &self.server.owner)
            .env("MESHAGENT_PROJECT_ID", &self.server.project);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        Run::of(output.unwrap())
    }

    fn write(&self, texts: &[(&str, &str)]) {
        let document = |(name, text): &(&str, &str)| {
            format!(
                "---\nversion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: keys\ndata: {{A: {text}}}\n"
            )
        };
        self.sandbox.write("m.yaml", &texts.iter().map(document).collect::<String>());
    }

    async fn inventory(&self) -> Value {
        let pool = self.server.store().await;
        let sql = "SELECT content FROM files WHERE path = '.meshagent/sets/default.json'";
        let content: Vec<u8> = sqlx::query_scalar(sql).fetch_one(&pool).await.expect("a file");
        pool.close().await;
        serde_json::from_slice(&content).expect("JSON")
    }

    async fn put(&self, inventory: &Value) {
        let pool = self.server.store().await;
        let sql = "UPDATE files SET content = $1 WHERE path = '.meshagent/sets/default.json'";
        sqlx::query(sql).bind(inventory.to_string().into_bytes()).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

/// The inventory as an earlier version of the program would have written it.
fn of_old(inventory: &Value, texts: &[(&str, &str)]) -> Value {
    let mut old = inventory.clone();
    let file = old.as_object_mut().unwrap();
    file.shift_remove("salt");
    file.shift_remove("seals");
    file.insert("version".to_owned(), json!(1));
    file.insert("fingerprint_key".to_owned(), json!("an-old-key"));
    for object in file["objects"].as_array_mut().unwrap() {
        object.as_object_mut().unwrap().shift_remove("salt");
        let name = object["name"].as_str().unwrap();
        let (_, text) = texts.iter().find(|(it, _)| *it == name).unwrap();
        object["applied"]["data"]["A"] =
            json!({"$secret": Fingerprinter::new("an-old-key").of(text)});
    }
    old
}

#[tokio::test]
async fn an_inventory_of_an_earlier_version_is_read_and_loses_its_key() {
    let setting = Setting { server: Server::start().await, sandbox: Sandbox::new() };
    let texts = [("a", "hunter22"), ("b", "hunter22"), ("c", "swordfish")];
    setting.write(&texts);
    let applied = setting.run(&["apply", "-f", "m.yaml", "--yes"]).await;
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let written = setting.inventory().await;
    let of = |inventory: &Value, index: usize| {
        inventory["objects"][index]["applied"]["data"]["A"]["$secret"].as_str().unwrap().to_owned()
    };
    assert!(written.get("fingerprint_key").is_none() && written["version"] == 2, "{written}");
    // One text in two objects shows as two, and no key makes one of them.
    assert_ne!(of(&written, 0), of(&written, 1));
    for key in [written["salt"].as_str().unwrap(), written["objects"][0]["salt"].as_str().unwrap()]
    {
        assert_ne!(of(&written, 0), Fingerprinter::new(key).of("hunter22"));
    }
    setting.put(&of_old(&written, &texts)).await;
    let nothing = setting.run(&["plan", "-f", "m.yaml", "--exit-code"]).await;
    assert_eq!(nothing.code, 0, "{}{}", nothing.stdout, nothing.stderr);
    // What is not in the manifests keeps the key with it until it is.
    setting.write(&[("a", "hunter22"), ("b", "hunter23")]);
    let planned =
        setting.run(&["plan", "-f", "m.yaml", "--no-prune", "-o", "json", "--out", "p"]).await;
    assert_eq!(planned.json()["operations"].as_array().unwrap().len(), 1, "{}", planned.stdout);
    let applied = setting.run(&["apply", "p", "--yes"]).await;
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let half = setting.inventory().await;
    assert_eq!((&half["fingerprint_key"], &half["version"]), (&json!("an-old-key"), &json!(2)));
    let salted = |index: usize| half["objects"][index].get("salt").is_some();
    assert!(salted(0) && !salted(2), "{half}");

    setting.write(&[("a", "hunter22"), ("b", "hunter23"), ("c", "other")]);
    let applied = setting.run(&["apply", "-f", "m.yaml", "--yes"]).await;
    assert!(applied.stdout.ends_with("Applied: 1 done.\n"), "{}", applied.stdout);
    let whole = setting.inventory().await;
    assert!(whole.get("fingerprint_key").is_none(), "{whole}");
    assert!(!whole.to_string().contains("an-old-key"));
    let nothing = setting.run(&["plan", "-f", "m.yaml", "--exit-code"]).await;
    assert_eq!(nothing.code, 0, "{}{}", nothing.stdout, nothing.stderr);
}

#[tokio::test]
async fn a_plan_of_many_secrets_that_changes_nothing_is_quick() {
    let setting = Setting { server: Server::start().await, sandbox: Sandbox::new() };
    let names: Vec<String> = (0..150).map(|number| format!("s{number}")).collect();
    let texts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "hunter22")).collect();
    setting.write(&texts);
    let start = Instant::now();
    let applied = setting.run(&["apply", "-f", "m.yaml", "--yes"]).await;
    let first = start.elapsed();
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert!(setting.inventory().await["seals"]["all"].is_string());
    let start = Instant::now();
    let nothing = setting.run(&["plan", "-f", "m.yaml", "--exit-code"]).await;
    assert_eq!(nothing.code, 0, "{}{}", nothing.stdout, nothing.stderr);
    // The first run made each fingerprint; this one made one seal.
    assert!(start.elapsed() * 3 < first, "{:?}, then {:?}", first, start.elapsed());
}
