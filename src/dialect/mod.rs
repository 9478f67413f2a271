//! How APIs spell operations on objects: the requests, and the meaning of the answers. What a kind
//! means is in `kinds`, and what to do is decided elsewhere. Each spelling of the API is a folder
//! here.
//!
//! Must not live here: input or output, anything async, anything that decides.

use serde_json::Value;

use crate::api::client::Client;
use crate::api::reader::Reader;
use crate::api::request::{Listing, Method, Paging, Request};
use crate::api::spoken::Spoken;
use crate::kinds::path::FieldPath;
use crate::kinds::specs::template::ServiceTemplateSpec;
use crate::kinds::tree::Tree;
use crate::kinds::{Fault, KindName};

mod fields;
pub mod inside;
mod target;
mod unsaid;
mod unspoken;
mod v0_31;
mod v0_56;

pub use target::{GoesWith, Lookup, Seen, Target};
pub use unsaid::{Unsaid, Words};
pub use v0_31::wire;

/// How an API spells all kinds.
pub trait Dialect: Sync {
    /// How it spells a kind; nothing where it does not know it.
    fn of(&self, kind: KindName) -> Option<&'static dyn Spelling>;

    /// Whether a project has secrets of its own; elsewhere they belong to service accounts.
    fn has_project_secrets(&self) -> bool {
        true
    }

    /// The request for the caller's own profile.
    fn own_profile(&self) -> Request;

    /// The request that tells whose credential it is sent with; nothing where policies, which would
    /// name that one, are not told.
    fn whose(&self) -> Option<Request> {
        None
    }

    /// The request that tells which roles somebody has in a project for whatever reason, as its
    /// `effective_roles`.
    fn roles_of(&self, _project: &str, _subject: &Value) -> Option<Request> {
        None
    }

    /// The request for a service account by its name; nothing where there are none, or where no path
    /// can hold the name.
    fn service_account(&self, project: &str, name: &str) -> Option<Request>;

    /// The request that lists API keys; nothing where keys do not belong to such a holder.
    fn api_keys(&self, of: Holder<'_>) -> Option<Listing>;

    /// The request that makes an API key; nothing where keys do not belong to such a holder.
    fn make_api_key(&self, of: Holder<'_>, name: &str, description: &str) -> Option<Request>;

    /// The request that deletes an API key; nothing where keys do not belong to such a holder.
    fn delete_api_key(&self, of: Holder<'_>, id: &str) -> Option<Request>;

    /// The request that lists the sessions of a project.
    fn sessions(&self, project: &str) -> Listing;

    /// The request that lists those sessions of a project that have not ended.
    fn active_sessions(&self, project: &str) -> Listing;

    /// The request that lists what happened in a session.
    fn events(&self, project: &str, session: &str) -> Listing;

    /// The request that reads a file of a project's storage.
    fn download(&self, project: &str, path: &str) -> Request;

    /// The request that writes a file of a project's storage.
    fn upload(&self, project: &str, path: &str, bytes: Vec<u8>) -> Request;

    /// The request for a token that lets the caller into a room; the answer has it in `jwt`.
    fn connect(&self, project: &str, room: &str) -> Request;

    /// The request for the platform's description of itself.
    fn config(&self) -> Request;

    /// The request that has the platform render a template.
    fn render(&self, template: &str, values: &Value) -> Request;

    /// The template in the answer to [`Self::render`].
    ///
    /// # Errors
    ///
    /// The answer is not a template.
    fn rendered(&self, answer: Value) -> serde_json::Result<ServiceTemplateSpec>;
}

/// Whom API keys belong to.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The project, by its id.
    pub project: &'a str,
    /// The service account in it, by its id; nothing where it is the project itself.
    pub account: Option<&'a str>,
}

/// Where a project's objects of one kind are listed.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    /// The last part of the path, below the project's.
    pub noun: &'static str,
    /// The field of the answer that holds the list.
    pub envelope: &'static str,
    /// How the list is divided into pages.
    pub paging: Paging,
}

impl Collection {
    /// A list without pages, in a field that is called as its path ends.
    #[must_use]
    pub const fn plain(noun: &'static str) -> Self {
        Self { noun, envelope: noun, paging: Paging::Whole }
    }

    /// The path of the list, and below it of one object.
    fn path<'a>(self, project: &'a str, one: Option<&'a str>) -> Vec<&'a str> {
        let mut path = vec!["accounts", "projects", project, self.noun];
        path.extend(one);
        path
    }
}

/// How an API spells one kind. What most kinds share is the default: a list, and POST, PUT and
/// DELETE below it.
pub trait Spelling: Sync {
    /// Where its objects are listed.
    fn collection(&self) -> Collection;

