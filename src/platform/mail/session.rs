//! A connection: its commands, in order, and what is answered.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_SMTPUTF8, MailFrom, RcptTo,
    Request,
};

use super::letter::{HOST, Origin};
use super::login::{self, Sender};
use super::post::{Office, RECIPIENTS, Transaction};
use super::reply::{Reply, UNKNOWN_PARAMETER};
use super::wire::{Line, NoMail, Wire};
use crate::notice;
use crate::platform::error::Refusal;
use crate::serving::Taken;

/// How many commands may fail before the connection ends.
const FAILURES: usize = 20;

/// How many proofs of who somebody is may fail.
const WRONG: usize = 3;

/// How many commands there may be between two mails, and how many mails.
const COMMANDS: usize = 500;
const MAILS: usize = 1000;

/// How the first lines of HTTP begin. A page in a browser can send them here, with commands behind.
const OF_HTTP: [&str; 8] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// A command as it was read.
type Command<'a> = Request<Cow<'a, str>>;

/// What a client called itself, and whether it knows extensions.
struct Hello {
    name: String,
    is_extended: bool,
}

/// A connection.
pub struct Session {
    office: Arc<Office>,
    wire: Wire,
    peer: SocketAddr,
    /// Whether it does not leave this machine.
    is_local: bool,
    is_encrypted: bool,
    hello: Option<Hello>,
    sender: Option<Sender>,
    sent: Option<Transaction>,
    failures: usize,
    wrong: usize,
    commands: usize,
    mails: usize,
}

impl Session {
    /// A connection that nothing came over yet.
    pub fn new(office: Arc<Office>, wire: Wire, (own, peer): (SocketAddr, SocketAddr)) -> Self {
        let is_local = own.ip().is_loopback() && peer.ip().to_canonical().is_loopback();
        Self {
            office,
            wire,
            peer,
            is_local,
            is_encrypted: false,
            hello: None,
            sender: None,
            sent: None,
            failures: 0,
            wrong: 0,
            commands: 0,
            mails: 0,
        }
    }

    /// Answers commands until one side ends the connection.
    pub async fn run(mut self, taken: Taken) {
        if !self.wire.tell(&format!("220 {HOST} ESMTP\r\n")).await {
            return;
        }
        let mut line = Vec::new();
        loop {
            let read = tokio::select! {
                biased;
                () = taken.give_way.cancelled() => None,
                read = self.wire.line(&mut line) => Some(read),
            };
            let answering = taken.doing.answers();
            let reply = match read {
                _ if answering.is_too_late => Reply::last("421 4.3.2 there is no room, try again"),
                None => Reply::last("421 4.3.2 the server makes room or ends, try again"),
                Some(Line::End) => return,
                Some(Line::Late) => Reply::last("421 4.4.2 no command came in time"),
                Some(Line::Lone) => Reply::last("521 5.5.2 lines end with CR and LF"),
                Some(Line::TooLong) => Reply::say("500 5.5.6 the line is too long"),
                Some(Line::Whole) if is_start_tls(&line) && self.may_encrypt() => {
                    match self.encrypt().await {
                        Some(encrypted) => self = encrypted,
                        None => return,
                    }
                    continue;
                }
                Some(Line::Whole) => self.take(&line).await,
            };
            let reply = self.count(reply);
            if !self.wire.tell(&reply.text()).await {
                return;
            }
            if reply.is_last {
                return self.wire.end().await;
            }
        }
    }

    /// Counts what a connection may do for so often only.
    fn count(&mut self, reply: Reply) -> Reply {
        self.commands += 1;
        self.failures += usize::from(reply.is_refusal());
        let told = match () {
            () if reply.is_last => return reply,
            () if self.failures >= FAILURES => "421 4.7.0 too many commands failed",
            () if self.commands >= COMMANDS => "421 4.7.0 there were too many commands and no mail",
            () if self.mails >= MAILS => "421 4.7.0 there were many mails: connect again for more",
            () => return reply,
        };
        // What was just answered is said first.
        reply.and_last(told)
    }

