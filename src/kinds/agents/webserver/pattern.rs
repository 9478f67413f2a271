//! *Pure*: which paths a webserver takes, and which of them are ever asked for. The rules are those
//! of its router, aiohttp 3.13: `{name}` stands for a part of a path, and `{name:regex}` for what a
//! regular expression of Python takes. What is not sure to be wrong passes.

use std::collections::BTreeSet;

/// What is wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// As a phrase behind the path's name.
    pub what: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// A part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    /// What stands for itself.
    Fixed(&'a str),
    /// A variable, with its regular expression if it has one.
    Variable(&'a str, Option<&'a str>),
}

/// Checks a path.
///
/// # Errors
///
/// With it the webserver does not start, or it is never asked for.
pub fn check(path: &str) -> Result<(), Unfit> {
    let unfit = |what: &str, hint| Err(Unfit { what: what.to_owned(), hint });
    if path.chars().any(char::is_control) {
        return unfit("contains a control character", None);
    }
    let parts = parts(path)?;
    let is_pattern = parts.iter().any(|part| matches!(part, Part::Variable(..)));
    for part in &parts {
        let Part::Fixed(text) = part else { continue };
        if let Some(c) = text.chars().find(|c| "?#".contains(*c)) {
            let hint = "a path ends before ? and #; a handler finds the query in `req.query`";
            return unfit(&format!("contains {c}, which no path has"), Some(hint));
        }
        if is_escaped(text) {
            let hint = "write the character itself";
            return unfit("contains a %, so it is never asked for", Some(hint));
        }
        // The router compares patterns with such characters escaped, and requests without.
        if is_pattern && !text.chars().all(is_plain) {
            let hint = "without a variable it can be; with one, use letters without accents, digits, and signs such as - and _";
            return unfit(
                "has a blank or another special character beside a variable, so it is never asked for",
                Some(hint),
            );
        }
    }
    expression(&parts)
}

/// What stays as it is when a path is escaped.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c)
}

/// Whether a text has an escape that requests do not have when they are compared: all but those of a
/// slash and of a percent sign.
fn is_escaped(text: &str) -> bool {
    text.match_indices('%').any(|(at, _)| {
        let code = text.get(at + 1..at + 3).unwrap_or_default();
        !(code == "25" || code == "2F")
    })
}

/// The parts of a path.
fn parts(path: &str) -> Result<Vec<Part<'_>>, Unfit> {
    let brace = || Unfit {
        what: "has a brace that belongs to no variable".to_owned(),
        hint: Some("a variable is {name} or {name:regex}; a name has letters, digits and _"),
    };
    let (mut parts, mut rest) = (Vec::new(), path);
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            parts.push(Part::Fixed(&rest[..at]));
        }
        let length = variable(&rest[at..]).ok_or_else(brace)?;
        let inside = &rest[at + 1..at + length - 1];
        let (name, regex) = match inside.split_once(':') {
            Some((name, regex)) => (name, Some(regex)),
            None => (inside, None),
        };
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.chars().all(is_of_name) || regex == Some("") {
            return Err(brace());
        }
        parts.push(Part::Variable(name, regex));
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        parts.push(Part::Fixed(rest));
    }
    Ok(parts)
}

/// The length of the variable that a text begins with. Its braces are nested once at most.
fn variable(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('{')?;
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let mut depth = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match depth {
            0 => return Some(at + 2),
            3 => return None,
            _ => {}
        }
    }
    None
}

/// What a path is but for the names of its variables: where it is the same, the same is asked for.
#[must_use]
pub fn shape(path: &str) -> String {
    let Ok(parts) = parts(path) else { return path.to_owned() };
    let told = |part: &Part<'_>| match part {
        Part::Fixed(text) => (*text).to_owned(),
        Part::Variable(_, None) => "{}".to_owned(),
        Part::Variable(_, Some(regex)) => format!("{{:{regex}}}"),
    };
    parts.iter().map(told).collect()
}

/// Where the router looks for a path: of several that fit, those with the longest such place come
/// first, and those with the same one in their order.
#[must_use]
pub fn place(path: &str) -> &str {
    let fixed = match path.split_once('{') {
        Some((before, _)) => before.rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    };
    match fixed.trim_end_matches('/') {
        "" => "/",
        place => place,
    }
}

