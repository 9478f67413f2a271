//! Files that are cut off, changed, or not what they say: there are rows or an error, and no panic.

use crate::common::{be_quiet, columns, read, rows, stream};

#[test]
fn a_stream_that_is_cut_off_is_told() {
    let whole = stream(columns(), &rows());
    let end = whole.len() - 8;
    let mut told = 0;
    be_quiet();
    for length in 0..end {
        match read(&whole[..length]) {
            // Between two batches.
            Ok((_, rows)) => assert!(rows.len() <= 3),
            Err(why) => {
                assert!(why.starts_with("it ends") || why.starts_with("it is damaged"), "{why}");
                told += 1;
            }
        }
    }
    assert!(told > end - 10, "{told} of {end}");
}

#[test]
fn a_changed_byte_makes_no_panic() {
    be_quiet();
    let whole = stream(columns(), &rows());
    let mut told = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= [0x01, 0x80, 0xff, 0x7f][at % 4];
        told += usize::from(read(&changed).is_err());
    }
    assert!(told > whole.len() / 10, "{told} of {}", whole.len());
}

#[test]
fn lengths_that_are_not_there_are_told() {
    let mut whole = stream(columns(), &rows());
    whole[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read(&whole).unwrap_err(), "it ends before its columns are told");
    assert_eq!(read(b"").unwrap_err(), "it ends before its columns are told");
    assert!(read(b"ARROW1").is_err());
    assert!(read(&[b'x'; 100]).is_err());
}
