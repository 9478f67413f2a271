//! `kind: Table`. A table of a room: its columns, its indexes, and the rows that it begins with.
//!
//! What else is in it is people's, so rows are neither compared nor deleted by an update. Of the rows of
//! a document the fields have just the digest and the number; the rows come along beside them
//! ([`Kind::content`]).

use std::sync::{Arc, LazyLock};

use meshagent_tables::{Field, Kind as Type, names};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::columns::{Column, Index};
use super::document::{Lifecycle, Metadata};
use super::inside::{former_in, in_folders, in_folders_of, rooms};
use super::path::{FieldPath, Step};
use super::seed_rows::{BYTES, SeedRows};
use super::service::in_rooms;
use super::shape::Shape;
use super::tree::Tree;
use super::{Beside, Declared, Fault, Held, Key, Kind, KindName, WithContent, kind_tag, typed};
use crate::kinds::specs::Version;
use crate::listed::nearest;

kind_tag!(TableTag, Table);

/// A table of a room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Table")]
struct TableDocument {
    /// Always `v1`.
    version: Version,
    /// Always `Table`.
    #[allow(dead_code, reason = "read for its schema")]
    kind: TableTag,
    /// The table's name.
    metadata: Metadata,
    /// The project, by name or id.
    #[serde(default)]
    project: Option<String>,
    /// The room, by name.
    #[serde(default)]
    #[schemars(extend("x-rule" = "segment"))]
    room: Option<String>,
    /// The rooms, by name: each gets a table of its own.
    #[serde(default)]
    rooms: Option<Vec<String>>,
    /// The namespaces that the table is in, from the outermost. Default: none. In another one it is
    /// another table.
    #[serde(default)]
    namespace: Option<Vec<String>>,
    /// Its columns, in the order that a new table has. A column that is added later may be null; one
    /// that goes, or gets another type, makes the table anew, without its rows. Columns that no
    /// document declares are left alone.
    #[schemars(extend("x-key" = "name", "x-partial" = true, "x-rule" = "not-empty"))]
    columns: Vec<Column>,
    /// Its indexes. Others are removed.
    #[serde(default)]
    #[schemars(extend("x-key" = "column", "x-repeats" = true, "x-empty" = "absent"))]
    indexes: Option<Vec<Index>>,
    /// The rows that a new table begins with: a list of objects, or `{file: PATH}`. With a `key`, they
    /// are merged into a table that is there whenever they change.
    #[serde(default)]
    rows: Option<SeedRows>,
    /// The column, of `int`, `text` or `date`, by which `rows` are told apart. A row of the table with
    /// the same value gets what its row here says; what that leaves out stays.
    #[serde(default)]
    key: Option<String>,
    /// How the reconciler treats it.
    #[serde(default)]
    lifecycle: Option<Lifecycle>,
}

/// The fields of a table.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "read for its schema")]
struct Fields {
    /// Its columns.
    #[schemars(extend("x-key" = "name", "x-partial" = true, "x-rule" = "not-empty"))]
    columns: Vec<Column>,
    /// Its indexes.
    #[schemars(extend("x-key" = "column", "x-repeats" = true, "x-empty" = "absent"))]
    indexes: Option<Vec<Index>>,
    /// The rows of its document.
    rows: Option<Rows>,
}

/// The rows of a document.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "read for its schema")]
struct Rows {
    /// How many they are.
    count: u64,
    /// Their digest, as hex.
    sha256: String,
    /// The column by which they are told apart.
    key: Option<String>,
}

static SHAPE: LazyLock<Shape> = LazyLock::new(Shape::of::<Fields>);

/// What is told where a document has other rows than those with which its table was created.
const ONCE: &str = "are written only when it is created, because no `key` tells them apart";

/// Where the columns of a document are.
fn columns_at() -> FieldPath {
    FieldPath::of(&["columns"])
}

/// What a document declares, and its rows as they are sent.
type Said = (Vec<Declared>, Option<Arc<[u8]>>);

