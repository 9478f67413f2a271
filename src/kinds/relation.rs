//! How objects are related, according to their kinds: which are in which, and which refer to which.
//! Other code loops over these relations, so that it has no special case for a kind.

use super::path::FieldPath;
use super::tree::Tree;
use super::{ALL, Key, KindName};

/// Which part of a key names the object that contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Its project.
    Project,
    /// Its room.
    Room,
}

/// What objects of a kind may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// The kind of what they refer to.
    pub to: KindName,
    /// How they do it.
    pub by: By,
}

/// How an object is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By its name, in manifests and on the wire.
    Name,
    /// By its name in manifests, and by the platform's id on the wire.
    Id,
    /// By its name in manifests, and by its mail address on the wire.
    Email,
    /// By a port that it publishes: whichever object does.
    Port,
}

/// What one object refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field that refers.
    pub path: FieldPath,
    /// What it refers to.
    pub to: ReferredTo,
}

/// What a field refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferredTo {
    /// An object of the same project.
    Object {
        /// Its kind.
        kind: KindName,
        /// Its name; on the wire its id, where the kind is related [`By::Id`].
        name: String,
        /// What it is there for.
        purpose: Purpose,
    },
    /// Whatever service of the room publishes the port; nothing when none does.
    Port {
        /// The room.
        room: String,
        /// The port's number.
        port: String,
    },
}

impl ReferredTo {
    /// Whether it is the object with a key, for something in the same project.
    #[must_use]
    pub fn is(&self, key: &Key) -> bool {
        matches!(self, Self::Object { kind, name, .. } if *kind == key.kind && *name == key.name)
    }
}

/// What an object is used for where something refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// As a whole.
    Whole,
    /// Its pairs become environment variables.
    Variables,
    /// Images are pulled with it.
    Images,
}

/// Why an object does not serve a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    /// The end of a sentence whose subject is the object.
    pub what: &'static str,
    /// What does serve it.
    pub hint: &'static str,
}

impl KindName {
    /// What one of its objects is called in a sentence, such as `service account`.
    #[must_use]
    pub fn in_words(self) -> String {
        let mut words = String::new();
        for letter in self.to_string().chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        words
    }

    /// Whether its objects are the projects of keys.
    #[must_use]
    pub fn is_project(self) -> bool {
        self.kind().holds() == Some(Holds::Project)
    }

    /// Whether its objects are the rooms of keys.
    #[must_use]
    pub fn is_room(self) -> bool {
        self.kind().holds() == Some(Holds::Room)
    }

    /// Whether its objects may be in a room.
    #[must_use]
    pub fn is_in_rooms(self) -> bool {
        self.kind().placed_in().is_some_and(Self::is_room)
    }

    /// Whether its objects may be in a room, and are in every one if they are in none.
    #[must_use]
    pub fn fills_rooms(self) -> bool {
        let kind = self.kind();
        self.is_in_rooms() && !kind.is_access() && !kind.is_inside_rooms()
    }

    /// Whether its objects are places of others.
    #[must_use]
    pub fn is_place(self) -> bool {
        self.inside().next().is_some()
    }

    /// The kinds whose objects may be in one of its objects, which has a list of them.
    pub fn inside(self) -> impl Iterator<Item = Self> {
        let kinds = ALL.iter().filter(move |kind| kind.placed_in() == Some(self));
        kinds.map(|kind| kind.name())
    }

    /// The same without those that are just what somebody may do in it.
    pub fn contents(self) -> impl Iterator<Item = Self> {
        self.inside().filter(|kind| !kind.kind().is_access())
    }

    /// Whether its objects may be those who do something, so that something says what they may do.
    #[must_use]
    pub fn is_who(self) -> bool {
        let mut access = ALL.iter().filter(|kind| kind.is_access());
        access.any(|kind| kind.relations().iter().any(|relation| relation.to == self))
    }

    /// Whether its objects go with the place that they are in, and no list shows them: what somebody
    /// may do, and what is inside of rooms.
    #[must_use]
    pub fn goes_along(self) -> bool {
        self.kind().is_access() || self.kind().is_inside_rooms()
    }

    /// Whether something may go with one of its objects that no list shows.
    #[must_use]
    pub fn takes_along(self) -> bool {
        self.is_who() || self.kind().is_access() || self.inside().any(Self::goes_along)
    }

    /// How its objects may refer to those of a kind; nothing where they do not.
    #[must_use]
    pub fn refers_to(self, to: KindName) -> Option<By> {
        let mut relations = self.kind().relations().iter();
        relations.find(|relation| relation.to == to).map(|relation| relation.by)
    }

    /// Whether objects of some kind refer to its objects by something that only the platform knows:
    /// their ids or mail addresses.
    #[must_use]
    pub fn is_referred_to_by_id(self) -> bool {
        self.referrers().any(|(_, by)| matches!(by, By::Id | By::Email))
    }

    /// The kinds whose objects may refer to one of its objects, not just to a port of it.
    pub fn referrers(self) -> impl Iterator<Item = (KindName, By)> {
        let kinds = ALL.iter().map(|kind| kind.name());
        kinds.filter_map(move |kind| {
            let by = kind.refers_to(self).filter(|by| *by != By::Port)?;
            Some((kind, by))
        })
    }

    /// Whether something in rooms may refer to its objects, so that all rooms must be known to
    /// tell what does.
    #[must_use]
    pub fn is_referred_to_in_rooms(self) -> bool {
        self.referrers().any(|(kind, _)| kind.fills_rooms())
    }

    /// The kinds whose objects may be in a room.
    pub fn in_rooms() -> impl Iterator<Item = KindName> {
        Self::of_rooms().inside()
    }

