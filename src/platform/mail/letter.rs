//! *Pure*: what is read of a mail, and what is written above it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{HeaderName, MessageParser};
use serde_json::{Value, json};

use crate::platform::objects::mailboxes::Mailbox;

/// How often a mail may have been handed on before it is taken for one that goes in circles.
pub const HOPS: usize = 50;

/// The name that this server has in mails.
pub const HOST: &str = "mail.localhost";

/// Where a mail came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// What the client calls itself.
    pub hello: String,
    /// Its address.
    pub address: IpAddr,
    /// How it came, such as `ESMTP`.
    pub by: &'static str,
}

impl Origin {
    /// The header `Received` of a mail that came now.
    pub fn received(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let hello = match self.hello.len() <= 255 && self.hello.chars().all(is_plain) {
            true => self.hello.as_str(),
            false => "unknown",
        };
        let address = match self.address.to_canonical() {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let now = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000");
        format!(
            "Received: from {hello} ({address})\r\n\tby {HOST} with {};\r\n\t{now}\r\n",
            self.by
        )
    }
}

/// The message that a mail is in the queue of a mailbox.
pub fn message(mail: &[u8], from: &str, to: &Mailbox, received: &str) -> Value {
    let head = format!("Return-Path: <{from}>\r\nDelivered-To: {}\r\n{received}", to.given);
    json!({ "base64": STANDARD.encode([head.as_bytes(), mail].concat()) })
}

/// Whether a mail goes in circles.
pub fn is_in_circles(mail: &[u8]) -> bool {
    let lines = mail.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    let lines = lines.take_while(|line| *line != b"\r");
    let is_hop =
        |line: &&[u8]| line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
    lines.filter(is_hop).count() > HOPS
}

/// Whom a mail says that it is from. None if that cannot be read.
pub fn authors(mail: &[u8]) -> Option<Vec<String>> {
    let parser = MessageParser::new()
        .header_address(HeaderName::From)
        .header_address(HeaderName::Sender)
        .header_address(HeaderName::ResentFrom)
        .header_address(HeaderName::ResentSender);
    let message = parser.parse_headers(mail)?;
    let mut authors = Vec::new();
    for header in message.headers() {
        let is_of_author = matches!(
            header.name,
            HeaderName::From
                | HeaderName::Sender
                | HeaderName::ResentFrom
                | HeaderName::ResentSender
        );
        if !is_of_author {
            continue;
        }
        for author in header.value.as_address()?.iter() {
            authors.push(author.address()?.to_owned());
        }
    }
    Some(authors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_authors_are_read() {
        let table: [(&str, Option<&[&str]>); 7] = [
            ("From: a@b.c\r\n\r\nFrom: x@y.z\r\n", Some(&["a@b.c"])),
            (
                "From: A <a@b.c>, \"x@y.z\" <d@e.f>\r\nSender: g@h.i\r\n\r\n",
                Some(&["a@b.c", "d@e.f", "g@h.i"]),
            ),
            ("from: a@b.c\r\nFROM: d@e.f\r\n\r\n", Some(&["a@b.c", "d@e.f"])),
            ("From:\r\n a@b.c\r\n\r\n", Some(&["a@b.c"])),
            ("Subject: x\r\n\r\n", Some(&[])),
            ("From: nobody\r\n\r\n", None),
            ("From: \r\n\r\n", None),
        ];
        for (mail, expected) in table {
            let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
            assert_eq!(authors(mail.as_bytes()), expected, "{mail:?}");
        }
    }

    #[test]
    fn only_hops_in_the_head_count() {
        let hops = "Received: x\r\n".repeat(HOPS);
        assert!(!is_in_circles(format!("{hops}\r\nreceived: y\r\n").as_bytes()));
        assert!(is_in_circles(format!("{hops}RECEIVED: y\r\n\r\n").as_bytes()));
    }

    #[test]
    fn nothing_of_a_greeting_becomes_a_header() {
        let of = |hello: &str| {
            let origin = Origin { hello: hello.into(), address: [127, 0, 0, 1].into(), by: "SMTP" };
            origin.received()
        };
        assert!(of("a.test").starts_with("Received: from a.test ([127.0.0.1])\r\n\tby "));
        for strange in ["a b", "a)", "a;", "ä", &"a".repeat(256)] {
            assert!(of(strange).starts_with("Received: from unknown ("), "{strange}");
        }
    }
}
