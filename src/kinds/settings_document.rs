//! `kind: SettingsDocument`. A part of a project's settings, which the platform keeps as a document
//! of its own.
//!
//! Most of them are free objects that may hold credentials, so all their values are secret. The one
//! for the router has known fields and holds none.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::{Lifecycle, Metadata};
use super::path::Step;
use super::shape::Shape;
use super::tree::Tree;
use super::{Declared, Fault, Kind, KindName, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::listed::nearest;

kind_tag!(SettingsDocumentTag, SettingsDocument);

/// The documents that there may be.
pub const NAMES: [&str; 7] = ["openai", "anthropic", "grok", "otel", "admission", "room", ROUTER];

/// The document with known fields.
const ROUTER: &str = "router";

/// A settings document: one part of a project's settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "SettingsDocument")]
struct SettingsDocumentDocument {
    /// Always `v1`.
    version: Version,
    /// Always `SettingsDocument`.
    kind: SettingsDocumentTag,
    /// Which document it is: `openai`, `anthropic`, `grok`, `otel`, `admission`, `room` or
    /// `router`.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The whole document: what is not named here is not there. A value may be read from
    /// elsewhere: `{from: {env: NAME}}`. `router` has the fields `allowedModels`, `apps` and
    /// `rules`; the others have those that the platform takes.
    #[schemars(extend("x-secret" = true))]
    settings: Map<String, Value>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

/// What the router of models does.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[derive(Default)]
struct Router {
    /// The models that may be used; all of them if it is null.
    allowed_models: Option<Vec<Model>>,
    /// Which programs may use models.
    apps: Apps,
    /// What happens with requests.
    rules: Vec<RouterRule>,
}

/// A model of a provider.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Model {
    /// The provider.
    provider: String,
    /// The model.
    model: String,
}

/// Which programs may use models.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Apps {
    /// What the patterns are for, such as `blocked`.
    mode: Option<String>,
    /// Patterns of the names under which programs ask.
    user_agent_patterns: Vec<String>,
    /// Whether programs that give no name are refused.
    block_missing_user_agent: bool,
}

/// A rule for some requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RouterRule {
    /// Its name.
    #[serde(default)]
    name: Option<String>,
    /// The requests that it is for.
    #[serde(default)]
    when: Option<When>,
    /// What is done with them.
    #[serde(default)]
    then: Option<Then>,
}

/// The requests that a rule is for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct When {
    /// A header that they have.
    #[serde(default)]
    header: Option<Value>,
    /// Their models.
    #[serde(default)]
    models: Option<Vec<Value>>,
    /// Their providers.
    #[serde(default)]
    providers: Option<Vec<String>>,
    /// Their interfaces.
    #[serde(default)]
    apis: Option<Vec<String>>,
    /// How they come.
    #[serde(default)]
    transports: Option<Vec<String>>,
}

/// What is done with requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Then {
    /// What becomes of their instructions.
    #[serde(default)]
    instructions: Option<Instructions>,
    /// What becomes of their tools.
    #[serde(default)]
    tools: Option<Tools>,
}

/// What becomes of instructions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Instructions {
    /// What stands in their place.
    #[serde(default)]
    replace: Option<String>,
    /// What stands behind them.
    #[serde(default)]
    append: Option<String>,
}

/// What becomes of tools.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tools {
    /// Those with which a request is refused.
    #[serde(default)]
    deny: Option<Vec<Value>>,
    /// Those that are taken out.
    #[serde(default)]
    ignore: Option<Vec<Value>>,
    /// Those that are put in.
    #[serde(default)]
    ensure: Option<Vec<Value>>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
    super::own_fields::<SettingsDocumentDocument>(&["metadata", "metadata.description"])
});

/// The fields of the document for the router.
static OF_ROUTER: LazyLock<Shape> = LazyLock::new(Shape::of::<Router>);

/// The kind.
pub struct SettingsDocument;

/// The fields of a document with this name as the platform has it.
#[must_use]
pub fn read(name: &str, settings: &Value) -> Tree {
    let settings = match name {
        ROUTER => OF_ROUTER.read(settings),
        _ => Tree::from(settings).sealed(),
    };
    Tree::map([("settings", settings)])
}

/// What of a document with this name is not known here; nothing of those that may have any field.
#[must_use]
pub fn unknown(name: &str, settings: &Value) -> Option<Value> {
    OF_ROUTER.unknown(settings).filter(|_| name == ROUTER)
}

/// Puts what was not known of a document with this name back into its body.
pub fn keep_unknown(name: &str, body: &mut Value, unknown: &Value) {
    if name == ROUTER {
        OF_ROUTER.keep_unknown(body, unknown);
    }
}

impl Kind for SettingsDocument {
    fn name(&self) -> KindName {
        KindName::SettingsDocument
    }

    fn summary(&self) -> &'static str {
        "a settings document: keys of model providers, telemetry, admission, rooms, or the router"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<SettingsDocumentDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/settings_document.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        let document: SettingsDocumentDocument = typed(document)?;
        let name = document.metadata.name;
        if !NAMES.contains(&name.as_str()) {
            return Err(unknown_name(&name).into());
        }
        let settings = Value::Object(document.settings);
        let fields = match name.as_str() {
            ROUTER => {
                let within = |fault: Fault| {
                    let mut path = fault.path;
                    path.0.insert(0, Step::Field("settings".to_owned()));
                    Fault { path, ..fault }
                };
                let _: Router = typed(&settings).map_err(within)?;
                read(&name, &settings)
            }
            _ => match super::project::settings(&settings) {
                Tree::Secret(_) => {
                    let message = "a settings document is not read from elsewhere as a whole";
                    let hint = "read each of its values from elsewhere: `api_key: {from: …}`";
                    return Err(Fault::new(&["settings"], message).hint(hint).into());
                }
                read => {
                    let faults = super::project::misspelled_sources(&settings);
                    if !faults.is_empty() {
                        return Err(faults);
                    }
                    Tree::map([("settings", read.sealed())])
                }
            },
        };
        Ok(vec![Declared {
            project: document.project,
            room: None,
            name,
            fields,
            lifecycle: document.lifecycle.unwrap_or_else(Lifecycle::standard),
        }])
    }

    fn is_for_secrets(&self) -> bool {
        true
    }

    fn carries_owner(&self) -> bool {
        false
    }
}

/// The fault of a document with a name that none has.
fn unknown_name(name: &str) -> Fault {
    let hint = match name {
        super::room_roles::NAME => {
            "the roles of rooms are a kind of their own, `RoomRoles`".to_owned()
        }
        name => match nearest(name, NAMES.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("name one of {}", NAMES.join(", ")),
        },
    };
    Fault::new(&["metadata", "name"], "there is no settings document of this name").hint(hint)
}
