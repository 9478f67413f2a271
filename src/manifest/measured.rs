//! *Pure*: a template becomes one that measures itself. The engine counts its steps; what one step
//! can multiply is wrapped in calls that count it: the results of `~`, `+` and `*`, the operands of
//! comparisons, the contents of a namespace, and long texts that a loop repeats. Values that must
//! not be null, although the engine would accept it, are wrapped in calls that refuse null. Lines
//! stay lines.

use std::borrow::Cow;
use std::cmp::Reverse;

use minijinja::machinery::{Token, tokenize};

use super::engine::{KEPT, MADE, SIZED, WEIGHED, syntax};
use super::null::{EACH, ORDERED, SLICED, WITHIN};

/// From how many bytes on a text between tags is counted each time that it is written.
const LONG: usize = 128;

/// The template with the calls in it.
///
/// # Errors
///
/// The byte at which a long text of spaces and braces alone stands in a template that repeats
/// something: there is no place in it for a call.
pub(super) fn measured(source: &str) -> Result<String, usize> {
    let mut meter = Meter { source, ..Meter::default() };
    for token in tokenize(source, false, syntax()) {
        // The parser says what is wrong.
        let Ok((token, span)) = token else { return Ok(source.to_owned()) };
        meter.take(&token, span.start_offset as usize, span.end_offset as usize);
    }
    if let Some(at) = meter.unmeasured.filter(|_| meter.repeats) {
        return Err(at);
    }
    let mut insertions = meter.insertions;
    // Of calls that begin at one place, the one that ends last stands around the others.
    insertions.sort_by_key(|(at, until, _)| (*at, Reverse(*until)));
    let mut out = String::with_capacity(source.len() + insertions.len() * 8);
    let mut done = 0;
    for (at, _, text) in insertions {
        out.push_str(&source[done..at]);
        out.push_str(&text);
        done = at;
    }
    Ok(out + &source[done..])
}

/// What is put in, at which byte, and where that ends which begins with it.
type Insertions = Vec<(usize, usize, Cow<'static, str>)>;

/// Puts a call around a part of the source.
fn wrap(insertions: &mut Insertions, call: &str, (start, end): (usize, usize)) {
    insertions.push((start, end, format!("{call}(").into()));
    insertions.push((end, end, ")".into()));
}

/// A statement whose parts have a meaning of their own.
#[derive(Default)]
enum Statement {
    #[default]
    Other,
    /// A loop, up to its `in`.
    For,
    /// What a loop goes through begins at this byte.
    Each(usize),
    /// An assignment, up to its `=`, and whether it is to an attribute.
    Set { is_attribute: bool },
    /// What is assigned to an attribute begins at this byte.
    Kept(usize),
}

#[derive(Default)]
struct Meter<'a> {
    source: &'a str,
    insertions: Insertions,
    /// The expressions in one another at the current place.
    open: Vec<Term>,
    is_first: bool,
    /// Whether the word before this one makes it a name.
    names_next: bool,
    statement: Statement,
    /// Where the last token ends.
    end: usize,
    /// The last side of a comparison, where it is a name.
    sought: Option<(usize, usize)>,
    /// Where the first long text is that nothing counts.
    unmeasured: Option<usize>,
    /// Whether something is repeated.
    repeats: bool,
}

