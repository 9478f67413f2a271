//! An export while a run that was cut off has left objects between two names.

use std::collections::BTreeSet;

use serde_json::json;

use super::{End, Story, from, ids, mailbox, objects, room, secret, service, webhook};
use crate::cli::Sandbox;
use crate::hostile::plans;
use crate::hostile::proxy::{Hostile, Moment};
use crate::reconciler::{World, policy};

fn stand_ins(names: impl Iterator<Item = String>) -> BTreeSet<String> {
    names.filter(|name| name.contains("/moving-")).collect()
}

/// Cuts the story off wherever it leaves something under a name that is not to stay, and asks
/// for an export there.
async fn exported(story: &Story, set: Option<&str>) -> usize {
    let mut met = 0;
    for number in 1.. {
        let (mut world, _) = story.begin().await;
        if !story.interrupt(&mut world, End::Killed(number, Moment::After)).await {
            break;
        }
        let stand_ins = stand_ins(ids(&world).await.into_keys());
        if stand_ins.is_empty() {
            continue;
        }
        met += 1;
        let sandbox = Sandbox::new();
        let proxy = Hostile::in_front_of(&world.server).start().await;
        let mut export = vec!["export", "-d", "out", "--project-id", "default"];
        export.extend(set.iter().flat_map(|set| ["--set", *set]));
        let told = plans::run(&sandbox, &world.server, &proxy, &export).await;
        assert_eq!(told.code, 6, "{}{}", told.stdout, told.stderr);
        for name in &stand_ins {
            let expected = format!("{name} has a temporary name: an apply of the set `s` that");
            assert!(told.stderr.contains(&expected), "{name}: {}", told.stderr);
        }
        assert!(told.stderr.contains("hint: apply the set `s` again"), "{}", told.stderr);
        assert!(!sandbox.path("out").exists());
        // That is the way out.
        world.run(&story.after, &policy("s")).await;
        let told = plans::run(&sandbox, &world.server, &proxy, &export).await;
        assert_eq!(told.code, 0, "{}", told.stderr);
    }
    met
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_was_cut_off_is_not_exported_under_names_that_do_not_stay() {
    let story = Story {
        before: vec![room("a", ""), room("b", ""), secret("a", "x"), secret("b", "y")],
        after: vec![
            from("a", room("b", "")),
            from("b", room("a", "")),
            from("a", secret("b", "x")),
            from("b", secret("a", "y")),
        ],
        becomes: Vec::new(),
    };
    assert!(exported(&story, None).await > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_just_one_set_is_exported() {
    let story = Story {
        before: vec![webhook("a"), webhook("b"), webhook("c")],
        after: vec![from("a", webhook("b")), from("b", webhook("c")), from("c", webhook("a"))],
        becomes: Vec::new(),
    };
    assert!(exported(&story, Some("s")).await > 0);
}

/// What is in a room of another set has the room's name in its document.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_room_between_two_names_is_not_exported_either() {
    let story = Story {
        before: vec![room("a", ""), room("b", "")],
        after: vec![from("a", room("b", "")), from("b", room("a", ""))],
        becomes: Vec::new(),
    };
    let mut met = 0;
    for number in 1.. {
        let (mut world, _) = story.begin().await;
        let bot = |room: &str| service("bot", json!({"room": room, "container": {"image": "x"}}));
        world.run(&[bot("a"), bot("b"), mailbox("m", "a")], &policy("bots")).await;
        world.run(&[room("calm", "")], &policy("calm")).await;
        if !story.interrupt(&mut world, End::Killed(number, Moment::After)).await {
            break;
        }
        if stand_ins(objects(&world).await.keys().map(ToString::to_string)).is_empty() {
            continue;
        }
        met += 1;
        let proxy = Hostile::in_front_of(&world.server).start().await;
        for (set, code) in [("bots", 6), ("calm", 0)] {
            let sandbox = Sandbox::new();
            let export = ["export", "-d", "out", "--project-id", "default", "--set", set];
            let told = plans::run(&sandbox, &world.server, &proxy, &export).await;
            assert_eq!(told.code, code, "{set}: {}", told.stderr);
        }
    }
    assert!(met > 0);
}

/// A name that looks like one and was meant is a name like any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_called_so_on_purpose_is_exported() {
    let world = World::start().await;
    world.run(&[room("moving-0123456789ab", "")], &policy("s")).await;
    let proxy = Hostile::in_front_of(&world.server).start().await;
    for more in [&[][..], &["--set", "s"]] {
        let sandbox = Sandbox::new();
        let export = [&["export", "-d", "out", "--project-id", "default"], more].concat();
        let told = plans::run(&sandbox, &world.server, &proxy, &export).await;
        assert_eq!(told.code, 0, "{}", told.stderr);
        assert!(sandbox.path("out/room/moving-0123456789ab.yaml").exists());
    }
}
