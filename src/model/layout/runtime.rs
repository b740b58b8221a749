//! The model servers that are known by name.

use std::fmt;
use std::str::FromStr;

/// A model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// OpenVINO Model Server.
    Ovms,
    /// MLServer.
    Mlserver,
    /// NVIDIA Triton Inference Server.
    Triton,
    /// None in particular: the folder as it is.
    Raw,
}

/// Text that names no runtime.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no runtime; there are ovms, mlserver, triton and raw")]
pub struct UnknownRuntime {
    /// The text.
    pub text: String,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ovms, Self::Mlserver, Self::Triton, Self::Raw];

    /// Lower-case, as on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ovms => "ovms",
            Self::Mlserver => "mlserver",
            Self::Triton => "triton",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Runtime {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|runtime| runtime.as_str() == text);
        named.ok_or_else(|| UnknownRuntime { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_reads_back_as_it_is_written() {
        for runtime in Runtime::ALL {
            assert_eq!(runtime.to_string().parse(), Ok(runtime));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_list() {
        let error = "OVMS".parse::<Runtime>().unwrap_err().to_string();
        assert!(Runtime::ALL.iter().all(|runtime| error.contains(runtime.as_str())), "{error}");
    }
}
