//! *Pure*: objects of a platform become manifests that declare them: what is in each file,
//! and what the files are called.
//!
//! Every text is read again before it is returned. Objects that would not be read back unchanged
//! are left out with a note, so that a plan of an export finds nothing to change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::document::{self, Trees};
use super::source::Source;
use super::template::{self, SOURCE_ANNOTATION, VALUES_ANNOTATION, Values};
use crate::kinds::document::SecretSource;
use crate::kinds::path::FieldPath;
use crate::kinds::shape::Broken;
use crate::kinds::tree::{Sealed, Tree};
use crate::kinds::{self, Key, KindName};
use crate::visible;

/// How objects are laid out in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// One file per object, in a folder for its kind.
    #[default]
    Object,
    /// One file per kind.
    Kind,
}

/// How services that run an agent are declared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Agents {
    /// As services.
    #[default]
    Services,
    /// As agents, where a document of an agent says all of it.
    Agents,
}

/// One object to declare.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it is.
    pub key: Key,
    /// Its fields as they were observed.
    pub fields: Tree,
    /// How its set treats it.
    pub kept: Kept,
    /// The fields that its set leaves as they are.
    pub ignored: Vec<String>,
}

/// How a set treats an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether it must not be deleted.
    pub is_protected: bool,
    /// Whether it stays where it is once its document is gone.
    pub is_orphaned: bool,
    /// Whether what somebody else wrote is overwritten.
    pub overwrite: bool,
}

/// Manifests, and notes for the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// The files below the export's folder, with their texts.
    pub files: BTreeMap<PathBuf, String>,
    /// How many objects they declare.
    pub objects: usize,
    /// The environment variables that secrets are read from, with the fields that read them.
    pub variables: BTreeMap<String, String>,
    /// What could not be declared, and why.
    pub notes: Vec<String>,
}

/// The secrets of a service that was made from a template with secret values.
const OBSCURE: &str = "values that its template marks as obscure";

fn annotation(name: &str) -> FieldPath {
    FieldPath::of(&["metadata", "annotations", name])
}

/// Whether documents of a kind can say where each of its secrets is read from.
const fn keeps_secrets(kind: KindName) -> bool {
    use KindName::{AccountSecret, Project, RoomSecret, Secret, SettingsDocument};
    matches!(kind, Secret | AccountSecret | RoomSecret | Project | SettingsDocument)
}

/// The objects with a secret that a manifest can only hold as plain text, and what it is.
#[must_use]
pub fn with_secrets(objects: &[Object]) -> Vec<(&Key, &'static str)> {
    let others = objects.iter().filter(|object| !keeps_secrets(object.key.kind));
    let held = others.filter_map(|Object { key, fields, .. }| {
        if key.kind != KindName::Service {
            return fields
                .has_secrets()
                .then_some((key, "secret values that were given to its template"));
        }
        let is_rendered = fields.at(&annotation(SOURCE_ANNOTATION)).is_some();
        match (fields.has_secrets(), is_rendered) {
            (true, false) => Some((key, "secrets of an MCP server: headers or a client secret")),
            (true, true) => Some((key, OBSCURE)),
            (false, _) => has_obscure_values(fields).then_some((key, OBSCURE)),
        }
    });
    held.collect()
}

/// Whether the annotations of the template tell of obscure values.
fn has_obscure_values(fields: &Tree) -> bool {
    let text = |name: &str| fields.at(&annotation(name)).and_then(Tree::as_str);
    let (Some(source), Some(values)) = (text(SOURCE_ANNOTATION), text(VALUES_ANNOTATION)) else {
        return false;
    };
    let values: Values = serde_json::from_str(values).unwrap_or_default();
    match template::render(source, &values) {
        Ok(spec) => spec.variables.iter().flatten().any(|variable| {
            variable.obscure && values.get(&variable.name).is_some_and(|value| !value.is_empty())
        }),
        // A template that cannot be rendered here may have been rendered elsewhere.
        Err(_) => source.contains("obscure"),
    }
}

