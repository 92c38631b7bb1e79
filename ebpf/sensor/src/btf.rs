//! PURE. Reads the kernel's BTF: where a member lies, what an enumerator is worth.
//!
//! A parser of its own, because the loader's knows types by name only and not their members, and because start-up
//! time matters: one pass over the types, no copy of any string. Takes bytes and returns values or errors; any
//! bytes at all, since a kernel module or a container may put anything there.

use std::fmt;

/// Why something could not be found. The text says what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BtfError {
    /// The bytes are no BTF of this machine's byte order, or end too early.
    Malformed(&'static str),
    /// No structure of this name has such a member, or it is a bit field.
    NoMember(String),
    /// The member is not as wide as the probe reads it.
    Width { member: String, expected: u32, found: u32 },
    /// No enumeration has this enumerator.
    NoEnumerator(String),
    /// There is no structure of this name.
    NoStruct(String),
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the BTF is malformed: {what}"),
            Self::NoMember(member) => write!(f, "this kernel's BTF has no `{member}`"),
            Self::Width { member, expected, found } => {
                write!(f, "`{member}` has {found} bytes in this kernel, not {expected}")
            }
            Self::NoEnumerator(name) => write!(f, "this kernel's BTF has no enumerator `{name}`"),
            Self::NoStruct(name) => write!(f, "this kernel's BTF has no `struct {name}`"),
        }
    }
}

/// How wide a member must be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Exactly so many, because the probe reads so many.
    Bytes(u32),
    /// Whatever it is: the probe needs the place only.
    Any,
}

const MAGIC: u16 = 0xEB9F;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// No chain of typedefs is longer; a cycle in broken bytes ends here.
const MAX_DEPTH: u32 = 32;

/// Anonymous members nest four deep in the kernel; the search in broken bytes ends here.
const MAX_NESTING: u32 = 8;

/// An index over the bytes of a BTF blob.
#[derive(Debug)]
pub(crate) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where the record of each type begins; the type with id 1 comes first.
    starts: Vec<u32>,
    /// The ids of structures, and of enumerations of either width.
    structs: Vec<u32>,
    enums: Vec<u32>,
}

/// The fixed head of a type's record, and its variable rest.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    info: u32,
    /// A size in bytes or the id of another type, by the kind.
    size_or_type: u32,
    rest: &'a [u8],
}

impl Type<'_> {
    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn vlen(self) -> u32 {
        self.info & 0xffff
    }

    fn has_kind_flag(self) -> bool {
        self.info >> 31 != 0
    }
}

