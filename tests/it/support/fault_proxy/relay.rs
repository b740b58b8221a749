//! One exchange after the other, piece by piece, with the rules looked up at every byte that one of them names.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::http::{Body, Head, Wire};
use super::{Fault, Part, Reply, Rule, Seen, Shared};

/// How long a connection that is finished on this side is listened to.
const LINGER: Duration = Duration::from_secs(5);

/// What a client begins with that speaks TLS. Registries without TLS answer it in plain words, and clients that may then try plain HTTP.
const TLS_HANDSHAKE: u8 = 0x16;

/// Why an exchange does not go its way to the end.
enum Stop {
    /// The client has its answer, and may ask for more.
    Answered,
    /// The registry does not listen any more; it may have said why.
    Deaf,
    /// The connection is of no further use.
    Gone,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Serves a client until one side has had enough.
pub(super) fn converse(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    if client.peek(&mut first)? == 1 && first[0] == TLS_HANDSHAKE {
        return client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n");
    }
    let mut client = Wire::new(client);
    while let Some(head) = Head::read(&mut client)? {
        match Exchange::begin(shared, &mut client, &head)?.relay(&head) {
            Ok(()) | Err(Stop::Answered) => {}
            Err(Stop::Deaf | Stop::Gone) => return Ok(()),
        }
    }
    Ok(())
}

struct Exchange<'a> {
    shared: &'a Shared,
    rules: Vec<&'a Rule>,
    method: String,
    number: usize,
    client: &'a mut Wire,
    registry: Wire,
    /// What is to come of the request's body.
    body: Body,
    /// The pause between bytes, once they drip.
    drip: Option<Duration>,
    /// Whether the next byte is to be another one.
    flip: bool,
}

impl<'a> Exchange<'a> {
    fn begin(shared: &'a Shared, client: &'a mut Wire, head: &Head) -> io::Result<Self> {
        let (method, target) = (head.word(0).to_owned(), head.word(1).to_owned());
        let seen = Seen { method: method.clone(), target, headers: head.headers.clone(), ..Seen::default() };
        let rules = shared.rules.iter().filter(|rule| rule.is_for(&seen)).collect();
        let number = shared.begin(seen);
        let registry = Wire::new(TcpStream::connect(&shared.target)?);
        Ok(Self { shared, rules, method, number, client, registry, body: head.request_body(), drip: None, flip: false })
    }

    fn relay(mut self, head: &Head) -> Result<(), Stop> {
        self.strike(Part::RequestHead, 0)?;
        self.pass(Part::RequestHead, &head.bytes, 0, &Body::ToEnd)?;
        self.strike(Part::RequestBody, 0)?;
        let heard = self.pass_request_body()?;

        let mut answer = self.final_head()?;
        self.strike(Part::ResponseHead, 0)?;
        let lies = self.edit(&mut answer);
        self.pass(Part::ResponseHead, &answer.bytes, 0, &Body::ToEnd)?;
        self.shared.note(self.number, |seen| seen.status = Some(answer.status()));
        self.strike(Part::ResponseBody, 0)?;
        let mut content = answer.response_body(&self.method);
        self.pass_response_body(&mut content)?;
        let over = lies || !heard || head.ends_connection() || answer.ends_connection() || content.ends_connection();
        if over { Err(self.finish()) } else { Ok(()) }
    }

    /// False where the registry would not hear the whole of it: then it has answered already.
    fn pass_request_body(&mut self) -> Result<bool, Stop> {
        let mut offset = 0;
        loop {
            let piece = self.body.next(self.client)?;
            let frame = self.body.frame();
            if piece.is_empty() {
                return Ok((&self.registry.stream).write_all(frame.end()).is_ok());
            }
            let size = piece.len() as u64;
            match self.pass(Part::RequestBody, &piece, offset, &frame) {
                Ok(()) => offset += size,
                Err(Stop::Deaf) => return Ok(false),
                Err(stop) => return Err(stop),
            }
        }
    }

    fn pass_response_body(&mut self, content: &mut Body) -> Result<(), Stop> {
        let mut offset = 0;
        loop {
            let piece = content.next(&mut self.registry)?;
            let frame = content.frame();
            if piece.is_empty() {
                return Ok((&self.client.stream).write_all(frame.end())?);
            }
            let size = piece.len() as u64;
            self.pass(Part::ResponseBody, &piece, offset, &frame)?;
            offset += size;
        }
    }

    /// The answer's head, without those that only say that there will be one.
    fn final_head(&mut self) -> Result<Head, Stop> {
        loop {
            let head = Head::read(&mut self.registry)?.ok_or(Stop::Gone)?;
            if head.status() >= 200 {
                return Ok(head);
            }
        }
    }

