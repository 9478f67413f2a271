//! Random documents and random pasts, from small pools of names, so that things collide.

use std::io::Write;

use meshagent::api::spoken::Spoken;
use meshagent::kinds::KindName;
use meshagent::manifest::set::{Input, Set};
use meshagent::plan::planner::{Adopt, Policy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::Model;
use crate::plain::{self, Form};
use crate::reconciler::{decide, policy};
use crate::spoken::has;

/// One document, by what makes it differ from others.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    Room {
        name: u8,
        note: u8,
        from: Vec<u8>,
    },
    Secret {
        name: u8,
        text: u8,
        from: Vec<u8>,
    },
    Service(Service),
    Mailbox {
        name: u8,
        room: u8,
        public: bool,
        is_loud: bool,
    },
    Route {
        name: u8,
        room: u8,
        port: u8,
    },
    /// What a person may do in the project, or in a room.
    Grant {
        name: u8,
        room: Option<u8>,
        roles: u8,
    },
    Plain(Plain),
}

/// The roles of grants, in a project and in a room.
const ROLES: [[&[&str]; 3]; 2] = [
    [&["member"], &["developer"], &["developer", "room_creator"]],
    [&["viewer"], &["operator"], &["operator", "viewer"]],
];

/// An object of any other plain kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    pub kind: KindName,
    pub name: u8,
    pub room: u8,
    pub form: Form,
    /// The flags that are not as in the form.
    pub flags: Vec<Option<bool>>,
    pub from: Vec<u8>,
}

impl Plain {
    /// The plain kinds that have no wish of their own.
    pub fn kinds() -> Vec<KindName> {
        let own = [KindName::Mailbox, KindName::Route];
        plain::all().filter(|kind| !own.contains(kind)).collect()
    }

    /// What an object of a kind is called by its number.
    pub fn called(kind: KindName, number: u8) -> String {
        plain::called(kind, &format!("{}-{number}", kind.to_string().to_lowercase()))
    }
}

/// A service, of a room or of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub name: u8,
    pub room: Option<u8>,
    pub secrets: Vec<u8>,
    pub port: Option<u8>,
    pub note: u8,
    pub from: Vec<u8>,
}

fn room(number: u8) -> String {
    format!("room-{number}")
}

fn secret(number: u8) -> String {
    format!("secret-{number}")
}

impl Wish {
    /// The same under other names, which some other document may have all the same.
    pub fn moved(&self, by: u8) -> Self {
        let mut moved = self.clone();
        let numbers: Vec<&mut u8> = match &mut moved {
            Self::Room { name, from, .. } | Self::Secret { name, from, .. } => {
                [name].into_iter().chain(from).collect()
            }
            Self::Plain(Plain { name, room, from, .. }) => {
                [name, room].into_iter().chain(from).collect()
            }
            Self::Service(Service { name, room, secrets, from, .. }) => {
                [name].into_iter().chain(room).chain(secrets).chain(from).collect()
            }
            Self::Mailbox { name, room, .. } | Self::Route { name, room, .. } => vec![name, room],
            Self::Grant { name, room, .. } => [name].into_iter().chain(room).collect(),
        };
        numbers.into_iter().for_each(|number| *number += by);
        moved
    }

    /// Whether it refers to nothing that another set could take away unseen.
    pub fn needs_no_secret_of(&self, wishes: &[Self]) -> bool {
        self.secrets().iter().all(|wanted| {
            wishes.iter().any(|wish| matches!(wish, Self::Secret { name, .. } if name == wanted))
        })
    }