/// Checks the regular expression that a path becomes.
fn expression(parts: &[Part<'_>]) -> Result<(), Unfit> {
    let mut names = BTreeSet::new();
    let mut reading = Reading::default();
    for part in parts {
        let Part::Variable(name, regex) = part else { continue };
        let twice = |name: &str| Unfit {
            what: format!("has the variable {name} twice"),
            hint: Some("give one of them another name"),
        };
        if !names.insert((*name).to_owned()) {
            return Err(twice(name));
        }
        let Some(regex) = regex else { continue };
        // It stands in a group of its own, which its brackets may close.
        reading.open += 1;
        reading.is_begun = false;
        reading.read(regex).map_err(|why| Unfit {
            what: format!("has a variable {name} whose regular expression is wrong: {why}"),
            hint: None,
        })?;
        reading.close().map_err(|why| Unfit {
            what: format!("has a variable {name} whose regular expression is wrong: {why}"),
            hint: None,
        })?;
        for name in std::mem::take(&mut reading.names) {
            if !names.insert(name.clone()) {
                return Err(twice(&name));
            }
        }
    }
    match reading.open {
        0 => Ok(()),
        _ => Err(Unfit {
            what: "has a regular expression with a ( that is never closed".to_owned(),
            hint: None,
        }),
    }
}

/// Reads regular expressions as Python does, as far as it has to see what is surely wrong.
#[derive(Default)]
struct Reading {
    /// How many groups are open.
    open: usize,
    /// Whether there is something that may be repeated.
    is_begun: bool,
    /// The names of groups.
    names: Vec<String>,
}

impl Reading {
    fn close(&mut self) -> Result<(), &'static str> {
        self.is_begun = true;
        self.open = self.open.checked_sub(1).ok_or("a ) closes nothing")?;
        Ok(())
    }

    fn read(&mut self, regex: &str) -> Result<(), &'static str> {
        let mut rest = regex;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => {
                    let escaped = rest.chars().next().ok_or("it ends with a \\")?;
                    rest = &rest[escaped.len_utf8()..];
                    self.is_begun = true;
                }
                '[' => {
                    rest = &rest[class(rest).ok_or("a [ is never closed")?..];
                    self.is_begun = true;
                }
                '(' => {
                    self.open += 1;
                    self.is_begun = false;
                    rest = self.group(rest);
                }
                ')' => self.close()?,
                '|' => self.is_begun = false,
                '*' | '+' | '?' if !self.is_begun => return Err("there is nothing to repeat"),
                '*' | '+' | '?' => {}
                _ => self.is_begun = true,
            }
        }
        Ok(())
    }

    /// Passes over what stands at the beginning of a group, and keeps its name.
    fn group<'a>(&mut self, rest: &'a str) -> &'a str {
        let Some(after) = rest.strip_prefix('?') else { return rest };
        if let Some((name, rest)) = after.strip_prefix("P<").and_then(|named| named.split_once('>'))
        {
            self.names.push(name.to_owned());
            return rest;
        }
        if after.starts_with('#') {
            self.is_begun = true;
            return &after[after.find(')').unwrap_or(after.len())..];
        }
        // A condition, flags, or a look around: all of it up to the end of its sign.
        let end = after.find([':', '=', '!', ')', '<', '>', '(']).unwrap_or(after.len());
        self.is_begun = after[end..].starts_with(')');
        after[end..].trim_start_matches([':', '=', '!', '<', '>'])
    }
}

/// The length of a class of characters, behind its bracket.
fn class(rest: &str) -> Option<usize> {
    let begin = usize::from(rest.starts_with('^'));
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(begin) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ']' if at > begin => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What aiohttp 3.13.5 took, and answered to.
    #[test]
    fn paths_that_are_answered_pass() {
        for path in [
            "/",
            "/a b",
            "/ü",
            "/a/{x}",
            "/a{b}c{d:\\d+}e",
            "/{a:\\d{2}}",
            "/{a:{b}}",
            "/{a:x{2}y{3}}",
            "/{a:(?P<b>x)}",
            "/{a:.+}{b}",
            "/{tail:.*}",
            "/{a:[]{}]+}",
            "/{a:[^[]+}",
            "/{a:(?:x|y)*}",
            "/{a:(?=x)?}",
            "/{a:\\[}",
            "/a%2Fb",
            "/a%25",
            "/{_a1}",
            "/{a:é}",
            "/(a)*",
            "/{a:x*?}",
            "/{a:(?#[c*)x}",
            "/{a:(?<!x)y}",
            "/{a:)(}",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    /// What aiohttp 3.13.5 refused, or never answered to.
    #[test]
    fn paths_that_stop_the_server_or_are_never_asked_for_are_told() {
        for (path, what) in [
            ("/x{", "brace"),
            ("/x}", "brace"),
            ("/x{1}", "brace"),
            ("/{}", "brace"),
            ("/{a-b}", "brace"),
            ("/{ a}", "brace"),
            ("/{a }", "brace"),
            ("/{é}", "brace"),
            ("/{a:}", "brace"),
            ("/{a:{{2}}}", "brace"),
            ("/{a:x}}", "brace"),
            ("/{a:x", "brace"),
            ("/{a}{a}", "variable a twice"),
            ("/{a}/{b:(?P<a>x)}", "variable a twice"),
            ("/{a:[}", "a [ is never closed"),
            ("/{a:[]}", "a [ is never closed"),
            ("/{a:(x}", "a ( that is never closed"),
            ("/{a:x)}", "a ) closes nothing"),
            ("/{a:*}", "nothing to repeat"),
            ("/{a:(|+)}", "nothing to repeat"),
            ("/{a:x\\}", "ends with a \\"),
            ("/x?y=1", "contains ?"),
            ("/h#f", "contains #"),
            ("/%41", "contains a %"),
            ("/a%", "contains a %"),
            ("/a%20b", "contains a %"),
            ("/c d/{x}", "a blank"),
            ("/ü/{x}", "a blank"),
            ("/a\tb", "control character"),
        ] {
            let told = check(path).expect_err(path).what;
            assert!(told.contains(what), "{path}: {told}");
        }
    }

    #[test]
    fn the_names_of_variables_do_not_count() {
        assert_eq!(shape("/a/{x}/{y:\\d+}"), shape("/a/{z}/{x:\\d+}"));
        assert_ne!(shape("/a/{x}"), shape("/a/{x:.+}"));
        for (path, expected) in
            [("/", "/"), ("/a/", "/a"), ("/a/{x}", "/a"), ("/a/b{x}/c", "/a"), ("/{x}", "/")]
        {
            assert_eq!(place(path), expected, "{path}");
        }
    }
}
