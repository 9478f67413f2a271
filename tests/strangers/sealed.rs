//! What templates take from the environment is hidden like a secret unless it is public.

use super::{all, room, write};
use crate::cli::{Run, Sandbox};

const CANARY: &str = "c4n4ry-Value.7";

/// Runs a command where the variables hold the canary.
fn with(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    for name in ["CI_TOKEN", "MESHAGENT_VAR_X"] {
        command.env(name, CANARY);
    }
    Run::of(command.output().unwrap())
}

const SEALED: [&str; 2] = ["--allow-env", "CI_TOKEN"];

/// What would give a part of the canary away.
const TRACES: [&str; 5] = ["c4n4ry", "C4N4RY", "yr4n4c", "Value.7", "YzRuNHJ5"];

#[track_caller]
fn has_no_trace(run: &Run, what: &str) {
    for trace in TRACES {
        assert!(!all(run).contains(trace), "{what}: {trace} in\n{}", all(run));
    }
}

#[test]
fn what_is_sealed_is_in_no_output_and_reaches_the_platform() {
    let sandbox = Sandbox::new();
    let before = room("a", "room_metadata: {k: before}\n");
    write(&sandbox, "before.yaml", before);
    sandbox.embedded(0, &["apply", "-f", "before.yaml", "--yes"]);
    let rest = "room_metadata:\n  k: \"x-{{ env('CI_TOKEN') }}-y\"\n  l: {{ env(\"MESHAGENT_VAR_X\") }}\n  m: |\n    a\n    {{ env('CI_TOKEN') }}\n    b\n  n: [\"{{ 'z' ~ env('CI_TOKEN') }}\"]\n  o: &o '{{ env('CI_TOKEN') }}'\n  p: *o\n";
    write(&sandbox, "m/a.yaml.j2", room("a", rest));
    let files = ["-f", "m", "--embedded"];
    for command in [
        &["plan"][..],
        &["plan", "--output", "markdown"],
        &["plan", "--output", "json"],
        &["plan", "--out", "p.json"],
        &["diff"],
        &["graph"],
    ] {
        let words = [command, &files, &SEALED].concat();
        let run = with(&sandbox, &words);
        assert_eq!(run.code, 0, "{words:?}: {}", run.stderr);
        has_no_trace(&run, &words.join(" "));
    }
    let saved = std::fs::read_to_string(sandbox.path("p.json")).unwrap();
    assert!(TRACES.iter().all(|trace| !saved.contains(trace)), "{saved}");
    let again = with(&sandbox, &["apply", "p.json", "--embedded"]);
    assert!(again.code == 6 && again.stderr.contains("--allow-env CI_TOKEN"), "{}", again.stderr);
    let words = [&["apply", "p.json", "--embedded", "--report", "r.json"][..], &SEALED].concat();
    let applied = with(&sandbox, &words);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    has_no_trace(&applied, "apply");
    let report = std::fs::read_to_string(sandbox.path("r.json")).unwrap();
    assert!(TRACES.iter().all(|trace| !report.contains(trace)), "{report}");
    let rooms = sandbox.embedded(0, &["rooms", "list", "-o", "json"]).stdout;
    for sent in ["x-c4n4ry-Value.7-y", "a\\nc4n4ry-Value.7\\nb\\n", "zc4n4ry-Value.7"] {
        assert!(rooms.contains(sent), "{sent} in\n{rooms}");
    }
    // A second run has nothing to change, and a changed value is noticed.
    let words = [&["plan", "--exit-code"][..], &files, &SEALED].concat();
    let settled = with(&sandbox, &words);
    assert_eq!(settled.code, 0, "{}", settled.stdout);
    has_no_trace(&settled, "settled");
    let mut other = sandbox.command(&words);
    let other = other.env("CI_TOKEN", "another").env("MESHAGENT_VAR_X", CANARY).output().unwrap();
    let other = Run::of(other);
    assert_eq!(other.code, 3, "{}", other.stderr);
    has_no_trace(&other, "changed");
}

