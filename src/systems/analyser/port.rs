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

use tokio::{runtime::Handle, time::Instant};

use crate::{
    flow::{alarm::AlarmCode, hub::Hub, link::Link},
    sys::{
        serial::{self, LineSettings, SerialLine},
        tunnel,
    },
};

use super::intake::{Intake, Lis2, Poct1a, Speaker};

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

/// What an analyser speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// LIS2-A2 records in LIS1-A frames.
    #[default]
    Lis2,
    /// POCT1-A.
    Poct1a,
}

/// How an analyser is served.
#[derive(Clone, Debug)]
pub struct AnalyserOptions {
    /// Where it is.
    pub port: Port,
    /// What it speaks.
    pub protocol: Protocol,
    /// The longest message taken, in bytes.
    pub message_bytes_max: usize,
}

/// One analyser.
#[derive(Debug)]
pub struct Analyser {
    intake: Intake,
    options: AnalyserOptions,
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
        let intake = Intake { hub, link, runtime };
        let analyser = Self { intake, options, stop: Arc::clone(&stop) };
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
            self.pause(wait);
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
        tracing::info!(link = self.intake.link.name(), identity = found, "analyser's line open");
        self.is_up(&path.display().to_string());
        self.intake.link.connected(self.intake.hub.now());
        let ended = self.serve(&mut line, None);
        self.intake.link.disconnected(self.intake.hub.now());
        ended.map(drop)
    }

    fn listen(&self, address: SocketAddr) -> io::Result<()> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        self.is_up(&listener.local_addr()?.to_string());
        while !self.is_stopped() {
            match listener.accept() {
                Ok((stream, _)) => {
                    let mut next = Some(stream);
                    while let Some(stream) = next {
                        next = self.connection(stream, Some(&listener));
                    }
                }
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
        self.connection(stream, None);
        // Not at once: an analyser that accepts and closes would be dialled without end.
        self.intake.link.down("the analyser closed the connection", self.intake.hub.now());
        self.pause(AGAIN_FIRST);
        Ok(())
    }

    /// Serves a connection; returns the one that took its place.
    fn connection(&self, mut stream: TcpStream, listener: Option<&TcpListener>) -> Option<TcpStream> {
        self.intake.link.connected(self.intake.hub.now());
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| tunnel::prepare(&stream))
            .and_then(|()| stream.set_read_timeout(Some(READ_WITHIN)))
            .and_then(|()| stream.set_write_timeout(Some(WRITE_WITHIN)));
        let ended = prepared.and_then(|()| self.serve(&mut stream, listener));
        self.intake.link.disconnected(self.intake.hub.now());
        ended.unwrap_or_else(|error| {
            tracing::debug!(link = self.intake.link.name(), %error, "an analyser's connection ended");
            None
        })
    }

    /// Converses until the line is gone, another connection takes its place, or the hub ends.
    fn serve(&self, line: &mut dyn Line, listener: Option<&TcpListener>) -> io::Result<Option<TcpStream>> {
        let mut speaker: Box<dyn Speaker> = match self.options.protocol {
            Protocol::Lis2 => Box::new(Lis2::new(self.options.message_bytes_max)),
            Protocol::Poct1a => Box::new(Poct1a::new(self.options.message_bytes_max)),
        };
        let ended = self.converse(line, speaker.as_mut(), listener);
        speaker.hang_up(&self.intake);
        ended
    }

    fn converse(
        &self,
        line: &mut dyn Line,
        speaker: &mut dyn Speaker,
        listener: Option<&TcpListener>,
    ) -> io::Result<Option<TcpStream>> {
        let mut buffer = [0; READ_BYTES];
        while !self.is_stopped() {
            let count = match line.read(&mut buffer) {
                // A line that is gone must not be read for ever.
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => count,
                Err(error) if is_silence(&error) => 0,
                Err(error) => return Err(error),
            };
            speaker.receive(buffer.get(..count).unwrap_or_default(), &self.intake);
            while let Some(bytes) = speaker.next_write(&self.intake) {
                line.write_all(&bytes)?;
                line.flush()?;
            }
            // An analyser that lost its power does not close its connection: the one it makes anew counts.
            if count == 0
                && let Some(Ok((newer, _))) = listener.map(TcpListener::accept)
            {
                return Ok(Some(newer));
            }
        }
        Ok(None)
    }

    fn is_up(&self, address: &str) {
        self.intake.link.listening(address, self.intake.hub.now());
        self.intake.hub.alarms().clear(AlarmCode::ListenerDown, self.intake.link.name());
    }

    fn is_down(&self, error: &io::Error) {
        let (text, now) = (format!("the analyser's port: {error}"), self.intake.hub.now());
        self.intake.link.down(&text, now);
        self.intake.hub.alarms().raise(AlarmCode::ListenerDown, self.intake.link.name(), text, now);
    }

    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while Instant::now() < until && !self.is_stopped() {
            thread::sleep(READ_WITHIN);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
