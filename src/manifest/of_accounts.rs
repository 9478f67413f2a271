//! Project secrets where the platform has none: each becomes secrets of the service account that its
//! document names, and the services of the set that use it name those instead.
//!
//! | in 0.31 | in 0.56 |
//! |---|---|
//! | `Secret` of type `keys` | an `AccountSecret` for each pair, `ACCOUNT/NAME.PAIR` |
//! | `Secret` of type `docker` | one `AccountSecret`, `ACCOUNT/NAME`, with which images are pulled |
//! | `container.secrets` | a variable for each pair |
//! | `container.pull_secret` | the secret of the account |
//!
//! A container whose variables have secrets of one account acts for it (`container.run_as`) unless it
//! says otherwise.
//! What cannot be said so stays as it is: the plan refuses it, with its place and the way out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::set::{Desired, Origin, Set};
use crate::error::{Error, Problem, Result};
use crate::kinds::account_secret::{DOCKER, called, parts_of};
use crate::kinds::document::FormerNames;
use crate::kinds::path::{FieldPath, Step};
use crate::kinds::specs::service::PROXIED;
use crate::kinds::tree::Tree;
use crate::kinds::{Key, KindName};

/// The field of a secret that names its account.
pub const ACCOUNT: &str = "service_account";

/// What a container may do with its account to be given values of secrets.
const READ: &str = "secrets:read";

/// What became of a project secret.
struct Became {
    account: String,
    /// The names of the pairs, for one of type `keys`.
    pairs: Option<Vec<String>>,
}

/// Whether an object is a project secret that says to which account it belongs.
#[must_use]
pub fn is_turned(desired: &Desired) -> bool {
    desired.key.kind == KindName::Secret && desired.fields.get(ACCOUNT).is_some()
}

/// Turns the project secrets of a set into secrets of service accounts.
///
/// # Errors
///
/// Two documents that declare one secret; a container whose secrets belong to several accounts and
/// that does not say for which one it acts.
pub fn of_accounts(mut set: Set) -> Result<Set> {
    let mut problems = Vec::new();
    let mut became: BTreeMap<Key, Became> = BTreeMap::new();
    for key in set.objects.keys().cloned().collect::<Vec<_>>() {
        if !set.objects.get(&key).is_some_and(is_turned) {
            continue;
        }
        if let Some(secret) = set.objects.remove(&key) {
            became.insert(key, turned(&secret, &mut set, &mut problems));
        }
    }
    let mut notes = Vec::new();
    for desired in set.objects.values_mut().filter(|it| it.key.kind == KindName::Service) {
        if let Some(fields) = with_accounts(desired, &became, (&mut problems, &mut notes)) {
            desired.fields = Arc::new(fields);
        }
    }
    set.notes.extend(notes);
    if problems.is_empty() { Ok(set) } else { Err(Error::manifests(problems)) }
}

