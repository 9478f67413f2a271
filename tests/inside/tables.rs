//! Tables and memories of rooms, declared.

use serde_json::{Value, json};

use super::Set;

/// A room, and in it a table with two rows.
const TABLE: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n\
    version: v1\nkind: Table\nmetadata: {name: people}\nroom: lobby\ncolumns:\n\
    - {name: id, type: int, nullable: false}\n- {name: name, type: text}\n\
    indexes: [{column: id, kind: scalar}]\nkey: id\nrows: [{id: 1, name: Ada}, {id: 2, name: Bob}]\n";

/// A table that the set does not know any more.
const NO_TABLE: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";

impl Set {
    fn table(&self, code: i32, arguments: &[&str]) -> String {
        self.room(code, &[&["database"], arguments].concat()).stdout
    }

    /// The rows of the table in the order of their ids.
    fn rows(&self) -> Vec<Value> {
        let rows = self.table(0, &["search", "-t", "people"]);
        let mut rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        rows.sort_by_key(|row| row["id"].as_i64());
        rows
    }

    fn insert(&self, rows: &Value) {
        self.table(0, &["insert", "-t", "people", "--json", &rows.to_string()]);
    }

    /// The operations of a plan with their reasons, and the notes beside them.
    fn told(&self, code: i32, more: &[&str]) -> String {
        let run = self.run(code, &[&["plan"], more].concat());
        format!("{}{}", run.stdout, run.stderr)
    }
}

