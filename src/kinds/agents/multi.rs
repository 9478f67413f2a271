//! *Pure*: several agents in one service, each described by a piece of a text: `multi`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::family::Family;
use super::given::Given;
use super::options::{AgentOption, Takes};
use super::service::{About, IMAGE, TOKEN, annotations, token};
use super::words::joined;

/// The families that a piece can be of.
pub const FAMILIES: [Family; 4] =
    [Family::Chatbot, Family::Worker, Family::Mailbot, Family::Voicebot];

/// The word of a piece that is a class of a Python file.
pub const PYTHON: &str = "python";

/// The options of such a piece, behind the file.
pub const PYTHON_OPTIONS: &[AgentOption] = &[
    AgentOption::new("name", Takes::Text, "The class in the file; main if absent"),
    AgentOption::new("path", Takes::Text, "The path under which it is called"),
    AgentOption::new("identity", Takes::Text, "The name with which it takes part; agent if absent"),
    AgentOption::new("host", Takes::Text, "The address to listen on"),
    AgentOption::new("port", Takes::Number, "The port to listen on"),
];

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// As it was written.
    pub text: String,
    /// Its words, without quotes.
    pub words: Vec<String>,
}

/// Reads a text: pieces that are separated by `;`, each made of words as a shell reads them. What is
/// empty is no piece.
///
/// # Errors
///
/// A quote that is not closed, and a `\` at the end.
pub fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut reader = Reader::default();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (reader.quote, letter) {
            (None, ';') => {
                reader.end_piece();
                continue;
            }
            (None, ' ' | '\t' | '\r' | '\n') => reader.end_word(),
            (None, '\'' | '"') => {
                reader.quote = Some(letter);
                reader.add(None);
            }
            (Some(quote), letter) if quote == letter => reader.quote = None,
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or("it ends with \\, and nothing follows")?;
                // Between quotes, only these two are written so.
                let is_kept = reader.quote.is_some() && !['"', '\\'].contains(&next);
                reader.add(is_kept.then_some('\\'));
                reader.add(Some(next));
                reader.text.push('\\');
                reader.text.push(next);
                continue;
            }
            (_, letter) => reader.add(Some(letter)),
        }
        reader.text.push(letter);
    }
    match reader.quote {
        Some(quote) => Err(format!("the quote {quote} is not closed")),
        None => {
            reader.end_piece();
            Ok(reader.pieces)
        }
    }
}

/// What was read of a text.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    text: String,
    words: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
}

impl Reader {
    /// Adds a letter to the word that begins or goes on here.
    fn add(&mut self, letter: Option<char>) {
        self.word.get_or_insert_default().extend(letter);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_piece(&mut self) {
        self.end_word();
        let (text, words) = (std::mem::take(&mut self.text), std::mem::take(&mut self.words));
        if !words.is_empty() {
            self.pieces.push(Piece { text, words });
        }
    }
}

/// What a piece describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The family; none for a class of a Python file.
    pub family: Option<Family>,
    /// Its options.
    pub given: Given,
}

impl Member {
    /// The name with which it takes part in rooms.
    fn identity(&self) -> &str {
        match self.family {
            Some(_) => self.given.text("agent-name").unwrap_or_default(),
            None => self.given.text("identity").unwrap_or("agent"),
        }
    }
}

/// The service of all pieces.
///
/// # Errors
///
/// Pieces that cannot be in one container.
pub fn service(
    about: &About,
    identity: &str,
    pieces: &[Piece],
    members: &[Member],
) -> Result<Value, String> {
    let ports: BTreeSet<_> = members.iter().map(|member| member.given.text("port")).collect();
    if ports.len() > 1 {
        return Err("the agents listen on different ports: leave --port out, or give all of them \
                    the same"
            .to_owned());
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = members.iter().map(Member::identity).find(|name| !names.insert(*name)) {
        return Err(format!("two agents have the name {twice:?}"));
    }
    let agents = members.iter().filter_map(|member| {
        let annotations = annotations(member.family?, &member.given);
        Some(json!({"name": member.identity(), "annotations": annotations}))
    });
    let container = json!({
        "image": IMAGE,
        "command": command(pieces),
        "environment": [token(TOKEN, identity)],
    });
    let ports = json!([{"num": "*", "type": "http", "endpoints": endpoints(members)?}]);
    Ok(about.service(agents.collect(), ports, container))
}

/// Where each of them is called.
fn endpoints(members: &[Member]) -> Result<Vec<Value>, String> {
    let mut taken: Vec<String> = Vec::new();
    let mut endpoints = Vec::new();
    for member in members {
        let free = || {
            let paths = std::iter::once("/agent".to_owned());
            let mut paths = paths.chain((1..).map(|number: usize| format!("/agent{number}")));
            paths.find(|path| !taken.contains(path)).unwrap_or_default()
        };
        let path = member.given.text("path").map_or_else(free, str::to_owned);
        if taken.contains(&path) {
            return Err(format!("two agents have the path {path:?}"));
        }
        endpoints.push(json!({"path": path, "meshagent": {"identity": member.identity()}}));
        taken.push(path);
    }
    Ok(endpoints)
}

/// The command of the container. The text is written between double quotes, as release 0.31.4 has
/// it, unless something in it means more than itself there.
fn command(pieces: &[Piece]) -> String {
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let text = texts.join(";");
    match text.contains(['\\', '$', '`']) {
        true => joined(&["meshagent", "multi", "service", "-c", &text].map(str::to_owned)),
        false => format!("meshagent multi service -c \"{}\"", text.replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        pieces(text).unwrap().into_iter().map(|piece| piece.words).collect()
    }

    #[test]
    fn pieces_end_at_semicolons_that_are_not_quoted() {
        assert_eq!(
            words("chatbot -r 'a; b';worker \"c;'d\" e\\;f ; "),
            [vec!["chatbot", "-r", "a; b"], vec!["worker", "c;'d", "e;f"]]
        );
        assert_eq!(words(" ;; \n;"), Vec::<Vec<String>>::new());
        assert_eq!(words("a #b ''\t'x'y\"z\""), [["a", "#b", "", "xyz"]]);
        let texts: Vec<_> =
            pieces("a  b; 'c' ;;d").unwrap().into_iter().map(|it| it.text).collect();
        assert_eq!(texts, ["a  b", " 'c' ", "d"]);
        for wrong in ["a 'b", "a \"b", "a \"b\\", "a \\"] {
            assert!(pieces(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn backslashes_mean_what_they_mean_in_a_shell() {
        // What Python's `shlex.split` makes of these.
        for (text, expected) in [
            (r"\a", "a"),
            (r#""\a""#, r"\a"),
            (r#""\"\\""#, r#""\"#),
            (r"'\a\'", r"\a\"),
            (r"a\ b", "a b"),
            (r#""a\$b""#, r"a\$b"),
            ("\"a\\\nb\"", "a\\\nb"),
        ] {
            assert_eq!(words(text), [[expected]], "{text}");
        }
    }

    proptest::proptest! {
        /// What the container is given is the text, for programs that split it and for a shell.
        #[test]
        fn the_command_says_the_text(text in "[a-c'\"\\\\$` \n#!&|~*;üé-]{0,12}") {
            let pieces = [Piece { text: text.clone(), words: Vec::new() }];
            let line = command(&pieces);
            let read = super::pieces(&line).unwrap().remove(0).words;
            proptest::prop_assert_eq!(read.last(), Some(&text));
        }
    }
}
