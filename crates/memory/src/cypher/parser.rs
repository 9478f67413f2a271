//! What the words of a statement say.

mod expression;
mod pattern;

use meshagent_tables::{Error, Result};

use super::ast::{Expression, Item, Order, Place, Statement, What};
use super::lexer::{self, Kind, Token};
use crate::limits;

/// What a statement can be, for messages.
const UNDERSTOOD: &str = "understood is MATCH (e:Entity {name: 'x'}) or (a)-[r:TYPE]->(b), \
                          WHERE, RETURN [DISTINCT], ORDER BY, SKIP and LIMIT";

/// Words of Cypher that write, and what does it here: a tool of rooms, and a command.
const WRITES: [(&str, &str); 8] = [
    ("CREATE", ADD),
    ("MERGE", ADD),
    ("SET", ADD),
    ("REMOVE", ADD),
    ("DELETE", DELETE),
    ("DETACH", DELETE),
    ("FOREACH", ADD),
    ("DROP", "drop drops a memory; on the command line, \"room memory drop\""),
];

const ADD: &str = "upsert_nodes and upsert_relationships add and change records; on the command \
                   line, \"room memory upsert-nodes\" and \"room memory upsert-relationships\"";

const DELETE: &str = "delete_entities deletes entities with their relationships, and \
                      delete_relationships those alone; on the command line, \
                      \"room memory delete-entities\" and \"room memory delete-relationships\"";

/// Words of Cypher that read, and are not understood.
const UNKNOWN: [&str; 12] = [
    "OPTIONAL", "WITH", "UNWIND", "UNION", "CALL", "LOAD", "USE", "EXPLAIN", "PROFILE", "SHOW",
    "FINISH", "LET",
];

/// Columns that an answer may be asked for.
const ITEMS: usize = 100;

/// Reads a statement.
///
/// # Errors
///
/// It is not one that is understood. The text begins with the place, as line and column.
pub fn parse(text: &str) -> Result<Statement> {
    let tokens = lexer::cut(text)?;
    Parser { text, tokens, at: 0, depth: 0 }.statement()
}

