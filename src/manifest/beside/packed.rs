//! Files and folders beside a document of a source, which are in memory with it.

use std::path::Path;

use serde_json::{Value, json};

use super::super::imported::Inside;
use super::{LARGEST, LONG_RULE, LONGEST, MADE, MOST, Read, Wrong, is_plain, outside, plain};
use crate::kinds::Beside;

/// The path in the source of what a document names, which must be below the folder of its file.
pub(super) fn within(inside: &Inside, named: &str) -> Result<String, Wrong> {
    let refused = || outside(format!("{named:?} is not a path below the folder of the manifest"));
    let written = Path::new(named);
    let has_name = named.split('/').any(|part| !["", "."].contains(&part));
    match inside.path_of(named) {
        Ok(path) if has_name && is_plain(written) => Ok(path),
        _ => Err(refused()),
    }
}

/// Reads what a document names.
pub(super) fn read(
    inside: &Inside,
    beside: Beside,
    named: &str,
    read: &mut Read,
) -> Result<Value, Wrong> {
    if beside == Beside::Context {
        let hint = "build the image where the source is kept, and name it in `container.image`";
        let told = "no image is built of a folder of a source: whether its files can be executed is not known";
        return Err(Wrong(told.to_owned(), Some(hint.to_owned())));
    }
    let path = within(inside, named)?;
    match beside {
        Beside::File => {
            let bytes = inside.file(named).map_err(Wrong::from)?;
            if bytes.len() >= LONGEST {
                let told = format!("{named} is larger than {} bytes", LONGEST - 1);
                return Err(Wrong(told, Some(LONG_RULE.to_owned())));
            }
            read.packed.insert((inside.of.name.clone(), path));
            super::without_end(&text(bytes, named, read)?, named)
        }
        Beside::Bytes(field) => {
            let bytes = inside.file(named).map_err(Wrong::from)?;
            read.packed.insert((inside.of.name.clone(), path));
            super::encoded(bytes, field, read)
        }
        Beside::Folder | Beside::Context => folder(inside, &path, named, read),
    }
}

fn text(bytes: &[u8], shown: &str, read: &mut Read) -> Result<String, Wrong> {
    if bytes.len() > LARGEST {
        return Err(format!("{shown} is larger than {} KiB", LARGEST / 1024).into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
    plain(text.to_owned(), shown, read)
}

fn folder(inside: &Inside, path: &str, named: &str, read: &mut Read) -> Result<Value, Wrong> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut found = Vec::new();
    let is_made = |below: &str| below.split('/').any(|part| MADE.contains(&part));
    for (below, bytes) in inside.of.pack.below(path).filter(|(below, _)| !is_made(below)) {
        if found.len() >= MOST {
            return Err(format!("{named} has more than {MOST} files").into());
        }
        let shown = format!("{}/{below}", named.trim_end_matches('/'));
        read.packed.insert((inside.of.name.clone(), format!("{path}/{below}")));
        found.push(json!({"path": below, "text": text(bytes, &shown, read)?}));
    }
    match found.is_empty() {
        true => Err(format!("{named} has no files").into()),
        false => Ok(json!({"name": name, "files": found})),
    }
}
