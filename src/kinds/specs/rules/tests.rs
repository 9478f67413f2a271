use super::*;

fn sort(rule: Rule, good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(rule.check(text), Ok(()), "{rule:?} {text:?}");
    }
    for text in bad {
        let said = rule.check(text).expect_err(text);
        assert!(said.starts_with("must ") || said.starts_with("is "), "{said}");
    }
}

#[test]
fn each_rule_tells_good_texts_from_bad_ones() {
    let (longest, longer) = ("x".repeat(255), "x".repeat(256));
    sort(
        Rule::Name,
        &["a", "a b", "a/b", "ä?#", "日本", "..", &longest],
        &["", " ", "a\nb", "\u{0}", &longer],
    );
    sort(Rule::Segment, &["...", "a/b"], &[".", "..", ""]);
    sort(Rule::AccountName, &["support", "a b", "ä"], &["", ".", "a/b", "a@b", "a\nb"]);
    let (room, rooms) = ("a".repeat(63), "a".repeat(64));
    sort(
        Rule::RoomName,
        &["a", "0", "my-room-2", "a--b", &room],
        &["", "-a", "a-", "A", "a b", "a_b", "a.b", "..", "ä", "a\n", &rooms],
    );
    sort(
        Rule::Address,
        &["B+c@Mail.MeshAgent.com", "a@example.com"],
        &[
            "x",
            "@mail.localhost",
            "a b@mail.localhost",
            "a..b@mail.localhost",
            "A <a@b.c>",
            "a@b.c.",
            "a@b@",
            "a@",
        ],
    );
    sort(
        Rule::Domain,
        &["APP2.MeshAgent.App", "localhost"],
        &[
            "",
            "a..b",
            "-a.b",
            "a_b.c",
            "a b",
            "http://a",
            "a.b:80",
            "a/b",
            "a.",
            "*.a.b",
            "bücher.example",
        ],
    );
    sort(Rule::Port, &["1", "80", "65535", "*", "080"], &["", "0", "+80", "65536", "http", "-1"]);
    for bad in ["080", " 80", "*", ""] {
        assert!(port(bad).is_err(), "{bad:?}");
    }
    sort(
        Rule::Schedule,
        &["0 * * * *", "*/5 0-6 1,15 * MON", "@hourly", "@daily"],
        &[
            "",
            "x",
            "* * * *",
            "0 0 * * * *",
            "61 * * * *",
            "0 0 0 1 1 * 2030",
            "@never",
            "@reboot",
            "*/0 * * * *",
        ],
    );
    sort(
        Rule::WebUrl,
        &["http://x/y", "HTTPS://x"],
        &["u", "/y", "ftp://x/y", "mailto:a@b", "http://", "http://x/a b", "http://x ", ""],
    );
    sort(Rule::Event, &["*", "room.ended"], &["room.start", "", "ROOM.ENDED"]);
    sort(
        Rule::Image,
        &["busybox", "a/b:{SERVER_VERSION}"],
        &["", " ", "x\n", "a\tb", "a:b #c", "a/b:{VERSION}", "a@sha256:0"],
    );
    sort(Rule::Variable, &["A", "a.b-c", "Ä", ""], &[" ", "A B", "A=B", "A\n", "A "]);
    sort(Rule::AbsolutePath, &["/", "/a b", "/a/../b"], &["", "a", "./a", " /a", "/a\nb", "C:\\"]);
    sort(Rule::Unmasked, &["", "*******"], &[MASK]);
    assert!(event("room.start").is_err_and(|said| said.contains("\"room.started\"")));
    assert!(not_empty(0).is_err() && not_empty(1).is_ok());
    assert!(annotations_size(ANNOTATIONS_LIMIT).is_ok());
    assert!(annotations_size(ANNOTATIONS_LIMIT + 1).is_err());
}

#[test]
fn what_is_wrong_with_a_port_is_told() {
    for (port, what) in [
        (" 80", "without blanks around it"),
        ("80\t", "without blanks around it"),
        ("\u{a0}8080", "without blanks around it"),
        (" * ", "without blanks around it"),
        ("'80'", "without quotes in it"),
        (" \"443\" ", "without quotes in it"),
        ("“*”", "without quotes in it"),
        ("+80", "without a sign"),
        ("-1", "without a sign"),
        ("80/tcp", "one port number"),
        ("8080:80", "one port number"),
        ("80-90", "one port number"),
        ("http", "a port number from 1 to 65535"),
        ("70000", "a port number from 1 to 65535"),
        ("00", "a port number from 1 to 65535"),
        ("", "a port number from 1 to 65535"),
    ] {
        let said = Rule::Port.check(port).expect_err(port);
        assert!(said.contains(what), "{port:?}: {said}");
    }
}