    /// What an object is called in paths; nothing where that is not known.
    fn segment<'a>(&self, target: &'a Target<'_>) -> Option<&'a str> {
        target.id
    }

    /// The request that lists its objects in a project, or in one room of it.
    fn list(&self, project: &str, room: Option<&str>) -> Option<Listing> {
        let Collection { envelope, paging, .. } = self.collection();
        room.is_none().then(|| Listing {
            request: self.all(project),
            envelope,
            paging,
            below: None,
        })
    }

    /// The request that lists those of its objects that name a room.
    fn list_naming(&self, _project: &str, _room: &str) -> Option<Listing> {
        None
    }

    /// The request that lists its objects without an order or a page.
    fn all(&self, project: &str) -> Request {
        Request::get(&self.collection().path(project, None))
    }

    /// The request for one object, by what it is called in paths.
    fn one(&self, project: &str, segment: &str) -> Request {
        Request::get(&self.collection().path(project, Some(segment)))
    }

    /// The request that answers with more of one object than its list does.
    fn detail(&self, _project: &str) -> Option<Request> {
        None
    }

    /// Reads one object of a list.
    ///
    /// # Errors
    ///
    /// A sentence about what the answer lacks.
    fn seen(&self, item: &Value) -> Result<Seen, String>;

    /// Whether an item of a list is an object that a document can declare. Others are left alone.
    fn is_declarable(&self, _item: &Value) -> bool {
        true
    }

    /// What an object of a list may be called in documents beside the name that [`Self::seen`] has.
    fn also_called(&self, _item: &Value) -> Vec<String> {
        Vec::new()
    }

    /// How one object is read again, by its key or its id. The default looks through the
    /// whole list, for kinds whose objects the platform does not give one by one.
    fn lookup(&self, target: &Target<'_>) -> Option<Lookup> {
        self.list(target.project, target.room).map(Lookup::Among)
    }

    /// One object as its list has it, made of the answer for it alone.
    fn listed(&self, _target: &Target<'_>, answer: Value) -> Value {
        answer
    }

    /// What goes with an object that is deleted, and is no object of any kind. The target has its id.
    fn goes_with(&self, _target: &Target<'_>) -> Vec<GoesWith> {
        Vec::new()
    }

    /// Whether the list can be in the order of this field.
    fn sorts_by(&self, _field: &str) -> bool {
        true
    }

    /// What to do instead, if the API does not have the kind. A plan with such an object is refused.
    fn unspoken(&self) -> Option<&'static str> {
        None
    }

