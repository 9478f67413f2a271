use super::*;

fn json(text: &str) -> serde_json::Value {
    parse(text).unwrap().remove(0).to_json()
}

fn refusal(text: &str) -> String {
    let error = parse(text).unwrap_err();
    let mark = error.mark.unwrap_or_default();
    format!("{}:{}: {}", mark.line, mark.column, error.message)
}

#[test]
fn a_block_scalar_ends_as_its_text_ends() {
    for (text, expected) in [
        ("a: |\n  b\n  c", "b\nc"),
        ("a: |\n  b\n  c\n", "b\nc\n"),
        ("a: |+\n  b\n\n", "b\n\n"),
        ("a: |-\n  b", "b"),
        ("a: >\n  b\n  c", "b c"),
        ("a: \"b\\n\"", "b\n"),
        ("a: 'b\n\n  c'", "b\nc"),
        ("b: [x]\na: |2 # note\n    b: |\n     c", "  b: |\n   c"),
        ("a: |+\n  b", "b"),
    ] {
        assert_eq!(json(text)["a"], expected, "{text:?}");
    }
}

#[test]
fn plain_scalars_stay_what_the_writer_sees() {
    assert_eq!(
        json("[yes, on, 010, 1_000, 2026-01-01, True, ~, 1:20, 0x10, '1', !!str 5]\n"),
        serde_json::json!([
            "yes",
            "on",
            "010",
            "1_000",
            "2026-01-01",
            true,
            null,
            "1:20",
            16,
            "1",
            "5"
        ])
    );
}

#[test]
fn only_what_yaml_1_2_calls_a_number_is_one() {
    for text in ["0b11", "0B1", "0X1f", "-0x1F", "+0x1F", "0O17", "-0o7", "+0o7"] {
        for yaml in [
            format!("a: {text}\n"),
            format!("b: &b {text}\na: *b\n"),
            format!("b: &b {{a: {text}}}\n<<: *b\n"),
            format!("{{\"a\": {text}}}"),
        ] {
            assert_eq!(json(&yaml)["a"], text, "{yaml}");
        }
    }
    for (text, number) in [
        ("0x1F", serde_json::json!(31)),
        ("0o17", serde_json::json!(15)),
        ("+1", serde_json::json!(1)),
        ("-.5", serde_json::json!(-0.5)),
        ("1.e3", serde_json::json!(1000.0)),
        ("1E+3", serde_json::json!(1000.0)),
        ("0xFFFFFFFFFFFFFFFF", serde_json::json!(u64::MAX)),
        ("18446744073709551615", serde_json::json!(u64::MAX)),
        ("-9223372036854775808", serde_json::json!(i64::MIN)),
    ] {
        assert_eq!(json(&format!("b: &b {text}\na: *b\n"))["a"], number, "{text}");
    }
}

#[test]
fn a_number_of_more_than_64_bits_is_refused_and_not_rounded() {
    for text in [
        "18446744073709551616",
        "-9223372036854775809",
        "+123456789012345678901234",
        "0x1FFFFFFFFFFFFFFFF",
        "0o7777777777777777777777777",
    ] {
        for yaml in [format!("b:\n- a: {text}\n"), format!("b:\n- &a {text}\nc: *a\n")] {
            let refusal = refusal(&yaml);
            assert!(refusal.starts_with("2:"), "{refusal}");
            assert!(refusal.contains(&format!("`{text}` has more than 64 bits")), "{refusal}");
        }
        assert_eq!(json(&format!("a: '{text}'\n"))["a"], text);
    }
    assert_eq!(refusal("a: 1e400"), "1:4: `1e400` is not a number that can be sent");
}

