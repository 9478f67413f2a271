//! What is kept says in which API it was written: the inventory of a set, and a plan in a file.

use meshagent::api::spoken::Spoken;

use super::stand_in::StandIn;

const SET: &str = "version: v1\nkind: Room\nmetadata: {name: lobby}\n---\n\
                   version: v1\nkind: Mailbox\nmetadata: {name: a@mail.localhost}\nroom: lobby\n";

const INVENTORY: &str = ".meshagent/sets/s.json";

fn applied(spoken: Spoken) -> StandIn {
    let platform = StandIn::of(spoken);
    platform.sandbox.write("set.yaml", SET);
    platform.ends(0, &["apply", "-f", "set.yaml", "--set", "s", "--yes"]);
    platform.take_asked();
    platform
}

#[test]
fn a_set_that_was_applied_in_one_api_is_left_alone_in_the_other() {
    for (first, then) in [(Spoken::V0_31, Spoken::V0_56), (Spoken::V0_56, Spoken::V0_31)] {
        let platform = applied(first);
        let before = platform.file(INVENTORY).expect("an inventory");
        platform.becomes(then);
        let of_the_set = ["-f", "set.yaml", "--set", "s"];
        for (command, more) in [
            (&["plan"][..], &of_the_set[..]),
            (&["apply", "--yes"], &of_the_set),
            (&["diff"], &of_the_set),
            (&["destroy", "--yes"], &of_the_set[2..]),
        ] {
            let run = platform.ends(6, &[command, more].concat());
            let told = format!(
                "the set `s` in project `one` was applied in the API of {first}, and the platform speaks that of {then} now"
            );
            assert!(run.stderr.contains(&told), "{command:?}: {}", run.stderr);
            let way_out = match first {
                Spoken::V0_31 => {
                    "hint: nothing was changed; if this platform was upgraded, `meshagent set migrate -f MANIFESTS --set s --dialect 0.56` takes the set over"
                }
                Spoken::V0_56 => {
                    "hint: nothing was changed; apply it with a program and a platform of the same release"
                }
            };
            assert!(run.stderr.contains(way_out), "{command:?}: {}", run.stderr);
            assert_eq!(platform.take_writes(), Vec::<String>::new(), "{command:?}");
            assert_eq!(platform.file(INVENTORY).as_ref(), Some(&before), "{command:?}");
        }
        platform.becomes(first);
        platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--exit-code"]);
    }
}

#[test]
fn an_older_program_does_not_take_an_inventory_of_0_56_for_its_own() {
    let of = |spoken| applied(spoken).file(INVENTORY).expect("an inventory");
    let (old, new) = (of(Spoken::V0_31), of(Spoken::V0_56));
    assert_eq!((&old["version"], old.get("api")), (&2.into(), None));
    // Programs that do not know the API know the versions 1 and 2.
    assert_eq!((&new["version"], &new["api"]), (&3.into(), &"0.56".into()));
    let platform = applied(Spoken::V0_56);
    platform.change_file(INVENTORY, |file| file["version"] = 4.into());
    let run = platform.ends(1, &["plan", "-f", "set.yaml", "--set", "s"]);
    assert!(run.stderr.contains("its version is 4, written by"), "{}", run.stderr);
}

#[test]
fn a_plan_that_was_saved_for_one_api_is_stale_in_the_other() {
    for (first, then) in [(Spoken::V0_31, Spoken::V0_56), (Spoken::V0_56, Spoken::V0_31)] {
        let platform = StandIn::of(first);
        platform.sandbox.write("set.yaml", SET);
        platform.ends(0, &["plan", "-f", "set.yaml", "--set", "s", "--out", "plan.json"]);
        platform.becomes(then);
        let run = platform.ends(5, &["apply", "plan.json"]);
        let why = format!("the plan is for the API of {first}, but this is {then}");
        assert!(run.stderr.contains(&why), "{}", run.stderr);
        assert_eq!(platform.take_writes(), Vec::<String>::new());
        platform.becomes(first);
        platform.ends(0, &["apply", "plan.json"]);
    }
}
