//! How a document is laid out: which bytes each value takes, and in which style. The tree
//! of [`super::super::yaml`] says what a document means; this one says where it stands.

use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// A value as it stands in the text.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Its first byte; of a block scalar, that of its header. Anchors and tags stand before.
    pub start: usize,
    /// The byte after its last one; of a block scalar, without the line feed that ends it.
    pub end: usize,
    /// After the colon or dash that leads to it; its own start where there is none.
    pub lead: usize,
    /// How it is written.
    pub style: Style,
    /// Whether an alias elsewhere means it too.
    pub shared: bool,
    /// The number of its anchor; zero when it has none.
    anchor: usize,
    /// What stands in it.
    pub entries: Vec<Entry>,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing, which means null.
    Missing,
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// Below `|`.
    Literal,
    /// Below `>`.
    Folded,
    /// `*name`.
    Alias,
    /// Lines that start with a dash.
    BlockList,
    /// Lines that start with a key.
    BlockMap,
    /// `[…]`.
    FlowList,
    /// `{…}`.
    FlowMap,
}

impl Style {
    /// Whether lines decide what belongs to it.
    #[must_use]
    pub fn is_block(self) -> bool {
        matches!(self, Self::Literal | Self::Folded | Self::BlockList | Self::BlockMap)
    }
}

/// An entry of a map or an item of a list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its first byte: that of the key or the dash; in flow lists, of the item.
    pub start: usize,
    /// The key's text, of a map.
    pub key: Option<String>,
    /// Whether the key is written in double quotes.
    pub is_quoted: bool,
    /// The value.
    pub value: Piece,
}

/// Reads the layout of the first document of a text. `None` when the text is not YAML or
/// uses forms in which edits are not made: keys that are not plain texts, `? key`, pairs
/// in lists without braces.
#[must_use]
pub fn read(text: &str) -> Option<Piece> {
    let mut reader = Reader { text, events: Vec::new(), next: 0 };
    let mut aliased = HashSet::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let range = span.byte_range()?;
        match event {
            Event::Alias(id) => {
                aliased.insert(id);
                reader.events.push((Token::Alias, range));
            }
            Event::Scalar(value, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain if range.is_empty() => Style::Missing,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                reader.events.push((Token::Scalar(value.into_owned(), style, anchor), range));
            }
            Event::SequenceStart(style, anchor, _) => {
                let style = match style {
                    StructureStyle::Block => Style::BlockList,
                    StructureStyle::Flow => Style::FlowList,
                };
                reader.events.push((Token::Start(style, anchor), range));
            }
            Event::MappingStart(style, anchor, _) => {
                let style = match style {
                    StructureStyle::Block => Style::BlockMap,
                    StructureStyle::Flow => Style::FlowMap,
                };
                reader.events.push((Token::Start(style, anchor), range));
            }
            Event::SequenceEnd | Event::MappingEnd => reader.events.push((Token::End, range)),
            Event::DocumentEnd => break,
            _ => {}
        }
    }
    let start = reader.events.first()?.1.start;
    let mut root = reader.piece(start)?;
    root.share(&aliased);
    Some(root)
}

enum Token {
    Scalar(String, Style, usize),
    Start(Style, usize),
    End,
    Alias,
}