impl<'a> Btf<'a> {
    /// Indexes a blob such as `/sys/kernel/btf/vmlinux`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let malformed = BtfError::Malformed;
        let magic = bytes.get(..2).and_then(|pair| pair.try_into().ok()).map(u16::from_ne_bytes);
        if magic != Some(MAGIC) {
            return Err(malformed("no magic number"));
        }
        let header = |index: usize| word(bytes, 4 + index * 4).ok_or(malformed("no header"));
        let header_length = header(0)?;
        let section = |offset: u32, length: u32| {
            let start = u64::from(header_length) + u64::from(offset);
            let range = usize::try_from(start).ok()?..usize::try_from(start + u64::from(length)).ok()?;
            bytes.get(range)
        };
        let types = section(header(1)?, header(2)?).ok_or(malformed("types go past the end"))?;
        let strings = section(header(3)?, header(4)?).ok_or(malformed("strings go past the end"))?;
        let mut btf = Self { types, strings, starts: Vec::new(), structs: Vec::new(), enums: Vec::new() };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut start = 0usize;
        while start < self.types.len() {
            let at = u32::try_from(start).map_err(|_| BtfError::Malformed("larger than 4 GiB"))?;
            let record = self.at(at).ok_or(BtfError::Malformed("a type goes past the end"))?;
            self.starts.push(at);
            let id = u32::try_from(self.starts.len()).map_err(|_| BtfError::Malformed("too many types"))?;
            match record.kind() {
                KIND_STRUCT => self.structs.push(id),
                KIND_ENUM | KIND_ENUM64 => self.enums.push(id),
                _ => {}
            }
            let each = match record.kind() {
                KIND_ARRAY | KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12,
                KIND_ENUM | KIND_FUNC_PROTO => 8,
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                1..=19 => 0,
                _ => return Err(BtfError::Malformed("a type of an unknown kind")),
            };
            let count = match record.kind() {
                KIND_INT | KIND_ARRAY | KIND_VAR | KIND_DECL_TAG => 1,
                _ => usize::try_from(record.vlen()).unwrap_or(usize::MAX),
            };
            start += 12 + each * count;
        }
        Ok(())
    }

    /// Where a member lies in `struct NAME`, in bytes. The path may go through members that are structures
    /// themselves (`lruvec.pgdat`) and into arrays, by number or by enumerator (`vm_stat[NR_FREE_PAGES]`).
    pub(crate) fn offset(&self, name: &str, path: &str, width: Width) -> Result<u32, BtfError> {
        let missing = || BtfError::NoMember(format!("{name}.{path}"));
        let mut error = None;
        // A name may stand for several structures, in different drivers; the one that has the member is meant.
        for &id in self.structs.iter().filter(|id| self.is_named(**id, name)) {
            match self.follow(id, path) {
                Ok(Some((offset, member))) => {
                    let found = self.size(member).ok_or_else(missing)?;
                    match width {
                        Width::Bytes(expected) if expected != found => {
                            let member = format!("{name}.{path}");
                            error = Some(BtfError::Width { member, expected, found });
                        }
                        _ => return Ok(offset),
                    }
                }
                Ok(None) => {}
                Err(other) => error = Some(other),
            }
        }
        Err(error.unwrap_or_else(missing))
    }

    /// The size of `struct NAME` in bytes; where several have this name, of the one that has the member.
    pub(crate) fn size_of(&self, name: &str, having: &str) -> Result<u32, BtfError> {
        let found = self.structs.iter().find(|id| {
            self.is_named(**id, name) && self.follow(**id, having).is_ok_and(|member| member.is_some())
        });
        found.and_then(|id| self.size(*id)).ok_or_else(|| BtfError::NoStruct(name.to_owned()))
    }

    /// The value of an enumerator of any enumeration.
    pub(crate) fn enumerator(&self, name: &str) -> Result<u32, BtfError> {
        for &id in &self.enums {
            let Some(record) = self.get(id) else { continue };
            let each = if record.kind() == KIND_ENUM { 8 } else { 12 };
            for index in 0..usize::try_from(record.vlen()).unwrap_or(0) {
                let entry = index * each;
                if word(record.rest, entry).is_some_and(|at| self.string_is(at, name)) {
                    let high = if each == 12 { word(record.rest, entry + 8) } else { Some(0) };
                    if let (Some(value), Some(0)) = (word(record.rest, entry + 4), high) {
                        return Ok(value);
                    }
                }
            }
        }
        Err(BtfError::NoEnumerator(name.to_owned()))
    }

    /// Offset and type of the member at the end of the path, if each step of it exists.
    fn follow(&self, id: u32, path: &str) -> Result<Option<(u32, u32)>, BtfError> {
        let mut offset = 0u32;
        let mut at = id;
        for step in path.split('.') {
            let (name, index) = match step.split_once('[') {
                Some((name, rest)) => (name, Some(rest.trim_end_matches(']'))),
                None => (step, None),
            };
            let Some((inside, member)) = self.member(at, name, MAX_NESTING) else { return Ok(None) };
            offset = offset.saturating_add(inside);
            at = member;
            // Without an index an array stands for its first element, as in C.
            if let Some((element, _)) = self.array(at) {
                let index = match index {
                    Some(index) => match index.parse() {
                        Ok(number) => number,
                        Err(_) => self.enumerator(index)?,
                    },
                    None => 0,
                };
                let Some(size) = self.size(element) else { return Ok(None) };
                offset = offset.saturating_add(index.saturating_mul(size));
                at = element;
            }
        }
        Ok(Some((offset, at)))
    }

    /// Offset and type of a direct member, or of a member of an anonymous one.
    fn member(&self, id: u32, name: &str, depth: u32) -> Option<(u32, u32)> {
        let record = self.get(self.resolve(id)?)?;
        if !matches!(record.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        for index in 0..usize::try_from(record.vlen()).ok()? {
            let entry = index * 12;
            let (name_at, member, place) =
                (word(record.rest, entry)?, word(record.rest, entry + 4)?, word(record.rest, entry + 8)?);
            let (bits, field_bits) =
                if record.has_kind_flag() { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
            if self.string_is(name_at, name) {
                // A bit field has no address that the probe could read.
                return (field_bits == 0 && bits % 8 == 0).then_some((bits / 8, member));
            }
            if name_at == 0
                && depth > 0
                && let Some((inside, found)) = self.member(member, name, depth - 1)
            {
                return Some((bits / 8 + inside, found));
            }
        }
        None
    }

    /// Type of the elements and their number, if the type is an array.
    fn array(&self, id: u32) -> Option<(u32, u32)> {
        let record = self.get(self.resolve(id)?)?;
        if record.kind() == KIND_ARRAY { Some((word(record.rest, 0)?, word(record.rest, 8)?)) } else { None }
    }

    fn size(&self, id: u32) -> Option<u32> {
        let mut id = id;
        let mut count = 1u32;
        for _ in 0..MAX_DEPTH {
            id = self.resolve(id)?;
            let record = self.get(id)?;
            match record.kind() {
                KIND_INT | KIND_STRUCT | KIND_UNION | KIND_ENUM | KIND_ENUM64 => {
                    return count.checked_mul(record.size_or_type);
                }
                KIND_PTR => return count.checked_mul(8),
                KIND_ARRAY => {
                    count = count.checked_mul(word(record.rest, 8)?)?;
                    id = word(record.rest, 0)?;
                }
                _ => return None,
            }
        }
        None
    }

    /// The type behind typedefs and qualifiers.
    fn resolve(&self, id: u32) -> Option<u32> {
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            let record = self.get(id)?;
            match record.kind() {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = record.size_or_type;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.at(*self.starts.get(index)?)
    }

    fn at(&self, start: u32) -> Option<Type<'a>> {
        let record = self.types.get(usize::try_from(start).ok()?..)?;
        Some(Type {
            name: word(record, 0)?,
            info: word(record, 4)?,
            size_or_type: word(record, 8)?,
            rest: record.get(12..)?,
        })
    }

    fn is_named(&self, id: u32, name: &str) -> bool {
        self.get(id).is_some_and(|record| self.string_is(record.name, name))
    }

    fn string_is(&self, at: u32, text: &str) -> bool {
        let Ok(start) = usize::try_from(at) else { return false };
        let rest = self.strings.get(start..).unwrap_or_default();
        rest.strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let quad = bytes.get(at..at.checked_add(4)?)?;
    quad.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests;
