//! A plan as Markdown stays text, whatever its names and values hold, and fits a comment.

use meshagent::error::Place;
use meshagent::kinds::path::FieldPath;
use meshagent::kinds::tree::Tree;
use meshagent::kinds::{Key, KindName};
use meshagent::plan::{
    Action, Cause, FieldChange, Observed, Operation, Plan, Reason, Why, markdown,
};

use crate::reconciler::effect;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

const HOSTILE: [&str; 23] = [
    "</details>",
    "\n  </details>\n\n",
    "<details><summary>1 field</summary>",
    "`",
    "``",
    "```\n",
    "|",
    "<!-- x",
    "-->",
    "<b onclick=x>",
    "@octocat",
    "[a](http://b)",
    "\n\n# h",
    "\u{202e}",
    "http://evil.example",
    "![i](j)",
    "\\",
    "* ",
    "\r\n- ",
    "&lt;",
    "~~",
    "\u{200b}",
    "www.x.example ",
];

fn operation(action: Action, replaces: bool, texts: &[String]) -> Operation {
    let text = |index: usize| texts[index % texts.len()].clone();
    let key = Key::new(KindName::Room, text(0), Some(text(1)), text(2));
    let change = |index: usize| FieldChange {
        path: FieldPath::of(&["room_metadata", &text(index), &text(index + 1)]),
        old: (!index.is_multiple_of(3)).then(|| Tree::text(text(index + 2))),
        new: (index % 3 != 1).then(|| Tree::List(vec![Tree::text(text(index + 3))])),
        place: None,
        cause: [None, Some(Cause::Drift), Some(Cause::Both)][index % 3],
    };
    let met = Observed {
        id: None,
        owner: None,
        fields: Tree::map([]).into(),
        answered: None,
        revision: None,
        called: None,
        also_called: Vec::new(),
        is_remembered: false,
    };
    let effect = effect((action, replaces), &Tree::map([]), Some(&met));
    Operation {
        changes: (0..texts.len()).map(change).collect(),
        place: Some(Place { file: text(4), line: 1, column: 1, from: None }),
        derived_from: Some(text(5)),
        ..Operation::new(key, effect, Reason::new(Why::Differs, text(3)))
    }
}

const ACTIONS: [(Action, bool); 8] = [
    (Action::Create, false),
    (Action::Update, false),
    (Action::Create, true),
    (Action::Delete, false),
    (Action::Adopt, false),
    (Action::Release, false),
    (Action::Record, false),
    (Action::Rename, false),
];

fn is_fold(html: &str) -> bool {
    let html = html.trim();
    let summary = html
        .strip_prefix("<details><summary>")
        .and_then(|rest| rest.strip_suffix("</summary>"))
        .and_then(|count| count.strip_suffix(" fields").or(count.strip_suffix(" field")));
    html == "</details>" || summary.is_some_and(|count| count.parse::<usize>().is_ok())
}

#[track_caller]
fn is_text_only(rendered: &str) {
    assert!(rendered.len() <= 65_535, "{} bytes", rendered.len());
    let (marker, rest) = rendered.split_once('\n').unwrap();
    let inner =
        marker.strip_prefix("<!-- meshagent-plan set=").unwrap().strip_suffix(" -->").unwrap();
    assert!(!inner.contains(['<', '>', '\'']) && inner.split(' ').count() == 3, "{marker}");
    for event in Parser::new_ext(rest, Options::all()) {
        match event {
            // The fields of what is new are folded, and nothing else is HTML.
            Event::Html(html) if is_fold(&html) => {}
            Event::Html(html) | Event::InlineHtml(html) => panic!("HTML {html:?} in\n{rendered}"),
            Event::Start(
                Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::Table(_),
            ) => {
                panic!("{event:?} in\n{rendered}")
            }
            Event::Text(text) => {
                let is_ours = |c: char| c.is_alphanumeric() || " .,:()…→".contains(c);
                assert!(text.chars().all(is_ours), "{text:?} in\n{rendered}");
            }
            Event::Code(code) => {
                assert!(!code.chars().any(|c| c.is_control() || c == '\u{202e}'), "{code:?}");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_that_users_wrote_stands_in_code(
        parts in proptest::collection::vec(proptest::collection::vec((0..HOSTILE.len(), "[ -~]{0,6}"), 0..5), 1..8),
        set in "[ -~\\n]{0,20}",
    ) {
        let texts: Vec<String> = parts
            .iter()
            .map(|parts| parts.iter().map(|(index, text)| format!("{}{text}", HOSTILE[*index])).collect())
            .collect();
        let operations = ACTIONS.map(|(action, replaces)| operation(action, replaces, &texts)).to_vec();
        is_text_only(&markdown::render(&Plan { set: set.clone(), operations, ..Plan::default() }, false));
        is_text_only(&markdown::render(&Plan { set, ..Plan::default() }, false));
    }
}

#[test]
fn a_plan_of_any_size_fits_and_tells_what_it_leaves_out() {
    for (length, fields, each) in [(1, 30, 400), (40, 30, 100), (10_000, 2, 20)] {
        let texts: Vec<String> =
            (0..fields).map(|index| format!("é\u{1f600}{index}").repeat(length)).collect();
        let operations: Vec<Operation> = (0..each * ACTIONS.len())
            .map(|index| ACTIONS[index % ACTIONS.len()])
            .map(|(action, replaces)| operation(action, replaces, &texts))
            .collect();
        let plan = Plan { set: "s".to_owned(), operations, ..Plan::default() };
        let rendered = markdown::render(&plan, false);
        is_text_only(&rendered);
        let last = rendered.lines().last().unwrap();
        assert!(
            last.contains("more that does not fit here: ")
                && last.contains(&format!("{each} to create")),
            "{last}"
        );
        // What is lost for good is told before anything else.
        assert!(rendered.lines().nth(3).unwrap().starts_with("- **delete** "), "{rendered:.300}");
        let only_deletes =
            !rendered.contains("- **replace** ") && !rendered.contains("- **update** ");
        assert!(only_deletes || !last.contains("to delete"), "{last}");
    }
}
