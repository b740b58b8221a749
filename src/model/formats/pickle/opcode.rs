//! The opcodes of protocols 0 to 5 and how their arguments are stored.
//! See <https://github.com/python/cpython/blob/3.14/Lib/pickletools.py>.

use super::error::Defect;
use super::input::Input;
use super::values::MAX_TEXT;

/// What follows an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Nothing,
    /// A little-endian number of so many bytes, perhaps signed.
    Unsigned(u8),
    Signed(u8),
    /// Bytes after a length of so many bytes.
    Bytes(u8),
    /// One text line, or two.
    Line,
    TwoLines,
}

/// An argument that was read. Long ones are stepped over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    None,
    Number(i64),
    /// None where it is longer than anything that is looked at.
    Bytes(Option<Vec<u8>>),
    Lines(Option<Vec<u8>>, Option<Vec<u8>>),
}

macro_rules! opcodes {
    ($($code:literal $name:ident $shape:expr;)*) => {
        /// What a pickle tells its reader to do; named as in Python's `pickle`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Opcode { $($name,)* }

        impl Opcode {
            /// The opcode of a byte.
            pub(super) fn of(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// Its name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            fn shape(self) -> Shape {
                match self { $(Self::$name => $shape,)* }
            }
        }
    };
}

opcodes! {
    b'(' Mark Shape::Nothing;
    b'.' Stop Shape::Nothing;
    b'0' Pop Shape::Nothing;
    b'1' PopMark Shape::Nothing;
    b'2' Dup Shape::Nothing;
    b'F' Float Shape::Line;
    b'I' Int Shape::Line;
    b'J' BinInt Shape::Signed(4);
    b'K' BinInt1 Shape::Unsigned(1);
    b'L' Long Shape::Line;
    b'M' BinInt2 Shape::Unsigned(2);
    b'N' None Shape::Nothing;
    b'P' PersId Shape::Line;
    b'Q' BinPersId Shape::Nothing;
    b'R' Reduce Shape::Nothing;
    b'S' String Shape::Line;
    b'T' BinString Shape::Bytes(4);
    b'U' ShortBinString Shape::Bytes(1);
    b'V' Unicode Shape::Line;
    b'X' BinUnicode Shape::Bytes(4);
    b'a' Append Shape::Nothing;
    b'b' Build Shape::Nothing;
    b'c' Global Shape::TwoLines;
    b'd' Dict Shape::Nothing;
    b'}' EmptyDict Shape::Nothing;
    b'e' Appends Shape::Nothing;
    b'g' Get Shape::Line;
    b'h' BinGet Shape::Unsigned(1);
    b'i' Inst Shape::TwoLines;
    b'j' LongBinGet Shape::Unsigned(4);
    b'l' List Shape::Nothing;
    b']' EmptyList Shape::Nothing;
    b'o' Obj Shape::Nothing;
    b'p' Put Shape::Line;
    b'q' BinPut Shape::Unsigned(1);
    b'r' LongBinPut Shape::Unsigned(4);
    b's' SetItem Shape::Nothing;
    b't' Tuple Shape::Nothing;
    b')' EmptyTuple Shape::Nothing;
    b'u' SetItems Shape::Nothing;
    b'G' BinFloat Shape::Unsigned(8);
    0x80 Proto Shape::Unsigned(1);
    0x81 NewObj Shape::Nothing;
    0x82 Ext1 Shape::Unsigned(1);
    0x83 Ext2 Shape::Unsigned(2);
    0x84 Ext4 Shape::Signed(4);
    0x85 Tuple1 Shape::Nothing;
    0x86 Tuple2 Shape::Nothing;
    0x87 Tuple3 Shape::Nothing;
    0x88 NewTrue Shape::Nothing;
    0x89 NewFalse Shape::Nothing;
    0x8a Long1 Shape::Bytes(1);
    0x8b Long4 Shape::Bytes(4);
    b'B' BinBytes Shape::Bytes(4);
    b'C' ShortBinBytes Shape::Bytes(1);
    0x8c ShortBinUnicode Shape::Bytes(1);
    0x8d BinUnicode8 Shape::Bytes(8);
    0x8e BinBytes8 Shape::Bytes(8);
    0x8f EmptySet Shape::Nothing;
    0x90 AddItems Shape::Nothing;
    0x91 FrozenSet Shape::Nothing;
    0x92 NewObjEx Shape::Nothing;
    0x93 StackGlobal Shape::Nothing;
    0x94 Memoize Shape::Nothing;
    0x95 Frame Shape::Unsigned(8);
    0x96 ByteArray8 Shape::Bytes(8);
    0x97 NextBuffer Shape::Nothing;
    0x98 ReadonlyBuffer Shape::Nothing;
}