impl Meter<'_> {
    fn take(&mut self, token: &Token<'_>, start: usize, end: usize) {
        let was_first = std::mem::take(&mut self.is_first);
        let was_named = std::mem::take(&mut self.names_next);
        match token {
            Token::TemplateData(text) => self.raw(text),
            Token::VariableStart | Token::BlockStart => {
                self.open = vec![Term::default()];
                self.is_first = matches!(token, Token::BlockStart);
                self.statement = Statement::Other;
            }
            Token::VariableEnd | Token::BlockEnd => {
                self.end_loop();
                self.flush(false);
                if let Statement::Kept(from) = std::mem::take(&mut self.statement) {
                    self.insertions.push((from, self.end, format!("{KEPT}((").into()));
                    self.insertions.push((self.end, self.end, "))".into()));
                }
                self.open.clear();
            }
            Token::Ident(name) if was_first => {
                self.repeats |= ["for", "macro", "call"].contains(name);
                self.statement = match *name {
                    "for" => Statement::For,
                    "set" => Statement::Set { is_attribute: false },
                    _ => Statement::Other,
                };
            }
            Token::Ident("not") if was_named => {
                self.names_next = true;
                self.add(token, start, end);
            }
            Token::Comma | Token::Colon | Token::Assign => self.separator(token, end),
            Token::Eq | Token::Ne => self.compare(None, None),
            Token::Gt | Token::Gte | Token::Lt | Token::Lte => {
                self.compare(Some(ORDERED), Some(ORDERED));
            }
            Token::Ident("in") if !was_named => match self.statement {
                Statement::For if self.open.len() == 1 => {
                    self.flush(false);
                    self.statement = Statement::Each(end);
                }
                _ => self.compare(None, Some(WITHIN)),
            },
            // What stands before it is the left side of `not in`.
            Token::Ident("not") => self.flush(true),
            // A list may have this name.
            Token::Ident("recursive") if matches!(self.statement, Statement::Each(from) if from == self.end) =>
            {
                self.add(token, start, end);
            }
            Token::Ident("if" | "else" | "and" | "or" | "as" | "recursive") if !was_named => {
                if let Token::Ident("if" | "recursive") = token {
                    self.end_loop();
                }
                self.flush(false);
            }
            _ => self.add(token, start, end),
        }
        self.end = end;
    }

    /// Ends what a loop goes through, if that is where the template is.
    fn end_loop(&mut self) {
        if let (Statement::Each(from), 1) = (&self.statement, self.open.len()) {
            self.insertions.push((*from, self.end, format!(" {EACH}(").into()));
            self.insertions.push((self.end, self.end, ")".into()));
            self.statement = Statement::Other;
        }
    }

    fn separator(&mut self, token: &Token<'_>, end: usize) {
        self.flush(false);
        if let (Token::Colon, [.., around, _]) = (token, &mut self.open[..])
            && let Some(sliced) = around.subscribed.take()
        {
            wrap(&mut self.insertions, SLICED, sliced);
        }
        if let (Token::Assign, Statement::Set { is_attribute: true }, 1) =
            (token, &self.statement, self.open.len())
        {
            self.statement = Statement::Kept(end);
        }
    }

    fn add(&mut self, token: &Token<'_>, start: usize, end: usize) {
        match token {
            Token::Dot | Token::Pipe | Token::Ident("is") => {
                self.names_next = true;
                if let Statement::Set { is_attribute } = &mut self.statement {
                    *is_attribute = true;
                }
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.flush(false);
                self.open.pop();
                let around = self.open.last_mut();
                let again = around.and_then(|around| around.begins_again.take());
                if let Some(from) = again.filter(|from| *from < self.end) {
                    wrap(&mut self.insertions, EACH, (from, self.end));
                }
            }
            _ => {}
        }
        let Some(term) = self.open.last_mut() else { return };
        term.add(start, end, token);
        if matches!(token, Token::ParenOpen | Token::BracketOpen | Token::BraceOpen) {
            self.open.push(Term::default());
        }
    }

    /// Ends a side of a comparison, and begins the other one: what looks at each of them.
    fn compare(&mut self, left: Option<&'static str>, right: Option<&'static str>) {
        if let Some(term) = self.open.last_mut() {
            term.looked_at_by.extend(left);
        }
        self.flush(true);
        // What is looked for in a text must not be null, and to name it once more costs nothing.
        let sought = self.sought.take().and_then(|(start, end)| self.source.get(start..end));
        if let Some(term) = self.open.last_mut() {
            term.is_compared = true;
            term.looked_at_by.extend(right);
            term.sought = sought.filter(|_| right == Some(WITHIN)).map(str::to_owned);
        }
    }

    fn flush(&mut self, is_compared: bool) {
        if let Some(term) = self.open.last_mut() {
            let mut term = std::mem::take(term);
            term.is_compared |= is_compared;
            // Before `in` there is nothing more once `not` was read.
            if term.range.is_some() {
                self.sought = term.range.filter(|_| !term.is_computed);
            }
            term.wrap(&mut self.insertions);
        }
    }

    /// Counts a long text each time that it is written. The call stands where it changes
    /// nothing of what tags take off the text beside them.
    fn raw(&mut self, text: &str) {
        if text.len() < LONG {
            return;
        }
        // It is a part of the source, so its place is where it lies in it.
        let start = (text.as_ptr() as usize).saturating_sub(self.source.as_ptr() as usize);
        let Some(before) = self.source.get(..start) else { return };
        let at = match (raw_tag(before), text.find(|c: char| !c.is_whitespace() && c != '{')) {
            (Some(at), _) => at,
            (None, Some(at)) => start + at + text[at..].chars().next().map_or(0, char::len_utf8),
            (None, None) => {
                self.unmeasured.get_or_insert(start);
                return;
            }
        };
        self.insertions.push((at, at, format!("{{{{ {MADE}({}) }}}}", text.len()).into()));
    }
}