    fn may_encrypt(&self) -> bool {
        self.office.tls.is_some() && !self.is_encrypted && !self.wire.is_ahead()
    }

    /// Goes on with TLS, as if nothing had been said before. None if the client does not.
    async fn encrypt(mut self) -> Option<Self> {
        let tls = self.office.tls.clone()?;
        if !self.wire.tell("220 2.0.0 go on with TLS\r\n").await {
            return None;
        }
        let wire = self.wire.encrypt(&tls).await?;
        Some(Self { wire, is_encrypted: true, hello: None, sender: None, sent: None, ..self })
    }

    /// Does what a line says.
    async fn take(&mut self, line: &[u8]) -> Reply {
        let first = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        if OF_HTTP.iter().any(|word| first.eq_ignore_ascii_case(word.as_bytes())) {
            return Reply::last("521 5.5.1 this is a mail server");
        }
        let line = [line, b"\r\n"].concat();
        match Command::parse(&mut line.iter()) {
            Ok(Request::Auth { mechanism, initial_response }) => {
                self.authenticate(mechanism, initial_response.into_owned().into()).await
            }
            Ok(Request::Data) => self.data().await,
            Ok(Request::Mail { from }) => self.mail(from).await,
            Ok(Request::Rcpt { to }) => self.recipient(to).await,
            Ok(command) => self.plain(command),
            Err(error) => error.into(),
        }
    }

    /// Commands that nothing is asked for.
    fn plain(&mut self, command: Command<'_>) -> Reply {
        match command {
            Request::Ehlo { host } => self.greet(&host, true),
            Request::Helo { host } => self.greet(&host, false),
            Request::Rset => {
                self.sent = None;
                Reply::say("250 2.0.0 forgotten")
            }
            Request::Noop { .. } => Reply::say("250 2.0.0 ok"),
            Request::Quit => Reply::last("221 2.0.0 bye"),
            Request::Vrfy { .. } => Reply::say("252 2.1.5 send mail to find out"),
            Request::Help { .. } => {
                Reply::say("214 2.0.0 EHLO STARTTLS AUTH MAIL RCPT DATA RSET NOOP QUIT")
            }
            Request::StartTls if self.is_encrypted => Reply::say("503 5.5.1 there is TLS already"),
            Request::StartTls if self.office.tls.is_none() => {
                Reply::say("502 5.5.1 this server has no TLS")
            }
            Request::StartTls => Reply::last("521 5.5.1 nothing may follow STARTTLS at once"),
            // A mail follows at once, whatever is answered.
            Request::Bdat { .. } => Reply::last("521 5.5.1 mails are sent with DATA here"),
            _ => Reply::say("502 5.5.1 this command is not offered"),
        }
    }

