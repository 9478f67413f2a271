//! The map in `src/lib.rs` is true: what stands above imports what stands below, never the other
//! way round, and what is called pure does no input or output.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One line of the map.
struct Module {
    name: String,
    is_pure: bool,
}

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The map, from above to below.
fn map() -> Vec<Module> {
    let text = source("src/lib.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| {
        let (name, about) = row.split_once("`] | ").expect("a row");
        Module { name: name.to_owned(), is_pure: about.starts_with("*pure*") }
    })
    .collect()
}

/// The files of a module with their texts, without their tests and comments.
fn files(module: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let of_module = |path: &Path| {
        let first = path.strip_prefix(&root).ok().and_then(|path| path.iter().next());
        let first = first.and_then(|first| first.to_str()).unwrap_or_default();
        first == module || first.strip_suffix(".rs") == Some(module)
    };
    let files = walkdir::WalkDir::new(&root).into_iter().flatten().map(|entry| entry.into_path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    let files = files.filter(|path| path.file_name().is_some_and(|name| name != "tests.rs"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file");
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path.display().to_string(), code.collect::<Vec<_>>().join("\n"))
    };
    files.filter(|path| of_module(path)).map(read).collect()
}

/// The modules of the crate that a text imports.
fn imported(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let imported = text.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => {
            let list = list.split('}').next().unwrap_or_default();
            list.split(',').map(|name| word(name.trim())).collect::<Vec<_>>()
        }
        None => vec![word(rest)],
    });
    imported.filter(|name| !name.is_empty()).collect()
}

#[test]
fn what_is_below_imports_nothing_above_it() {
    let map = map();
    let place = |name: &str| map.iter().position(|module| module.name == name);
    let (mut upward, mut imports) = (Vec::new(), 0);
    for (at, module) in map.iter().enumerate() {
        for (file, text) in files(&module.name) {
            for other in imported(&text) {
                let Some(of_other) = place(&other) else { continue };
                imports += 1;
                if of_other < at {
                    upward.push(format!(
                        "{file}: {} imports {other}, which is above it",
                        module.name
                    ));
                }
            }
        }
    }
    assert!(imports > 500, "{imports} imports were seen");
    assert_eq!(upward, Vec::<String>::new());
}

#[test]
fn every_module_is_on_the_map() {
    let declared: BTreeSet<String> = source("src/lib.rs")
        .lines()
        .filter_map(|line| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned()))
        .collect();
    let mapped: BTreeSet<String> = map().into_iter().map(|module| module.name).collect();
    let crates = [
        "meshagent_arrow",
        "meshagent_containers",
        "meshagent_jinja",
        "meshagent_memory",
        "meshagent_tables",
    ];
    let crates = BTreeSet::from(crates.map(str::to_owned));
    assert_eq!(declared.union(&crates).cloned().collect::<BTreeSet<_>>(), mapped);
}

#[test]
fn what_is_pure_does_no_input_or_output() {
    const IMPURE: [&str; 7] =
        ["std::fs", "std::env", "std::net", "std::process", "tokio::", "async fn", "crate::output"];
    let mut found = Vec::new();
    let pure: Vec<Module> = map().into_iter().filter(|module| module.is_pure).collect();
    assert!(pure.len() >= 4);
    for (file, text) in pure.iter().flat_map(|module| files(&module.name)) {
        let impure = IMPURE.into_iter().filter(|what| text.contains(what));
        found.extend(impure.map(|what| format!("{file}: {what}")));
    }
    assert_eq!(found, Vec::<String>::new());
}