#[test]
fn places_are_those_of_the_text() {
    let node = parse("a: 1\nbö:\n  - x\n  - c: !template y\n").unwrap().remove(0);
    let (key, list) = node.entry("bö").unwrap();
    assert_eq!((key.mark.line, key.mark.column), (2, 1));
    let Value::List(items) = &list.value else { panic!("not a list") };
    let inner = items[1].get("c").unwrap();
    assert_eq!((inner.mark.line, inner.mark.column), (4, 18));
    assert_eq!(inner.tag.as_deref(), Some("!template"));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    insta::assert_snapshot!(
        [
            "a: 1\na: 2",
            "null: b",
            "[1]: a",
            "a: .nan",
            "a: [1, 2\nb: 3",
            "a: *missing",
            "a: 'x",
            "a: b: c",
            "%FOO",
        ]
        .map(refusal)
        .join("\n")
    );
}

#[test]
fn aliases_that_explode_and_deep_nesting_are_refused() {
    let bomb = ('b'..='i').fold("a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, name| {
        let last = (name as u8 - 1) as char;
        text + &format!("{name}: &{name} [{}]\n", vec![format!("*{last}"); 9].join(","))
    });
    assert!(
        refusal(&bomb).contains("expan") || refusal(&bomb).contains("alias"),
        "{}",
        refusal(&bomb)
    );
    assert!(parse(&"[".repeat(100_000)).is_err());
}

/// What the text says, which is the same with places and without.
fn told(text: &str) -> Result<Vec<serde_json::Value>, String> {
    let nodes = parse(text);
    let values = values(text);
    // Values alone have no place for a tag, so they are refused as soon as one stands there.
    if let Err(error) = &values
        && error.message.ends_with("has no meaning here")
    {
        let is_held = |all: &Vec<Node>| all.iter().any(|node| node.first_tag().is_some());
        assert!(nodes.as_ref().map_or(true, is_held), "{text:?}");
        return Err(error.message.clone());
    }
    let nodes = nodes.map(|all| all.iter().map(Node::to_json).collect::<Vec<_>>());
    assert_eq!(nodes, values, "{text:?}");
    nodes.map_err(|error| error.message)
}

#[test]
fn tags_of_yaml_say_what_a_scalar_is() {
    for (text, expected) in [
        ("!!str 5", serde_json::json!("5")),
        ("! 5", serde_json::json!("5")),
        ("!!str null", serde_json::json!("null")),
        ("!!str", serde_json::json!("")),
        ("!!int '5'", serde_json::json!(5)),
        ("!!int 0x10", serde_json::json!(16)),
        ("!!float 1", serde_json::json!(1.0)),
        ("!!bool 'true'", serde_json::json!(true)),
        ("!!null ''", serde_json::json!(null)),
        ("!!binary aGk=", serde_json::json!("hi")),
        ("!!map {b: 1}", serde_json::json!({"b": 1})),
        ("!!seq [1]", serde_json::json!([1])),
        ("!!set {b}", serde_json::json!({"b": null})),
        ("!<tag:yaml.org,2002:str> 1", serde_json::json!("1")),
    ] {
        assert_eq!(json(&format!("a: {text}\n"))["a"], expected, "{text}");
        assert_eq!(told(&format!("a: {text}\n")).unwrap()[0]["a"], expected, "{text}");
        assert_eq!(told(&format!("b: &b {text}\na: *b\n")).unwrap()[0]["a"], expected, "{text}");
    }
    for text in [
        "!!int a",
        "!!int 1.5",
        "!!float x",
        "!!bool yes",
        "!!null x",
        "!!binary '=='",
        "!!timestamp 2026-01-01",
        "!!seq a",
        "!!map [a]",
        "!!str {a: 1}",
    ] {
        let error = told(&format!("a: {text}\n")).unwrap_err();
        let tag = text.split(' ').next().unwrap();
        assert!(error.ends_with(&format!("does not match its tag `{tag}`")), "{error}");
    }
    assert_eq!(refusal("!!int 1: a\n"), "1:7: a key must be text, not `!!int`");
}

