//! From a set to a plan: the platform is observed, the planner decides, and guards judge the plan
//! as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::images;
use super::known_secrets::KnownSecrets;
use super::left_over;
use super::target::{DEFAULT_SET, Intent, Target, unknown_set};
use crate::api::project;
use crate::api::reader::Reader;
use crate::api::spoken::Spoken;
use crate::apply::going::going;
use crate::apply::inventory::Stored;
use crate::apply::observe::{self, Observation, Scope};
use crate::apply::served;
use crate::dialect::{self, Speaks, inexpressible};
use crate::error::{Error, Problem, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::{Fault, Key};
use crate::listed::{few, word};
use crate::manifest::of_accounts::is_turned;
use crate::manifest::secrets::{self, Limits, Reading};
use crate::manifest::set::{Desired, Set};
use crate::plan::guards::{self, Consent, Origin};
use crate::plan::planner::{self, Policy, Refusal};
use crate::plan::warnings::warnings;
use crate::plan::{NotRead, Plan, State};
use crate::visible;

/// What the user allows.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// At most so many objects may be deleted or replaced; without it, a share of each kind.
    pub deletes: Option<usize>,
    /// Whether that share holds with a number, too.
    pub share: bool,
    /// Whether manifests may declare nothing.
    pub may_be_empty: bool,
    /// The only project that may be written to, by name or id.
    pub expected_project: Option<String>,
    /// Whether the manifests may run the commands whose output is a secret.
    pub may_run_commands: bool,
    /// What these commands printed before. A caller that decides many times passes the same value
    /// each time, so that no command runs again for an unchanged set.
    pub known_secrets: KnownSecrets,
}

/// A plan, with what is needed to perform it. Its notes, what guards refuse of it as a whole, and
/// which values were not read are in the plan.
#[derive(Debug)]
pub struct Decision {
    /// The plan.
    pub plan: Plan,
    /// The inventories, by project.
    pub stored: BTreeMap<String, Stored>,
    /// What the plan was decided on. For a large project this is a lot of data, and nothing needs
    /// it any more.
    pub basis: Basis,
}

/// What a plan was decided on.
#[derive(Debug, Default)]
pub struct Basis {
    /// What the set declares, with its secrets.
    pub desired: BTreeMap<Key, Desired>,
    /// What the platform answered.
    pub state: State,
}

/// Reads the platform and decides. What guards refuse about the plan as a whole is in the plan,
/// because whoever judges it has to see it.
///
/// # Errors
///
/// The platform's; what the planner refuses.
pub async fn decide(
    target: &Target,
    set: Set,
    policy: &Policy,
    guards: &Guards,
) -> Result<Decision> {
    let mut seen = Seen::look(target, set, policy, guards).await?;
    let desired = std::mem::take(&mut seen.set.objects);
    let (desired, not_read) = match policy.destroy {
        true => (desired, Vec::new()),
        false => {
            let selection = planner::selected(&desired, &seen.state, &seen.policy);
            let reading = Reading { may_miss: policy.may_miss, ..seen.reading() };
            // Without consent, what is known is not used either.
            let known = reading.commands.then(|| {
                let known = guards.known_secrets.clone();
                (seen.set.digest.clone(), known)
            });
            with_secrets(desired, selection, reading, known.unwrap_or_default()).await?
        }
    };
    let plan = seen.plan(&desired)?;
    seen.conclude(plan, desired, not_read).await
}

/// What was read before a decision.
pub(super) struct Seen<'a> {
    target: &'a Target,
    guards: &'a Guards,
    reader: Reader,
    /// Whether the set is looked for in all projects.
    is_everywhere: bool,
    /// How many objects are declared.
    declared: usize,
    /// The set.
    pub set: Set,
    /// What the platform answered.
    pub state: State,
    stored: BTreeMap<String, Stored>,
    /// The past state that is wanted, if one is.
    pub back_to: Option<u64>,
    /// The policy, with what was looked at.
    pub policy: Policy,
}

