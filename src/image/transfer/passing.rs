//! A layer that is read once: whoever takes its bytes hashes them as a whole, and the files in it are hashed here as they pass.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::knowledge::Known;
use crate::image::hash::WORTH_A_THREAD;
use crate::image::tar::LayerTar;
use crate::model::ModelFile;
use crate::oci::{Digest, Hasher};
use crate::store::BlobSource;

/// How many pieces of a file wait for the thread that hashes it.
const IN_FLIGHT: usize = 3;

/// A layer whose files are hashed whenever it is read.
pub(super) struct Passing {
    tar: LayerTar,
    /// What is known of its files.
    known: Vec<Option<Digest>>,
    whole: Arc<Mutex<Option<Vec<Digest>>>>,
}

impl Passing {
    pub(super) fn new(tar: &LayerTar, known: &Known) -> Self {
        Self { tar: tar.clone(), known: tar.files().map(|file| known.file(file)).collect(), whole: Arc::default() }
    }

    /// The digests of the files, in the order of the tar, once a pass has come to the end of all of them.
    pub(super) fn files(&self) -> Option<Vec<Digest>> {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl BlobSource for Passing {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let pass = Arc::new(Pass { files: self.known.len(), found: Mutex::default(), whole: self.whole.clone() });
        let mut known = self.known.clone().into_iter();
        Ok(self.tar.open_with(Box::new(move |file| {
            let content = Content::of(file, known.next().flatten())?;
            Ok(Box::new(PassingFile { inner: file.open()?, content: Some(content), pass: pass.clone() }))
        })))
    }
}

/// What one pass has found so far. An attempt that was given up may still be reading while the next one does.
struct Pass {
    files: usize,
    found: Mutex<Vec<Digest>>,
    whole: Arc<Mutex<Option<Vec<Digest>>>>,
}

impl Pass {
    fn found(&self, digest: Digest) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.push(digest);
        if found.len() == self.files {
            *self.whole.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(&mut found));
        }
    }
}

/// A file on its way, and the hash of what has passed.
struct PassingFile {
    inner: Box<dyn Read + Send>,
    /// `None` behind the end.
    content: Option<Content>,
    pass: Arc<Pass>,
}

impl Read for PassingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.content.as_mut().map_or(Ok(()), |content| content.saw(&buffer[..count]))?;
        } else if !buffer.is_empty()
            && let Some(content) = self.content.take()
        {
            self.pass.found(content.finish()?);
        }
        Ok(count)
    }
}

/// The hash of a file's content.
enum Content {
    Known(Digest),
    /// Small: not worth a thread.
    InTurn(Hasher),
    Beside(Beside),
}

impl Content {
    fn of(file: &ModelFile, known: Option<Digest>) -> io::Result<Self> {
        Ok(match known {
            Some(digest) => Self::Known(digest),
            None if file.size < WORTH_A_THREAD => Self::InTurn(Hasher::default()),
            None => Self::Beside(Beside::start()?),
        })
    }

    fn saw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Known(_) => Ok(()),
            Self::InTurn(hasher) => {
                hasher.update(bytes);
                Ok(())
            }
            Self::Beside(thread) => thread.pass_on(bytes),
        }
    }

    fn finish(self) -> io::Result<Digest> {
        match self {
            Self::Known(digest) => Ok(digest),
            Self::InTurn(hasher) => Ok(hasher.finish()),
            Self::Beside(thread) => thread.finish(),
        }
    }
}

/// A thread that hashes while the bytes travel on. It gets a copy, which costs a tenth of a hash: the bytes themselves belong to the socket.
struct Beside {
    send: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    thread: JoinHandle<Digest>,
}

impl Beside {
    fn start() -> io::Result<Self> {
        let (send, receive) = sync_channel(IN_FLIGHT);
        let (give_back, returned) = channel();
        let thread = thread::Builder::new().name("modelcar-hash".to_owned()).spawn(move || hash_pieces(&receive, &give_back))?;
        Ok(Self { send, returned, thread })
    }

    fn pass_on(&self, bytes: &[u8]) -> io::Result<()> {
        let mut piece = self.returned.try_recv().unwrap_or_else(|_| Vec::with_capacity(bytes.len()));
        piece.clear();
        piece.extend_from_slice(bytes);
        self.send.send(piece).map_err(|_| stopped())
    }

    fn finish(self) -> io::Result<Digest> {
        drop(self.send);
        self.thread.join().map_err(|_| stopped())
    }
}

fn stopped() -> io::Error {
    io::Error::other("the hashing thread stopped")
}

fn hash_pieces(receive: &Receiver<Vec<u8>>, give_back: &Sender<Vec<u8>>) -> Digest {
    let mut content = Hasher::default();
    for piece in receive {
        content.update(&piece);
        // Nobody takes pieces back at the very end.
        let _ = give_back.send(piece);
    }
    content.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::hash::hash;
    use crate::image::tar::TarEntry;

    /// A layer of files of these sizes.
    fn layer(dir: &std::path::Path, sizes: &[usize]) -> LayerTar {
        let entry = |(number, size): (usize, &usize)| {
            let path = dir.join(number.to_string());
            std::fs::write(&path, vec![u8::try_from(number).unwrap(); *size]).unwrap();
            let file = ModelFile::on_disk("m".to_owned(), &path).unwrap();
            TarEntry::File { path: format!("models/{number}"), file }
        };
        LayerTar::new(sizes.iter().enumerate().map(entry).collect(), 0)
    }

    fn pass(passing: &Passing) -> Vec<u8> {
        let mut bytes = Vec::new();
        passing.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn gives_the_digests_that_hashing_ahead_gives() {
        for sizes in [&[1000, 0, 5 << 20, 300][..], &[6 << 20], &[0], &[4 << 20, 4 << 20]] {
            let dir = tempfile::tempdir().unwrap();
            let tar = layer(dir.path(), sizes);
            let passing = Passing::new(&tar, &Known::default());
            let bytes = pass(&passing);
            let ahead = hash(&tar, &Known::default(), &|_| Ok(())).unwrap();
            assert_eq!((Digest::of(&bytes), passing.files()), (ahead.layer, Some(ahead.files)), "{sizes:?}");
        }
    }

    #[test]
    fn a_pass_that_breaks_off_tells_nothing_and_the_next_one_all() {
        let dir = tempfile::tempdir().unwrap();
        let tar = layer(dir.path(), &[5 << 20, 1000]);
        let passing = Passing::new(&tar, &Known::default());
        let mut broken = passing.open().unwrap();
        broken.read_exact(&mut vec![0; 1 << 20]).unwrap();
        assert_eq!(passing.files(), None);
        pass(&passing);
        drop(broken);
        assert_eq!(passing.files().unwrap().len(), 2);
    }

    #[test]
    fn what_is_known_is_not_hashed_again() {
        let dir = tempfile::tempdir().unwrap();
        let tar = layer(dir.path(), &[10, 20]);
        let crate::model::Content::Disk { stamp, .. } = tar.files().next().unwrap().content else { panic!("on disk") };
        let told = Digest::of(b"told");
        let known = Known { files: [(stamp, told)].into(), ..Known::default() };
        let passing = Passing::new(&tar, &known);
        pass(&passing);
        let files = passing.files().unwrap();
        assert_eq!((files[0], files[1]), (told, Digest::of(&[1; 20])));
        assert_eq!(hash(&tar, &known, &|_| Ok(())).unwrap().files, files);
    }
}
