use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::NAMESPACE;
use super::approvers::{Approvers, People};
use super::signed::Approval;
use super::statement::{Bound, STANDARD, Statement};
use super::verdict::{ApprovalsDocument, Found, Terms};

fn key(number: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[number; 32]).into()
}

/// The key as a file of approvers has it.
fn public(number: u8) -> String {
    key(number).public_key().to_openssh().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-29T12:00:00Z")
}

fn bound() -> Bound {
    Bound {
        digest: Bound::digest_of(b"plan"),
        set: "support".to_owned(),
        platform: "https://api.example.com".to_owned(),
        projects: BTreeMap::from([("acme".to_owned(), Some("p-1".to_owned()))]),
    }
}

fn statement() -> Statement {
    Statement::new(bound(), at("2026-11-29T11:00:00Z"), STANDARD)
}

fn signed_in(number: u8, statement: &Statement, namespace: &str) -> String {
    let line = statement.line().unwrap();
    let signature = key(number).sign(namespace, HashAlg::Sha512, line.as_bytes()).unwrap();
    Approval::text(&line, &signature.to_pem(LineEnding::LF).unwrap())
}

fn signed(number: u8, statement: &Statement) -> String {
    signed_in(number, statement, NAMESPACE)
}

fn found(texts: &[String]) -> Vec<Found> {
    let found = |(number, text): (usize, &String)| Found {
        file: format!("{number}.approval"),
        approval: Approval::parse(text),
    };
    texts.iter().enumerate().map(found).collect()
}

fn approvers(text: &str) -> Approvers {
    Approvers::parse("allowed", text, &TimeZone::UTC).unwrap()
}

fn judge(terms: &Terms, texts: &[String]) -> ApprovalsDocument {
    terms.judge(&bound(), &found(texts), now())
}

fn terms(file: &str) -> Terms {
    Terms { required: 2, approvers: vec![approvers(file)], authors: Vec::new() }
}

#[test]
fn no_byte_of_an_approval_can_be_changed() {
    let text = signed(1, &Statement { reason: Some("é \"x\"".to_owned()), ..statement() });
    let approval = Approval::parse(&text).unwrap();
    approval.verify().unwrap();
    let mut tried = 0;
    for at in 0..text.len() {
        let byte = text.as_bytes()[at];
        for other in [byte ^ 1, b'\n'] {
            let mut changed = text.clone().into_bytes();
            changed[at] = other;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            if changed == text {
                continue;
            }
            tried += 1;
            let valid = Approval::parse(&changed).is_ok_and(|it| it.verify().is_ok());
            assert!(!valid, "byte {at} as {other:#x}:\n{changed}");
        }
        let bytes = text.as_bytes();
        for changed in [[&bytes[..at], &bytes[at + 1..]].concat(), bytes[..at].to_vec()] {
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let valid = Approval::parse(&changed).is_ok_and(|it| it.verify().is_ok());
            assert!(!valid, "without byte {at}, or from it on:\n{changed}");
        }
    }
    assert!(tried > 1000, "{tried}");
    for more in ["\n", "x", " "] {
        assert!(Approval::parse(&(text.clone() + more)).is_err(), "{more:?}");
        assert!(Approval::parse(&(more.to_owned() + &text)).is_err(), "{more:?}");
    }
    assert!(Approval::parse(&(text.clone() + &text)).is_err());
    // The signature of another statement.
    let other = signed(1, &Statement { reason: None, ..statement() });
    let (line, _) = text.split_once('\n').unwrap();
    let (_, signature) = other.split_once('\n').unwrap();
    let mixed = Approval::parse(&format!("{line}\n{signature}")).unwrap();
    assert!(mixed.verify().unwrap_err().contains("its signature is wrong"));
}

#[test]
fn a_signature_for_anything_else_approves_nothing() {
    for namespace in ["git", "file", "meshagent-plan2", "meshagent"] {
        let refused = Approval::parse(&signed_in(1, &statement(), namespace)).unwrap_err();
        assert!(refused.contains(&format!("namespace {namespace:?}")), "{refused}");
    }
}