impl Opcode {
    /// Reads the next opcode and its argument.
    pub(super) fn read(input: &mut Input<'_>) -> Result<(Self, Argument), Defect> {
        let code = input.byte()?;
        let opcode = Self::of(code).ok_or(Defect::Opcode { code })?;
        let argument = match opcode.shape() {
            Shape::Nothing => Argument::None,
            Shape::Unsigned(width) => Argument::Number(opcode.number(input, width)?),
            Shape::Signed(width) => Argument::Number(sign_extended(opcode.number(input, width)?, width)),
            Shape::Bytes(width) => Argument::Bytes(opcode.bytes(input, width)?),
            Shape::Line => Argument::Lines(input.line(MAX_TEXT)?, None),
            Shape::TwoLines => Argument::Lines(input.line(MAX_TEXT)?, input.line(MAX_TEXT)?),
        };
        Ok((opcode, argument))
    }

    fn number(self, input: &mut Input<'_>, width: u8) -> Result<i64, Defect> {
        let number = match width {
            1 => u64::from(input.byte()?),
            2 => u64::from(u16::from_le_bytes(input.array()?)),
            4 => u64::from(u32::from_le_bytes(input.array()?)),
            _ => u64::from_le_bytes(input.array()?),
        };
        // A float's bits are of no interest; a frame or a length of 2⁶³ bytes does not exist.
        match i64::try_from(number) {
            Err(_) if self == Self::BinFloat => Ok(0),
            other => other.map_err(|_| Defect::Number { opcode: self.name() }),
        }
    }

    fn bytes(self, input: &mut Input<'_>, width: u8) -> Result<Option<Vec<u8>>, Defect> {
        let length = self.number(input, width)?;
        // Python reads the lengths of these two as signed and refuses negative ones.
        let is_signed = matches!(self, Self::BinString | Self::Long4);
        let length = if is_signed { sign_extended(length, width) } else { length };
        let length = u64::try_from(length).map_err(|_| Defect::Number { opcode: self.name() })?;
        input.payload(length, MAX_TEXT as u64)
    }
}

fn sign_extended(number: i64, width: u8) -> i64 {
    let unused = 64 - 8 * u32::from(width);
    number.wrapping_shl(unused).wrapping_shr(unused)
}

#[cfg(test)]
mod tests {
    use super::super::input::Stream;
    use super::*;

    fn read(bytes: &[u8]) -> Result<(Opcode, Argument), Defect> {
        Opcode::read(&mut Input::new(Stream::new(bytes, 1 << 20)))
    }

    #[test]
    fn arguments_are_read_as_python_reads_them() {
        for (bytes, expected) in [
            (&b"K\xff"[..], Argument::Number(255)),
            (b"J\xff\xff\xff\xff", Argument::Number(-1)),
            (b"M\x01\x02", Argument::Number(513)),
            (b"G\xff\xf8\0\0\0\0\0\xff", Argument::Number(0)),
            (b"\x8c\x02os", Argument::Bytes(Some(b"os".to_vec()))),
            (b"cos\nsystem\n", Argument::Lines(Some(b"os".to_vec()), Some(b"system".to_vec()))),
            (b".", Argument::None),
        ] {
            assert_eq!(read(bytes).unwrap().1, expected, "{bytes:?}");
        }
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert!(matches!(read(b"\x8b\xff\xff\xff\xff"), Err(Defect::Number { opcode: "Long4" })));
        assert!(matches!(read(b"T\0\0\0\x80"), Err(Defect::Number { opcode: "BinString" })));
        assert!(matches!(read(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff"), Err(Defect::Number { .. })));
        assert!(matches!(read(b"\x8b\xff\xff\xff\x7f123"), Err(Defect::Truncated)));
        assert!(matches!(read(b"\x99"), Err(Defect::Opcode { code: 0x99 })));
    }
}
