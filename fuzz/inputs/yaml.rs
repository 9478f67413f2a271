//! A manifest: whatever it holds, it declares something or is refused.

use std::path::PathBuf;
use std::sync::Arc;

use meshagent::manifest::set::{Input, from_sources};
use meshagent::manifest::source::Source;
use meshagent::manifest::yaml;
use meshagent::output::render_problem;

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = yaml::parse(text);
    for name in ["m.yaml", "m.json"] {
        let source = Source::new(name.to_owned(), PathBuf::from("."), text.to_owned());
        let input = Input { project: Some("p".to_owned()), ..Input::default() };
        if let Err(problems) = from_sources(&[Arc::new(source)], Vec::new(), &input) {
            problems.iter().for_each(|problem| drop(render_problem(problem)));
        }
    }
}
