//! Moves objects from one set to another, some of them or all: reads, decides, performs and
//! concludes, in each project.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use secrecy::ExposeSecret;

use super::history::History;
use super::left_over;
use super::perform::Performing;
use super::target::{Target, unknown_set};
use crate::apply::execute::{Options, Outcome, Report};
use crate::apply::inventory::{self, is_set_name};
use crate::apply::observe::{self, Scope};
use crate::apply::run::Surroundings;
use crate::apply::transfer::{Side, Sides, perform};
use crate::apply::{sets, survey};
use crate::error::{Class, Error, Result};
use crate::kinds::Key;
use crate::listed::{few, word};
use crate::manifest::set::Set;
use crate::plan::Plan;
use crate::plan::derived::brought_by;
use crate::plan::naming;
use crate::plan::planner::{Policy, renamed_by_hand};
use crate::plan::scope::{matches, meant};

/// How many inventories are read at once.
pub const CONCURRENT_READS: usize = 8;

/// Two sets as they were read: objects move from the first to the second.
pub struct Relocating<'a> {
    target: &'a Target,
    from: &'a str,
    to: &'a str,
    /// The name of the project that is meant.
    project: String,
    /// One for each project in which the first set owns something, and for that one.
    sides: Vec<Sides>,
}

/// What moves from one set to the other in one project.
pub struct Relocation {
    /// Whether the history goes along, in all projects: it does with the first part of a set that
    /// moves as a whole, before any run of the other name is numbered.
    takes_history: bool,
    sides: Sides,
    keys: BTreeSet<Key>,
    /// What the second set takes over.
    pub plan: Plan,
}

impl<'a> Relocating<'a> {
    /// Reads both sets, and the objects of the first, in each project in which it owns something.
    /// The project is given by its id; neither set has to be in it.
    ///
    /// # Errors
    ///
    /// Names that no set can have, or that are the same; the platform's.
    pub async fn read(
        target: &'a Target,
        project: &str,
        (from, to): (&'a str, &'a str),
    ) -> Result<Self> {
        for name in [from, to] {
            if !is_set_name(name) {
                return Err(Error::usage(format!("{name:?} cannot be the name of a set")));
            }
        }
        if from == to {
            return Err(Error::usage(format!("both sets are `{from}`")));
        }
        let reader = target.client.reader();
        let (project, id) = survey::find_project(&reader, project).await?;
        let (policy, scope) = (Policy::standard(from), Scope::Project(&id));
        let mut observation = observe::observe(&reader, &policy, Set::default(), scope).await?;
        // An object that somebody renamed is still the same one.
        let renamed_by_hand = renamed_by_hand(&observation.state);
        let state = naming::follow_ids(&observation.state).into_owned();
        let mut all = Vec::new();
        for (name, project) in &state.projects {
            let (Some(id), Some(mut stored)) = (&project.id, observation.stored.remove(name))
            else {
                continue;
            };
            if let Some(inventory) = state.inventories.get(name) {
                stored.inventory = inventory.clone();
            }
            let taking = inventory::load(&reader, to, name, id).await?.with_key(stored.key());
            let mut state = state.clone();
            state.projects.retain(|project, _| project == name);
            all.push(Sides {
                from: Side { set: from.to_owned(), stored },
                to: Side { set: to.to_owned(), stored: taking },
                project: (name.clone(), id.clone()),
                renamed_by_hand: renamed_by_hand.clone(),
                state,
            });
        }
        Ok(Self { target, from, to, project, sides: all })
    }

    /// The other projects in which the first set owns something.
    #[must_use]
    pub fn elsewhere(&self) -> Vec<&str> {
        let projects = self.sides.iter().map(|sides| sides.project.0.as_str());
        projects.filter(|name| *name != self.project).collect()
    }

    /// The projects, by name and id, where a run that was cut off left the first set on the list,
    /// though it owns nothing there; none where it owns something in any of them.
    ///
    /// # Errors
    ///
    /// The platform's.
    pub async fn left_over(&self) -> Result<Vec<(String, String)>> {
        let mut left = Vec::new();
        let entries = |side: &Side| !side.stored.inventory.entries.is_empty();
        if self.sides.iter().any(|sides| entries(&sides.from)) {
            return Ok(left);
        }
        let reader = self.target.client.reader();
        for Sides { project: (name, id), .. } in &self.sides {
            if left_over::is_left(&reader, self.from, (name, id)).await? {
                left.push((name.clone(), id.clone()));
            }
        }
        Ok(left)
    }