impl TableDocument {
    /// Its columns as they are on the wire.
    fn wire(&self) -> Result<Vec<Field>, Vec<Fault>> {
        let (mut fields, mut faults) = (Vec::new(), Vec::new());
        for (index, column) in self.columns.iter().enumerate() {
            match column.field() {
                Ok(field) => fields.push(field),
                Err(message) => {
                    let path = columns_at().join(Step::Index(index)).field("type");
                    let hint = "for example `int`, `vector(384)`, `list(text)` or `\"struct(a int, b text)\"`, which needs its quotes within braces";
                    faults.push(Fault { path, message, hint: Some(hint.to_owned()) });
                }
            }
        }
        // A room would refuse it only when a former table is gone already.
        if faults.is_empty()
            && let Err((index, message)) = names::columns(&fields)
        {
            let path = columns_at().join(Step::Index(index));
            faults.push(Fault { path, message, hint: None });
        }
        if faults.is_empty() { Ok(fields) } else { Err(faults) }
    }

    /// What is wrong with its indexes and its key.
    fn misfits(&self, fields: &[Field]) -> Vec<Fault> {
        let find = |name: &str| fields.iter().find(|field| field.name == name);
        let unknown = |name: &str| {
            let near = nearest(name, fields.iter().map(|field| field.name.as_str()));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            (format!("the table has no column `{name}`"), hint)
        };
        let indexes = self.indexes.iter().flatten().enumerate().filter_map(|(index, it)| {
            let (message, hint) = match find(&it.column) {
                None => unknown(&it.column),
                Some(field) => (it.kind.fits(&field.data_type.kind).err()?, None),
            };
            let path = FieldPath::of(&["indexes"]).join(Step::Index(index)).field("column");
            Some(Fault { path, message, hint })
        });
        let mut faults: Vec<Fault> = indexes.collect();
        for (index, it) in self.indexes.iter().flatten().enumerate() {
            if self.indexes.iter().flatten().take(index).any(|other| other == it) {
                let path = FieldPath::of(&["indexes"]).join(Step::Index(index));
                let message = format!("`{}` has this index already", it.column);
                faults.push(Fault { path, message, hint: None });
            }
        }
        if let Some(key) = &self.key {
            match find(key).map(|field| &field.data_type.kind) {
                None => {
                    let (message, hint) = unknown(key);
                    faults.push(Fault { hint, ..Fault::new(&["key"], message) });
                }
                Some(Type::Int | Type::Text | Type::Date) if self.rows.is_some() => {}
                Some(Type::Int | Type::Text | Type::Date) => {
                    let fault = Fault::new(&["key"], "there are no `rows` for the `key`");
                    faults.push(fault.hint("declare some, or leave the `key` out"));
                }
                Some(_) => {
                    let what = format!("`{key}` tells no rows apart by its type");
                    faults.push(
                        Fault::new(&["key"], what).hint("the key is of `int`, `text` or `date`"),
                    );
                }
            }
        }
        faults
    }

    /// What it declares, and its rows as they are sent.
    fn read(self) -> Result<Said, Vec<Fault>> {
        let _ = self.version;
        let rooms = rooms(self.room.clone(), self.rooms.clone())?;
        let namespace = self.namespace.as_deref().unwrap_or_default();
        let name = in_folders(namespace, &self.metadata.name)?;
        let columns = self.wire()?;
        let faults = self.misfits(&columns);
        if !faults.is_empty() {
            return Err(faults);
        }
        let bytes = self.bytes(&columns)?;
        let rows = bytes.as_ref().map(|(count, bytes)| {
            let digest = Sha256::digest(bytes);
            let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            json!({"count": count, "sha256": hex, "key": self.key})
        });
        let columns: Vec<Column> = columns.into_iter().map(Column::of).collect();
        let fields = json!({"columns": columns, "indexes": self.indexes, "rows": rows});
        let mut lifecycle = self.lifecycle.clone().unwrap_or_else(Lifecycle::standard);
        former_in(namespace, &mut lifecycle);
        let fields = SHAPE.read(&fields);
        let declared = Declared { project: self.project, room: None, name, fields, lifecycle };
        Ok((in_rooms(declared, rooms), bytes.map(|(_, bytes)| Arc::from(bytes))))
    }

    /// Its rows as they are sent.
    fn bytes(&self, fields: &[Field]) -> Result<Option<(usize, Vec<u8>)>, Vec<Fault>> {
        let Some(rows) = &self.rows else { return Ok(None) };
        let rows = rows.read(fields, self.key.as_deref())?;
        Ok(Some((rows.len(), json!(rows).to_string().into_bytes())))
    }
}

/// The kind.
pub struct Table;

impl Kind for Table {
    fn name(&self) -> KindName {
        KindName::Table
    }