impl<'a> Seen<'a> {
    /// Reads the platform as far as the set and the policy need it.
    pub(super) async fn look(
        target: &'a Target,
        set: Set,
        policy: &Policy,
        guards: &'a Guards,
    ) -> Result<Self> {
        let reader = target.client.reader();
        let scope = target.scope(Intent {
            is_destroyed: policy.destroy,
            is_declared: !set.objects.is_empty(),
            may_be_empty: guards.may_be_empty,
        })?;
        let observation =
            observe::observe(&reader, policy, set, scope).await.map_err(Error::refusing_plan)?;
        let Observation { mut set, state, stored } = observation;
        let entries = state.inventories.values().flat_map(|it| it.entries.values());
        let files = entries.flat_map(|entry| &entry.declared_in);
        let policy = Policy {
            looked_at: std::mem::take(&mut set.looked_at).knowing(files),
            flags: target.flags.clone(),
            ..policy.clone()
        };
        let (declared, is_everywhere) = (set.objects.len(), scope == Scope::Everywhere);
        Ok(Self {
            target,
            guards,
            reader,
            is_everywhere,
            declared,
            set,
            state,
            stored,
            back_to: None,
            policy,
        })
    }

    /// How secrets are read.
    pub(super) fn reading(&self) -> Reading {
        Reading {
            commands: self.guards.may_run_commands,
            reach: self.set.reach.clone(),
            may_miss: false,
            limits: Limits::STANDARD,
        }
    }

    /// The plan that makes the platform what is desired.
    pub(super) fn plan(&self, desired: &BTreeMap<Key, Desired>) -> Result<Plan> {
        for (project, inventory) in &self.state.inventories {
            let desired = desired.values().filter(|desired| desired.key.project == *project);
            inventory.prepare(desired, self.policy.is_only_shown);
        }
        refuse_unsaid(&self.reader, desired, (&self.state, &self.policy))?;
        planner::plan(desired, &self.state, &self.policy).map_err(refused)
    }

    /// Judges a plan as a whole, and adds what it was made from.
    pub(super) async fn conclude(
        self,
        mut plan: Plan,
        desired: BTreeMap<Key, Desired>,
        not_read: Vec<Problem>,
    ) -> Result<Decision> {
        let Self { target, guards, reader, is_everywhere, declared, .. } = self;
        let Self { set, state, stored, policy, back_to, .. } = self;
        let is_known = !plan.operations.is_empty() || stored.values().any(Stored::exists);
        if policy.destroy
            && !is_known
            && policy.set != DEFAULT_SET
            && !is_left_over(&reader, &policy.set, &state).await?
        {
            return Err(unknown_here(&policy, &plan, &state));
        }
        let consent = Consent {
            deletes: guards.deletes,
            share: guards.share,
            empty: guards.may_be_empty,
            destroy: policy.destroy,
            project: guards.expected_project.clone().filter(|_| !is_everywhere || !plan.is_empty()),
        };
        if is_everywhere {
            leave_asked_projects(&mut plan, &state);
        }
        let made_from = Origin {
            objects: declared,
            empty_input: set.empty_input,
            is_given: !policy.looked_at.is_empty(),
            state: back_to,
        };
        plan.refused = guards::check(&plan, &state, made_from, &consent);
        served::refuse_unserved(&reader, &plan, &desired).await.map_err(Error::refusing_plan)?;
        plan.platform.clone_from(&target.name);
        plan.api = Some(target.client.spoken());
        let basis = Basis { desired, state };
        plan.notes.extend(other_project(target, &basis, &plan));
        // What is refused goes nowhere.
        if plan.refused.is_empty() {
            plan.notes.extend(going(&reader, &plan, &basis.state).await);
        }
        tell(&mut plan, set, not_read, &basis);
        Ok(Decision { plan, stored, basis })
    }
}

