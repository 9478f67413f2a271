//! Rows and columns that are changed.

use meshagent_tables::engine::NewColumn;

use super::*;

fn room() -> Room {
    let room = Room::new();
    room.create(
        "t",
        json!({"id": "int!", "name": "text", "price": "float", "day": "date"}),
        json!([
            {"id": 1, "name": "a", "price": 1.5, "day": "2026-11-30"},
            {"id": 2, "name": "b", "price": 2.0},
            {"id": 3, "name": null, "price": null},
        ]),
    );
    room
}

fn value(column: &str, value: Json) -> Vec<(String, Value)> {
    vec![(column.to_owned(), Value::of_plain(&value).unwrap())]
}

fn expression(column: &str, text: &str) -> Vec<(String, String)> {
    vec![(column.to_owned(), text.to_owned())]
}

#[test]
fn an_update_sets_values_and_computes_expressions_over_the_rows_before() {
    let room = room();
    let t = table("t");
    let mut both = expression("price", "id");
    both.extend(expression("id", "id + 10"));
    assert_eq!(room.tables.update(&t, "id < 3", value("name", json!("x")), both).unwrap(), 2);
    let wanted = json!([
        {"id": 3, "name": null, "price": null, "day": null},
        {"id": 11, "name": "x", "price": 1.0, "day": "2026-11-30"},
        {"id": 12, "name": "x", "price": 2.0, "day": null},
    ]);
    assert_eq!(room.all("t"), wanted);
    // Values are taken as the column has them.
    assert_eq!(
        room.tables.update(&t, "id = 3", value("day", json!("2026-12-01")), Vec::new()).unwrap(),
        1
    );
    assert_eq!(column(&room.all("t"), "day")[2], "2026-12-01");
    assert_eq!(
        room.tables
            .update(&t, "id = 3", value("name", Json::Null), expression("price", "null"))
            .unwrap(),
        1
    );
    assert_eq!(room.tables.update(&t, "false", value("name", json!("y")), Vec::new()).unwrap(), 0);
    assert_eq!(room.versions("t").len(), 5);
}

#[test]
fn an_update_that_does_not_fit_changes_nothing() {
    let room = room();
    let t = table("t");
    let before = room.all("t");
    for (filter, values, expressions, part) in [
        ("true", value("x", json!(1)), Vec::new(), "has no column \"x\""),
        ("true", value("id", json!("x")), Vec::new(), "column \"id\": a value of text is no int"),
        ("true", value("id", Json::Null), Vec::new(), "column \"id\": null is not allowed"),
        ("true", Vec::new(), expression("id", "null"), "column \"id\": null is not allowed"),
        ("true", Vec::new(), expression("id", "price"), "column \"id\": a value for it is no int"),
        (
            "true",
            Vec::new(),
            expression("day", "name"),
            "column \"day\": a value for it is no date",
        ),
        ("true", value("id", json!(1)), expression("id", "2"), "is changed twice"),
        ("true", Vec::new(), Vec::new(), "says which columns"),
        ("nothing = 1", value("id", json!(1)), Vec::new(), "nothing"),
    ] {
        let told = room.tables.update(&t, filter, values, expressions);
        refused(told, part);
        assert_eq!(room.all("t"), before);
    }
    assert_eq!(room.versions("t").len(), 1);
}

#[test]
fn a_delete_removes_the_rows_for_which_its_filter_holds() {
    let room = room();
    let t = table("t");
    // Null is not equal to anything, nor different from it.
    assert_eq!(room.tables.delete(&t, "name = \"a\"").unwrap(), 1);
    assert_eq!(room.tables.delete(&t, "name <> \"x\"").unwrap(), 1);
    assert_eq!(column(&room.all("t"), "id"), [3]);
    assert_eq!(room.tables.delete(&t, "true").unwrap(), 1);
    assert_eq!(room.all("t"), json!([]));
    refused(room.tables.delete(&t, "id = 1; DROP TABLE t"), "");
    refused(room.tables.delete(&t, "(SELECT count(*) FROM room_tables) > 0"), "");
    room.tables.restore(&t, 1).unwrap();
    assert_eq!(column(&room.all("t"), "id"), [1, 2, 3]);
}

#[test]
fn columns_are_added_empty_or_computed() {
    let room = room();
    let t = table("t");
    let added = |name: &str, text: &str| (name.to_owned(), NewColumn::Computed(text.to_owned()));
    room.tables
        .add_columns(
            &t,
            vec![
                added("email", "'hello'"),
                added("double", "price * 2"),
                ("empty".to_owned(), NewColumn::Typed(typed(&json!("timestamp")))),
            ],
        )
        .unwrap();
    assert_eq!(room.columns("t")[4..], ["email text", "double float", "empty timestamp"]);
    assert_eq!(room.versions("t").len(), 2);
    let all = room.all("t");
    assert_eq!(column(&all, "email"), ["hello", "hello", "hello"]);
    assert_eq!(column(&all, "double"), [json!(3.0), json!(4.0), Json::Null]);
    room.insert("t", json!([{"id": 4, "email": "x"}])).unwrap();
    assert_eq!(column(&room.all("t"), "email")[3], "x");
    for (new, part) in [
        (added("name", "1"), "has a column \"name\" already"),
        (added("", "1"), "is empty"),
        (added("x", "nothing"), "nothing"),
        (
            ("x".to_owned(), NewColumn::Typed(typed(&json!("int!")))),
            "cannot be one that is never null",
        ),
    ] {
        refused(room.tables.add_columns(&t, vec![new]), part);
    }
    assert_eq!(room.versions("t").len(), 3);
}

