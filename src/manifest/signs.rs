//! *Pure*: the signs that stand for sealed environment variables in a rendered text. A document is
//! read, checked and identified with the signs in it, so that no message about it depends on the
//! values of the variables. In the fields of an object, the values replace the signs, and the
//! fields are secret from then on.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::kinds::tree::Sealed;

/// What is shown where a sign stands.
const SHOWN: &str = "(secret)";

/// The signs in a text.
#[derive(Debug, Clone, Default)]
pub struct Signs(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    /// The character that each sign begins and ends with, and that stands nowhere else.
    mark: char,
    signs: Vec<Sign>,
}

/// A sign, and what it stands for.
#[derive(Debug)]
pub(super) struct Sign {
    /// How it is written.
    pub(super) sign: String,
    /// The name of the variable.
    pub(super) name: String,
    /// What the variable holds; `None` where that was not read.
    pub(super) text: Option<SecretString>,
}

impl PartialEq for Signs {
    fn eq(&self, other: &Self) -> bool {
        let written = |signs: &Self| -> Vec<(String, Option<String>)> {
            let signs = signs.0.iter().flat_map(|known| &known.signs);
            let text = |it: &Sign| it.text.as_ref().map(|text| text.expose_secret().to_owned());
            signs.map(|it| (it.sign.clone(), text(it))).collect()
        };
        written(self) == written(other)
    }
}

impl Eq for Signs {}

impl Signs {
    /// Signs that are made of a mark.
    pub(super) fn new(mark: char, signs: Vec<Sign>) -> Self {
        Self((!signs.is_empty()).then(|| Arc::new(Known { mark, signs })))
    }

    /// Whether one of them, or a part of one, stands in a text.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|known| text.contains(known.mark))
    }

    /// A text in which each sign is hidden.
    #[must_use]
    pub fn hidden_in(&self, text: String) -> String {
        let Some(known) = self.0.as_ref().filter(|known| text.contains(known.mark)) else {
            return text;
        };
        let whole = |text: String, it: &Sign| text.replace(&it.sign, SHOWN);
        // What cut the text may have cut a sign.
        known.signs.iter().fold(text, whole).replace(known.mark, "")
    }

    /// The names of the variables whose signs stand in a text, also where the text became one of
    /// small letters.
    pub(super) fn names_in(&self, text: &str) -> Vec<&str> {
        let signs = self.0.iter().flat_map(|known| &known.signs);
        let is_in = |sign: &str| text.contains(sign) || text.contains(&sign.to_lowercase());
        signs.filter(|it| is_in(&it.sign)).map(|it| it.name.as_str()).collect()
    }

    /// What a text with signs stands for; `None` where there are none in it. It is not read
    /// where one of them is not.
    pub(super) fn revealed(&self, text: &str) -> Option<Sealed> {
        let known = self.0.as_ref().filter(|known| text.contains(known.mark))?;
        // What a variable holds is put in once and not looked through for signs.
        let (mut rest, mut revealed) = (text, String::new());
        while let Some(at) = rest.find(known.mark) {
            revealed.push_str(&rest[..at]);
            rest = &rest[at..];
            let found = known.signs.iter().find(|it| rest.starts_with(&it.sign));
            match found {
                Some(it) => {
                    let Some(text) = &it.text else { return Some(Sealed::Unread) };
                    revealed.push_str(text.expose_secret());
                    rest = &rest[it.sign.len()..];
                }
                None => rest = &rest[known.mark.len_utf8()..],
            }
        }
        revealed.push_str(rest);
        Some(Sealed::Known(revealed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs() -> Signs {
        let sign = |sign: &str, name: &str, text: &str| Sign {
            sign: sign.to_owned(),
            name: name.to_owned(),
            text: Some(SecretString::from(text)),
        };
        Signs::new('§', vec![sign("§0§", "ONE", "first §1§"), sign("§1§", "TWO", "second")])
    }

    #[test]
    fn signs_are_hidden_whole_and_in_part() {
        let signs = signs();
        assert_eq!(signs.hidden_in("a §0§ b §1§§".to_owned()), "a (secret) b (secret)");
        assert_eq!(signs.hidden_in("first second".to_owned()), "first second");
        assert_eq!(signs.names_in("x §1§"), ["TWO"]);
        assert!(signs.are_in("§0") && !signs.are_in("first"));
    }

    #[test]
    fn what_a_variable_holds_is_not_looked_through() {
        let revealed = |text| match signs().revealed(text)? {
            Sealed::Known(text) => Some(text.expose_secret().to_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(revealed("a §0§ b §1§").as_deref(), Some("a first §1§ b second"));
        assert_eq!(revealed("a"), None);
        assert_eq!(Signs::default().revealed("§0§"), None);
    }
}
