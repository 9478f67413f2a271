//! The path of a file or folder in a room.

use crate::platform::live::calls::refused;
use crate::room::codes;
use crate::room::content::Refused;

/// How long a path and a part of it may be, in bytes.
const LENGTH: usize = 1024;
const PART: usize = 255;

/// The path of a file or folder in a room: parts joined by slashes, none of them `.` or `..`. The
/// root is the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath(String);

impl FilePath {
    /// Reads a path. Empty parts and parts that are `.` mean nothing.
    ///
    /// # Errors
    ///
    /// A path that leads out of the room, is too long, or has control characters.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let parts: Vec<&str> =
            text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let is_odd =
            |part: &&str| *part == ".." || part.len() > PART || part.chars().any(char::is_control);
        if text.len() > LENGTH || parts.iter().any(is_odd) {
            let what = format!(
                "a path has at most {LENGTH} bytes, no part of more than {PART}, no .. and no control characters"
            );
            return Err(refused(codes::INVALID_PATH, what));
        }
        Ok(Self(parts.join("/")))
    }

    /// The path without slashes around it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// The folder that it is in, and its last part; none for the root.
    pub(super) fn split(&self) -> Option<(Self, &str)> {
        let (above, name) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        (!name.is_empty()).then(|| (Self(above.to_owned()), name))
    }

    pub(super) const fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}
