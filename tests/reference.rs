//! Where the reference's Python is, and what its absence means.

use std::path::PathBuf;

use crate::absent;

/// The variable that names a Python interpreter with the reference installed.
const PYTHON: &str = "MESHAGENT_TEST_PYTHON";

/// The interpreter; its absence is reported, and in continuous integration it is a failure.
pub fn python(what: &str) -> Option<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) {
        return Some(python.into());
    }
    absent::unless(false, what, &format!("a Python with the reference, named by {PYTHON}"));
    None
}