/// The names of the columns and indexes of the table as a plan would have them.
fn columns(set: &Set) -> Vec<String> {
    let told: Value =
        serde_json::from_str(&set.table(0, &["inspect", "-t", "people", "--json"])).unwrap();
    told.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_table_becomes_as_declared_and_keeps_what_people_write() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    assert_eq!(set.rows(), [json!({"id": 1, "name": "Ada"}), json!({"id": 2, "name": "Bob"})]);
    set.insert(&json!([{"id": 3, "name": "Eve"}]));
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    // Columns, notes on them and indexes are changed in place, wherever they stand.
    set.edit(
        "- {name: id, type: int, nullable: false}\n",
        "- {name: tags, type: list(text), metadata: {a: b}}\n- {name: id, type: int, nullable: false, metadata: {c: d}}\n",
    );
    set.edit("[{column: id, kind: scalar}]", "[{column: name, kind: full_text}]");
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(
            set.plan(more),
            [
                "update Table/people@lobby columns[name=tags],columns[name=id].metadata.c,indexes[column=name],indexes[column=id]"
            ],
            "{more:?}"
        );
    }
    set.apply(0, &[]);
    assert_eq!(set.rows().len(), 3);
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    // The order of columns alone is no change.
    set.edit(
        "- {name: tags, type: list(text), metadata: {a: b}}\n- {name: id, type: int, nullable: false, metadata: {c: d}}\n- {name: name, type: text}\n",
        "- {name: name, type: text}\n- {name: id, type: int, nullable: false, metadata: {c: d}}\n- {name: tags, type: list(text), metadata: {a: b}}\n",
    );
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    set.apply(0, &[]);
    set.edit("nullable: false", "nullable: true");
    assert_eq!(set.plan(&[]), ["update Table/people@lobby columns[name=id].nullable"]);
    set.apply(0, &[]);
    assert_eq!(set.rows().len(), 3);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn rows_of_a_document_are_merged_by_their_key_and_otherwise_written_once() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    set.insert(&json!([{"id": 3, "name": "Eve"}]));
    set.table(0, &["add-columns", "-t", "people", "-c", "note text"]);
    let noted = r#"{"note": "people's"}"#;
    set.table(0, &["update", "-t", "people", "--where", "id > 0", "--values-json", noted]);
    set.edit("{id: 2, name: Bob}", "{id: 2, name: Bea}");
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), ["update Table/people@lobby rows.sha256"], "{more:?}");
    }
    set.apply(0, &[]);
    let names = |set: &Set| -> Vec<String> {
        set.rows().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&set), ["Ada", "Bea", "Eve"]);
    let told = set.told(0, &["--enter-rooms"]);
    let said = "columns[name=note]`, which no document declares; it stays";
    assert!(told.contains(said), "{told}");
    assert!(set.rows().iter().all(|row| row["note"] == "people's"), "{:?}", set.rows());
    // Rows that no document has any more stay.
    set.edit(", {id: 2, name: Bea}", "");
    let told = set.told(0, &["--enter-rooms"]);
    assert!(told.contains("so do rows that the document has no more"), "{told}");
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(names(&set), ["Ada", "Bea", "Eve"]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    // Without a key nothing is known of which rows they are.
    set.edit("key: id\nrows: [{id: 1, name: Ada}]", "rows: [{id: 1, name: Una}]");
    for more in [&[][..], &["--enter-rooms"]] {
        let told = set.told(0, more);
        let said = "the `rows` of Table/people@lobby are not applied: they are written only when it is created";
        assert!(told.contains(said), "{told}");
        assert_eq!(set.plan(more), [""; 0]);
        set.apply(0, more);
    }
    assert_eq!(names(&set), ["Ada", "Bea", "Eve"]);
    // A file has rows as well.
    std::fs::write(set.0.path("set/people.csv"), "id,name\n2,Bob\n4,\"Zoë, M.\"\n").unwrap();
    set.edit("rows: [{id: 1, name: Una}]", "key: id\nrows: {file: people.csv}");
    set.apply(0, &[]);
    assert_eq!(names(&set), ["Ada", "Bob", "Eve", "Zoë, M."]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    let notes: Vec<Value> = set.rows().iter().map(|row| row["note"].clone()).collect();
    assert_eq!(json!(notes), json!(["people's", "people's", "people's", null]));
    // What a row leaves out stays; what is null in it becomes null. What else differs is written.
    set.table(
        0,
        &["update", "-t", "people", "--where", "id = 2", "--values-json", r#"{"name": "Rob"}"#],
    );
    set.edit(
        "rows: {file: people.csv}",
        "rows: [{id: 2, name: Bob}, {id: 3, name: null}, {id: 4}]",
    );
    set.apply(0, &[]);
    let names: Vec<Value> = set.rows().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(json!(names), json!(["Ada", "Bob", null, "Zoë, M."]));
}

#[test]
fn a_file_of_rows_beside_the_manifest_is_no_manifest() {
    let set = Set::new(TABLE);
    let rows = "[{id: 1, name: Ada}, {id: 2, name: Bob}]";
    set.edit(rows, "{file: people.json}");
    set.0.write("set/people.json", r#"[{"id": 1, "name": "Ada"}]"#);
    let run = set.apply(0, &[]);
    let said = "people.json is named by a document, and not read as a manifest";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert_eq!(set.rows(), [json!({"id": 1, "name": "Ada"})]);
    // Where nobody names it, it is a manifest with a fault, and so is one that is given by itself.
    let given = set.0.embedded(6, &["plan", "-f", "set/set.yaml", "-f", "set/people.json"]);
    assert!(given.stderr.contains("people.json:1:1"), "{}", given.stderr);
    set.edit("{file: people.json}", "[]");
    let run = set.run(6, &["plan"]);
    assert!(run.stderr.contains("people.json:1:1"), "{}", run.stderr);
}

#[test]
fn a_table_is_made_anew_only_with_a_word_of_its_rows() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    set.insert(&json!([{"id": 3, "name": "Eve"}]));
    // A type that changes, and a column that goes.
    set.edit("{name: name, type: text}", "{name: name, type: date}");
    set.edit("[{id: 1, name: Ada}, {id: 2, name: Bob}]", "[{id: 7}]");
    let unseen = set.told(0, &[]);
    assert!(unseen.contains("it stays if it has rows, because nobody looked at them"), "{unseen}");
    let run = set.apply(5, &[]);
    assert!(
        run.stderr.contains("Table/people@lobby has 3 rows, and nobody looked"),
        "{}",
        run.stderr
    );
    let told = set.told(0, &["--enter-rooms"]);
    let said = "`columns[name=name].type` cannot be changed in place; all of its rows are lost; there were 3 when they were counted";
    assert!(told.contains(said), "{told}");
    let diff = set.run(0, &["diff", "--enter-rooms"]).stdout;
    assert!(diff.contains(&format!("# replace Table/people@lobby: {said}")), "{diff}");
    set.edit("room: lobby\n", "room: lobby\nlifecycle: {prevent_destroy: true}\n");
    assert!(set.told(6, &[]).contains("but it is protected"));
    set.edit("lifecycle: {prevent_destroy: true}\n", "");
    set.apply(6, &["--allow-deletes", "0"]);
    assert_eq!(set.rows().len(), 3);
    let run = set.apply(0, &["--enter-rooms"]);
    for half in
        ["delete Table/people@lobby, to be created again", "create Table/people@lobby again"]
    {
        assert_eq!(run.stderr.matches(&format!("done: {half}\n")).count(), 1, "{}", run.stderr);
    }
    assert_eq!(set.rows(), [json!({"id": 7, "name": null})]);
    set.edit("- {name: name, type: date}\n", "");
    assert_eq!(
        set.plan(&[]),
        ["delete Table/people@lobby", "create Table/people@lobby columns[name=name]"]
    );
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(columns(&set), ["id"]);
    // A new column that is never null has nothing for the rows that are there.
    set.edit("columns:\n", "columns:\n- {name: at, type: date, nullable: false}\n");
    set.edit("{id: 7}", "{id: 7, at: 2026-11-30}");
    let told = set.told(6, &[]);
    assert!(
        told.contains("set/set.yaml:10:") && told.contains("the column `at` is new and never null"),
        "{told}"
    );
}

#[test]
fn a_saved_plan_deletes_no_rows_that_were_written_after_it() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    set.insert(&json!([{"id": 3, "name": "Eve"}]));
    let rows = "[{id: 1, name: Ada}, {id: 2, name: Bob}]";
    let replaced = TABLE
        .replace("name: name, type: text", "name: name, type: date")
        .replace(rows, "[{id: 1}]");
    for (n, document) in [replaced.as_str(), NO_TABLE].into_iter().enumerate() {
        set.0.write("set/set.yaml", document);
        let saved = ["plan", "--enter-rooms", "--allow-deletes", "1", "--out", "saved.plan"];
        set.run(0, &saved);
        set.insert(&json!([{"id": 4 + n, "name": "late"}]));
        let run = set.0.embedded(5, &["apply", "--yes", "saved.plan"]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("Table/people@lobby"), "{said}");
        assert_eq!(set.rows().len(), 4 + n);
        set.run(0, &saved);
    }
    set.0.embedded(0, &["apply", "--yes", "saved.plan"]);
    assert_eq!(set.table(0, &["table"]).trim(), "");
}

#[test]
fn a_table_with_another_name_or_namespace_is_another_one() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    set.edit(
        "room: lobby\n",
        "room: lobby\nnamespace: [staff]\nlifecycle: {moved_from: /people}\n",
    );
    let told = set.told(0, &[]);
    let said = "Table/people@lobby cannot be renamed in place, so Table/staff/people@lobby is created in its place: all rows of the former one are lost";
    assert!(told.contains(said) && told.contains("it stays if it has rows"), "{told}");
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(set.table(0, &["table"]).trim(), "");
    let rows = set.table(0, &["search", "-t", "people", "-n", "staff"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&rows).unwrap().len(), 2);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    set.0.write("set/set.yaml", NO_TABLE);
    let told = set.told(0, &["--enter-rooms", "--allow-deletes", "1"]);
    assert!(told.contains("all of its rows are lost; there were 2"), "{told}");
    set.apply(0, &["--enter-rooms", "--allow-deletes", "1"]);
    set.table(1, &["inspect", "-t", "people", "-n", "staff"]);
}

