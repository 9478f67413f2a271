//! `~/.meshagent/settings.json`: sessions, projects and keys by platform and person, as the reference
//! keeps them since release 0.38. It deletes `session.json` and `project.json` once it has made this
//! file of them. So where there is one, it is read first, and what changes is written into it. What
//! this program does not know stays in it.

use std::path::PathBuf;

use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::DEFAULT_URL;
use super::home_file::{self, Others};
use crate::conceal;
use crate::error::{Context, Result};
use crate::output;
use crate::own_folder;

/// Who the reference takes for the person of a platform until it has asked there.
const NOBODY: &str = "__local__";

/// The file. It has secrets as text, so it cannot be printed.
pub(super) struct Profiles {
    path: PathBuf,
    form: Form,
}

/// The file's format.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Form {
    active_user_id: Option<String>,
    /// The key of the entry that is used, by platform.
    active_profiles: IndexMap<String, String>,
    users: IndexMap<String, User>,
    #[serde(flatten)]
    others: Others,
}

/// A person on a platform.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct User {
    api_url: Option<String>,
    /// In the form of `session.json`.
    session: Option<Map<String, Value>>,
    project: Activated,
    #[serde(flatten)]
    others: Others,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Activated {
    active_project: Option<String>,
    active_api_keys: IndexMap<String, String>,
    #[serde(flatten)]
    others: Others,
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

impl User {
    /// The platform.
    fn base(&self) -> &str {
        let url = self.api_url.as_deref().map(normal);
        url.filter(|url| !url.is_empty()).unwrap_or(DEFAULT_URL)
    }
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
        let form = home_file::read(&path, "these are no settings", hint)?;
        Ok(form.map(|form| Self { path, form }))
    }

    /// The key of the entry that is used on a platform, and the entry.
    fn at(&self, base: &str) -> Option<(&String, &User)> {
        let profiles = &self.form.active_profiles;
        let chosen = profiles.iter().find(|(url, _)| normal(url) == normal(base));
        let chosen = chosen.map(|(_, key)| key);
        let there = || self.form.users.iter().filter(|(_, user)| user.base() == normal(base));
        there().find(|(key, _)| Some(*key) == chosen).or_else(|| there().next())
    }

    /// The session on a platform, in the form of `session.json`.
    pub fn session(&self, base: &str) -> Option<Value> {
        let session = self.at(base)?.1.session.as_ref()?;
        let token = session.get("access_token")?.as_str()?;
        (!token.is_empty()).then(|| Value::Object(session.clone()))
    }

    /// Puts a session in the place of that on a platform, or ends it. A new one is nobody's until the
    /// platform was asked whose it is.
    pub fn set_session(&mut self, base: &str, session: Option<Map<String, Value>>, is_new: bool) {
        let key = self.entry(base, is_new);
        if is_new {
            self.form.active_user_id = Some(key.clone());
        }
        let user = self.form.users.entry(key).or_default();
        user.session = session.map(|now| {
            let mut whole = user.session.take().unwrap_or_default();
            whole.extend(now);
            whole
        });
    }

    /// What is activated on each platform, with that on this platform first.
    pub fn projects(&self, base: &str) -> Vec<Project> {
        let own = self.at(base).map(|(key, _)| key);
        let mut users: Vec<_> = self.form.users.iter().collect();
        users.sort_by_key(|(key, _)| Some(*key) != own);
        let project = |(key, user): (&String, &User)| {
            let keys = user.project.active_api_keys.iter().map(|(project, key)| {
                let key = SecretString::from(key.trim());
                conceal::credential(&key);
                (project.clone(), key)
            });
            let active = user.project.active_project.clone().filter(|it| !it.is_empty());
            Project {
                base: user.base().to_owned(),
                active: active.filter(|_| Some(key) == own),
                keys: keys.collect(),
            }
        };
        users.into_iter().map(project).collect()
    }

    /// Activates a project on a platform, or none.
    pub fn set_active(&mut self, base: &str, project: Option<&str>) {
        self.project(base).active_project = project.map(str::to_owned);
    }

    /// Activates a key of a project on a platform.
    pub fn set_key(&mut self, base: &str, project: &str, key: &SecretString) {
        let key = key.expose_secret().to_owned();
        self.project(base).active_api_keys.insert(project.to_owned(), key);
    }

    fn project(&mut self, base: &str) -> &mut Activated {
        let key = self.entry(base, false);
        &mut self.form.users.entry(key).or_default().project
    }

    /// The key of the entry that is used on a platform. One is made if there is none, or if a new one
    /// is wanted.
    fn entry(&mut self, base: &str, is_new: bool) -> String {
        if let Some((known, _)) = self.at(base).filter(|_| !is_new) {
            return known.clone();
        }
        let base = normal(base);
        let key = json!([base, NOBODY]).to_string();
        self.form.active_profiles.insert(base.to_owned(), key.clone());
        self.form.users.entry(key.clone()).or_default().api_url = Some(base.to_owned());
        key
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self) -> Result<()> {
        let failed = || format!("failed to write {}", self.path.display());
        let bytes = serde_json::to_vec_pretty(&self.form).context(failed)?;
        output::write_credential(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(whole: Value) -> Profiles {
        Profiles { path: PathBuf::new(), form: serde_json::from_value(whole).unwrap() }
    }

    fn object(session: Value) -> Option<Map<String, Value>> {
        session.as_object().cloned()
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
        let token = |base: &str| Some(profiles.session(base)?["access_token"].as_str()?.to_owned());
        assert_eq!(token("https://a.example/").as_deref(), Some("two"));
        // What is said to be active may be gone, and an entry without a URL is the default one's.
        assert_eq!(token(DEFAULT_URL).as_deref(), Some("three"));
        assert_eq!(token("https://b.example"), None);
        let projects = profiles.projects("https://a.example");
        assert_eq!((projects[0].active.as_deref(), projects[0].keys.len()), (Some("p"), 1));
        assert!(projects[1..].iter().all(|it| it.active.is_none()));
    }

    #[test]
    fn what_changes_leaves_the_rest_as_it_was() {
        let mut profiles = two();
        profiles.set_session("https://a.example", object(json!({"access_token": "new"})), false);
        profiles.set_active("https://a.example", Some("q"));
        profiles.set_key("https://a.example", "q", &SecretString::from("ma-q"));
        let whole = serde_json::to_value(&profiles.form).unwrap();
        let user = &whole["users"]["[\"https://a.example\",\"2\"]"];
        assert_eq!(user["session"], json!({"access_token": "new", "extra": 1}));
        assert_eq!(user["project"]["llm_proxy_bearer_token"], "kept");
        assert_eq!(user["project"]["active_api_keys"], json!({"p": "ma-k", "q": "ma-q"}));
        assert_eq!(whole["later"], true);
        // Somebody else may have signed in.
        profiles.set_session("https://a.example", object(json!({"access_token": "other"})), true);
        let key = "[\"https://a.example\",\"__local__\"]";
        let whole = serde_json::to_value(&profiles.form).unwrap();
        assert_eq!(whole["active_profiles"]["https://a.example"], key);
        assert_eq!(whole["users"][key]["api_url"], "https://a.example");
        profiles.set_session("https://a.example", None, false);
        assert!(profiles.session("https://a.example").is_none());
        assert_eq!(profiles.form.users.len(), 4);
    }
}
