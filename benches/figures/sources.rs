//! How long it takes to read a source from the cache.

use std::sync::Arc;
use std::time::Instant;

use meshagent::manifest::imported::{Allowed, Imported};
use meshagent::manifest::pack::{Packing, Sort};
use meshagent::manifest::set::{self, Input};
use meshagent::manifest::values::FileValues;
use meshagent::sources::cache::Cache;

use super::table::{Table, smallest_and_middle, time};

const RUNS: usize = 50;

const FILES: usize = 1_000;

/// Takes the figures.
pub fn figures() -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(folder.path().join("sources"));
    let mut packing = Packing::of("");
    for index in 0..FILES {
        let name = format!("rooms/{index:04}.yaml");
        let text = format!(
            "version: v1\nkind: Room\nmetadata:\n  name: room-{index:04}\n  annotations: {{team: support}}\nroom_metadata:\n  displayName: Room {index}\n"
        );
        let path = packing.path(name.as_bytes(), Sort::File).expect("a path").expect("a file");
        packing.add(path, text.into_bytes()).expect("room for it");
    }
    let digest = {
        let pack = packing.done().expect("a pack");
        cache.put(&pack).expect("a cache");
        pack.digest()
    };
    let (mut read, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = Instant::now();
        let pack = cache.get(digest).expect("what was put there");
        read.push(start.elapsed().as_secs_f64());
        let imported = Imported {
            name: "support".to_owned(),
            shown: "support@v1".to_owned(),
            pack,
            values: FileValues::default(),
            over: None,
            allowed: Allowed::default(),
            project_file: folder.path().join("meshagent.yaml"),
        };
        let project = Some("p".to_owned());
        let imported = vec![Arc::new(imported)];
        let set = set::read(&Input { imported, project, ..Input::default() }).expect("a set");
        whole.push(start.elapsed().as_secs_f64());
        assert_eq!(set.objects.len(), FILES);
    }
    let mut table = Table::default();
    let (smallest, middle) = smallest_and_middle(read);
    table.row(
        format!("{FILES} files from the cache, with their digest: smallest / middle"),
        format!("{} / {}", time(smallest), time(middle)),
    );
    let (smallest, middle) = smallest_and_middle(whole);
    table.aimed(
        "the same, with their documents read and checked: smallest / middle",
        format!("{} / {}", time(smallest), time(middle)),
        "50 ms",
    );
    table.note(format!("{RUNS} runs in one process, {FILES} documents."));
    table
}