    pub fn document(&self) -> Value {
        let of = |kind: &str, name: String| json!({"version": "v1", "kind": kind, "metadata": {"name": name}});
        let mut document = match self {
            Self::Room { name, note, .. } => {
                let mut document = of("Room", room(*name));
                document["room_metadata"] = json!({"note": note});
                document
            }
            Self::Secret { name, text, .. } => {
                let mut document = of("Secret", secret(*name));
                document["type"] = "keys".into();
                document["data"] = json!({"TEXT": format!("text {text}")});
                document
            }
            Self::Service(Service { name, room: placed, secrets, port, note, .. }) => {
                let mut document = of("Service", format!("service-{name}"));
                if let Some(placed) = placed {
                    document["room"] = room(*placed).into();
                }
                let secrets: Vec<_> = secrets.iter().map(|name| secret(*name)).collect();
                document["container"] =
                    json!({"image": format!("image:{note}"), "secrets": secrets});
                if let Some(port) = port {
                    document["ports"] =
                        json!([{"num": 5000 + u16::from(*port), "published": true}]);
                }
                document
            }
            Self::Mailbox { name, room: placed, public, is_loud } => {
                let box_name = if *is_loud { "BOX" } else { "box" };
                let mut document = of("Mailbox", format!("{box_name}-{name}@mail.localhost"));
                document["queue"] = "mail".into();
                document["room"] = room(*placed).into();
                document["public"] = (*public).into();
                document
            }
            Self::Route { name, room: placed, port } => {
                let mut document = of("Route", format!("route-{name}.meshagent.app"));
                document["room"] = room(*placed).into();
                document["port"] = (5000 + u16::from(*port)).into();
                document
            }
            Self::Grant { name, room: placed, roles } => {
                let mut document = of("RoleGrant", format!("user:person-{name}@example.com"));
                if let Some(placed) = placed {
                    document["room"] = room(*placed).into();
                }
                let of_place = ROLES[usize::from(placed.is_some())];
                document["roles"] = json!(of_place[usize::from(*roles)]);
                document
            }
            Self::Plain(Plain { kind, name, room: placed, form, flags, .. }) => {
                let document = plain::document(*kind, "", &room(*placed), *form);
                let mut document = plain::with_flags(*kind, document, flags);
                document["metadata"]["name"] = Plain::called(*kind, *name).into();
                document
            }
        };
        match self.former().as_slice() {
            [] => {}
            [former] => document["lifecycle"] = json!({"moved_from": former}),
            former => document["lifecycle"] = json!({"moved_from": former}),
        }
        document
    }

    /// What it was called before, as far as it says so.
    fn former(&self) -> Vec<String> {
        fn all(names: &[u8], named: impl Fn(u8) -> String) -> Vec<String> {
            names.iter().map(|name| named(*name)).collect()
        }
        match self {
            Self::Room { from, .. } => all(from, room),
            Self::Secret { from, .. } => all(from, secret),
            Self::Plain(Plain { kind, from, .. }) => all(from, |name| Plain::called(*kind, name)),
            Self::Service(Service { from, .. }) => all(from, |name| format!("service-{name}")),
            _ => Vec::new(),
        }
    }

    /// What of it an API can say; nothing where it lacks the kind.
    fn said_in(mut self, spoken: Spoken) -> Option<Self> {
        let kind = match &mut self {
            Self::Secret { .. } => KindName::Secret,
            Self::Plain(Plain { kind, .. }) => *kind,
            Self::Service(Service { secrets, .. }) => {
                if !has(spoken, KindName::Secret) {
                    secrets.clear();
                }
                KindName::Service
            }
            Self::Room { .. } => KindName::Room,
            Self::Mailbox { .. } => KindName::Mailbox,
            Self::Route { .. } => KindName::Route,
            Self::Grant { .. } => KindName::RoleGrant,
        };
        has(spoken, kind).then_some(self)
    }

    /// Whether its document may have annotations.
    pub fn has_annotations(&self) -> bool {
        match self {
            Self::Secret { .. } | Self::Grant { .. } => false,
            Self::Plain(Plain { kind, .. }) => kind.kind().carries_owner(),
            _ => true,
        }
    }

