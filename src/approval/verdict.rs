//! Which approvals of a plan count, and whether they are enough.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approvers::{Approvers, Holder, People};
use super::signed::Approval;
use super::statement::Bound;
use crate::error::{Error, Problem, Result};
use crate::listed::{counted, few};
use crate::visible;

/// Who approved a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "MeshAgent approvals")]
pub struct ApprovalsDocument {
    /// The digest of the plan: `sha256:` and hex.
    pub plan: String,
    /// How many people must have approved it.
    pub required: usize,
    /// How many people have: different people with different keys.
    pub people: usize,
    /// The approvals that were looked at.
    pub approvals: Vec<ApprovalDocument>,
}

/// One approval.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDocument {
    /// The file that it was read from.
    pub file: String,
    /// The names that the approvers' file has for who holds the key; left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// The fingerprint of the key that signed it, if that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<String>,
    /// From when on it is no longer valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why its approver approved, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it counts.
    pub counts: bool,
    /// Why it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl ApprovalsDocument {
    /// Whose approvals count, by their first names in the approvers' file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let counted = self.approvals.iter().filter(|approval| approval.counts);
        counted.filter_map(|approval| approval.principals.first().cloned()).collect()
    }
}

/// An approval as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file.
    pub file: String,
    /// What is in it, or what is wrong with it.
    pub approval: std::result::Result<Approval, String>,
}

/// What is asked of the approvals of a plan.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// How many people must have approved.
    pub required: usize,
    /// Whose approvals count: whoever all of these files list. Without any, it is only checked
    /// that the approvals are whole.
    pub approvers: Vec<Approvers>,
    /// Who made the change, by the names in the files: their approvals do not count.
    pub authors: Vec<String>,
}

impl Terms {
    /// Decides about the approvals of a plan at a time.
    #[must_use]
    pub fn judge(&self, plan: &Bound, found: &[Found], now: Timestamp) -> ApprovalsDocument {
        let people = People::of(&self.approvers);
        let authors: Vec<usize> = self.authors.iter().filter_map(|it| people.named(it)).collect();
        // The file of the approval that counts, for each person.
        let mut counted: BTreeMap<usize, &str> = BTreeMap::new();
        let mut approvals = Vec::with_capacity(found.len());
        for Found { file, approval } in found {
            let mut told = ApprovalDocument { file: file.clone(), ..ApprovalDocument::default() };
            let valid = match approval {
                Err(problem) => Err(problem.clone()),
                Ok(approval) => {
                    tell(&mut told, approval);
                    let holders = self.holders(plan, approval, now);
                    if holders.is_err() && approval.verify().is_ok() {
                        told.principals = self.listed(approval, now);
                    }
                    holders
                }
            };
            let person = valid.and_then(|names| {
                told.principals = names;
                let key = told.key.as_deref().unwrap_or_default();
                match people.with_key(key) {
                    Some(person) if authors.contains(&person) => {
                        Err("its approver made the change".to_owned())
                    }
                    Some(person) => match counted.get(&person) {
                        Some(other) => Err(format!(
                            "{other} counts for the same person: whoever shares a name or a key is one person"
                        )),
                        None => Ok(Some(person)),
                    },
                    None => Ok(None),
                }
            });
            match person {
                Ok(person) => {
                    told.counts = person.is_some();
                    person.map(|person| counted.insert(person, file));
                }
                Err(problem) => told.problem = Some(problem),
            }
            approvals.push(told);
        }
        ApprovalsDocument {
            plan: plan.digest.clone(),
            required: self.required,
            people: counted.len(),
            approvals,
        }
    }

    /// The names that the key of an approval has in any of the files.
    fn listed(&self, approval: &Approval, now: Timestamp) -> Vec<String> {
        let holders = self.approvers.iter().map(|it| it.holder(&approval.key(), now));
        let names = holders.filter_map(|holder| match holder {
            Holder::Listed(names) => Some(names),
            Holder::Unknown | Holder::NotNow(_) => None,
        });
        let names: BTreeSet<String> = names.flatten().collect();
        names.into_iter().collect()
    }

