//! *Pure*: the form of names inside of rooms: participants, and the paths of files.

use serde_json::{Value, json};

use super::{NAME_LIMIT, name, within};

/// How many characters the path of a file in a room may have.
const PATH_LIMIT: usize = 1024;

/// How many bytes a part of the path of a file in a room may have.
const PATH_PART_LIMIT: usize = 255;

/// The names of participants whose secrets are declared.
const IDENTITY_PATTERN: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f/]*[^\\s\\u0000-\\u001f\\u007f-\\u009f/][^\\u0000-\\u001f\\u007f-\\u009f/]*$";

/// The paths of files in rooms.
const FILE_PATH_PATTERN: &str =
    "^[^\\u0000-\\u001f\\u007f-\\u009f/]+(/[^\\u0000-\\u001f\\u007f-\\u009f/]+)*$";

/// What a schema says of the name of a participant.
pub(super) fn of_identity() -> Value {
    json!({"minLength": 1, "maxLength": NAME_LIMIT, "pattern": IDENTITY_PATTERN})
}

/// What a schema says of the path of a file in a room.
pub(super) fn of_file_path() -> Value {
    json!({"minLength": 1, "maxLength": PATH_LIMIT, "pattern": FILE_PATH_PATTERN})
}

/// The name of a participant whose secrets are declared.
///
/// # Errors
///
/// As [`name`]; a `/`.
pub(super) fn identity(text: &str) -> Result<(), String> {
    name(text)?;
    match text.contains('/') {
        true => Err("must not contain `/`".to_owned()),
        false => Ok(()),
    }
}

/// The path of a file in a room.
///
/// # Errors
///
/// It is empty or too long, has control characters, or has a part that is empty, `.` or `..`.
pub(super) fn file_path(text: &str) -> Result<(), String> {
    within(text, PATH_LIMIT)?;
    let is_odd = |part: &str| matches!(part, "" | "." | "..") || part.len() > PATH_PART_LIMIT;
    if text.chars().any(char::is_control) || text.split('/').any(is_odd) {
        return Err(format!(
            "must be a path below the room's storage, such as `prompts/greeting.md`, whose parts have at most {PATH_PART_LIMIT} bytes"
        ));
    }
    Ok(())
}