    /// The same of an object that had no other name before.
    pub fn without_former(mut self) -> Self {
        match &mut self {
            Self::Room { from, .. }
            | Self::Secret { from, .. }
            | Self::Plain(Plain { from, .. })
            | Self::Service(Service { from, .. }) => from.clear(),
            _ => {}
        }
        self
    }

    fn key(&self) -> (u8, u8, Option<u8>) {
        match self {
            Self::Room { name, .. } => (0, *name, None),
            Self::Secret { name, .. } => (1, *name, None),
            Self::Service(Service { name, room, .. }) => (2, *name, *room),
            Self::Mailbox { name, .. } => (3, *name, None),
            Self::Route { name, .. } => (4, *name, None),
            Self::Grant { name, room, .. } => (5, *name, *room),
            Self::Plain(Plain { kind, name, .. }) => (6 + *kind as u8, *name, None),
        }
    }

    fn rooms(&self) -> Option<u8> {
        match self {
            Self::Service(Service { room, .. }) | Self::Grant { room, .. } => *room,
            Self::Mailbox { room, .. } | Self::Route { room, .. } => Some(*room),
            Self::Plain(Plain { kind, room, .. }) => plain::names_room(*kind).then_some(*room),
            _ => None,
        }
    }

    fn secrets(&self) -> &[u8] {
        match self {
            Self::Service(Service { secrets, .. }) => secrets,
            _ => &[],
        }
    }
}

/// Mostly none, now and then one, and sometimes several.
fn former(names: u8) -> impl Strategy<Value = Vec<u8>> {
    let some = prop::collection::btree_set(0..names, 1..=usize::from(names.min(3)));
    prop_oneof![
        14 => Just(Vec::new()),
        4 => (0..names).prop_map(|name| vec![name]),
        2 => some.prop_map(|names| names.into_iter().rev().collect()),
    ]
}

/// An object of a plain kind; it had other names before only where it can have had.
fn plain_wish() -> impl Strategy<Value = Wish> {
    let kind = prop::sample::select(Plain::kinds());
    let form = prop::sample::select(Form::ALL.to_vec());
    // Mostly as in the form, which has those that are absent, too.
    let flag = prop::option::weighted(0.25, any::<bool>());
    let most = Plain::kinds().into_iter().map(plain::count_of_flags).max().unwrap_or_default();
    let flags = prop::collection::vec(flag, most);
    let wish = (kind, 0..3_u8, 0..3_u8, form, flags, former(3));
    wish.prop_map(|(kind, name, room, form, flags, from)| {
        let from = if kind.kind().is_renamable() { from } else { Vec::new() };
        // A kind without flags has none that could differ.
        let flags = flags.into_iter().take(plain::count_of_flags(kind)).collect();
        Wish::Plain(Plain { kind, name, room, form, flags, from })
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let name = || 0..3_u8;
    let from = || former(3);
    prop_oneof![
        1 => (name(), 0..2_u8, from()).prop_map(|(name, note, from)| Wish::Room { name, note, from }),
        1 => (name(), 0..2_u8, from()).prop_map(|(name, text, from)| Wish::Secret { name, text, from }),
        1 => (
            0..2_u8,
            prop::option::of(name()),
            prop::collection::btree_set(name(), 0..3),
            prop::option::of(0..2_u8),
            0..2_u8,
            former(2),
        )
            .prop_map(|(name, room, secrets, port, note, from)| Wish::Service(Service {
                name,
                room,
                secrets: secrets.into_iter().collect(),
                port,
                note,
                from,
            })),
        1 => (name(), name(), any::<bool>(), any::<bool>()).prop_map(|(name, room, public, is_loud)| {
            Wish::Mailbox { name, room, public, is_loud }
        }),
        1 => (name(), name(), 0..2_u8).prop_map(|(name, room, port)| Wish::Route { name, room, port }),
        1 => (name(), prop::option::of(name()), 0..3_u8)
            .prop_map(|(name, room, roles)| Wish::Grant { name, room, roles }),
        // As many of these as there are kinds of them.
        u32::try_from(Plain::kinds().len()).unwrap() => plain_wish(),
    ]
}

/// Documents that name each object once. Most of the time what they refer to is among
/// them; now and then it has to be on the platform.
pub fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    (prop::collection::vec(wish(), 0..12), 0..8_u8).prop_map(|(mut wishes, completeness)| {
        if completeness > 0 {
            let rooms: Vec<u8> = wishes.iter().filter_map(Wish::rooms).collect();
            wishes.extend(rooms.into_iter().map(|name| Wish::Room {
                name,
                note: 0,
                from: Vec::new(),
            }));
        }
        if completeness > 1 {
            let secrets: Vec<u8> = wishes.iter().flat_map(Wish::secrets).copied().collect();
            wishes.extend(secrets.into_iter().map(|name| Wish::Secret {
                name,
                text: 0,
                from: Vec::new(),
            }));
        }
        // People are in the project before they are in its rooms.
        let people = wishes.iter().filter_map(|wish| match wish {
            Wish::Grant { name, room: Some(_), .. } => Some(*name),
            _ => None,
        });
        let people: Vec<u8> = people.collect();
        let members = people.into_iter().map(|name| Wish::Grant { name, room: None, roles: 0 });
        wishes.extend(members);
        let mut seen = std::collections::BTreeSet::new();
        wishes.retain(|wish| seen.insert(wish.key()));
        wishes
    })
}

/// What happened before: two sets that were applied, what was made by hand, and what was
/// changed behind everybody's back.
#[derive(Debug, Clone)]
pub struct Story {
    applied: Vec<(bool, Vec<Wish>)>,
    by_hand: Vec<Wish>,
    lost: Vec<prop::sample::Index>,
    changed: Vec<prop::sample::Index>,
    renamed: Vec<prop::sample::Index>,
}

pub fn story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec((prop::bool::weighted(0.3), wishes()), 0..4),
        prop::collection::vec(wish(), 0..2),
        prop::collection::vec(any::<prop::sample::Index>(), 0..2),
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), 0..2),
    )
        .prop_map(|(applied, by_hand, lost, changed, renamed)| Story {
            applied,
            by_hand,
            lost,
            changed,
            renamed,
        })
}