#[test]
fn a_plan_that_goes_back_to_before_a_table_says_what_is_lost_with_it() {
    let set = Set::new(NO_TABLE);
    set.apply(0, &[]);
    set.0.write("set/set.yaml", TABLE);
    set.apply(0, &[]);
    let told = set.told(0, &["--to", "1", "--enter-rooms", "--allow-deletes", "1"]);
    let said =
        "it is not in state 1; all of its rows are lost; there were 2 when they were counted";
    assert!(told.contains(said), "{told}");
}

#[test]
fn what_people_added_to_a_table_stays_and_keeps_it_from_being_deleted_unseen() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    set.table(0, &["add-columns", "-t", "people", "-c", "note text"]);
    assert_eq!(set.plan(&[]), [""; 0]);
    let told = set.told(0, &["--enter-rooms"]);
    let said = "Table/people@lobby has `columns[name=note]`, which no document declares; it stays";
    assert!(told.contains(said), "{told}");
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    set.edit("columns:\n", "columns:\n- {name: at, type: date}\n");
    set.apply(0, &[]);
    assert_eq!(columns(&set), ["id", "name", "note", "at"]);
    // Nobody looked at what would go with it.
    set.0.write("set/set.yaml", NO_TABLE);
    let run = set.apply(5, &["--allow-deletes", "1"]);
    let said = "Table/people@lobby changed in columns[name=note] since it was last applied";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    assert_eq!(set.rows().len(), 2);
    let told = set.told(0, &["--enter-rooms", "--allow-deletes", "1"]);
    assert!(told.contains("somebody changed `columns` since it was last applied"), "{told}");
    set.apply(0, &["--enter-rooms", "--allow-deletes", "1"]);
    assert_eq!(set.table(0, &["table"]).trim(), "");
}

