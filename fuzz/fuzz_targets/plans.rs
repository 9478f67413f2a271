//! A saved plan, which may come from elsewhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meshagent::plan::document::PlanDocument;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = serde_json::from_slice::<PlanDocument>(bytes) {
        assert!(plan.staleness(&plan).is_empty());
    }
});
