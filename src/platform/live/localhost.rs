//! The room's own helpers: schemas of documents, and the toolkit that reads and writes files.
//! Agents call them to a room by URLs of the room's machine, so nothing is posted for these.

use std::io::Write;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::calls::{Caller, denied};
use super::files::{FilePath, failed};
use super::room::State;
use super::toolkits::storage;
use super::{gates, inside};
use crate::agents::schema::{SCHEMAS, Schema};
use crate::agents::storage::Storage;
use crate::kinds::specs::scope::ApiScope;
use crate::notice;
use crate::room::codes;
use crate::room::content::Refused;
use crate::room::storage::UPDATED;

/// With how many scopes the toolkit for files may be in a room, and be called by one participant.
const TOOLKITS: usize = 64;
const OF_ONE: usize = 4;

/// The port on which the room's machine would serve them.
const PORT: u16 = 8080;

/// A helper.
#[derive(Debug, Clone, Copy)]
pub enum Helper {
    /// Stores a schema.
    Schema(&'static Schema),
    /// Offers the toolkit for files.
    Storage,
}

impl Helper {
    /// The helper at a URL, if there is one.
    pub fn at(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let is_own = url.scheme() == "http"
            && url.host() == Some(Host::Domain("localhost"))
            && url.port() == Some(PORT);
        match url.path().split_once('/')?.1.split_once('/').filter(|_| is_own)? {
            ("schemas", name) => SCHEMAS.iter().find(|it| it.name == name).map(Self::Schema),
            ("toolkits", "storage") => Some(Self::Storage),
            _ => None,
        }
    }

    /// Lets it do its work in the caller's room; it may do no more there than the scope says.
    ///
    /// # Errors
    ///
    /// The scope does not allow it; the schema could not be stored; there are too many toolkits.
    pub async fn call(self, caller: &Caller, api: Value) -> Result<(), Refused> {
        match self {
            Self::Schema(schema) => store(caller, schema, &api).await,
            Self::Storage => enter(caller, api),
        }
    }
}

/// Stores a schema, unless there is one already.
async fn store(caller: &Caller, schema: &'static Schema, api: &Value) -> Result<(), Refused> {
    let path = format!(".schemas/{}.json", schema.name);
    let scope = ApiScope::deserialize(api).unwrap_or_default();
    if !gates::STORAGE_WRITE.admits(&scope, &json!({ "path": path })) {
        return Err(denied());
    }
    let (room, of) = (Arc::clone(&caller.room), FilePath::parse(&path)?);
    let who = caller.guest.id.clone();
    let work = async move {
        let files = room.files();
        let is_new = storage::blocking(&files, move |files| {
            if files.stat(&of)?.is_some() {
                return Ok(false);
            }
            let draft = files.begin(of, false)?;
            draft.file()?.write_all(schema.text.as_bytes()).map_err(|error| failed(&error))?;
            match draft.publish(false) {
                // Somebody else was faster.
                Err(Refused { code: Some(codes::FILE_EXISTS), .. }) => Ok(false),
                published => published.map(|()| true),
            }
        });
        if is_new.await? {
            storage::tell(&room, UPDATED, &path, &who);
        }
        Ok(())
    };
    caller.room.to_the_end(work).await
}

/// The toolkit for files, as somebody has called it.
#[derive(Debug)]
pub struct Lent {
    /// The id of the participant that has called it.
    by: String,
    /// Has it leave.
    stop: CancellationToken,
}

/// Lets the toolkit enter as a participant, once for each scope. It stays as long as the room, or
/// until others need its place after its caller has left.
fn enter(caller: &Caller, api: Value) -> Result<(), Refused> {
    let scope = ApiScope::deserialize(&api).unwrap_or_default();
    if !gates::AGENTS_REGISTER.admits(&scope, &json!({ "public": true })) {
        let text = "the toolkit needs agents.register_public_toolkit to be offered";
        return Err(Refused { text: text.to_owned(), ..denied() });
    }
    let lent = api.to_string();
    let stop = caller.room.stop.child_token();
    {
        let State { lent: all, present, .. } = &mut *caller.room.state();
        if all.contains_key(&lent) {
            return Ok(());
        }
        let by = caller.guest.id.clone();
        if all.values().filter(|it| it.by == by).count() >= OF_ONE {
            let text = format!("you have called the toolkit with {OF_ONE} scopes already");
            return Err(Refused::invalid(text));
        }
        if all.len() >= TOOLKITS {
            let unneeded = all.iter().find(|(_, it)| !present.contains_key(&it.by));
            let unneeded = unneeded.map(|(lent, _)| lent.clone()).ok_or_else(|| {
                let text = format!("the toolkit is in the room with {TOOLKITS} scopes already");
                Refused::invalid(text)
            })?;
            if let Some(gone) = all.remove(&unneeded) {
                gone.stop.cancel();
            }
        }
        all.insert(lent.clone(), Lent { by, stop: stop.clone() });
    }
    let room = Arc::clone(&caller.room);
    let participant = caller.guest.participant.behind_helper("storage", api);
    let known = caller.guest.room.clone();
    caller.room.house.run(async move {
        let worked = inside::work(&room, participant, known, &Storage::hosted(), &stop).await;
        // Another one may have its place.
        if !stop.is_cancelled() {
            room.state().lent.remove(&lent);
        }
        if let Err(why) = worked
            && !stop.is_cancelled()
        {
            notice::tell("the toolkit for files left a room", why);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_where_agents_look_for_them() {
        let at = |url: &str| {
            Helper::at(url).map(|helper| format!("{helper:?}").chars().take(7).collect())
        };
        let schema = Some("Schema(".to_owned());
        assert_eq!(at("http://localhost:8080/schemas/thread"), schema);
        assert_eq!(at("http://localhost:8080/toolkits/storage"), Some("Storage".to_owned()));
        for other in [
            "http://localhost:8080/schemas/none",
            "http://localhost:8080/schemas/thread/x",
            "http://localhost:8080/",
            "http://localhost/schemas/thread",
            "https://localhost:8080/schemas/thread",
            "http://127.0.0.1:8080/schemas/thread",
            "http://localhost.test:8080/schemas/thread",
            "schemas/thread",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
