//! What names, addresses, schedules and documents must look like. *Pure*.
//!
//! Each rule takes the name of the field that it checks, so that a refusal can name it.

use std::collections::BTreeMap;

use croner::parser::{CronParser, Seconds, Year};
use serde_json::Value;
use url::Url;

use super::error::{Refusal, Result};
use crate::api::specs::service::{PortNumber, ServiceSpec};

/// The domains that mailboxes may be made in.
pub const MAIL_DOMAINS: [&str; 3] = ["mail.meshagent.com", "mail.meshagent.life", "mail.localhost"];

/// The events that a webhook may ask for.
pub const EVENTS: [&str; 6] = [
    "room.started",
    "room.ended",
    "room.call",
    "storage.file.updated",
    "storage.file.deleted",
    "*",
];

const NAME_LIMIT: usize = 255;
const ANNOTATIONS_LIMIT: usize = 1024 * 1024;

/// A name of any object: some text without control characters, at most 255 characters.
///
/// # Errors
///
/// 400 naming the field.
pub fn name(field: &str, name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Refusal::field(field, "must not be empty"));
    }
    if name.chars().count() > NAME_LIMIT {
        return Err(Refusal::field(field, format!("is longer than {NAME_LIMIT} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Refusal::field(field, "must not contain control characters"));
    }
    Ok(())
}

/// Annotations of one object, at most 1 MiB of keys and values together: a placed
/// template keeps its own text there, and published ones have a hundred KiB.
///
/// # Errors
///
/// 400 naming the field.
pub fn annotations(field: &str, annotations: Option<&BTreeMap<String, String>>) -> Result<()> {
    let size: usize = annotations.map_or(0, |annotations| {
        annotations.iter().map(|(key, text)| key.len() + text.len()).sum()
    });
    if size > ANNOTATIONS_LIMIT {
        return Err(Refusal::field(field, "is larger than 1 MiB"));
    }
    Ok(())
}

/// The address of a mailbox in the form in which it is compared: the domain in lower case.
///
/// # Errors
///
/// 400 naming the field: not an address, or a domain that the platform does not serve.
pub fn address(field: &str, address: &str) -> Result<String> {
    let refuse = || Refusal::field(field, format!("{address:?} is not a mail address"));
    let (local, domain) = address.rsplit_once('@').ok_or_else(refuse)?;
    let plain = |one: char| one.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(one);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    if local.is_empty() || local.len() > 64 || dots || !local.chars().all(plain) {
        return Err(refuse());
    }
    let domain = domain.to_ascii_lowercase();
    if !MAIL_DOMAINS.contains(&domain.as_str()) {
        let known = MAIL_DOMAINS.join(", ");
        let message = format!("the domain {domain:?} is not served here; known are {known}");
        return Err(Refusal::field(field, message));
    }
    // Local parts are compared without case as well, or two mailboxes could take one mail.
    Ok(format!("{}@{domain}", local.to_lowercase()))
}

/// A host name in lower case.
///
/// # Errors
///
/// 400 naming the field.
pub fn domain(field: &str, domain: &str) -> Result<String> {
    let lower = domain.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if lower.len() <= 253 && lower.split('.').all(label) {
        return Ok(lower);
    }
    Err(Refusal::field(field, format!("{domain:?} is not a host name")))
}

/// The port of a route, a number written as text.
///
/// # Errors
///
/// 400 naming the field.
pub fn port(field: &str, port: &str) -> Result<()> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(Refusal::field(field, "must be a port number from \"1\" to \"65535\"")),
    }
}

/// A schedule: five fields of cron, or a nickname such as `@hourly`; UTC.
///
/// # Errors
///
/// 400 naming the field.
pub fn schedule(field: &str, schedule: &str) -> Result<()> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    match parser.parse(schedule) {
        Ok(_) => Ok(()),
        Err(cause) => Err(Refusal::field(
            field,
            format!("{schedule:?} is not a schedule of five cron fields: {cause}"),
        )),
    }
}

/// The URL of a webhook.
///
/// # Errors
///
/// 400 naming the field.
pub fn web_url(field: &str, url: &str) -> Result<()> {
    match Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => Ok(()),
        _ => Err(Refusal::field(field, "must be an absolute http or https URL")),
    }
}

/// The events of a webhook: at least one, all of them known.
///
/// # Errors
///
/// 400 naming the field, with the nearest known event.
pub fn events(field: &str, events: &[String]) -> Result<()> {
    if events.is_empty() {
        return Err(Refusal::field(field, "must name at least one event"));
    }
    let unknown = events.iter().enumerate().find(|(_, event)| !EVENTS.contains(&event.as_str()));
    let Some((index, event)) = unknown else { return Ok(()) };
    let nearest = EVENTS
        .iter()
        .map(|known| (strsim::jaro_winkler(event, known), known))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let hint = match nearest {
        Some((likeness, known)) if likeness > 0.7 => format!("; did you mean {known:?}?"),
        _ => format!("; known are {}", EVENTS.join(", ")),
    };
    Err(Refusal::field(format!("{field}[{index}]"), format!("unknown event {event:?}{hint}")))
}

