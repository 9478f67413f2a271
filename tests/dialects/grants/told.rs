//! What a platform tells of grants: names, ids, lines that no document can name, and how often it is
//! asked.

use super::*;

/// A platform with a person and an account that are developers.
fn with_developers() -> StandIn {
    let platform = StandIn::of(Spoken::V0_56);
    let bot = json!({"id": "a-9", "name": "bot", "email": "bot@a.example", "annotations": {}});
    platform.put("service-accounts", [bot]);
    for subject in [
        json!({"type": "user", "id": "u-9", "email": "Ada@x.example"}),
        json!({"type": "service_account", "id": "a-9", "name": "bot", "email": "bot@a.example"}),
    ] {
        let line = json!({"subject": subject, "direct_roles": ["developer"]});
        platform.put("access_grants", [line]);
    }
    platform
}

#[test]
fn somebody_is_known_by_an_address_and_by_an_id() {
    let of = |names: &[&str]| {
        let document = |name: &&str| {
            let start = "version: v1\nkind: RoleGrant\nmetadata: {name: ";
            format!("{start}\"{name}\"}}\nroles: [developer]\n")
        };
        names.iter().map(document).collect::<Vec<_>>().join("---\n")
    };
    let apply = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
    let adopt = ["apply", "-f", "set.yaml", "--set", "s", "--yes", "--adopt"];
    let plan = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];
    for name in
        ["user:u-9", "user:ada@x.example", "service_account:a-9", "service_account:Bot@a.example"]
    {
        let platform = with_developers();
        platform.sandbox.write("set.yaml", &of(&[name]));
        let run = platform.ends(6, &apply);
        assert!(run.stderr.contains("adopt"), "{name}: {}", run.stderr);
        platform.ends(0, &adopt);
        platform.ends(0, &plan);
        assert_eq!(platform.take_writes(), Vec::<String>::new(), "{name}");
        platform.ends(0, &["destroy", "--set", "s", "--yes"]);
        assert_eq!(platform.take_writes(), [format!("POST iam/project/{PROJECT}/policy:revoke")]);
    }
    let platform = with_developers();
    platform.sandbox.write("set.yaml", &of(&["user:u-9", "user:ada@x.example"]));
    let run = platform.ends(6, &plan);
    assert!(run.stderr.contains("are one and the same"), "{}", run.stderr);
    // Both names are of one grant, so it stays where one name takes the place of the other.
    platform.sandbox.write("set.yaml", &of(&["user:u-9"]));
    platform.ends(0, &adopt);
    platform.sandbox.write("set.yaml", &of(&["user:ada@x.example"]));
    platform.ends(0, &adopt);
    platform.ends(0, &plan);
    assert_eq!(platform.take_writes(), Vec::<String>::new());
}

#[test]
fn a_grant_stays_the_sets_under_another_name_of_the_same_person() {
    let of = |name: &str| {
        let start = "version: v1\nkind: RoleGrant\nmetadata: {name: ";
        format!("{start}\"{name}\"}}\nroles: [developer]\n")
    };
    let apply = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
    let revoked = [format!("POST iam/project/{PROJECT}/policy:revoke")];
    for (first, then) in [("user:ada@x.example", "user:u-9"), ("user:u-9", "user:ada@x.example")] {
        let platform = with_developers();
        platform.sandbox.write("set.yaml", &of(first));
        platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes", "--adopt"]);
        platform.sandbox.write("set.yaml", &of(then));
        platform.ends(0, &apply);
        platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
        let listed = platform.ends(0, &["set", "list", "-o", "json"]);
        let sets: Value = serde_json::from_str(&listed.stdout).expect("JSON");
        assert!(sets.to_string().contains("\"objects\":1"), "{first}: {sets}");
        // Another set cannot have it, by whatever name it calls it.
        for name in [first, then] {
            platform.sandbox.write("other.yaml", &of(name));
            let adopt = ["apply", "-f", "other.yaml", "--set", "t", "--yes", "--adopt"];
            let run = platform.ends(6, &adopt);
            assert!(run.stderr.contains("is owned by the set `s`"), "{name}: {}", run.stderr);
            // The way out names it as that set does.
            let way = format!("`meshagent set move RoleGrant/{then} --set s --to t");
            assert!(run.stderr.contains(&way), "{name}: {}", run.stderr);
            let called = format!("which calls it RoleGrant/{then}");
            assert_eq!(run.stderr.contains(&called), name != then, "{name}: {}", run.stderr);
        }
        platform.take_writes();
        platform.ends(0, &["destroy", "--set", "s", "--yes"]);
        assert_eq!(platform.take_writes(), revoked, "{first}");
    }
}

