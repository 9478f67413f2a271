//! Sources that are archives, and hostile ones as data.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use meshagent::sources::archive::unpack;

use super::{Project, room, tells};

/// An entry of a tar archive: its type, its name, what it links to, and its content.
type Entry<'a> = (u8, &'a str, &'a str, &'a [u8]);

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (sort, name, link, content) in entries {
        let mut header = tar::Header::new_ustar();
        // The crate itself refuses to write what is hostile.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(*sort));
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zipped(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content, mode) in files {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        match mode & 0o170_000 == 0o120_000 {
            true => {
                let target = std::str::from_utf8(content).unwrap();
                writer.add_symlink(*name, target, options).unwrap();
            }
            false => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_source_is_the_same_in_every_archive() {
    let text = room("a");
    let tar = tar(&[
        (b'5', "m/", "", b""),
        (b'0', "m/a.yaml", "", text.as_bytes()),
        (b'0', "m/.git/config", "", b"x"),
        (b'2', "m/CLAUDE.md", "../../etc/passwd", b""),
        (b'0', "other/b.yaml", "", b"x"),
    ]);
    let zip = zipped(&[("m/a.yaml", text.as_bytes(), 0o644), ("x", b"", 0o644)]);
    let packs = [tar.clone(), gz(&tar), zip].map(|bytes| unpack(bytes, "m").unwrap());
    assert_eq!(packs[0].files().collect::<Vec<_>>(), [("a.yaml", text.as_bytes())]);
    assert!(packs.iter().all(|pack| pack.digest() == packs[0].digest()));
}

#[test]
fn what_is_hostile_in_an_archive_is_refused() {
    let cases: [(&[Entry<'_>], &str); 9] = [
        (&[(b'0', "../a.yaml", "", b"x")], "the path ../a.yaml leads out of the source"),
        (&[(b'0', "/etc/a.yaml", "", b"x")], "the path /etc/a.yaml leads out of the source"),
        (&[(b'0', "a/../../b.yaml", "", b"x")], "leads out of the source"),
        (&[(b'2', "a.yaml", "/etc/passwd", b"")], "a.yaml is a link"),
        (&[(b'1', "a.yaml", "b.yaml", b"")], "a.yaml is a link"),
        (&[(b'3', "a.yaml", "", b"")], "a.yaml is neither a file nor a folder"),
        (&[(b'6', "pipe", "", b"")], "pipe is neither a file nor a folder"),
        (
            &[(b'0', "A.yaml", "", b"x"), (b'0', "a.yaml", "", b"y")],
            "differ in upper and lower case",
        ),
        (&[(b'0', "a.yaml", "", b"x"), (b'0', "./a.yaml", "", b"y")], "a.yaml is in it twice"),
    ];
    for (entries, told) in cases {
        let error = unpack(tar(entries), "").unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(unpack(gz(&tar(entries)), "").unwrap_err().contains(told));
    }
    for (files, told) in [
        (&[("../a.yaml", &b"x"[..], 0o644)], "leads out of the source"),
        (&[("a\\b.yaml", b"x", 0o644)], "cannot be used"),
        (&[("a.yaml", b"/etc/passwd", 0o120_777)], "a.yaml is a link"),
    ] {
        let error = unpack(zipped(files), "").unwrap_err();
        assert!(error.contains(told), "{error}");
    }
    for bytes in [&b"PK\x03\x04"[..], b"\x1f\x8b\x08", b"<html>not found</html>", b""] {
        assert!(unpack(bytes.to_vec(), "").is_err());
    }
}

#[test]
fn a_long_name_is_read_in_each_of_its_forms_and_a_huge_one_is_not() {
    let text = room("a");
    let long = format!("{}/a.yaml", "m".repeat(200));
    let pax = |key: &str, value: &str| {
        let rest = format!(" {key}={value}\n");
        // The length has three digits, and counts itself.
        format!("{}{rest}", rest.len() + 3)
    };
    let file = (b'0', "short.yaml", "", text.as_bytes());
    let (gnu, name) = (format!("{long}\0"), pax("path", &long));
    for said in [(b'L', "././@LongLink", "", gnu.as_bytes()), (b'x', "pax", "", name.as_bytes())] {
        let pack = unpack(tar(&[said, file]), "").unwrap();
        assert_eq!(pack.files().collect::<Vec<_>>(), [(&*long, text.as_bytes())]);
        // It is that of the next one alone.
        let other = (b'0', "b.yaml", "", text.as_bytes());
        assert_eq!(unpack(tar(&[said, file, other]), "").unwrap().files().count(), 2);
        let huge = vec![b'm'; 2 * 1024 * 1024];
        let error = unpack(gz(&tar(&[(said.0, said.1, "", &huge), file])), "").unwrap_err();
        assert!(error.contains("more than 1 MiB of a single file"), "{error}");
    }
    let size = format!("{}{}", 100, &pax("size", &"0".repeat(90))[3..]);
    let error = unpack(tar(&[(b'x', "pax", "", size.as_bytes()), file]), "").unwrap_err();
    assert!(error.contains("an entry has two sizes"), "{error}");
}

#[test]
fn a_bomb_is_not_unpacked() {
    let large = vec![0; 65 * 1024 * 1024];
    let bomb = gz(&tar(&[(b'0', "a.yaml", "", &large)]));
    assert!(bomb.len() < 1024 * 1024);
    assert!(unpack(bomb, "").unwrap_err().contains("more than 64 MiB"));
    let bomb = zipped(&[("a.yaml", &large, 0o644)]);
    assert!(unpack(bomb, "").unwrap_err().contains("more than 64 MiB"));
    // What is beside the folder is bounded, too.
    let entries = [(b'0', "x", "", &large[..]); 8];
    assert!(unpack(gz(&tar(&entries)), "m").unwrap_err().contains("unpacks to more than 512 MiB"));
    let names: Vec<String> = (0..10_001).map(|at| format!("{at}.yaml")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| (b'0', &**name, "", &b"x"[..])).collect();
    assert!(unpack(tar(&entries), "").unwrap_err().contains("more than 10000 files"));
}

#[test]
fn an_archive_is_checked_by_its_digest_before_it_is_unpacked() {
    let project = Project::new(&[], "{base: {archive: base.tar.gz, path: m}}");
    let archive = |name: &str| gz(&tar(&[(b'0', "m/a.yaml", "", room(name).as_bytes())]));
    std::fs::write(project.sandbox.path("base.tar.gz"), archive("a")).unwrap();
    project.run(0, &["source", "update"]);
    assert_eq!(project.created(), ["a"]);
    std::fs::write(project.sandbox.path("base.tar.gz"), archive("b")).unwrap();
    assert_eq!(project.created(), ["a"]);
    std::fs::remove_dir_all(project.sandbox.path(".cache")).unwrap();
    tells(&project.run(2, &["validate"]), "the archive is sha256:");
    let digest = "0".repeat(64);
    project.names(&format!("{{base: {{archive: base.tar.gz, path: m, sha256: '{digest}'}}}}"));
    tells(&project.run(1, &["source", "update"]), &format!("not sha256:{digest}"));
}
