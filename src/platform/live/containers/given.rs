//! What a container is given: files, variables, and a token by which it is a participant.

use std::path::PathBuf;
use std::sync::Arc;

use meshagent_containers::{Mount, Variables};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::super::files::{FilePath, failed};
use super::super::gates;
use super::super::room::Room;
use super::super::toolkits::agents::admit;
use super::super::toolkits::storage::blocking;
use super::Containers;
use crate::kinds::specs::mounts::ContainerMountSpec;
use crate::platform::auth::scope;
use crate::platform::live::calls::{Caller, denied, refused};
use crate::platform::objects::project_files;
use crate::room::codes;
use crate::room::containers::Pair;
use crate::room::content::Refused;

/// The folder of copies of the project's files, below that of the room's.
const COPIES: &str = "project";

/// The variable with the token by which a container is a participant.
pub const TOKEN: &str = "MESHAGENT_TOKEN";

/// For whom something is given to a container.
#[derive(Clone, Copy)]
pub struct Giving<'a> {
    /// The room.
    pub room: &'a Arc<Room>,
    /// The participant who asks; none for the room's own services, which may have all of it.
    pub caller: Option<&'a Caller>,
}

impl Giving<'_> {
    /// What is mounted.
    ///
    /// # Errors
    ///
    /// The caller may not use these files; a mount that is not possible here; the system's.
    pub async fn mounts(&self, spec: &Value) -> Result<Vec<Mount>, Refused> {
        let spec = ContainerMountSpec::deserialize(spec)
            .map_err(|error| Refused::invalid(format!("the mounts are not valid: {error}")))?;
        let mut mounts = Vec::new();
        for it in spec.room.iter().flatten() {
            let below = it.subpath.as_deref().unwrap_or_default();
            mounts.push(self.of_room(below, &it.path, it.read_only).await?);
        }
        if let Some(project) = spec.project.as_ref().filter(|it| !it.is_empty()) {
            if project.iter().any(|it| !it.read_only) {
                return Err(impossible("files of the project are mounted to be read only"));
            }
            let trusted = self.project_files().await?;
            for it in project {
                let below = FilePath::parse(it.subpath.as_deref().unwrap_or_default())?;
                mounts.push(Mount::Folder {
                    trusted: trusted.clone(),
                    below: below.text().to_owned(),
                    target: it.path.clone(),
                    read_only: true,
                });
            }
        }
        for it in spec.images.iter().flatten() {
            if !it.read_only {
                return Err(impossible("images are mounted to be read only"));
            }
            let below = FilePath::parse(it.subpath.as_deref().unwrap_or_default())?;
            mounts.push(Mount::Image {
                image: it.image.clone(),
                below: below.text().to_owned(),
                target: it.path.clone(),
            });
        }
        for it in spec.files.iter().flatten() {
            mounts.push(Mount::Text {
                text: it.text.clone(),
                target: it.path.clone(),
                read_only: it.read_only,
            });
        }
        for it in spec.empty_dirs.iter().flatten() {
            if it.read_only {
                return Err(impossible("an empty folder that is read only can hold nothing"));
            }
            mounts.push(Mount::Empty { target: it.path.clone(), size: None });
        }
        for it in spec.volumes.iter().flatten() {
            mounts.push(self.volume(it).await?);
        }
        if spec.configs.as_ref().is_some_and(|it| !it.is_empty()) {
            return Err(impossible("`configs` is not given to containers here"));
        }
        Ok(mounts)
    }

    /// Files of the room. A folder that is to be written is made where there is none.
    pub async fn of_room(
        &self,
        below: &str,
        target: &str,
        read_only: bool,
    ) -> Result<Mount, Refused> {
        let path = FilePath::parse(below)?;
        if let Some(caller) = self.caller {
            let scope = caller.guest.scope.as_ref();
            if !scope.is_some_and(|scope| gates::may_mount(scope, &path, !read_only)) {
                return Err(denied());
            }
        }
        let below = path.text().to_owned();
        let trusted =
            blocking(&self.room.files(), move |files| files.folder_for(&path, !read_only)).await?;
        Ok(Mount::Folder { trusted, below, target: target.to_owned(), read_only })
    }

    async fn volume(
        &self,
        it: &crate::kinds::specs::mounts::VolumeMount,
    ) -> Result<Mount, Refused> {
        let name = FilePath::parse(&it.name)?;
        if name.text() != it.name || it.name.is_empty() || it.name.contains('/') {
            return Err(impossible("the name of a volume is one part of a path"));
        }
        let below =
            FilePath::parse(&format!("{}/{}", it.name, it.subpath.as_deref().unwrap_or_default()))?;
        let text = below.text().to_owned();
        let trusted = blocking(&self.room.files(), move |files| files.volume_for(&below)).await?;
        let target = it.path.clone();
        Ok(Mount::Folder { trusted, below: text, target, read_only: it.read_only })
    }

    /// A copy of the project's files, for one container. It is removed with those of its room.
    async fn project_files(&self) -> Result<std::path::PathBuf, Refused> {
        if let Some(caller) = self.caller
            && !caller.guest.participant.builds()
        {
            return Err(denied());
        }
        let folder = self.room.files().folder().join(COPIES);
        let own = folder.join(uuid::Uuid::new_v4().to_string());
        let store = &self.room.house.store;
        let copied = project_files::copy(store.reads(), &self.room.project, &own).await;
        copied.map_err(|error| match error {
            project_files::NotCopied::TooLarge(most) => refused(
                codes::OPERATION_FAILED,
                format!("the files of the project have more than {most} MiB, too much to mount"),
            ),
            project_files::NotCopied::System(error) => failed(&error),
            project_files::NotCopied::Store(refusal) => {
                refused(codes::OPERATION_FAILED, refusal.to_string())
            }
        })?;
        Ok(own)
    }

    /// The variables of a container: those that are asked for, and those of the room where these say
    /// nothing else.
    ///
    /// # Errors
    ///
    /// The engine fails.
    pub async fn variables(
        &self,
        containers: &Containers,
        asked: Variables,
    ) -> Result<Variables, Refused> {
        let room = self.room;
        let url = containers.url(room, containers.engine().await?).await?;
        let below = |path: &[&str]| in_room(&url, &room.name, path);
        let own = [
            ("ANTHROPIC_BASE_URL", below(&["anthropic"])),
            ("OPENAI_BASE_URL", below(&["openai", "v1"])),
            ("MESHAGENT_API_URL", url.clone()),
            ("MESHAGENT_PROJECT_ID", room.project.clone()),
            ("MESHAGENT_ROOM", room.name.clone()),
            ("MESHAGENT_SESSION_ID", room.session.clone()),
        ];
        let own = own.into_iter().map(|(name, of)| (name.to_owned(), of.into()));
        let own: Variables =
            own.filter(|(name, _)| asked.iter().all(|(other, _)| other != name)).collect();
        Ok(own.into_iter().chain(asked).collect())
    }

    /// The token by which the container is a participant. It grants no more than the caller has.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn token(
        &self,
        caller: &Caller,
        (name, role): (&str, &str),
    ) -> Result<SecretString, Refused> {
        let own = caller.guest.participant.scope().cloned().unwrap_or_default();
        let api = match scope::excess(&scope::usual(), own.clone()) {
            Ok(None) => scope::usual(),
            _ => own,
        };
        let signed = async {
            let given = caller.guest.participant.given(self.room.house.store.reads()).await?;
            admit(self.room, given, (name, role), api).await
        };
        signed.await.map_err(|refusal| refused(codes::OPERATION_FAILED, refusal.to_string()))
    }
}

