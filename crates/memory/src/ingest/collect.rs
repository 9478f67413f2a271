//! What was found, with all that was said of it, and how it is added to a memory.

use std::collections::{HashMap, HashSet};

use meshagent_tables::value::{Row, Value};
use meshagent_tables::{Error, Result};
use rusqlite::{Connection, OptionalExtension as _};

use super::mentions::{self, CONCEPT, Mention};
use super::phrases::{JOINS, RULES, Rule};
use super::sentences::sentences;
use crate::api::Ingested;
use crate::limits;
use crate::records;
use crate::store::Column;
use crate::store::catalog::{Memory, entity, relationship};
use crate::upsert::{self, How};

/// How many names further on another one is related to.
const NEAR: usize = 4;

/// Names in a row that a rule is applied to.
const ROW: usize = 8;

/// Letters of the name of a note.
const NOTE: usize = 80;

/// Bytes of where an image came from. That is its name.
const SOURCE: usize = 1_000;

/// What was found in sources.
#[derive(Debug, Default)]
pub struct Found {
    /// How many sources there were.
    pub sources: u64,
    entities: Vec<Entity>,
    by_name: HashMap<String, usize>,
    relationships: Vec<Relationship>,
    known: HashSet<(usize, usize, &'static str)>,
}

#[derive(Debug)]
struct Entity {
    name: String,
    kind: &'static str,
    confidence: f64,
    context: String,
}

#[derive(Debug)]
struct Relationship {
    source: usize,
    target: usize,
    kind: &'static str,
    confidence: f64,
    sentence: String,
}

impl Found {
    /// Looks through a text.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.sources += 1;
        let small = mentions::small_words(text);
        for sentence in sentences(text) {
            let found = mentions::mentions(&sentence, &small);
            if found.is_empty() {
                self.entity(&beginning(&sentence), "Note", 0.5, &sentence)?;
            } else {
                self.sentence(&sentence, &found)?;
            }
        }
        Ok(())
    }

    /// Takes an image, and looks through what is said of it.
    pub fn image(&mut self, source: Option<&str>, said: &str) -> Result<()> {
        self.sources += 1;
        let source = source.map(str::trim).filter(|source| !source.is_empty());
        let name = match source {
            Some(source) => source[..source.floor_char_boundary(SOURCE)].to_owned(),
            None => beginning(said.trim()),
        };
        if name.is_empty() {
            let text = "an image has a caption, a source or annotations, to be recalled by";
            return Err(Error::invalid(text));
        }
        let image = self.entity(&name, "Image", 1.0, said.trim())?;
        let small = mentions::small_words(said);
        for sentence in sentences(said) {
            let found = mentions::mentions(&sentence, &small);
            for entity in self.sentence(&sentence, &found)? {
                self.relate(image, entity, "DEPICTS", 0.7, &sentence)?;
            }
        }
        Ok(())
    }

    /// Takes the names of a sentence, and what it says of them.
    fn sentence(&mut self, sentence: &str, found: &[Mention]) -> Result<Vec<usize>> {
        let mut entities = Vec::with_capacity(found.len());
        for mention in found {
            entities.push(self.entity(
                &mention.name,
                mention.kind,
                mention.confidence,
                sentence,
            )?);
        }
        let between = |at: usize| {
            let words = sentence.get(found[at].span.end..found[at + 1].span.start);
            words.unwrap_or_default().trim_matches(['"', '”', '»', '’', ' ', '“', '„', '«', '‘'])
        };
        // The names in a row that one belongs to.
        let mut row = 0..1;
        let mut rule: Option<(std::ops::Range<usize>, &Rule)> = None;
        for at in 1..found.len() {
            let words = between(at - 1).to_lowercase();
            if JOINS.contains(&words.as_str()) {
                row.end = at + 1;
            } else {
                let found = RULES.iter().find(|rule| rule.words.contains(&words.as_str()));
                rule = found.map(|rule| (row.clone(), rule));
                row = at..at + 1;
            }
            if let Some((sources, rule)) = &rule {
                let first = sources.end.saturating_sub(ROW).max(sources.start);
                for source in first..sources.end {
                    if row.len() <= ROW {
                        let (source, target) = (entities[source], entities[at]);
                        self.typed(source, rule.source);
                        self.typed(target, rule.target);
                        self.relate(source, target, rule.relationship, 0.8, sentence)?;
                    }
                }
            }
        }
        for (at, source) in entities.iter().enumerate() {
            for target in entities.iter().skip(at + 1).take(NEAR) {
                self.relate(*source, *target, records::RELATED_TO, 0.4, sentence)?;
            }
        }
        Ok(entities)
    }

    fn entity(
        &mut self,
        name: &str,
        kind: &'static str,
        confidence: f64,
        sentence: &str,
    ) -> Result<usize> {
        if let Some(at) = self.by_name.get(name).copied() {
            let known = &mut self.entities[at];
            if known.kind == CONCEPT && kind != CONCEPT {
                (known.kind, known.confidence) = (kind, confidence);
            }
            add_context(&mut known.context, sentence);
            return Ok(at);
        }
        if self.entities.len() >= limits::FOUND {
            let most = limits::FOUND;
            let text = format!("more than {most} entities are found; ingest parts of it");
            return Err(Error::invalid(text));
        }
        let mut context = String::new();
        add_context(&mut context, sentence);
        self.by_name.insert(name.to_owned(), self.entities.len());
        self.entities.push(Entity { name: name.to_owned(), kind, confidence, context });
        Ok(self.entities.len() - 1)
    }

