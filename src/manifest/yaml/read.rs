//! The parser's events become values: aliases are expanded, maps are merged, and everything is
//! counted.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::scalar::{by_look, by_tag, is_merge, key_text, key_value, own_name};
use super::{Key, MAX_BYTES, MAX_DEPTH, MAX_EVENTS, Mark, Node, Numbers, YamlError};

/// How many events aliases may repeat in a document.
const MAX_REPEATED: usize = 50_000;

/// How many bytes of text may be read, kept for aliases, and repeated by them.
const MAX_HELD: usize = 4 * MAX_BYTES;

/// What a text is read into.
pub(super) trait Read: Clone {
    /// The fields of a map.
    type Fields;

    /// No fields.
    fn fields() -> Self::Fields;

    /// Null, a truth value, a number or a text.
    fn scalar(value: Value, mark: Mark) -> Self;

    /// A list.
    fn list(items: Vec<Self>, mark: Mark) -> Self;

    /// A map.
    fn map(fields: Self::Fields, mark: Mark) -> Self;

    /// Adds a field.
    ///
    /// # Errors
    ///
    /// The name, where there is a field of it; that one stays.
    fn add(fields: &mut Self::Fields, name: String, mark: Mark, value: Self) -> Result<(), String>;

    /// Adds those fields of a map that are not there. `false` where this is none.
    fn merge(self, into: &mut Self::Fields) -> bool;

    /// The items of a list.
    ///
    /// # Errors
    ///
    /// Itself, if it is none.
    fn items(self) -> Result<Vec<Self>, Self>;

    /// The same with a tag; `None` where no tag is held.
    fn tagged(self, tag: String) -> Option<Self>;

    /// The same at the place of an alias.
    fn placed(&mut self, mark: Mark);

    /// Whether this is null without a tag.
    fn is_nothing(&self) -> bool;
}

impl Read for Value {
    type Fields = Map<String, Self>;

    fn fields() -> Self::Fields {
        // Most maps hold a handful, and none of them is kept for long.
        Map::with_capacity(8)
    }

    fn scalar(value: Value, _: Mark) -> Self {
        value
    }

    fn list(items: Vec<Self>, _: Mark) -> Self {
        Self::Array(items)
    }

    fn map(fields: Self::Fields, _: Mark) -> Self {
        Self::Object(fields)
    }

    fn add(fields: &mut Self::Fields, name: String, _: Mark, value: Self) -> Result<(), String> {
        match fields.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(entry) => Err(entry.key().clone()),
        }
    }

    fn merge(self, into: &mut Self::Fields) -> bool {
        let Self::Object(fields) = self else { return false };
        for (name, value) in fields {
            let _ = Self::add(into, name, Mark::default(), value);
        }
        true
    }

    fn items(self) -> Result<Vec<Self>, Self> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(other),
        }
    }

    fn tagged(self, _: String) -> Option<Self> {
        None
    }

    fn placed(&mut self, _: Mark) {}

    fn is_nothing(&self) -> bool {
        self.is_null()
    }
}

/// The fields of a map with their places.
#[derive(Default)]
pub(super) struct Placed {
    entries: Vec<(Key, Node)>,
    /// Their names, once there are so many that it takes long to look through them.
    names: HashSet<String>,
}

/// How many fields are looked through for a name.
const FEW_FIELDS: usize = 64;

impl Placed {
    fn has(&mut self, name: &str) -> bool {
        if self.entries.len() < FEW_FIELDS {
            return self.entries.iter().any(|(key, _)| key.text == name);
        }
        if self.names.is_empty() {
            self.names = self.entries.iter().map(|(key, _)| key.text.clone()).collect();
        }
        self.names.contains(name)
    }
}

impl Read for Node {
    type Fields = Placed;

    fn fields() -> Self::Fields {
        Placed::default()
    }

    fn scalar(value: Value, mark: Mark) -> Self {
        let value = match value {
            Value::Bool(value) => super::Value::Bool(value),
            Value::Number(value) => super::Value::Number(value),
            Value::String(value) => super::Value::String(value),
            _ => super::Value::Null,
        };
        Self { value, tag: None, mark }
    }

    fn list(mut items: Vec<Self>, mark: Mark) -> Self {
        items.shrink_to_fit();
        Self { value: super::Value::List(items), tag: None, mark }
    }

    fn map(mut fields: Self::Fields, mark: Mark) -> Self {
        fields.entries.shrink_to_fit();
        Self { value: super::Value::Map(fields.entries), tag: None, mark }
    }

    fn add(fields: &mut Self::Fields, name: String, mark: Mark, value: Self) -> Result<(), String> {
        if fields.has(&name) {
            return Err(name);
        }
        if !fields.names.is_empty() {
            fields.names.insert(name.clone());
        }
        fields.entries.push((Key { text: name, mark }, value));
        Ok(())
    }

