//! Any options of any agent: the service that they become is valid, is applied, and is then what
//! was asked for, as a service and as an agent.

use std::collections::BTreeSet;

use jsonschema::Validator;
use meshagent::api::spoken::Spoken;
use meshagent::kinds::agents::check::check;
use meshagent::kinds::agents::family::{Action, Family};
use meshagent::kinds::agents::given::Given;
use meshagent::kinds::agents::options::{AgentOption, Takes};
use meshagent::kinds::agents::service::service;
use meshagent::kinds::{Key, KindName, schema};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::cli::Sandbox;
use crate::needs;
use crate::reconciler::{World, describe, policy};

/// Texts that shells, YAML or the program may have a meaning for.
const TEXTS: [&str; 12] = [
    "plain",
    "two words",
    "it's",
    "\"quoted\"",
    "a: b # c",
    "{{ x }}",
    "line\nline",
    "ü €",
    "$HOME `x`",
    "-r",
    "spec",
    "a=b,c",
];

/// A value that an option takes, chosen by a number.
fn value(option: &AgentOption, choice: usize) -> String {
    let one = |texts: &[&str]| texts[choice % texts.len()].to_owned();
    match (option.name, option.takes) {
        ("channel", _) => one(&["chat", "mail:a@b.c", "queue:jobs", "toolkit:all"]),
        ("use-memory", _) => one(&["notes", "team/notes"]),
        ("shell-image-mount", _) => one(&["a=/b", "registry/a:1=/b:ro"]),
        ("shell-empty-dir-mount" | "shell-tool-empty-dir", _) => one(&["/a", "/b:ro"]),
        (name, _) if name.contains("mount") || name.contains("-tool-") => {
            one(&["a:/b", "a/b:/c:ro", "a:b:/c:rw"])
        }
        ("service-name" | "agent-name", _) => one(&["support", "help"]),
        // Its other name must not say something else.
        ("working-dir" | "working-directory", _) => "/work".to_owned(),
        (_, Takes::OneOf(words)) => one(words),
        (_, Takes::Number) => (8000 + choice % 1000).to_string(),
        (_, Takes::Json) => one(&["{}", r#"{"a": {"b": [1, "x y"]}}"#]),
        (_, Takes::Words) => one(&["A", "A,B", "B"]),
        (_, Takes::Pairs) => one(&["A=1", "B=x y=z", "A="]),
        // A model of somebody else has fewer tools.
        ("model", _) => one(&["gpt-5.4", "gpt-other"]),
        _ => one(&TEXTS),
    }
}

/// The words that say options, each in one of its forms.
fn words(family: Family, choices: &[(usize, usize)]) -> Vec<String> {
    let options = family.options(Action::Spec);
    let mut words = Vec::new();
    for (which, choice) in choices {
        let option = &options[which % options.len()];
        if option.name == "llm-participant" && choices.len() > 1 {
            continue; // It has fewer tools, too, so it stands alone.
        }
        let name = format!("--{}", option.name);
        if !option.takes.a_value() {
            let is_off = choice % 3 == 0 && option.negated.is_some();
            words.push(if is_off { format!("--no-{}", option.name) } else { name });
            continue;
        }
        let text = value(option, *choice);
        match (option.short, choice % 3) {
            (Some(short), 0) => words.extend([format!("-{short}"), text]),
            (_, 1) => words.push(format!("{name}={text}")),
            _ => words.extend([name, text]),
        }
    }
    words
}

/// What an agent needs, in front of other options.
fn whole(family: Family, more: Vec<String>) -> Vec<String> {
    let mut whole: Vec<String> =
        ["--agent-name", "a", "--service-name", "s"].map(str::to_owned).to_vec();
    for option in family.options(Action::Spec) {
        if option.required && !["agent-name", "service-name"].contains(&option.name) {
            whole.extend([format!("--{}", option.name), "needed".to_owned()]);
        }
    }
    whole.extend(more);
    whole
}

/// The service of options; `None` if they do not go together.
fn described(family: Family, words: &[String]) -> Option<Value> {
    let given = Given::parse(words, &family.options(Action::Spec)).expect("options");
    let is_right = check(family, &given, |_| true).is_ok();
    is_right.then(|| service(family, Action::Spec, (&given, words)))
}

/// Any options, as those of one family.
fn random() -> impl Strategy<Value = (Family, Vec<String>)> {
    let family = prop::sample::select(Family::ALL.to_vec());
    let choices = prop::collection::vec((any::<usize>(), any::<usize>()), 0..12);
    (family, choices).prop_map(|(family, choices)| (family, whole(family, words(family, &choices))))
}

fn validator() -> Validator {
    jsonschema::validator_for(&schema::published(KindName::Service.kind())).unwrap()
}

/// That options become a valid service, and the document of its agent becomes the same one.
fn holds(validator: &Validator, family: Family, words: &[String]) -> bool {
    let Some(service) = described(family, words) else { return false };
    let mut document = service.clone();
    without_nulls(&mut document);
    assert!(validator.is_valid(&document), "{words:?}: {document}");
    let declared = KindName::Service.kind().declare(&document).unwrap().remove(0);
    let key = Key::new(KindName::Service, "p", None, declared.name.clone());
    let agent = KindName::Agent.kind().explained(&key, &declared.fields);
    let agent = agent.unwrap_or_else(|| panic!("{words:?}: {service}"));
    let of_agents = KindName::Agent.kind();
    assert!(schema::validator(of_agents).unwrap().is_valid(&agent), "{words:?}: {agent}");
    let again = of_agents.declare(&agent).unwrap().remove(0).fields;
    let spelled = KindName::Service.kind().spelled_as(&again, &declared.fields).unwrap_or(again);
    assert_eq!(spelled, declared.fields, "{words:?}: {agent}");
    true
}

/// A printed service has no fields that are null.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[test]
fn any_options_are_a_valid_service_and_the_same_as_an_agent() {
    let validator = validator();
    let mut runner =
        TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let mut held = 0;
    let held = std::cell::RefCell::new(&mut held);
    let run = runner.run(&random(), |(family, words)| {
        **held.borrow_mut() += usize::from(holds(&validator, family, &words));
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    assert!(**held.borrow() > 300, "{}", held.borrow());
}

/// Every option of a family, each once and alone.
fn each(family: Family) -> Vec<Vec<String>> {
    let count = family.options(Action::Spec).len();
    (0..count)
        .flat_map(|which| [1, 2, 3].map(|choice| whole(family, words(family, &[(which, choice)]))))
        .collect()
}

/// Several options with nearly all that a family has, so that few services are applied.
fn together(family: Family) -> Vec<Vec<String>> {
    let choices: Vec<_> =
        (0..family.options(Action::Spec).len()).map(|which| (which, which + 1)).collect();
    choices.chunks(20).map(|choices| whole(family, words(family, choices))).collect()
}

#[test]
fn every_option_is_in_a_service_and_in_its_agent() {
    let validator = validator();
    let mut met = BTreeSet::new();
    for family in Family::ALL {
        for words in each(family) {
            assert!(holds(&validator, family, &words), "{words:?}");
            let names = words.iter().filter_map(|word| word.strip_prefix("--"));
            met.extend(
                names.map(|name| (family.name(), name.split('=').next().unwrap().to_owned())),
            );
        }
    }
    let Some(path) = needs::beside("options of agents", "contract/agents/options-by-command.txt")
    else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let (mut checked, mut of) = (0, None);
    for line in text.lines() {
        if !line.starts_with(' ') {
            let family = line.strip_suffix(" spec").map(|words| words.replace(' ', "-"));
            of = family.and_then(|name| Family::named(&name));
            continue;
        }
        let named = line.split_once("--").map(|(_, name)| name);
        let Some((family, name)) = of.zip(named) else { continue };
        let is_of_name = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        let name: String = name.chars().take_while(is_of_name).collect();
        assert!(met.contains(&(family.name(), name.clone())), "{} --{name}", family.name());
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
}

#[tokio::test]
async fn options_that_were_applied_plan_to_nothing_as_a_service_and_as_an_agent() {
    let world = World::start().await;
    let surroundings = crate::registry::documents::surroundings(Spoken::V0_31);
    let (mut services, mut agents) = (surroundings.clone(), surroundings);
    let mut count = 0;
    for family in Family::ALL {
        for mut words in together(family) {
            count += 1;
            words.extend(["--service-name".to_owned(), format!("s{count}")]);
            let secret = words.iter().position(|word| word == "--secret");
            if let Some(at) = secret {
                words[at + 1] = "model-keys".to_owned();
            }
            words.retain(|word| !word.starts_with("--secret="));
            let Some(mut service) = described(family, &words) else { panic!("{words:?}") };
            without_nulls(&mut service);
            let declared = KindName::Service.kind().declare(&service).unwrap().remove(0);
            let key = Key::new(KindName::Service, "p", None, declared.name.clone());
            agents.push(KindName::Agent.kind().explained(&key, &declared.fields).unwrap());
            services.push(service);
        }
    }
    world.run(&services, &policy("s")).await;
    for documents in [&services, &agents] {
        let again = world.plan(documents, &policy("s")).await;
        assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    }
    // And the other way round: agents that were applied are the services.
    let other = World::start().await;
    other.run(&agents, &policy("s")).await;
    let again = other.plan(&services, &policy("s")).await;
    assert!(again.plan.is_empty(), "{}", describe(&again.plan));
    assert!(count > 15, "{count}");
}

/// The same from a terminal: `spec` and `deploy` read the options, and the document that `deploy`
/// prints declares what it wrote.
#[test]
fn any_options_are_deployed_and_their_document_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.embedded(0, &["rooms", "create", "--name", "lobby"]);
    let keys = ["secret", "key", "create", "--name", "keys", "--data", "K=v"];
    sandbox.embedded(0, &keys);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let mut deployed = 0;
    while deployed < 14 {
        let (family, mut words) = random().new_tree(&mut runner).unwrap().current();
        // What another machine has, what the project lacks, and what not every `deploy` takes.
        let at_home = ["copy-env", "secret", "output-schema-path", "shell-image-mount"];
        let is_left_out = |words: &[String]| {
            let mut words = words.iter();
            words.any(|word| at_home.iter().any(|name| word.contains(name)))
        };
        if is_left_out(&words) || described(family, &words).is_none() {
            continue;
        }
        words.extend(["--service-name".to_owned(), format!("s{deployed}")]);
        let line = |action: &str, more: &[&str]| -> Vec<String> {
            let begins = family.words().iter().copied().chain([action]);
            let begins = begins.map(str::to_owned).chain(words.iter().cloned());
            begins.chain(more.iter().map(|word| (*word).to_owned())).collect()
        };
        let run = |words: &[String]| {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            sandbox.embedded(0, &words).stdout
        };
        let spec = line("spec", &[]);
        let spec: Vec<&str> = spec.iter().map(String::as_str).collect();
        let printed: Value = serde_yaml::from_str(&sandbox.run(&spec).stdout).unwrap();
        let mut wanted = described(family, &words).unwrap();
        without_nulls(&mut wanted);
        assert_eq!(printed, wanted, "{words:?}");
        let more = ["--room", "lobby", "--secret", "keys"];
        run(&line("deploy", &more));
        let document = run(&line("deploy", &[&more[..], &["--as-manifest"]].concat()));
        assert!(document.contains("kind: Agent"), "{words:?}: {document}");
        sandbox.write(&format!("s{deployed}.yaml"), &document);
        deployed += 1;
    }
    sandbox.write("keys.env", "v");
    sandbox.write(
        "base.yaml",
        "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\nversion: v1\nkind: Secret\n\
         metadata: {name: keys}\ntype: keys\ndata: {K: {from: {file: keys.env}}}\n",
    );
    let plan = sandbox.embedded(0, &["plan", "-f", ".", "--adopt", "-o", "json"]).json();
    for operation in plan["operations"].as_array().unwrap() {
        let changes = operation["changes"].as_array().unwrap().iter();
        let paths = changes.map(|change| change["path"].as_str().unwrap());
        let rest: Vec<&str> = paths.filter(|path| !path.contains("meshagent.set")).collect();
        let is_secret = operation["address"] == "Secret/keys";
        assert!(rest.is_empty() || is_secret, "{}: {rest:?}", operation["address"]);
    }
}
