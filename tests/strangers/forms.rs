//! Every form that nests or goes on without end, at ten times its limit, at every entry. Each is
//! refused in words; a stack that overflows would end these tests.

use std::os::unix::process::ExitStatusExt;

use meshagent::manifest::template::{Values, render_text};
use meshagent::manifest::{values, yaml};
use meshagent::plan::policy::{Source, evaluate};
use meshagent::platform::Platform;
use meshagent::room::message::{Assembler, Message, SLICE};
use serde_json::json;

use super::{room, soon, write};
use crate::cli::{Run, Sandbox};
use crate::platform::harness::Server;

/// Expressions and blocks of templates: what begins, what is repeated, what ends.
const TEMPLATES: [(&str, &str, &str); 34] = [
    ("{{ ", "-", "1 }}"),
    ("{{ ", "not ", "1 }}"),
    ("{{ 1", "+1", " }}"),
    ("{{ 1", "~1", " }}"),
    ("{{ 1", "*1", " }}"),
    ("{{ 2", "**1", " }}"),
    ("{{ 1", "//1", " }}"),
    ("{{ 1", " and 1", " }}"),
    ("{{ 1", " or 1", " }}"),
    ("{{ 1", "|int", " }}"),
    ("{{ a", ".a", " }}"),
    ("{{ a", "[0]", " }}"),
    ("{{ a", "[1:]", " }}"),
    ("{{ a", "()", " }}"),
    ("{{ 1", "<1", " }}"),
    ("{{ 1", "==1", " }}"),
    ("{{ 1", " in 1", " }}"),
    ("{{ 1", " not in 1", " }}"),
    ("{{ 1", " is defined", " }}"),
    ("{{ 1", " if 1 else 1", " }}"),
    ("{{ ", "(", "1 }}"),
    ("{{ ", "[", " }}"),
    ("{{ ", "{1: ", " }}"),
    ("{{ ", "f(", " }}"),
    ("{{ 'a'", " 'a'", " }}"),
    ("{% if 1 %}", "{% elif 1 %}", "{% endif %}"),
    ("", "{% if 1 %}", ""),
    ("", "{% if 1 %}x{% else %}", ""),
    ("", "{% for a in b %}", ""),
    ("", "{% with a = 1 %}", ""),
    ("", "{% set a %}", ""),
    ("", "{% filter upper %}", ""),
    ("", "{% macro a() %}", ""),
    ("{% set ", "(", "a = 1 %}"),
];

/// Ten times the longest expression, and much more than any depth.
const TEN_TIMES: usize = 5_000;

fn templates() -> impl Iterator<Item = String> {
    TEMPLATES
        .into_iter()
        .map(|(begin, again, end)| begin.to_owned() + &again.repeat(TEN_TIMES) + end)
}

/// The same with everything closed that was opened.
fn closed() -> Vec<String> {
    let around =
        |open: &str, close: &str| format!("{}x{}", open.repeat(TEN_TIMES), close.repeat(TEN_TIMES));
    let inside = |open: &str, close: &str| format!("{{{{ {} }}}}", around(open, close));
    vec![
        inside("(", ")"),
        inside("[", "]"),
        inside("{'a': ", "}"),
        inside("f(", ")"),
        inside("a[", "]"),
        around("{% if 1 %}", "{% endif %}"),
        around("{% for a in [1] %}", "{% endfor %}"),
        around("{% with %}", "{% endwith %}"),
        around("{% set a %}", "{% endset %}"),
        around("{% filter upper %}", "{% endfilter %}"),
    ]
}

#[test]
fn templates_without_end_are_refused_by_the_renderer() {
    for form in templates().chain(closed()) {
        let begin = form.chars().take(40).collect::<String>();
        let error = soon(&begin, || render_text(&form, &Values::new())).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.len() < 300, "{begin}: {error}");
    }
}