    fn merge(self, into: &mut Self::Fields) -> bool {
        let super::Value::Map(entries) = self.value else { return false };
        for (key, value) in entries {
            let _ = Self::add(into, key.text, key.mark, value);
        }
        true
    }

    fn items(self) -> Result<Vec<Self>, Self> {
        match self.value {
            super::Value::List(items) => Ok(items),
            value => Err(Self { value, ..self }),
        }
    }

    fn tagged(mut self, tag: String) -> Option<Self> {
        self.tag = Some(tag);
        Some(self)
    }

    fn placed(&mut self, mark: Mark) {
        self.mark = mark;
        match &mut self.value {
            super::Value::List(items) => items.iter_mut().for_each(|item| item.placed(mark)),
            super::Value::Map(entries) => {
                for (key, value) in entries {
                    key.mark = mark;
                    value.placed(mark);
                }
            }
            _ => {}
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self { value: super::Value::Null, tag: None, .. })
    }
}

/// What an anchor stands for.
struct Anchored<T> {
    value: T,
    taken: Taken,
    /// How many lists and maps stand in each other in it.
    height: usize,
    /// Its text, where it may be a key.
    key: Option<String>,
    /// How the numbers in it are written.
    numbers: Vec<String>,
}

/// What is counted.
#[derive(Clone, Copy, Default)]
struct Taken {
    events: usize,
    bytes: usize,
}

/// Reads the documents of a text.
pub(super) struct Reader<'a, T> {
    parser: Parser<'a, StrInput<'a>>,
    text: &'a str,
    anchors: HashMap<usize, Anchored<T>>,
    taken: Taken,
    /// How much the copies take that aliases may stand for.
    copied: Taken,
    /// How many events aliases have repeated in the document.
    repeated: usize,
    /// How many lists and maps stood in each other, since the last node with an anchor began.
    deepest: usize,
    /// Where the numbers stand, and how they are written, where that is asked for.
    pub(super) numbers: Option<Numbers>,
}

type Found<'a> = (Event<'a>, Span);

