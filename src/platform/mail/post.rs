//! Whose mail is taken, for whom, and how it gets there.

use std::sync::Arc;

use lettre::Address;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::letter;
use super::login::Sender;
use super::relay::{NotTaken, Relay};
use super::reply::Reply;
use crate::notice;
use crate::platform::error::Refusal;
use crate::platform::live::Rooms;
use crate::platform::objects::mailboxes::{Mailbox, is_served};
use crate::platform::store::Store;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::queues::Send;

/// How many recipients a mail may have.
pub const RECIPIENTS: usize = 100;

/// How many mails are delivered at once: in between, each takes several times its size.
pub const DELIVERIES: usize = 2;

/// What all connections share.
pub struct Office {
    /// The store.
    pub store: Arc<Store>,
    /// The rooms whose queues mail goes into.
    pub rooms: Rooms,
    /// What connections are encrypted with.
    pub tls: Option<TlsAcceptor>,
    /// Where mail for others goes.
    pub relay: Option<Relay>,
    /// How large a mail may be, in bytes.
    pub most: usize,
    /// The memory for mails that arrive, in units.
    pub memory: Arc<Semaphore>,
    /// The places of deliveries.
    pub delivering: Semaphore,
}

/// Somebody whom a mail is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// A mailbox, with the id of its room.
    Here(Mailbox, String),
    /// Somebody whom the relay finds.
    Elsewhere(Address),
}

/// A mail that is being sent.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The sender; empty for reports of what was not delivered.
    pub from: String,
    /// Whether addresses may have other characters than those of ASCII.
    pub is_utf8: bool,
    /// Whom it is for.
    pub to: Vec<Recipient>,
}

/// The answer if the store fails.
fn failed(refusal: &Refusal) -> Reply {
    notice::tell("mail could not be taken", refusal);
    Reply::say("451 4.3.0 the platform failed, try again")
}

impl Office {
    /// Begins a mail from an address.
    ///
    /// # Errors
    ///
    /// The answer: a participant sends as a mailbox of its room, and nobody else does.
    pub async fn from(&self, sender: Option<&Sender>, address: &str) -> Result<(), Reply> {
        // A host may be written with a dot at its end.
        let address = address.strip_suffix('.').unwrap_or(address);
        let mailbox = Mailbox::at(self.store.reads(), address).await;
        match (mailbox.map_err(|refusal| failed(&refusal))?, sender) {
            (mailbox, Some(sender)) if mailbox.as_ref().is_some_and(|it| is_of(it, sender)) => {
                Ok(())
            }
            (_, Some(_)) => Err(Reply::say(NOT_AS)),
            (Some(_), None) => Err(Reply::say(
                "530 5.7.0 authenticate as a participant to send as a mailbox of this platform",
            )),
            (None, None) => Ok(()),
        }
    }

    /// Whom an address means, if a sender may write there.
    ///
    /// # Errors
    ///
    /// The answer that it gets instead.
    pub async fn to(&self, sender: Option<&Sender>, address: &str) -> Result<Recipient, Reply> {
        let mailbox = Mailbox::at(self.store.reads(), address).await;
        let Some(mailbox) = mailbox.map_err(|refusal| failed(&refusal))? else {
            return self.elsewhere(sender, address);
        };
        let is_known = sender.is_some_and(|sender| is_of(&mailbox, sender));
        if !mailbox.public && !is_known {
            return Err(Reply::say(match sender {
                None => {
                    "530 5.7.0 this mailbox is not public: authenticate as a participant of its room"
                }
                Some(_) => "550 5.7.1 this mailbox takes mail from participants of its room only",
            }));
        }
        if mailbox.is_closed {
            return Err(Reply::say("450 4.2.1 the queue of this mailbox is closed"));
        }
        match mailbox.room_id.clone() {
            Some(room) => Ok(Recipient::Here(mailbox, room)),
            None => Err(Reply::say("550 5.2.1 the room of this mailbox does not exist")),
        }
    }

    fn elsewhere(&self, sender: Option<&Sender>, address: &str) -> Result<Recipient, Reply> {
        if is_served(address) {
            return Err(Reply::say("550 5.1.1 there is no such mailbox"));
        }
        match (sender, &self.relay) {
            (None, _) => Err(Reply::say("550 5.7.1 this server takes mail for its mailboxes only")),
            (Some(_), None) => Err(Reply::say(
                "550 5.7.1 mail for others needs a relay, which this server has not got",
            )),
            (Some(_), Some(_)) => match address.parse() {
                Ok(address) => Ok(Recipient::Elsewhere(address)),
                Err(_) => Err(Reply::say("553 5.1.3 the address cannot be read")),
            },
        }
    }