/// A URL of a room, below that of its platform.
pub fn in_room(platform: &str, name: &str, path: &[&str]) -> String {
    let Ok(mut url) = url::Url::parse(platform) else { return platform.to_owned() };
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(["rooms", name]).extend(path);
    }
    url.into()
}

/// Copies of files that are mounted into one container. They are removed with this.
#[derive(Debug, Default)]
pub struct Copies(Vec<PathBuf>);

impl Copies {
    /// Those among some mounts.
    pub fn of(mounts: &[Mount], room: &Room) -> Self {
        let folder = room.files().folder().join(COPIES);
        let copies = mounts.iter().filter_map(|mount| match mount {
            Mount::Folder { trusted, .. } if trusted.parent() == Some(&folder) => {
                Some(trusted.clone())
            }
            _ => None,
        });
        Self(copies.collect())
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        for copy in std::mem::take(&mut self.0) {
            let remove = move || drop(std::fs::remove_dir_all(copy));
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
    }
}

/// Pairs as the engine takes them.
pub fn pairs(pairs: Vec<Pair>) -> Variables {
    pairs.into_iter().map(|pair| (pair.key, pair.value.into())).collect()
}

fn impossible(text: &str) -> Refused {
    refused(codes::INVALID_REQUEST, text)
}

/// A place below one of the mounts: the folder that is trusted, and the path below it.
///
/// # Errors
///
/// It is below none of them, or in an image.
pub fn below<'a>(mounts: &'a [Mount], path: &str) -> Result<(&'a Mount, String), Refused> {
    let of = |mount: &'a Mount| {
        let target = mount.target().trim_end_matches('/');
        let rest = path.strip_prefix(target)?;
        (rest.is_empty() || rest.starts_with('/'))
            .then(|| (mount, rest.trim_matches('/').to_owned()))
    };
    let mut found: Vec<_> = mounts.iter().filter_map(of).collect();
    found.sort_by_key(|(mount, _)| mount.target().len());
    match found.pop() {
        Some((mount @ Mount::Folder { .. }, rest)) => Ok((mount, rest)),
        Some(_) => Err(impossible("the path is not in files of the room or the project")),
        None => Err(refused(
            codes::INVALID_REQUEST,
            format!("the path {path:?} is below none of the mounts"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_room_is_one_part_of_its_url() {
        let url = in_room("http://10.89.0.1:7/", "a/b ?", &["openai", "v1"]);
        assert_eq!(url, "http://10.89.0.1:7/rooms/a%2Fb%20%3F/openai/v1");
    }

    #[test]
    fn a_path_belongs_to_the_mount_that_is_nearest() {
        let folder = |target: &str| Mount::Folder {
            trusted: "/t".into(),
            below: String::new(),
            target: target.to_owned(),
            read_only: true,
        };
        let mounts =
            [folder("/w"), folder("/w/src"), Mount::Empty { target: "/e".into(), size: None }];
        let found = |path: &str| {
            below(&mounts, path).map(|(mount, rest)| (mount.target().to_owned(), rest)).ok()
        };
        assert_eq!(found("/w"), Some(("/w".to_owned(), String::new())));
        assert_eq!(found("/w/a/b/"), Some(("/w".to_owned(), "a/b".to_owned())));
        assert_eq!(found("/w/src/x"), Some(("/w/src".to_owned(), "x".to_owned())));
        assert_eq!(found("/w/source"), Some(("/w".to_owned(), "source".to_owned())));
        assert_eq!((found("/wx"), found("/e/a"), found("/")), (None, None, None));
    }
}
