//! What a test needs of the machine and does not find there.

/// Whether something is there that a test needs; its absence is told, and in continuous
/// integration it is a failure.
pub fn unless(is_there: bool, tested: &str, needed: &str) -> bool {
    let must_be = std::env::var("CI").as_deref() == Ok("true");
    assert!(is_there || !must_be, "{tested}: the test needs {needed}");
    if !is_there {
        println!("SKIPPED: {tested}, for want of {needed}");
    }
    is_there
}

#[test]
fn what_is_there_is_no_absence() {
    assert!(unless(true, "this", "nothing"));
    if std::env::var("CI").as_deref() == Ok("true") {
        assert!(std::panic::catch_unwind(|| unless(false, "this", "a unicorn")).is_err());
    } else {
        assert!(!unless(false, "this", "a unicorn"));
    }
}