    /// Checks that a mail of a participant says that it is from mailboxes of its room, and that of a
    /// stranger that it is from none. Of a stranger's mail whose author cannot be read nothing is
    /// known.
    ///
    /// # Errors
    ///
    /// The answer: it names somebody else.
    async fn check_authors(&self, sender: Option<&Sender>, mail: &[u8]) -> Result<(), Reply> {
        let authors = match letter::authors(mail) {
            Some(authors) => authors,
            None if sender.is_none() => return Ok(()),
            None => return Err(Reply::say("550 5.6.0 the author cannot be read")),
        };
        if authors.len() > RECIPIENTS {
            return Err(Reply::say("550 5.6.0 the mail has too many authors"));
        }
        for author in authors {
            self.from(sender, &author).await?;
        }
        Ok(())
    }

    /// Delivers a mail to all recipients. The relay comes first: it is the one that refuses.
    pub async fn deliver(
        &self,
        (sender, sent): (Option<&Sender>, &Transaction),
        mail: &[u8],
        received: &str,
    ) -> Reply {
        if letter::is_in_circles(mail) {
            return Reply::say("554 5.4.6 the mail goes in circles");
        }
        if let Err(reply) = self.check_authors(sender, mail).await {
            return reply;
        }
        let Ok(_place) = self.delivering.acquire().await else {
            return Reply::last("421 4.3.2 the server ends, try again");
        };
        if let Err(not_taken) = self.hand_over(sent, mail, received).await {
            return Reply::say(match not_taken {
                NotTaken::Refused => "554 5.0.0 the relay refuses the mail, and nobody got it",
                NotTaken::Later => {
                    "451 4.4.0 the relay cannot take the mail now, and nobody got it"
                }
            });
        }
        let mut reached = sent.to.iter().filter(|to| matches!(to, Recipient::Elsewhere(_))).count();
        for to in &sent.to {
            let Recipient::Here(mailbox, room) = to else { continue };
            let message = letter::message(mail, &sent.from, mailbox, received);
            let message = Send { name: mailbox.queue.clone(), create: true, message };
            if let Err(refused) = self.rooms.put(room, message).await {
                return undelivered(mailbox, &refused, (reached, sent.to.len()));
            }
            reached += 1;
        }
        tracing::info!(bytes = mail.len(), recipients = reached, "mail");
        Reply::say("250 2.0.0 the mail is delivered")
    }

    /// Hands a mail to the relay, if somebody is to be found there.
    async fn hand_over(
        &self,
        sent: &Transaction,
        mail: &[u8],
        received: &str,
    ) -> Result<(), NotTaken> {
        let elsewhere = sent.to.iter().filter_map(|to| match to {
            Recipient::Elsewhere(address) => Some(address.clone()),
            Recipient::Here(..) => None,
        });
        let elsewhere: Vec<Address> = elsewhere.collect();
        match &self.relay {
            Some(relay) if !elsewhere.is_empty() => {
                let mail = [received.as_bytes(), mail].concat();
                relay.send(&sent.from, &elsewhere, &mail).await
            }
            _ => Ok(()),
        }
    }
}

/// The answer to whoever writes in another name.
const NOT_AS: &str = "550 5.7.1 permission denied: a participant sends as a mailbox of its room";

/// Whether a mailbox belongs to the room of a participant.
fn is_of(mailbox: &Mailbox, sender: &Sender) -> bool {
    mailbox.project == sender.project() && mailbox.room_id.as_ref() == Some(&sender.room.id)
}

/// The answer if a mail did not reach everybody. Whoever sends it again sends it to all.
fn undelivered(mailbox: &Mailbox, refused: &Refused, (reached, all): (usize, usize)) -> Reply {
    notice::tell(&format!("a mail for {} was not delivered", mailbox.given), refused);
    let why = match refused.code {
        Some(codes::INVALID_STATE) => "450 4.2.1 the queue of a mailbox is closed",
        Some(codes::INVALID_REQUEST) => "452 4.2.2 the room of a mailbox takes no more queues",
        _ => "451 4.3.0 the mail could not be stored",
    };
    Reply::say(format!("{why}: {reached} of {all} recipients have it"))
}
