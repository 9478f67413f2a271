//! `~/.meshagent/project.json`: the activated project and the activated API keys, in the format of
//! the reference; or the same in `settings.json`, if there is one. It is written completely or not at all, only for its owner. The data of an
//! embedded platform has such a file of its own.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::PlatformArgs;
use super::home_file::{self, Others};
use super::profiles::Profiles;
use crate::conceal;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::own_folder;

/// The activated project and keys.
#[derive(Debug, Clone, Default)]
pub struct Activated {
    /// The file; `None` where the home folder is not known.
    path: Option<PathBuf>,
    /// The platform in use, where `settings.json` says by platform what is activated.
    profile: Option<String>,
    /// The id of the activated project.
    pub active_project: Option<String>,
    keys: IndexMap<String, SecretString>,
    /// The platforms of the keys, by project, if it is not the default one.
    platforms: IndexMap<String, String>,
    others: Others,
}

/// The file's format. It holds secrets as text, so it never leaves this module.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Form {
    active_project: Option<String>,
    active_api_keys: Option<IndexMap<String, String>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    api_key_platforms: IndexMap<String, String>,
    /// Keeps what another version of the program wrote.
    #[serde(flatten)]
    others: Others,
}

/// Its name, in whatever folder it is.
const NAME: &str = "project.json";

fn path() -> Option<PathBuf> {
    Some(std::env::home_dir()?.join(own_folder::NAME).join(NAME))
}

impl Activated {
    /// Reads the file; a missing file is like an empty one. What `settings.json` says counts more.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that others may have written.
    pub fn read() -> Result<Self> {
        let mut read = path().map_or_else(|| Ok(Self::default()), Self::read_from)?;
        let Some(profiles) = Profiles::read()? else { return Ok(read) };
        let base = PlatformArgs::default().url();
        // The first ones count most.
        for project in profiles.projects(&base).into_iter().rev() {
            for (id, key) in project.keys {
                read.activate_key(&id, &key, &project.base);
            }
            read.active_project = project.active.or(read.active_project);
        }
        Ok(Self { profile: Some(base), ..read })
    }

    /// The same for an embedded platform, which keeps its data in a folder. What is activated
    /// there is no project of any other platform.
    ///
    /// # Errors
    ///
    /// As [`Activated::read`].
    pub fn read_embedded(data: &Path) -> Result<Self> {
        Self::read_from(data.join(NAME))
    }

    fn read_from(path: PathBuf) -> Result<Self> {
        let hint = "fix it, or delete it and activate a project again";
        let form: Option<Form> = home_file::read(&path, "this is not a valid project file", hint)?;
        let form = form.unwrap_or_default();
        let keys = form.active_api_keys.unwrap_or_default();
        let keys: IndexMap<_, _> = keys
            .into_iter()
            .map(|(project, key)| (project, SecretString::from(key.trim())))
            .collect();
        keys.values().for_each(conceal::credential);
        Ok(Self {
            path: Some(path),
            profile: None,
            active_project: form.active_project,
            keys,
            platforms: form.api_key_platforms,
            others: form.others,
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self) -> Result<()> {
        if let (Some(base), Some(mut profiles)) = (&self.profile, Profiles::read()?) {
            profiles.set_active(base, self.active_project.as_deref());
            for (project, key) in &self.keys {
                let of = self.platforms.get(project).map_or(super::DEFAULT_URL, String::as_str);
                profiles.set_key(of, project, key);
            }
            return profiles.write();
        }
        let unknown = || Error::usage("the home folder is not known");
        let path = self.path.as_ref().ok_or_else(unknown)?;
        let failed = || format!("failed to write {}", path.display());
        // The data of a platform may be in a folder that is shared on purpose.
        let is_in_home = self::path().as_ref() == Some(path);
        if let Some(folder) = path.parent().filter(|_| is_in_home) {
            own_folder::create_private(folder).context(failed)?;
        }
        let text = |key: &SecretString| key.expose_secret().to_owned();
        let form = Form {
            active_project: self.active_project.clone(),
            active_api_keys: Some(
                self.keys.iter().map(|(project, key)| (project.clone(), text(key))).collect(),
            ),
            api_key_platforms: self.platforms.clone(),
            others: self.others.clone(),
        };
        output::write_credential(path, &serde_json::to_vec(&form).context(failed)?)
    }

    /// Whether a key of a project is activated. Keys in an older format are not used.
    #[must_use]
    pub fn has_key(&self, project: &str) -> bool {
        self.key_of(project).is_some()
    }

    /// The projects with an activated key for the platform at `base`.
    pub fn projects_at(&self, base: &str) -> impl Iterator<Item = &str> {
        let is_there = move |project: &&str| matches!(self.key_for(project, base), Ok(Some(_)));
        self.keys.keys().map(String::as_str).filter(is_there)
    }

    fn key_of(&self, project: &str) -> Option<&SecretString> {
        self.keys.get(project).filter(|key| key.expose_secret().starts_with("ma-"))
    }

    /// The activated key of a project, to send to a platform, or to sign tokens for it.
    ///
    /// # Errors
    /// The key is another platform's.
    pub fn key_for(&self, project: &str, base: &str) -> Result<Option<&SecretString>> {
        let Some(key) = self.key_of(project) else { return Ok(None) };
        let of = self.platforms.get(project).map(String::as_str);
        let what = format!("the activated key of project {project}");
        super::check_platform(&what, of, base).map_err(|error| {
            error.hint("activate a key of that platform: `meshagent api-key activate`, or set MESHAGENT_API_KEY")
        })?;
        Ok(Some(key))
    }

    /// Activates a key of a project on the platform at `base`.
    pub fn activate_key(&mut self, project: &str, key: &SecretString, base: &str) {
        self.keys.insert(project.to_owned(), key.clone());
        let base = base.trim_end_matches('/');
        self.platforms.shift_remove(project);
        if base != super::DEFAULT_URL {
            self.platforms.insert(project.to_owned(), base.to_owned());
        }
    }
}