impl<'a, T: Read> Reader<'a, T> {
    pub(super) fn new(text: &'a str, notes_numbers: bool) -> Self {
        let options = granit_parser::options! { emit_comments: false };
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            text,
            anchors: HashMap::new(),
            taken: Taken::default(),
            copied: Taken::default(),
            repeated: 0,
            deepest: 0,
            numbers: notes_numbers.then(Vec::new),
        }
    }

    /// All documents in which something stands.
    pub(super) fn documents(&mut self) -> Result<Vec<T>, YamlError> {
        let mut documents = Vec::new();
        loop {
            match self.next()?.0 {
                Event::StreamEnd => return Ok(documents),
                Event::DocumentStart(..) => {
                    self.anchors.clear();
                    self.repeated = 0;
                    let event = self.next()?;
                    let document = self.value(event, 0)?;
                    if !document.is_nothing() {
                        documents.push(document);
                    }
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Found<'a>, YamlError> {
        match self.parser.next_event() {
            Some(event) => event.map_err(|error| refused(&error)),
            // The end of the stream is an event, and nobody asks for one after it.
            None => Err(YamlError::new("the text ends too early")),
        }
    }

    fn count(&mut self, events: usize, bytes: usize) -> Result<(), YamlError> {
        self.taken.events += events;
        self.taken.bytes += bytes;
        self.within_limits()
    }

    /// Refuses what is too much, with the copies that aliases may stand for. These are counted
    /// apart: a copy of what holds a copy is no more than what stands there.
    fn within_limits(&self) -> Result<(), YamlError> {
        if self.taken.events + self.copied.events > MAX_EVENTS {
            return Err(YamlError::new("the text has too many values"));
        }
        match self.taken.bytes + self.copied.bytes > MAX_HELD {
            true => Err(YamlError::new("the text and what its aliases repeat are too long")),
            false => Ok(()),
        }
    }

    /// Counts a copy that is kept.
    fn copy(&mut self, taken: Taken) -> Result<(), YamlError> {
        self.copied.events += taken.events;
        self.copied.bytes += taken.bytes;
        self.within_limits()
    }

    /// The value that begins with an event, at so many levels of lists and maps.
    fn value(&mut self, (event, place): Found<'a>, depth: usize) -> Result<T, YamlError> {
        let mark = Mark::from(&place);
        let value = match event {
            Event::Scalar(text, style, 0, tag) => self.scalar(text, style, tag.as_deref(), &place),
            Event::SequenceStart(_, 0, tag) => {
                self.list(depth, mark).and_then(|list| tagged(list, tag.as_deref(), "seq"))
            }
            Event::MappingStart(_, 0, tag) => {
                self.map(depth, mark).and_then(|map| tagged(map, tag.as_deref(), "map"))
            }
            Event::Alias(anchor) => self.repeat(anchor, depth, mark),
            event => self.anchored((event, place), depth),
        };
        value.map_err(|error| error.or_at(mark))
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: &Span,
    ) -> Result<T, YamlError> {
        self.count(1, text.len())?;
        let mark = Mark::from(place);
        let is_plain = style == ScalarStyle::Plain;
        let text = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => self.as_it_ends(text, mark),
            _ => text,
        };
        let name = tag.and_then(own_name);
        let value = match (&name, is_plain) {
            (Some(name), _) => by_tag(text, name, is_plain),
            (None, false) => Ok(Value::String(text.into_owned())),
            (None, true) => {
                let noted = self.numbers.as_ref().map(|_| text.clone());
                let value = by_look(text);
                if let (Ok(Value::Number(_)), None, Some(written)) = (&value, tag, noted) {
                    self.note(mark, written.into_owned());
                }
                value
            }
        };
        tagged(T::scalar(value.map_err(YamlError::new)?, mark), tag.filter(|_| name.is_none()), "")
    }

    /// A block scalar at the end of a text that has no line feed there has none either; the
    /// parser adds one.
    fn as_it_ends(&self, text: Cow<'a, str>, mark: Mark) -> Cow<'a, str> {
        let is_last = self.text.get(mark.end..).is_none_or(str::is_empty);
        match text.strip_suffix('\n') {
            Some(bare) if is_last && !self.text.ends_with('\n') => Cow::Owned(bare.to_owned()),
            _ => text,
        }
    }

    fn note(&mut self, mark: Mark, written: String) {
        if let Some(numbers) = &mut self.numbers {
            numbers.push((mark, written));
        }
    }

    fn list(&mut self, depth: usize, mark: Mark) -> Result<T, YamlError> {
        let depth = self.below(depth)?;
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(T::list(items, mark)),
                event => items.push(self.value(event, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize, mark: Mark) -> Result<T, YamlError> {
        let depth = self.below(depth)?;
        let mut fields = T::fields();
        let mut merged: Option<(T, Mark)> = None;
        loop {
            let event = self.next()?;
            let at = Mark::from(&event.1);
            let name = match event.0 {
                Event::MappingEnd => break,
                Event::Scalar(text, style, _, tag) if is_merge(&text, style, tag.as_deref()) => {
                    let value = self.next()?;
                    let place = Mark::from(&value.1);
                    if merged.replace((self.value(value, depth)?, place)).is_some() {
                        let message = "duplicate key `<<`; to merge several maps, give one `<<` a list of them";
                        return Err(YamlError::new(message).or_at(at));
                    }
                    continue;
                }
                event => self.key(event, at).map_err(|error| error.or_at(at))?,
            };
            let event = self.next()?;
            let value = self.value(event, depth)?;
            T::add(&mut fields, name, at, value)
                .map_err(|name| YamlError::duplicate(name).or_at(at))?;
        }
        // What stands in the map itself goes before what is merged into it.
        if let Some((value, place)) = merged {
            merge(value, &mut fields).map_err(|error| error.or_at(place))?;
        }
        Ok(T::map(fields, mark))
    }

    /// The name of a field.
    fn key(&mut self, event: Event<'a>, mark: Mark) -> Result<String, YamlError> {
        let (text, style, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (text, style, anchor, tag),
            Event::Alias(anchor) => {
                let key = self.anchors.get(&anchor).and_then(|it| it.key.clone());
                let key = key.ok_or_else(|| {
                    YamlError::new("an alias used as a key must stand for a text")
                })?;
                self.count(1, key.len())?;
                return Ok(key);
            }
            _ => return Err(YamlError::new("a key must be text, not a list or a map")),
        };
        self.count(1, text.len())?;
        let key = key_text(&text, style, tag.as_deref());
        let key = key.ok_or_else(|| YamlError::new("a key must be text, not null"))?;
        if let Some(name) = tag.as_deref().and_then(own_name)
            && name != "str"
            && SORTS.contains(&name.as_ref())
        {
            return Err(YamlError::new(format!("a key must be text, not `!!{name}`")));
        }
        if anchor != 0 {
            // As a value it is what it looks like: the key `0` is a text, and its alias a number.
            let value = key_value(&key, style, tag.as_deref()).map_err(YamlError::new)?;
            let value = T::scalar(value, mark);
            let taken = Taken { events: 1, bytes: key.len() };
            self.copy(taken)?;
            let anchored =
                Anchored { value, taken, height: 0, key: Some(key.clone()), numbers: Vec::new() };
            self.anchors.insert(anchor, anchored);
        }
        Ok(key)
    }

    /// A value that aliases may stand for; a copy of it is kept.
    fn anchored(&mut self, (event, place): Found<'a>, depth: usize) -> Result<T, YamlError> {
        let mut key = None;
        let (anchor, event) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                key = key_text(&text, style, tag.as_deref());
                (anchor, Event::Scalar(text, style, 0, tag))
            }
            Event::SequenceStart(style, anchor, tag) => {
                (anchor, Event::SequenceStart(style, 0, tag))
            }
            Event::MappingStart(style, anchor, tag) => (anchor, Event::MappingStart(style, 0, tag)),
            _ => return Err(YamlError::new("a value is missing")),
        };
        let before = self.taken;
        let deepest = std::mem::replace(&mut self.deepest, depth);
        let noted = self.numbers.as_ref().map_or(0, Vec::len);
        let value = self.value((event, place), depth)?;
        let taken = Taken {
            events: self.taken.events - before.events,
            bytes: self.taken.bytes - before.bytes,
        };
        self.copy(taken)?;
        let height = self.deepest - depth;
        self.deepest = self.deepest.max(deepest);
        let numbers = self.numbers.iter().flat_map(|all| &all[noted..]);
        let numbers = numbers.map(|(_, written)| written.clone()).collect();
        let kept = Anchored { value: value.clone(), taken, height, key, numbers };
        self.anchors.insert(anchor, kept);
        Ok(value)
    }

    /// What an alias stands for, at the place of the alias.
    fn repeat(&mut self, anchor: usize, depth: usize, mark: Mark) -> Result<T, YamlError> {
        let Some(Anchored { taken, height, .. }) = self.anchors.get(&anchor) else {
            return Err(YamlError::new("the alias is inside the value that it repeats"));
        };
        let (taken, height) = (*taken, *height);
        self.repeated += taken.events;
        if self.repeated > MAX_REPEATED {
            return Err(YamlError::new("the aliases expand to too many values"));
        }
        self.count(taken.events, taken.bytes)?;
        self.deepest = self.deepest.max(depth + height);
        if depth + height > MAX_DEPTH {
            return Err(too_deep());
        }
        let Some(kept) = self.anchors.get(&anchor) else {
            return Err(YamlError::new("the alias is inside the value that it repeats"));
        };
        if let Some(numbers) = &mut self.numbers {
            numbers.extend(kept.numbers.iter().map(|written| (mark, written.clone())));
        }
        let mut value = kept.value.clone();
        value.placed(mark);
        Ok(value)
    }

    /// The level below, for what stands in a list or map.
    fn below(&mut self, depth: usize) -> Result<usize, YamlError> {
        self.count(1, 0)?;
        self.deepest = self.deepest.max(depth + 1);
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(too_deep()) }
    }
}

fn too_deep() -> YamlError {
    YamlError::new(format!("lists and maps may be at most {MAX_DEPTH} deep"))
}

/// What the parser says, at its place.
fn refused(error: &ScanError) -> YamlError {
    let told = match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(),
        ErrorKind::UnknownAnchor => YamlError::new("alias references unknown anchor"),
        _ => YamlError::new(error.info()),
    };
    told.or_at(Mark::from(error.marker()))
}

