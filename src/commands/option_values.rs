//! Options whose values are more than plain text: JSON, annotations, the room.

use serde_json::{Map, Value};

use crate::error::{Class, Error, Result};
use crate::kinds::path::FieldPath;
use crate::kinds::tree::Tree;
use crate::manifest::values::exact_json;
use crate::output;
use crate::settings::variable;

/// Reads an option that is JSON, or a file of JSON, which may begin with the mark of its encoding.
///
/// # Errors
/// The text is not JSON.
pub fn json(option: &str, text: Option<&str>, class: Class) -> Result<Option<Value>> {
    text.map(|text| {
        exact_json(text.strip_prefix('\u{feff}').unwrap_or(text))
            .map_err(|error| Error::new(class, format!("{option} is {error}")))
    })
    .transpose()
}

/// Reads annotations: a JSON object with string values.
///
/// # Errors
///
/// Anything else.
pub fn annotations(text: Option<&str>) -> Result<Option<Map<String, Value>>> {
    let example = "for example --annotations '{\"team\": \"sales\"}'";
    match json("--annotations", text, Class::Usage).map_err(|error| error.hint(example))? {
        None => Ok(None),
        Some(Value::Object(map)) if map.values().all(Value::is_string) => Ok(Some(map)),
        Some(_) => {
            Err(Error::usage("--annotations is not a JSON object with string values").hint(example))
        }
    }
}

/// Warns that a secret is on the command line, and says what to do instead.
pub fn warn_of_secret(option: &str, instead: &str) {
    output::warning(&format!(
        "other users of this machine can see the value of {option} while the program runs, and the shell keeps it in its history; {instead}"
    ));
}

/// Annotations as a change of the field that holds them; an empty map removes the field.
#[must_use]
pub fn annotations_change(annotations: &Map<String, Value>) -> (FieldPath, Option<Tree>) {
    let path = FieldPath::of(&["metadata", "annotations"]);
    (path, (!annotations.is_empty()).then(|| Tree::from(&Value::Object(annotations.clone()))))
}

/// Reads annotations; an empty text means none.
///
/// # Errors
///
/// As [`annotations`].
pub fn annotations_or_none(text: Option<&str>) -> Result<Option<Map<String, Value>>> {
    match text.map(str::trim) {
        Some("") => Ok(Some(Map::new())),
        text => annotations(text),
    }
}

/// The text of an option, as a change of a top-level field.
#[must_use]
pub fn text_change(field: &str, text: Option<&str>) -> Option<(FieldPath, Option<Tree>)> {
    text.map(|text| (FieldPath::of(&[field]), Some(Tree::text(text))))
}

/// The room that an option names, else the one in the environment.
#[must_use]
pub fn room(given: Option<String>) -> Option<String> {
    given.filter(|room| !room.is_empty()).or_else(|| variable("MESHAGENT_ROOM"))
}

/// The same, if a room is required.
///
/// # Errors
///
/// Nothing names a room.
pub fn named_room(given: Option<String>, option: &str, class: Class) -> Result<String> {
    room(given).ok_or_else(|| {
        Error::new(class, "no room is given").hint(format!("give {option}, or set MESHAGENT_ROOM"))
    })
}
