//! *Pure*: media types of files by their names, as Python's `mimetypes` gives them if the system
//! adds none.

/// The type of a file without a known type.
pub const BYTES: &str = "application/octet-stream";

/// Endings of compressed files; the type is that of what was compressed.
const COMPRESSED: [&str; 5] = ["gz", "Z", "bz2", "xz", "br"];

/// The media type of a file with this name.
#[must_use]
pub fn of_name(name: &str) -> &'static str {
    let Some((stem, mut ending)) = split(name) else { return BYTES };
    if COMPRESSED.contains(&ending) {
        match split(stem) {
            Some((_, inner)) => ending = inner,
            None => return BYTES,
        }
    }
    let ending = match ending.to_ascii_lowercase().as_str() {
        "svgz" => "svg".to_owned(),
        "tgz" | "taz" | "tz" | "tbz2" | "txz" => "tar".to_owned(),
        ending => ending.to_owned(),
    };
    let known = TYPES.iter().find(|(_, endings)| endings.contains(&ending.as_str()));
    known.map_or(BYTES, |(mime_type, _)| mime_type)
}

/// The parts of a path before and behind the last dot of its last component; leading dots do not
/// count.
#[must_use]
pub fn split(path: &str) -> Option<(&str, &str)> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let (before, ending) = name.rsplit_once('.')?;
    if before.chars().all(|c| c == '.') {
        return None;
    }
    Some((&path[..path.len() - ending.len() - 1], ending))
}

#[rustfmt::skip]
const TYPES: &[(&str, &[&str])] = &[
    ("text/javascript", &["js", "mjs"]),
    ("application/json", &["json"]),
    ("application/manifest+json", &["webmanifest"]),
    ("application/msword", &["doc", "dot", "wiz"]),
    ("application/n-quads", &["nq"]),
    ("application/n-triples", &["nt"]),
    ("application/octet-stream", &["bin", "a", "dll", "exe", "o", "obj", "so"]),
    ("application/oda", &["oda"]),
    ("application/pdf", &["pdf"]),
    ("application/pkcs7-mime", &["p7c"]),
    ("application/postscript", &["ps", "ai", "eps"]),
    ("application/trig", &["trig"]),
    ("application/vnd.apple.mpegurl", &["m3u", "m3u8"]),
    ("application/vnd.ms-excel", &["xls", "xlb"]),
    ("application/vnd.ms-powerpoint", &["ppt", "pot", "ppa", "pps", "pwz"]),
    ("application/wasm", &["wasm"]),
    ("application/x-bcpio", &["bcpio"]),
    ("application/x-cpio", &["cpio"]),
    ("application/x-csh", &["csh"]),
    ("application/x-dvi", &["dvi"]),
    ("application/x-gtar", &["gtar"]),
    ("application/x-hdf", &["hdf"]),
    ("application/x-hdf5", &["h5"]),
    ("application/x-latex", &["latex"]),
    ("application/x-mif", &["mif"]),
    ("application/x-netcdf", &["cdf", "nc"]),
    ("application/x-pkcs12", &["p12", "pfx"]),
    ("application/x-pn-realaudio", &["ram"]),
    ("application/x-python-code", &["pyc", "pyo"]),
    ("application/x-sh", &["sh"]),
    ("application/x-shar", &["shar"]),
    ("application/x-shockwave-flash", &["swf"]),
    ("application/x-sv4cpio", &["sv4cpio"]),
    ("application/x-sv4crc", &["sv4crc"]),
    ("application/x-tar", &["tar"]),
    ("application/x-tcl", &["tcl"]),
    ("application/x-tex", &["tex"]),
    ("application/x-texinfo", &["texi", "texinfo"]),
    ("application/x-troff", &["roff", "t", "tr"]),
    ("application/x-troff-man", &["man"]),
    ("application/x-troff-me", &["me"]),
    ("application/x-troff-ms", &["ms"]),
    ("application/x-ustar", &["ustar"]),
    ("application/x-wais-source", &["src"]),
    ("application/xml", &["xsl", "rdf", "wsdl", "xpdl"]),
    ("application/zip", &["zip"]),
    ("audio/3gpp", &["3gp", "3gpp"]),
    ("audio/3gpp2", &["3g2", "3gpp2"]),
    ("audio/aac", &["aac", "adts", "loas", "ass"]),
    ("audio/basic", &["au", "snd"]),
    ("audio/mpeg", &["mp3", "mp2"]),
    ("audio/opus", &["opus"]),
    ("audio/x-aiff", &["aif", "aifc", "aiff"]),
    ("audio/x-pn-realaudio", &["ra"]),
    ("audio/x-wav", &["wav"]),
    ("image/avif", &["avif"]),
    ("image/bmp", &["bmp"]),
    ("image/gif", &["gif"]),
    ("image/ief", &["ief"]),
    ("image/jpeg", &["jpg", "jpe", "jpeg"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif"]),
    ("image/png", &["png"]),
    ("image/svg+xml", &["svg"]),
    ("image/tiff", &["tiff", "tif"]),
    ("image/vnd.microsoft.icon", &["ico"]),
    ("image/webp", &["webp"]),
    ("image/x-cmu-raster", &["ras"]),
    ("image/x-portable-anymap", &["pnm"]),
    ("image/x-portable-bitmap", &["pbm"]),
    ("image/x-portable-graymap", &["pgm"]),
    ("image/x-portable-pixmap", &["ppm"]),
    ("image/x-rgb", &["rgb"]),
    ("image/x-xbitmap", &["xbm"]),
    ("image/x-xpixmap", &["xpm"]),
    ("image/x-xwindowdump", &["xwd"]),
    ("message/rfc822", &["eml", "mht", "mhtml", "nws"]),
    ("text/css", &["css"]),
    ("text/csv", &["csv"]),
    ("text/html", &["html", "htm"]),
    ("text/markdown", &["md", "markdown"]),
    ("text/n3", &["n3"]),
    ("text/plain", &["txt", "bat", "c", "h", "ksh", "pl", "srt"]),
    ("text/richtext", &["rtx"]),
    ("text/rtf", &["rtf"]),
    ("text/tab-separated-values", &["tsv"]),
    ("text/vtt", &["vtt"]),
    ("text/x-python", &["py"]),
    ("text/x-rst", &["rst"]),
    ("text/x-setext", &["etx"]),
    ("text/x-sgml", &["sgm", "sgml"]),
    ("text/x-vcard", &["vcf"]),
    ("text/xml", &["xml"]),
    ("video/mp4", &["mp4"]),
    ("video/mpeg", &["mpeg", "m1v", "mpa", "mpe", "mpg"]),
    ("video/quicktime", &["mov", "qt"]),
    ("video/webm", &["webm"]),
    ("video/x-msvideo", &["avi"]),
    ("video/x-sgi-movie", &["movie"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_names() {
        for (name, expected) in [
            ("document.json", "application/json"),
            ("a/b.TXT", "text/plain"),
            ("a.tar.gz", "application/x-tar"),
            ("a.tgz", "application/x-tar"),
            ("a.svgz", "image/svg+xml"),
            ("a.gz", BYTES),
            ("a.rabbit", BYTES),
            ("a.b/c", BYTES),
            (".json", BYTES),
            ("..json", BYTES),
            ("", BYTES),
        ] {
            assert_eq!(of_name(name), expected, "{name}");
        }
    }
}