/// What each line of a file of approvers is refused for.
#[test]
fn what_is_not_understood_of_approvers_is_refused_with_its_place() {
    let key = public(1);
    let (_, data) = key.split_once(' ').unwrap();
    let table = [
        ("*@example.com KEY", 1, "is a pattern, and a pattern is nobody"),
        ("a,!b KEY", 3, "is a pattern"),
        ("a? KEY", 1, "is a pattern"),
        ("a,,b KEY", 1, "a name is empty"),
        ("\"a b\" KEY", 2, "has spaces"),
        ("a\u{202e}b KEY", 1, "not visible"),
        ("a", 2, "a key is missing"),
        ("a ssh-ed25519", 3, "here a key is missing"),
        ("\"a KEY", 1, "a quotation mark is not closed"),
        ("a namespaces=\"x KEY", 3, "a quotation mark is not closed"),
        ("a cert-authority KEY", 1, "certificates are not accepted"),
        ("a cert-authority=\"x\" KEY", 3, "takes no value"),
        ("a namespace=\"x\" KEY", 3, "neither the sort of a key nor an option"),
        ("a AAAAC3NzaC1lZDI1NTE5", 3, "the sort of the key is missing before it"),
        ("a no-touch-required KEY", 3, "neither the sort of a key nor an option"),
        ("a namespaces=git KEY", 3, "takes a value in quotation marks"),
        ("a namespaces KEY", 3, "takes a value in quotation marks"),
        ("a namespaces=\"*,!git\" KEY", 3, "the namespace \"!git\" is not understood"),
        ("a namespaces=\"\" KEY", 3, "the namespace \"\" is not understood"),
        ("a valid-after=\"2026\" KEY", 3, "is not a time"),
        ("a valid-after=\"20261301\" KEY", 3, "is not a time"),
        ("a valid-after=\"2026112９\" KEY", 3, "is not a time"),
        ("a valid-before=\"20260101\",valid-before=\"20260101\" KEY", 27, "is given twice"),
        ("a valid-after=\"20260102\",valid-before=\"20260101\" KEY", 3, "is not after valid-after"),
        ("a ssh-ed25519 AAAA", 3, "the key cannot be read"),
        ("a ssh-rsa DATA", 3, "the key cannot be read"),
        ("a ssh-ed25519-cert-v01@openssh.com DATA", 3, "the key cannot be read"),
        (
            "a ssh-dss AAAAB3NzaC1kc3MAAACBANw9iSUO2UYhFMssjUgW46URqv8bBrDgHeF8HLBOWBvKuXF2Rx2J/XyhgX48SOLMuv0hcPaejlyLarabnF9F2V4dkpPpZSJ+7luHmxEjNxwhsdtg8UteXAWkeCzrQ6MvRJZHcDBjYh56KGvslbFnJsGLXlI4PQCyl6awNImwYGilAAAAFQCJGBU3hZf+QtP9Jh/nbfNlhFu7hwAAAIBHObOQioQVRm3HsVb7mOy3FVKhcLoLO3qoG9gTkd4KeuehtFAC3+rckiX7xSffnE/5p6PzQN6kOu2ZlmxgKy3MyCvR0FUTP3iNmRz6tLhGKYa3gwlmuBPrfaI3vL6D3RKZkXhrADiFMq6bvXoNIUfYyiUMRnnmwLGR4lbKD4lfgQAAAIAzUaHkExVMUmOgfeS57iB9KxbvdJ6lKKeU43S8Nsdcv1XVWNNVcCBBPJkgA3TKW2VCjmcIBBnpg3XOWRbETIuGnWvBSyMQXm/YGvYcIxgCRjYT+qIoaYDmOO5zKnbuhwEnJXTTM6RL9BZmmfBTLvAcmzqrkCdjTPHrsGXUKQDTzw==",
            3,
            "DSA keys are not accepted",
        ),
    ];
    for (text, column, told) in table {
        let text = text.replace("KEY", &key).replace("DATA", data);
        let file = format!("# people\n\nb {}\n{text}\n", public(2));
        let problems = Approvers::parse("allowed", &file, &TimeZone::UTC).unwrap_err();
        let [problem] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        let place = problem.place.as_ref().unwrap();
        assert!(problem.message.contains(told), "{text}: {}", problem.message);
        assert_eq!((place.line, place.column), (4, column), "{text}: {}", problem.message);
    }
    for nobody in ["", "# a\n", &format!("a namespaces=\"git\" {key}\n")] {
        let problems = Approvers::parse("allowed", nobody, &TimeZone::UTC).unwrap_err();
        assert!(problems[0].message.contains("lists nobody"), "{nobody}");
    }
}

