//! The notation of what is not a value in a file of Parquet: Thrift's compact protocol. It is walked
//! through before the library reads it, which trusts lengths that stand in it.

/// How deep structs and lists may be nested. The format itself needs a handful.
const DEPTH: usize = 32;

/// How deep columns may be nested. A list takes two levels.
const LEVELS: usize = 64;

/// The most bytes of a page, unpacked.
const LARGEST: i64 = 512 * 1024 * 1024;

/// Why something cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends before it is complete.
    Short,
    /// It makes no sense.
    Senseless(&'static str),
}

/// A walk through a struct.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The number of children of each element of the schema; 0 for those that are values.
    children: Vec<u64>,
    /// The size of a page, unpacked.
    unpacked: i64,
}

/// What is walked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// What a file says of itself.
    Footer,
    /// An element of its schema.
    Element,
    /// What is in front of a page.
    Page,
    /// Anything else.
    Other,
}

/// Looks at what a file says of itself.
///
/// # Errors
///
/// It is cut off, or makes no sense.
pub fn footer(bytes: &[u8]) -> Result<(), Wrong> {
    let mut walk = Walk { bytes, at: 0, children: Vec::new(), unpacked: 0 };
    walk.fields(Place::Footer, 0)?;
    // How many are to come, from the outermost.
    let mut open: Vec<u64> = Vec::new();
    let count = walk.children.len() as u64;
    for children in walk.children {
        if let Some(last) = open.last_mut() {
            *last -= 1;
        }
        if children > count {
            return Err(Wrong::Senseless("a column has more parts than there are"));
        }
        open.push(children);
        while open.last() == Some(&0) {
            open.pop();
        }
        if open.len() > LEVELS {
            return Err(Wrong::Senseless("its columns are nested too deep"));
        }
    }
    Ok(())
}

/// Looks at what is in front of a page.
///
/// # Errors
///
/// As [`footer`].
pub fn page(bytes: &[u8]) -> Result<(), Wrong> {
    let mut walk = Walk { bytes, at: 0, children: Vec::new(), unpacked: 0 };
    walk.fields(Place::Page, 0)?;
    match walk.unpacked > LARGEST {
        true => Err(Wrong::Senseless("a page is larger than 512 MiB")),
        false => Ok(()),
    }
}