#[test]
fn nothing_is_worked_out_of_what_is_sealed() {
    let sandbox = Sandbox::new();
    for expression in [
        "{{ env('CI_TOKEN')|upper }}",
        "{{ env('CI_TOKEN')|reverse }}",
        "{{ env('CI_TOKEN')|list|join('.') }}",
        "{{ env('CI_TOKEN')|replace('-', '') }}",
        "{{ env('CI_TOKEN')|urlencode }}",
        "{{ env('CI_TOKEN')|length }}",
        "{{ env('CI_TOKEN')|tojson }}",
        "{{ env('CI_TOKEN')|trim }}",
        "{{ env('CI_TOKEN')[0] }}",
        "{{ env('CI_TOKEN')[1:] }}",
        "{{ (env('CI_TOKEN') ~ '')[3:5] }}",
        "{{ ('x' ~ env('CI_TOKEN'))|upper }}",
        "{{ 'y' if env('CI_TOKEN') == 'c4n' else 'n' }}",
        "{{ 'y' if 'c4n' in env('CI_TOKEN') else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') in ['c4n'] else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') not in ['c4n'] else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') < 'd' else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') is eq('c4n') else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') is in(['c4n']) else 'n' }}",
        "{{ 'y' if env('CI_TOKEN') else 'n' }}",
        "{% set t %}{{ env('CI_TOKEN') }}{% endset %}{{ t|upper }}",
        "{% set t = env('CI_TOKEN') %}{% for c in t %}{{ c }}.{% endfor %}",
        "{% filter upper %}{{ env('CI_TOKEN') }}{% endfilter %}",
        "{{ {'c4n': 'y'}[env('CI_TOKEN')] }}",
        "{{ '%s'|format(env('CI_TOKEN')) }}",
        "{{ [env('CI_TOKEN')]|join('') }}",
        "{{ [env('CI_TOKEN')] }}",
        "{{ range(9)|select('eq', env('CI_TOKEN'))|list }}",
        "{% macro m(x) %}{{ x|lower }}{% endmacro %}{{ m(env('CI_TOKEN')) }}",
    ] {
        let rest = format!("room_metadata: {{k: \"{}\"}}\n", expression.replace('"', "'"));
        write(&sandbox, "a.yaml.j2", room("a", &rest));
        let words = [&["plan", "-f", "a.yaml.j2", "--embedded"][..], &SEALED].concat();
        let run = with(&sandbox, &words);
        has_no_trace(&run, expression);
        assert_eq!(run.code, 6, "{expression}: {}{}", run.stdout, run.stderr);
    }
    let public = ["plan", "-f", "a.yaml.j2", "--embedded", "--allow-env", "CI_TOKEN=public"];
    let rest = "room_metadata: {k: \"{{ env('CI_TOKEN')|upper if env('CI_TOKEN') else '' }}\"}\n";
    write(&sandbox, "a.yaml.j2", room("a", rest));
    let run = with(&sandbox, &public);
    assert!(run.code == 0 && run.stdout.contains("C4N4RY-VALUE.7"), "{}", all(&run));
    let words = [&["validate", "-f", "a.yaml.j2"][..], &SEALED].concat();
    let told = with(&sandbox, &words);
    for line in [
        "a.yaml.j2:4:1: the environment variable CI_TOKEN is hidden",
        "add --allow-env CI_TOKEN=public to let templates compute with it",
    ] {
        assert!(told.stderr.contains(line), "{}", told.stderr);
    }
}

