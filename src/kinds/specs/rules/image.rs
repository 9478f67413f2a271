//! *Pure*: references to images, by the grammar that registries and container engines share:
//! `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.

/// What the platform replaces in a reference before it uses it.
pub(super) const PLACEHOLDER: &str = "{SERVER_VERSION}";

/// The grammar as a pattern. Where a placeholder stands, an editor is told less.
pub(super) const PATTERN: &str = concat!(
    r"^(([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*",
    r"|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?/)?",
    r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*",
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{64,128})?$",
    r"|\{SERVER_VERSION\}|\{\{",
);

/// How many characters the path of a reference may have, which is what its repository is
/// called in the registry.
const PATH_LIMIT: usize = 255;

/// How many characters a tag may have.
const TAG_LIMIT: usize = 128;

/// The algorithms of digests, with the number of their hex digits.
const DIGESTS: [(&str, usize); 4] =
    [("sha256", 64), ("sha384", 96), ("sha512", 128), ("blake3", 64)];

/// A reference to an image.
///
/// # Errors
///
/// No registry and no container engine could take it.
pub fn image(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.chars().any(super::is_blank) {
        return Err("must not contain blanks or control characters".to_owned());
    }
    if text.contains("://") {
        return Err("must be an image without a scheme such as docker://".to_owned());
    }
    let text = text.replace(PLACEHOLDER, "0");
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text.as_str(), None),
    };
    let last = named.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match named[last..].split_once(':') {
        Some((end, tag)) => (&named[..last + end.len()], Some(tag)),
        None => (named, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err(
            "must have a digest such as sha256: and 64 of 0-9 and a-f after its `@`".to_owned()
        );
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(format!(
            "must have a tag of 1 to {TAG_LIMIT} of A-Z, a-z, 0-9, `_`, `.` and `-` after its `:`, which does not begin with `.` or `-`"
        ));
    }
    if is_name(name) {
        return Ok(());
    }
    Err(match is_name(&name.to_lowercase()) {
        true => "must have its repository in lower case, such as team/app:1.0".to_owned(),
        false => "must be an image, such as registry.example.com/team/app:1.0".to_owned(),
    })
}

/// A path, with or without a host before it.
fn is_name(name: &str) -> bool {
    let with_host = name.split_once('/').is_some_and(|(host, path)| is_host(host) && is_path(path));
    with_host || is_path(name)
}

fn is_host(host: &str) -> bool {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(is_inside)
    };
    port.is_none_or(is_port)
        && match address {
            Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(is_label),
        }
}

/// Words of lower-case letters and digits between slashes; within a word one `.`, one or two
/// `_`, or any number of `-` may stand between two others.
fn is_path(path: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |between: &str| {
        matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-')
    };
    let is_component = |component: &str| {
        component.bytes().next().is_some_and(is_inside)
            && component.bytes().next_back().is_some_and(is_inside)
            && component
                .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                .all(is_separator)
    };
    path.len() <= PATH_LIMIT && path.split('/').all(is_component)
}

fn is_tag(tag: &str) -> bool {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=TAG_LIMIT).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(is_inside)
}

fn is_digest(digest: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        DIGESTS.contains(&(algorithm, hex.len())) && hex.bytes().all(is_hex)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(count: usize) -> String {
        "0a".repeat(count / 2)
    }

    #[test]
    fn what_registries_and_engines_take_is_taken() {
        let (longest, tag) = (format!("a/{}", "b".repeat(253)), "t".repeat(128));
        for image in [
            "busybox",
            "x:y",
            "meshagent/cli:default",
            "registry.example.com/team/app:1.0",
            "localhost:5000/app",
            "REGISTRY/app",
            "127.0.0.1/app:V1_2.3-a",
            "[::1]:5000/app",
            "[2001:db8::1]/a/b/c",
            "a__b/c_d/e.f/g---h",
            "my_host.com/app",
            "us-central1-docker.pkg.dev/meshagent-public/images/cli:{SERVER_VERSION}-esgz",
            "a/b:{SERVER_VERSION}",
            &longest,
            &format!("a:{tag}"),
            &format!("a@sha256:{}", hex(64)),
            &format!("h:1/a:b@sha512:{}", hex(128)),
        ] {
            assert_eq!(image_and_pattern(image), (Ok(()), true), "{image}");
        }
    }

    /// What the rule says, and whether the pattern of the schemas lets the text pass.
    fn image_and_pattern(text: &str) -> (Result<(), String>, bool) {
        let schema = serde_json::json!({ "pattern": PATTERN });
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        (image(text), validator.is_valid(&serde_json::json!(text)))
    }

    #[test]
    fn what_none_of_them_takes_is_refused_with_what_is_wrong() {
        let (longer, tag) = ("b".repeat(256), "t".repeat(129));
        for (image, what) in [
            ("", "empty"),
            ("x y", "blanks"),
            ("x ", "blanks"),
            ("a:b #c", "blanks"),
            ("x\u{feff}", "blanks"),
            ("x/", "must be an image"),
            ("/x", "must be an image"),
            ("a//b", "must be an image"),
            ("a/:b", "must be an image"),
            (":b", "must be an image"),
            ("-a", "must be an image"),
            ("a_", "must be an image"),
            ("a..b", "must be an image"),
            ("a___b", "must be an image"),
            ("a._b", "must be an image"),
            ("ä", "must be an image"),
            ("host:/a", "must be an image"),
            ("host:port/a", "must be an image"),
            ("[::g]/a", "must be an image"),
            ("x:{VERSION}", "tag"),
            ("x:y:z", "tag"),
            ("x:", "tag"),
            ("x:.1", "tag"),
            ("x:-1", "tag"),
            ("x:ä", "tag"),
            ("docker://x", "scheme"),
            ("https://r.example.com/x", "scheme"),
            ("App", "lower case"),
            ("team/App:1", "lower case"),
            ("a@", "digest"),
            ("a@sha256:0", "digest"),
            ("a@sha256", "digest"),
            ("a@b@c", "digest"),
            (&longer, "must be an image"),
            (&format!("a:{tag}"), "tag"),
            (&format!("a@sha256:{}", hex(64).to_uppercase()), "digest"),
            (&format!("a@md5:{}", hex(32)), "digest"),
            (&format!("a@sha512:{}", hex(64)), "digest"),
        ] {
            let said = super::image(image).expect_err(image);
            assert!(said.contains(what), "{image}: {said}");
        }
        // An editor sees as much of it as a pattern can say.
        for image in ["x y", "x/", "/x", "x:y:z", "docker://x", "team/App", "x:", "a@sha256:0"] {
            assert!(!image_and_pattern(image).1, "{image}");
        }
    }
}