#[test]
fn what_ssh_keygen_reads_of_approvers_is_read() {
    let texts = [signed(1, &statement())];
    let counts = |line: &str, zone: &TimeZone| {
        let file = line.replace("KEY", &public(1));
        let read = Approvers::parse("allowed", &file, zone).unwrap();
        let terms = Terms { required: 1, approvers: vec![read], authors: Vec::new() };
        let judged = judge(&terms, &texts);
        (judged.people == 1, judged.approvals[0].problem.clone().unwrap_or_default())
    };
    let utc = &TimeZone::UTC;
    for line in [
        "a KEY",
        "  a,b@x.com\tKEY and a comment\r",
        "\"a,b\" KEY",
        "a namespaces=\"git,meshagent-plan\" KEY",
        "a namespaces=\"mesh*\" KEY",
        "a NameSpaces=\"*\",valid-after=\"20261129\",valid-before=\"202611291201\" KEY",
        "a valid-after=\"20261129120000Z\" KEY",
        "*@x.com cert-authority,namespaces=\"git\" KEY\na KEY",
        // Of two lines with a key the one that is valid counts.
        "a valid-before=\"20200101\" KEY\na KEY",
        "a KEY\na valid-before=\"20200101\" KEY",
    ] {
        assert_eq!(counts(line, utc), (true, String::new()), "{line}");
    }
    for (line, told) in [
        ("a valid-after=\"20261129120001\" KEY", "the key is valid from 2026-11-29T12:00:01Z on"),
        ("a valid-before=\"202611291200\" KEY", "the key was valid until 2026-11-29T12:00:00Z"),
    ] {
        assert_eq!(counts(line, utc), (false, told.to_owned()), "{line}");
    }
    // Without a zone, times are those of the machine.
    let east = TimeZone::fixed(jiff::tz::offset(2));
    assert!(!counts("a valid-before=\"202611291300\" KEY", &east).0);
    assert!(counts("a valid-before=\"202611291300Z\" KEY", &east).0);
}