/// A value with its tag, unless that is one of YAML's own.
fn tagged<T: Read>(value: T, tag: Option<&Tag>, own: &str) -> Result<T, YamlError> {
    let Some(tag) = tag else { return Ok(value) };
    match own_name(tag) {
        None => {
            let refused = || YamlError::new(format!("the tag `{tag}` has no meaning here"));
            value.tagged(tag.to_string()).ok_or_else(refused)
        }
        // Others, such as `!!set`, say nothing that is known here.
        Some(name) if name != own && SORTS.contains(&name.as_ref()) => {
            Err(YamlError::new(format!("this does not match its tag `!!{name}`")))
        }
        Some(_) => Ok(value),
    }
}

/// Those of YAML's own tags that say of what sort a value is.
const SORTS: [&str; 9] =
    ["seq", "map", "str", "int", "float", "bool", "null", "binary", "timestamp"];

/// Adds the fields of a map, or of several, where they are not there yet.
fn merge<T: Read>(value: T, into: &mut T::Fields) -> Result<(), YamlError> {
    let maps = match value.items() {
        Ok(maps) => maps,
        Err(map) => vec![map],
    };
    for map in maps {
        if !map.is_nothing() && !map.merge(into) {
            return Err(YamlError::new("`<<` must be a map or a list of maps"));
        }
    }
    Ok(())
}
