//! The roles that people, service accounts and agents may have, as the public SDK 0.56.0 names them.

/// The families of resources for which a project has roles, and which these are.
const FAMILIES: [&str; 14] = [
    "room",
    "agent",
    "repository",
    "feed",
    "oauth_client",
    "api_key",
    "service",
    "service_account",
    "mailbox",
    "route",
    "custom_domain",
    "scheduled_task",
    "feed_subscription",
    "llm_logger",
];
const OF_FAMILIES: [&str; 3] = ["creator", "inventory", "manager"];

/// The other roles in a project.
const OTHERS: [&str; 11] = [
    MEMBER,
    ADMIN,
    "developer",
    "session_inventory",
    "participant_token_creator",
    "llm_proxy_user",
    "llm_quota_manager",
    "usage_reporter",
    "billing_manager",
    "group_manager",
    "user_profile_editor",
];

/// The roles in a room, the weakest first.
pub const IN_ROOM: [&str; 6] = ["site_user", "guest", "viewer", "operator", "developer", ADMIN];

/// The role of whoever is in a project at all: every other one in it says as much.
pub const MEMBER: &str = "member";

/// The role that may do everything.
pub const ADMIN: &str = "admin";

/// The roles in a project.
pub fn in_project() -> impl Iterator<Item = String> {
    let of = |family| OF_FAMILIES.iter().map(move |what| format!("{family}_{what}"));
    OTHERS.into_iter().map(str::to_owned).chain(FAMILIES.into_iter().flat_map(of))
}

/// Whether a project has a role with this name.
#[must_use]
pub fn is_in_project(name: &str) -> bool {
    in_project().any(|role| role == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_projects_are_those_of_the_public_sdk() {
        assert_eq!(in_project().count(), 53);
        for role in ["member", "room_creator", "llm_logger_manager", "usage_reporter"] {
            assert!(is_in_project(role), "{role}");
        }
        for role in ["owner", "room", "_creator", "nothing_creator", "room_creator_creator"] {
            assert!(!is_in_project(role), "{role}");
        }
    }
}