#[test]
fn accounts_and_agents_are_named_and_granted_by_their_ids() {
    let platform = StandIn::of(Spoken::V0_56);
    platform.sandbox.write(
        "set.yaml",
        "version: v1\nkind: ManagedAgent\nmetadata: {name: Planner}\nallowed_models: [{provider: openai, model: m}]\n---\nversion: v1\nkind: RoleGrant\nmetadata: {name: \"agent:Planner\"}\nroles: [room_creator]\n---\nversion: v1\nkind: RoleGrant\nmetadata: {name: \"group:g-1\"}\nroles: [member]\n---\nversion: v1\nkind: RoleGrant\nmetadata: {name: \"everyone:all\"}\nroles: [member]\n",
    );
    let apply = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
    platform.ends(0, &apply);
    let asked = platform.take_asked();
    let granted: Vec<&Value> =
        asked.iter().filter(|it| it.path.ends_with("policy:grant")).map(|it| &it.body).collect();
    for wanted in [
        json!({"subject": {"type": "agent", "id": "id-1"}, "roles": ["room_creator"]}),
        json!({"subject": {"type": "group", "id": "g-1"}, "roles": ["member"]}),
        json!({"subject": {"type": "everyone", "id": "all"}, "roles": ["member"]}),
    ] {
        assert!(granted.contains(&&wanted), "{wanted}: {granted:?}");
    }
    let listed = asked.iter().find(|it| it.method == "GET" && it.path.ends_with("/policy"));
    let size = listed.expect("a policy").query.get("page_size").cloned();
    assert_eq!(size.as_deref(), Some("50"));
    let plan = ["plan", "-f", "set.yaml", "--set", "s", "--exit-code"];
    platform.ends(0, &plan);
    // What is none of documents is left alone, and an agent without a name is known by its id.
    platform.put(
        "access_grants",
        [
            json!({"subject": {"type": "userset", "object_type": "project", "relation": "member"}, "direct_roles": ["viewer"]}),
            json!({"subject": {"type": "user", "id": "u"}, "direct_roles": []}),
        ],
    );
    platform.ends(0, &plan);
    let lines = platform.list("access_grants");
    assert!(lines.iter().all(|it| it["subject"].get("name").is_none()), "{lines:?}");
    platform.ends(0, &["destroy", "--set", "s", "--yes"]);
    assert_eq!(platform.list("access_grants").len(), 2);
}

#[test]
fn a_plan_about_people_asks_for_people_alone() {
    let platform = with_developers();
    platform.put("agents", [json!({"id": "A-1", "name": "planner", "configuration": {}})]);
    let of = |name: &str| {
        format!(
            "version: v1\nkind: RoleGrant\nmetadata: {{name: \"{name}\"}}\nroles: [room_creator]\n"
        )
    };
    for (name, lists) in [
        ("user:eve@x.example", &[][..]),
        ("service_account:bot", &["service-accounts"]),
        // An agent has an id of its own spelling.
        ("agent:A-1", &["agents"]),
    ] {
        platform.sandbox.write("set.yaml", &of(name));
        platform.take_asked();
        platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--adopt"]);
        let asked: Vec<String> = platform.take_asked().into_iter().map(|it| it.path).collect();
        for list in ["service-accounts", "agents"] {
            let is_asked = asked.iter().any(|path| path == list);
            assert_eq!(is_asked, lists.contains(&list), "{name}: {asked:?}");
        }
    }
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    let asked = platform.take_asked();
    let grants = asked.iter().filter(|it| it.path.ends_with("policy:grant"));
    let subjects: Vec<&Value> = grants.map(|it| &it.body["subject"]).collect();
    assert_eq!(subjects, [&json!({"type": "agent", "id": "A-1"})]);
    platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
    platform.sandbox.write("set.yaml", &of("agent:Planner"));
    platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
}