#[test]
fn templates_without_end_are_refused_in_manifests() {
    let sandbox = Sandbox::new();
    for (index, form) in templates().chain(closed()).enumerate() {
        let text = room("a", &format!("room_metadata: {{k: >-\n  {form}\n  }}\n"));
        write(&sandbox, &format!("j2/{index}.yaml.j2"), text);
        let service = "version: v1\nkind: ServiceTemplate\nmetadata: {name: t}\n";
        let text = format!("{service}container: {{image: x}}\ndescription: >-\n  {form}\n");
        write(&sandbox, &format!("st/{index}.yaml"), text);
    }
    let forms = TEMPLATES.len() + closed().len();
    for folder in ["j2", "st"] {
        let run = soon(folder, || sandbox.run(&["validate", "-f", folder, "--project-id", "p"]));
        assert_eq!(run.code, 2, "{}", run.stderr);
        let told = format!("{forms} problems in the manifests");
        assert!(run.stderr.contains(&told), "{}", run.stderr);
    }
}

/// Texts of YAML that nest or repeat without end.
fn yaml_forms() -> Vec<(&'static str, String)> {
    let deep = 10 * yaml::MAX_DEPTH;
    let indented: String = (0..deep).map(|level| " ".repeat(level) + "a:\n").collect();
    let list: String = "- ".repeat(deep) + "a\n";
    let keys: String = "? ".repeat(deep) + "a\n";
    let bomb = (1..30).fold("a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let above = format!("*a{}, ", level - 1).repeat(8);
        text + &format!("a{level}: &a{level} [{above}]\n")
    });
    let merged = (1..300).fold("a0: &a0 {x: 1}\n".to_owned(), |text, level| {
        text + &format!("a{level}: &a{level} {{<<: [*a{0}, *a{0}]}}\n", level - 1)
    });
    vec![
        ("lists", "[".repeat(deep) + &"]".repeat(deep) + "\n"),
        ("maps", "{a: ".repeat(deep) + "1" + &"}".repeat(deep) + "\n"),
        ("open lists", "[".repeat(100_000)),
        ("open maps", "{a: ".repeat(100_000)),
        ("open keys", "{? ".repeat(100_000)),
        ("indented maps", indented),
        ("lists in a line", list),
        ("keys in a line", keys),
        ("aliases", bomb),
        ("merges", merged),
        ("tags", "!a ".repeat(50_000) + "x\n"),
        (
            "anchors",
            (0..50_000).map(|index| format!("- &a{index} x\n")).collect::<String>() + "- [\n",
        ),
        ("many documents", "--- [\n".repeat(50_000)),
        ("quotes", "\"".repeat(200_001)),
        ("directives", "%A\n".repeat(50_000)),
    ]
}

#[test]
fn yaml_without_end_is_refused_by_the_parser() {
    for (name, text) in yaml_forms() {
        let error = soon(name, || yaml::parse(&text)).map(drop);
        if let Err(error) = error {
            assert!(!error.message.contains('\n') && error.message.len() < 300, "{name}: {error}");
        }
    }
}

#[test]
fn yaml_without_end_is_refused_at_every_entry() {
    let sandbox = Sandbox::new();
    write(&sandbox, "a.yaml.j2", room("{{ name }}", ""));
    for (name, text) in yaml_forms() {
        write(&sandbox, "m.yaml", &text);
        let nested = text.replace('\n', "\n  ");
        write(&sandbox, "n.yaml", room("a", &format!("room_metadata:\n  k: {nested}\n")));
        let entries = [
            &["validate", "-f", "m.yaml"][..],
            &["validate", "-f", "n.yaml"],
            &["validate", "-f", "a.yaml.j2", "--values-file", "m.yaml"],
            &["service", "validate", "--file", "m.yaml"],
            &["service", "spec", "--file", "m.yaml"],
        ];
        // Each reads with the same parser, so the deepest forms are enough for all of them.
        let few = if name.starts_with("open") { entries.len() } else { 2 };
        for words in entries.into_iter().take(few) {
            ends_in_words(name, &soon(name, || run_raw(&sandbox, words)));
        }
    }
}

/// How a run ended: in words, and by no signal.
struct Ended {
    words: String,
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
}

