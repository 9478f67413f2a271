//! The kinds: one file each, one trait, one list. Other code uses a kind only through [`Kind`], so
//! that a new kind is a file here, a line in the list below and an example.
//!
//! Must not live here: how an API spells a kind (that is in `dialect`), input or output, anything
//! async, anything that decides what is to be done.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::specs::rules::Rule;
use path::FieldPath;
use shape::{Broken, Shape};
use tree::Tree;

pub mod agents;
mod asked;
mod beside;
pub mod built;
pub mod columns;
mod common;
mod declared;
pub mod document;
pub mod fields;
pub mod fingerprint;
mod held;
pub mod inside;
mod key;
pub mod path;
pub mod recorded;
mod relation;
pub mod schema;
pub mod secret_source;
pub mod seed_rows;
pub mod shape;
pub mod specs;
pub mod tree;

pub use asked::Asked;
pub use beside::Beside;
use common::{document_of, own_fields};
pub use declared::{Declared, Fault, NameRule, broken};
use declared::{kind_tag, typed};
pub use held::Held;
pub use key::Key;
pub use relation::{By, Holds, Misfit, Purpose, Reference, ReferredTo, Relation};

/// The annotation that names the set which owns an object, on kinds that carry annotations.
pub const OWNER_ANNOTATION: &str = "meshagent.set";

