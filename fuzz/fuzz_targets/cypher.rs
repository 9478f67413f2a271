#![no_main]

#[path = "../inputs/cypher.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    input::feed(bytes);
});
