//! Applying a thousand creates, beside a bare client that sends the same requests.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use meshagent::api::request::{Body, Request};
use meshagent::api::spoken::Spoken;
use meshagent::dialect::{self, Target};
use meshagent::kinds::KindName;
use meshagent::manifest::set::{Input, Set, read};

use super::child::{Run, meshagent};
use super::manifests::Mix;
use super::platform::Served;
use super::table::{Table, megabytes, smallest_and_middle, time};

const ROUNDS: usize = 7;

/// How many requests are under way at once; what `apply` does unless it is told otherwise.
const PARALLELISM: usize = 16;

pub const MIX: Mix = Mix {
    rooms: 50,
    room_services: 17,
    project_services: 30,
    secrets: 10,
    mailboxes: 20,
    routes: 20,
    tasks: 10,
    webhooks: 10,
    refers: false,
};

/// Takes the figures.
pub fn figures() -> Table {
    let folder = tempfile::tempdir().expect("a folder");
    MIX.write(folder.path());
    let mut applied: Vec<Run> = Vec::new();
    let mut peak = 0;
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        let platform = Served::start("warn");
        let measured = meshagent()
            .environment(&platform.environment)
            .with(["apply", "--yes", "-f"])
            .with([folder.path()])
            .measured(1)
            .successful();
        let said = format!("Applied: {} done.", MIX.objects());
        assert!(measured.output.contains(&said), "{}", measured.output);
        applied.push(measured.best());
        peak = measured.usages.peak.max(peak);
        drop(platform);
        let platform = Served::start("warn");
        bare.push(send_all(&platform, &set(folder.path())).as_secs_f64());
    }
    let extra = {
        let platform = Served::start("info");
        let apply = meshagent().environment(&platform.environment);
        apply.with(["apply", "--yes", "-f"]).with([folder.path()]).measured(1).successful();
        platform.requests().values().sum::<usize>() - MIX.objects()
    };

    let (smallest, middle) = smallest_and_middle(applied.iter().map(|run| run.wall));
    let (bare_smallest, bare_middle) = smallest_and_middle(bare);
    let (cpu, _) = smallest_and_middle(applied.iter().map(|run| run.cpu));
    let both = |smallest: f64, middle: f64| format!("{} / {}", time(smallest), time(middle));
    let mut table = Table::default();
    table.row("creates", MIX.objects().to_string());
    table.row("`meshagent apply`: wall, smallest / middle", both(smallest, middle));
    table.row("a bare client: wall, smallest / middle", both(bare_smallest, bare_middle));
    table.aimed(
        "ratio of the smallest / of the middle",
        format!("{:.2} / {:.2}", smallest / bare_smallest, middle / bare_middle),
        "1.25",
    );
    table.row("`meshagent apply`: processor time / peak memory", {
        format!("{} / {}", time(cpu), megabytes(peak))
    });
    table.note(format!(
        "{ROUNDS} rounds by turns, each on a new platform in another process, {PARALLELISM} requests at once. The bare client is reqwest with the {} bodies built before the clock starts, and sends rooms and secrets first; `apply` is timed as a process, and besides the creates it reads the files and sends {extra} requests that look at the platform and write the inventory.",
        MIX.objects()
    ));
    table
}

fn set(folder: &std::path::Path) -> Set {
    let input = Input {
        paths: vec![folder.to_owned()],
        project: Some("measured".to_owned()),
        ..Input::default()
    };
    read(&input).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The creates, in two waves of which the second may refer to the first.
fn requests(set: &Set, project: &str) -> [Vec<Request>; 2] {
    let mut waves = [Vec::new(), Vec::new()];
    for (key, desired) in &set.objects {
        let target = Target {
            project,
            room: key.room.as_deref(),
            name: &key.name,
            id: None,
            fields: &desired.fields,
            owner: Some("default"),
            answered: None,
            place_id: None,
            named_id: None,
            changed: &[],
            removed: &[],
            asked: &meshagent::kinds::Asked::NOTHING,
        };
        let wave = usize::from(!matches!(key.kind, KindName::Room | KindName::Secret));
        let create = dialect::of(Spoken::V0_31, key.kind).create(&target);
        waves[wave].push(create.expect("a create"));
    }
    waves
}

fn send_all(platform: &Served, set: &Set) -> Duration {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let base = platform.variable("MESHAGENT_API_URL");
    let bearer = format!("Bearer {}", platform.variable("MESHAGENT_API_KEY"));
    let waves = requests(set, platform.variable("MESHAGENT_PROJECT_ID")).map(|wave| {
        let prepared = wave.into_iter().map(|request| {
            let Body::Json(body) = request.body else { panic!("{:?} has no JSON", request.path) };
            let body = serde_json::to_vec(&body).expect("JSON");
            (request.method, format!("{base}{}", request.path), body)
        });
        prepared.collect::<Vec<_>>()
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build().expect("a client");
    runtime.block_on(async {
        let start = Instant::now();
        for wave in waves {
            stream::iter(wave)
                .for_each_concurrent(PARALLELISM, |(method, url, body)| {
                    let method = method.to_string().parse().expect("a method");
                    let request = client.request(method, url).header("authorization", &bearer);
                    async move {
                        let request = request.header("content-type", "application/json");
                        let answer = request.body(body).send().await.expect("an answer");
                        assert!(answer.status().is_success(), "{answer:?}");
                        answer.bytes().await.expect("a body");
                    }
                })
                .await;
        }
        start.elapsed()
    })
}