fn run_raw(sandbox: &Sandbox, words: &[&str]) -> Ended {
    let output = sandbox.command(words).output().unwrap();
    Ended {
        words: words.join(" "),
        code: output.status.code(),
        signal: output.status.signal(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn ends_in_words(name: &str, ended: &Ended) {
    let Ended { words, code, signal, stderr } = ended;
    assert_eq!(*signal, None, "{name}: {words}: {stderr}");
    assert!(matches!(code, Some(1 | 2 | 6)), "{name}: {words}: {code:?} {stderr}");
    assert!(
        stderr.contains("error: ") && !stderr.contains("panicked"),
        "{name}: {words}: {stderr}"
    );
}

/// JSON that is far deeper than the 128 levels that are read.
fn json_forms() -> Vec<String> {
    let deep = 1_280;
    vec![
        "[".repeat(deep) + &"]".repeat(deep),
        "{\"a\":".repeat(deep) + "1" + &"}".repeat(deep),
        "[".repeat(200_000),
        "{\"a\":".repeat(200_000),
        "[{\"a\":".repeat(100_000),
    ]
}

#[test]
fn json_without_end_is_refused_at_every_entry() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path(".meshagent")).unwrap();
    write(&sandbox, "a.yaml.j2", room("{{ name }}", ""));
    for (index, form) in json_forms().into_iter().enumerate() {
        let name = format!("form {index}");
        write(&sandbox, "m.json", &form);
        write(&sandbox, ".meshagent/project.json", &form);
        let few = index < 2;
        let value = format!("v={form}");
        let entries: [&[&str]; 4] = [
            &["validate", "-f", "m.json", "--project-id", "p"],
            &["apply", "m.json", "--embedded"],
            &["project", "list"],
            &["validate", "-f", "a.yaml.j2", "--value-json", &value],
        ];
        // What is longer than the system takes as an argument stands in files only.
        for words in entries.into_iter().take(if few { 4 } else { 3 }) {
            ends_in_words(&name, &soon(&name, || run_raw(&sandbox, words)));
        }
        assert!(soon(&name, || values::exact_json(&form)).is_err(), "{name}");
        let mut payload = (form.len() as u64).to_be_bytes().to_vec();
        payload.extend(form.as_bytes());
        let mut assembler = Assembler::default();
        let first = [&[0; 15][..], &[1], b"room.call"].concat();
        assert_eq!(assembler.take(&first), Ok(None));
        let second = [&[0; 11][..], &[1], &payload].concat();
        let told = soon(&name, || assembler.take(&second)).unwrap_err();
        assert!(told.starts_with("a message's header is not JSON: "), "{name}: {told}");
    }
    // What is just as deep as it may be goes through.
    let deep = (0..100).fold(json!(1), |value, _| json!([value]));
    let message = Message::new(1, "a", deep.clone());
    let mut assembler = Assembler::default();
    let read = message.packets(SLICE).find_map(|packet| assembler.take(&packet).unwrap()).unwrap();
    assert_eq!(read.header, deep);
}

#[tokio::test]
async fn requests_without_end_are_refused_by_every_route() {
    let server = Server::start().await;
    let templates: Vec<String> = templates().chain(closed()).collect();
    for template in &templates {
        for path in ["/templates/render", "/accounts/projects/PROJECT/services"] {
            let path = path.replace("PROJECT", &server.project);
            let body = json!({"template": template, "values": {}});
            let reply = server.ask("POST", &path).bearer(&server.owner).json(&body).send().await;
            let reply = reply.refuses("template");
            assert!(reply.text.len() < 500, "{}", reply.text);
        }
    }
    for route in Platform::routes() {
        // The pages for signing in read no JSON.
        let reads = ["POST", "PUT", "PATCH"].contains(&route.method.as_str());
        if !reads || route.path.starts_with("/oauth") {
            continue;
        }
        let path = route.path.replace("{project}", &server.project);
        let path = path.replace(['{', '}'], "");
        for form in json_forms() {
            let ask = server.ask(route.method.as_str(), &path).bearer(&server.owner);
            let reply = ask.text(&form).send().await;
            assert!(reply.status < 500, "{path}: {reply:?}");
            assert!(reply.text.len() < 500, "{path}: {}", reply.text);
        }
    }
    server.ask("GET", "/config").bearer(&server.owner).send().await.expect(200);
}

#[test]
fn rules_without_end_are_refused() {
    let again = |text: &str| text.repeat(10_000);
    for body in [
        format!("x := {}1", again("(")),
        format!("x := {}1{}", again("("), again(")")),
        format!("x := {}", again("[")),
        format!("x := {}1{}", again("["), again("]")),
        format!("x := {}1{}", again("{\"a\": "), again("}")),
        format!("x := 1{}", again(" + 1")),
        format!("x := 1{}", again(" +\n1")),
        format!("x := {}1", again("-")),
        format!("x := a{}", again("[1]")),
        format!("x := a{}", again(".a")),
        format!("x := a{}", again("(1)")),
        format!("{}x", again("not ")),
        format!("x := 1 == 1{}", again(" == 1")),
        format!("x := a{}", again(" with input as a")),
        again("every a in b {"),
    ] {
        let begin: String = body.chars().take(40).collect();
        let text = format!("package meshagent\ndeny contains \"x\" if {{\n{body}\n}}\n");
        let source = Source { name: "p.rego".to_owned(), text };
        let asked = soon(&begin, || evaluate(&[source], &json!({}))).unwrap_err();
        assert!(!asked.to_string().contains('\n'), "{begin}: {asked}");
    }
    let text = format!("package meshagent\ndeny contains \"x\" if true\n{}", again("else := 1 "));
    let source = Source { name: "p.rego".to_owned(), text };
    assert!(evaluate(&[source], &json!({})).is_err());
}

#[test]
fn rules_that_never_end_are_stopped() {
    let sandbox = Sandbox::new();
    write(&sandbox, "a.yaml", room("a", ""));
    let numbers = "numbers.range(1, 3000)";
    write(
        &sandbox,
        "rules/a.rego",
        format!(
            "package meshagent\ndeny contains \"x\" if {{\n  a := {numbers}\n  some i in a\n  some j in a\n  some k in a\n  i + j + k < 0\n}}\n"
        ),
    );
    let plan = ["plan", "-f", "a.yaml", "--embedded", "--policy", "rules"];
    let run: Run = soon("rules", || sandbox.run(&plan));
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn other_texts_without_end_are_refused() {
    let sandbox = Sandbox::new();
    let long = |text: &str| text.repeat(100_000);
    let task = |schedule: &str| {
        format!(
            "version: v1\nkind: ScheduledTask\nmetadata: {{name: t}}\nroom: r\nqueue: q\nschedule: {schedule:?}\npayload: {{}}\n"
        )
    };
    let hook = |url: &str| {
        format!(
            "version: v1\nkind: Webhook\nmetadata: {{name: h}}\nurl: {url:?}\nevents: [room.started]\n"
        )
    };
    let service = |image: &str| {
        format!(
            "version: v1\nkind: Service\nmetadata: {{name: s}}\ncontainer: {{image: {image:?}}}\n"
        )
    };
    for document in [
        task(&format!("0{} * * * *", long(",0"))),
        task(&format!("*{} * * * *", long("/1"))),
        task(&long("* ")),
        hook(&format!("https://x.example/{}", long("../"))),
        hook(&format!("https://{}x", long("a."))),
        hook(&format!("https://x.example/?{}", long("%"))),
        service(&long("a/")),
        service(&format!("a{}", long("@"))),
        room(&long("a-"), ""),
        room("a", &format!("{}: 1\n", long("room_metadata"))),
        format!("version: v1\nkind: {}\nmetadata: {{name: a}}\n", long("Room")),
    ] {
        write(&sandbox, "m.yaml", &document);
        let begin: String = document.chars().take(80).collect();
        let ended =
            soon(&begin, || run_raw(&sandbox, &["validate", "-f", "m.yaml", "--project-id", "p"]));
        assert!(ended.signal.is_none() && ended.code < Some(3), "{begin}: {:?}", ended.code);
        assert!(ended.stderr.len() < 20_000, "{begin}: {} bytes", ended.stderr.len());
    }
}