impl Walk<'_> {
    fn byte(&mut self) -> Result<u8, Wrong> {
        let byte = *self.bytes.get(self.at).ok_or(Wrong::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Wrong> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Wrong::Senseless("a number is too long"))
    }

    /// A number with a sign.
    fn signed(&mut self) -> Result<i64, Wrong> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// A number of 32 bits that counts something.
    fn count(&mut self) -> Result<u32, Wrong> {
        let number = i32::try_from(self.signed()?).ok().and_then(|it| u32::try_from(it).ok());
        number.ok_or(Wrong::Senseless("a count is none"))
    }

    fn skip(&mut self, count: u64) -> Result<(), Wrong> {
        let left = (self.bytes.len() - self.at) as u64;
        if count > left {
            return Err(Wrong::Short);
        }
        self.at += usize::try_from(count).map_err(|_| Wrong::Short)?;
        Ok(())
    }

    /// The fields of a struct.
    fn fields(&mut self, place: Place, depth: usize) -> Result<(), Wrong> {
        if depth > DEPTH {
            return Err(Wrong::Senseless("it is nested too deep"));
        }
        // The library reads numbers of fields as 16 bits, and these fields whatever their kind is.
        let (mut id, mut children) = (0_i16, 0);
        loop {
            let head = self.byte()?;
            if head == 0 {
                break;
            }
            id = match head >> 4 {
                #[expect(clippy::cast_possible_truncation, reason = "as the library does")]
                0 => self.signed()? as i16,
                more => id.wrapping_add(more.into()),
            };
            match (place, id, head & 0x0f) {
                (Place::Footer, 2, 9) => self.list(Place::Element, depth)?,
                (Place::Element, 5, 5) => children = self.count()?.into(),
                (Place::Page, 2, 5) => self.unpacked = self.count()?.into(),
                (Place::Footer | Place::Page, 2, _) | (Place::Element, 5, _) => {
                    return Err(Wrong::Senseless("a field has a value of another kind"));
                }
                (_, _, kind) => self.value(kind, depth)?,
            }
        }
        if place == Place::Element {
            self.children.push(children);
        }
        Ok(())
    }

    /// A value of a kind, the number of which stands in front of it.
    fn value(&mut self, kind: u8, depth: usize) -> Result<(), Wrong> {
        match kind {
            1 | 2 => Ok(()),
            3 => self.skip(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => self.list(Place::Other, depth),
            11 => self.pairs(depth),
            12 => self.fields(Place::Other, depth + 1),
            13 => self.skip(16),
            _ => Err(Wrong::Senseless("there is no such kind of values")),
        }
    }

    fn list(&mut self, place: Place, depth: usize) -> Result<(), Wrong> {
        if depth > DEPTH {
            return Err(Wrong::Senseless("it is nested too deep"));
        }
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            few => few.into(),
        };
        let kind = head & 0x0f;
        // Each item has a byte at least.
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(Wrong::Short);
        }
        for _ in 0..count {
            match kind {
                12 => self.fields(place, depth + 1)?,
                1 | 2 => self.skip(1)?,
                kind => self.value(kind, depth + 1)?,
            }
        }
        Ok(())
    }

    fn pairs(&mut self, depth: usize) -> Result<(), Wrong> {
        let count = self.number()?;
        if count > (self.bytes.len() - self.at) as u64 || depth > DEPTH {
            return Err(Wrong::Short);
        }
        let kinds = if count == 0 { 0 } else { self.byte()? };
        for _ in 0..count {
            for kind in [kinds >> 4, kinds & 0x0f] {
                match kind {
                    1 | 2 => self.skip(1)?,
                    kind => self.value(kind, depth + 1)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file says of itself, with these numbers of children.
    fn schema(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc];
        let mut count = children.len();
        while count > 0x7f {
            bytes.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        for children in children {
            bytes.extend([0x55, children << 1, 0]);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn columns_that_are_nested_a_thousand_deep_are_refused() {
        assert_eq!(footer(&schema(&[2, 0, 1, 0])), Ok(()));
        assert_eq!(footer(&schema(&[1; 60])), Ok(()));
        let why = "its columns are nested too deep";
        assert_eq!(footer(&schema(&[1; 1000])), Err(Wrong::Senseless(why)));
        let why = "a column has more parts than there are";
        assert_eq!(footer(&schema(&[60, 0])), Err(Wrong::Senseless(why)));
    }

    #[test]
    fn what_the_library_takes_for_a_count_is_checked_however_it_is_written() {
        let kind = Err(Wrong::Senseless("a field has a value of another kind"));
        assert_eq!(footer(&[0x29, 0x1c, 0x56, 2, 0, 0]), kind);
        assert_eq!(footer(&[0x28, 0, 0]), kind);
        assert_eq!(page(&[0x26, 2, 0]), kind);
        // The field 65541, of which 16 bits are 5.
        let wide = footer(&[0x29, 0x1c, 0x05, 0x8a, 0x80, 0x08, 120, 0, 0]);
        assert_eq!(wide, Err(Wrong::Senseless("a column has more parts than there are")));
        // -1 of 32 bits, and a number that has more.
        for number in [&[0x01][..], &[0x80, 0x80, 0x80, 0x80, 0x20]] {
            let bytes = [&[0x25][..], number, &[0]].concat();
            assert_eq!(page(&bytes), Err(Wrong::Senseless("a count is none")));
        }
    }

    #[test]
    fn lengths_that_are_not_there_are_refused() {
        // A page of 2 GiB; a text of 32 GiB; a list of as many; structs in structs.
        let large = [0x25, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0];
        assert_eq!(page(&large), Err(Wrong::Senseless("a page is larger than 512 MiB")));
        assert_eq!(page(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]), Err(Wrong::Short));
        assert_eq!(page(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]), Err(Wrong::Short));
        assert_eq!(page(&[0x1c; 100]), Err(Wrong::Senseless("it is nested too deep")));
        assert_eq!(page(&[0x1b, 0xff, 0xff, 0x7f, 0x88]), Err(Wrong::Short));
        assert_eq!(page(&[0x1e]), Err(Wrong::Senseless("there is no such kind of values")));
        assert_eq!(page(&[0x15, 2, 0x25, 4, 0]), Ok(()));
        assert_eq!(page(&[]), Err(Wrong::Short));
    }
}
