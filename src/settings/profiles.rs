//! `~/.meshagent/settings.json`: sessions, projects and keys by platform and person, as the reference
//! keeps them since release 0.38. It deletes `session.json` and `project.json` once it has made this
//! file of them. So where there is one, it is read first, and what changes is written into it. What
//! this program does not know stays in it.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::{DEFAULT_URL, home_file};
use crate::conceal;
use crate::error::{Context, Result};
use crate::output;
use crate::own_folder;

/// Who the reference takes for the person of a platform until it has asked there.
const NOBODY: &str = "__local__";

/// The file, which has secrets as text, so it cannot be printed.
pub(super) struct Profiles {
    path: PathBuf,
    whole: Map<String, Value>,
}

/// What is activated for a person on a platform.
pub(super) struct Project {
    /// The platform's URL.
    pub base: String,
    /// The id of the activated project.
    pub active: Option<String>,
    /// The keys, by project.
    pub keys: Vec<(String, SecretString)>,
}

fn normal(base: &str) -> &str {
    base.trim().trim_end_matches('/')
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !text.is_empty())
}

impl Profiles {
    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that others may have written.
    pub fn read() -> Result<Option<Self>> {
        let Some(home) = std::env::home_dir() else { return Ok(None) };
        let path = home.join(own_folder::NAME).join("settings.json");
        let hint = "fix it, or sign in again with the program that wrote it";
        let whole = home_file::read(&path, "these are no settings", hint)?;
        Ok(whole.map(|whole| Self { path, whole }))
    }

    fn users(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.whole.get("users").and_then(Value::as_object).into_iter().flatten()
    }

    /// The platform of an entry.
    fn base_of(user: &Value) -> &str {
        text(user, "api_url").map_or(DEFAULT_URL, normal)
    }

    /// The key of the entry that is used on a platform.
    fn key_at(&self, base: &str) -> Option<&String> {
        let active = self.whole.get("active_profiles").and_then(Value::as_object);
        let active = active.into_iter().flatten().find(|(url, _)| normal(url) == normal(base));
        let chosen = active.and_then(|(_, key)| key.as_str());
        let there = || self.users().filter(|(_, user)| Self::base_of(user) == normal(base));
        let found = there().find(|(key, _)| Some(key.as_str()) == chosen);
        found.or_else(|| there().next()).map(|(key, _)| key)
    }

    /// The session on a platform, in the form of `session.json`.
    pub fn session(&self, base: &str) -> Option<&Value> {
        let key = self.key_at(base)?;
        let session = self.users().find(|(it, _)| *it == key)?.1.get("session")?;
        text(session, "access_token").map(|_| session)
    }

    /// Puts a session in the place of that on a platform; `null` ends it. A new one is nobody's until
    /// the platform was asked whose it is.
    pub fn set_session(&mut self, base: &str, session: Value, is_new: bool) {
        let key = self.entry(base, is_new);
        if is_new {
            self.whole.insert("active_user_id".to_owned(), key.clone().into());
        }
        let user = self.user(&key);
        match (user.get_mut("session"), session) {
            (Some(Value::Object(before)), Value::Object(now)) => before.extend(now),
            (_, session) => drop(user.insert("session".to_owned(), session)),
        }
    }

    /// What is activated on each platform, with that on this platform first.
    pub fn projects(&self, base: &str) -> Vec<Project> {
        let own = self.key_at(base);
        let mut users: Vec<_> = self.users().collect();
        users.sort_by_key(|(key, _)| Some(*key) != own);
        let project = |(key, user): (&String, &Value)| {
            let project = user.get("project").unwrap_or(&Value::Null);
            let keys = project.get("active_api_keys").and_then(Value::as_object);
            let keys = keys.into_iter().flatten().filter_map(|(project, key)| {
                let key = SecretString::from(key.as_str()?.trim());
                conceal::credential(&key);
                Some((project.clone(), key))
            });
            let active = text(project, "active_project").filter(|_| Some(key) == own);
            Project {
                base: Self::base_of(user).to_owned(),
                active: active.map(str::to_owned),
                keys: keys.collect(),
            }
        };
        users.into_iter().map(project).collect()
    }

    /// Activates a project on a platform, or none.
    pub fn set_active(&mut self, base: &str, project: Option<&str>) {
        self.project(base).insert("active_project".to_owned(), project.into());
    }