/// A kind is a file and a line: what is planned and done about objects is a loop over what their
/// kinds say of themselves.
#[test]
fn what_plans_and_applies_names_no_kind() {
    let kinds: Vec<String> = meshagent::kinds::ALL.map(|kind| kind.name().to_string()).to_vec();
    // `Webhook in webhook,` is the line of a kind.
    let list = source("src/kinds/mod.rs");
    let line = |line: &str| Some(line.trim().strip_suffix(',')?.split_once(" in ")?.1.to_owned());
    let modules: Vec<String> = list.lines().filter_map(line).collect();
    assert_eq!(modules.len(), kinds.len());
    let mut named = Vec::new();
    for module in ["plan", "apply"] {
        let files = files(module);
        assert!(files.len() > 10, "{module} has few files");
        for (file, text) in files {
            let names_one = |kind: &String| {
                text.split(&format!("KindName::{kind}"))
                    .skip(1)
                    .any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
            };
            let found = kinds.iter().filter(|kind| names_one(kind));
            named.extend(found.map(|kind| format!("{file} names the kind {kind}")));
            let imported = modules.iter().filter(|module| {
                text.contains(&format!("kinds::{module}::"))
                    || text.contains(&format!(" {module}::"))
            });
            named.extend(imported.map(|module| format!("{file} imports kinds::{module}")));
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}

/// What people write is ours: a second API may have other names for it, or none.
#[test]
fn kinds_know_no_api() {
    let files = files("kinds");
    assert!(files.len() > 20, "kinds has few files");
    let of_apis = ["api", "dialect", "room", "platform"];
    let known = files.iter().flat_map(|(file, text)| {
        let known = imported(text).into_iter().filter(|module| of_apis.contains(&module.as_str()));
        known.map(move |module| format!("{file} imports {module}"))
    });
    assert_eq!(known.collect::<Vec<_>>(), Vec::<String>::new());
}

/// Which version of the API is spoken is a dialect's to know: elsewhere it has no version.
#[test]
fn no_version_of_the_api_is_named_outside_of_dialects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialect");
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let names = entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let versions: Vec<String> = names.map(|name| name.into_string().expect("a name")).collect();
    assert!(versions.contains(&"v0_31".to_owned()), "{versions:?}");
    let mut named = Vec::new();
    for module in map().into_iter().filter(|module| module.name != "dialect") {
        for (file, text) in files(&module.name) {
            let found = versions.iter().filter(|version| text.contains(version.as_str()));
            named.extend(found.map(|version| format!("{file} names {version}")));
        }
    }
    assert_eq!(named, Vec::<String>::new());
}

/// The picture in `docs/architecture.md`: its modules, and those that arrows lead to from each.
fn picture() -> BTreeMap<String, BTreeSet<String>> {
    let text = source("docs/architecture.md");
    let picture = text.split("```mermaid").nth(1).and_then(|rest| rest.split("```").next());
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in picture.expect("a picture").lines() {
        if let Some((name, _)) = line.split_once("[\"") {
            arrows.entry(name.trim().to_owned()).or_default();
        }
        let names = |side: &str| -> Vec<String> {
            side.split('&').map(|name| name.trim().to_owned()).collect()
        };
        if let Some((from, to)) = line.split_once("-->") {
            names(from)
                .into_iter()
                .for_each(|from| arrows.entry(from).or_default().extend(names(to)));
        }
    }
    arrows
}

/// Every module in the picture imports only what its arrows lead to, over others if need be.
#[test]
fn the_picture_leaves_out_no_import() {
    let arrows = picture();
    assert!(arrows.len() > 10, "{arrows:?}");
    let mut missing = Vec::new();
    for module in arrows.keys() {
        let (mut reached, mut open) = (BTreeSet::new(), vec![module]);
        while let Some(next) = open.pop() {
            open.extend(arrows[next].iter().filter(|below| reached.insert((*below).clone())));
        }
        for (file, text) in files(module) {
            let imports = imported(&text).into_iter().filter(|other| arrows.contains_key(other));
            let unseen = imports.filter(|other| other != module && !reached.contains(other));
            missing.extend(unseen.map(|other| format!("{file}: no arrow leads to {other}")));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// A use case is for any front end: it takes what it needs and gives back what there is to tell.
#[test]
fn use_cases_know_no_terminal() {
    const OF_A_TERMINAL: [&str; 9] = [
        "clap",
        "crate::output",
        "crate::settings",
        "crate::connection",
        "std::env",
        "process::exit",
        "stdin()",
        "tokio::signal",
        "Path::new(\".\")",
    ];
    let files = files("reconcile");
    assert!(files.len() > 2, "reconcile has few files");
    let found = files.iter().flat_map(|(file, text)| {
        let found = OF_A_TERMINAL.into_iter().filter(|what| text.contains(what));
        found.map(move |what| format!("{file}: {what}"))
    });
    assert_eq!(found.collect::<Vec<_>>(), Vec::<String>::new());
}

/// How an API spells things stands in dialects: elsewhere no path of it is spelled. What finds a
/// project by its name, and signs in, does so before anything of a platform is known.
#[test]
fn no_path_of_the_api_is_spelled_outside_of_dialects() {
    let mut spelled = Vec::new();
    for module in map() {
        if ["dialect", "platform", "api"].contains(&module.name.as_str()) {
            continue;
        }
        for (file, text) in files(&module.name) {
            let made = ["get", "post", "put", "delete", "new"].map(|it| format!("Request::{it}("));
            if made.iter().any(|made| text.contains(made.as_str())) {
                spelled.push(file);
            }
        }
    }
    assert!(spelled.is_empty(), "{}", spelled.join("\n"));
}

/// The planner takes where things are written from their origin, and knows no documents.
#[test]
fn what_plans_and_applies_reads_no_documents() {
    let mut reading = Vec::new();
    for module in ["plan", "apply"] {
        let files = files(module).into_iter();
        let reads =
            |text: &str| text.contains("origin.document") || text.contains("manifest::document");
        reading.extend(files.filter(|(_, text)| reads(text)).map(|(file, _)| file));
    }
    reading.retain(|file| !file.ends_with("acceptance.rs"));
    assert!(reading.is_empty(), "{}", reading.join("\n"));
}
