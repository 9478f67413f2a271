//! The way back to a state of the set, whatever happened since: once it is gone, nothing is left to
//! change, and nothing of others was touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use meshagent::apply::history::{self, Author, Occasion, What};
use meshagent::error::{Class, Error};
use meshagent::plan::planner::Policy;
use meshagent::reconcile::back::go_back;
use meshagent::reconcile::history::History;
use meshagent::reconcile::{Decision, Guards, Performing, Target, perform};

use super::place::{Facts, Stage, fact};
use super::{Life, told};
use crate::properties::generate::Wish;
use crate::reconciler::{Silent, describe};

/// What a state was when it was reached.
pub(super) struct Reached {
    /// The documents.
    pub wishes: Vec<Wish>,
    /// What there was.
    pub facts: Facts,
}

impl Reached {
    /// Whether all is there as it was. What the documents did not say had been left alone; it goes
    /// back to what was applied last, whatever somebody had made of it by then.
    fn is_there(&self, facts: &Facts) -> bool {
        let said: BTreeSet<String> = self.wishes.iter().map(|wish| fact(wish).0).collect();
        let is_same = |((key, now), (other, then)): ((&String, &String), (&String, &String))| {
            key == other && (now == then || !said.contains(key))
        };
        facts.len() == self.facts.len() && facts.iter().zip(&self.facts).all(is_same)
    }
}

impl Life<'_> {
    fn target(&self) -> Target {
        Target {
            client: self.place.client(),
            name: "a platform".to_owned(),
            project: None,
            fallback_project: Some("default".to_owned()),
            is_chosen: true,
            flags: String::new(),
        }
    }

    /// The number of the newest state that is kept.
    pub(super) async fn newest_state(&self) -> Option<u64> {
        let reader = self.place.client().reader();
        let index = history::index(&reader, "s", &self.place.project).await;
        index
            .unwrap_or_else(|error| self.fail(&told(&error)))
            .ok()??
            .runs()
            .last()
            .map(|run| run.number)
    }

    /// Plans the way back to a state, with the documents that it was reached with.
    async fn way_back(&self, state: u64, wishes: &[Wish]) -> Result<Decision, Error> {
        let target = self.target();
        let history = History::read(&target, "s", "default").await?;
        let past = history.back_to(&target.client.reader(), state).await?;
        let guards = Guards { deletes: Some(usize::MAX), may_be_empty: true, ..Guards::default() };
        let today = Some(self.set_of(wishes));
        go_back(&target, past, today, &Policy::standard("s"), &guards).await
    }

    /// Goes back to one of the states, now and then. Returns the documents that it was reached with.
    pub(super) async fn go_back(&mut self, states: &BTreeMap<u64, Reached>) -> Option<Vec<Wish>> {
        if states.is_empty() || self.random.bool() {
            return None;
        }
        let (state, reached) = states.iter().nth(self.random.usize(0..states.len()))?;
        let wishes = &reached.wishes;
        self.tell(&format!("back to {state}: {wishes:?}"));
        let others = self.place.others(Stage::UnderWay).await;
        let decision = match self.way_back(*state, wishes).await {
            Ok(decision) => decision,
            Err(error) => return self.refused(*state, &error),
        };
        self.tell(&describe(&decision.plan));
        let folder = self.sandbox.path("");
        let occasion = Occasion::of(What::Rollback, Author::default());
        let performing = Performing {
            break_lock: true,
            occasion: Some(Occasion { back_to: Some(*state), ..occasion }.into()),
            ..Performing::in_folder(&folder, &Silent)
        };
        let performed = perform(&self.target(), &decision, &performing).await;
        let report = match performed {
            Ok(performed) => performed.report,
            Err(error) => return self.refused(*state, &error),
        };
        let touched = others.touched(&self.place.others(Stage::UnderWay).await);
        if !touched.is_empty() {
            self.fail(&format!("on the way back, others were touched: {touched:?}"));
        }
        if !report.is_complete() {
            self.fail(&format!("nothing is in the way back, and it is not gone: {report:?}"));
        }
        match self.way_back(*state, wishes).await {
            Ok(again) if again.plan.is_empty() => {}
            Ok(again) => {
                self.fail(&format!("after the way back, there is one: {}", describe(&again.plan)))
            }
            Err(error) => self.fail(&told(&error)),
        }
        let facts = self.place.facts(Stage::Done).await;
        if !reached.is_there(&facts) {
            self.fail(&format!("back is {facts:#?}\nand not {:#?}", reached.facts));
        }
        self.counts.back.fetch_add(1, Ordering::Relaxed);
        Some(wishes.clone())
    }

    /// What others have by now, and what a guard holds, is not taken. Nothing else is a reason.
    fn refused<T>(&mut self, state: u64, error: &Error) -> Option<T> {
        let text = told(error);
        if error.class != Class::Refused {
            self.fail(&format!("there is no way back to {state}: {text}"));
        }
        println!("back to {state}: {text}");
        self.tell(&text);
        self.counts.held.fetch_add(1, Ordering::Relaxed);
        None
    }
}