/// What the model of a service does not say: exactly one of container and external, ports
/// that exist, names and sizes.
///
/// # Errors
///
/// 400 naming the field.
pub fn service(service: &ServiceSpec) -> Result<()> {
    name("metadata.name", &service.metadata.name)?;
    annotations("metadata.annotations", service.metadata.annotations.as_ref())?;
    match (&service.container, &service.external) {
        (Some(_), Some(_)) => {
            return Err(Refusal::field("external", "container and external exclude each other"));
        }
        (None, None) => {
            return Err(Refusal::field("container", "one of container and external is required"));
        }
        (Some(container), None) if container.image.trim().is_empty() => {
            return Err(Refusal::field("container.image", "must not be empty"));
        }
        _ => {}
    }
    for (index, agent) in service.agents.iter().flatten().enumerate() {
        annotations(&format!("agents[{index}].annotations"), agent.annotations.as_ref())?;
    }
    for (index, port) in service.ports.iter().flatten().enumerate() {
        if matches!(port.num, PortNumber::Fixed(number) if number > 65535) {
            return Err(Refusal::field(format!("ports[{index}].num"), "is larger than 65535"));
        }
        annotations(&format!("ports[{index}].annotations"), port.annotations.as_ref())?;
    }
    Ok(())
}

/// The payload of a webhook: an object, null, or the empty text that the SDK sends.
///
/// # Errors
///
/// 400 naming the field.
pub fn webhook_payload(field: &str, payload: &Value) -> Result<()> {
    match payload {
        Value::Null | Value::Object(_) => Ok(()),
        Value::String(text) if text.is_empty() => Ok(()),
        _ => Err(Refusal::field(field, "must be an object, null or an empty text")),
    }
}

/// The path of a file of a project: segments joined by slashes, none empty, none relative.
///
/// # Errors
///
/// 400 naming the field.
pub fn file_path(field: &str, path: &str) -> Result<String> {
    let path = path.trim_start_matches('/');
    let odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if path.split('/').any(odd) || path.chars().any(char::is_control) || path.len() > 1024 {
        return Err(Refusal::field(field, "must be a path of at most 1024 bytes without . or .."));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_odd_but_not_empty() {
        for good in ["a", "a b", "a/b", "ä?#", "日本", &"x".repeat(255)] {
            assert!(name("name", good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a\nb", "\u{0}", &"x".repeat(256)] {
            assert!(name("name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_in_a_domain_that_is_served() {
        assert_eq!(address("a", "B+c@Mail.MeshAgent.com").expect("good"), "b+c@mail.meshagent.com");
        for bad in
            ["x", "@mail.localhost", "a@example.com", "a b@mail.localhost", "a..b@mail.localhost"]
        {
            assert!(address("a", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains_are_host_names() {
        assert_eq!(domain("d", "APP2.MeshAgent.App").expect("good"), "app2.meshagent.app");
        for bad in ["", "a..b", "-a.b", "a_b.c", "a b", "http://a", "a.b:80", "a/b", "a."] {
            assert!(domain("d", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports_are_numbers_as_text() {
        for good in ["1", "80", "65535"] {
            assert!(port("port", good).is_ok(), "{good}");
        }
        for bad in ["", "0", "080", "+80", "65536", "http", " 80", "-1"] {
            assert!(port("port", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn schedules_have_five_fields() {
        for good in ["0 * * * *", "*/5 0-6 1,15 * MON", "@hourly", "@daily"] {
            assert!(schedule("schedule", good).is_ok(), "{good}");
        }
        for bad in ["", "x", "* * * *", "0 0 * * * *", "61 * * * *", "0 0 0 1 1 * 2030", "@never"] {
            assert!(schedule("schedule", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_event_names_the_nearest() {
        let refusal = events("events", &["room.start".into()]).expect_err("unknown").to_string();
        assert!(refusal.contains("\"room.started\""), "{refusal}");
        assert!(events("events", &[]).is_err());
        assert!(events("events", &["*".into(), "room.ended".into()]).is_ok());
    }

    #[test]
    fn webhooks_go_to_absolute_urls() {
        assert!(web_url("url", "http://x/y").is_ok());
        for bad in ["u", "/y", "ftp://x/y", "mailto:a@b", "http://"] {
            assert!(web_url("url", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_stay_below_their_project() {
        assert_eq!(file_path("path", "/a b/c+d.txt").expect("good"), "a b/c+d.txt");
        for bad in ["", "/", "a//b", "../a", "a/./b", "a\u{0}"] {
            assert!(file_path("path", bad).is_err(), "{bad:?}");
        }
    }
}
