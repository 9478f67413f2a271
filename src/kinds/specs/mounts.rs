//! What is mounted into the containers of services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::yes;

/// What is mounted into a container, by where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContainerMountSpec {
    /// Files of the room; writable unless said otherwise.
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub room: Option<Vec<RoomMount>>,
    /// Files of the project; read-only unless said otherwise.
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub project: Option<Vec<ProjectMount>>,
    /// Content of other images; read-only unless said otherwise.
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub images: Option<Vec<ImageMount>>,
    /// Files with the text given here; read-only unless said otherwise.
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub files: Option<Vec<FileMount>>,
    /// Empty folders; writable unless said otherwise.
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub empty_dirs: Option<Vec<EmptyDirMount>>,
    /// Named volumes of the room; writable unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub volumes: Option<Vec<VolumeMount>>,
    /// Where the platform puts what it tells the container about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-empty" = "absent", "x-key" = "path"))]
    pub configs: Option<Vec<ConfigMount>>,
}

/// Files of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomMount {
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// The part of the room's files to mount; all of them when absent.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Whether writing is refused.
    #[serde(default)]
    pub read_only: bool,
}

/// Files of the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectMount {
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// The part of the project's files to mount; all of them when absent.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Whether writing is refused.
    #[serde(default = "yes")]
    pub read_only: bool,
}

/// Content of another image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageMount {
    /// The image.
    #[schemars(extend("x-rule" = "image"))]
    pub image: String,
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// The part of the image to mount; all of it when absent.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Whether writing is refused.
    #[serde(default = "yes")]
    pub read_only: bool,
}

/// A file with the text given here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileMount {
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// The file's text.
    pub text: String,
    /// Whether writing is refused.
    #[serde(default = "yes")]
    pub read_only: bool,
}

/// An empty folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyDirMount {
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// Whether writing is refused.
    #[serde(default)]
    pub read_only: bool,
}

/// A named volume of the room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeMount {
    /// The volume's name.
    pub name: String,
    /// Where in the container: an absolute path.
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
    /// The part of the volume to mount; all of it when absent.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Whether writing is refused.
    #[serde(default)]
    pub read_only: bool,
}

/// What the platform tells the container about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigMount {
    /// Where in the container: an absolute path.
    #[serde(default = "usual_configs")]
    #[schemars(extend("x-rule" = "absolute-path"))]
    pub path: String,
}

/// Where configurations are mounted by default.
pub const USUAL_CONFIGS: &str = "/var/run/meshagent";

fn usual_configs() -> String {
    USUAL_CONFIGS.to_owned()
}
