//! Planning writes nothing: neither to the platform nor to the disk, whatever it plans.

use std::path::{Path, PathBuf};

use futures_util::StreamExt;

use crate::cli::Sandbox;
use crate::hostile::plans::{run, snapshot};
use crate::hostile::proxy::Hostile;
use crate::platform::harness::Server;
use crate::published;

/// Everything that can be given to a plan: each folder of a scenario, the example, and each
/// published one.
fn sets() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sets = vec![root.join("examples/manifests")];
    let parts = walkdir::WalkDir::new(root.join("tests/scenarios")).min_depth(2).max_depth(2);
    let parts = parts.into_iter().map(|part| part.unwrap().into_path());
    sets.extend(parts.filter(|part| part.is_dir()));
    let published = published::documents("what plans write").into_iter();
    sets.extend(published.map(|(file, _)| file));
    sets
}

#[tokio::test(flavor = "multi_thread")]
async fn no_plan_of_any_manifest_writes_anything_but_its_file() {
    let platform = Server::start().await;
    let proxy = Hostile::in_front_of(&platform).start().await;
    let (platform, proxy) = (&platform, &proxy);
    let sets = sets();
    let planned =
        futures_util::stream::iter(sets.iter().enumerate()).map(|(index, set)| async move {
            // Secrets of the example are read from beside it.
            let sandbox = Sandbox::with_examples();
            let files = match set.ends_with("examples/manifests") {
                true => "examples/manifests",
                false => set.to_str().unwrap(),
            };
            let before = snapshot(&sandbox.path("."));
            let mut made = 0;
            // The three plan in the same way, so that a part of all shows it for the others.
            let others: &[&[&str]] = if index % 8 == 0 { &[&["diff"], &["graph"]] } else { &[] };
            for command in [&["plan", "--out", "plan.json"][..]].iter().chain(others) {
                let arguments = [*command, &["-f", files, "--allow-empty"]].concat();
                let ended = run(&sandbox, platform, proxy, &arguments).await;
                assert!(matches!(ended.code, 0 | 6), "{files}: {}", ended.stderr);
                let out = sandbox.path("plan.json");
                let is_saved = std::fs::remove_file(&out).is_ok();
                assert_eq!(is_saved, ended.code == 0 && command[0] == "plan", "{files}");
                assert_eq!(snapshot(&sandbox.path(".")), before, "{files} {command:?}");
                made += usize::from(ended.code == 0);
            }
            made
        });
    let made: usize = planned.buffer_unordered(4).collect::<Vec<_>>().await.into_iter().sum();
    assert_eq!((proxy.writes(), proxy.count("GET")), (vec![], proxy.total()));
    // The others are scenarios of what cannot be planned, or not without what is there.
    assert!(made > sets.len() / 2, "only {made} plans of {} sets were made", sets.len());
}