    fn summary(&self) -> &'static str {
        "a table of a room"
    }

    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        generator.root_schema_for::<TableDocument>()
    }

    fn example(&self) -> &'static str {
        include_str!("examples/room_table.yaml")
    }

    fn shape(&self) -> &'static Shape {
        &SHAPE
    }

    fn declare(&self, written: &Value) -> Result<Vec<Declared>, Vec<Fault>> {
        self.declare_with_content(written).0
    }

    fn content(&self, written: &Value) -> Option<Arc<[u8]>> {
        self.declare_with_content(written).1
    }

    fn declare_with_content(&self, written: &Value) -> WithContent {
        match typed(written).map_err(Vec::from).and_then(TableDocument::read) {
            Ok((declared, rows)) => (Ok(declared), rows),
            Err(faults) => (Err(faults), None),
        }
    }

    /// Of the rows, only the digest is known.
    fn document(&self, key: &Key, fields: &Tree) -> Value {
        let mut document = super::document_of(key, fields);
        document.shift_remove("rows");
        in_folders_of(&mut document, &key.name);
        Value::Object(document)
    }

    fn beside(&self, document: &Value) -> Vec<(FieldPath, Beside, String)> {
        let path = document.get("rows").and_then(|rows| rows.get("file")).and_then(Value::as_str);
        path.map(|path| (FieldPath::of(&["rows"]), Beside::Bytes(BYTES), path.to_owned()))
            .into_iter()
            .collect()
    }

    fn written_at(&self, path: &FieldPath) -> Option<FieldPath> {
        match path.0.as_slice() {
            [Step::Field(rows), Step::Field(of)] if rows == "rows" => match of.as_str() {
                "key" => Some(FieldPath::of(&["key"])),
                "count" | "sha256" => Some(FieldPath::of(&["rows"])),
                _ => None,
            },
            _ => None,
        }
    }

    fn takes_its_place(
        &self,
        path: &FieldPath,
        before: Option<&Tree>,
        after: Option<&Tree>,
    ) -> bool {
        match path.0.as_slice() {
            [Step::Field(columns), Step::Item { .. }] => {
                columns == "columns" && before.is_some() && after.is_none()
            }
            [Step::Field(columns), Step::Item { .. }, Step::Field(of)] => {
                columns == "columns" && of == "type"
            }
            _ => false,
        }
    }

    fn refused_change(
        &self,
        path: &FieldPath,
        before: Option<&Tree>,
        after: Option<&Tree>,
    ) -> Option<(String, String)> {
        let [Step::Field(columns), Step::Item { text, .. }] = path.0.as_slice() else {
            return None;
        };
        let is_never_null = after?.get("nullable") == Some(&Tree::Bool(false));
        (columns == "columns" && before.is_none() && is_never_null).then(|| {
            (
                format!(
                    "the column `{text}` is new and never null, and the rows that are there would have nothing in it"
                ),
                "apply it without `nullable: false` first, give the rows their values with `meshagent room database update`, and say it then"
                    .to_owned(),
            )
        })
    }

    fn placed_in(&self) -> Option<KindName> {
        Some(KindName::Room)
    }

    fn is_inside_rooms(&self) -> bool {
        true
    }

    fn untold(&self) -> &'static [&'static str] {
        &["rows"]
    }

    fn once(&self, fields: &Tree) -> Option<(&'static str, &'static str)> {
        let has_key = fields.get("rows").is_some_and(|rows| rows.get("key").is_some());
        (!has_key).then_some(("rows", ONCE))
    }

    fn content_digest<'a>(&self, fields: &'a Tree) -> Option<&'a str> {
        fields.get("rows")?.get("sha256").and_then(Tree::as_str)
    }

    fn lost_with_name(&self) -> Option<&'static str> {
        Some("all rows of the former one are lost")
    }

    fn lost_with(&self, held: Held<'_>) -> Option<String> {
        Some(match held {
            Held::Known(held) => {
                let count = held.get("rows").and_then(Value::as_u64).unwrap_or_default();
                format!("all of its rows are lost; there were {count} when they were counted")
            }
            Held::Unseen => "it stays if it has rows, because nobody looked at them".to_owned(),
            Held::Gone => {
                "it goes with its room, with all of its rows, and nobody looked at them".to_owned()
            }
        })
    }

    fn holding(&self, held: &Value) -> Option<String> {
        match held.get("rows").and_then(Value::as_u64) {
            Some(0) => None,
            Some(1) => Some("1 row".to_owned()),
            Some(count) => Some(format!("{count} rows")),
            None => Some("rows".to_owned()),
        }
    }

    fn written_into(&self, field: &str) -> Option<&'static str> {
        (field == "rows").then_some(
            "rows of its document that differ are written in the columns that the document gives them; other columns and other rows stay, and so do rows that the document has no more",
        )
    }

    fn carries_owner(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(more: &Value) -> Declared {
        let mut document = json!({
            "version": "v1", "kind": "Table", "metadata": {"name": "people"}, "room": "lobby",
            "columns": [{"name": "id", "type": "INT", "nullable": false}, {"name": "v", "type": "vector(2, float)"}],
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Table.declare(&document).unwrap().pop().unwrap()
    }

    #[test]
    fn a_table_is_called_by_its_namespaces_and_says_its_columns_in_one_way() {
        let moved = json!(["old", "a/b", "/people"]);
        let more = json!({"namespace": ["x", "y"], "lifecycle": {"moved_from": moved}});
        let table = declared(&more);
        assert_eq!(table.name, "x/y/people");
        assert_eq!(table.lifecycle.moved_from.0, ["x/y/old", "a/b", "people"]);
        let plain = json!([{"name": "id", "type": "int", "nullable": false}, {"name": "v", "type": "vector(2)"}]);
        assert_eq!(table.fields.reveal(), json!({"columns": plain}));
        let key = Key::new(KindName::Table, "p", table.room.clone(), table.name.clone());
        let again = Table.declare(&Table.document(&key, &table.fields)).unwrap().pop().unwrap();
        assert_eq!((again.name, again.fields), (table.name, table.fields));
    }

    #[test]
    fn of_rows_the_fields_have_the_digest_and_they_come_beside_it() {
        let rows = json!({"rows": [{"id": 1}, {"id": 2}], "key": "id"});
        let fields = declared(&rows).fields;
        assert_eq!(fields.get("rows").unwrap().sent("count"), 2);
        assert_eq!(Table.once(&fields), None);
        let digest = Table.content_digest(&fields).unwrap().to_owned();
        // Their order counts, and that of the values in one does not.
        let other = declared(&json!({"rows": [{"id": 1}, {"id": 2}]})).fields;
        assert_eq!(Table.content_digest(&other), Some(digest.as_str()));
        assert_eq!(Table.once(&other).unwrap().0, "rows");
    }

    #[test]
    fn what_makes_a_table_anew_and_what_it_cannot_become() {
        let column = FieldPath::of(&["columns"])
            .join(Step::Item { field: "name".to_owned(), text: "id".to_owned() });
        let tree = Tree::map([("nullable", Tree::Bool(false))]);
        let here = Some(&tree);
        assert!(Table.takes_its_place(&column, here, None));
        assert!(!Table.takes_its_place(&column, None, here));
        assert!(Table.takes_its_place(&column.field("type"), here, here));
        assert!(!Table.takes_its_place(&column.field("nullable"), here, here));
        assert!(Table.refused_change(&column, None, here).is_some());
        assert!(Table.refused_change(&column, here, None).is_none());
        assert!(Table.refused_change(&column, None, Some(&Tree::map([]))).is_none());
    }

    #[test]
    fn what_a_room_would_refuse_is_refused_before_anything_is_deleted() {
        let column = |name: &str| json!({"name": name, "type": "int"});
        let index = json!({"column": "id", "kind": "scalar"});
        let many: Vec<Value> = (0..1_001).map(|n| column(&format!("c{n}"))).collect();
        let key = |key: &str| json!({"key": key, "rows": []});
        for (more, path, told) in [
            (json!({"columns": [column("id"), column("_score")]}), "columns[1]", "_score"),
            (json!({"columns": [column(&"x".repeat(129))]}), "columns[0]", "128 bytes"),
            (json!({"columns": many}), "columns[1000]", "1000 columns"),
            (json!({"indexes": [index, index]}), "indexes[1]", "has this index already"),
            (key("v"), "key", "tells no rows apart"),
            (key("none"), "key", "no column `none`"),
        ] {
            let mut document = json!({
                "version": "v1", "kind": "Table", "metadata": {"name": "t"}, "room": "lobby",
                "columns": [column("id"), {"name": "v", "type": "vector(2)"}],
            });
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let faults = Table.declare(&document).unwrap_err();
            assert_eq!(faults[0].path.to_string(), path);
            assert!(faults[0].message.contains(told), "{}", faults[0].message);
        }
    }
}