    /// Applies the rules that change headers; tells whether the answer's length is one of them.
    fn edit(&self, answer: &mut Head) -> bool {
        let mut lies = false;
        for rule in self.rules.iter().filter(|rule| rule.changes_header()) {
            let Some(Fault::Header(name, change)) = rule.strike() else { continue };
            answer.set(name, &change(answer.header(&name.to_ascii_lowercase()).unwrap_or_default()));
            lies |= name.eq_ignore_ascii_case("content-length");
        }
        lies
    }

    /// Passes bytes on that begin at `offset` of a part, and stops at each one that a rule names.
    fn pass(&mut self, part: Part, bytes: &[u8], mut offset: u64, frame: &Body) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let bytes_of_rules = self.rules.iter().filter_map(|rule| rule.byte(part));
            let next = bytes_of_rules.filter(|byte| *byte > offset).min().unwrap_or(u64::MAX);
            let count = rest.len().min(usize::try_from(next - offset).unwrap_or(usize::MAX));
            self.write(part, &rest[..count], frame)?;
            (rest, offset) = (&rest[count..], offset + count as u64);
            self.strike(part, offset)?;
        }
        Ok(())
    }

    fn write(&mut self, part: Part, piece: &[u8], frame: &Body) -> Result<(), Stop> {
        let towards_registry = matches!(part, Part::RequestHead | Part::RequestBody);
        let gate = if towards_registry { &self.shared.sent } else { &self.shared.received };
        let mut piece = piece.to_vec();
        if std::mem::take(&mut self.flip) {
            piece[0] ^= 1;
        }
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let count = gate.pass(if self.drip.is_some() { 1 } else { rest.len() });
            let framed = frame.framed(&rest[..count]);
            if towards_registry {
                (&self.registry.stream).write_all(&framed).map_err(|_| Stop::Deaf)?;
            } else {
                (&self.client.stream).write_all(&framed)?;
            }
            self.count(part, count as u64);
            rest = &rest[count..];
            self.drip.iter().for_each(|pause| std::thread::sleep(*pause));
        }
        Ok(())
    }

    fn count(&self, part: Part, bytes: u64) {
        self.shared.note(self.number, |seen| match part {
            Part::RequestBody => seen.sent += bytes,
            Part::ResponseBody => seen.received += bytes,
            Part::RequestHead | Part::ResponseHead => {}
        });
    }

    fn strike(&mut self, part: Part, byte: u64) -> Result<(), Stop> {
        let here = self.rules.iter().copied().filter(|rule| rule.byte(part) == Some(byte) && !rule.changes_header());
        // all of them count before the first can end it
        let faults: Vec<&Fault> = here.filter_map(Rule::strike).collect();
        faults.into_iter().try_for_each(|fault| self.suffer(fault, part))
    }

    fn suffer(&mut self, fault: &Fault, part: Part) -> Result<(), Stop> {
        match fault {
            Fault::Reset => return Err(self.reset()),
            Fault::Finish => return Err(self.finish()),
            Fault::Stall => {
                self.shared.stand_still();
                return Err(Stop::Gone);
            }
            Fault::Answer(reply) => return Err(self.answer(reply, part)),
            Fault::Drip(pause) => self.drip = Some(*pause),
            Fault::Flip => self.flip = true,
            Fault::Call(call) => call(),
            Fault::Header(..) => {}
        }
        Ok(())
    }

    /// What is under way is lost, and the client is told so: with no time to linger, a close is a reset.
    fn reset(&self) -> Stop {
        if let Ok(same) = self.client.stream.try_clone() {
            let _ = tokio::net::TcpSocket::from_std_stream(same).set_zero_linger();
        }
        Stop::Gone
    }

    /// Closed with unread bytes, a connection would be reset instead.
    fn finish(&self) -> Stop {
        let stream = &self.client.stream;
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.set_read_timeout(Some(LINGER));
        let mut stream = stream;
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
        Stop::Gone
    }

    fn answer(&mut self, reply: &Reply, part: Part) -> Stop {
        if part == Part::RequestHead {
            while self.body.next(self.client).is_ok_and(|piece| !piece.is_empty()) {}
        }
        if self.say(reply).is_err() {
            return Stop::Gone;
        }
        self.shared.note(self.number, |seen| seen.status = Some(reply.status));
        if part == Part::RequestBody { self.finish() } else { Stop::Answered }
    }

    fn say(&self, reply: &Reply) -> io::Result<()> {
        let host = self.client.stream.local_addr()?.to_string();
        let mut head = format!("HTTP/1.1 {} Fault\r\n", reply.status);
        for (name, value) in &reply.headers {
            head.extend([name, ": ", &value.replace("{host}", &host), "\r\n"]);
        }
        head.extend(["Content-Length: ", &reply.body.len().to_string(), "\r\n\r\n"]);
        let body = if self.method == "HEAD" { &[][..] } else { &reply.body };
        (&self.client.stream).write_all(&[head.as_bytes(), body].concat())
    }
}