/// Where a call can stand before the tag of a `raw` block, if one ends there.
fn raw_tag(before: &str) -> Option<usize> {
    let tag = before.trim_end().strip_suffix("%}")?;
    let at = tag.rfind("{%")?;
    let is_raw = tag[at + 2..].trim_matches(['+', '-']).trim() == "raw";
    // What the tag takes off stands between the call and the tag.
    let is_cutting = tag[at + 2..].starts_with('-');
    is_raw.then(|| if is_cutting { before[..at].trim_end().len() } else { at })
}

/// A part of an expression whose operators bind tighter than what is around it.
#[derive(Default)]
struct Term {
    /// Where it begins and ends.
    range: Option<(usize, usize)>,
    /// Whether an operator in it can make something larger.
    grows: bool,
    /// Whether it is more than a name.
    is_computed: bool,
    /// The name of what is looked for in it.
    sought: Option<String>,
    /// Whether it is a side of a comparison.
    is_compared: bool,
    /// The calls that refuse null on this side of the comparison.
    looked_at_by: Vec<&'static str>,
    /// Where the value begins that an index may follow.
    operand: Option<usize>,
    /// Whether the name of a test comes next.
    is_tested: bool,
    /// Whether this is nothing but `loop` so far.
    is_loop: bool,
    /// What has an index, in which the current place is.
    subscribed: Option<(usize, usize)>,
    /// Where that begins with which a recursive loop begins again.
    begins_again: Option<usize>,
    /// The parts that `~` puts together, up to the last of them.
    parts: Vec<(usize, usize)>,
    part: Option<(usize, usize)>,
}

impl Term {
    fn add(&mut self, start: usize, end: usize, token: &Token<'_>) {
        let extended =
            |range: Option<(usize, usize)>| Some((range.map_or(start, |range| range.0), end));
        let before = self.range.map_or(start, |range| range.1);
        self.subscribed = match (token, self.operand) {
            (Token::BracketOpen, Some(from)) => Some((from, before)),
            _ => None,
        };
        self.begins_again = (self.is_loop && matches!(token, Token::ParenOpen)).then_some(end);
        self.is_loop = self.operand.is_none() && matches!(token, Token::Ident("loop"));
        self.place_operand(token, start);
        self.range = extended(self.range);
        self.is_computed |= !matches!(token, Token::Ident(_) | Token::Dot);
        self.grows |= matches!(token, Token::Tilde | Token::Plus | Token::Mul);
        if matches!(token, Token::Tilde) {
            self.parts.extend(self.part.take());
        } else {
            self.part = extended(self.part);
        }
    }

    /// Keeps where the value begins that ends here.
    fn place_operand(&mut self, token: &Token<'_>, start: usize) {
        match token {
            Token::Tilde | Token::Plus | Token::Minus | Token::Mul | Token::Div => {
                self.operand = None;
            }
            Token::FloorDiv | Token::Mod | Token::Pow => self.operand = None,
            Token::Ident("is") => self.is_tested = true,
            // The name of a test is no value, and what it is given may follow it.
            Token::Ident(name) if self.is_tested => {
                self.is_tested = *name == "not";
                self.operand = None;
            }
            _ => {
                self.operand.get_or_insert(start);
            }
        }
    }

