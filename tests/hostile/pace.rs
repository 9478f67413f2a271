//! A large apply on a platform that allows so many requests a second.

use std::fmt::Write as _;
use std::time::Instant;

use super::plans::run;
use super::proxy::{Fault, Hostile};
use crate::cli::Sandbox;
use crate::platform::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_apply_is_hardly_refused_and_hardly_slower_than_it_must_be() {
    const ROOMS: usize = 3000;
    const RATE: f64 = 400.0;
    const BURST: f64 = 400.0;
    let platform = Server::start().await;
    let sandbox = Sandbox::new();
    sandbox.write(
        "rooms.yaml",
        &(0..ROOMS).fold(String::new(), |mut text, index| {
            let _ = writeln!(text, "---\nversion: v1\nkind: Room\nmetadata: {{name: r-{index}}}");
            text
        }),
    );
    let proxy = Hostile::in_front_of(&platform).with(Fault::RateLimit(RATE, BURST)).start().await;
    let began = Instant::now();
    let run = run(&sandbox, &platform, &proxy, &["apply", "-f", "rooms.yaml", "--yes"]).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (total, refused) = (proxy.total(), proxy.answered(429));
    let least = ((total - refused) as f64 - BURST) / RATE;
    let share = refused as f64 / total as f64;
    println!(
        "{total} requests in {took:.2} s, {:.3} of the least time; {refused} refused, {:.2} %",
        took / least,
        100.0 * share
    );
    assert!(share < 0.01, "{refused} of {total} were refused");
    assert!(took < 1.25 * least, "{took} s, and {least} s would have done");
}