    fn greet(&mut self, name: &str, is_extended: bool) -> Reply {
        self.sent = None;
        self.hello = Some(Hello { name: name.to_owned(), is_extended });
        if !is_extended {
            return Reply::say(format!("250 {HOST}"));
        }
        let mut lines: Vec<Cow<'static, str>> = vec![
            format!("250 {HOST}").into(),
            format!("250 SIZE {}", self.office.most).into(),
            "250 8BITMIME".into(),
            "250 SMTPUTF8".into(),
            "250 PIPELINING".into(),
            "250 ENHANCEDSTATUSCODES".into(),
        ];
        if self.office.tls.is_some() && !self.is_encrypted {
            lines.push("250 STARTTLS".into());
        }
        if self.may_authenticate() {
            lines.push("250 AUTH PLAIN LOGIN".into());
        }
        Reply::list(lines)
    }

    /// Whether a token would not be seen by others on its way.
    const fn may_authenticate(&self) -> bool {
        self.is_encrypted || self.is_local
    }

    async fn authenticate(&mut self, mechanism: u64, initial: SecretString) -> Reply {
        match self.hello {
            Some(Hello { is_extended: true, .. })
                if self.sender.is_none() && self.sent.is_none() => {}
            _ => return Reply::say("503 5.5.1 AUTH comes after EHLO, once, and before MAIL"),
        }
        if !self.may_authenticate() {
            return Reply::say("538 5.7.11 tokens are taken over TLS only: STARTTLS comes first");
        }
        let given = match mechanism {
            AUTH_PLAIN => {
                let answer = self.ask("334 \r\n", initial).await;
                answer.and_then(|answer| login::plain(&answer))
            }
            AUTH_LOGIN => {
                let name = self.ask("334 VXNlcm5hbWU6\r\n", initial).await;
                match name {
                    Some(name) => {
                        let token = self.ask("334 UGFzc3dvcmQ6\r\n", SecretString::default()).await;
                        token.map(|token| (login::name(&name), token))
                    }
                    None => None,
                }
            }
            _ => return Reply::say("504 5.5.4 authenticate with PLAIN or LOGIN"),
        };
        let Some((name, token)) = given else {
            return Reply::say("501 5.5.2 the answer to AUTH cannot be read");
        };
        match Sender::of(&self.office.store, &name, &token).await {
            Ok(sender) => {
                self.sender = Some(sender);
                Reply::say("235 2.7.0 authenticated")
            }
            Err(refusal @ (Refusal::Internal(_) | Refusal::Busy | Refusal::Gone(_))) => {
                notice::tell("a participant could not be authenticated", &refusal);
                Reply::say("454 4.7.0 the platform failed, try again")
            }
            Err(refusal) => {
                tracing::info!(peer = %self.peer.ip(), %refusal, "a participant was not authenticated");
                self.wrong += 1;
                let told =
                    "535 5.7.8 the name is that of a participant, and the password its room token";
                match self.wrong >= WRONG {
                    true => Reply::last(told),
                    false => Reply::say(told),
                }
            }
        }
    }

    /// What a client answers in base64, unless it has done so before. `=` stands for nothing.
    async fn ask(&mut self, question: &str, initial: SecretString) -> Option<SecretString> {
        match initial.expose_secret() {
            "" => {}
            "=" => return Some(SecretString::default()),
            text => return login::decoded(text.as_bytes()),
        }
        if !self.wire.tell(question).await {
            return None;
        }
        let mut line = Vec::new();
        match self.wire.answer(&mut line).await {
            Line::Whole => login::decoded(&line),
            _ => None,
        }
    }

    async fn mail(&mut self, from: MailFrom<Cow<'_, str>>) -> Reply {
        const KNOWN: u64 = MAIL_BODY_7BIT | MAIL_BODY_8BITMIME | MAIL_SMTPUTF8;
        if self.hello.is_none() || self.sent.is_some() {
            return Reply::say("503 5.5.1 MAIL comes after EHLO, once for a mail");
        }
        let has_others = from.flags & !KNOWN != 0
            || [&from.trans_id, &from.env_id, &from.solicit].iter().any(|it| it.is_some())
            || from.mtrk.is_some()
            || [from.by, from.mt_priority].iter().any(|it| *it != 0)
            || [from.hold_for, from.hold_until].iter().any(|it| *it != 0);
        if has_others {
            return Reply::say(UNKNOWN_PARAMETER);
        }
        if from.size > self.office.most {
            return Reply::say(self.too_large());
        }
        let is_utf8 = from.flags & MAIL_SMTPUTF8 != 0;
        if let Err(reply) = readable(&from.address, is_utf8) {
            return reply;
        }
        if let Err(reply) = self.check_sender().await {
            return reply;
        }
        match self.office.from(self.sender.as_ref(), &from.address).await {
            Ok(()) => {
                let from = from.address.into_owned();
                self.sent = Some(Transaction { from, is_utf8, to: Vec::new() });
                Reply::say("250 2.1.0 ok")
            }
            Err(reply) => reply,
        }
    }

    /// Checks that the participant may still send.
    async fn check_sender(&mut self) -> Result<(), Reply> {
        let Some(sender) = &self.sender else { return Ok(()) };
        match sender.may_go_on(&self.office.store).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.sender = None;
                Err(Reply::say("530 5.7.0 what let the participant in was taken back"))
            }
            Err(refusal) => {
                notice::tell("a participant could not be authenticated", &refusal);
                Err(Reply::say("451 4.3.0 the platform failed, try again"))
            }
        }
    }

    async fn recipient(&mut self, to: RcptTo<Cow<'_, str>>) -> Reply {
        let Some(sent) = &mut self.sent else {
            return Reply::say("503 5.5.1 RCPT comes after MAIL");
        };
        if to.flags != 0 || to.orcpt.is_some() || to.rrvs != 0 {
            return Reply::say(UNKNOWN_PARAMETER);
        }
        if let Err(reply) = readable(&to.address, sent.is_utf8) {
            return reply;
        }
        match self.office.to(self.sender.as_ref(), &to.address).await {
            Ok(recipient) if sent.to.contains(&recipient) => Reply::say("250 2.1.5 ok"),
            Ok(_) if sent.to.len() >= RECIPIENTS => {
                Reply::say("452 4.5.3 too many recipients: send the mail to the others once more")
            }
            Ok(recipient) => {
                sent.to.push(recipient);
                Reply::say("250 2.1.5 ok")
            }
            Err(reply) => reply,
        }
    }

    fn too_large(&self) -> String {
        format!("552 5.3.4 a mail may have {} bytes", self.office.most)
    }

    async fn data(&mut self) -> Reply {
        match &self.sent {
            None => return Reply::say("503 5.5.1 DATA comes after MAIL and RCPT"),
            Some(sent) if sent.to.is_empty() => {
                return Reply::say("554 5.5.1 there is no recipient");
            }
            Some(_) => {}
        }
        if !self.wire.tell("354 send the mail, and end it with a dot in its own line\r\n").await {
            return Reply::last("421 4.4.2 the answer was not read in time");
        }
        let arrived = self.wire.mail(self.office.most, &self.office.memory).await;
        let Some(sent) = self.sent.take() else {
            return Reply::say("503 5.5.1 DATA comes after MAIL and RCPT");
        };
        let arrived = match arrived {
            Ok(arrived) => arrived,
            Err(NoMail::TooLarge) => return Reply::say(self.too_large()),
            Err(NoMail::Endless) => return Reply::last(self.too_large()),
            Err(NoMail::NoRoom) => {
                return Reply::say("452 4.3.1 too many mails arrive at once, try again");
            }
            Err(NoMail::Lone) => {
                return Reply::last("521 5.6.0 lines of a mail end with CR and LF");
            }
            Err(NoMail::Slow) => return Reply::last("421 4.4.2 the mail comes too slowly"),
            Err(NoMail::End) => return Reply::last("421 4.4.2 the mail did not come"),
        };
        let received = self.origin().received();
        let reply = self.office.deliver((self.sender.as_ref(), &sent), &arrived.mail, &received);
        let reply = reply.await;
        if !reply.is_refusal() {
            self.commands = 0;
            self.mails += 1;
        }
        reply
    }

    fn origin(&self) -> Origin {
        let hello = self.hello.as_ref();
        let is_extended = hello.is_some_and(|hello| hello.is_extended);
        let by = match (is_extended, self.is_encrypted, self.sender.is_some()) {
            (false, ..) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, true, false) => "ESMTPS",
            (true, false, true) => "ESMTPA",
            (true, true, true) => "ESMTPSA",
        };
        let hello = hello.map(|hello| hello.name.clone()).unwrap_or_default();
        Origin { hello, address: self.peer.ip(), by }
    }
}

fn is_start_tls(line: &[u8]) -> bool {
    line.trim_ascii().eq_ignore_ascii_case(b"STARTTLS")
}

/// Checks that an address can stand in a header.
fn readable(address: &str, is_utf8: bool) -> Result<(), Reply> {
    if address.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        return Err(Reply::say("553 5.1.3 the address cannot be read"));
    }
    match address.is_ascii() || is_utf8 {
        true => Ok(()),
        false => Err(Reply::say("553 5.6.7 addresses of this kind need SMTPUTF8")),
    }
}
