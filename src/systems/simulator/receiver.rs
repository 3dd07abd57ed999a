//! A system that takes HL7 v2 over MLLP, files what it gets, and answers as a test or the demonstration wants: at
//! once, late, wrongly, or not at all. It reads messages without the product's help.

use std::{
    collections::{BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// A simulated receiver remembers no more than this; a day of the demonstration sends less.
const FILED_MAX: usize = 100_000;
/// A message longer than this ends the connection.
pub(super) const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// Connections at once.
pub(super) const CONNECTIONS_MAX: usize = 64;

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// What a receiver does with a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Deed {
    /// Files it and answers AA.
    #[default]
    Accept,
    /// Files it, and answers AA after a while.
    AcceptLate(Duration),
    /// Files it, answers AA and closes the connection, as some receivers do after each message.
    AcceptAndClose,
    /// Files it and says nothing: the answer is lost on the way.
    AcceptSilently,
    /// Does not file it, and answers AE with this number of table 0357.
    Error(u16),
    /// Does not file it, and answers AR with this number.
    Reject(u16),
    /// Does not file it, and answers AA to a message that nobody sent.
    Mismatch,
    /// Does not file it, and answers AA without saying to what.
    WithoutId,
    /// Does not file it, and says nothing.
    Silence,
    /// Does not file it, and closes the connection.
    Close,
    /// Files it, and first answers something else, then AA.
    AcceptAfterNoise,
}

/// A message that took effect.
#[derive(Clone, Eq, PartialEq)]
pub struct Filed {
    /// MSH-10.
    pub control_id: String,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Filed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Filed({}, {} bytes)", self.control_id, self.bytes.len())
    }
}

/// A receiver's memory and orders; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Receiver(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    filed: VecDeque<Filed>,
    names: BTreeSet<String>,
    received: Vec<String>,
    deeds: VecDeque<Deed>,
    otherwise: Deed,
    connections: u64,
}

impl Receiver {
    /// What it does with the next messages, one after another; then what it does otherwise.
    pub fn shall(&self, deeds: impl IntoIterator<Item = Deed>) {
        self.inside().deeds.extend(deeds);
    }

    /// What it does with messages that it has no other orders for.
    pub fn shall_otherwise(&self, deed: Deed) {
        self.inside().otherwise = deed;
    }

    /// What took effect, in order: each message once, however often it came.
    pub fn filed(&self) -> Vec<Filed> {
        self.inside().filed.iter().cloned().collect()
    }

    /// The control ids of all that came, repetitions included.
    pub fn received(&self) -> Vec<String> {
        self.inside().received.clone()
    }

    /// Connections that were made to it.
    pub fn connections(&self) -> u64 {
        self.inside().connections
    }