/// Whether a secret of an account is what a project secret became, or the value of one of its pairs.
#[must_use]
pub fn came_of(part: &Key, secret: &Key) -> bool {
    let rest = parts_of(&part.name).and_then(|(_, name)| name.strip_prefix(secret.name.as_str()));
    (part.kind, secret.kind) == (KindName::AccountSecret, KindName::Secret)
        && part.project == secret.project
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The project secrets that a secret of an account may have been, as [`came_of`] has it.
#[must_use]
pub fn perhaps_from(part: &Key) -> Vec<Key> {
    let Some((_, name)) = parts_of(&part.name).filter(|_| part.kind == KindName::AccountSecret)
    else {
        return Vec::new();
    };
    let dots = name.match_indices('.').map(|(at, _)| at);
    let names = dots.chain([name.len()]).map(|end| &name[..end]);
    names.map(|name| Key::of(KindName::Secret, &part.project, name)).collect()
}

/// The secrets of an account that a project secret becomes: the name of the pair, for one of type
/// `keys`, and the fields.
#[must_use]
pub fn parts(account: &str, secret: &Tree) -> Vec<(Option<String>, Tree)> {
    let account = || Tree::text(account.to_owned());
    if secret.get("type").and_then(Tree::as_str) == Some(DOCKER) {
        let mut fields = Tree::map([
            ("account", account()),
            ("type", Tree::text(DOCKER)),
            ("pulls_images", Tree::Bool(true)),
        ]);
        for part in ["server", "username", "password", "email"] {
            if let Some(value) = secret.get(part) {
                fields.set(part, value.clone().sealed());
            }
        }
        return vec![(None, fields)];
    }
    let pairs = secret.get("data").and_then(Tree::fields);
    let pairs = pairs.into_iter().flat_map(|pairs| pairs.iter());
    let fields = |value: &Tree| Tree::map([("account", account()), ("value", value.clone())]);
    pairs.map(|(name, value)| (Some(name.to_string()), fields(value))).collect()
}

/// Puts into the set what a secret becomes.
fn turned(secret: &Desired, set: &mut Set, problems: &mut Vec<Problem>) -> Became {
    let text = |field: &str| secret.fields.get(field).and_then(Tree::as_str).unwrap_or_default();
    let account = text(ACCOUNT).to_owned();
    let is_of_pairs = text("type") != DOCKER;
    let mut pairs = Vec::new();
    for (pair, fields) in parts(&account, &secret.fields) {
        set.add(one(secret, &account, pair.as_deref(), fields), problems);
        pairs.extend(pair);
    }
    Became { account, pairs: is_of_pairs.then_some(pairs) }
}

/// One secret of an account, which has the value of a pair, or the credentials for a registry.
fn one(secret: &Desired, account: &str, pair: Option<&str>, fields: Tree) -> Desired {
    let name = |of: &str| called(account, &name_of(of, pair));
    let (former, now) = match pair {
        Some(pair) => (FieldPath::of(&["data", pair]), Some("value")),
        None => (FieldPath::default(), None),
    };
    // A rule or a source of the pair is one of the value; those of other pairs are not of this one.
    let moved = |path: &str| -> Option<String> {
        let path = FieldPath::parse(path).ok()?;
        match (now, path.0.first()) {
            (None, _) => Some(path.to_string()),
            (Some(now), Some(Step::Field(first))) if first == "data" => {
                let is_of_all = path.0.len() == 1;
                (is_of_all || path.0.starts_with(&former.0)).then(|| now.to_owned())
            }
            (Some(_), _) => Some(path.to_string()),
        }
    };
    let mut lifecycle = secret.lifecycle.clone();
    lifecycle.ignore = lifecycle.ignore.iter().filter_map(|rule| moved(rule)).collect();
    lifecycle.moved_from =
        FormerNames(lifecycle.moved_from.0.iter().map(|former| name(former)).collect());
    let sources = secret.sources.iter();
    Desired {
        key: Key::of(KindName::AccountSecret, &secret.key.project, &name(&secret.key.name)),
        fields: Arc::new(fields),
        lifecycle,
        origin: Origin {
            value_at: pair.map(|pair| FieldPath::of(&["data", pair])),
            ..secret.origin.clone()
        },
        declared_in: secret.declared_in.clone(),
        sources: sources.filter_map(|(path, from)| Some((moved(path)?, from.clone()))).collect(),
        content: None,
    }
}

/// The name of what a secret, or a pair of it, becomes.
#[must_use]
pub fn name_of(secret: &str, pair: Option<&str>) -> String {
    match pair {
        Some(pair) => format!("{secret}.{pair}"),
        None => secret.to_owned(),
    }
}

/// The fields of a service that names what its secrets became, and acts for the account that may
/// read them; `None` if they are as they were.
fn with_accounts(
    service: &Desired,
    became: &BTreeMap<Key, Became>,
    (problems, notes): (&mut Vec<Problem>, &mut Vec<String>),
) -> Option<Tree> {
    let secret = |name: &str| {
        let key = Key::of(KindName::Secret, &service.key.project, name);
        became.get(&key).map(|it| (name.to_owned(), it))
    };
    let mut container = service.fields.get("container")?.clone();
    let listed = match container.get("secrets") {
        Some(Tree::List(names)) => names.as_slice().to_vec(),
        _ => Vec::new(),
    };
    let (found, left): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .map(|it| (it.as_str().and_then(secret), it))
        .partition(|it| it.0.is_some());
    let used: Vec<(String, &Became)> = found.into_iter().filter_map(|(it, _)| it).collect();
    let pulled = container.get("pull_secret").and_then(Tree::as_str).and_then(secret);
    if let Some((name, became)) = &pulled {
        container.set("pull_secret", Tree::text(called(&became.account, name)));
    }
    let is_used = !used.is_empty();
    if is_used {
        let left: Vec<Tree> = left.into_iter().map(|(_, it)| it).collect();
        let left = if left.is_empty() { None } else { Some(Tree::List(left)) };
        container.put(&FieldPath::of(&["secrets"]), left);
        let twice = add_variables(&mut container, &used);
        notes.extend(twice.into_iter().map(|told| format!("{}: {told}", service.key)));
    }
    if act_for(&mut container, is_used).is_err() {
        let path = FieldPath::of(&["container"]);
        let message = format!("{} has secrets of several service accounts", service.key);
        problems.push(service.origin.problem_at(&path, message).hint(
            "let all of them belong to one, or say in `container.run_as` which one may read them",
        ));
    }
    if service.fields.get("container") == Some(&container) {
        return None;
    }
    let mut fields = Tree::clone(&service.fields);
    fields.set("container", container);
    Some(fields)
}

/// Adds a variable for each pair. One that is there already stays; what that leaves out is returned.
fn add_variables(container: &mut Tree, used: &[(String, &Became)]) -> Vec<String> {
    let mut twice = Vec::new();
    let mut variables = match container.get("environment") {
        Some(Tree::List(variables)) => variables.as_slice().to_vec(),
        _ => Vec::new(),
    };
    for (secret, became) in used {
        for pair in became.pairs.iter().flatten() {
            let is_it = |it: &Tree| it.get("name").and_then(Tree::as_str) == Some(pair);
            if variables.iter().any(is_it) {
                twice.push(format!(
                    "the variable `{pair}` is set already, so that of Secret/{secret} does not count"
                ));
                continue;
            }
            let id = Tree::text(called(&became.account, &name_of(secret, Some(pair))));
            let secret = Tree::map([("id", id)]);
            variables.push(Tree::map([("name", Tree::text(pair.clone())), ("secret", secret)]));
        }
    }
    container.set("environment", Tree::List(variables));
    twice
}

/// The containers' secrets belong to several service accounts.
struct Several;

/// Has a container that does not say for whom it acts do so for the account of its secrets, and read
/// them. One that says so may read them if it is given what project secrets became.
fn act_for(container: &mut Tree, is_given: bool) -> std::result::Result<(), Several> {
    let id = FieldPath::of(&["secret", "id"]);
    let variables = match container.get("environment") {
        Some(Tree::List(variables)) => variables.as_slice(),
        _ => &[],
    };
    let names = variables.iter().filter_map(|variable| variable.at(&id)?.as_str());
    let accounts: BTreeSet<String> =
        names.filter_map(|name| Some(parts_of(name)?.0.to_owned())).collect();
    let read = || Tree::text(READ);
    if let Some(run_as) = container.get("run_as") {
        let mut scopes = match run_as.get("scopes") {
            Some(Tree::List(scopes)) => scopes.as_slice().to_vec(),
            _ => vec![Tree::text(PROXIED)],
        };
        if is_given && !scopes.iter().any(|scope| scope.as_str() == Some(READ)) {
            let mut run_as = run_as.clone();
            scopes.push(read());
            run_as.set("scopes", Tree::List(scopes));
            container.set("run_as", run_as);
        }
        return Ok(());
    }
    let mut accounts = accounts.into_iter();
    match (accounts.next(), accounts.next()) {
        (None, _) => Ok(()),
        (Some(_), Some(_)) => Err(Several),
        (Some(account), None) => {
            let scopes = Tree::List(vec![read()]);
            let run_as = Tree::map([("account", Tree::text(account)), ("scopes", scopes)]);
            container.set("run_as", run_as);
            Ok(())
        }
    }
}
