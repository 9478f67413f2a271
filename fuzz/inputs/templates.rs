//! A template, by the platform's rules and by those of `*.j2` files.

use std::path::PathBuf;

use meshagent::manifest::reach::Reach;
use meshagent::manifest::source::Source;
use meshagent::manifest::template::{self, Values};
use meshagent::manifest::values::{self, FileValues};

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let given: Values = [("name".to_owned(), "a".to_owned())].into_iter().collect();
    let _ = template::render(text, &given);
    let source = Source::new("m.j2".to_owned(), PathBuf::from("/nonexistent"), text.to_owned());
    let _ = values::render(source, &FileValues::default(), &Reach::default());
}
