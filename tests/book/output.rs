//! Whether what a command prints is what a page shows, save for what differs in each run.

use fancy_regex::Regex;

/// What differs in each run, and what stands for it here.
const VARYING: [(&str, &str); 13] = [
    ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    ("request [0-9a-f]{16}", "request ID"),
    ("moving-[0-9a-f]{12}", "moving-ID"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b[0-9a-f]{12}\b", "COMMIT"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b\d+(\.\d+)? (ms|s)\b", "TIME"),
    ("SHA256:[A-Za-z0-9+/]{43}", "KEY"),
    ("sha256:[0-9a-f]{64}", "DIGEST"),
    (r"[0-9a-f]{32}\.approval", "KEY.approval"),
    ("ssh-ed25519 [A-Za-z0-9+/]{68}", "PUBLIC"),
    ("age1[a-z0-9]{20,}", "RECIPIENT"),
    ("(?s)-----BEGIN AGE.*?-----END AGE ENCRYPTED FILE-----", "ENCRYPTED"),
];

/// What begins the lines of operations, which end in any order.
const DONE: &str = "done: ";

/// The line of a page that stands for any lines.
const ANY: &str = "...";

/// The lines of a text, without what differs in each run.
fn lines(text: &str) -> Vec<String> {
    let mut text = text.to_owned();
    for (varying, name) in VARYING {
        let varying = Regex::new(varying).expect("a pattern");
        text = varying.replace_all(&text, name).into_owned();
    }
    let mut lines: Vec<String> = text.trim_end().lines().map(|it| it.trim_end().into()).collect();
    for run in lines.chunk_by_mut(|one, next| one.starts_with(DONE) && next.starts_with(DONE)) {
        run.sort();
    }
    lines
}

/// Whether lines are those that are wanted, where [`ANY`] stands for some of them.
fn fit(wanted: &[String], found: &[String]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((line, rest)) if line == ANY => {
            (0..=found.len()).any(|from| fit(rest, &found[from..]))
        }
        Some((line, rest)) => found.first() == Some(line) && fit(rest, &found[1..]),
    }
}

/// Whether a command printed what a page shows.
pub fn fits(shown: &str, printed: &str) -> bool {
    fit(&lines(shown), &lines(printed))
}

/// What a command printed, as a page shows it.
pub fn written(printed: &str) -> String {
    let lines = printed.trim_end().lines();
    lines.fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

#[test]
fn only_what_differs_in_each_run_may_differ() {
    let one = "Plan\ndone: create Room/b\ndone: create Room/a\nApplied: 2 done.\n";
    let other = "Plan\ndone: create Room/a\ndone: create Room/b\nApplied: 2 done.\n";
    assert!(fits(one, other));
    assert!(!fits(one, &other.replace("Room/b", "Room/c")));
    assert!(!fits("", other) && !fits("Plan", other) && !fits(other, "Plan"));
    assert!(fits("Plan\n...\n", other) && fits("...\nApplied: 2 done.", other));
    assert!(!fits("...\nApplied: 3 done.", other));
    let id = "id: 02deeac7-c282-45aa-a342-4fa72d3bd62f on 127.0.0.1:42241";
    assert!(fits(id, "id: 52deeac7-c282-45aa-a342-4fa72d3bd62f on 127.0.0.1:8787"));
    assert!(!fits(id, "id: 02deeac7 on 127.0.0.1:42241"));
}
