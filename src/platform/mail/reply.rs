//! *Pure*: what a client is answered.

use std::borrow::Cow;

use smtp_proto::Error;

/// An answer: its code, its enhanced code (RFC 3463) and a text, in one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    lines: Vec<Cow<'static, str>>,
    /// Another answer that follows at once.
    after: Option<&'static str>,
    /// Whether the connection ends with it.
    pub is_last: bool,
}

impl Reply {
    /// An answer after which the connection goes on.
    pub fn say(text: impl Into<Cow<'static, str>>) -> Self {
        Self { lines: vec![text.into()], after: None, is_last: false }
    }

    /// An answer of several lines, each with the code.
    pub fn list(lines: Vec<Cow<'static, str>>) -> Self {
        Self { lines, after: None, is_last: false }
    }

    /// The last answer of a connection.
    pub fn last(text: impl Into<Cow<'static, str>>) -> Self {
        Self { is_last: true, ..Self::say(text) }
    }

    /// The same, and something after which the connection ends.
    #[must_use]
    pub fn and_last(mut self, text: &'static str) -> Self {
        self.after = Some(text);
        self.is_last = true;
        self
    }

    /// Whether something was wrong with what is answered.
    pub fn is_refusal(&self) -> bool {
        self.lines.first().is_some_and(|line| line.starts_with(['4', '5']))
    }

    /// As it is sent.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, line) in self.lines.iter().enumerate() {
            match line.split_once(' ') {
                Some((code, rest)) if at + 1 < self.lines.len() => {
                    text.push_str(&format!("{code}-{rest}\r\n"));
                }
                _ => text.push_str(&format!("{line}\r\n")),
            }
        }
        if let Some(after) = self.after {
            text.push_str(&format!("{after}\r\n"));
        }
        text
    }
}

impl From<Error> for Reply {
    /// The answer to a line that is no command.
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownCommand => Self::say("500 5.5.1 there is no such command"),
            Error::InvalidSenderAddress => {
                Self::say("553 5.1.7 write the sender as MAIL FROM:<name@domain>")
            }
            Error::InvalidRecipientAddress => {
                Self::say("553 5.1.3 write the recipient as RCPT TO:<name@domain>")
            }
            Error::SyntaxError { syntax } => Self::say(format!("501 5.5.4 write {syntax}")),
            Error::InvalidParameter { param } => {
                Self::say(format!("501 5.5.4 the parameter {param} has another form"))
            }
            Error::UnsupportedParameter { .. } => Self::say(UNKNOWN_PARAMETER),
            Error::NeedsMoreData { .. }
            | Error::ResponseTooLong
            | Error::InvalidResponse { .. } => Self::say("500 5.5.2 the command cannot be read"),
        }
    }
}

/// The answer to a command with a parameter of an extension that is not offered.
pub const UNKNOWN_PARAMETER: &str = "555 5.5.4 a parameter is not known";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_but_the_last_says_that_more_follow() {
        let reply = Reply::list(vec!["250 a".into(), "250 b c".into(), "250 d".into()]);
        assert_eq!(reply.text(), "250-a\r\n250-b c\r\n250 d\r\n");
        assert!(!reply.is_refusal());
        assert_eq!(Reply::last("421 4.3.2 x").text(), "421 4.3.2 x\r\n");
        assert!(Reply::from(Error::UnknownCommand).is_refusal());
    }
}