/// Leaves out the projects that were only asked: the set is destroyed where it owns something.
fn leave_asked_projects(plan: &mut Plan, state: &State) {
    let owning = state.inventories.iter().filter(|(_, it)| !it.entries.is_empty());
    let owning: BTreeSet<&String> = owning.map(|(project, _)| project).collect();
    if !owning.is_empty() {
        plan.projects.retain(|name, _| owning.contains(name));
    }
}

/// What is told where the set declares its project, and something else names another one: who
/// forgot that may be about to make a project that nobody wants.
fn other_project(target: &Target, basis: &Basis, plan: &Plan) -> Option<String> {
    let mut declared = basis.desired.iter().filter(|(key, _)| key.is_project());
    let (Some((key, desired)), None) = (declared.next(), declared.next()) else { return None };
    let named = target.fallback_project.as_ref().filter(|_| target.project.is_none())?;
    let id = basis.state.projects.get(&key.name).and_then(|project| project.id.as_ref());
    if *named == key.name || Some(named) == id {
        return None;
    }
    let creates = plan.operations.iter().any(|it| it.key == *key && it.is_new());
    let origin = project::origin().filter(|it| *it != project::Origin::Embedded)?;
    // That of a variable is named on purpose; the others are there for whatever is done.
    if !creates && origin != project::Origin::Variable {
        return None;
    }
    let (new, place) =
        (if creates { ", which does not exist yet" } else { "" }, desired.origin.place());
    Some(format!(
        "{place} declares project `{}`{new}, and {origin} names `{}`: this set is for the one that it declares",
        visible::line(&key.name),
        visible::line(named)
    ))
}

/// Writes into a plan what it was made from, and the notes on that.
fn tell(plan: &mut Plan, set: Set, not_read: Vec<Problem>, basis: &Basis) {
    let not_read = [set.not_read, not_read].concat();
    let mut notes = set.notes;
    notes.extend(told_unread(&not_read));
    plan.digest = set.digest;
    plan.not_read = not_read.into_iter().map(NotRead::from).collect();
    notes.append(&mut plan.notes);
    notes.extend(images::told(&set.beside.images, plan, &basis.desired));
    notes.extend(warnings(&basis.desired, &basis.state.objects, plan));
    plan.notes = notes;
}

/// Reads the secrets of the selected objects. This may take a while, and the rest of the process
/// goes on meanwhile.
pub(super) async fn with_secrets(
    mut objects: BTreeMap<Key, Desired>,
    selection: Option<BTreeSet<Key>>,
    reading: Reading,
    (digest, known): (String, KnownSecrets),
) -> Result<(BTreeMap<Key, Desired>, Vec<Problem>)> {
    let read = tokio::task::spawn_blocking(move || {
        let printed = known.of(&digest);
        let mut outcome = secrets::resolve(&mut objects, selection.as_ref(), reading, printed);
        outcome.problems.sort_by(|one, other| one.place.cmp(&other.place));
        known.learn(&digest, std::mem::take(&mut outcome.printed));
        (objects, outcome)
    });
    let (objects, outcome) =
        read.await.map_err(|error| Error::failed("failed to read secrets").because(error))?;
    if outcome.problems.is_empty() {
        return Ok((objects, outcome.not_read));
    }
    // This does not make a saved plan stale.
    Err(Error::manifests(outcome.problems)
        .saying("no plan was made")
        .refusing_plan()
        .because("not every secret could be read"))
}

/// How many values that were not read get a note each; the others are counted.
const TOLD_UNREAD: usize = 5;

/// Notes on what was not read, where it is, and what it needs.
fn told_unread(not_read: &[Problem]) -> Vec<String> {
    let told = |problem: &Problem| {
        let hint = problem.hint.as_ref().map(|hint| format!("; to apply: {hint}"));
        format!("{problem}, so the value is not read{}", hint.unwrap_or_default())
    };
    let mut notes: Vec<_> = not_read.iter().take(TOLD_UNREAD).map(told).collect();
    match not_read.len().saturating_sub(TOLD_UNREAD) {
        0 => {}
        1 => notes.push("1 more value is not read; `plan --output json` shows it".to_owned()),
        more => {
            notes.push(format!("{more} more values are not read; `plan --output json` shows them"));
        }
    }
    notes
}

