//! *Pure*: what a comment says: a line that finds it again, a table of its sections, and as many of
//! the sections as there is room for. A section is whole or left out, so that no markup is cut.

/// A part of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is about, as Markdown on a line.
    pub title: String,
    /// What it says, in a few words, as Markdown on a line.
    pub verdict: String,
    /// Its text, as Markdown.
    pub body: String,
    /// What matters most has the lowest number, and is left out last.
    pub rank: u8,
}

/// What stands around the sections.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The first line.
    pub marker: &'a str,
    /// The heading, as Markdown on a line.
    pub heading: &'a str,
    /// What stands below the heading, as Markdown.
    pub about: &'a str,
    /// The last lines, as Markdown.
    pub footer: &'a str,
    /// Where everything can be read.
    pub run_url: Option<&'a str>,
    /// How many bytes there may be.
    pub limit: usize,
}

/// The most lines of the table.
const ROWS: usize = 100;

/// A cell of a table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The comment.
#[must_use]
pub fn compose(frame: Frame<'_>, sections: &[Section]) -> String {
    let mut head = format!("{}\n## {}\n\n", frame.marker, frame.heading);
    if !frame.about.is_empty() {
        head += &format!("{}\n\n", frame.about);
    }
    if sections.len() > 1 {
        head += "| | |\n|---|---|\n";
        for section in sections.iter().take(ROWS) {
            head += &format!("| {} | {} |\n", cell(&section.title), cell(&section.verdict));
        }
        if sections.len() > ROWS {
            head += &format!("| … | {} more |\n", sections.len() - ROWS);
        }
        head.push('\n');
    }
    let footer = format!("\n{}\n", frame.footer);
    let heading = |section: &Section| match section.verdict.as_str() {
        "" => format!("### {}\n\n", section.title),
        verdict => format!("### {}: {verdict}\n\n", section.title),
    };
    let whole = sections.iter().map(|it| format!("{}{}\n\n", heading(it), it.body.trim_end()));
    let whole: Vec<String> = whole.collect();
    let elsewhere = match frame.run_url {
        Some(url) => format!("[the run]({url}) shows it"),
        None => "the run shows it".to_owned(),
    };
    let short =
        |it: &Section| format!("{}This is too long for a comment; {elsewhere}.\n\n", heading(it));
    let short: Vec<String> = sections.iter().map(short).collect();
    let free = frame.limit.saturating_sub(head.len() + footer.len() + RESERVE);
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|at| sections[*at].rank);
    // Each is first counted as short, so that every one is named.
    let mut used: usize = short.iter().map(String::len).sum();
    let mut is_whole = vec![false; sections.len()];
    for at in order {
        let with = (used + whole[at].len()).saturating_sub(short[at].len());
        if with <= free {
            is_whole[at] = true;
            used = with;
        }
    }
    let mut out = head;
    let mut left = 0;
    for at in 0..sections.len() {
        let text = if is_whole[at] { &whole[at] } else { &short[at] };
        // Hundreds of sections do not even fit by their names.
        if out.len() + text.len() + footer.len() + RESERVE > frame.limit {
            left += 1;
        } else {
            out += text;
        }
    }
    if left > 0 {
        out += &format!("… and {left} more; {elsewhere}.\n");
    }
    out + &footer
}

/// Whether a comment was written by a later run than another: the runs of a repository are numbered,
/// and the last line links to the run, by its number.
#[must_use]
pub fn is_of_later_run(one: &str, other: &str) -> bool {
    match (run_of(one), run_of(other)) {
        (Some((place, run)), Some((other_place, other_run))) => {
            place == other_place && run > other_run
        }
        _ => false,
    }
}

/// Where the run of a comment is, and its number.
fn run_of(text: &str) -> Option<(&str, u64)> {
    let last = text.trim_end().lines().next_back()?;
    let (_, url) = last.strip_suffix(')')?.rsplit_once("[run](")?;
    let (place, number) = url.rsplit_once('/')?;
    Some((place, number.parse().ok()?))
}

/// What is kept free for the line that counts what was left out.
const RESERVE: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &str, length: usize, rank: u8) -> Section {
        Section {
            title: format!("`{name}`"),
            verdict: "1 to create".to_owned(),
            body: "x".repeat(length),
            rank,
        }
    }

    fn frame(limit: usize) -> Frame<'static> {
        Frame {
            marker: "<!-- meshagent-ci -->",
            heading: "meshagent",
            about: "",
            footer: "Commit c0ffee",
            run_url: Some("https://forge.test/run"),
            limit,
        }
    }

    #[test]
    fn what_matters_most_is_shown_as_long_as_there_is_room() {
        let sections = [section("a", 3_000, 2), section("b", 3_000, 0), section("c", 50, 1)];
        let whole = compose(frame(65_536), &sections);
        assert_eq!(whole.matches(&"x".repeat(3_000)).count(), 2);
        let shown = compose(frame(4_000), &sections);
        assert!(shown.len() <= 4_000);
        assert_eq!(shown.matches(&"x".repeat(3_000)).count(), 1);
        let (_, behind) = shown.split_once("### `a`").unwrap();
        assert!(behind.starts_with(": 1 to create\n\nThis is too long"), "{behind}");
        assert!(shown.ends_with("\nCommit c0ffee\n"), "{shown}");
        assert!(shown.contains("[the run](https://forge.test/run)"));
    }

    #[test]
    fn whatever_there_is_stays_within_the_limit() {
        for (count, length) in [(0, 0), (1, 0), (1, 70_000), (3, 30_000), (100, 700), (400, 90_000)]
        {
            let sections: Vec<Section> =
                (0..count).map(|at| section(&format!("s{at}"), length, 0)).collect();
            let shown = compose(frame(65_536), &sections);
            assert!(shown.len() <= 65_536, "{count} of {length}: {}", shown.len());
            assert!(shown.starts_with("<!-- meshagent-ci -->\n") && shown.ends_with("c0ffee\n"));
        }
    }

    #[test]
    fn a_run_is_later_by_its_number_where_both_are_of_one_place() {
        let of =
            |url: &str| format!("<!-- x -->\n[run](https://x/9)\n\nCommit `c`, [run]({url})\n");
        let is_later = |one: &str, other: &str| is_of_later_run(&of(one), &of(other));
        assert!(is_later("https://f/runs/10", "https://f/runs/9"));
        assert!(!is_later("https://f/runs/9", "https://f/runs/9"));
        assert!(!is_later("https://f/runs/8", "https://f/runs/9"));
        assert!(!is_later("https://other/runs/10", "https://f/runs/9"));
        assert!(!is_later("https://f/runs/x", "https://f/runs/9"));
        assert!(!is_of_later_run("", &of("https://f/runs/9")));
    }

    #[test]
    fn no_name_breaks_the_table() {
        let sections = [section("a|b\n| x", 1, 0), section("c", 1, 0)];
        let shown = compose(frame(65_536), &sections);
        assert!(shown.contains("| `a\\|b \\| x` | 1 to create |\n"), "{shown}");
    }
}