/// Declares the objects, in the order of their keys.
#[must_use]
pub fn export(mut objects: Vec<Object>, layout: Layout, agents: Agents) -> Export {
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    let mut export = Export::default();
    objects.retain(|Object { key, fields, .. }| {
        // A part of it would be another document.
        let is_lost = key.kind == KindName::SettingsDocument && has_number(fields);
        if is_lost {
            export.notes.push(format!("{key} is left out: {NUMBER}"));
        }
        !is_lost
    });
    let sealed: Vec<_> = objects
        .into_iter()
        .map(|object| {
            let fields = writable(&object, &mut export.notes);
            (object, fields)
        })
        .collect();
    let shared = shared_names(&sealed);
    for (object, mut fields) in sealed {
        let key = object.key.clone();
        refer(&key, &mut fields, &shared, &mut export.variables);
        let forms = [(agents == Agents::Agents).then_some(Agents::Agents), Some(Agents::Services)];
        let texts = forms.into_iter().flatten().map(|agents| {
            let (kind, document) = manifest(&object, &fields, agents);
            text(&document, &key, &fields).map(|text| (kind, text))
        });
        let (kind, text) = match first(texts) {
            Ok(written) => written,
            Err(why) => {
                export.notes.push(format!("{key} is left out: {why}"));
                continue;
            }
        };
        let named = (key.room.as_deref(), key.name.as_str());
        for Broken { path, message, hint } in kinds::broken(key.kind.kind(), named, &fields) {
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            export
                .notes
                .push(format!("{key} cannot be applied as it is: `{path}` {message}{hint}"));
        }
        export.objects += 1;
        match layout {
            Layout::Object => {
                let named = telling_name(&key, &fields);
                let path = path((kind, &key), named.as_deref(), &export.files);
                export.files.insert(path, text);
            }
            Layout::Kind => {
                let path = PathBuf::from(format!("{}.yaml", folder(kind)));
                let file = export.files.entry(path).or_default();
                if !file.is_empty() {
                    file.push_str("---\n");
                }
                file.push_str(&text);
            }
        }
    }
    export
}

/// The first that succeeds; else why the last one did not.
fn first<T>(results: impl Iterator<Item = Result<T, String>>) -> Result<T, String> {
    let mut last = Err(String::new());
    for result in results {
        if result.is_ok() {
            return result;
        }
        last = result;
    }
    last
}

/// The fields that a document can have, with what is secret still sealed.
fn writable(object: &Object, notes: &mut Vec<String>) -> Tree {
    let key = &object.key;
    let mut fields = object.fields.clone();
    match key.kind {
        KindName::Project => unwritable_settings(key, &mut fields, notes),
        KindName::SettingsDocument | KindName::AccountSecret | KindName::RoomSecret => {}
        KindName::Secret => {
            let is_docker = fields.get("type").and_then(Tree::as_str) != Some("keys");
            if is_docker && fields.get("password").is_none() {
                fields.set("password", Tree::Secret(Sealed::Masked));
            }
        }
        // The user has agreed to the export of obscure values by then.
        _ => fields.rewrite_leaves(&mut |_, leaf| match leaf {
            Tree::Secret(Sealed::Known(_)) => match (Tree::List(vec![leaf.clone()])).reveal() {
                Value::Array(items) => items.first().map(Tree::from),
                _ => None,
            },
            _ => None,
        }),
    }
    fields
}

/// The names of variables that several secrets would get.
fn shared_names(objects: &[(Object, Tree)]) -> BTreeSet<String> {
    let (mut names, mut shared) = (BTreeSet::new(), BTreeSet::new());
    for (object, fields) in objects.iter().filter(|(_, fields)| fields.has_secrets()) {
        fields.clone().rewrite_leaves(&mut |way, leaf| {
            let Tree::Secret(_) = leaf else { return None };
            if let Some(twice) = names.replace(variable(&object.key, &way.path())) {
                shared.insert(twice);
            }
            None
        });
    }
    shared
}

/// Has every secret read from an environment variable of its own.
fn refer(
    key: &Key,
    fields: &mut Tree,
    shared: &BTreeSet<String>,
    variables: &mut BTreeMap<String, String>,
) {
    fields.rewrite_leaves(&mut |way, leaf| {
        let Tree::Secret(_) = leaf else { return None };
        let path = way.path();
        let mut name = variable(key, &path);
        // None of them gets the plain name, or it would mean another secret once one more is added.
        if shared.contains(&name) {
            name = format!("{name}_{}", digest(&json!([key.name, path])).to_ascii_uppercase());
        }
        variables.insert(name.clone(), format!("{key} {path}"));
        Some(Tree::Secret(Sealed::Source(Box::new(SecretSource::Env(name).into()))))
    });
}

