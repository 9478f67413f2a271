//! How what is checked out may be used, which follows from whom it comes from. What is not known
//! counts as a stranger's.

use super::{Occasion, Origin, System, Whereabouts};

/// How what is checked out may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Footing {
    /// With the credentials of the environment.
    Own,
    /// With nothing of the environment, for this reason, which is the beginning of a sentence.
    Stranger(String),
}

/// Why nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Barred {
    /// An event that gives secrets to what a pull request contains, whoever says what of it.
    Target,
    /// An event of which it is not known what is checked out then.
    Event(String),
    /// What is checked out may use credentials, and there are none.
    NoCredentials,
}

/// The event that gives the secrets of a repository to a pull request.
const TARGET: &str = "pull_request_target";

impl Whereabouts {
    /// How what is checked out may be used, with credentials or without, by a job that vouches for
    /// what its system does not say, or does not. That something comes from elsewhere stays so.
    ///
    /// # Errors
    ///
    /// Nothing may be done.
    pub fn footing(&self, has_credentials: bool, is_vouched: bool) -> Result<Footing, Barred> {
        let stranger = |why: &str| Ok(Footing::Stranger(why.to_owned()));
        if matches!(&self.occasion, Occasion::Other(event) if event == TARGET) {
            return Err(Barred::Target);
        }
        match (&self.origin, &self.occasion) {
            (Origin::Elsewhere, _) => stranger("This pull request comes from another repository"),
            (Origin::Unknown, Occasion::Other(event)) if !is_vouched => {
                Err(Barred::Event(event.clone()))
            }
            (Origin::Unknown, _) if !is_vouched => Ok(Footing::Stranger(match self.system {
                System::Unknown => {
                    "It is not known which continuous integration this is, nor who this comes from"
                        .to_owned()
                }
                system => format!("{} does not say who this comes from", system.name()),
            })),
            // A person has a session, too.
            _ if has_credentials || self.system == System::Plain => Ok(Footing::Own),
            (_, Occasion::Branch(_)) => Err(Barred::NoCredentials),
            _ => stranger("This job has no credentials"),
        }
    }
}