#[test]
fn a_line_that_no_document_can_name_is_passed_over_and_a_wrong_one_is_not() {
    let line = |id: &str, roles: Value| json!({"subject": {"type": "user", "id": id}, "direct_roles": roles});
    let plan = ["plan", "-f", "set.yaml", "--set", "s"];
    let long = "a".repeat(252);
    for (line, code) in [
        (line("bob:", json!(["member"])), 0),
        (line(&long, json!(["member"])), 0),
        (line("bob", Value::Null), 0),
        (line("bob", json!("admin")), 1),
        (line("bob", json!(["admin", 5])), 1),
        (json!({"subject": {"type": "user"}, "direct_roles": ["admin"]}), 1),
    ] {
        let platform = StandIn::of(Spoken::V0_56);
        platform.sandbox.write(
            "set.yaml",
            "version: v1\nkind: RoleGrant\nmetadata: {name: \"user:ada@x.example\"}\nroles: [developer]\n",
        );
        platform.put("access_grants", [line]);
        platform.ends(code, &plan);
    }
}

#[test]
fn a_policy_is_read_once_for_all_writes_of_a_run() {
    let platform = StandIn::of(Spoken::V0_56);
    let of = |roles: &str| {
        let one = |index: usize| {
            format!(
                "version: v1\nkind: RoleGrant\nmetadata: {{name: \"group:g-{index}\"}}\nroles: [{roles}]\n"
            )
        };
        (0..12).map(one).collect::<Vec<_>>().join("---\n")
    };
    let apply = ["apply", "-f", "set.yaml", "--set", "s", "--yes"];
    for roles in ["developer", "developer, room_creator", "room_creator"] {
        platform.sandbox.write("set.yaml", &of(roles));
        platform.take_asked();
        platform.ends(0, &apply);
        let asked = platform.take_asked();
        let reads = asked.iter().filter(|it| it.method == "GET" && it.path.ends_with("/policy"));
        // Once for the plan and once before the first write.
        assert_eq!(reads.count(), 2, "{roles}");
    }
}

/// Neither an account nor an address can be given another name, and the plan says what that means.
#[test]
fn what_is_lost_with_a_name_is_told() {
    let platform = StandIn::of(Spoken::V0_56);
    let of = |kind: &str, name: &str, rest: &str| {
        format!("version: v1\nkind: {kind}\nmetadata: {{name: \"{name}\"}}\n{rest}")
    };
    let set = |account: &str, person: &str, lifecycle: [&str; 2]| {
        let account = of("ServiceAccount", account, lifecycle[0]);
        let person = of("RoleGrant", person, &format!("roles: [developer]\n{}", lifecycle[1]));
        [account, person].join("---\n")
    };
    platform.sandbox.write("set.yaml", &set("bots", "user:old@x.example", ["", ""]));
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    let moved =
        ["lifecycle: {moved_from: bots}\n", "lifecycle: {moved_from: \"user:old@x.example\"}\n"];
    platform.sandbox.write("set.yaml", &set("robots", "user:new@x.example", moved));
    let run = platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s"]);
    for told in [
        "is created in its place: the API keys of the former one stop working",
        "is created in its place: to the platform, it is for somebody else",
    ] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
}

#[test]
fn a_grant_that_its_policy_does_not_show_is_let_go_of_with_a_note() {
    let platform = StandIn::of(Spoken::V0_56);
    let room = "version: v1\nkind: Room\nmetadata: {name: lobby}\n";
    let grant = "---\nversion: v1\nkind: RoleGrant\nmetadata: {name: \"user:ada@x.example\"}\nroles: [developer]\n";
    platform.sandbox.write("set.yaml", &[room, grant].concat());
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.clear("access_grants");
    platform.sandbox.write("set.yaml", room);
    let run = platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s"]);
    let told = "RoleGrant/user:ada@x.example leaves the set, because its policy does not show it";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

/// Where a room is has been read with the rooms, so its policy is one request.
#[test]
fn the_policy_of_a_room_is_read_with_one_request() {
    let platform = StandIn::of(Spoken::V0_56);
    let set = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\nversion: v1\nkind: RoleGrant\nmetadata: {name: \"user:ada@x.example\"}\nroom: lobby\nroles: [viewer]\n";
    platform.sandbox.write("set.yaml", set);
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.take_asked();
    platform.sandbox.write("set.yaml", &set.replace("[viewer]", "[operator]"));
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    let asked = platform.take_asked();
    let reads =
        |end: &str| asked.iter().filter(|it| it.method == "GET" && it.path.ends_with(end)).count();
    // Once for the plan and once before the write.
    assert_eq!((reads("/policy"), reads("rooms/lobby")), (2, 0));
}
