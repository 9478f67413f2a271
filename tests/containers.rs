//! Containers of rooms, with an engine of the test's own: by the commands, and by the public SDK.

use std::path::Path;
use std::process::Command;

use crate::engine_here::{EngineHere, IMAGE};
use crate::needs;

/// Runs the commands of a shell with a server that uses the engine, in a folder of their own; what
/// they write.
fn shell(engine: &EngineHere, script: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let begin = "set -eu\n\
        \"$M\" server --listen 127.0.0.1:0 --data data --containers \"$SOCKET\" --print-env > env.sh &\n\
        server=$!\n\
        trap 'kill $server ${present:-} || true; wait || true' EXIT\n\
        until grep -q PROJECT_ID env.sh; do sleep 0.05; done\n\
        . ./env.sh\n\
        export MESHAGENT_ROOM=lobby\n\
        \"$M\" rooms create --name lobby > created\n\
        \"$M\" room developer watch > watched 2> watching &\n\
        present=$!\n\
        until grep -q watching watching; do sleep 0.05; done\n\
        container() { \"$M\" room container \"$@\"; }\n";
    let output = Command::new("sh")
        .args(["-c", &format!("{begin}{script}")])
        .current_dir(folder.path())
        .env("M", env!("CARGO_BIN_EXE_meshagent"))
        .env("SOCKET", engine.engine.socket())
        .env("IMAGE", IMAGE)
        .env("HOME", folder.path())
        .output()
        .expect("sh starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let aside = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{aside}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_containers_and_what_is_in_them() {
    if !needs::podman("containers of rooms") {
        return;
    }
    let here = EngineHere::start("").await;
    let said = shell(
        &here,
        "id=$(container run --image $IMAGE --command 'sleep 600' --mount-path /data -e A=b 2> run)\n\
         container list -q | grep -qx $id\n\
         printf in | container exec --container-id $id --command cat\n\
         head -c 3000000 /dev/urandom > big\n\
         container exec --container-id $id --command cat < big | cmp - big && echo ' same'\n\
         container exec --container-id $id --command \"sh -c 'echo \\$A; exit 7'\" || echo code $?\n\
         container exec --container-id $id --command 'no-such-program' 2> no || echo none $?\n\
         container exec --container-id $id --tty < /dev/null 2> tty || echo tty $?\n\
         container exec --container-id $id --command \"sh -c 'wget -q -O - \\$MESHAGENT_API_URL/config'\" > config || true\n\
         grep -q . config && echo reached\n\
         timeout --preserve-status -s INT 2 \"$M\" room container exec --container-id $id --command 'sleep 500' || echo interrupted $?\n\
         container exec --container-id $id --command ps | grep -c 'sleep 500' || true\n\
         container stop --id $id --force 2> stop\n\
         container list -q --all | grep -qx $id\n\
         container log --id nobody 2> log || echo missing $(grep -c 6001 log)\n",
    );
    let expected = "in same\nb\ncode 7\nnone 127\ntty 2\nreached\ninterrupted 130\n0\nmissing 1\n";
    assert_eq!(said, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_room_leaves_nothing_behind() {
    if !needs::podman("containers of rooms") {
        return;
    }
    let here = EngineHere::start("").await;
    shell(
        &here,
        "container run --image $IMAGE --command 'sleep 600' > one\n\
         container run --image $IMAGE --command 'sleep 600' > two\n\
         kill -INT $present; wait $present || true\n",
    );
    let left = here.engine.list(&std::collections::BTreeMap::new(), true).await.unwrap();
    assert_eq!(left, [], "a room that ended has containers");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_sdk_uses_containers() {
    let tested = "containers with the public SDK";
    let (true, Some(python)) = (needs::podman(tested), needs::python(tested)) else { return };
    let here = EngineHere::start("").await;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header"])
        .arg("--rootdir")
        .arg(&tests)
        .arg(tests.join("test_room_containers.py"))
        .env("MESHAGENT_BIN", env!("CARGO_BIN_EXE_meshagent"))
        .env("MESHAGENT_TEST_IMAGE", IMAGE)
        .env("CONTAINER_HOST", format!("unix://{}", here.engine.socket().display()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tests of the SDK fail: {}", output.status);
}
