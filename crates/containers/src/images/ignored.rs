//! What `.dockerignore` leaves out of the folder that an image is built of.

use globset::{GlobBuilder, GlobMatcher};

use crate::error::{Error, Result};

/// How many patterns there may be.
const MOST: usize = 1000;

/// Patterns of files that are left out, of which the last one that fits counts.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    patterns: Vec<(GlobMatcher, bool)>,
    takes_back: bool,
}

impl Ignored {
    /// Reads the lines of the file.
    pub fn read(text: &str) -> Result<Self> {
        let mut ignored = Self::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, is_taken_back) = match line.strip_prefix('!') {
                Some(rest) => (rest.trim(), true),
                None => (line, false),
            };
            let Some(path) = cleaned(line) else { continue };
            if ignored.patterns.len() == MOST {
                return Err(Error::Invalid(format!(".dockerignore has more than {MOST} patterns")));
            }
            // In Docker's patterns braces are letters.
            let path = path.replace('{', "\\{").replace('}', "\\}");
            let glob =
                GlobBuilder::new(&path).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| {
                Error::Invalid(format!("the line {line:?} of .dockerignore is no pattern: {error}"))
            })?;
            ignored.patterns.push((glob.compile_matcher(), is_taken_back));
            ignored.takes_back |= is_taken_back;
        }
        Ok(ignored)
    }

    /// Whether a file or folder is left out: by its own path, or by that of a folder above it.
    pub fn leaves_out(&self, path: &str) -> bool {
        let above = path.char_indices().filter(|it| it.1 == '/').map(|it| &path[..it.0]);
        let paths: Vec<&str> = above.chain([path]).collect();
        let fits = |glob: &GlobMatcher| paths.iter().any(|it| glob.is_match(it));
        let last = self.patterns.iter().rev().find(|(glob, _)| fits(glob));
        last.is_some_and(|(_, is_taken_back)| !is_taken_back)
    }

    /// How many patterns there are.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Whether something below a folder that is left out may be taken back.
    pub fn takes_back(&self) -> bool {
        self.takes_back
    }
}

/// A path without empty parts, `.` and `..`. Nothing, if nothing of it is left.
fn cleaned(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_out_as_docker_documents_them() {
        let text = "# comment\n\n*/temp*\n*/*/temp*\ntemp?\n/node_modules/\n*.md\n!README.md\n**/*.o\n a/../b \na{1}\n";
        let ignored = Ignored::read(text).expect("patterns");
        for out in [
            "somedir/temporary.txt",
            "somedir/temp",
            "somedir/subdir/temporary.txt",
            "tempa",
            "tempa/below",
            "node_modules",
            "node_modules/a/b",
            "NOTES.md",
            "x.o",
            "a/b/c/x.o",
            "b",
            "b/c",
            "a{1}",
        ] {
            assert!(ignored.leaves_out(out), "{out}");
        }
        for kept in [
            "temp",
            "a/b/c/temp",
            "README.md",
            "docs/NOTES.md",
            "a/node_modules",
            "x.oo",
            "a",
            "a1",
        ] {
            assert!(!ignored.leaves_out(kept), "{kept}");
        }
        assert!(ignored.takes_back());
    }

    #[test]
    fn the_last_pattern_that_fits_counts() {
        let ignored = Ignored::read("*\n!src\nsrc/secret\n").expect("patterns");
        assert!(ignored.leaves_out("other") && ignored.leaves_out("src/secret/key"));
        assert!(!ignored.leaves_out("src") && !ignored.leaves_out("src/main.rs"));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_told() {
        let told = Ignored::read("[a\n").expect_err("no pattern").to_string();
        assert!(told.starts_with("the line \"[a\" of .dockerignore is no pattern"), "{told}");
        assert!(Ignored::read(&"a\n".repeat(MOST + 1)).is_err());
    }
}