/// What an API can say of wishes.
pub fn said_in(spoken: Spoken, wishes: &[Wish]) -> Vec<Wish> {
    wishes.iter().filter_map(|wish| wish.clone().said_in(spoken)).collect()
}

impl Story {
    /// A platform of this API as the story leaves it.
    pub fn told(&self, spoken: Spoken) -> Model {
        let mut model = Model::new(spoken);
        for (is_other, wishes) in &self.applied {
            let wishes = &said_in(spoken, wishes);
            let moved: Vec<Wish> = wishes.iter().map(|wish| wish.moved(2)).collect();
            let set = read(if *is_other { &moved } else { wishes });
            let policy =
                Policy { adopt: Adopt::None, ..policy(if *is_other { "other" } else { "s" }) };
            if let Ok(plan) = decide(&set, &model.state(&policy.set), &policy) {
                model.perform(&set, &plan).unwrap();
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        let by_hand: Vec<_> =
            self.by_hand.iter().filter(|wish| seen.insert(wish.key())).cloned().collect();
        model.make_by_hand(&read(&said_in(spoken, &by_hand)));
        for index in &self.lost {
            model.lose(*index);
        }
        for index in &self.changed {
            model.change(*index);
        }
        for index in &self.renamed {
            model.rename(*index);
        }
        model
    }
}

/// The set of these documents.
pub fn read(wishes: &[Wish]) -> Set {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    for wish in wishes {
        write!(file, "---\n{}\n", wish.document()).unwrap();
    }
    meshagent::manifest::set::read(&Input {
        paths: vec![file.path().to_owned()],
        project: Some("p".to_owned()),
        ..meshagent::manifest::set::Input::default()
    })
    .unwrap_or_else(|problems| panic!("{problems:?}"))
}
