//! *Pure*: the toolkit `containers`, which every room has where there is an engine for them: what
//! runs in containers of the room, and images. Read from the public SDK 0.31.4,
//! `room_server_client.py`. What is said in the streams of `exec` and `logs` is in `streams`.
//!
//! Must not live here: engines and how they are spoken with, which are in the crate
//! `meshagent-containers`.

mod streams;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use self::streams::{
    CommandLine, ERROR, Event, ExecStart, INPUT, INPUT_END, Input, KILL, LogsStart, OUTPUT, RESIZE,
    STATUS,
};
use super::operation::{At, Operation, done, or_nothing};

/// The toolkit's name.
pub const TOOLKIT: &str = "containers";

/// How somebody signs in at a registry of images.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Credential {
    /// The registry's host; the usual one where nothing is said.
    #[serde(default)]
    pub registry: Option<String>,
    /// Who.
    pub username: String,
    /// The password.
    pub password: Password,
}

/// A password. It cannot be printed.
#[derive(Debug, Clone)]
pub struct Password(pub SecretString);

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(text.into()))
    }
}

/// Which images there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListImages {}

/// The images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    /// Each image once, with all of its tags.
    pub images: Vec<Image>,
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// What identifies its content.
    pub id: String,
    /// Its names with their tags.
    #[serde(default, deserialize_with = "or_nothing")]
    pub tags: Vec<String>,
    /// How large it is, in bytes.
    #[serde(default, deserialize_with = "or_nothing")]
    pub size: u64,
    /// What its makers noted. On the wire, it is an object or a list of keys and values.
    #[serde(default, deserialize_with = "labels")]
    pub labels: BTreeMap<String, String>,
}

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub key: String,
    /// The value.
    pub value: String,
}

fn labels<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Labels {
        Map(BTreeMap<String, String>),
        List(Vec<Pair>),
    }
    Ok(match Option::deserialize(from)? {
        None => BTreeMap::new(),
        Some(Labels::Map(labels)) => labels,
        Some(Labels::List(labels)) => labels.into_iter().map(|it| (it.key, it.value)).collect(),
    })
}

/// Removes an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteImage {
    /// Its name with the tag, or its id.
    pub image: String,
}

/// Fetches an image from its registry. It is answered when the image is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PullImage {
    /// Its name with the tag.
    pub tag: String,
    /// With what.
    #[serde(default, deserialize_with = "or_nothing")]
    pub credentials: Vec<Credential>,
}

/// Sends an image to its registry, in a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushImage {
    /// Its name with the tag.
    pub tag: String,
    /// With what.
    #[serde(default, deserialize_with = "or_nothing")]
    pub credentials: Vec<Credential>,
    /// Whether nobody else may look at the job.
    #[serde(default, deserialize_with = "or_nothing")]
    pub private: bool,
}

/// Takes images from an archive, in a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadImage {
    /// What is there for the job, as in services; usually one.
    #[serde(default, deserialize_with = "or_nothing")]
    pub mounts: Vec<Value>,
    /// The archive, as a path below one of the mounts.
    pub archive_path: String,
    /// Whether nobody else may look at the job.
    #[serde(default, deserialize_with = "or_nothing")]
    pub private: bool,
}

/// Writes an image to an archive, in a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaveImage {
    /// The image's name with the tag.
    pub tag: String,
    /// What is there for the job, as in services; usually one.
    #[serde(default, deserialize_with = "or_nothing")]
    pub mounts: Vec<Value>,
    /// The archive, as a path below one of the mounts.
    pub archive_path: String,
    /// Whether nobody else may look at the job.
    #[serde(default, deserialize_with = "or_nothing")]
    pub private: bool,
}

