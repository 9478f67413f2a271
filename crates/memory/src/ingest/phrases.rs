//! The words that rules look for.

/// Words that begin sentences with a capital and are no names, and those that have one anyway.
pub const NO_NAMES: [&str; 146] = [
    "a",
    "about",
    "above",
    "after",
    "again",
    "all",
    "also",
    "although",
    "always",
    "am",
    "an",
    "and",
    "another",
    "any",
    "anyone",
    "are",
    "as",
    "at",
    "be",
    "because",
    "before",
    "below",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "during",
    "each",
    "either",
    "every",
    "everyone",
    "everything",
    "few",
    "finally",
    "first",
    "for",
    "from",
    "has",
    "have",
    "he",
    "hello",
    "her",
    "here",
    "hi",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "instead",
    "is",
    "it",
    "its",
    "last",
    "later",
    "let",
    "many",
    "may",
    "maybe",
    "more",
    "most",
    "much",
    "my",
    "neither",
    "never",
    "next",
    "no",
    "nobody",
    "nor",
    "not",
    "nothing",
    "now",
    "often",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "please",
    "second",
    "several",
    "she",
    "should",
    "since",
    "so",
    "some",
    "someone",
    "sometimes",
    "soon",
    "still",
    "such",
    "thank",
    "thanks",
    "that",
    "the",
    "their",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "third",
    "this",
    "those",
    "though",
    "thus",
    "to",
    "today",
    "tomorrow",
    "two",
    "under",
    "unless",
    "until",
    "us",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "would",
    "yes",
    "yesterday",
    "yet",
    "you",
    "your",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Words within a name that have no capital.
pub const WITHIN: [&str; 14] =
    ["of", "de", "da", "del", "della", "di", "van", "von", "der", "den", "la", "le", "du", "al"];

/// Words before the name of a person.
pub const BEFORE_PERSONS: [&str; 12] =
    ["dr", "mr", "mrs", "ms", "miss", "prof", "professor", "sir", "lady", "herr", "frau", "madame"];

/// Words that end or begin the name of an organization.
pub const ORGANIZATIONS: [&str; 32] = [
    "inc",
    "ltd",
    "llc",
    "gmbh",
    "ag",
    "corp",
    "corporation",
    "company",
    "co",
    "plc",
    "sa",
    "university",
    "institute",
    "foundation",
    "bank",
    "group",
    "labs",
    "laboratories",
    "society",
    "association",
    "council",
    "ministry",
    "department",
    "agency",
    "college",
    "school",
    "hospital",
    "museum",
    "committee",
    "commission",
    "team",
    "club",
];

/// Words that end or begin the name of a place.
pub const PLACES: [&str; 24] = [
    "street",
    "river",
    "lake",
    "mount",
    "mountain",
    "mountains",
    "city",
    "island",
    "islands",
    "county",
    "valley",
    "avenue",
    "road",
    "square",
    "airport",
    "bay",
    "bridge",
    "park",
    "ocean",
    "sea",
    "desert",
    "province",
    "forest",
    "peninsula",
];

/// The months, with how they are cut short.
pub const MONTHS: [(&str, &str); 12] = [
    ("january", "jan"),
    ("february", "feb"),
    ("march", "mar"),
    ("april", "apr"),
    ("may", "may"),
    ("june", "jun"),
    ("july", "jul"),
    ("august", "aug"),
    ("september", "sep"),
    ("october", "oct"),
    ("november", "nov"),
    ("december", "dec"),
];

/// What stands between names in a row.
pub const JOINS: [&str; 7] = ["and", "or", "&", ",", ", and", ", or", "und"];

/// What words between two names say of them: the relationship, and what the names are, if it says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub words: &'static [&'static str],
    pub relationship: &'static str,
    pub source: Option<&'static str>,
    pub target: Option<&'static str>,
}

const fn rule(
    words: &'static [&'static str],
    relationship: &'static str,
    source: Option<&'static str>,
    target: Option<&'static str>,
) -> Rule {
    Rule { words, relationship, source, target }
}

const PERSON: Option<&str> = Some("Person");
const ORGANIZATION: Option<&str> = Some("Organization");
const PLACE: Option<&str> = Some("Place");

/// The rules. Words are looked up whole.
pub const RULES: [Rule; 18] = [
    rule(
        &[
            "works at",
            "work at",
            "worked at",
            "works for",
            "work for",
            "worked for",
            "joined",
            "joins",
            "is employed by",
            "was employed by",
            "is working at",
            "is working for",
        ],
        "WORKS_AT",
        PERSON,
        ORGANIZATION,
    ),
    rule(
        &["works with", "work with", "worked with", "works together with", "collaborates with"],
        "WORKS_WITH",
        PERSON,
        None,
    ),
    rule(
        &["lives in", "live in", "lived in", "moved to", "moves to", "was born in"],
        "LIVES_IN",
        PERSON,
        PLACE,
    ),
    rule(
        &[
            "is based in",
            "are based in",
            "is located in",
            "are located in",
            "is headquartered in",
            "is in",
            "lies in",
        ],
        "LOCATED_IN",
        None,
        PLACE,
    ),
    rule(&["knows", "know", "met", "meets"], "KNOWS", PERSON, PERSON),
    rule(&["manages", "managed", "leads", "led", "supervises"], "MANAGES", PERSON, None),
    rule(&["reports to", "report to", "reported to"], "REPORTS_TO", PERSON, PERSON),
    rule(&["is married to", "was married to", "married"], "MARRIED_TO", PERSON, PERSON),
    rule(&["founded", "co-founded", "established"], "FOUNDED", None, ORGANIZATION),
    rule(
        &["created", "creates", "built", "builds", "developed", "develops", "invented"],
        "CREATED",
        None,
        None,
    ),
    rule(&["wrote", "writes", "published"], "WROTE", None, None),
    rule(&["owns", "own", "owned", "acquired", "bought"], "OWNS", None, None),
    rule(&["uses", "use", "used", "is using"], "USES", None, None),
    rule(&["likes", "like", "loves", "love", "prefers", "prefer"], "LIKES", None, None),
    rule(&["is a", "is an", "is the", "are", "is", "was a", "was an"], "IS_A", None, None),
    rule(&["is part of", "are part of", "belongs to", "belong to"], "PART_OF", None, None),
    rule(&["depends on", "depend on", "relies on", "requires"], "DEPENDS_ON", None, None),
    rule(&["visited", "visits", "travelled to", "traveled to", "went to"], "VISITED", None, PLACE),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_small_and_in_one_rule() {
        let mut seen = HashSet::new();
        for words in RULES.iter().flat_map(|rule| rule.words) {
            assert_eq!(words.to_lowercase(), **words);
            assert!(seen.insert(words), "{words}");
        }
        assert!(NO_NAMES.iter().all(|word| word.to_lowercase() == *word));
    }
}
