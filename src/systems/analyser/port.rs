//! One analyser's port: a thread that reads, converses, and acknowledges only what is durable.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::Bytes;
use tokio::{runtime::Handle, time::Instant};

use crate::{
    codec::lis2::{
        link::{Action, Conversation, Framing, Role, Verdict},
        record::Message,
    },
    flow::{
        alarm::AlarmCode,
        hub::Hub,
        link::Link,
        receive::{Outcome, Quarantined, Received},
    },
    sys::serial::{self, LineSettings, SerialLine},
};

use super::{FORMAT, by_patient, is_query, no_information};

/// Reads return after this, so that the thread can look whether it is to stop.
const READ_WITHIN: Duration = Duration::from_millis(100);
/// An analyser that takes nothing for this long is cut off.
const WRITE_WITHIN: Duration = Duration::from_secs(15);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait before a port is tried again: doubled up to the longest.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 4096;

/// Where an analyser is.
#[derive(Clone, Debug)]
pub enum Port {
    /// A serial device. With `identity`, only that physical device is read; see [`serial::identity`].
    Device {
        /// Its name, one that stays the same after a replug.
        path: PathBuf,
        /// How the line is set.
        settings: LineSettings,
        /// Which device it must be.
        identity: Option<String>,
    },
    /// It dials us; one connection at a time.
    Listen(SocketAddr),
    /// We dial it: `host:port`.
    Connect(String),
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device { path, .. } => write!(f, "{}", path.display()),
            Self::Listen(address) => write!(f, "{address}"),
            Self::Connect(address) => f.write_str(address),
        }
    }
}

/// How an analyser is served.
#[derive(Clone, Debug)]
pub struct AnalyserOptions {
    /// Where it is.
    pub port: Port,
    /// The longest message taken, in bytes.
    pub message_bytes_max: usize,
}

/// One analyser.
#[derive(Debug)]
pub struct Analyser {
    hub: Arc<Hub>,
    link: Arc<Link>,
    options: AnalyserOptions,
    runtime: Handle,
    stop: Arc<AtomicBool>,
}

/// The thread of an analyser.
#[derive(Debug)]
pub struct AnalyserThread {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl AnalyserThread {
    /// Ends it. Blocks until it has, a fraction of a second at most.
    pub fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        if self.thread.join().is_err() {
            tracing::error!("an analyser's thread ended in a panic");
        }
    }
}

/// What bytes come and go over.
trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