/// Makes the modules, the names and the registry of the kinds, each of one line.
macro_rules! kinds {
    ($($(#[doc = $what:literal])+ $kind:ident in $module:ident,)+) => {
        $(pub mod $module;)+

        /// The name of a kind, as it stands in `kind:`.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        pub enum KindName {
            $($(#[doc = $what])+ $kind,)+
        }

        /// Every kind, in the order of [`KindName`].
        pub static ALL: [&dyn Kind; [$(KindName::$kind),+].len()] = [$(&$module::$kind),+];
    };
}

/// The list of the kinds, given to a macro that makes something of it. Their order is the one in
/// which plans and lists have them.
macro_rules! every_kind {
    ($make:ident) => {
        $make! {
            /// A project.
            Project in project,
            /// A part of a project's settings.
            SettingsDocument in settings_document,
            /// What the roles of rooms may do.
            RoomRoles in room_roles,
            /// A room of a project.
            Room in room,
            /// A service account.
            ServiceAccount in service_account,
            /// A secret of a service account.
            AccountSecret in account_secret,
            /// A project secret.
            Secret in secret,
            /// A service, of a room or of every room.
            Service in service,
            /// A template of services.
            ServiceTemplate in service_template,
            /// An agent, which becomes a service.
            Agent in agent,
            /// An agent that the platform runs itself.
            ManagedAgent in managed_agent,
            /// The roles that somebody has in a project or a room.
            RoleGrant in role_grant,
            /// A mailbox.
            Mailbox in mailbox,
            /// A route from a domain to a port.
            Route in route,
            /// A scheduled task.
            ScheduledTask in scheduled_task,
            /// A webhook.
            Webhook in webhook,
            /// A secret of a room, for one of its participants.
            RoomSecret in room_secret,
            /// A file in the storage of a room.
            RoomFile in room_file,
            /// A document of a room, which several edit at once.
            Document in room_document,
            /// A table of a room.
            Table in room_table,
            /// A memory of a room.
            Memory in room_memory,
        }
    };
}

every_kind!(kinds);
pub(crate) use every_kind;

impl fmt::Display for KindName {
    /// As it stands in `kind:`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

impl KindName {
    /// The kind of this name.
    #[must_use]
    pub fn kind(self) -> &'static dyn Kind {
        ALL[self as usize]
    }
}

/// What a document declares, or what is wrong with it, and what it sends beside its fields.
pub type WithContent = (Result<Vec<Declared>, Vec<Fault>>, Option<Arc<[u8]>>);

/// A kind: its documents, its fields and its references.
pub trait Kind: Sync {
    /// Its name.
    fn name(&self) -> KindName;

    /// What several of its objects are called.
    fn plural(&self) -> String {
        format!("{}s", self.name())
    }

    /// What it is, in one line.
    fn summary(&self) -> &'static str;

    /// The JSON Schema of its documents.
    fn document_schema(&self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema;

    /// A complete document of this kind, with comments.
    fn example(&self) -> &'static str;

    /// What the planner knows of its fields.
    fn shape(&self) -> &'static Shape;

    /// Reads a document that passed its schema. A document may declare several objects
    /// (a service in two rooms) or none (a template that is not placed).
    ///
    /// # Errors
    ///
    /// What the schema cannot say, each with the field at fault.
    fn declare(&self, document: &Value) -> Result<Vec<Declared>, Vec<Fault>>;

    /// The document of this kind that declares an object of the kind in [`Kind::declares`], if
    /// that is another one, and a document can say all of the object.
    fn explained(&self, _key: &Key, _fields: &Tree) -> Option<Value> {
        None
    }

    /// The kind of the objects that its documents declare.
    fn declares(&self) -> KindName {
        self.name()
    }

    /// The kind of the objects that one document declares, where that depends on it.
    fn declares_in(&self, _document: &Value) -> KindName {
        self.declares()
    }

    /// What a document names that stands beside the manifest: where it is named, what it is, and
    /// its path. It is read before [`Kind::declare`], which finds in the same place `text` beside
    /// `file`; or `name`, and `files` with `path` and `text` each, beside `folder`.
    fn beside(&self, _document: &Value) -> Vec<(FieldPath, Beside, String)> {
        Vec::new()
    }

    /// The bytes of which the fields of the objects that a document declares have just the digest.
    /// What stands beside the manifest was read into the document.
    fn content(&self, _document: &Value) -> Option<Arc<[u8]>> {
        None
    }

    /// [`Kind::declare`] and [`Kind::content`] in one, for a kind that would do the same work for both.
    fn declare_with_content(&self, document: &Value) -> WithContent {
        (self.declare(document), self.content(document))
    }

    /// The image that a document has built of a folder beside its manifest, if it has one built.
    /// What stands beside the manifest was read into the document.
    fn built(&self, _document: &Value) -> Option<String> {
        None
    }

    /// The field that says what is in a field of the object in those documents that have it, such as
    /// the folder that an image is built of.
    fn made_of(&self, _path: &FieldPath) -> Option<FieldPath> {
        None
    }

    /// The field of a document that says what is in a field of the object, if that has another
    /// name there.
    fn written_at(&self, _path: &FieldPath) -> Option<FieldPath> {
        None
    }

    /// The field that is meant by a name which is none in its place, such as that of an option.
    fn field_called(&self, _name: &str) -> Option<FieldPath> {
        None
    }

    /// The wanted fields in the spelling that the platform has, where both mean the same; `None`
    /// if the spelling does not differ in such a way.
    fn spelled_as(&self, _wanted: &Tree, _observed: &Tree) -> Option<Tree> {
        None
    }

    /// The document of an object, from which [`Kind::declare`] reads the same key and fields
    /// again. Secrets must be sources by then; what else is sealed is written as nothing.
    fn document(&self, key: &Key, fields: &Tree) -> Value {
        Value::Object(document_of(key, fields))
    }

    /// What its natural key must look like.
    fn name_rule(&self) -> NameRule {
        NameRule { rule: Rule::Name, field: None }
    }

    /// The fields that conflict with each other, although each keeps its own rule.
    fn broken_together(&self, _fields: &Tree) -> Vec<Broken> {
        Vec::new()
    }

    /// What objects of this kind may refer to, whichever fields they have.
    fn relations(&self) -> &'static [Relation] {
        &[]
    }

    /// What an object refers to.
    fn references(&self, _fields: &Tree) -> Vec<Reference> {
        Vec::new()
    }

    /// Valid fields that are probably mistakes, as sentences whose subject is the field.
    fn remarks(&self, _fields: &Tree) -> Vec<(FieldPath, &'static str)> {
        Vec::new()
    }

    /// The top-level fields that cannot be changed once the object exists.
    fn immutable(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a change of one field makes an object that takes the place of the present one, beyond
    /// those of [`Kind::immutable`].
    fn takes_its_place(
        &self,
        _path: &FieldPath,
        _before: Option<&Tree>,
        _after: Option<&Tree>,
    ) -> bool {
        false
    }

    /// Why one field of an object that is there cannot change in this way, and what to do instead.
    fn refused_change(
        &self,
        _path: &FieldPath,
        _before: Option<&Tree>,
        _after: Option<&Tree>,
    ) -> Option<(String, String)> {
        None
    }

    /// The top-level flags that cannot be taken back once they are set.
    fn final_flags(&self) -> &'static [&'static str] {
        &[]
    }

    /// How keys name its objects, if other objects are in them.
    fn holds(&self) -> Option<Holds> {
        None
    }

    /// The ports that an object publishes in its room, or in every one.
    fn published(&self, _fields: &Tree) -> Vec<String> {
        Vec::new()
    }

    /// Why an object with these fields does not serve the purpose of a reference to it; `None` if
    /// it does, or if that is not known.
    fn misfit(&self, _purpose: Purpose, _fields: &Tree) -> Option<Misfit> {
        None
    }

    /// The top-level fields that cannot change while something refers to the object.
    fn kept_in_use(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the platform hides values of its objects, so that only their revisions show that
    /// somebody wrote them.
    fn hides_values(&self) -> bool {
        false
    }

    /// Whether documents of this kind are for secrets, so that none of their lines is shown: a secret
    /// may stand in a wrong place.
    fn is_for_secrets(&self) -> bool {
        self.hides_values()
    }

    /// The names of the environment variables that an object brings to what refers to it.
    fn brings_variables<'a>(&self, _fields: &'a Tree) -> Vec<&'a str> {
        Vec::new()
    }

    /// The names of the environment variables that an object sets itself, with the field that
    /// holds them.
    fn own_variables<'a>(&self, _fields: &'a Tree) -> (&'static str, Vec<&'a str>) {
        ("", Vec::new())
    }

    /// The kind of the places that its objects are in, or may be in: each place has a list of its
    /// own, and what is in it goes with it.
    fn placed_in(&self) -> Option<KindName> {
        None
    }

    /// Whether its objects are inside of rooms, where REST does not reach: whoever reads or writes
    /// one enters the room, which starts it. Until somebody looks, such an object counts as it was
    /// last applied.
    fn is_inside_rooms(&self) -> bool {
        false
    }

    /// Whether an object keeps what others wrote into it, unless `lifecycle.overwrite` says otherwise.
    fn keeps_what_others_write(&self) -> bool {
        false
    }

    /// The top-level fields of which no answer tells anything: they count as last applied.
    fn untold(&self) -> &'static [&'static str] {
        &[]
    }

    /// The top-level field that is only written when an object with these fields is created, if there
    /// is one, and why, as the end of a sentence about it.
    fn once(&self, _fields: &Tree) -> Option<(&'static str, &'static str)> {
        None
    }

    /// The digest of what is sent, if fields have no more of it; see [`Kind::content`].
    fn content_digest<'a>(&self, _fields: &'a Tree) -> Option<&'a str> {
        None
    }

    /// The place in the name of an object, for kinds whose names begin with it.
    fn place_in<'a>(&self, _name: &'a str) -> Option<&'a str> {
        None
    }

    /// Whether whoever refers to the place of an object needs the object, too.
    fn is_needed_with_place(&self, _fields: &Tree) -> bool {
        false
    }

    /// The object that the name of another one names, if it does: its kind and its name, which the
    /// name ends with.
    fn named_in<'a>(&self, _name: &'a str) -> Option<(KindName, &'a str)> {
        None
    }

    /// Whether an object refers to nothing but what its name names.
    fn refers_by_name(&self) -> bool {
        false
    }

    /// The object that must be there before another one, if both are declared, and that goes after
    /// it.
    fn comes_after(&self, _key: &Key) -> Option<Key> {
        None
    }

    /// What an object goes with, that says what somebody may do: with what it comes after, with the
    /// place that it is about, and with whom it is for.
    fn goes_along_with(&self, key: &Key) -> Vec<Key> {
        let with = [self.comes_after(key), key.place_key(), key.named_key()];
        with.into_iter().flatten().collect()
    }

    /// Whether its objects are what somebody may do in a place, and no things in it. Without a
    /// room, they are about the project and not about every room. They go with their place and
    /// with what they name, whoever owns them, and are read only where somebody declares or owns
    /// one.
    fn is_access(&self) -> bool {
        false
    }

    /// Whether a change of an object takes access away from those whom it is for, or whom it is, be
    /// it only until the change is done; without fields after it, the object goes.
    fn takes_access(&self, _key: &Key, _before: &Tree, _after: Option<&Tree>) -> bool {
        false
    }

    /// Whether a reference may name an object that is in no list, such as one of another project, by
    /// what is on the wire and is no name of this kind.
    fn may_be_elsewhere(&self, _name: &str) -> bool {
        false
    }

    /// Whether the platform can delete an object of this kind.
    fn is_deletable(&self) -> bool {
        true
    }

    /// Whether an object of this kind can be renamed and stay the same object.
    fn is_renamable(&self) -> bool {
        false
    }

    /// What is lost where another object takes the place of one, because that cannot be renamed: a
    /// sentence about the former one.
    fn lost_with_name(&self) -> Option<&'static str> {
        None
    }

    /// What is lost with an object that is deleted or replaced, as a sentence.
    fn lost_with(&self, _held: Held<'_>) -> Option<String> {
        None
    }

    /// What an object holds that nobody may lose unseen, as a part of a sentence; none if it is empty.
    fn holding(&self, _held: &Value) -> Option<String> {
        None
    }

    /// What becomes of the rest where this field of an object that is there is written, as a sentence.
    fn written_into(&self, _field: &str) -> Option<&'static str> {
        None
    }

    /// Whether other objects are in it or use its name, and follow when it is renamed.
    fn is_named_by_others(&self) -> bool {
        false
    }

    /// A name in the spelling that is used to compare names of this kind. Several spellings that
    /// the platform accepts for one thing are one key here.
    fn natural_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Whether no two objects of this kind have one name, in whatever project they are.
    fn is_unique_everywhere(&self) -> bool {
        false
    }

    /// Whether an update leaves alone what it does not name. The owner's mark is a part of
    /// the annotations, so it must be known where those are named.
    fn updates_partly(&self) -> bool {
        false
    }

    /// The fields by which an object of a set is found again that the platform calls otherwise since
    /// it was upgraded; none where names stay.
    fn found_again_by(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether objects carry the owner annotation.
    fn carries_owner(&self) -> bool {
        true
    }
}

/// The names of the kinds whose documents are for secrets.
pub fn for_secrets() -> impl Iterator<Item = KindName> {
    ALL.into_iter().filter(|kind| kind.is_for_secrets()).map(Kind::name)
}

/// The kind with this name, as it stands in `kind:`; upper and lower case are the same.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.into_iter().find(|kind| kind.name().to_string().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_called_by_its_kind_until_it_has_a_name() {
        let named = |name: &str, room: Option<&str>| {
            Key::new(KindName::Service, "p", room.map(str::to_owned), name)
        };
        assert_eq!(named("a", None).to_string(), "Service/a");
        assert_eq!(named("a", Some("r")).to_string(), "Service/a@r");
        assert_eq!(named("a\nb", None).to_string(), "Service/a\\nb");
        assert_eq!(named("", None).to_string(), "Service");
    }
}