/// Builds an image, in a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Build {
    /// The image's name with the tag.
    pub tag: String,
    /// What is there for the job, as in services; usually one.
    #[serde(default, deserialize_with = "or_nothing")]
    pub mounts: Vec<Value>,
    /// The folder to build, as a path below one of the mounts.
    pub context_path: String,
    /// Its instructions, as a path below one of the mounts; `Dockerfile` in the folder where
    /// nothing is said.
    #[serde(default)]
    pub dockerfile_path: Option<String>,
    /// Whether nobody else may look at the job.
    #[serde(default, deserialize_with = "or_nothing")]
    pub private: bool,
    /// With what images are fetched that it is built on.
    #[serde(default, deserialize_with = "or_nothing")]
    pub credentials: Vec<Credential>,
}

/// A port of a container, and where it is reached on the room's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortPair {
    /// In the container.
    pub container_port: u16,
    /// Outside of it.
    pub host_port: u16,
}

/// Runs a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// The image's name with the tag.
    pub image: String,
    /// The command line; the image's own where nothing is said.
    #[serde(default)]
    pub command: Option<String>,
    /// The folder to start in.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// Environment variables.
    #[serde(default, deserialize_with = "or_nothing")]
    pub env: Vec<Pair>,
    /// Where the files of the room are in the container. It is older than `mounts`.
    #[serde(default)]
    pub mount_path: Option<String>,
    /// The part of them that is meant.
    #[serde(default)]
    pub mount_subpath: Option<String>,
    /// The role of the participant that the container may be.
    #[serde(default)]
    pub role: Option<String>,
    /// The name of the participant that the container may be: it is given a token.
    #[serde(default)]
    pub participant_name: Option<String>,
    /// Ports that are reached on the room's machine.
    #[serde(default, deserialize_with = "or_nothing")]
    pub ports: Vec<PortPair>,
    /// With what the image is fetched.
    #[serde(default, deserialize_with = "or_nothing")]
    pub credentials: Vec<Credential>,
    /// The container's name in the room.
    #[serde(default)]
    pub name: Option<String>,
    /// Notes. The public SDK sends none.
    #[serde(default)]
    pub annotations: Option<Value>,
    /// What is mounted, as in services.
    #[serde(default)]
    pub mounts: Option<Value>,
    /// Whether it may write outside of its mounts.
    #[serde(default)]
    pub writable_root_fs: Option<bool>,
    /// Whether nobody else may use it.
    #[serde(default)]
    pub private: Option<bool>,
}

/// Runs the container of a service that starts on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunService {
    /// The service's id.
    pub service_id: String,
    /// Environment variables besides its own.
    #[serde(default, deserialize_with = "or_nothing")]
    pub env: Vec<Pair>,
}

/// A container that was started, or a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its id.
    pub container_id: String,
}

/// Stops a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Its id.
    pub container_id: String,
    /// Whether it is not asked to end first.
    #[serde(default, deserialize_with = "or_nothing")]
    pub force: bool,
}

/// Waits until a container ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitForExit {
    /// Its id.
    pub container_id: String,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The code of its first process.
    pub exit_code: i64,
}

/// Removes a container that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// Its id.
    pub container_id: String,
}

/// Which containers there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Whether those that have ended are told, too.
    #[serde(default)]
    pub all: Option<bool>,
}

/// The containers of a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containers {
    /// From the one that was started first.
    pub containers: Vec<Container>,
}

/// A container of a room, or a job with an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its image.
    #[serde(default)]
    pub image: Option<String>,
    /// Who started it.
    pub started_by: StartedBy,
    /// How it is.
    pub state: ContainerState,
    /// How it is, in the engine's words.
    #[serde(default)]
    pub status: Option<String>,
    /// Its name in the room.
    #[serde(default)]
    pub name: Option<String>,
    /// The service that it runs.
    #[serde(default)]
    pub service_id: Option<String>,
    /// Whether only who started it may use it.
    pub private: bool,
}

/// Who started a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedBy {
    /// The participant's id at that time.
    pub id: String,
    /// The participant's name.
    pub name: String,
}

/// How a container is. Clients know only these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ContainerState {
    /// It was not started yet.
    Created,
    /// It runs.
    Running,
    /// It has ended.
    Exited,
    /// Anything else.
    #[serde(other)]
    Unknown,
}

