//! Values as keys among many, so that equal ones are found without comparing all of them.

use crate::budget::Budget;
use crate::error::Outcome;
use crate::value::{Kind, LOOK, Value};

/// A value as a key among many: equal values have equal keys, and some that are not equal
/// do, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// A text.
    Text(std::rc::Rc<str>),
    /// A number, or a boolean, which is a number in Python; by its bits as a float.
    Number(u64),
    /// None, or an undefined value.
    Nothing(bool),
    /// The values of a tuple.
    Tuple(Vec<Bucket>),
    /// Anything else.
    Other,
}

impl Bucket {
    /// The bucket of a value.
    ///
    /// # Errors
    ///
    /// The budget is used up.
    pub(crate) fn of(budget: &Budget, value: &Value) -> Outcome<Self> {
        budget.charge(LOOK)?;
        let float = |number: f64| Self::Number((number + 0.0).to_bits());
        Ok(match value {
            Value::Str(text, _) => {
                budget.charge(text.len())?;
                Self::Text(text.clone())
            }
            Value::Float(number) => float(*number),
            Value::None => Self::Nothing(true),
            Value::Undefined => Self::Nothing(false),
            Value::Seq(sequence) if matches!(sequence.kind, Kind::Tuple | Kind::Group) => {
                let items = sequence.items.iter().map(|item| Self::of(budget, item));
                Self::Tuple(items.collect::<Outcome<_>>()?)
            }
            // Numbers that a float cannot hold exactly share a bucket.
            #[expect(
                clippy::cast_precision_loss,
                reason = "it is told apart from equal ones later"
            )]
            other => other.as_int().map_or(Self::Other, |number| float(number as f64)),
        })
    }
}