#[test]
fn what_is_shown_cannot_be_sealed() {
    let sandbox = Sandbox::new();
    let e = "{{ env('CI_TOKEN') }}";
    for document in [
        format!("version: v1\nkind: Room\nmetadata: {{name: \"{e}\"}}\n"),
        format!("version: v1\nkind: {e}\nmetadata: {{name: a}}\n"),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\nproject: {e}\n"),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\n{e}: 1\n"),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\nroom_metadata: {{{e}: 1}}\n"),
        format!("version: v1\nkind: Room\nmetadata: {{name: a, annotations: {{a: !{e} x}}}}\n"),
        format!(
            "version: v1\nkind: Mailbox\nmetadata: {{name: a}}\naddress: \"{e}\"\nroom: r\nqueue: q\n"
        ),
        format!(
            "version: v1\nkind: Mailbox\nmetadata: {{name: a@x.example}}\nroom: \"{e}\"\nqueue: q\n"
        ),
        format!(
            "version: v1\nkind: Room\nmetadata: {{name: a}}\nlifecycle: {{ignore: [\"{e}\"]}}\n"
        ),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\n---\n{e}\n"),
        format!(
            "version: v1\nkind: ServiceTemplate\nmetadata: {{name: t}}\ncontainer: {{image: \"{e}\"}}\n"
        ),
        format!(
            "{{\"version\": \"v1\", \"kind\": \"Room\", \"metadata\": {{\"name\": \"a\"}}, \"rom\": \"{e}\", \"{e}\"}}"
        ),
        format!("version: v1\nkind: Room\nmetadata: {{name: a}}\nroom_metadata: [{e}\n"),
    ] {
        write(&sandbox, "a.yaml.j2", &document);
        for command in [&["validate"][..], &["plan", "--embedded"], &["graph", "--embedded"]] {
            let words = [command, &["-f", "a.yaml.j2", "--project-id", "p"], &SEALED].concat();
            let run = with(&sandbox, &words);
            has_no_trace(&run, &document);
            assert!([2, 6].contains(&run.code), "{document}: {}", all(&run));
        }
    }
}

/// Whatever a variable holds, the same is told: a stranger who may write manifests tries guesses.
#[test]
fn nothing_that_is_told_depends_on_what_is_sealed() {
    let e = "{{ env('MESHAGENT_VAR_N') }}";
    let task =
        "version: v1\nkind: ScheduledTask\nmetadata: {name: t}\nroom: r\nqueue: q\npayload: {}\n";
    let service = "version: v1\nkind: Service\nmetadata: {name: s}\n";
    for document in [
        room(
            "a",
            &format!("room_metadata: {{k: \"{e}\", guesses: [\"37\", \"true\", \"a b\"]}}\n"),
        ),
        room("a", &format!("room_metadata: {{k: {e}}}\n")),
        room("a", &format!("room_metadata: {{k: {e}, l: [{e}, 37]}}\nwrong: 37\n")),
        room("a", &format!("room_metadata: {{k: |\n  {e}\n}}\n")),
        room("a", &format!("annotations: \"{e}\"\n")),
        room("37", &format!("room_metadata: {{k: \"{e}\"}}\n")),
        format!("{task}schedule: '{e}-36 * * * *'\n"),
        format!("{task}schedule: '{e}'\n"),
        format!("{service}container: {{image: \"x:{e}\"}}\n"),
        format!("{service}container: {{image: \"{e}\"}}\nports: [{{num: {e}, type: http}}]\n"),
        format!(
            "{service}container: {{image: x, environment: [{{name: \"{e}\", value: a}}, {{name: \"37\", value: b}}]}}\n"
        ),
        format!(
            "{service}container: {{image: x, environment: [{{name: A, value: \"{e}\"}}], private: {e}}}\n"
        ),
        format!("{{% if env('MESHAGENT_VAR_N') == '37' %}}\n{{% endif %}}\n{}", room("a", "")),
        format!("{}---\nversion: v1\nkind: \"{e}\"\n", room("a", "")),
        format!("{}{e}\n", room("a", "")),
    ] {
        let mut first: Option<(String, String)> = None;
        for value in ["37", "true", "\"'\n- : |"] {
            let sandbox = Sandbox::with_platform();
            write(&sandbox, "a.yaml.j2", &document);
            let mut told = String::new();
            for command in [&["validate"][..], &["plan", "--embedded"]] {
                let words = [command, &["-f", "a.yaml.j2", "--project-id", "p"]].concat();
                let run = sandbox.command(&words).env("MESHAGENT_VAR_N", value).output().unwrap();
                told += &all(&Run::of(run));
            }
            match &first {
                None => first = Some((value.to_owned(), told)),
                Some((other, expected)) => {
                    assert_eq!(*expected, told, "{document}\n{other:?} and {value:?}");
                }
            }
        }
    }
}