/// Refuses what the platform's API does not have: it would be left out of requests. Only what the
/// plan writes is checked.
///
/// # Errors
///
/// Each object of a kind, and each field, that the API does not have, at its place.
pub fn refuse_unsaid(
    speaker: &impl Speaks,
    desired: &BTreeMap<Key, Desired>,
    (state, policy): (&State, &Policy),
) -> Result<()> {
    let mut unsaid: Vec<(&Key, Problem)> = desired
        .values()
        .flat_map(|desired| {
            let spelling = speaker.spelling(desired.key.kind);
            let unspoken = spelling.unspoken().map(|way_out| {
                let (key, spoken) = (&desired.key, speaker.spoken());
                let told =
                    format!("{key}: the platform's API, that of {spoken}, has no {}", key.kind);
                desired.origin.problem_at(&FieldPath::default(), told).hint(way_out)
            });
            let faults = inexpressible(spelling, speaker.spoken(), &desired.fields);
            let problems = problems(desired, faults);
            problems.into_iter().chain(unspoken).map(|problem| (&desired.key, problem))
        })
        .collect();
    // There are hardly ever any, and finding the selected objects takes a while.
    if unsaid.is_empty() || policy.destroy {
        return Ok(());
    }
    if let Some(selection) = planner::selected(desired, state, policy) {
        unsaid.retain(|(key, _)| selection.contains(key));
    }
    match unsaid.is_empty() {
        true => Ok(()),
        false => {
            let said_by =
                speaker.also().filter(|other| desired.values().all(|it| is_said(*other, it)));
            let problems = unsaid.into_iter().map(|(_, problem)| problem).collect();
            let error = Error::manifests(problems).refusing_plan();
            Err(match said_by {
                Some(other) => error.hint(format!(
                    "this platform speaks the API of {other}, too, which has all of it: --dialect {other}"
                )),
                None => error,
            })
        }
    }
}

/// Whether an API can express an object, or what becomes of it there.
fn is_said(spoken: Spoken, desired: &Desired) -> bool {
    if !dialect::dialect(spoken).has_project_secrets() && is_turned(desired) {
        return true;
    }
    let spelling = dialect::of(spoken, desired.key.kind);
    let faults = || inexpressible(spelling, spoken, &desired.fields);
    spelling.unspoken().is_none() && faults().is_empty()
}

/// What an API cannot express of an object, each at its place.
fn problems(desired: &Desired, faults: Vec<Fault>) -> Vec<Problem> {
    let told = |fault: Fault| {
        let message = format!("{}: {}", desired.key, fault.message);
        let problem = desired.origin.problem_at(&fault.path, message);
        match fault.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    };
    faults.into_iter().map(told).collect()
}

/// What the planner refused, as an error; with its cause if that is a list that could not be read
/// completely.
fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Manifests(problems) => Error::manifests(problems).refusing_plan(),
        Refusal::Scope(problems) => Error::scope(problems),
        Refusal::Guard { problems, doubt: None } => Error::refused(problems),
        Refusal::Guard { problems, doubt: Some(reason) } => {
            Error::refused(problems).because(reason)
        }
    }
}