#[test]
fn tags_of_others_are_kept_and_go_with_aliases() {
    let node = parse("a: &a !template x\nb: *a\nc: !x [1]\nd: !y\n").unwrap().remove(0);
    let tags = ["a", "b", "c", "d"].map(|key| node.get(key).unwrap().tag.clone().unwrap());
    assert_eq!(tags, ["!template", "!template", "!x", "!y"]);
    let error = values("a: !template x\n").unwrap_err();
    assert_eq!(error.message, "the tag `!template` has no meaning here");
}

#[test]
fn maps_are_merged_where_they_say_nothing_themselves() {
    for (text, expected) in [
        ("<<: {a: 1, b: 2}\nb: 3\n", serde_json::json!({"b": 3, "a": 1})),
        ("<<: [{a: 1}, {a: 2, b: 3}]\n", serde_json::json!({"a": 1, "b": 3})),
        ("<<:\na: 1\n", serde_json::json!({"a": 1})),
        ("'<<': 1\n", serde_json::json!({"<<": 1})),
        ("!!merge <<: {a: 1}\n", serde_json::json!({"a": 1})),
        ("<<: {1: a}\n'1': b\n", serde_json::json!({"1": "b"})),
    ] {
        assert_eq!(told(text).unwrap(), [expected], "{text}");
    }
    let text = "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3}\nc: {<<: [*b, *a], z: 4}\n";
    assert_eq!(told(text).unwrap()[0]["c"], serde_json::json!({"z": 4, "y": 3, "x": 1}));
    let node = parse(text).unwrap().remove(0);
    let merged = node.get("c").unwrap().get("y").unwrap().mark;
    assert_eq!((merged.line, merged.column), (3, 10), "it is where the alias is");
    for (text, refused) in [
        ("<<: 1\n", "1:5: `<<` must be a map or a list of maps"),
        ("<<: [1]\n", "1:5: `<<` must be a map or a list of maps"),
        (
            "<<: {a: 1}\n<<: {b: 1}\n",
            "2:1: duplicate key `<<`; to merge several maps, give one `<<` a list of them",
        ),
    ] {
        assert_eq!(refusal(text), refused);
    }
}

#[test]
fn aliases_stand_for_values_and_for_keys() {
    let text = "&k a: &v [1, &s x]\n*s : *k\nb: *v\n";
    assert_eq!(told(text).unwrap(), [serde_json::json!({"a": [1, "x"], "x": "a", "b": [1, "x"]})]);
    assert_eq!(refusal("a: &a [*a]\n"), "1:8: the alias is inside the value that it repeats");
    assert_eq!(refusal("a: &a [1]\n*a : 1\n"), "2:1: an alias used as a key must stand for a text");
    assert_eq!(refusal("a: &a 1\n---\nb: *a\n"), "3:4: alias references unknown anchor");
}

/// A copy of what holds a copy is no more than what stands there.
#[test]
fn anchors_in_each_other_count_once() {
    let depth = 60;
    let anchors: String = (0..depth).map(|at| format!("&n{at} [")).collect();
    let text = format!("a: {anchors}x{}\nb: *n{}\n", "]".repeat(depth), depth - 1);
    let read = told(&text).unwrap().remove(0);
    assert_eq!(read["b"], serde_json::json!(["x"]));
    assert_eq!(read["a"].to_string().len(), 3 + 2 * depth);
}

#[test]
fn a_block_ends_as_its_text_does() {
    for (text, expected) in [
        ("a: |\n  b\n", "b\n"),
        ("a: |\n  b", "b"),
        ("a: |\n  b\n# c", "b\n"),
        ("a: |-\n  b\n# c", "b"),
    ] {
        assert_eq!(told(text).unwrap(), [serde_json::json!({"a": expected})], "{text:?}");
    }
}