#[test]
fn people_are_counted_and_not_keys() {
    let [one, two, three] = [1, 2, 3].map(|number| signed(number, &statement()));
    let line = |names: &str, number: u8| format!("{names} {}\n", public(number));
    let both = [one.clone(), two.clone()];
    for (file, people) in [
        (line("a", 1) + &line("b", 2), 2),
        // One person with two keys, whatever the case of the name.
        (line("a", 1) + &line("a", 2), 1),
        (line("a@x.com", 1) + &line("A@x.com", 2), 1),
        (line("a,a@x.com", 1) + &line("a@x.com,b", 2), 1),
        // Joined by a line that nobody used.
        (line("a", 1) + &line("b", 2) + &line("a,b", 3), 1),
        // A key that two people have.
        (line("a", 1) + &line("b", 1), 1),
        (line("a", 1) + &line("b", 1) + &line("b", 2), 1),
    ] {
        let judged = judge(&terms(&file), &both);
        assert_eq!(judged.people, people, "{file}");
        assert_eq!(judged.check().is_ok(), people == 2, "{file}");
    }
    let file = line("a", 1) + &line("b", 2) + &line("c", 3);
    let people = People::of(&[approvers(&file)]);
    let known = ["a", "b", "c"].map(|name| people.named(name).expect("a person"));
    assert_eq!(std::collections::BTreeSet::from(known).len(), 3);
    // The same approval twice, and two of one key, are one.
    let again = signed(1, &Statement { reason: Some("again".to_owned()), ..statement() });
    let judged = judge(&terms(&file), &[one.clone(), one.clone(), again]);
    assert_eq!(judged.people, 1);
    assert!(judged.approvals[2].problem.as_ref().unwrap().contains("0.approval counts"));
    // Whoever made the change does not count, by any of their names and keys.
    for author in ["a", "A"] {
        let terms = Terms { authors: vec![author.to_owned()], ..terms(&file) };
        let judged = judge(&terms, &[one.clone(), two.clone()]);
        assert_eq!(judged.people, 1);
        assert_eq!(judged.approvals[0].problem.as_deref(), Some("its approver made the change"));
        judge(&terms, &[one.clone(), two.clone(), three.clone()]).check().unwrap();
    }
    // Of two files both must list a key.
    let narrow = Terms {
        approvers: vec![approvers(&file), approvers(&line("b", 2))],
        ..terms("a KEY".replace("KEY", &public(1)).as_str())
    };
    assert_eq!(judge(&narrow, &[one, two, three]).people, 1);
}

#[test]
fn as_many_as_are_required_must_be_able_to_approve() {
    let line = |name: &str, number: u8| format!("{name} {}\n", public(number));
    let [ab, bc, cd] = [(1, "a", "b"), (2, "b", "c"), (3, "c", "d")]
        .map(|(number, one, other)| line(one, number) + &line(other, number + 1));
    let possible = |files: &[&str], authors: &[&str], required: usize| {
        let authors = authors.iter().map(|name| (*name).to_owned()).collect();
        let approvers = files.iter().map(|file| approvers(file)).collect();
        Terms { required, approvers, authors }.is_possible().map_err(|error| error.message)
    };
    assert_eq!(possible(&[], &[], 0), Ok(()));
    assert_eq!(possible(&[&ab], &[], 2), Ok(()));
    assert_eq!(possible(&[&ab, &bc], &[], 1), Ok(()));
    for (files, authors, required, told) in [
        (vec![&ab], vec![], 3, "3 approvals cannot be had: the approvers' file lists 2 people"),
        (
            vec![&ab],
            vec!["a", "e"],
            2,
            "2 approvals cannot be had: the approvers' file lists 1 person apart from the authors",
        ),
        // A key must be in all files, so only those count whom all of them list.
        (
            vec![&ab, &bc],
            vec![],
            2,
            "2 approvals cannot be had: only 1 person is in all 2 approvers' files with the same key",
        ),
        (
            vec![&ab, &cd],
            vec![],
            1,
            "1 approval cannot be had: nobody is in all 2 approvers' files with the same key",
        ),
        (
            vec![&ab, &bc],
            vec!["b"],
            1,
            "1 approval cannot be had: nobody is in all 2 approvers' files with the same key apart from the authors",
        ),
    ] {
        let files: Vec<&str> = files.into_iter().map(String::as_str).collect();
        assert_eq!(possible(&files, &authors, required), Err(told.to_owned()));
    }
    // The same name with another key is no approver of both.
    assert!(possible(&[&line("a", 1), &line("a", 2)], &[], 1).is_err());
}

#[test]
fn who_signed_is_not_who_they_say_they_are() {
    let says = |by: &str| signed(1, &Statement { by: Some(by.to_owned()), ..statement() });
    let file = format!("a,a@x.com {}\nb {}\n", public(1), public(2));
    for (by, counts) in [("a", true), ("a@x.com", true), ("b", false), ("A", false)] {
        let judged = judge(&terms(&file), &[says(by)]);
        assert_eq!(judged.people == 1, counts, "{by}");
        if !counts {
            let told = judged.approvals[0].problem.as_ref().unwrap();
            assert!(told.contains("but the key is listed for a, a@x.com"), "{told}");
        }
    }
}

