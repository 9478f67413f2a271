//! A saved plan, which may come from elsewhere.

use meshagent::plan::document::PlanDocument;

/// Feeds it in.
pub fn feed(bytes: &[u8]) {
    if let Ok(plan) = serde_json::from_slice::<PlanDocument>(bytes) {
        assert!(plan.staleness(&plan).is_empty());
    }
}
