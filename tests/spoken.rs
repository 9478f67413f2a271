//! The APIs that tests go through, and what each can say.

use std::io::Write;

use meshagent::api::client::Client;
use meshagent::api::detect::Detected;
use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, inexpressible};
use meshagent::kinds::path::Step;
use meshagent::kinds::{self, Fault, Kind, KindName};
use meshagent::manifest::set::{Input, read};
use proptest::prelude::*;
use serde_json::Value;

use crate::registry::documents::{Variant, is_in, variants, with};
use crate::seeds::draws;

/// All of them.
pub const BOTH: [Spoken; 2] = [Spoken::V0_31, Spoken::V0_56];

/// One of them.
pub fn any() -> impl Strategy<Value = Spoken> {
    prop::sample::select(BOTH.to_vec())
}

/// A client that speaks an API, whatever the platform says.
pub fn speaking(client: Client, spoken: Spoken) -> Client {
    client.speaking(&Detected { spoken, also: None, only_read: None, note: None })
}

/// Whether objects of a kind can be written in an API. What becomes a service is written as one.
pub fn has(spoken: Spoken, kind: KindName) -> bool {
    dialect::dialect(spoken).of(kind).is_none_or(|it| it.unspoken().is_none())
}

/// The documents whose kinds an API has.
pub fn of_kinds_in(spoken: Spoken, documents: Vec<Value>) -> Vec<Value> {
    let lacks = |document: &Value| {
        let is_of = |kind: &&dyn Kind| document["kind"] == kind.name().to_string();
        kinds::ALL.into_iter().find(is_of).is_some_and(|kind| !has(spoken, kind.name()))
    };
    documents.into_iter().filter(|document| !lacks(document)).collect()
}

/// What an API cannot say of what a document declares; nothing where it cannot be read.
fn faults(spoken: Spoken, document: &Value) -> Option<Vec<Fault>> {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    write!(file, "{document}").unwrap();
    let (paths, project) = (vec![file.path().to_owned()], Some("p".to_owned()));
    let set = read(&Input { paths, project, ..Input::default() }).ok()?;
    let of = |kind| dialect::of(spoken, kind);
    let objects = set.objects.iter();
    Some(objects.flat_map(|(key, it)| inexpressible(of(key.kind), spoken, &it.fields)).collect())
}

/// The ways to all fields of a value, with what is deeper behind what it is in.
fn ways(value: &Value, way: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, below) in fields {
                let way = format!("{way}/{name}");
                found.push(way.clone());
                ways(below, &way, found);
            }
        }
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(index, item)| ways(item, &format!("{way}/{index}"), found));
        }
        _ => {}
    }
}

/// What says which object it is, and where.
const KEPT: [&str; 6] = ["/version", "/kind", "/type", "/metadata/name", "/room", "/rooms"];

/// A document without the fields that an API cannot say, of those that it may lack.
pub fn sayable(spoken: Spoken, mut document: Value) -> Value {
    let mut open = faults(spoken, &document).unwrap_or_else(|| panic!("{document}"));
    while let Some(fault) = open.first() {
        let mut names = fault.path.0.iter().filter_map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        });
        let last = names.next_back().unwrap_or_default();
        let mut candidates = Vec::new();
        ways(&document, "", &mut candidates);
        candidates.retain(|way| !KEPT.contains(&way.as_str()));
        // The smallest of those that are called so goes first, so that no more goes than has to.
        candidates.sort_by_cached_key(|way| {
            let is_called_so = way.rsplit('/').next().is_some_and(|it| it.contains(last));
            let size = document.pointer(way).map_or(0, |value| value.to_string().len());
            (!is_called_so, size)
        });
        let shorter = candidates.iter().find_map(|way| {
            let without = with(&document, way, None);
            let left = faults(spoken, &without)?;
            (left.len() < open.len()).then_some((without, left))
        });
        let told = || panic!("{}: nothing says it: {document}", fault.message);
        (document, open) = shorter.unwrap_or_else(told);
    }
    document
}

/// How many agents are tried in 0.56. An agent is a service before any API is spoken.
const AGENTS: usize = 3;

/// The full documents of a kind in an API: nothing where the API lacks it. Of the agents, a few are
/// drawn in 0.56.
pub fn variants_in(spoken: Spoken, kind: &'static dyn Kind) -> Vec<Variant> {
    let mut all = if has(spoken, kind.name()) { variants(kind) } else { Vec::new() };
    if spoken == Spoken::V0_56 && kind.name() == KindName::Agent {
        draws().shuffle(&mut all);
        all.truncate(AGENTS);
    }
    let all = all.into_iter().filter(|variant| is_in(spoken, variant));
    all.map(|variant| variant_in(spoken, variant)).collect()
}

/// The full documents of all kinds in all APIs.
pub fn all_variants() -> impl Iterator<Item = (Spoken, Variant)> {
    let all = BOTH.into_iter().flat_map(|spoken| kinds::ALL.map(|kind| (spoken, kind)));
    all.flat_map(|(spoken, kind)| {
        variants_in(spoken, kind).into_iter().map(move |variant| (spoken, variant))
    })
}

/// A full document, as far as an API can say it.
fn variant_in(spoken: Spoken, mut variant: Variant) -> Variant {
    let document = sayable(spoken, variant.document);
    variant.fields.retain(|field| document.pointer(&field.pointer).is_some());
    Variant { document, ..variant }
}
