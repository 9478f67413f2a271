//! *Pure*: the toolkit `developer`, which every room has: what is logged in a room, and who
//! watches that.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::content::Content;
use super::operation::{At, done};

/// The type of events that are OTLP logs.
pub const LOGS: &str = "otel.log";

/// The attribute of a resource that says whose a log is.
const SERVICE: &str = "service.name";

/// Logs an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// Makes the structs of the levels.
macro_rules! levels {
    ($($(#[$about:meta])* $level:ident => $tool:literal,)+) => {
        $($(#[$about])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $level {
            /// What is said.
            pub message: String,
            /// What belongs to it.
            #[serde(default)]
            pub extra: Option<Map<String, Value>>,
        })+

        done! { $($level => At::Tool("developer", $tool)),+ }
    };
}

levels! {
    /// Logs that something happened.
    Info => "info",
    /// Logs that something may be wrong.
    Warning => "warning",
    /// Logs that something is wrong.
    Error => "error",
}

done! { Log => At::Tool("developer", "log") }

/// An event that was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its type.
    pub kind: String,
    /// What happened.
    pub data: Map<String, Value>,
}

impl Event {
    /// The event as a part of the stream of those who watch.
    #[must_use]
    pub fn part(&self) -> Content {
        let bytes = Value::from(self.data.clone()).to_string().into_bytes();
        Content::part(json!({ "type": self.kind }), bytes)
    }

    /// The event in a part of the stream; `None` if there is none. No bytes stand for an empty
    /// object.
    #[must_use]
    pub fn of(part: Content) -> Option<Self> {
        let Content::Binary { headers, bytes } = part else { return None };
        let kind = headers["type"].as_str()?.to_owned();
        let data = match bytes.as_slice() {
            [] => Map::new(),
            bytes => serde_json::from_slice(bytes).ok()?,
        };
        Some(Self { kind, data })
    }

    /// A line of a log in the form of OTLP: one resource, one scope, one record.
    ///
    /// `nanos` are nanoseconds since 1970; `about` are the attributes of the resource.
    #[must_use]
    pub fn logged(
        nanos: u128,
        severity: &str,
        body: &str,
        extra: &Map<String, Value>,
        about: &[(&str, &str)],
    ) -> Self {
        let text = |text: &str| json!({ "stringValue": text });
        let about = about.iter().map(|(name, of)| json!({"key": name, "value": text(of)}));
        let about: Vec<Value> = about.collect();
        let extra = extra.iter().map(|(name, value)| json!({"key": name, "value": any(value)}));
        let record = json!({
            "timeUnixNano": nanos.to_string(),
            "observedTimeUnixNano": nanos.to_string(),
            "severityText": severity,
            "severityNumber": number(severity),
            "body": text(body),
            "attributes": extra.collect::<Vec<_>>(),
        });
        let data = json!({"resourceLogs": [{
            "resource": {"attributes": about},
            "scopeLogs": [{"scope": {"name": "meshagent.room"}, "logRecords": [record]}],
        }]});
        let Value::Object(data) = data else {
            return Self { kind: LOGS.to_owned(), data: Map::new() };
        };
        Self { kind: LOGS.to_owned(), data }
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whose it is: the name of a service, or of a participant.
    pub of: Option<String>,
    /// When it was written, in nanoseconds since 1970.
    pub nanos: Option<i128>,
    /// How bad it is, such as `WARN`.
    pub severity: String,
    /// What is said, with all its characters.
    pub body: String,
}

impl Event {
    /// The lines of a log in the form of OTLP. What is none of these has none.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
        let logs = self.data.get("resourceLogs").and_then(Value::as_array);
        let mut records = Vec::new();
        for resource in logs.filter(|_| self.kind == LOGS).into_iter().flatten() {
            let attributes = list(&resource["resource"], "attributes");
            let name = attributes.iter().find(|it| it["key"] == SERVICE);
            let of = name.and_then(|it| it["value"]["stringValue"].as_str()).map(str::to_owned);
            let scopes = list(resource, "scopeLogs");
            for record in scopes.iter().flat_map(|scope| list(scope, "logRecords")) {
                let (nanos, body) = (&record["timeUnixNano"], &record["body"]);
                let said = body["stringValue"].as_str();
                records.push(Record {
                    of: of.clone(),
                    nanos: nanos.as_i64().map(i128::from).or_else(|| nanos.as_str()?.parse().ok()),
                    severity: record["severityText"].as_str().unwrap_or("INFO").to_owned(),
                    body: said.map_or_else(|| body.to_string(), str::to_owned),
                });
            }
        }
        records
    }
}

/// A value in the form of OTLP.
fn any(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        // Whole numbers may be larger than a number of JSON can be, and so are texts.
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Null => json!({}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(any).collect::<Vec<_>>()}})
        }
        Value::Object(members) => {
            let values =
                members.iter().map(|(name, value)| json!({"key": name, "value": any(value)}));
            json!({"kvlistValue": {"values": values.collect::<Vec<_>>()}})
        }
    }
}