    /// Decides that objects of the project, selected by patterns, move to the second set; `None`
    /// if it owns them already.
    ///
    /// # Errors
    ///
    /// A pattern that matches nothing of the first set; objects that cannot move.
    pub async fn some(mut self, patterns: &[String]) -> Result<Option<Relocation>> {
        let Some(at) = self.sides.iter().position(|it| it.project.0 == self.project) else {
            return Err(Error::failed(format!("failed to read the set `{}`", self.from)));
        };
        let sides = self.sides.swap_remove(at);
        let matching = |side: &Side, pattern: &str| -> BTreeSet<Key> {
            let keys = side.stored.inventory.entries.keys();
            keys.filter(|key| matches(pattern, key)).cloned().collect()
        };
        refuse_open_renames(&sides, self.from)?;
        let mut keys = BTreeSet::new();
        for pattern in patterns {
            let found = matching(&sides.from, pattern);
            // What an earlier try has moved is already in its place.
            if found.is_empty() && matching(&sides.to, pattern).is_empty() {
                return Err(self.nothing_matches(&sides, pattern).await?);
            }
            keys.extend(found);
        }
        let entries = &sides.from.stored.inventory.entries;
        keys.extend(brought_by(entries, &keys).into_keys());
        if keys.is_empty() && !sides.from.stored.exists() {
            return Err(unknown_set(self.from, &self.project));
        }
        match keys.is_empty() {
            true => Ok(None),
            false => Relocation::decide(self.target, sides, keys).map(Some),
        }
    }

    /// The error for a pattern that matches nothing of the first set.
    async fn nothing_matches(&self, sides: &Sides, pattern: &str) -> Result<Error> {
        let hint = match self.owned_elsewhere(sides, pattern).await? {
            Some(hint) => hint,
            None => {
                let owned: Vec<&Key> = sides.from.stored.inventory.entries.keys().collect();
                let meant = meant(pattern, &owned);
                let also =
                    format!("`meshagent export --set {}` shows what the set owns", self.from);
                format!("{meant}{} {also}", if meant.ends_with('?') { "" } else { ";" })
            }
        };
        Ok(Error::usage(format!(
            "the set `{}` owns nothing in project {} that matches `{pattern}`",
            self.from, self.project
        ))
        .hint(hint))
    }

    /// Which other sets own what a pattern matches, and the command that moves it from there.
    async fn owned_elsewhere(&self, sides: &Sides, pattern: &str) -> Result<Option<String>> {
        let reader = &self.target.client.reader();
        let (project, id) = &sides.project;
        let mut names = sets::listed(reader, id).await?.names;
        names.retain(|name| ![self.from, self.to].contains(&name.as_str()));
        let owners: Vec<(String, Key)> = stream::iter(names)
            .map(|name| async move {
                let stored = inventory::load(reader, &name, project, id).await?;
                let mut keys = stored.inventory.entries.into_keys();
                Ok::<_, Error>(keys.find(|key| matches(pattern, key)).map(|key| (name, key)))
            })
            .buffered(CONCURRENT_READS)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        let (to, flags) = (self.to, &self.target.flags);
        Ok(match owners.as_slice() {
            [] => None,
            [(set, key)] => Some(format!(
                "the set `{set}` owns {key}; move it with `meshagent set move {} --set {} --to {to} --project-id {}{flags}`",
                word(pattern),
                word(set),
                word(project)
            )),
            several => Some(format!(
                "other sets own what matches: {}; choose one of them with --set",
                few(several.iter().map(|(set, key)| format!("`{set}` has {key}")))
            )),
        })
    }

    /// Decides that everything moves to the second set, which must own nothing else.
    ///
    /// # Errors
    ///
    /// The second set already exists; the first one does not exist, or owns nothing.
    pub fn all(self) -> Result<Vec<Relocation>> {
        if self.sides.iter().all(|sides| !sides.from.stored.exists()) {
            return Err(unknown_set(self.from, ""));
        }
        let mut moves = Vec::new();
        for sides in self.sides {
            refuse_open_renames(&sides, self.from)?;
            let keys: BTreeSet<Key> = sides.from.stored.inventory.entries.keys().cloned().collect();
            let taken = &sides.to.stored.inventory.entries;
            // What an earlier try has already moved is in both, or is all that is left.
            let is_over = keys.is_empty() && sides.from.stored.exists();
            let is_begun = is_over || keys.iter().any(|key| taken.contains_key(key));
            if !taken.is_empty() && !is_begun {
                return Err(Error::new(
                    Class::Refused,
                    format!("the set `{}` already exists, so nothing was written", self.to),
                )
                .hint(format!(
                    "to join the two: meshagent set move '*' --set {} --to {} --project-id {}{}",
                    word(self.from),
                    word(self.to),
                    word(&sides.project.0),
                    self.target.flags
                )));
            }
            // A set that exists and owns nothing any more only has to be removed from the list.
            if !keys.is_empty() || is_over && !taken.is_empty() {
                moves.push((sides, keys));
            }
        }
        if moves.is_empty() {
            let what = format!("the set `{}` owns nothing in this project", self.from);
            return Err(Error::usage(what).hint("`meshagent set list` shows the sets"));
        }
        let decide = |(sides, keys)| Relocation::decide(self.target, sides, keys);
        let mut moves: Vec<Relocation> = moves.into_iter().map(decide).collect::<Result<_>>()?;
        moves.iter_mut().take(1).for_each(|first| first.takes_history = true);
        Ok(moves)
    }
}