impl Piece {
    fn share(&mut self, aliased: &HashSet<usize>) {
        self.shared = aliased.contains(&self.anchor);
        for entry in &mut self.entries {
            entry.value.share(aliased);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    events: Vec<(Token, std::ops::Range<usize>)>,
    next: usize,
}

impl Reader<'_> {
    /// The piece that comes next, led to by what ends at `lead`.
    fn piece(&mut self, lead: usize) -> Option<Piece> {
        let (token, range) = self.events.get(self.next)?;
        let (style, anchor) = match token {
            Token::Alias => (Style::Alias, 0),
            Token::Scalar(_, style, anchor) | Token::Start(style, anchor) => (*style, *anchor),
            Token::End => return None,
        };
        let (start, end) = (range.start, range.end);
        let mut piece =
            Piece { start, end, lead, style, shared: false, anchor, entries: Vec::new() };
        self.next += 1;
        match style {
            Style::BlockMap | Style::FlowMap => self.map(&mut piece)?,
            Style::BlockList | Style::FlowList => self.list(&mut piece)?,
            Style::Literal | Style::Folded => self.bound_block_scalar(&mut piece)?,
            Style::Missing => (piece.start, piece.end) = (lead, lead),
            _ => {}
        }
        Some(piece)
    }

    /// Ends a collection if its end comes next.
    fn end(&mut self, piece: &mut Piece) -> bool {
        let Some((Token::End, range)) = self.events.get(self.next) else { return false };
        self.next += 1;
        piece.end = match piece.style {
            Style::FlowList | Style::FlowMap => range.end,
            _ => piece.entries.last().map_or(piece.start, |entry| entry.value.end),
        };
        true
    }

    fn map(&mut self, piece: &mut Piece) -> Option<()> {
        if piece.style == Style::FlowMap && !self.text[piece.start..].starts_with('{') {
            return None;
        }
        while !self.end(piece) {
            let (Token::Scalar(key, style, 0), range) = self.events.get(self.next)? else {
                return None;
            };
            let (key, is_quoted, start, after) =
                (key.clone(), *style == Style::Double, range.start, range.end);
            self.next += 1;
            let rest = &self.text[after..];
            let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let colon = rest[spaces..].starts_with(':');
            // In flow style a key may stand alone.
            let lead = match (colon, piece.style) {
                (true, _) => after + spaces + 1,
                (false, Style::FlowMap) => after,
                (false, _) => return None,
            };
            let value = self.piece(lead)?;
            piece.entries.push(Entry { start, key: Some(key), is_quoted, value });
        }
        Some(())
    }

    fn list(&mut self, piece: &mut Piece) -> Option<()> {
        if piece.style == Style::BlockList {
            // The parser tells the first dash or what follows it, depending on indentation.
            piece.start = self.first(piece.lead, '-')?;
        }
        let mut dash = piece.start;
        while !self.end(piece) {
            let lead = if piece.style == Style::BlockList {
                if let Some(last) = piece.entries.last() {
                    dash = self.first(line_end(self.text, last.value.end), '-')?;
                }
                dash + 1
            } else {
                self.events.get(self.next)?.1.start
            };
            let value = self.piece(lead)?;
            let start = if piece.style == Style::BlockList { dash } else { value.start };
            piece.entries.push(Entry { start, key: None, is_quoted: false, value });
        }
        Some(())
    }

    /// Where the next character that is neither space, comment, tag nor anchor stands, if
    /// it is this one.
    fn first(&self, mut at: usize, wanted: char) -> Option<usize> {
        loop {
            let rest = self.text.get(at..)?;
            match rest.chars().next()? {
                c if c == wanted => return Some(at),
                c if c.is_whitespace() => at += c.len_utf8(),
                '#' => at = line_end(self.text, at),
                '!' | '&' => at += rest.find(char::is_whitespace)?,
                _ => return None,
            }
        }
    }

    /// A block scalar's place is that of its text; what is edited starts at its header and
    /// ends without the empty lines after it, unless they belong to it.
    fn bound_block_scalar(&self, piece: &mut Piece) -> Option<()> {
        let sign = if piece.style == Style::Literal { '|' } else { '>' };
        let header = self.first(piece.lead, sign)?;
        let header_text = self.text[header..].lines().next().unwrap_or_default();
        let indicators = header_text.split([' ', '\t']).next().unwrap_or_default();
        let header_end = header + header_text.trim_end().len();
        let end = piece.end.max(header_end);
        let content = &self.text[header_end..end];
        piece.end = if indicators.contains('+') {
            header_end + content.strip_suffix('\n').unwrap_or(content).len()
        } else {
            header_end + content.trim_end_matches(['\n', '\r', ' ', '\t']).len()
        };
        piece.start = header;
        Some(())
    }
}

/// The byte after the line feed that ends the line of `at`, or the end of the text.
#[must_use]
pub fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length + 1)
}

/// The first byte of the line of `at`.
#[must_use]
pub fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |line_feed| line_feed + 1)
}

/// How far `at` stands from the start of its line, in bytes. Indentation is made of spaces,
/// so of a block's first byte this is its column.
#[must_use]
pub fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}