#[test]
fn a_sealed_variable_is_a_text_whatever_it_holds() {
    let sandbox = Sandbox::new();
    write(
        &sandbox,
        "r.yaml.j2",
        room("a", "room_metadata: {k: {{ env('N') }}, l: [\"{{ env('N') }}\"]}\n"),
    );
    let value = "73571, m: 9\n# {{ x }} \"";
    let words = ["apply", "-f", "r.yaml.j2", "--embedded", "--yes", "--allow-env", "N"];
    let run = Run::of(sandbox.command(&words).env("N", value).output().unwrap());
    assert!(run.code == 0 && !all(&run).contains("73571"), "{}", all(&run));
    let rooms = sandbox.embedded(0, &["rooms", "list", "-o", "json"]).stdout;
    let rooms: serde_json::Value = serde_json::from_str(&rooms).unwrap();
    let metadata = &rooms[0]["metadata"];
    assert_eq!(*metadata, serde_json::json!({"k": value, "l": [value]}), "{rooms}");
    // A secret's own text, too: an inventory that knows it has nothing to change.
    write(
        &sandbox,
        "r.yaml.j2",
        "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: {A: \"{{ env('N') }}\"}\n",
    );
    let run = Run::of(sandbox.command(&words).env("N", value).output().unwrap());
    assert!(run.code == 0 && !all(&run).contains("73571"), "{}", all(&run));
    write(&sandbox, "n.txt", value);
    write(
        &sandbox,
        "s.yaml",
        "version: v1\nkind: Secret\nmetadata: {name: s}\ntype: keys\ndata: {A: {from: {file: n.txt}}}\n",
    );
    let words = ["plan", "-f", "s.yaml", "--embedded", "--prune=none", "--exit-code"];
    let same = sandbox.run(&[&words[..], &["--allow-files", "."]].concat());
    assert_eq!(same.code, 0, "{}", all(&same));
    let port = "version: v1\nkind: Service\nmetadata: {name: s}\nports: [{num: {{ env('N') }}}]\ncontainer: {image: x, private: {{ env('N') }}}\n";
    write(&sandbox, "s.yaml.j2", port);
    let words = ["validate", "-f", "s.yaml.j2", "--allow-env", "N"];
    let run = Run::of(sandbox.command(&words).env("N", "true").output().unwrap());
    for line in [
        "`container.private` is text, not true or false",
        "hint: a hidden variable can only be used as text; add --allow-env N=public to let plans show it",
    ] {
        assert!(run.code == 2 && run.stderr.contains(line), "{}", all(&run));
    }
}

/// A problem a key, thousands of them, took time that grew with their square.
#[test]
fn many_faults_in_what_is_sealed_are_told_at_once() {
    let sandbox = Sandbox::new();
    let rest = "room_metadata:\n{% for i in range(8000) %}  \"{{ env('MESHAGENT_VAR_X') }}{{ i }}\": 1\n{% endfor %}";
    write(&sandbox, "a.yaml.j2", room("a", rest));
    let run = with(&sandbox, &["validate", "-f", "a.yaml.j2"]);
    assert!(run.code == 2 && run.stderr.contains("8000 problems"), "{}", run.stderr);
    has_no_trace(&run, "many");
}