/// Why a setting is not written.
const NUMBER: &str = "it holds a number, but only texts can be read from elsewhere";

/// Whether a number is among the secrets of fields.
fn has_number(fields: &Tree) -> bool {
    let mut has_number = false;
    fields.clone().rewrite_leaves(&mut |_, leaf| {
        has_number |= matches!(leaf, Tree::Secret(Sealed::Number(_)));
        None
    });
    has_number
}

/// A setting that is not text cannot be read from a source, and no setting may be shown. Settings
/// that a document does not name are left alone on the platform.
fn unwritable_settings(key: &Key, fields: &mut Tree, notes: &mut Vec<String>) {
    let Some(settings) = fields.get("settings") else { return };
    let Tree::Map(settings) = settings.clone() else {
        notes.push(format!("{key}: its settings are left out, because they cannot be read"));
        fields.put(&FieldPath::of(&["settings"]), None);
        return;
    };
    for (name, value) in *settings {
        if has_number(&value) {
            notes.push(format!("{key}: its setting `{name}` is left out, because {NUMBER}"));
            fields.put(&FieldPath::of(&["settings", &name]), None);
        }
    }
    if matches!(fields.get("settings"), Some(Tree::Map(rest)) if rest.is_empty()) {
        fields.put(&FieldPath::of(&["settings"]), None);
    }
}

/// A name for the variable of a secret that depends only on the secret. The prefix keeps it apart
/// from variables that already have a meaning.
fn variable(key: &Key, path: &FieldPath) -> String {
    let shown = path.to_string();
    let (prefix, name, field) = match key.kind {
        KindName::Project => ("SETTING", "", shown.trim_start_matches("settings")),
        KindName::SettingsDocument => {
            ("SETTING", key.name.as_str(), shown.trim_start_matches("settings"))
        }
        _ => ("SECRET", key.name.as_str(), shown.trim_start_matches("data.")),
    };
    let mut words = vec![prefix.to_owned()];
    for text in [name, field] {
        words.extend(
            text.split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_ascii_uppercase),
        );
    }
    words.join("_")
}

/// The document of an object, and its kind.
fn manifest(object: &Object, fields: &Tree, agents: Agents) -> (KindName, Value) {
    let agent = match agents {
        Agents::Agents => KindName::Agent.kind().explained(&object.key, fields),
        Agents::Services => None,
    };
    let (kind, mut document) = match agent {
        Some(document) => (KindName::Agent, document),
        None => (object.key.kind, object.key.kind.kind().document(&object.key, fields)),
    };
    if let (Some(name), Value::Object(named)) = (telling_name(&object.key, fields), &mut document) {
        named["metadata"]["name"] = name.into();
        let behind = named.keys().position(|field| field == "metadata").map_or(0, |at| at + 1);
        named.shift_insert(behind, "id".to_owned(), object.key.name.clone().into());
    }
    add_lifecycle(&mut document, object.kept, &object.ignored);
    (kind, document)
}

/// Adds to a document how its object is treated: whether it is protected, whether it stays once its
/// document is gone, and what is left to others.
pub fn add_lifecycle(
    document: &mut Value,
    Kept { is_protected, is_orphaned, overwrite }: Kept,
    ignored: &[String],
) {
    let mut lifecycle = serde_json::Map::new();
    if is_protected {
        lifecycle.insert("prevent_destroy".to_owned(), true.into());
    }
    if is_orphaned {
        lifecycle.insert("delete".to_owned(), "orphan".into());
    }
    if overwrite {
        lifecycle.insert("overwrite".to_owned(), true.into());
    }
    if !ignored.is_empty() {
        lifecycle.insert("ignore".to_owned(), ignored.into());
    }
    if !lifecycle.is_empty() {
        document["lifecycle"] = Value::Object(lifecycle);
    }
}

/// A name that tells people more than an id that the platform gave, where a document may have both:
/// what the object is about, and the beginning of the id.
fn telling_name(key: &Key, fields: &Tree) -> Option<String> {
    let is_id = key.name.len() == ID_LENGTH
        && key.name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !is_id || key.kind.kind().name_rule().field != Some("id") {
        return None;
    }
    let about = ["room", "queue"].into_iter().filter_map(|field| fields.get(field)?.as_str());
    let about: Vec<&str> = about.chain([&key.name[..DISTINCT]]).collect();
    Some(slug(&about.join("-")).0)
}

