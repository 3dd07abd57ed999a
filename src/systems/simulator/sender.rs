//! A system that sends messages over MLLP, one after another, each until it is accepted.

use std::{collections::BTreeSet, io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long a real sender waits for an acknowledgement before it gives the connection up.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(200);
/// An acknowledgement is a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// One connection to an MLLP listener, made again when it breaks.
#[derive(Debug)]
pub struct Sender {
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// Control ids that were answered AA.
    pub accepted: BTreeSet<String>,
    /// How often a message had to be sent again.
    pub repeats: u64,
}

/// What the listener said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// MSA-1.
    pub code: String,
    /// MSA-2.
    pub control_id: String,
}

impl Sender {
    /// A sender that is not connected yet.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, accepted: BTreeSet::new(), repeats: 0 }
    }

    /// Sends a message until it is accepted; gives up only when the future is dropped.
    pub async fn deliver(&mut self, control_id: &str, message: &[u8]) {
        loop {
            match self.send(message).await {
                Ok(answer) if answer.code == "AA" && answer.control_id == control_id => {
                    self.accepted.insert(control_id.to_owned());
                    return;
                }
                Ok(answer) => tracing::debug!(?answer, "not accepted: trying again"),
                Err(error) => {
                    tracing::debug!(%error, "no answer: trying again");
                    self.stream = None;
                }
            }
            self.repeats += 1;
            sleep(PAUSE).await;
        }
    }

    /// Sends a message once and waits for its answer.
    ///
    /// # Errors
    /// No connection, or no answer in time. The connection is then of no more use.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<Answer> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let (stream, answer) = timeout(ANSWER, exchange(stream, message)).await??;
        self.stream = Some(stream);
        Ok(answer)
    }
}

async fn exchange(mut stream: TcpStream, message: &[u8]) -> io::Result<(TcpStream, Answer)> {
    let mut framed = Vec::with_capacity(message.len() + 3);
    framed.push(START);
    framed.extend_from_slice(message);
    framed.extend_from_slice(&END);
    stream.write_all(&framed).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.ends_with(&END) {
        if ANSWER_BYTES_MAX < answer.len() || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((stream, read_answer(&answer)))
}

fn read_answer(answer: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(answer);
    let msa = text.split('\r').find(|segment| segment.starts_with("MSA")).unwrap_or_default();
    let mut fields = msa.split('|').skip(1).map(str::to_owned);
    Answer { code: fields.next().unwrap_or_default(), control_id: fields.next().unwrap_or_default() }
}
