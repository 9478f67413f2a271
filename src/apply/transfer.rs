//! Performs a move of objects from one set to another, step by step, each under the lease of
//! its set.

use std::collections::{BTreeMap, BTreeSet};

use super::execute::{Options, Outcome, Progress, Report};
use super::inventory::{self, Stored};
use super::run::{Surroundings, run};
use crate::api::client::Client;
use crate::error::{Error, Result};
use crate::kinds::Key;
use crate::plan::transfer::Transfer;
use crate::plan::{Inventory, Operation, Plan, State};

/// Reports nothing.
struct Quiet;

impl Progress for Quiet {
    fn started(&self, _operation: &Operation) {}
    fn finished(&self, _operation: &Operation, _outcome: &Outcome) {}
}

/// A set of a project with what it owns there.
pub struct Side {
    /// The set.
    pub set: String,
    /// Its inventory.
    pub stored: Stored,
}

/// Two sets of a project, and what was read of it.
pub struct Sides {
    /// The set that gives.
    pub from: Side,
    /// The set that takes.
    pub to: Side,
    /// The project's name and id.
    pub project: (String, String),
    /// The objects that somebody renamed, by the names that the set knows.
    pub renamed_by_hand: BTreeSet<Key>,
    /// What was read of the platform.
    pub state: State,
}

impl Sides {
    /// The move of these objects.
    #[must_use]
    pub fn transfer(&self, keys: BTreeSet<Key>) -> Transfer<'_> {
        fn side(side: &Side) -> (&str, &Inventory) {
            (&side.set, &side.stored.inventory)
        }
        Transfer { from: side(&self.from), to: side(&self.to), state: &self.state, keys }
    }
}

/// Performs the move and returns what became of what the second set was to take.
///
/// # Errors
///
/// Somebody else is applying one of the sets; the platform's.
pub async fn perform(
    client: &Client,
    sides: &Sides,
    transfer: &Transfer<'_>,
    take: &Plan,
    (options, surroundings): (&Options, Surroundings<'_>),
) -> Result<Report> {
    let (project, id) = &sides.project;
    let stored = |stored: Stored| BTreeMap::from([(project.clone(), stored)]);
    let reload = async |set: &str| inventory::load(&client.reader(), set, project, id).await;
    let named = |plan: Plan| Plan { platform: take.platform.clone(), ..plan };
    // What was shown is what the second set takes; what the first one notes follows from it.
    let quietly = Surroundings { progress: &Quiet, ..surroundings };
    let hold = named(transfer.hold());
    // What it holds back for the other set is no state that anybody wants to go back to.
    let unkept = &Options { occasion: None, ..options.clone() };
    let held = run(client, &hold, stored(sides.from.stored.clone()), unkept, quietly).await?;
    if let Some(error) = held.inventory_error {
        return Err(error);
    }
    let mut taken =
        run(client, take, stored(sides.to.stored.clone()), options, surroundings).await?;
    let done = take.operations.iter().zip(&taken.outcomes);
    let done = done.filter(|(_, outcome)| **outcome == Outcome::Done);
    let moved = match &taken.inventory_error {
        // What the second set did not write down it does not own.
        Some(_) => BTreeSet::new(),
        None => done.map(|(operation, _)| operation.key.clone()).collect(),
    };
    // The set that gives must not hold on to what is not its own any more, so it is told even
    // where the run was stopped meanwhile.
    let options = Options { stop: Default::default(), ..options.clone() };
    let give = named(transfer.give(&moved));
    let given = run(client, &give, stored(reload(&sides.from.set).await?), &options, quietly);
    let given = given.await?;
    taken.notes.extend(given.notes);
    if let Some(error) = given.inventory_error {
        return Err(Error::failed(format!(
            "failed to record what moved in the inventory of the set `{}`",
            sides.from.set
        ))
        .because(error)
        .hint("run the same command again"));
    }
    Ok(taken)
}
