//! Which approvals count, as data: `tests/approvals/scenarios.json`. Keys are numbers; a line of a
//! file of approvers has a name, options if any, and the number of a key. Two people must approve.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use meshagent::approval::NAMESPACE;
use meshagent::approval::approvers::Approvers;
use meshagent::approval::signed::Approval;
use meshagent::approval::statement::{Bound, Statement};
use meshagent::approval::verdict::{Found, Terms};
use serde_json::Value;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// How many cases there are at least, so that none is lost unseen.
const AT_LEAST: usize = 17;

fn key(number: u64) -> PrivateKey {
    Ed25519Keypair::from_seed(&[u8::try_from(number).unwrap(); 32]).into()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect()
}

fn approvers(lines: &Value) -> Approvers {
    let line = |line: &str| {
        let (rest, number) = line.rsplit_once(' ').unwrap();
        let public = key(number.parse().unwrap()).public_key().to_openssh().unwrap();
        format!("{rest} {public}\n")
    };
    let text: String = texts(lines).into_iter().map(line).collect();
    Approvers::parse("allowed_signers", &text, &TimeZone::UTC).unwrap()
}

fn plan(said: &Value) -> Bound {
    let text = |name: &str, usual: &str| said[name].as_str().unwrap_or(usual).to_owned();
    Bound {
        digest: Bound::digest_of(text("plan", "plan").as_bytes()),
        set: text("set", "shop"),
        platform: text("platform", "https://api.example.com"),
        projects: [("acme".to_owned(), Some("p-1".to_owned()))].into(),
    }
}

fn signed(said: &Value, now: Timestamp) -> String {
    let ago = i64::try_from(said["hours_ago"].as_u64().unwrap_or(1)).unwrap();
    let issued = now - SignedDuration::from_hours(ago);
    let text = |name: &str| said[name].as_str().map(str::to_owned);
    let statement = Statement {
        by: text("by"),
        reason: text("reason"),
        ..Statement::new(plan(said), issued, Duration::from_secs(24 * 3600))
    };
    let line = statement.line().unwrap();
    let signature =
        key(said["key"].as_u64().unwrap()).sign(NAMESPACE, HashAlg::Sha512, line.as_bytes());
    Approval::text(&line, &signature.unwrap().to_pem(LineEnding::LF).unwrap())
}

#[test]
fn each_approval_counts_as_expected() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("scenarios.json")).unwrap();
    assert!(cases.len() >= AT_LEAST, "only {} cases are left", cases.len());
    let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
    for case in cases {
        let name = &case["name"];
        let terms = Terms {
            required: 2,
            approvers: case["approvers"].as_array().unwrap().iter().map(approvers).collect(),
            authors: texts(&case["authors"]).into_iter().map(str::to_owned).collect(),
        };
        let possible = terms.is_possible().map_err(|error| error.message);
        assert_eq!(possible.err().as_deref(), case["impossible"].as_str(), "{name}");
        let said = case["approvals"].as_array().unwrap().iter().enumerate();
        let found: Vec<Found> = said
            .map(|(number, said)| Found {
                file: format!("{number}.approval"),
                approval: Approval::parse(&signed(said, now)),
            })
            .collect();
        let judged = terms.judge(&plan(&Value::Null), &found, now);
        if case["impossible"].is_string() {
            assert!(judged.check().is_err(), "{name}: {judged:?}");
            continue;
        }
        let told = texts(&case["told"]);
        assert_eq!(judged.approvals.len(), told.len(), "{name}");
        for (approval, told) in judged.approvals.iter().zip(told) {
            assert_eq!(approval.counts, told == "counts", "{name}: {approval:?}");
            assert!(approval.line().contains(told), "{name}: {}", approval.line());
        }
        let verdict = match judged.check() {
            Ok(()) => judged.told(),
            Err(error) => error.problems[0].message.clone(),
        };
        assert!(verdict.contains(case["verdict"].as_str().unwrap()), "{name}: {verdict}");
    }
}
