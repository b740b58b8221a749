//! A DNS server on port 53 of a loopback address of its own, which knows one name: <https://www.rfc-editor.org/rfc/rfc1035>.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::thread;

/// The one name; its address is 127.0.0.1.
pub(crate) const KNOWN: &str = "dns.modelcar.test";

const TYPE_A: u16 = 1;
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

/// A server whose thread ends with the process.
pub(crate) struct NameServer {
    /// Where it listens, for a `resolv.conf`.
    pub(crate) address: Ipv4Addr,
}

impl NameServer {
    /// All of 127.0.0.0/8 is this machine's, so that every process of a test run has an address for itself.
    ///
    /// # Errors
    /// Port 53 is not ours to take.
    pub(crate) fn start() -> io::Result<Self> {
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, high.wrapping_add(77), middle, low);
        let socket = UdpSocket::bind((IpAddr::V4(address), 53))?;
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let _ = answer(&query[..length]).map(|answer| socket.send_to(&answer, client));
            }
        });
        Ok(Self { address })
    }
}

/// The answer to a query; `None` to what is none.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let (header, question) = query.split_at_checked(12)?;
    let (mut name, mut at) = (Vec::new(), 0);
    while let Some(length @ 1..) = question.get(at).copied().map(usize::from) {
        name.push(String::from_utf8(question.get(at + 1..=at + length)?.to_vec()).ok()?.to_lowercase());
        at += 1 + length;
    }
    let question = question.get(..at + 5)?;
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let known = name.join(".") == KNOWN;
    let found = known && kind == TYPE_A;
    // A response (0x80) with recursion, as asked for (0x01) and to be had (0x80).
    let mut answer = vec![header[0], header[1], 0x81, 0x80 | if known { NO_ERROR } else { NO_SUCH_NAME }];
    answer.extend([0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend(question);
    if found {
        // the name of the question, type A, class IN, a minute, four bytes
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

mod tests {
    use super::answer;

    #[test]
    fn knows_one_name_and_denies_the_others() {
        let query = |name: &str, kind: u8| {
            let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
            [&[7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &labels.collect::<Vec<_>>(), &[0, 0, kind, 0, 1]].concat()
        };
        let said = |name: &str, kind: u8| answer(&query(name, kind)).unwrap();
        assert_eq!(said(super::KNOWN, 1)[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(said(super::KNOWN, 1).ends_with(&[127, 0, 0, 1]));
        assert_eq!(said(super::KNOWN, 28)[3..8], [0x80, 0, 1, 0, 0], "it has no IPv6 address");
        assert_eq!(said("other.modelcar.test", 1)[3..8], [0x83, 0, 1, 0, 0]);
        assert_eq!(answer(&[1, 2, 3]), None);
    }
}