/// The number that OTLP has for a severity.
fn number(severity: &str) -> u8 {
    match severity {
        "ERROR" => 17,
        "WARN" => 13,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::operation::Operation;

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let event = Event { kind: "x".to_owned(), data: Map::from_iter([("a".into(), json!(1))]) };
        assert_eq!(Event::of(event.part()), Some(event));
        let bare = Content::part(json!({"type": "x"}), Vec::new());
        assert_eq!(Event::of(bare), Some(Event { kind: "x".to_owned(), data: Map::new() }));
        for odd in [
            Content::Empty,
            Content::part(json!({}), b"{}".to_vec()),
            Content::part(json!({"type": "x"}), b"[1]".to_vec()),
        ] {
            assert_eq!(Event::of(odd), None);
        }
    }

    #[test]
    fn what_a_level_logs_may_have_nothing_besides() {
        for header in [json!({"message": "m"}), json!({"message": "m", "extra": null})] {
            assert_eq!(Info::read(&header).unwrap(), Info { message: "m".to_owned(), extra: None });
        }
        assert!(Warning::read(&json!({"extra": {}})).is_err());
    }

    #[test]
    fn a_line_that_was_written_is_read_again() {
        let event = Event::logged(7, "WARN", "a\nb", &Map::new(), &[("service.name", "s")]);
        let record = Record {
            of: Some("s".to_owned()),
            nanos: Some(7),
            severity: "WARN".to_owned(),
            body: "a\nb".to_owned(),
        };
        assert_eq!(event.records(), [record]);
        let other = Event { kind: "x".to_owned(), ..event };
        assert_eq!(other.records(), []);
    }

    #[test]
    fn a_line_is_written_as_otlp_has_it() {
        let extra = json!({"n": 1, "f": 1.5, "b": true, "t": "x", "l": [null], "o": {"k": "v"}});
        let Value::Object(extra) = extra else { panic!("an object") };
        let event = Event::logged(1_000_000_001, "ERROR", "oh", &extra, &[("service.name", "s")]);
        assert_eq!(
            Value::from(event.data),
            json!({"resourceLogs": [{
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]},
                "scopeLogs": [{"scope": {"name": "meshagent.room"}, "logRecords": [{
                    "timeUnixNano": "1000000001",
                    "observedTimeUnixNano": "1000000001",
                    "severityText": "ERROR",
                    "severityNumber": 17,
                    "body": {"stringValue": "oh"},
                    "attributes": [
                        {"key": "n", "value": {"intValue": "1"}},
                        {"key": "f", "value": {"doubleValue": 1.5}},
                        {"key": "b", "value": {"boolValue": true}},
                        {"key": "t", "value": {"stringValue": "x"}},
                        {"key": "l", "value": {"arrayValue": {"values": [{}]}}},
                        {"key": "o", "value": {"kvlistValue": {"values": [
                            {"key": "k", "value": {"stringValue": "v"}},
                        ]}}},
                    ],
                }]}],
            }]})
        );
    }
}
