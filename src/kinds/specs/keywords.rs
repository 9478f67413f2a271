//! The extension keywords of the schemas. An attribute of schemars takes only a literal, so
//! types spell them out; `tests/schemas.rs` holds that they spell no other.

/// On a list or map, with the value `absent`: `null`, `[]`, `{}` and absent are one and the same.
pub const EMPTY: &str = "x-empty";

/// On a list, with the name of a field: items are told apart by it; order carries no meaning.
pub const KEY: &str = "x-key";

/// On a list of scalars, with `true`: order carries no meaning.
pub const SET: &str = "x-set";

/// On a list with [`KEY`], with `true`: the platform takes several items of one key.
pub const REPEATS: &str = "x-repeats";

/// On a list, with names of fields: its order matters, and no two items agree in these.
pub const UNIQUE: &str = "x-unique";

/// With `true`: its text is never shown.
pub const SECRET: &str = "x-secret";

/// With `true`: what neither the manifest nor the set's last apply named is left alone. On a map,
/// these are keys in it; on a list with [`KEY`], items of it; on anything else, it is the field itself.
pub const PARTIAL: &str = "x-partial";

/// On a number or text, with `true`: a text of digits is the number.
pub const NUMBER: &str = "x-number";

/// With the name of a [rule](super::rules): what it must look like.
pub const RULE: &str = "x-rule";

/// All of them.
pub const ALL: [&str; 9] = [EMPTY, KEY, SET, REPEATS, UNIQUE, SECRET, PARTIAL, NUMBER, RULE];