    /// Serves until it is dropped.
    pub async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            self.inside().connections += 1;
            while connections.try_join_next().is_some() {}
            if connections.len() < CONNECTIONS_MAX {
                let receiver = self.clone();
                connections.spawn(async move {
                    if let Err(error) = receiver.serve(stream).await {
                        tracing::debug!(%error, "a sender went away");
                    }
                });
            }
        }
    }

    async fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        loop {
            let Some(message) = next_message(&mut buffer) else {
                if MESSAGE_BYTES_MAX < buffer.len() || stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            let (deed, control_id) = self.take(&message);
            let says = |code: &str, id: &str, number: Option<u16>| answer(&message, code, id, number);
            let said = match deed {
                Deed::Accept | Deed::AcceptAndClose => says("AA", &control_id, None),
                Deed::AcceptLate(after) => {
                    sleep(after).await;
                    says("AA", &control_id, None)
                }
                Deed::Error(number) => says("AE", &control_id, Some(number)),
                Deed::Reject(number) => says("AR", &control_id, Some(number)),
                Deed::Mismatch => says("AA", "SOMETHING-ELSE", None),
                Deed::WithoutId => says("AA", "", None),
                Deed::AcceptAfterNoise => {
                    let noise = [says("AA", "SOMETHING-ELSE", None), b"\x0bno HL7\x1c\r\r\n".to_vec()];
                    [noise.concat(), says("AA", &control_id, None)].concat()
                }
                Deed::AcceptSilently | Deed::Silence => continue,
                Deed::Close => return Ok(()),
            };
            stream.write_all(&said).await?;
            if deed == Deed::AcceptAndClose {
                return Ok(());
            }
        }
    }

    /// Files a message if that is what is to be done with it.
    fn take(&self, message: &[u8]) -> (Deed, String) {
        let control_id = field(message, "MSH", 10);
        let name = format!("{}|{}|{control_id}", field(message, "MSH", 3), field(message, "MSH", 4));
        let mut inside = self.inside();
        let deed = inside.deeds.pop_front().unwrap_or_else(|| inside.otherwise.clone());
        inside.received.push(control_id.clone());
        let files = match deed {
            Deed::Accept
            | Deed::AcceptLate(_)
            | Deed::AcceptAndClose
            | Deed::AcceptSilently
            | Deed::AcceptAfterNoise => true,
            Deed::Error(_)
            | Deed::Reject(_)
            | Deed::Mismatch
            | Deed::WithoutId
            | Deed::Silence
            | Deed::Close => false,
        };
        if files && inside.names.insert(name) {
            inside.filed.push_back(Filed { control_id: control_id.clone(), bytes: message.to_vec() });
            if FILED_MAX < inside.filed.len() {
                inside.filed.pop_front();
            }
        }
        (deed, control_id)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the first whole frame out of what has come.
pub(super) fn next_message(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = buffer.windows(2).position(|pair| pair == END)?;
    let rest = buffer.split_off(end + END.len());
    let frame = std::mem::replace(buffer, rest);
    let start = frame.iter().position(|byte| *byte == START)? + 1;
    frame.get(start..end).map(<[u8]>::to_vec)
}

/// A field of a message with the usual delimiters, as text.
pub(super) fn field(message: &[u8], segment: &str, number: usize) -> String {
    let found = message.split(|byte| *byte == b'\r').find(|found| found.starts_with(segment.as_bytes()));
    // MSH-1 is the separator itself.
    let number = if segment == "MSH" { number - 1 } else { number };
    let field = found.and_then(|found| found.split(|byte| *byte == b'|').nth(number));
    field.map(|field| String::from_utf8_lossy(field).into_owned()).unwrap_or_default()
}

fn answer(message: &[u8], code: &str, control_id: &str, number: Option<u16>) -> Vec<u8> {
    let error = number.map(|number| format!("||||{number}")).unwrap_or_default();
    acknowledgement(message, &format!("MSA|{code}|{control_id}{error}\r"))
}

/// An acknowledgement of these segments for a message, framed.
pub(super) fn acknowledgement(message: &[u8], segments: &str) -> Vec<u8> {
    let of = |number| field(message, "MSH", number);
    let kind = of(9).split('^').nth(1).map(|event| format!("ACK^{event}")).unwrap_or_default();
    let text = format!(
        "MSH|^~\\&|{}|{}|{}|{}|{}||{kind}|R{}|{}|{}\r{segments}",
        of(5),
        of(6),
        of(3),
        of(4),
        of(7),
        of(10),
        of(11),
        of(12),
    );
    [&[START], text.as_bytes(), &END].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_one_after_another() {
        let mut buffer = b"\r\n\x0bone\x1c\r\x0btwo\x1c\r\x0bthr".to_vec();
        assert_eq!(next_message(&mut buffer).unwrap(), b"one");
        assert_eq!(next_message(&mut buffer).unwrap(), b"two");
        assert_eq!(next_message(&mut buffer), None);
        assert_eq!(buffer, b"\x0bthr");
    }

    #[test]
    fn answers_name_what_they_answer() {
        let message = b"MSH|^~\\&|A|B|C|D|2026||ADT^A31|7|P|2.4\rPID|1";
        let text = String::from_utf8(answer(message, "AE", "7", Some(206))).unwrap();
        assert_eq!(text, "\x0bMSH|^~\\&|C|D|A|B|2026||ACK^A31|R7|P|2.4\rMSA|AE|7||||206\r\x1c\r");
        let text = String::from_utf8(answer(message, "AA", "7", None)).unwrap();
        assert!(text.contains("\rMSA|AA|7\r"), "{text}");
    }
}