impl Analyser {
    /// Starts an analyser's thread. `runtime` is where the journal's answers are waited for.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        hub: Arc<Hub>,
        link: Arc<Link>,
        options: AnalyserOptions,
        runtime: Handle,
    ) -> io::Result<AnalyserThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = link.name().to_owned();
        let analyser = Self { hub, link, options, runtime, stop: Arc::clone(&stop) };
        let thread = thread::Builder::new().name(name).spawn(move || analyser.run())?;
        Ok(AnalyserThread { stop, thread })
    }

    fn run(&self) {
        let mut wait = AGAIN_FIRST;
        while !self.is_stopped() {
            let ended = match &self.options.port {
                Port::Device { path, settings, identity } => {
                    self.device(path, *settings, identity.as_deref())
                }
                Port::Listen(address) => self.listen(*address),
                Port::Connect(address) => self.dial(address),
            };
            let Err(error) = ended else {
                wait = AGAIN_FIRST;
                continue;
            };
            self.is_down(&error);
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.is_stopped() {
                thread::sleep(READ_WITHIN);
            }
            wait = (wait * 2).min(AGAIN_MAX);
        }
    }

    fn device(&self, path: &std::path::Path, settings: LineSettings, wanted: Option<&str>) -> io::Result<()> {
        let found = serial::identity(path);
        if let Some(wanted) = wanted
            && found.as_deref() != Some(wanted)
        {
            // Another analyser's results under this one's name would be somebody else's blood.
            let found = found.unwrap_or_else(|| "no USB device".to_owned());
            let text = format!("{} is {found}, not {wanted}: nothing is read from it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut line = SerialLine::open(path, settings)?;
        tracing::info!(link = self.link.name(), identity = found, "analyser's line open");
        self.is_up(&path.display().to_string());
        self.link.connected(self.hub.now());
        let ended = self.serve(&mut line);
        self.link.disconnected(self.hub.now());
        ended
    }

    fn listen(&self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        self.is_up(&listener.local_addr()?.to_string());
        while !self.is_stopped() {
            match listener.accept() {
                Ok((stream, _)) => self.connection(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(READ_WITHIN),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn dial(&self, address: &str) -> io::Result<()> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
        let place = address.to_socket_addrs()?.next().ok_or_else(unknown)?;
        let stream = TcpStream::connect_timeout(&place, CONNECT_WITHIN)?;
        self.is_up(address);
        self.connection(stream);
        Ok(())
    }

    fn connection(&self, mut stream: TcpStream) {
        self.link.connected(self.hub.now());
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| stream.set_read_timeout(Some(READ_WITHIN)))
            .and_then(|()| stream.set_write_timeout(Some(WRITE_WITHIN)));
        let ended = prepared.and_then(|()| self.serve(&mut stream));
        self.link.disconnected(self.hub.now());
        if let Err(error) = ended {
            tracing::debug!(link = self.link.name(), %error, "an analyser's connection ended");
        }
    }

    /// Converses until the line is gone or the hub ends.
    fn serve(&self, line: &mut dyn Line) -> io::Result<()> {
        let began = Instant::now();
        let mut conversation = Conversation::new(Role::Host, self.options.message_bytes_max);
        let mut buffer = [0; READ_BYTES];
        let ended = loop {
            if self.is_stopped() {
                break Ok(());
            }
            match line.read(&mut buffer) {
                // A line that is gone must not be read for ever.
                Ok(0) => break Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => {
                    conversation.receive(buffer.get(..count).unwrap_or_default(), began.elapsed());
                }
                Err(error) if is_silence(&error) => {}
                Err(error) => break Err(error),
            }
            conversation.tick(began.elapsed());
            if let Err(error) = self.act(&mut conversation, line, began) {
                break Err(error);
            }
        };
        conversation.hang_up();
        while let Some(action) = conversation.next_action() {
            if let Action::Torn(bytes, reason) = action {
                self.keep_aside(bytes, reason);
            }
        }
        ended
    }

    fn act(&self, conversation: &mut Conversation, line: &mut dyn Line, began: Instant) -> io::Result<()> {
        while let Some(action) = conversation.next_action() {
            match action {
                Action::Write(bytes) => {
                    line.write_all(&bytes)?;
                    line.flush()?;
                }
                Action::Message(bytes) => {
                    let verdict = self.take(&bytes);
                    conversation.decide(verdict, began.elapsed());
                    if verdict == Verdict::Taken && asks(&bytes) {
                        let answer = no_information(self.hub.identity().id.as_str());
                        conversation.send(answer.as_bytes(), Framing::RecordAFrame, began.elapsed());
                    }
                }
                Action::Torn(bytes, reason) => drop(self.keep_aside(bytes, reason)),
                Action::Sent => tracing::debug!(link = self.link.name(), "an analyser took an answer"),
                Action::NotSent(reason) => {
                    tracing::info!(link = self.link.name(), reason, "an analyser did not take an answer");
                }
            }
        }
        Ok(())
    }

    /// Makes a message durable, or says that it could not be.
    fn take(&self, bytes: &Bytes) -> Verdict {
        let parts = match by_patient(bytes) {
            Ok(parts) => parts,
            // It would come again for ever: kept where people see it, it need not.
            Err(error) => return self.kept(bytes, &error.to_string()),
        };
        let received = parts.iter().map(|(raw, event)| Received {
            event: event.clone(),
            format: FORMAT,
            raw: raw.clone(),
        });
        let outcomes = self.runtime.block_on(self.hub.receive(&self.link, received.collect()));
        let mut verdict = Verdict::Taken;
        for ((raw, _), outcome) in parts.iter().zip(outcomes) {
            let one = match outcome {
                Outcome::Accepted(_) | Outcome::Repeated(_) => Verdict::Taken,
                Outcome::Full | Outcome::Failed => Verdict::Later,
                Outcome::Conflict => self.kept(raw, "another message with this number was accepted before"),
                Outcome::TooLong => self.kept(raw, "it is longer than this receiver takes"),
            };
            if one == Verdict::Later {
                verdict = one;
            }
        }
        verdict
    }

    fn kept(&self, bytes: &Bytes, reason: &str) -> Verdict {
        if self.keep_aside(bytes.clone(), reason) { Verdict::Taken } else { Verdict::Later }
    }

    fn keep_aside(&self, raw: Bytes, reason: &str) -> bool {
        self.link.answered(0, 0, 1, self.hub.now());
        self.hub.keep_aside(&Quarantined {
            at: self.hub.now(),
            system: self.link.name().to_owned(),
            kind: "LIS2".to_owned(),
            source_id: String::new(),
            reason: reason.to_owned(),
            raw,
        })
    }

    fn is_up(&self, address: &str) {
        self.link.listening(address, self.hub.now());
        self.hub.alarms().clear(AlarmCode::ListenerDown, self.link.name());
    }

    fn is_down(&self, error: &io::Error) {
        let (text, now) = (format!("the analyser's port: {error}"), self.hub.now());
        self.link.down(&text, now);
        self.hub.alarms().raise(AlarmCode::ListenerDown, self.link.name(), text, now);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn asks(bytes: &Bytes) -> bool {
    Message::parse(bytes).is_ok_and(|message| is_query(&message))
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
