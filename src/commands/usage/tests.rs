//! Wrong command lines, and what is said of them.

use super::*;

fn told(line: &str) -> Option<(String, Option<String>)> {
    let tree = crate::commands::whole_tree();
    let parser = tree.clone().try_get_matches_from(line.split(' ')).unwrap_err();
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    error(&parser, tree, &words).map(|error| (error.message, error.hint))
}

#[test]
fn wrong_usage_is_one_line_with_a_hint() {
    for (line, message, hint) in [
        (
            "meshagent service create --image x",
            "unexpected argument '--image' found",
            "see `meshagent service create --help`",
        ),
        (
            "meshagent project create --name three",
            "unexpected argument '--name' found",
            "give NAME without an option: `meshagent project create NAME`",
        ),
        (
            "meshagent project create --naem three",
            "unexpected argument '--naem' found",
            "see `meshagent project create --help`",
        ),
        (
            "meshagent apply -f m -auto-approve",
            "unexpected argument '-a' found",
            "use --yes to skip the question",
        ),
        (
            "meshagent plan -f m -var stage=dev",
            "unexpected argument 'stage=dev' found",
            "give a value for templates as `-v NAME=VALUE`",
        ),
        (
            "meshagent plan -f m --detailed-exitcode",
            "unexpected argument '--detailed-exitcode' found",
            "use --exit-code to exit with 3 when something would change",
        ),
        (
            "meshagent workspace list",
            "unrecognized subcommand 'workspace'",
            "use a project instead of a workspace: choose it with --project-id, and its values with --values-file",
        ),
        (
            "meshagent apply -f m --auto-approve",
            "unexpected argument '--auto-approve' found",
            "use --yes to skip the question",
        ),
        (
            "meshagent apply -f m --dry-run",
            "unexpected argument '--dry-run' found",
            "`meshagent plan` shows what apply would do",
        ),
        (
            "meshagent validate -f m --allow-commands",
            "unexpected argument '--allow-commands' found",
            "validate reads no secrets and runs no commands: leave this option out",
        ),
        (
            "meshagent plan m",
            "unexpected argument 'm' found",
            "give manifests with -f: `meshagent plan -f m`",
        ),
        (
            "meshagent validate m/a.yaml",
            "unexpected argument 'm/a.yaml' found",
            "give manifests with -f: `meshagent validate -f m/a.yaml`",
        ),
        (
            "meshagent plan -f m --embedded /tmp/x",
            "unexpected argument '/tmp/x' found",
            "give its folder as `--embedded=/tmp/x`",
        ),
        (
            "meshagent plan -f m -v tag 1.10",
            "unexpected argument '1.10' found",
            "write a name and its value as one word: `-v tag=…`",
        ),
        (
            "meshagent plan -f m -o plan.json",
            "invalid value 'plan.json' for '--output <OUTPUT>' [possible values: text, json, markdown, html]",
            "--output says how the plan is printed: text, json, markdown or html; `--out FILE` writes it to a file",
        ),
        (
            "meshagent plan -f m -out plan.json",
            "invalid value 'ut' for '--output <OUTPUT>' [possible values: text, json, markdown, html]",
            "--output says how the plan is printed: text, json, markdown or html; `--out FILE` writes it to a file",
        ),
        (
            "meshagent delete -f m",
            "unrecognized subcommand 'delete'",
            "`meshagent destroy` deletes what a set owns, or with -f what these manifests declare; `apply` deletes what left the manifests",
        ),
        (
            "meshagent get rooms",
            "unrecognized subcommand 'get'",
            "`meshagent export` writes what a project holds; `meshagent rooms list` and the like show one kind",
        ),
        (
            "meshagent import x",
            "unrecognized subcommand 'import'",
            "`meshagent export` writes manifests of what exists, and `meshagent apply --adopt` adopts it",
        ),
        ("meshagent mcp sse", "unrecognized subcommand 'mcp'", NOT_YET),
        (
            "meshagent scheduled-task create",
            "unrecognized subcommand 'create'",
            "`meshagent scheduled-task add` creates a task",
        ),
        (
            "meshagent --install-completion",
            "unexpected argument '--install-completion' found",
            "`meshagent completion bash` prints completions; zsh, fish and powershell are known, too",
        ),
        (
            "meshagent plan -f m --destroy",
            "unexpected argument '--destroy' found",
            "`meshagent destroy --dry-run` shows what would be deleted",
        ),
        (
            "meshagent plan -destroy",
            "unexpected argument '-d' found",
            "`meshagent destroy --dry-run` shows what would be deleted",
        ),
        (
            "meshagent plan -f a.yaml b.yaml c.yaml --embedded",
            "unexpected argument 'b.yaml' found",
            "give each file its own -f: `-f a.yaml -f b.yaml -f c.yaml`",
        ),
        (
            "meshagent apply infra/a.yaml --set g",
            "the argument '[PLAN]' cannot be used with '--set <NAME>'",
            "a saved plan contains this already: leave it out; give manifests with -f, as in `meshagent apply -f manifests`",
        ),
        (
            "meshagent rooms update lobby --new-name hall",
            "unexpected argument 'lobby' found",
            "which one is meant is an option: `meshagent rooms update --id lobby` or `meshagent rooms update --name lobby`",
        ),
        (
            "meshagent secret key create --name k TOKEN=sk-secret",
            "unexpected argument 'TOKEN=…' found",
            "give pairs with --data: `meshagent secret key create --data NAME=VALUE`",
        ),
        (
            "meshagent secret key create --name k TOKEN=one\u{a0}two=three",
            "unexpected argument 'TOKEN=…' found",
            "give pairs with --data: `meshagent secret key create --data NAME=VALUE`",
        ),
        (
            "meshagent service update abc -f s.yaml",
            "unexpected argument 'abc' found",
            "which one is meant is an option: `meshagent service update --id abc`",
        ),
        (
            "meshagent room database table --room ",
            "a value is required for '--room <ROOM>' but none was supplied",
            "see `meshagent room database table --help`",
        ),
        (
            "meshagent room database list",
            "unrecognized subcommand 'list'",
            "`meshagent room database table` lists the tables",
        ),
        (
            "meshagent room queue list",
            "unrecognized subcommand 'list'",
            "`meshagent room queue` has the commands: send, send-mail, receive, size, watch",
        ),
        (
            "meshagent room database install tables.json",
            "unexpected argument 'tables.json' found",
            "give the file with --file: `meshagent room database install --file tables.json`",
        ),
        (
            "meshagent room database inspect people",
            "unexpected argument 'people' found",
            "it is an option: `meshagent room database inspect -t people`",
        ),
        (
            "meshagent room database drop people --room lobby",
            "unexpected argument 'people' found",
            "it is an option: `meshagent room database drop -t people`",
        ),
        (
            "meshagent room database insert -t people people.csv",
            "unexpected argument 'people.csv' found",
            "give the file with -f: `meshagent room database insert -f people.csv`",
        ),
        (
            "meshagent room memory query people",
            "unexpected argument 'people' found",
            "which one is meant is an option: `meshagent room memory query --name people`",
        ),
        (
            "meshagent room memory query -m people MATCH",
            "unexpected argument 'MATCH' found",
            "it is an option: `meshagent room memory query -s MATCH`",
        ),
        (
            "meshagent room memory recall --name=people ada",
            "unexpected argument 'ada' found",
            "it is an option: `meshagent room memory recall -q ada`",
        ),
        (
            "meshagent room memory delete-entities -m people ada",
            "unexpected argument 'ada' found",
            "it is an option: `meshagent room memory delete-entities -e ada`",
        ),
        (
            "meshagent room memory recall -m people -q ada bob",
            "unexpected argument 'bob' found",
            "see `meshagent room memory recall --help`",
        ),
        (
            "meshagent destroy --all",
            "unexpected argument '--all' found",
            "without -f, it deletes everything that the set owns",
        ),
        (
            "meshagent token tests",
            "unrecognized subcommand 'tests'",
            "`meshagent token` has the commands: generate",
        ),
        (
            "meshagent room delete",
            "unrecognized subcommand 'delete'",
            "`meshagent rooms delete` is a command",
        ),
        (
            "meshagent rooms agent",
            "unrecognized subcommand 'agent'",
            "`meshagent room agent` is a command",
        ),
        (
            "meshagent secret key list",
            "unrecognized subcommand 'list'",
            "`meshagent secret list` is a command",
        ),
        (
            "meshagent secret lisst",
            "unrecognized subcommand 'lisst'",
            "a similar subcommand exists: 'list'",
        ),
        (
            "meshagent secret gar create --json_key x",
            "unexpected argument '--json_key' found",
            "a similar argument exists: '--json-key'",
        ),
        (
            "meshagent secret gar create --name x",
            "the following required arguments were not provided: --server <HOST> --json-key <JSON>",
            "see `meshagent secret gar create --help`",
        ),
        (
            "meshagent project list -o 1",
            "invalid value '1' for '--output <OUTPUT>' [possible values: json, yaml, table]",
            "see `meshagent project list --help`",
        ),
        (
            "meshagent create -f x",
            "unrecognized subcommand 'create'",
            "`meshagent apply -f` creates what manifests declare; `meshagent rooms create` and the like create one object",
        ),
        (
            "meshagent rollout status x",
            "unrecognized subcommand 'rollout'",
            "`meshagent apply --wait` changes services and waits until they work",
        ),
        (
            "meshagent edit room/x",
            "unrecognized subcommand 'edit'",
            "edit the manifest and run `meshagent apply`; `meshagent rooms update` and the like change one object",
        ),
        (
            "meshagent scale x",
            "unrecognized subcommand 'scale'",
            "a service has no number of copies: it runs once in each of its rooms",
        ),
        (
            "meshagent deploy",
            "unrecognized subcommand 'deploy'",
            "`meshagent apply` makes the platform match the manifests",
        ),
        (
            "meshagent completion elvish",
            "invalid value 'elvish' for '<SHELL>' [possible values: bash, zsh, fish, powershell]",
            "the shells are bash, zsh, fish and powershell",
        ),
        (
            "meshagent rooms list -o name",
            "invalid value 'name' for '--output <OUTPUT>' [possible values: json, yaml, table]",
            "-q prints the names alone",
        ),
        (
            "meshagent graph -f m -o svg",
            "unexpected argument '-o' found",
            "use --language mermaid, dot, svg or html",
        ),
        (
            "meshagent apply -f m --namespace x",
            "unexpected argument '--namespace' found",
            "use --project-id for the project; a document names its room itself",
        ),
        (
            "meshagent apply -f m --prune",
            "a value is required for '--prune <WHICH>' but none was supplied [possible values: given, all, none]",
            "what left the given manifests is deleted without this option; `--prune=all` deletes what other files declared, too",
        ),
        (
            "meshagent plan help",
            "unexpected argument 'help' found",
            "`meshagent help plan` shows its help",
        ),
        (
            "meshagent accept -f m --yes",
            "unexpected argument '--yes' found",
            "accept does not ask: leave this option out",
        ),
    ] {
        let told = told(line);
        assert_eq!(told, Some((message.to_owned(), Some(hint.to_owned()))), "{line}");
    }
}

#[test]
fn help_is_no_error() {
    for line in ["meshagent", "meshagent service", "meshagent --help", "meshagent --version"] {
        assert_eq!(told(line), None, "{line}");
    }
}