    /// The kind whose objects are the rooms or projects of keys.
    fn holding(what: Holds) -> Self {
        let mut kinds = ALL.iter();
        let found = kinds.find(|kind| kind.holds() == Some(what));
        // The first kind stands in for one that no kind is, which a test keeps from being.
        found.unwrap_or(&ALL[0]).name()
    }

    /// The kind whose objects are the rooms of keys.
    #[must_use]
    pub fn of_rooms() -> Self {
        Self::holding(Holds::Room)
    }

    /// The kind whose objects are the projects of keys.
    #[must_use]
    pub fn of_projects() -> Self {
        Self::holding(Holds::Project)
    }
}

impl Key {
    /// The key of an object that is in no room.
    #[must_use]
    pub fn of(kind: KindName, project: &str, name: &str) -> Self {
        Self::new(kind, project, None, name)
    }

    /// The key of a project.
    #[must_use]
    pub fn of_project(name: &str) -> Self {
        Self::of(KindName::of_projects(), name, name)
    }

    /// The key of the project that the object is in; a project's own.
    #[must_use]
    pub fn project_key(&self) -> Self {
        Self::of_project(&self.project)
    }

    /// The key of the room that the object is in.
    #[must_use]
    pub fn room_key(&self) -> Option<Self> {
        let room = self.room.as_deref()?;
        Some(Self::of(KindName::of_rooms(), &self.project, room))
    }

    /// The name of the place that the object is in, whose list has it: a room, or a service account.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.room.as_deref().or_else(|| self.kind.kind().place_in(&self.name))
    }

    /// The key of the place that the object is in.
    #[must_use]
    pub fn place_key(&self) -> Option<Self> {
        Some(Self::of(self.kind.kind().placed_in()?, &self.project, self.place()?))
    }

    /// The key of the object that its name names.
    #[must_use]
    pub fn named_key(&self) -> Option<Self> {
        let (kind, name) = self.kind.kind().named_in(&self.name)?;
        Some(Self::of(kind, &self.project, name))
    }

    /// Whether it is a project.
    #[must_use]
    pub fn is_project(&self) -> bool {
        self.kind.is_project()
    }

    /// Whether it is a room.
    #[must_use]
    pub fn is_room(&self) -> bool {
        self.kind.is_room()
    }

    /// Whether an object is in it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.project == other.project
            && match self.kind.kind().holds() {
                Some(Holds::Project) => !other.is_project(),
                _ => {
                    other.kind.kind().placed_in() == Some(self.kind)
                        && other.place() == Some(&self.name)
                }
            }
    }
}

/// A reference from the field `room`, which names a room.
pub(super) fn to_room(fields: &Tree) -> Option<Reference> {
    let name = fields.get("room")?.as_str()?.to_owned();
    let to = ReferredTo::Object { kind: KindName::Room, name, purpose: Purpose::Whole };
    Some(Reference { path: FieldPath::of(&["room"]), to })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of an iterator, by their names.
    fn names(kinds: impl Iterator<Item = (KindName, By)>) -> Vec<(String, By)> {
        kinds.map(|(kind, by)| (kind.to_string(), by)).collect()
    }

    #[test]
    fn one_kind_is_the_projects_and_one_the_rooms() {
        for what in [Holds::Project, Holds::Room] {
            let kinds = ALL.iter().filter(|kind| kind.holds() == Some(what));
            assert_eq!(kinds.count(), 1, "{what:?}");
        }
        assert_eq!(KindName::of_projects().to_string(), "Project");
        assert_eq!(KindName::of_rooms().to_string(), "Room");
    }

    #[test]
    fn a_kind_is_told_what_refers_to_it() {
        let room = KindName::of_rooms();
        let by_name = |name: &str| (name.to_owned(), By::Name);
        let referrers = names(room.referrers());
        for kind in ["Mailbox", "Route", "ScheduledTask"] {
            assert!(referrers.contains(&by_name(kind)), "{kind}: {referrers:?}");
        }
        assert!(!room.is_referred_to_by_id() && !room.is_referred_to_in_rooms());
        let by_id = ALL.iter().map(|kind| kind.name()).filter(|kind| kind.is_referred_to_by_id());
        let by_id: Vec<KindName> = by_id.collect();
        let told: Vec<String> = by_id.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["ServiceAccount", "AccountSecret", "Secret", "ManagedAgent"]);
        assert!(!by_id[3].is_referred_to_in_rooms());
        for secret in &by_id[1..3] {
            assert!(names(secret.referrers()).contains(&("Service".to_owned(), By::Id)));
            assert!(secret.is_referred_to_in_rooms());
        }
        let referrers = [
            ("AccountSecret".to_owned(), By::Id),
            ("Service".to_owned(), By::Email),
            ("ManagedAgent".to_owned(), By::Email),
            ("RoleGrant".to_owned(), By::Id),
        ];
        assert_eq!(names(by_id[0].referrers()), referrers);
    }

    #[test]
    fn a_holder_holds_what_names_it() {
        let (project, other) = (Key::of_project("p"), Key::of_project("q"));
        let room = Key::of(KindName::of_rooms(), "p", "r");
        let in_room = Key::of(KindName::Service, "p", "s").with_room(Some("r".to_owned()));
        assert!(project.holds(&room) && project.holds(&in_room) && room.holds(&in_room));
        assert!(!project.holds(&project) && !other.holds(&room) && !room.holds(&room));
        assert_eq!(in_room.room_key(), Some(room.clone()));
        assert_eq!(in_room.project_key(), project);
        assert_eq!(room.room_key(), None);
    }
}