    /// Takes what a rule says that an entity is, if nothing else is known.
    fn typed(&mut self, entity: usize, kind: Option<&'static str>) {
        let known = &mut self.entities[entity];
        if let Some(kind) = kind
            && known.kind == CONCEPT
        {
            (known.kind, known.confidence) = (kind, 0.8);
        }
    }

    /// Adds a relationship. [`records::RELATED_TO`] says nothing of what is related otherwise.
    fn relate(
        &mut self,
        source: usize,
        target: usize,
        kind: &'static str,
        confidence: f64,
        sentence: &str,
    ) -> Result<()> {
        let weak = kind == records::RELATED_TO;
        let any = "";
        let pair = [(source, target, any), (target, source, any)];
        if source == target || (weak && pair.iter().any(|it| self.known.contains(it))) {
            return Ok(());
        }
        self.known.insert((source, target, any));
        if !self.known.insert((source, target, kind)) {
            return Ok(());
        }
        if self.relationships.len() >= limits::FOUND_RELATIONSHIPS {
            let most = limits::FOUND_RELATIONSHIPS;
            let text = format!("more than {most} relationships are found; ingest parts of it");
            return Err(Error::invalid(text));
        }
        let sentence = sentence.to_owned();
        self.relationships.push(Relationship { source, target, kind, confidence, sentence });
        Ok(())
    }
}

/// Adds what was found to a memory.
pub fn keep(file: &Connection, memory: &mut Memory, found: Found) -> Result<Ingested> {
    let mut ids = Vec::with_capacity(found.entities.len());
    let mut names = Vec::with_capacity(found.entities.len());
    let mut entities = Vec::with_capacity(found.entities.len());
    for entity in found.entities {
        let record = match known(file, memory, &entity.name)? {
            Some((id, context)) => {
                ids.push(id.clone());
                let mut record = vec![field("entity_id", id)];
                if let Some(mut context) = context {
                    entity.context.lines().for_each(|sentence| add_context(&mut context, sentence));
                    record.push(field("context", context));
                }
                record
            }
            None => {
                let id = records::entity_id(&entity.name, Some(entity.kind));
                ids.push(id.clone());
                vec![
                    field("entity_id", id),
                    field("name", entity.name.clone()),
                    field("entity_type", entity.kind.to_owned()),
                    field("context", entity.context),
                    ("confidence".to_owned(), Value::Float(entity.confidence)),
                ]
            }
        };
        names.push(entity.name);
        entities.push(record);
    }
    let relationships = found.relationships.into_iter().filter_map(|it| {
        let (source, target) = (&ids[it.source], &ids[it.target]);
        (source != target).then(|| {
            vec![
                field("source_entity_id", source.clone()),
                field("target_entity_id", target.clone()),
                field("relationship_type", it.kind.to_owned()),
                field("description", it.sentence),
                ("confidence".to_owned(), Value::Float(it.confidence)),
                field("source_entity_name", names[it.source].clone()),
                field("target_entity_name", names[it.target].clone()),
            ]
        })
    });
    let relationships: Vec<Row> = relationships.collect();
    let words = Some(memory.words());
    let how = How { merge: true, created: Some(entity::CREATED), words };
    let entities = upsert::upsert(file, memory.entities_mut(), entities, how)?;
    let how = How { merge: true, created: Some(relationship::CREATED), words: None };
    let relationships = upsert::upsert(file, memory.relationships_mut(), relationships, how)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(Ingested {
        entities: entities.added,
        relationships: relationships.added,
        sources: found.sources,
        entity_ids: ids,
    })
}

/// The id of the first entity of a name, with its context if there is room for more in it.
fn known(
    file: &Connection,
    memory: &Memory,
    name: &str,
) -> Result<Option<(String, Option<String>)>> {
    let statement = format!(
        "SELECT {id}, iif({context} IS NULL, '', iif(length({context}) < ?2, {context}, NULL))
         FROM {table} WHERE {name} = ?1 ORDER BY row LIMIT 1",
        id = Column::At(entity::ID),
        context = Column::At(entity::CONTEXT),
        name = Column::At(entity::NAME),
        table = memory.entities().table(),
    );
    let mut statement = file.prepare_cached(&statement)?;
    let values = (name, limits::CONTEXT);
    Ok(statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn field(name: &str, text: String) -> (String, Value) {
    (name.to_owned(), Value::Text(text))
}

/// Adds a sentence, unless it is there or the context is long. Nothing is taken away: what was
/// there may be somebody's own words.
fn add_context(context: &mut String, sentence: &str) {
    let long = context.len() + sentence.len() >= limits::CONTEXT;
    if sentence.is_empty() || long || context.lines().any(|known| known == sentence) {
        return;
    }
    if !context.is_empty() {
        context.push('\n');
    }
    context.push_str(sentence);
}

/// The beginning of a text, up to a word.
fn beginning(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(NOTE) else { return text.to_owned() };
    let cut = text[..end].rfind(' ').unwrap_or(end);
    format!("{}…", &text[..cut])
}
