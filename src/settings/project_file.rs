//! `~/.meshagent/project.json`: the activated project and the activated API keys, in the
//! form of the reference. It is written whole or not at all, for its owner only.

use std::path::PathBuf;

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounded;
use crate::error::{Context, Error, Result};
use crate::output;
use crate::own_folder;

/// What is activated.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectFile {
    /// The id of the activated project.
    pub active_project: Option<String>,
    active_api_keys: Option<IndexMap<String, String>>,
    /// The platforms that the keys are of, by project, where it is not the usual one.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    api_key_platforms: IndexMap<String, String>,
    /// What another version of the program wrote stays.
    #[serde(flatten)]
    others: IndexMap<String, Value>,
}

fn path() -> Option<PathBuf> {
    Some(std::env::home_dir()?.join(".meshagent/project.json"))
}

impl ProjectFile {
    /// Reads the file; one that is not there says nothing.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read() -> Result<Self> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let text = match bounded::text(&path, bounded::STANDARD) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(
                    Error::failed(format!("failed to read {}", path.display())).because(error)
                );
            }
        };
        let file: Self = serde_json::from_str(&text).map_err(|error| {
            Error::usage(format!("{} is not what it should be: {error}", path.display()))
                .hint("mend it, or delete it and activate a project again")
        })?;
        let keys = file.active_api_keys.iter().flat_map(|keys| keys.values());
        keys.for_each(|key| output::conceal(&SecretString::from(key.as_str())));
        Ok(file)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self) -> Result<()> {
        let path = path().ok_or_else(|| Error::usage("the home folder is not known"))?;
        let failed = || format!("failed to write {}", path.display());
        let folder = path.parent().ok_or_else(|| Error::failed(failed()))?;
        own_folder::create_private(folder).context(failed)?;
        let written = Self {
            active_api_keys: Some(self.active_api_keys.clone().unwrap_or_default()),
            ..self.clone()
        };
        output::write_credential(&path, &serde_json::to_vec(&written).context(failed)?)
    }

    /// The activated key of a project. Keys of an older form are not used.
    #[must_use]
    pub fn key_of(&self, project: &str) -> Option<&str> {
        let key = self.active_api_keys.as_ref()?.get(project)?;
        key.starts_with("ma-").then_some(key.as_str())
    }

    /// The activated key of a project, to be sent to a platform.
    ///
    /// # Errors
    ///
    /// It is another platform's.
    pub fn key_for(&self, project: &str, base: &str) -> Result<Option<&str>> {
        let Some(key) = self.key_of(project) else { return Ok(None) };
        let of = self.api_key_platforms.get(project).map(String::as_str);
        let what = format!("the activated key of project {project}");
        super::check_platform(&what, of, base).map_err(|error| {
            error.hint("activate one of that platform: `meshagent api-key activate`, or set MESHAGENT_API_KEY")
        })?;
        Ok(Some(key))
    }

    /// Activates a key of a project on the platform at `base`.
    pub fn activate_key(&mut self, project: &str, key: &str, base: &str) {
        self.active_api_keys.get_or_insert_default().insert(project.to_owned(), key.to_owned());
        let base = base.trim_end_matches('/');
        self.api_key_platforms.shift_remove(project);
        if base != super::DEFAULT_URL {
            self.api_key_platforms.insert(project.to_owned(), base.to_owned());
        }
    }
}