#[test]
fn a_table_that_is_there_is_taken_over_only_if_that_is_said() {
    let set = Set::new(NO_TABLE);
    set.apply(0, &[]);
    set.table(0, &["create", "-t", "people", "-c", "id int not null, name text"]);
    set.insert(&json!([{"id": 1, "name": "theirs"}, {"id": 9, "name": "theirs"}]));
    set.0.write("set/set.yaml", TABLE);
    let run = set.apply(1, &[]);
    let said = "there is one in the room already, which the set does not own";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    set.run(6, &["plan", "--enter-rooms"]);
    set.apply(0, &["--enter-rooms", "--adopt"]);
    let names: Vec<Value> = set.rows().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["Ada", "Bob", "theirs"]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
}

#[test]
fn an_index_that_people_removed_comes_back_and_the_set_is_exported() {
    let set = Set::new(TABLE);
    set.apply(0, &[]);
    let indexes: Value = serde_json::from_str(&set.table(0, &["indexes", "-t", "people"])).unwrap();
    let name = indexes.pointer("/0/name").and_then(Value::as_str).unwrap().to_owned();
    set.table(0, &["index-drop", "-t", "people", "--name", &name]);
    assert_eq!(set.plan(&["--enter-rooms"]), ["update Table/people@lobby indexes"]);
    set.apply(0, &["--enter-rooms"]);
    assert_eq!(set.plan(&["--enter-rooms"]), [""; 0]);
    set.0.embedded(0, &["export", "--set", "default", "-d", "exported"]);
    let table = std::fs::read_dir(set.0.path("exported")).unwrap();
    assert!(table.count() > 0);
    let plan = ["plan", "-f", "exported", "--output", "json", "--prune=all"];
    let plan = set.0.embedded(0, &plan).json();
    assert_eq!(plan["operations"], json!([]), "{plan}");
}