    /// The names of who signed an approval, if it is valid.
    fn holders(
        &self,
        plan: &Bound,
        approval: &Approval,
        now: Timestamp,
    ) -> std::result::Result<Vec<String>, String> {
        if let Some(objection) = approval.statement.objection(plan, now) {
            return Err(objection);
        }
        let mut names = Vec::new();
        for approvers in &self.approvers {
            match approvers.holder(&approval.key(), now) {
                Holder::Unknown => return Err("its key is not one of an approver".to_owned()),
                Holder::NotNow(why) => return Err(why),
                Holder::Listed(listed) => {
                    let by = approval.statement.by.as_ref().filter(|by| !listed.contains(by));
                    if let Some(by) = by {
                        return Err(format!(
                            "it says that {by:?} signed it, but the key is listed for {}",
                            few(listed)
                        ));
                    }
                    names.extend(listed);
                }
            }
        }
        names.sort();
        names.dedup();
        approval.verify().map(|()| names)
    }

    /// Whether there are as many people as have to approve: with a key that each file lists, and
    /// that is not an author's.
    ///
    /// # Errors
    ///
    /// There are not.
    pub fn is_possible(&self) -> Result<()> {
        let people = People::of(&self.approvers);
        let authors: BTreeSet<usize> =
            self.authors.iter().filter_map(|it| people.named(it)).collect();
        let listed = self.approvers.iter().map(Approvers::keys);
        let listed = listed.reduce(|all, more| &all & &more).unwrap_or_default();
        let able: BTreeSet<usize> =
            listed.into_iter().filter_map(|key| people.with_key(key)).collect();
        let able = able.difference(&authors).count();
        if able >= self.required {
            return Ok(());
        }
        let people = if able == 1 { "1 person".to_owned() } else { format!("{able} people") };
        let is = if able == 1 { "is" } else { "are" };
        let apart = if authors.is_empty() { "" } else { " apart from the authors" };
        let required = counted(self.required, "approval");
        let list = match self.approvers.len() {
            0 | 1 => format!("the approvers' file lists {people}"),
            files => {
                let who = if able == 0 { "nobody is" } else { &format!("only {people} {is}") };
                format!("{who} in all {files} approvers' files with the same key")
            }
        };
        Err(Error::usage(format!("{required} cannot be had: {list}{apart}")).hint(
            "whoever shares a name or a key is one person; list more people, or require fewer",
        ))
    }
}

/// What an approval says of itself.
fn tell(told: &mut ApprovalDocument, approval: &Approval) {
    let statement = &approval.statement;
    told.key = Some(approval.key());
    told.issued = Some(statement.issued.to_string());
    told.expires = Some(statement.expires.to_string());
    told.reason.clone_from(&statement.reason);
}

impl ApprovalDocument {
    /// The approval, on one line.
    #[must_use]
    pub fn line(&self) -> String {
        let names = self.principals.join(", ");
        let key = self.key.as_deref().unwrap_or("no key");
        let who = if names.is_empty() { key.to_owned() } else { format!("{names} ({key})") };
        let expires = self.expires.as_ref().map(|it| format!(", until {it}")).unwrap_or_default();
        let reason = self.reason.as_ref().map(|it| format!(", because: {it}")).unwrap_or_default();
        let verdict = match (&self.problem, self.counts) {
            (Some(problem), _) => format!("does not count: {problem}"),
            (None, true) => "counts".to_owned(),
            (None, false) => "is whole; whose key it is was not checked".to_owned(),
        };
        visible::line(&format!("{}: {who}{expires}{reason}: {verdict}", self.file)).into_owned()
    }
}

impl ApprovalsDocument {
    /// Who approved, on one line.
    #[must_use]
    pub fn told(&self) -> String {
        let counting = self.approvals.iter().filter(|it| it.counts);
        let mut names: Vec<String> = counting.map(|it| it.principals.join(", ")).collect();
        names.sort();
        let required = self.required;
        let told = format!("approved by {} of {required} required: {}", self.people, few(names));
        visible::line(&told).into_owned()
    }

    /// Whether as many people approved as have to.
    ///
    /// # Errors
    ///
    /// They did not; each approval that does not count, and why.
    pub fn check(&self) -> Result<()> {
        if self.people >= self.required {
            return Ok(());
        }
        let required = counted(self.required, "approval");
        let first = match self.people {
            0 => format!("the plan needs {required} and has none"),
            people => format!("the plan needs {required} and has {people}"),
        };
        let others = self.approvals.iter().map(|it| Problem::new(it.line()));
        Err(Error::refused([Problem::new(first)].into_iter().chain(others).collect()))
    }
}