/// The length of an id that the platform gives.
const ID_LENGTH: usize = 36;

/// How much of an id distinguishes it for people.
const DISTINCT: usize = 8;

/// The document as YAML, or as JSON, which is YAML too, if only that is read back unchanged.
fn text(document: &Value, key: &Key, fields: &Tree) -> Result<String, String> {
    let mut why = String::new();
    // A long line stays one: folded, it would show changes where there are none.
    let options = serde_yaml::ser_options! { folded_wrap_chars: usize::MAX };
    let texts = [
        visible::yaml_with(document, options),
        serde_json::to_string_pretty(document).ok().map(|text| visible::json(&text).into_owned()),
    ];
    for mut text in texts.into_iter().flatten() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        match read_back(&text, key, fields) {
            Ok(()) => return Ok(text),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// Whether a text declares the object, and just that.
fn read_back(text: &str, key: &Key, fields: &Tree) -> Result<(), String> {
    let source = Source::new(String::new(), PathBuf::new(), text.to_owned());
    let (documents, problems) = document::read(&Arc::new(source), Trees::Spared);
    if let Some(problem) = problems.first() {
        return Err(problem.message.clone());
    }
    let [(document, value)] = documents.as_slice() else {
        return Err("it reads as several documents".to_owned());
    };
    let declared = document.kind.declare(value).map_err(|faults| {
        faults.into_iter().next().map(|fault| fault.message).unwrap_or_default()
    })?;
    // What no answer tells cannot be declared.
    let mut fields = fields.clone();
    for name in key.kind.kind().untold() {
        fields.put(&FieldPath::of(&[name]), None);
    }
    let is_said = |declared: &Tree| {
        let spelled = key.kind.kind().spelled_as(declared, &fields);
        spelled.as_ref().unwrap_or(declared) == &fields
    };
    match declared.as_slice() {
        [declared]
            if declared.name == key.name
                && declared.room == key.room
                && is_said(&declared.fields) =>
        {
            Ok(())
        }
        _ => Err("no document can declare what the platform has".to_owned()),
    }
}

fn folder(kind: KindName) -> String {
    let mut folder = String::new();
    for letter in kind.to_string().chars() {
        if letter.is_ascii_uppercase() && !folder.is_empty() {
            folder.push('-');
        }
        folder.push(letter.to_ascii_lowercase());
    }
    folder
}

/// The longest name that a file gets from one name of an object.
const LONGEST: usize = 80;

/// A file name that shows which object it is, that every file system accepts, and that does not
/// depend on other objects: if characters are lost, a digest of the key makes it unique.
fn path(
    (kind, key): (KindName, &Key),
    named: Option<&str>,
    taken: &BTreeMap<PathBuf, String>,
) -> PathBuf {
    let (name, name_is_whole) = slug(named.unwrap_or(&key.name));
    let (room, room_is_whole) = match &key.room {
        Some(room) => {
            let (slug, is_whole) = slug(room);
            (format!("@{slug}"), is_whole)
        }
        None => (String::new(), true),
    };
    let folder = folder(kind);
    let plain = PathBuf::from(&folder).join(format!("{name}{room}.yaml"));
    if name_is_whole && room_is_whole && !taken.contains_key(&plain) {
        return plain;
    }
    let digest = digest(&json!([key.name, key.room]));
    PathBuf::from(folder).join(format!("{name}{room}-{digest}.yaml"))
}

/// Eight letters that tell a value from others.
fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    digest[..4].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The letters of a name that a file's name may have, and whether these are all.
fn slug(name: &str) -> (String, bool) {
    let mut slug = String::new();
    for letter in name.chars() {
        let letter = letter.to_ascii_lowercase();
        let is_safe = letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '@');
        match is_safe {
            true => slug.push(letter),
            false if slug.ends_with('-') => {}
            false => slug.push('-'),
        }
        if slug.len() >= LONGEST {
            break;
        }
    }
    // A leading dot would hide the file from the commands that read manifests.
    let slug = slug.trim_matches(['.', '-']).to_owned();
    let is_whole = slug == name;
    if slug.is_empty() { ("object".to_owned(), false) } else { (slug, is_whole) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(kind: KindName, name: &str, room: Option<&str>) -> Key {
        let room = room.map(str::to_owned);
        Key::new(kind, "p", room, name)
    }

    fn object(key: Key, fields: Tree) -> Object {
        Object { key, fields, kept: Kept::default(), ignored: Vec::new() }
    }

    #[test]
    fn files_are_named_safely_and_apart() {
        let mut taken = BTreeMap::new();
        let long = "x".repeat(300);
        let names = [
            "lobby",
            "Lobby",
            "../../etc/passwd",
            ".hidden",
            "a/b",
            "a:b",
            "",
            "…",
            &long,
            "support@mail.example.com",
            "CON",
        ];
        for name in names {
            let path = path((KindName::Room, &key(KindName::Room, name, None)), None, &taken);
            let shown = path.to_str().unwrap().to_owned();
            let file = shown.strip_prefix("room/").unwrap();
            assert!(!file.contains('/') && !file.starts_with('.') && file.len() < 120, "{shown}");
            assert!(taken.insert(path, String::new()).is_none(), "{shown} twice");
        }
        assert!(taken.contains_key(&PathBuf::from("room/lobby.yaml")));
        assert!(taken.contains_key(&PathBuf::from("room/support@mail.example.com.yaml")));
        let service =
            path((KindName::Service, &key(KindName::Service, "s", Some("lobby"))), None, &taken);
        assert_eq!(service, PathBuf::from("service/s@lobby.yaml"));
        assert_eq!(folder(KindName::ScheduledTask), "scheduled-task");
    }

    #[test]
    fn secrets_are_read_from_variables_that_no_two_share() {
        let keys = |name: &str, field: &str| {
            let data = Tree::map([(field, Tree::secret("canary"))]);
            let fields = Tree::map([("type", Tree::text("keys")), ("data", data)]);
            object(key(KindName::Secret, name, None), fields)
        };
        let objects = vec![keys("a-b", "C"), keys("a", "B_C"), keys("x", "ö")];
        let export = export(objects, Layout::Kind, Agents::Services);
        assert_eq!(export.notes, Vec::<String>::new());
        let variables: BTreeSet<&str> = export.variables.keys().map(String::as_str).collect();
        assert_eq!(
            variables,
            BTreeSet::from(["SECRET_A_B_C_F75B4E09", "SECRET_A_B_C_662F917E", "SECRET_X_DATA"])
        );
        let text = &export.files[&PathBuf::from("secret.yaml")];
        assert!(!text.contains("canary") && text.contains("env: SECRET_A_B_C_"), "{text}");
    }

    #[test]
    fn what_cannot_be_declared_is_left_out_and_told() {
        let nothing = object(key(KindName::Service, "s", None), Tree::map([]));
        let settings = Tree::from(&json!({"model": "x", "limit": 4})).sealed();
        let project =
            object(key(KindName::Project, "p", None), Tree::map([("settings", settings)]));
        let export = export(vec![nothing, project], Layout::Object, Agents::Services);
        assert_eq!(export.objects, 1);
        insta::assert_snapshot!(export.notes.join("\n"));
        assert_eq!(export.variables.keys().collect::<Vec<_>>(), ["SETTING_MODEL"]);
    }

    #[test]
    fn a_service_with_obscure_values_is_recognized() {
        let source = "version: v1\nkind: ServiceTemplate\nmetadata: {name: a}\nvariables:\n- {name: token, obscure: true, optional: true}\ncontainer:\n  image: x\n";
        let service = |values: Value| {
            let annotations =
                json!({SOURCE_ANNOTATION: source, VALUES_ANNOTATION: values.to_string()});
            let fields = Tree::from(&json!({"metadata": {"annotations": annotations}}));
            object(key(KindName::Service, "s", None), fields)
        };
        let obscure = [service(json!({"token": "t"}))];
        assert!(matches!(with_secrets(&obscure)[..], [(_, OBSCURE)]));
        assert_eq!(with_secrets(&[service(json!({"token": ""}))]).len(), 0);
        assert_eq!(with_secrets(&[service(json!({}))]).len(), 0);
        let headers = Tree::map([("headers", Tree::map([("X", Tree::secret("s"))]))]);
        let fields = Tree::map([("ports", Tree::List(vec![headers]))]);
        let plain = [object(key(KindName::Service, "s", None), fields)];
        assert!(with_secrets(&plain)[0].1.contains("headers"));
    }
}
