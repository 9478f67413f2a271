//! What was hardly meant is told: names twice, fields that are not there, two environments that are
//! one.

use super::{PROJECT, bare, ran, shop};
use crate::cli::Sandbox;

#[test]
fn a_command_is_for_one_environment() {
    let sandbox = shop();
    for line in ["plan -e dev -e prod", "apply -e dev -e prod --yes", "validate -e prod -e dev"] {
        let refused = ran(&sandbox, 2, line);
        assert!(refused.stderr.contains("a command is for one environment"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    ran(&sandbox, 0, "validate -e dev -e dev");
}

#[test]
fn one_set_of_one_project_is_noticed_by_its_name_and_its_id() {
    let sandbox = bare("version: v1\nenvironments: {}\n");
    let made = sandbox.embedded(0, &["project", "create", "one"]).stdout;
    let id = made.trim();
    let text = |stage: &str| {
        format!(
            "version: v1\nvalues: {{stage: a, image_tag: b}}\nenvironments:\n  dev: {{project: one, embedded: true}}\n  stage: {{extends: dev, project: {id}, without: [Room/sandbox]{stage}}}\n"
        )
    };
    sandbox.write("meshagent.yaml", &text(""));
    let told = "are the same set of project `one`, so each would delete what the other declares";
    for line in ["plan -e dev", "plan -e stage", "plan -e all", "apply -e stage --yes"] {
        let refused = sandbox.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(refused.code, 6, "{line}: {}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(told), "{line}: {}", refused.stderr);
    }
    for stage in [", set: other", ", embedded: elsewhere"] {
        sandbox.write("meshagent.yaml", &text(stage));
        ran(&sandbox, 0, "plan -e dev");
    }
    // The usual platform is the same one, whether it is written or not.
    for url in ["https://api.meshagent.com", "https://API.meshagent.com:443/"] {
        let text = format!(
            "version: v1\nenvironments:\n  dev: {{project: p}}\n  prod: {{project: p, api_url: \"{url}\"}}\n"
        );
        sandbox.write("meshagent.yaml", &text);
        let refused = ran(&sandbox, 2, "validate -e dev").stderr;
        assert!(refused.contains("are the same set of project `p`"), "{refused}");
    }
}

#[test]
fn what_says_nothing_in_a_project_file_is_told_at_its_place() {
    let sandbox = bare(PROJECT);
    let many: String = (0..501).map(|at| format!(", e{at}: {{set: s{at}}}")).collect();
    for (text, place, told) in [
        (
            "default: base\nenvironments: {base: {abstract: true}, a: {}}",
            "2:1",
            "environment `base` is only there for others to extend",
        ),
        (
            "ci: {apply: [a, base]}\nenvironments: {base: {abstract: true}, a: {}}",
            "2:17",
            "environment `base` is only there for others to extend",
        ),
        ("environments: {a: {project: \"\"}}", "2:20", "`project` is empty"),
        (
            "environments: {a: {}, b: {extends: a, set: b, without: []}}",
            "2:47",
            "an empty `without` takes nothing back",
        ),
        ("environments: {a: {embedded: yes}}", "2:20", "`embedded: yes` is a text here"),
        (
            "environments: {a: {embedded: .git/refs/heads/x}}",
            "2:20",
            ".git/refs/heads/x is a folder that belongs to Git",
        ),
        ("environments: {a: {embedded: x/.GIT}}", "2:20", "x/.GIT is a folder that belongs to Git"),
        (
            "environments: {a: {guards: {allow_deletes: none}}}",
            "2:29",
            "`environments.a.guards.allow_deletes`: it must be a whole number",
        ),
        (
            "environments: {a: {approvals: {required: two, approvers: x}}}",
            "2:32",
            "it must be a whole number",
        ),
        (&format!("environments: {{a: {{}}{many}}}"), "2:1", "more than 500 environments"),
    ] {
        sandbox.write("meshagent.yaml", &format!("version: v1\n{text}\n"));
        let refused = ran(&sandbox, 2, "validate -e a").stderr;
        assert!(refused.contains(&format!("meshagent.yaml:{place}: ")), "{place} {refused}");
        assert!(refused.contains(told), "{told:?} is not in {refused}");
    }
    assert!(!sandbox.path(".git").exists());
}

#[test]
fn no_link_leads_an_embedded_platform_into_git() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path(".git/refs/heads")).unwrap();
    std::os::unix::fs::symlink(".git/refs/heads", sandbox.path("link")).unwrap();
    sandbox.write("meshagent.yaml", "version: v1\nenvironments: {a: {embedded: link/x}}\n");
    let refused = ran(&sandbox, 2, "validate -e a").stderr;
    assert!(refused.contains("link/x is a folder that belongs to Git"), "{refused}");
}

#[test]
fn what_an_override_does_for_nothing_is_told() {
    let sandbox = shop();
    let keys = "version: v1\nkind: Secret\nmetadata: {name: keys}\ntype: keys\ndata: {OPENAI_API_KEY: x}\n";
    sandbox.write("manifests/keys.yaml", keys);
    let overrides = "    overrides:\n      Service/support:\n        container.image: registry.test/support:4 # tested\n";
    let with = |more: &str| sandbox.write("meshagent.yaml", &PROJECT.replace(overrides, more));
    for (more, place, told) in [
        (
            format!("{overrides}        container.environment[name=LEVL]: null\n"),
            "23:9",
            "Service/support has no `container.environment[name=LEVL]` that could be taken out",
        ),
        (
            format!("{overrides}        container.command: null\n"),
            "23:9",
            "Service/support has no `container.command` that could be taken out",
        ),
        (
            format!("    secrets: {{keys: {{OPENAI_API_KE: y}}}}\n{overrides}"),
            "20:22",
            "Secret/keys has no value `OPENAI_API_KE`",
        ),
        (
            overrides.replace("Service/support", "Service/suport"),
            "21:7",
            "no document is Service/suport",
        ),
        (overrides.replace("registry.test/support:4", "null"), "22:9", "missing field `image`"),
    ] {
        with(&more);
        let refused = sandbox.run(&["plan", "-e", "prod"]);
        assert_eq!(refused.code, 6, "{told}: {}{}", refused.stdout, refused.stderr);
        let told = format!("meshagent.yaml:{place}: {told}");
        assert!(refused.stderr.contains(&told), "{told:?} is not in {}", refused.stderr);
    }
    // A kind that is not known is told once, where it is written.
    with(
        &overrides.replace("Service/support:\n", "Servce/support:\n        container.command: x\n"),
    );
    let refused = sandbox.run(&["plan", "-e", "prod"]).stderr;
    assert_eq!(refused.matches("unknown kind `Servce`").count(), 1, "{refused}");
    assert!(refused.contains("meshagent.yaml:21:7: unknown kind"), "{refused}");
    // What another environment says can be taken back.
    let taken = PROJECT
        .replace(
            overrides,
            "    overrides:\n      Service/support:\n        container.command: null\n",
        )
        .replace(
            "        container.image: registry.test/support:5\n",
            "        container.image: registry.test/support:5\n        container.command: run\n",
        );
    sandbox.write("meshagent.yaml", &taken);
    ran(&sandbox, 0, "plan -e prod");
}

#[test]
fn whoever_leaves_the_project_file_out_is_told_so_with_the_way_back() {
    let sandbox = bare(PROJECT);
    let plan = ran(&sandbox, 2, "plan -f manifests/service.yaml").stderr;
    assert!(plan.contains("manifests are given with -f, so meshagent.yaml is not used"), "{plan}");
    for line in ["plan -f manifests/service.yaml", "rooms list"] {
        let refused = ran(&sandbox, 2, line).stderr;
        assert!(refused.contains("-e NAME uses an environment of meshagent.yaml"), "{refused}");
    }
    let number = ran(&sandbox, 2, "rollback 1 -e dev").stderr;
    assert!(number.contains("`meshagent rollback --to 1`"), "{number}");
    let word = ran(&sandbox, 2, "plan --to one -e dev").stderr;
    assert!(word.contains("it must be a whole number"), "{word}");
    let approve = ran(&sandbox, 2, "approve meshagent.yaml").stderr;
    assert!(approve.contains("`meshagent plan --out plan.json` makes a saved plan"), "{approve}");
    std::fs::remove_file(sandbox.path("meshagent.yaml")).unwrap();
    let none = ran(&sandbox, 2, "plan").stderr;
    assert!(none.contains("a folder with a meshagent.yaml needs neither"), "{none}");
}

#[test]
fn a_saved_plan_is_shown_with_its_environment_and_hints_name_it() {
    let sandbox = shop();
    ran(&sandbox, 0, "apply -e prod --yes");
    for line in ["rollback --to 9 -e prod --yes", "plan --to 9 -e prod", "history show 9 -e prod"] {
        let run = sandbox.run(&line.split(' ').collect::<Vec<_>>());
        let told = "`meshagent history --set shop -e prod` lists them";
        assert!(run.code != 0 && run.stderr.contains(told), "{line}: {}", run.stderr);
    }
    ran(&sandbox, 0, "destroy -e prod --yes");
    ran(&sandbox, 0, "plan -e prod --out plan.json");
    let shown = ran(&sandbox, 0, "show plan.json").stdout;
    assert!(shown.contains("Plan of set `shop` in environment `prod` for shop"), "{shown}");
}

#[test]
fn manifests_beside_another_project_file_are_told_of() {
    let sandbox = bare(&PROJECT.replace("set: shop\n", "set: shop\nmanifests: .\n"));
    std::fs::create_dir(sandbox.path("nested")).unwrap();
    let told = "manifests beside another project file are read here, too: nested/meshagent.yaml";
    assert!(!ran(&sandbox, 0, "validate -e dev").stderr.contains("another project file"));
    sandbox.write("nested/meshagent.yaml", "version: v1\nmanifests: .\n");
    sandbox.write("nested/room.yaml", "version: v1\nkind: Room\nmetadata: {name: nested}\n");
    let run = ran(&sandbox, 0, "validate -e dev").stderr;
    assert!(run.contains(told), "{run}");
}

#[test]
fn an_environment_says_which_api_its_platform_speaks() {
    let project = "version: v1\nenvironments:\n  dev: {embedded: true, dialect: \"0.56\"}\n  other: {extends: dev, embedded: data}\n";
    let sandbox = Sandbox::new();
    sandbox.write("meshagent.yaml", project);
    std::fs::create_dir(sandbox.path("manifests")).expect("a folder");
    let account = "version: v1\nkind: ServiceAccount\nmetadata: {name: bots}\n";
    sandbox.write("manifests/set.yaml", account);
    let run = |arguments: &[&str]| sandbox.run(arguments);
    let applied = run(&["apply", "-e", "dev", "--yes"]);
    assert_eq!(applied.code, 0, "{}{}", applied.stdout, applied.stderr);
    // What an option says goes before it, and another platform may speak another one.
    for arguments in [
        &["plan", "-e", "dev", "--dialect", "0.31"][..],
        &["plan", "-e", "other"],
        &["plan", "-e", "dev", "--embedded=elsewhere"],
    ] {
        let refused = run(arguments);
        assert_ne!(refused.code, 0, "{arguments:?}");
        assert!(refused.stderr.contains("--dialect 0.56"), "{arguments:?}: {}", refused.stderr);
    }
    // Without quotes, YAML has it be a number.
    sandbox.write("meshagent.yaml", &project.replace("\"0.56\"", "0.56"));
    assert_eq!(run(&["plan", "-e", "dev", "--exit-code"]).code, 0);
    sandbox.write("meshagent.yaml", &project.replace("0.56", "0.55"));
    let refused = run(&["plan", "-e", "dev"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("0.31"), "{}", refused.stderr);
}