#[test]
fn what_does_not_count_is_told_and_takes_nothing_away() {
    let file = format!("a {}\nb {}\n", public(1), public(2));
    let change = |change: fn(&mut Statement)| {
        let mut statement = statement();
        change(&mut statement);
        signed(1, &statement)
    };
    let table = [
        (change(|it| it.plan.digest = Bound::digest_of(b"other")), "it is for another plan"),
        (change(|it| it.plan.set = "x\u{1b}[2J".to_owned()), "it is for the set `x\\u{1b}[2J`"),
        (
            change(|it| it.plan.platform = "https://x".to_owned()),
            "it is for the platform https://x",
        ),
        (change(|it| it.plan.projects.clear()), "it is for other projects"),
        (change(|it| it.expires = it.issued), "it expired at"),
        (change(|it| it.issued = it.expires), "it is from the future"),
        (change(|it| it.expires = "2027-11-29T11:00:00Z".parse().unwrap()), "more than 30 days"),
        (signed(3, &statement()), "its key is not one of an approver"),
        (signed_in(1, &statement(), "git"), "namespace \"git\""),
        ("not an approval".to_owned(), "it does not begin with a statement"),
        (String::new(), "it does not begin with a statement"),
        (statement().line().unwrap(), "is not followed by a signature"),
        (statement().line().unwrap().replace('\n', "\r\n"), "end as those of Windows do"),
    ];
    let (texts, told): (Vec<String>, Vec<&str>) = table.into_iter().unzip();
    let judged = judge(&terms(&file), &texts);
    assert_eq!(judged.people, 0);
    for (approval, told) in judged.approvals.iter().zip(told) {
        assert!(approval.line().contains(told), "{}", approval.line());
        assert!(!approval.counts && !approval.line().contains('\u{1b}'));
        // Who signed it is told by name, and a signature for something else tells nobody.
        let is_named = approval.line().contains(": a (");
        let broken = ["namespace", "key", "not ", "Windows"];
        let is_signed = !broken.iter().any(|it| told.contains(it));
        assert_eq!(is_named, is_signed, "{}", approval.line());
    }
    let refused = judged.check().unwrap_err();
    assert_eq!(refused.class.exit_code(), 6);
    assert_eq!(refused.problems[0].message, "the plan needs 2 approvals and has none");
    assert_eq!(refused.problems.len(), 14);
    let good = [signed(1, &statement()), signed(2, &statement())];
    judge(&terms(&file), &[texts, good.to_vec()].concat()).check().unwrap();
}

#[test]
fn more_approvals_than_people_cannot_be_demanded() {
    let file = format!("a {}\na {}\nb {}\n", public(1), public(2), public(3));
    assert!(terms(&file).is_possible().is_ok());
    let three = Terms { required: 3, ..terms(&file) };
    let refused = three.is_possible().unwrap_err();
    assert!(refused.message.contains("lists 2 people"), "{}", refused.message);
    let author = Terms { authors: vec!["b".to_owned()], ..terms(&file) };
    let refused = author.is_possible().unwrap_err();
    assert!(
        refused.message.contains("lists 1 person apart from the authors"),
        "{}",
        refused.message
    );
}

#[test]
fn an_approval_expires_while_a_run_prepares() {
    let file = format!("a {}\nb {}\n", public(1), public(2));
    let short = Statement::new(bound(), now(), Duration::from_secs(60));
    let texts = [signed(1, &short), signed(2, &statement())];
    let judged = |time: &str| terms(&file).judge(&bound(), &found(&texts), at(time));
    judged("2026-11-29T12:00:59Z").check().unwrap();
    assert!(judged("2026-11-29T12:01:00Z").check().is_err());
}
