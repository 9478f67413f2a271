//! Files come and go, and not all of them are given each time: what a run did not look at, it
//! leaves alone, and a change of a lifecycle alone holds from then on.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use meshagent::api::spoken::Spoken;
use meshagent::kinds::Key;
use meshagent::manifest::declared_in::Places;
use meshagent::manifest::set::{Input, Set, read};
use meshagent::plan::Action;
use meshagent::plan::planner::{Policy, Prune};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::{Value, json};

use super::generate::{Wish, said_in, wishes};
use super::model::Model;
use super::{config, perform};
use crate::reconciler::{decide, describe, policy};
use crate::spoken;

/// The files that there may be.
const FILES: [&str; 4] = ["a.yaml", "sub/b.yaml", "sub/deep/c.yaml", "subway.yaml"];

/// What may be given, with the files that are in it.
const ROOTS: [(&str, &[usize]); 6] = [
    ("", &[0, 1, 2, 3]),
    ("a.yaml", &[0]),
    ("sub", &[1, 2]),
    ("sub/deep", &[2]),
    ("sub/b.yaml", &[1]),
    ("subway.yaml", &[3]),
];

/// How an object is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    None,
    Protected,
    Orphaned,
}

/// One run: what each file holds by then, and which of them are given.
#[derive(Debug, Clone)]
struct Turn {
    documents: Vec<(Wish, usize, Care)>,
    roots: Vec<usize>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let care = prop::sample::select(vec![Care::None, Care::None, Care::Protected, Care::Orphaned]);
    let more = prop::collection::vec((0..FILES.len(), care), 32);
    let roots = prop::collection::btree_set(0..ROOTS.len(), 1..3);
    (wishes(), more, roots).prop_map(|(wishes, more, roots)| Turn {
        documents: wishes
            .into_iter()
            .map(Wish::without_former)
            .zip(more.into_iter().cycle())
            .map(|(wish, (file, care))| (wish, file, care))
            .collect(),
        roots: roots.into_iter().collect(),
    })
}

impl Turn {
    /// Leaves only what an API can say.
    fn keep_to(&mut self, spoken: Spoken) {
        let documents = std::mem::take(&mut self.documents).into_iter();
        let said = documents.flat_map(|(wish, file, care)| {
            said_in(spoken, &[wish]).into_iter().map(move |wish| (wish, file, care))
        });
        self.documents = said.collect();
    }

    fn given(&self) -> BTreeSet<usize> {
        self.roots.iter().flat_map(|root| ROOTS[*root].1).copied().collect()
    }

    /// Writes the files and reads those that are given.
    fn read(&self, folder: &std::path::Path) -> Set {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder.join("sub/deep")).unwrap();
        for (index, file) in FILES.iter().enumerate() {
            // A file with nothing in it is still a file.
            let mut text = "# a file\n".to_owned();
            for (wish, _, care) in self.documents.iter().filter(|(_, at, _)| *at == index) {
                let mut document: Value = wish.document();
                match care {
                    Care::None => {}
                    Care::Protected => document["lifecycle"] = json!({"prevent_destroy": true}),
                    Care::Orphaned => document["lifecycle"] = json!({"delete": "orphan"}),
                }
                text += &format!("---\n{document}\n");
            }
            std::fs::write(folder.join(file), text).unwrap();
        }
        let paths: Vec<PathBuf> =
            self.roots.iter().map(|root| folder.join(ROOTS[*root].0)).collect();
        let project = Some("p".to_owned());
        // Two roots may lead to one file; what it declares is then declared twice.
        let distinct = self.roots.iter().map(|root| ROOTS[*root].1.len()).sum::<usize>();
        let paths = if distinct == self.given().len() { paths } else { paths[..1].to_vec() };
        read(&Input { paths, project, ..Input::default() })
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }
}

/// The files in which each object was declared when they were looked at last, and how it was
/// treated by then.
type Memory = BTreeMap<Key, (BTreeSet<usize>, Care)>;

#[test]
fn what_was_not_looked_at_is_not_gone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("set");
    let (pruned, kept) = (Cell::new(0_usize), Cell::new(0_usize));
    let mut runner = TestRunner::new(config(450));
    let drawn = (spoken::any(), prop::collection::vec(turn(), 2..6));
    let outcome = runner.run(&drawn, |(spoken, mut turns)| {
        let mut model = Model::new(spoken);
        turns.iter_mut().for_each(|turn| turn.keep_to(spoken));
        let mut memory = Memory::new();
        for turn in &turns {
            let set = turn.read(&folder);
            // Which files were given is what the set says that it looked at.
            let mut places = Places::default();
            let mut is_given = |file: &usize| {
                let name = folder.join(FILES[*file]).display().to_string();
                set.looked_at.miss(&places.of_source(&name)).is_none()
            };
            let given: BTreeSet<usize> = (0..FILES.len()).filter(|file| is_given(file)).collect();
            prop_assert!(given.is_subset(&turn.given()));
            let policy =
                Policy { prune: Prune::Given, looked_at: set.looked_at.clone(), ..policy("s") };
            let Ok(plan) = decide(&set, &model.state("s"), &policy) else { continue };
            let before = model.clone();
            for operation in plan.operations.iter().filter(|it| it.action() == Action::Delete) {
                if operation.replaces() {
                    continue;
                }
                let (files, care) = &memory[&operation.key];
                prop_assert!(files.is_subset(&given), "{} is elsewhere", operation.key);
                prop_assert_eq!(*care, Care::None, "{} is kept", operation.key);
                pruned.set(pruned.get() + 1);
            }
            perform(&mut model, &set, &plan)?;
            for (key, (files, care)) in &memory {
                let is_declared = set.objects.contains_key(key);
                if !is_declared && (!files.is_subset(&given) || *care == Care::Orphaned) {
                    let (old, new) = (before.objects.get(key), model.objects.get(key));
                    prop_assert!(new.is_some() == old.is_some(), "{} is gone", key);
                    kept.set(kept.get() + 1);
                }
            }
            memory.retain(|_, (files, _)| {
                files.retain(|file| !given.contains(file));
                !files.is_empty()
            });
            for key in set.objects.keys() {
                let place = set.objects[key].origin.place().file;
                let file =
                    FILES.iter().position(|file| folder.join(file).display().to_string() == place);
                let desired = &set.objects[key];
                let care = match desired.lifecycle.prevent_destroy {
                    true => Care::Protected,
                    false if desired.is_orphaned() => Care::Orphaned,
                    false => Care::None,
                };
                let files = memory.remove(key).map(|(files, _)| files).unwrap_or_default();
                let files = files.into_iter().chain(file).collect();
                memory.insert(key.clone(), (files, care));
            }
            let again = decide(&set, &model.state("s"), &policy)
                .map_err(|error| TestCaseError::fail(format!("{error}: {:?}", error.problems)))?;
            prop_assert!(again.is_empty(), "{}\nthen {}", describe(&plan), describe(&again));
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    let (pruned, kept) = (pruned.get(), kept.get());
    assert!(pruned > 50 && kept > 50, "{pruned} were pruned and {kept} kept");
}