    fn wrap(self, insertions: &mut Insertions) {
        let Some(whole) = self.range else { return };
        let parts = if self.parts.is_empty() { None } else { self.part };
        let parts = self.parts.into_iter().chain(parts).filter(|_| self.grows);
        parts.for_each(|part| wrap(insertions, SIZED, part));
        // It belongs to the call that begins last and ends first of those around the whole.
        if let Some(sought) = self.sought {
            insertions.push((whole.1, whole.1, format!(", {sought}").into()));
        }
        let counted = self.grows.then_some(SIZED).into_iter();
        let counted = counted.chain(self.is_compared.then_some(WEIGHED));
        counted.chain(self.looked_at_by).for_each(|call| wrap(insertions, call, whole));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_called_and_the_rest_stays() {
        for (source, expected) in [
            ("{{ a }} {% if a %}b{% endif %}", "{{ a }} {% if a %}b{% endif %}"),
            ("{{ a ~ b }}", "{{ _sized(_sized(a )~ _sized(b)) }}"),
            ("{% if a == b %}", "{% if _weighed(a) == _weighed(b) %}"),
            ("{% if a not in b %}", "{% if _weighed(a) not in _weighed(_within(b, a)) %}"),
            ("{% if a < b %}", "{% if _weighed(_ordered(a)) < _weighed(_ordered(b)) %}"),
            ("{% for a in b recursive %}", "{% for a in _each(b) recursive %}"),
            ("{% for a in recursive %}", "{% for a in _each( recursive) %}"),
            (
                "{{ loop(a.b) ~ a.loop(b) }}",
                "{{ _sized(_sized(loop(_each(a.b))) ~ _sized(a.loop(b))) }}",
            ),
            (
                "{{ c ~ -a.b[1:][0][:2] }}",
                "{{ _sized(_sized(c) ~ _sized(-_sliced(_sliced(a.b)[1:][0])[:2])) }}",
            ),
            ("{{ a is lt b[1:] }}", "{{ a is lt _sliced(b)[1:] }}"),
            ("{{ {'a': [b]}[c:] }}", "{{ _sliced({'a': [b]})[c:] }}"),
            ("{{ [a, {'a': b}] }}", "{{ [a, {'a': b}] }}"),
            (
                "{% for a in b if a in c %}",
                "{% for a in _each(b) if _weighed(a) in _weighed(_within(c, a)) %}",
            ),
            ("{% set n.a = b, 1 %}", "{% set n.a =_kept(( b, 1)) %}"),
            ("{% set a = b %}", "{% set a = b %}"),
            ("{{ a is in(b) }}", "{{ a is in(b) }}"),
        ] {
            let plain = |text: &str| text.replace(' ', "");
            assert_eq!(plain(&measured(source).unwrap()), plain(expected), "{source}");
        }
    }

    #[test]
    fn a_long_text_is_counted_where_nothing_is_taken_off() {
        let long = "y".repeat(LONG);
        let call = format!("{{{{ _made({LONG}) }}}}");
        assert_eq!(measured(&long).unwrap(), format!("y{call}{}", &long[1..]));
        let in_raw = format!("{{%- raw %}}{long}{{% endraw %}}");
        assert_eq!(measured(&format!("a  {in_raw}")).unwrap(), format!("a{call}  {in_raw}"));
        let in_raw = format!("{{% raw -%}} {long}{{% endraw %}}");
        assert_eq!(measured(&format!("a  {in_raw}")).unwrap(), format!("a  {call}{in_raw}"));
        let blank = " ".repeat(LONG);
        assert_eq!(measured(&blank).unwrap(), blank);
        assert_eq!(measured(&format!("{{% for a in b %}}{blank}{{% endfor %}}")), Err(16));
    }
}