    /// Activates a key of a project on a platform.
    pub fn set_key(&mut self, base: &str, project: &str, key: &SecretString) {
        let keys = self.project(base).entry("active_api_keys").or_insert_with(|| json!({}));
        if let Value::Object(keys) = keys {
            keys.insert(project.to_owned(), key.expose_secret().into());
        }
    }

    fn project(&mut self, base: &str) -> &mut Map<String, Value> {
        let key = self.entry(base, false);
        object(self.user(&key), "project")
    }

    /// The key of the entry that is used on a platform. One is made if there is none, or if a new one
    /// is wanted.
    fn entry(&mut self, base: &str, is_new: bool) -> String {
        if let Some(known) = self.key_at(base).filter(|_| !is_new) {
            return known.clone();
        }
        let base = normal(base);
        let key = json!([base, NOBODY]).to_string();
        object(&mut self.whole, "active_profiles").insert(base.to_owned(), key.clone().into());
        self.user(&key).insert("api_url".to_owned(), base.into());
        key
    }

    fn user(&mut self, key: &str) -> &mut Map<String, Value> {
        object(object(&mut self.whole, "users"), key)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self) -> Result<()> {
        let failed = || format!("failed to write {}", self.path.display());
        let bytes = serde_json::to_vec_pretty(&self.whole).context(failed)?;
        output::write_credential(&self.path, &bytes)
    }
}

/// The object in a field, which is made if there is none.
fn object<'a>(of: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let value = of.entry(field).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(object) => object,
        _ => unreachable!("it was made one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(whole: Value) -> Profiles {
        let Value::Object(whole) = whole else { panic!("no object") };
        Profiles { path: PathBuf::new(), whole }
    }

    fn two() -> Profiles {
        profiles(json!({
            "active_user_id": "[\"https://a.example\",\"1\"]",
            "active_profiles": {
                "https://a.example": "[\"https://a.example\",\"2\"]",
                "https://api.meshagent.com": "gone",
            },
            "users": {
                "[\"https://a.example\",\"1\"]": {
                    "api_url": "https://a.example", "session": {"access_token": "one"},
                },
                "[\"https://a.example\",\"2\"]": {
                    "api_url": "https://a.example/",
                    "session": {"access_token": "two", "extra": 1},
                    "project": {
                        "active_project": "p", "active_api_keys": {"p": "ma-k"},
                        "llm_proxy_bearer_token": "kept",
                    },
                },
                "legacy": {"session": {"access_token": "three"}},
            },
            "later": true,
        }))
    }

    #[test]
    fn the_entry_that_is_active_on_a_platform_is_used_there() {
        let profiles = two();
        let token = |base: &str| profiles.session(base).and_then(|it| text(it, "access_token"));
        assert_eq!(token("https://a.example/"), Some("two"));
        // What is said to be active may be gone, and an entry without a URL is the default one's.
        assert_eq!(token(DEFAULT_URL), Some("three"));
        assert_eq!(token("https://b.example"), None);
        let projects = profiles.projects("https://a.example");
        assert_eq!((projects[0].active.as_deref(), projects[0].keys.len()), (Some("p"), 1));
        assert!(projects[1..].iter().all(|it| it.active.is_none()));
    }

    #[test]
    fn what_changes_leaves_the_rest_as_it_was() {
        let mut profiles = two();
        profiles.set_session("https://a.example", json!({"access_token": "new"}), false);
        profiles.set_active("https://a.example", Some("q"));
        profiles.set_key("https://a.example", "q", &SecretString::from("ma-q"));
        let user = &profiles.whole["users"]["[\"https://a.example\",\"2\"]"];
        assert_eq!(user["session"], json!({"access_token": "new", "extra": 1}));
        assert_eq!(user["project"]["llm_proxy_bearer_token"], "kept");
        assert_eq!(user["project"]["active_api_keys"], json!({"p": "ma-k", "q": "ma-q"}));
        assert_eq!(profiles.whole["later"], true);
        // Somebody else may have signed in.
        profiles.set_session("https://a.example", json!({"access_token": "other"}), true);
        let key = "[\"https://a.example\",\"__local__\"]";
        assert_eq!(profiles.whole["active_profiles"]["https://a.example"], key);
        assert_eq!(profiles.whole["users"][key]["api_url"], "https://a.example");
        profiles.set_session("https://a.example", Value::Null, false);
        assert!(profiles.session("https://a.example").is_none());
        assert_eq!(profiles.whole["users"].as_object().unwrap().len(), 4);
    }
}