/// Whether a run that was cut off left the set on the list of one of the projects.
async fn is_left_over(reader: &Reader, set: &str, state: &State) -> Result<bool> {
    for (name, project) in &state.projects {
        let Some(id) = &project.id else { continue };
        if left_over::is_left(reader, set, (name, id)).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error for a set that is to be destroyed and owns nothing in these projects.
fn unknown_here(policy: &Policy, plan: &Plan, state: &State) -> Error {
    let projects: Vec<&str> = plan.projects.keys().map(String::as_str).collect();
    let unknown = unknown_set(&policy.set, &few(projects));
    match state.elsewhere.iter().next() {
        Some((project, _)) => unknown.hint(format!(
            "it is in {}; destroy it there with `meshagent destroy --set {} --project-id {}{}`",
            few(state.elsewhere.keys().map(|name| format!("`{name}`"))),
            policy.set,
            word(project),
            policy.flags
        )),
        None => unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::api::request::Request;
    use crate::dialect::{Collection, Seen, Spelling, Unsaid, Words};
    use crate::kinds::KindName;
    use crate::manifest::set::{Input, from_sources};
    use crate::manifest::source::Source;
    use crate::plan::scope;

    /// The objects that a text declares.
    fn declared(text: &str) -> BTreeMap<Key, Desired> {
        let source = Source::new("set.yaml".to_owned(), PathBuf::new(), text.to_owned());
        let input = Input { project: Some("p".to_owned()), ..Input::default() };
        from_sources(&[Arc::new(source)], Vec::new(), &input).expect("a set").objects
    }

    /// A platform whose API lacks `container.on_demand`.
    struct Poor;

    impl Speaks for Poor {
        fn spoken(&self) -> Spoken {
            Spoken::V0_31
        }

        fn spelling(&self, _kind: KindName) -> &'static dyn Spelling {
            &Poor
        }
    }

    impl Spelling for Poor {
        fn collection(&self) -> Collection {
            Collection::plain("services")
        }

        fn seen(&self, _item: &Value) -> std::result::Result<Seen, String> {
            Err("nothing is there".to_owned())
        }

        fn unsaid(&self) -> &'static Unsaid {
            static WORDS: std::sync::LazyLock<Words> = std::sync::LazyLock::new(|| {
                let spoken = "metadata\ncontainer\ncontainer.image";
                Words::of(KindName::Service.kind().shape(), spoken)
            });
            WORDS.unsaid()
        }

        fn body(&self, _target: &crate::dialect::Target<'_>) -> Value {
            Value::Null
        }

        fn update(&self, _target: &crate::dialect::Target<'_>) -> Option<Request> {
            None
        }
    }

    #[test]
    fn an_api_is_asked_only_about_what_a_plan_writes() {
        let service = |name: &str, more: &str| {
            format!(
                "version: v1\nkind: Service\nmetadata: {{name: {name}}}\nroom: lobby\n\
                 container:\n  image: busybox\n{more}---\n"
            )
        };
        let text = service("new", "  on_demand: true\n") + &service("old", "");
        let (desired, state) = (declared(&text), State::default());
        let refused = |change: &dyn Fn(&mut Policy)| {
            let mut policy = Policy::standard("s");
            change(&mut policy);
            refuse_unsaid(&Poor, &desired, (&state, &policy)).is_err()
        };
        let target = |name: &str| scope::Scope {
            targets: vec![format!("Service/{name}")],
            ..scope::Scope::default()
        };
        assert!(refused(&|_| {}));
        assert!(refused(&|policy| policy.scope = target("new@lobby")));
        assert!(!refused(&|policy| policy.scope = target("old@lobby")));
        assert!(!refused(&|policy| policy.destroy = true));
    }

    #[test]
    fn what_an_api_has_no_word_for_is_refused_at_its_line() {
        let text = "version: v1\nkind: Service\nmetadata: {name: bot}\nroom: lobby\n\
                    container:\n  image: busybox\n  on_demand: true\n";
        let objects = declared(text);
        let desired = objects.values().next().expect("an object");
        let told = |spoken: &str| -> Vec<String> {
            let words = Unsaid::of(KindName::Service.kind().shape(), spoken);
            let faults = words.faults(&desired.fields, Spoken::V0_31, |_| Unsaid::HINT);
            problems(desired, faults).iter().map(ToString::to_string).collect()
        };
        let lacks = "the platform's API, that of 0.31, has no field";
        assert_eq!(
            told("metadata\ncontainer\ncontainer.image"),
            [format!("set.yaml:7:3: Service/bot@lobby: {lacks} `container.on_demand`")]
        );
        assert_eq!(told("container\ncontainer.image\ncontainer.on_demand"), Vec::<String>::new());
    }
}