struct Parser<'a> {
    text: &'a str,
    /// The last one is [`Kind::End`], and is never passed.
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn statement(mut self) -> Result<Statement> {
        self.clause("MATCH")?;
        let (nodes, edges) = self.pattern()?;
        let filter = match self.keyword("WHERE") {
            true => Some(self.expression()?),
            false => None,
        };
        self.clause("RETURN")?;
        let distinct = self.keyword("DISTINCT");
        let mut statement = Statement {
            nodes,
            edges,
            filter,
            distinct,
            items: Vec::new(),
            order: Vec::new(),
            skip: 0,
            limit: None,
        };
        self.items(&mut statement)?;
        if self.keyword("ORDER") {
            self.expect_word("BY")?;
            self.order(&mut statement)?;
        }
        if self.keyword("SKIP") {
            statement.skip = self.count("SKIP")?;
        }
        if self.keyword("LIMIT") {
            statement.limit = Some(self.count("LIMIT")?);
        }
        self.sign(";");
        match self.peek() {
            Kind::End => Ok(statement),
            _ => Err(self.unexpected("the end of the statement")),
        }
    }

    fn items(&mut self, statement: &mut Statement) -> Result<()> {
        let begin = self.place();
        if self.sign("*") {
            let nodes = statement.nodes.iter().map(|node| &node.variable);
            let edges = statement.edges.iter().map(|edge| &edge.variable);
            for name in nodes.chain(edges).flatten() {
                let what = What::Variable(name.text.clone());
                let expression = Expression { place: begin, what };
                if !statement.items.iter().any(|item| item.name == name.text) {
                    let item = Item { expression, name: name.text.clone(), alias: false };
                    statement.items.push(item);
                }
            }
            return match statement.items.is_empty() {
                true => Err(begin.error("the pattern has no variable for * to return")),
                false => Ok(()),
            };
        }
        loop {
            let start = self.at;
            let expression = self.expression()?;
            let (from, to) = (self.tokens[start].span.0, self.tokens[self.at - 1].span.1);
            let alias = self.keyword("AS");
            let name = match alias {
                true => self.name("a name behind AS")?.text,
                false => self.text[from..to].to_owned(),
            };
            if statement.items.iter().any(|item| item.name == name) {
                let text = format!("there are two columns {name:?}; name one with AS");
                return Err(self.tokens[start].place.error(text));
            }
            if statement.items.len() >= ITEMS {
                let text = format!("an answer has at most {ITEMS} columns");
                return Err(self.tokens[start].place.error(text));
            }
            statement.items.push(Item { expression, name, alias });
            if !self.sign(",") {
                return Ok(());
            }
        }
    }

    fn order(&mut self, statement: &mut Statement) -> Result<()> {
        loop {
            let expression = self.expression()?;
            let descending = self.keyword("DESC") || self.keyword("DESCENDING");
            if !descending && !self.keyword("ASC") {
                self.keyword("ASCENDING");
            }
            if statement.order.len() >= ITEMS {
                return Err(expression.place.error(format!("an order has at most {ITEMS} parts")));
            }
            statement.order.push(Order { expression, descending });
            if !self.sign(",") {
                return Ok(());
            }
        }
    }

    fn count(&mut self, word: &str) -> Result<u64> {
        match *self.peek() {
            Kind::Int(count) => {
                self.advance();
                Ok(count.unsigned_abs())
            }
            _ => Err(self.unexpected(&format!("a whole number behind {word}"))),
        }
    }

    /// Takes the word that a clause begins with.
    fn clause(&mut self, word: &str) -> Result<()> {
        if self.keyword(word) {
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    /// Goes one level deeper. What it was called for comes back before the level is left.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= limits::STATEMENT_DEPTH {
            let most = limits::STATEMENT_DEPTH;
            return Err(self.place().error(format!("expressions are nested at most {most} deep")));
        }
        self.depth += 1;
        let done = read(self)?;
        self.depth -= 1;
        Ok(done)
    }

    fn token(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn place(&self) -> Place {
        self.token().place
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// Takes a keyword, if it comes next.
    fn keyword(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        match self.keyword(word) {
            true => Ok(()),
            false => Err(self.unexpected(word)),
        }
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    /// Takes a sign, if it comes next.
    fn sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<()> {
        match self.sign(sign) {
            true => Ok(()),
            false => Err(self.unexpected(sign)),
        }
    }

    fn name(&mut self, what: &str) -> Result<super::ast::Name> {
        let place = self.place();
        let (Kind::Word(text) | Kind::Quoted(text)) = self.peek() else {
            return Err(self.unexpected(what));
        };
        let text = text.clone();
        self.advance();
        Ok(super::ast::Name { text, place })
    }

    /// What comes next is not what was expected. What it is, is named if it is known.
    fn unexpected(&self, wanted: &str) -> Error {
        let place = self.place();
        let found = match self.peek() {
            Kind::Word(word) => {
                let upper = word.to_ascii_uppercase();
                if let Some((_, instead)) = WRITES.iter().find(|(write, _)| *write == upper) {
                    return place
                        .error(format!("{upper} writes, and a query only reads; {instead}"));
                }
                if UNKNOWN.contains(&upper.as_str()) {
                    return place.error(format!("{upper} is not understood; {UNDERSTOOD}"));
                }
                word.clone()
            }
            Kind::Quoted(name) => format!("`{name}`"),
            Kind::Text(_) => "a text".to_owned(),
            Kind::Int(number) => number.to_string(),
            Kind::Float(number) => number.to_string(),
            Kind::Sign("$") => {
                return place.error("parameters are not understood; write the value itself");
            }
            Kind::Sign(sign @ ("+" | "-" | "*" | "/" | "%" | "^")) => {
                return place.error(format!(
                    "{sign} is not understood here: there is no arithmetic. Expected {wanted}"
                ));
            }
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::End => "the end".to_owned(),
        };
        place.error(format!("expected {wanted}, and found {found}; {UNDERSTOOD}"))
    }
}
