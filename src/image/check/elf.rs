//! The head of a program: which machine it is for, and who starts it. Format: `elf(5)`.

/// What the kernel looks at before it runs a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// A native program.
    Elf {
        /// Go's name of the CPU architecture, or ELF's number.
        machine: String,
        /// The dynamic loader that must be there; `None` for a static program.
        interpreter: Option<String>,
    },
    /// A script and the program that runs it.
    Script(String),
    /// Neither.
    Unknown,
}

/// ELF's numbers, byte order (1: little) and Go's names.
const MACHINES: [(u16, u8, &str); 8] = [
    (62, 1, "amd64"),
    (183, 1, "arm64"),
    (40, 1, "arm"),
    (3, 1, "386"),
    (21, 1, "ppc64le"),
    (22, 2, "s390x"),
    (243, 1, "riscv64"),
    (258, 1, "loong64"),
];

/// More program headers than any shell has.
const MAX_HEADERS: u64 = 64;

impl Program {
    /// Reads the first bytes of a file.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if let Some(line) = bytes.strip_prefix(b"#!") {
            let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let words = String::from_utf8_lossy(&line[..line.len().min(256)]).into_owned();
            return Self::Script(words.split_whitespace().next().unwrap_or_default().to_owned());
        }
        Elf::of(bytes).map_or(Self::Unknown, |elf| Self::Elf { machine: elf.machine(), interpreter: elf.interpreter() })
    }
}

struct Elf<'a> {
    bytes: &'a [u8],
    wide: bool,
    little: bool,
}

impl<'a> Elf<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class @ (1 | 2), order @ (1 | 2), ..] = bytes else { return None };
        let elf = Self { bytes, wide: *class == 2, little: *order == 1 };
        elf.number(18, 2).map(|_| elf)
    }

    fn machine(&self) -> String {
        let number = self.number(18, 2).unwrap_or_default();
        let order = if self.little { 1 } else { 2 };
        let known = MACHINES.iter().find(|(machine, endian, _)| u64::from(*machine) == number && *endian == order);
        known.map_or_else(|| format!("machine {number}"), |(.., name)| (*name).to_owned())
    }

    /// The content of the `PT_INTERP` segment.
    fn interpreter(&self) -> Option<String> {
        const PT_INTERP: u64 = 3;
        let (table, size, count) = if self.wide {
            (self.number(32, 8)?, self.number(54, 2)?, self.number(56, 2)?)
        } else {
            (self.number(28, 4)?, self.number(42, 2)?, self.number(44, 2)?)
        };
        let headers = (0..count.min(MAX_HEADERS)).filter_map(|number| table.checked_add(number * size));
        let segment = headers.into_iter().find(|at| self.number(*at, 4) == Some(PT_INTERP))?;
        let (at, length) = if self.wide {
            (self.number(segment.checked_add(8)?, 8)?, self.number(segment.checked_add(32)?, 8)?)
        } else {
            (self.number(segment.checked_add(4)?, 4)?, self.number(segment.checked_add(16)?, 4)?)
        };
        let path = self.slice(at, length.min(4096))?;
        Some(String::from_utf8_lossy(path.split(|byte| *byte == 0).next()?).into_owned())
    }

    fn number(&self, at: u64, width: u64) -> Option<u64> {
        let bytes = self.slice(at, width)?;
        let fold = |value, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) })
    }

    fn slice(&self, at: u64, length: u64) -> Option<&'a [u8]> {
        let (from, to) = (usize::try_from(at).ok()?, usize::try_from(at.checked_add(length)?).ok()?);
        self.bytes.get(from..to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn built(architecture: &str) -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/shell/built/ARCH/sh").replace("ARCH", architecture)).unwrap()
    }

    #[test]
    fn knows_the_machine_of_every_shell_we_ship_and_that_it_is_static() {
        for architecture in ["amd64", "arm64", "ppc64le", "s390x"] {
            let expected = Program::Elf { machine: architecture.to_owned(), interpreter: None };
            assert_eq!(Program::of(&built(architecture)), expected);
        }
    }

    #[test]
    fn names_the_loader_of_a_dynamic_program() {
        let own = std::env::current_exe().unwrap();
        let Program::Elf { interpreter: Some(loader), .. } = Program::of(&std::fs::read(own).unwrap()) else {
            panic!("this test is a dynamic program")
        };
        assert!(std::path::Path::new(&loader).exists(), "{loader}");
    }

    #[test]
    fn a_script_names_its_interpreter_and_anything_else_is_unknown() {
        assert_eq!(Program::of(b"#! /bin/sh -e\necho"), Program::Script("/bin/sh".to_owned()));
        for bytes in [&b""[..], b"MZ", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x09\x01................."] {
            assert_eq!(Program::of(bytes), Program::Unknown);
        }
    }

    proptest! {
        #[test]
        fn survives_any_header(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let head = [0x7f, b'E', b'L', b'F', 2, 1];
            let length = bytes.len().min(6);
            bytes[..length].copy_from_slice(&head[..length]);
            let _ = Program::of(&bytes);
        }
    }
}