    /// The fields of manifests that the API does not have. A plan with such a field is refused.
    fn unsaid(&self) -> &'static Unsaid {
        Unsaid::NOTHING
    }

    /// What to do instead of such a field.
    fn instead_of(&self, _field: &FieldPath) -> &'static str {
        Unsaid::HINT
    }

    /// The values of an object that the API does not take. A plan with such a value is refused.
    fn untaken(&self, _fields: &Tree) -> Vec<Fault> {
        Vec::new()
    }

    /// The fields that no update changes, where they are others than the kind says: an object in
    /// which one differs is deleted and created again.
    fn immutable(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Whether an update may say some of the fields only, of a kind that can be changed so.
    fn updates_partly(&self) -> bool {
        true
    }

    /// The part of an object in a list that an update sends back, because this program does not
    /// know it or does not change it, or because the API lacks it (see [`Words`]). The rest of the
    /// answer is not kept in memory.
    fn sent_back(&self, _item: &Value) -> Option<Value> {
        None
    }

    /// The body that changes an object.
    fn body(&self, target: &Target<'_>) -> Value;

    /// The body that creates an object.
    fn new_body(&self, target: &Target<'_>) -> Value {
        self.body(target)
    }

    /// The request that creates an object; `None` where the platform has no such call.
    fn create(&self, target: &Target<'_>) -> Option<Request> {
        let path = self.collection().path(target.project, None);
        Some(Request::post(&path, self.new_body(target)))
    }

    /// The request that changes an object; `None` where the platform has no such call.
    fn update(&self, target: &Target<'_>) -> Option<Request> {
        let one = Some(self.segment(target).unwrap_or_default());
        let path = self.collection().path(target.project, one);
        Some(Request::put(&path, self.body(target)))
    }

    /// The request that deletes an object; `None` where the platform has no such call.
    fn delete(&self, target: &Target<'_>) -> Option<Request> {
        let one = self.segment(target)?;
        Some(Request::delete(&self.collection().path(target.project, Some(one))))
    }

    /// The further requests of a create or an update, in their order, for kinds whose objects are
    /// written by more than one; `None` if they cannot be made. The target has the object's id.
    fn after(&self, _target: &Target<'_>, _is_new: bool) -> Option<Vec<Request>> {
        Some(Vec::new())
    }

    /// Whether a request after the first one may be sent again when its answer was lost. What replaces
    /// or deletes may.
    fn may_repeat(&self, request: &Request) -> bool {
        request.method != Method::Post
    }

    /// Whether a request takes back what is there, so that it is done where there is nothing.
    fn takes_back(&self, _request: &Request) -> bool {
        false
    }

    /// Whether values are written by requests of their own, and only where they change: what hides
    /// the others is not sent then.
    fn writes_values_apart(&self) -> bool {
        false
    }

    /// The revision of an object of a list, where the list shows one.
    fn revision(&self, item: &Value) -> Option<String> {
        item.get("etag").and_then(Value::as_str).map(str::to_owned)
    }

    /// Whether the platform compares revisions with that of the object (`If-Match`).
    fn compares_revisions(&self) -> bool {
        true
    }

    /// The revision in the answer to a write, where it is in the body.
    fn written_revision(&self, _answer: &Value) -> Option<String> {
        None
    }

    /// The mail address in the answer to a create, for kinds that others refer to by it.
    fn email(&self, _answer: &Value) -> Option<String> {
        None
    }

    /// Whether a create that is sent twice makes two objects of one key, because the platform makes
    /// up what identifies them. One whose answer was lost is not sent again therefore.
    fn makes_doubles(&self) -> bool {
        false
    }

    /// Whether a create is done although somebody else was faster: the platform adds it to what is
    /// there, or writes over that.
    fn creates_over(&self) -> bool {
        false
    }

    /// What an answer to a write says that its request did not: the name of another object. What the
    /// answer does not say makes no difference, and neither does case.
    fn another(&self, _target: &Target<'_>, said: (&Value, &Value)) -> Option<String> {
        fields::other_name(said)
    }

    /// What is odd about the answer to a write that was done, and proves nothing, as a sentence.
    fn remark(&self, _said: (&Value, &Value)) -> Option<&'static str> {
        None
    }

    /// Whether its objects have ids of the platform.
    fn has_ids(&self) -> bool {
        true
    }

    /// The platform's id in the answer to a create.
    fn created_id(&self, answer: &Value) -> Option<String> {
        answer.get("id")?.as_str().map(str::to_owned)
    }
}

/// What speaks to a platform, in one dialect.
pub trait Speaks {
    /// The spelling of the API that the platform has.
    fn spoken(&self) -> Spoken;

    /// The other API, where the platform speaks both.
    fn also(&self) -> Option<Spoken> {
        None
    }

    /// How the platform spells a kind.
    fn spelling(&self, kind: KindName) -> &'static dyn Spelling {
        of(self.spoken(), kind)
    }

    /// How the platform spells all.
    fn dialect(&self) -> &'static dyn Dialect {
        dialect(self.spoken())
    }
}

impl Speaks for Client {
    fn spoken(&self) -> Spoken {
        Self::spoken(self)
    }

    fn also(&self) -> Option<Spoken> {
        Self::also(self)
    }
}

impl Speaks for Reader {
    fn spoken(&self) -> Spoken {
        Self::spoken(self)
    }

    fn also(&self) -> Option<Spoken> {
        Self::also(self)
    }
}

/// What an API cannot express of an object: the fields that it lacks, and the values that it does
/// not take.
#[must_use]
pub fn inexpressible(spelling: &dyn Spelling, spoken: Spoken, fields: &Tree) -> Vec<Fault> {
    let instead_of = |field: &FieldPath| spelling.instead_of(field);
    let mut faults = spelling.unsaid().faults(fields, spoken, instead_of);
    faults.extend(spelling.untaken(fields));
    faults
}

/// The dialect of a spelling.
#[must_use]
pub fn dialect(spoken: Spoken) -> &'static dyn Dialect {
    match spoken {
        Spoken::V0_31 => &v0_31::V0_31,
        Spoken::V0_56 => &v0_56::V0_56,
    }
}

/// How a dialect spells a kind.
#[must_use]
pub fn of(spoken: Spoken, kind: KindName) -> &'static dyn Spelling {
    match dialect(spoken).of(kind) {
        Some(spelling) => spelling,
        None => &unspoken::Unspoken { way_out: None },
    }
}