#[test]
fn what_aliases_repeat_counts_as_if_it_were_written() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let half = MAX_DEPTH / 2;
    let text =
        |levels: usize| format!("- &a {}\n- {}\n", deep(levels), deep(half).replace('1', "*a"));
    assert!(told(&text(half - 1)).is_ok());
    assert_eq!(told(&text(half)).unwrap_err(), "lists and maps may be at most 128 deep");
    assert!(told(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(told(&deep(MAX_DEPTH + 1)).unwrap_err(), "lists and maps may be at most 128 deep");
    // A long text that is repeated often, too.
    let long = "x".repeat(1024 * 1024);
    let text = format!("- &a {long}\n{}", "- *a\n".repeat(100));
    assert_eq!(told(&text).unwrap_err(), "the text and what its aliases repeat are too long");
    // And what is kept for aliases at every level.
    let kept: String = (0..100).map(|level| format!("[&a{level} ")).collect();
    let text = format!("{kept}{long}{}", "]".repeat(100));
    assert_eq!(told(&text).unwrap_err(), "the text and what its aliases repeat are too long");
}

#[test]
fn a_key_that_stands_twice_is_named_however_many_there_are() {
    for count in [1, 63, 64, 65, 300] {
        let keys: String = (0..count).map(|index| format!("a{index}: 1\n")).collect();
        assert_eq!(told(&keys).unwrap()[0].as_object().unwrap().len(), count);
        for twice in [0, count - 1] {
            let error = parse(&format!("{keys}a{twice}: 2\n")).unwrap_err();
            assert_eq!(error.duplicate, Some(format!("a{twice}")));
            assert_eq!(error.mark.unwrap().line, count as u64 + 1);
        }
    }
}

#[test]
fn layouts_mean_the_same_with_places_and_without() {
    for text in [
        "a:\n- b\n-   c: 1\n    d: 2\n",
        "# first\na: # second\n  b: 1 # third\n\n\n",
        "a: {b: [1, {c: d}], e: }\n? f\n: g\n",
        "a: |+\n  b\n\nc: >-\n  d\n  e\n",
        "{\"a\": [1, 2.5, null, true], \"b\": {\"c\": \"\\u00e4\"}}\n",
        "a:\n  - - 1\n    - 2\n  - []\n",
        "a: 1\n...\n",
        "\u{feff}a: 1\n",
        "%YAML 1.2\n---\na\n",
        "---\n---\n~\n--- a\n--- !!null\n",
        "a: [\n1,\n2\n]\n",
        "",
    ] {
        assert!(told(text).is_ok(), "{text:?}");
    }
    assert_eq!(told("---\n---\n~\n--- a\n--- !!null\n").unwrap(), ["a"]);
}

/// What another reader says, with the same rules; `None` where it refuses the text.
fn by_another(text: &str) -> Option<Vec<serde_json::Value>> {
    let options = serde_yaml::options! {
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
    };
    let mut read: Vec<serde_json::Value> =
        serde_yaml::from_multiple_with_options(text, options).ok()?;
    read.retain(|document| !document.is_null());
    Some(read)
}

proptest::proptest! {
    // No letters that make another base of a number, and no merges: the other reader is
    // laxer there.
    #[test]
    fn any_text_means_what_another_reader_says(
        text in "([ac01:\\-# \n\\[\\]{},'\"|>~.?&*!]|: |- |\n  |\\*a|&a |!!str ){0,24}",
    ) {
        let text = format!("{text}\n");
        match (told(&text), by_another(&text)) {
            (Ok(ours), Some(theirs)) => assert_eq!(ours, theirs, "{text:?}"),
            (Err(_), None) => {}
            // Tags that we know nothing of are refused, and `1` and `"1"` are one key.
            (Err(_), Some(_)) if text.contains('!') => {}
            (Err(refused), Some(_)) => assert!(refused.starts_with("duplicate key"), "{text:?}"),
            (Ok(ours), None) => panic!("{text:?} is refused by the other, and not {ours:?}"),
        }
    }
}
