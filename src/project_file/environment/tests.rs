use std::path::Path;

use super::*;

/// What the base allows an environment of a proposal: how many deletes, whether the usual share
/// holds with them, what is pruned, and how many folders of rules there are.
type Rules = (Option<usize>, bool, Option<Prune>, usize);

fn rules(base: &str, proposal: &str, named: &str) -> Rules {
    let read = |text: &str| {
        let text = format!("version: v1\nenvironments: {text}\n");
        ProjectFile::of(Path::new("meshagent.yaml"), text).unwrap()
    };
    let proposed = read(proposal).environment(Some(named)).unwrap();
    let (folders, guarded) = read(base).rules(&proposed).unwrap();
    (guarded.deletes, guarded.share, guarded.prune, folders.len())
}

#[test]
fn no_name_is_a_way_past_the_rules_of_the_base() {
    const BASE: &str = "{dev: {project: shop-dev, guards: {allow_deletes: 9}}, prod: {project: shop, guards: {allow_deletes: 0}}}";
    let id = "11111111-1111-4111-8111-111111111111";
    for (proposal, named, deletes) in [
        ("{dev: {project: shop-dev}}".to_owned(), "dev", Some(9)),
        ("{prod: {project: shop}}".to_owned(), "prod", Some(0)),
        // What `dev` may do is not what the project of `prod` allows.
        ("{dev: {project: shop}}".to_owned(), "dev", Some(0)),
        (format!("{{dev: {{project: {id}}}}}"), "dev", Some(0)),
        ("{dev: {}}".to_owned(), "dev", Some(0)),
        ("{other: {project: shop}}".to_owned(), "other", Some(0)),
        (format!("{{other: {{project: {id}}}}}"), "other", Some(0)),
        ("{other: {project: third}}".to_owned(), "other", None),
        ("{other: {project: shop, set: own}}".to_owned(), "other", None),
    ] {
        assert_eq!(rules(BASE, &proposal, named).0, deletes, "{proposal}");
    }
}

#[test]
fn the_stricter_one_of_two_rules_of_the_base_counts() {
    let moved = |dev: &str, prod: &str| {
        let base =
            format!("{{dev: {{project: shop-dev, {dev}}}, prod: {{project: shop, {prod}}}}}");
        rules(&base, "{dev: {project: shop}}", "dev")
    };
    let guards = |dev: &str, prod: &str| {
        let (deletes, share, prune, _) =
            moved(&format!("guards: {{{dev}}}"), &format!("guards: {{{prod}}}"));
        (deletes, share, prune)
    };
    // Who says no number says that the usual share holds.
    let given = Some(Prune::Given);
    assert_eq!(guards("allow_deletes: 50", ""), (Some(50), true, given));
    assert_eq!(guards("", "allow_deletes: 50"), (Some(50), true, given));
    assert_eq!(guards("allow_deletes: 50", "allow_deletes: 7"), (Some(7), false, given));
    assert_eq!(guards("", ""), (None, true, given));
    for (dev, prod, prune) in [
        ("all", "none", Prune::None),
        ("none", "all", Prune::None),
        ("all", "given", Prune::Given),
        ("all", "all", Prune::All),
    ] {
        let (.., strict) = guards(&format!("prune: {dev}"), &format!("prune: {prod}"));
        assert_eq!(strict, Some(prune), "{dev} {prod}");
    }
    assert_eq!(guards("prune: all", "").2, given);
    let (.., folders) = moved("policies: [a]", "policies: [b]");
    assert_eq!(folders, 2);
    // A name that the base does not have gets what the project of another one has.
    let base = "{prod: {project: shop, guards: {allow_deletes: 7, prune: all}}}";
    let other = rules(base, "{other: {project: shop}}", "other");
    assert_eq!(other, (Some(7), false, Some(Prune::All), 0));
}