#[test]
fn every_text_has_a_bound_that_its_schema_shows() {
    for (rule, text, limit) in [
        (Rule::Schedule, format!("{} * * * *", vec!["0"; 508].join(",")), SCHEDULE_LIMIT),
        (Rule::WebUrl, format!("https://x/{}", "é".repeat(LINE_LIMIT - 10)), LINE_LIMIT),
        (Rule::AbsolutePath, format!("/{}", "ä".repeat(LINE_LIMIT - 1)), LINE_LIMIT),
        (Rule::Variable, "A".repeat(LINE_LIMIT), LINE_LIMIT),
        (Rule::Name, "ä".repeat(NAME_LIMIT), NAME_LIMIT),
        (Rule::Unmasked, "ä".repeat(TEXT_LIMIT), TEXT_LIMIT),
    ] {
        assert_eq!(rule.check(&text), Ok(()), "{rule:?}");
        let longer = match rule {
            Rule::Schedule => text.replacen("0,", "0,00000000,", 1),
            _ => format!("{text}0"),
        };
        let said = rule.check(&longer).expect_err("too long");
        assert_eq!(said, format!("is longer than {limit} characters"), "{rule:?}");
        if rule != Rule::Unmasked {
            assert_eq!(rule.keywords().get("maxLength"), Some(&json!(limit)), "{rule:?}");
        }
    }
}

#[test]
fn a_schedule_of_everything_is_within_the_bound() {
    let list =
        |from: u32, to: u32| (from..=to).map(|it| it.to_string()).collect::<Vec<_>>().join(",");
    let all = [list(0, 59), list(0, 23), list(1, 31), list(1, 12), list(0, 6)].join(" ");
    assert_eq!(schedule(&all), Ok(()));
}

#[test]
fn a_schedule_of_days_that_never_come_is_known() {
    for never in ["0 0 31 2 *", "0 0 30,31 2 *", "0 12 31 4,6,9,11 *"] {
        assert!(never_fires(never), "{never}");
    }
    for some in ["0 0 29 2 *", "0 0 31 2 MON", "0 0 31 1,2 *", "@yearly", "x"] {
        assert!(!never_fires(some), "{some}");
    }
}

#[test]
fn what_is_compared_is_in_lower_case() {
    assert_eq!(address("B+c@Mail.MeshAgent.com"), Ok("b+c@mail.meshagent.com".to_owned()));
    assert_eq!(domain("APP2.MeshAgent.App"), Ok("app2.meshagent.app".to_owned()));
}

#[test]
fn a_domain_is_served_or_not() {
    assert_eq!(served("a@Mail.Example.com", &["mail.example.com"]), Ok(()));
    let said = served("a@example.com", &["mail.example.com"]).expect_err("not served");
    assert!(said.contains("mail.example.com"), "{said}");
}

/// What a schema refuses, the rule refuses too: nobody is told less than an editor shows.
#[test]
fn schemas_refuse_nothing_that_a_rule_allows() {
    let texts = [
        "",
        " ",
        "a",
        "a b",
        "A",
        "..",
        "a\nb",
        "a@b",
        "a@mail.localhost",
        "A@B.C",
        "app.example.com",
        "APP.b",
        "0 * * * *",
        " 0  * * * * ",
        "@hourly",
        "@HOURLY",
        " @daily ",
        "0 0 * * *\n",
        "* * *",
        "http://x",
        "HTTPS://x/y",
        " http://x",
        "http:x",
        "http://x/ä",
        "x:y",
        "room.started",
        "/",
        "/a b",
        "a=b",
        "\u{feff}a",
        "*",
        MASK,
        "ä@ä",
        "ä@b",
    ];
    for (_, rule) in NAMES {
        let schema = Value::Object(rule.keywords());
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        for text in texts {
            let allowed = rule.check(text).is_ok();
            assert!(!allowed || validator.is_valid(&json!(text)), "{rule:?} {text:?}");
        }
    }
}