/// Declares operations with the answer that each has.
macro_rules! answered {
    ($($asked:ty => $tool:literal, $answer:ty $(; waits = $waits:literal)?),+ $(,)?) => {$(
        impl Operation for $asked {
            type Answer = $answer;
            const AT: At = At::Tool(TOOLKIT, $tool);

            $(fn waits(&self) -> bool {
                $waits
            })?
        }
    )+};
}

answered! {
    ListImages => "list_images", Images,
    PushImage => "push_image", Started; waits = true,
    LoadImage => "load_image", Started; waits = true,
    SaveImage => "save_image", Started; waits = true,
    Build => "build", Started; waits = true,
    Run => "run", Started; waits = true,
    RunService => "run_service", Started; waits = true,
    WaitForExit => "wait_for_exit", Exit; waits = true,
    List => "list_containers", Containers,
}

done! {
    DeleteImage => At::Tool(TOOLKIT, "delete_image"),
    PullImage => At::Tool(TOOLKIT, "pull_image"); waits = true,
    Stop => At::Tool(TOOLKIT, "stop_container"); waits = true,
    Delete => At::Tool(TOOLKIT, "delete_container"),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(asked: &impl Operation) -> Value {
        serde_json::to_value(asked).unwrap()
    }

    #[test]
    fn a_run_is_spelled_as_the_public_sdk_spells_it() {
        let run = Run {
            image: "i".to_owned(),
            ports: vec![PortPair { container_port: 80, host_port: 8080 }],
            env: vec![Pair { key: "A".to_owned(), value: "b".to_owned() }],
            credentials: vec![Credential {
                registry: None,
                username: "u".to_owned(),
                password: Password("p".to_owned().into()),
            }],
            mounts: Some(json!({"room": [{"path": "/r", "read_only": false}]})),
            ..Run::default()
        };
        assert!(!format!("{run:?}").contains("\"p\""));
        assert_eq!(
            sent(&run).to_string(),
            json!({
                "image": "i",
                "command": null,
                "working_dir": null,
                "env": [{"key": "A", "value": "b"}],
                "mount_path": null,
                "mount_subpath": null,
                "role": null,
                "participant_name": null,
                "ports": [{"container_port": 80, "host_port": 8080}],
                "credentials": [{"registry": null, "username": "u", "password": "p"}],
                "name": null,
                "annotations": null,
                "mounts": {"room": [{"path": "/r", "read_only": false}]},
                "writable_root_fs": null,
                "private": null,
            })
            .to_string()
        );
        assert_eq!(sent(&Run::default())["mounts"], Value::Null);
    }

    #[test]
    fn what_a_request_leaves_out_is_as_if_it_were_null() {
        let run = Run::read(&json!({"image": "i", "env": null, "ports": null})).unwrap();
        assert_eq!((run.image.as_str(), run.env.len(), run.private), ("i", 0, None));
        assert!(Run::read(&json!({"image": "i", "ports": [{"container_port": 0}]})).is_err());
        let stop = Stop::read(&json!({"container_id": "c", "force": null})).unwrap();
        assert!(!stop.force);
    }

    #[test]
    fn labels_come_in_both_forms() {
        for labels in [json!({"a": "b"}), json!([{"key": "a", "value": "b"}])] {
            let image: Image =
                serde_json::from_value(json!({"id": "x", "tags": null, "labels": labels})).unwrap();
            assert_eq!(image.labels["a"], "b");
        }
    }

    #[test]
    fn a_state_that_nobody_knows_is_unknown() {
        let state = |text: &str| serde_json::from_value::<ContainerState>(json!(text)).unwrap();
        assert_eq!(state("RUNNING"), ContainerState::Running);
        assert_eq!(state("PAUSED"), ContainerState::Unknown);
        assert_eq!(serde_json::to_value(ContainerState::Exited).unwrap(), "EXITED");
    }
}