impl Relocation {
    fn decide(target: &Target, sides: Sides, keys: BTreeSet<Key>) -> Result<Self> {
        let plan = sides.transfer(keys.clone()).take().map_err(Error::refused)?;
        let mut plan = Plan { platform: target.name.clone(), ..plan };
        plan.notes.extend(about_secrets(&sides, &plan));
        Ok(Self { takes_history: false, sides, keys, plan })
    }

    /// Performs it, as a plan is performed: each step under the lease of its set.
    ///
    /// # Errors
    ///
    /// Somebody else is applying one of the sets; the platform's.
    pub async fn perform(&self, target: &Target, performing: &Performing<'_>) -> Result<Report> {
        let Performing { folder, break_lock, lease, progress, .. } = *performing;
        let surroundings = Surroundings { folder, break_lock, lease, progress };
        let options = Options {
            attempts: target.client.tries(),
            stop: performing.stop.clone(),
            occasion: performing.occasion.clone(),
            ..Options::standard(performing.parallelism)
        };
        let transfer = self.sides.transfer(self.keys.clone());
        let how = (&options, surroundings);
        let copied = match self.takes_history && options.occasion.is_some() {
            true => self.copy_history(target).await,
            false => Ok(()),
        };
        let mut report = perform(&target.client, &self.sides, &transfer, &self.plan, how).await?;
        if let Err(error) = copied {
            report.notes.push(format!("the history of the set did not come along: {error}"));
        }
        Ok(report)
    }

    async fn copy_history(&self, target: &Target) -> Result<()> {
        let (from, to, (_, id)) = (&self.sides.from.set, &self.sides.to.set, &self.sides.project);
        History::read(target, from, id).await?.copy_to(&target.client, to).await
    }

    /// Removes the first set from the project's list if it owns nothing there any more.
    ///
    /// # Errors
    ///
    /// Not everything moved; the platform's.
    pub async fn conclude(&self, target: &Target, report: &Report) -> Result<()> {
        if !report.is_complete() {
            let done = report.count(|outcome| *outcome == Outcome::Done);
            let class = if done > 0 { Class::Partial } else { Class::Failed };
            let open = report.outcomes.len() - done;
            return Err(Error::new(
                class,
                format!(
                    "{open} of {} objects {were} not moved",
                    self.plan.operations.len(),
                    were = if open == 1 { "was" } else { "were" },
                ),
            )
            .hint("run the same command again to go on from here"));
        }
        let (from, (project, id)) = (&self.sides.from.set, &self.sides.project);
        let mut left = inventory::load(&target.client.reader(), from, project, id).await?;
        if left.inventory.entries.is_empty() {
            inventory::retire(&target.client, from, id, &mut left).await?;
        }
        Ok(())
    }
}

/// Refuses to move anything while a run that was cut off has left objects between two names: only
/// the whole set knows which object gets which name in the end.
fn refuse_open_renames(sides: &Sides, set: &str) -> Result<()> {
    let entries = &sides.from.stored.inventory.entries;
    let found = entries.iter().find_map(|(key, entry)| Some((key, entry.was.as_ref()?)));
    let Some((key, was)) = found else { return Ok(()) };
    let known = key.with_name(was.clone());
    if sides.renamed_by_hand.contains(&known) {
        let what = format!("{known} was renamed to {key} on the platform, not by the set `{set}`");
        return Err(Error::new(Class::Refused, what).hint(format!(
            "apply the set first, which restores the name; to keep the new name, rename its document to {} with `moved_from: {was}` and apply that first",
            key.name
        )));
    }
    Err(Error::new(
        Class::Refused,
        format!(
            "the rename to {known} was not finished, and the object is now called {key}, because a run of the set `{set}` was interrupted"
        ),
    )
    .hint("apply the set first, which finishes the rename"))
}

/// The note on secrets that move.
fn about_secrets(sides: &Sides, plan: &Plan) -> Option<String> {
    let mut moved = plan.operations.iter().filter_map(|operation| operation.entry.as_ref());
    let key = |side: &Side| side.stored.key().map(|key| key.expose_secret().to_owned());
    let differ = key(&sides.from) != key(&sides.to);
    (differ && moved.any(|entry| entry.is_keyed())).then(|| {
        format!(
            "the two sets have different fingerprints for secrets that an earlier version recorded, so the next apply of the set `{}` sends the moved secrets again",
            sides.to.set
        )
    })
}