#[test]
fn a_memory_is_there_as_long_as_it_is_declared() {
    let memory = format!(
        "{NO_TABLE}---\nversion: v1\nkind: Memory\nmetadata: {{name: notes}}\nroom: lobby\nnamespace: [team]\n"
    );
    let set = Set::new(&memory);
    set.apply(0, &[]);
    for more in [&[][..], &["--enter-rooms"]] {
        assert_eq!(set.plan(more), [""; 0], "{more:?}");
    }
    let ada = json!([{"entity_id": "1", "name": "Ada"}]).to_string();
    let at = ["-m", "notes", "-n", "team"];
    set.room(0, &[&["memory", "upsert-nodes", "--records-json", &ada], &at[..]].concat());
    set.0.write("set/set.yaml", NO_TABLE);
    let told = set.told(0, &["--allow-deletes", "1"]);
    assert!(told.contains("it stays if it holds anything"), "{told}");
    let run = set.apply(5, &["--allow-deletes", "1"]);
    let said = "Memory/team/notes@lobby has 1 entity, and nobody looked at that";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let told = set.told(0, &["--allow-deletes", "1", "--enter-rooms"]);
    assert!(told.contains("all that it holds is lost: 1 entity"), "{told}");
    let saved = ["plan", "--enter-rooms", "--allow-deletes", "1", "--out", "saved.plan"];
    set.run(0, &saved);
    let bob = json!([{"entity_id": "2", "name": "Bob"}]).to_string();
    set.room(0, &[&["memory", "upsert-nodes", "--records-json", &bob], &at[..]].concat());
    set.0.embedded(5, &["apply", "--yes", "saved.plan"]);
    set.run(0, &saved);
    set.0.embedded(0, &["apply", "--yes", "saved.plan"]);
    set.room(1, &[&["memory", "inspect"], &at[..]].concat());
    // What is there already is not the set's.
    set.room(0, &[&["memory", "create"], &at[..]].concat());
    set.0.write("set/set.yaml", &memory);
    set.apply(1, &[]);
    set.apply(0, &["--enter-rooms", "--adopt"]);
}

#[test]
fn records_of_a_memory_in_tables_of_their_own_count() {
    let memory = format!(
        "{NO_TABLE}---\nversion: v1\nkind: Memory\nmetadata: {{name: notes}}\nroom: lobby\n"
    );
    let set = Set::new(&memory);
    set.apply(0, &[]);
    let record = |id: u8| json!([{"id": id, "v": "x"}]).to_string();
    let upsert = ["memory", "upsert-table", "-m", "notes", "-t", "own", "--records-json"];
    set.room(0, &[&upsert[..], &[&record(1)]].concat());
    set.0.write("set/set.yaml", NO_TABLE);
    let run = set.apply(5, &["--allow-deletes", "1"]);
    let said = "Memory/notes@lobby has 1 record of `own`, and nobody looked at that";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let saved = ["--enter-rooms", "--allow-deletes", "1", "--out", "saved.plan"];
    let told = set.told(0, &saved);
    assert!(told.contains("all that it holds is lost: 1 record of `own`"), "{told}");
    set.room(0, &[&upsert[..], &[&record(2)]].concat());
    set.0.embedded(5, &["apply", "--yes", "saved.plan"]);
    set.room(0, &["memory", "inspect", "-m", "notes"]);
}

#[test]
fn what_goes_with_its_room_is_not_said_to_stay() {
    let memory = "---\nversion: v1\nkind: Memory\nmetadata: {name: notes}\nroom: lobby\n";
    let set = Set::new(&format!("{TABLE}{memory}"));
    set.apply(0, &[]);
    set.0.write("set/set.yaml", "version: v1\nkind: Room\nmetadata: {name: other}\n");
    let all = ["--allow-deletes", "3"];
    let told = set.told(0, &all);
    for said in [
        "it goes with its room, with all of its rows",
        "it goes with its room, with all that it holds",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!told.contains("it stays if"), "{told}");
    let told = set.told(0, &[&all[..], &["--enter-rooms"]].concat());
    assert!(told.contains("all of its rows are lost; there were 2"), "{told}");
    set.apply(0, &all);
}