#[test]
fn columns_are_dropped_and_the_last_one_stays() {
    let room = room();
    let t = table("t");
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    room.tables.drop_columns(&t, &names(&["price", "day"])).unwrap();
    assert_eq!(room.columns("t"), ["id int", "name text"]);
    assert_eq!(room.all("t")[0], json!({"id": 1, "name": "a"}));
    refused(room.tables.drop_columns(&t, &names(&["id", "name"])), "at least one column");
    refused(room.tables.drop_columns(&t, &names(&["price"])), "has no column \"price\"");
    // One of the same name is another one.
    room.tables
        .add_columns(&t, vec![("price".to_owned(), NewColumn::Typed(typed(&json!("text"))))])
        .unwrap();
    assert_eq!(column(&room.all("t"), "price"), [Json::Null, Json::Null, Json::Null]);
}

#[test]
fn columns_get_other_types_with_their_values() {
    let room = room();
    let t = table("t");
    let field = |name: &str, kind: &str| {
        vec![Field { name: name.to_owned(), data_type: typed(&json!(kind)) }]
    };
    room.tables.alter_columns(&t, field("id", "text")).unwrap();
    room.tables.alter_columns(&t, field("price", "text")).unwrap();
    room.tables.alter_columns(&t, field("day", "timestamp")).unwrap();
    assert_eq!(room.columns("t"), ["id text", "name text", "price text", "day timestamp"]);
    assert_eq!(
        room.all("t")[0],
        json!({"id": "1", "name": "a", "price": "1.5", "day": "2026-11-30T00:00:00Z"})
    );
    room.tables.alter_columns(&t, field("id", "float")).unwrap();
    assert_eq!(column(&room.all("t"), "id"), [1.0, 2.0, 3.0]);
    refused(
        room.tables.alter_columns(&t, field("name", "int")),
        "column \"name\": a value for it is no int",
    );
    refused(
        room.tables.alter_columns(&t, field("name", "text!")),
        "cannot be one that is never null",
    );
    refused(room.tables.alter_columns(&t, field("x", "text")), "has no column \"x\"");
    room.tables.alter_columns(&t, field("id", "float!")).unwrap();
    refused(room.insert("t", json!([{"name": "x"}])), "leaves out the column \"id\"");
    room.tables.checkout(&t, 1).unwrap();
    assert_eq!(
        (column(&room.all("t"), "id"), room.columns("t")[0].as_str()),
        (vec![json!(1), json!(2), json!(3)], "id int")
    );
}

/// Who may change a table need not be one who may read it.
#[test]
fn no_error_has_a_stored_value_in_it() {
    let room = Room::new();
    let row = json!({"id": 1, "n": 7_654_321, "s": "topsecret", "l": ["topsecret"], "at": "2026-11-30T12:00:00Z"});
    room.create("t", Json::Null, json!([row]));
    let t = table("t");
    room.tables
        .alter_columns(
            &t,
            vec![Field { name: "at".to_owned(), data_type: typed(&json!("timestamp")) }],
        )
        .unwrap();
    let field = |name: &str, kind: &str| {
        vec![Field { name: name.to_owned(), data_type: typed(&json!(kind)) }]
    };
    let mut told: Vec<String> = Vec::new();
    for filter in [
        "cast(s as int) = 1",
        "cast(s as float) = 1",
        "cast(s as boolean)",
        "cast(s as date) = '2026-01-01'",
        "to_timestamp(s) = '2026-01-01'",
        "cast(n as date) = '2026-01-01'",
        "cast(l[1] as int) = 1",
        "make_date(n, n, n) = '2026-01-01'",
        "length(substr(s, 1, -n)) = 1",
        "to_char(at, '%' || s || '%') = 'x'",
        "date_trunc(s, at) = '2026-01-01'",
        "date_part(s, at) = 1",
        "regexp_like(s, '[' || s)",
        "regexp_like(s, 'a', s)",
        "split_part(s, s, 0) = 'a'",
        "chr(-n) = 'a'",
        "round(1.0, n) = 1",
        "array_element(l, 1) = 1",
    ] {
        let outcome = room.tables.update(&t, filter, value("id", json!(2)), Vec::new());
        told.push(outcome.err().unwrap_or_else(|| panic!("{filter} is refused")).text);
    }
    for text in ["s", "l[1]", "cast(s as int)", "n + 0.5", "s || s"] {
        let outcome = room.tables.update(&t, "true", Vec::new(), expression("id", text));
        told.push(outcome.err().unwrap_or_else(|| panic!("{text} is refused")).text);
    }
    for kind in ["int", "float", "bool", "date", "timestamp"] {
        told.extend(room.tables.alter_columns(&t, field("s", kind)).err().map(|it| it.text));
    }
    told.extend(room.tables.alter_columns(&t, field("n", "date")).err().map(|it| it.text));
    let new = NewColumn::Computed("cast(s as int)".to_owned());
    told.push(room.tables.add_columns(&t, vec![("z".to_owned(), new)]).unwrap_err().text);
    for text in &told {
        assert!(!text.contains("topsecret") && !text.contains("7654321"), "{text}");
    }
    assert!(told.len() > 28);
}
