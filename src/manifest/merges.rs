//! *Pure*: a map may be merged with others by one `<<`. A second one would be a key that
//! stands twice, which the library does not see.

use granit_parser::{Event, Parser, ScalarStyle, Span};

/// Where a map has its second `<<`, if one has; of a text that is no YAML only what stands
/// before its fault is looked at.
pub(super) fn second_merge(text: &str) -> Option<Span> {
    if !text.contains("<<") {
        return None;
    }
    let options = granit_parser::options! { emit_comments: false };
    let mut collections: Vec<Collection> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, place) = event.ok()?;
        match &event {
            Event::SequenceEnd | Event::MappingEnd => {
                collections.pop();
                continue;
            }
            Event::Scalar(..)
            | Event::Alias(..)
            | Event::SequenceStart(..)
            | Event::MappingStart(..) => {}
            _ => continue,
        }
        if let Some(Collection::Map { is_key, merges }) = collections.last_mut() {
            let is_merge = *is_key
                && matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            *is_key = !*is_key;
            *merges += usize::from(is_merge);
            if is_merge && *merges > 1 {
                return Some(place);
            }
        }
        match event {
            Event::SequenceStart(..) => collections.push(Collection::List),
            Event::MappingStart(..) => {
                collections.push(Collection::Map { is_key: true, merges: 0 });
            }
            _ => {}
        }
    }
    None
}

/// A list or map that has begun.
enum Collection {
    List,
    Map {
        /// Whether a key comes next.
        is_key: bool,
        /// How many `<<` there were.
        merges: usize,
    },
}
