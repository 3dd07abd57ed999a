//! The command line's side of the admin socket: asks, and says in words what stood in the way.

use std::{
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

use crate::flow::words;

use super::{
    protocol::{AdminRequest, Fault, FaultKind, REPLY_BYTES_MAX, Reply, chain},
    render,
    socket::PATIENCE,
};

/// How a command ended; the numbers are a contract with people's scripts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Done, and all is well.
    Ok = 0,
    /// Not done.
    Failed = 1,
    /// The command or the configuration makes no sense.
    Usage = 2,
    /// Answered, and the hub needs attention.
    Degraded = 3,
    /// The hub could not be asked.
    Unreachable = 4,
    /// The asker may not.
    Refused = 5,
    /// It does not fit the present state.
    Conflict = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// As JSON: one document, or one a line for lists.
    pub json: bool,
    /// With colours.
    pub colour: bool,
}

impl Output {
    /// For standard output: colours only on a terminal, and not with `NO_COLOR` (no-color.org) set to anything.
    pub fn for_stdout(json: bool) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colour: !json && !unwanted && io::stdout().is_terminal() }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no hub answers at {}", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket's mode keeps this user out.
    #[error("this user may not use {}", .path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The hub answered, and it is not a reply.
    #[error("the hub's reply cannot be read")]
    Garbled(#[source] serde_json::Error),
    /// The hub says no.
    #[error("{}", .0.message)]
    Fault(Fault),
}

impl ClientError {
    /// What a script learns of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Forbidden { .. } => Exit::Refused,
            Self::Garbled(_) => Exit::Failed,
            Self::Fault(fault) => match fault.kind {
                FaultKind::NotFound | FaultKind::NotAvailable | FaultKind::Failed => Exit::Failed,
                FaultKind::Conflict => Exit::Conflict,
                FaultKind::Invalid => Exit::Usage,
                FaultKind::Refused => Exit::Refused,
                FaultKind::Busy => Exit::Unreachable,
            },
        }
    }

    fn next_step(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "is polygate running? systemctl status polygate",
            Self::Forbidden { .. } => "ask for membership of the hub's operators' group, or use sudo",
            Self::Garbled(_) => "compare `polygate --version` with the version that runs",
            Self::Fault(fault) => &fault.next_step,
        }
    }
}

/// Runs a command: asks the hub, writes its answer to `out` and what went wrong to `err`. Blocks.
pub fn run(
    socket: &Path,
    request: &AdminRequest,
    output: Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let answer = match send(socket, request) {
        Ok(answer) => answer,
        Err(error) => return refused(&error, err),
    };
    match render::write(request, &answer, output, out, err) {
        Ok(()) => render::exit(request, &answer),
        // Whoever reads our output, such as `head`, has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => render::exit(request, &answer),
        Err(error) => {
            complain(&format!("the answer could not be printed: {error}"), "", err);
            Exit::Failed
        }
    }
}

/// Says what stood in the way, and what a script learns of it.
pub fn refused(error: &ClientError, err: &mut dyn Write) -> Exit {
    complain(&chain(error), error.next_step(), err);
    error.exit()
}

/// Asks the hub. Blocks until it answers, at most for about two minutes.
///
/// # Errors
/// See [`ClientError`].
pub fn send(socket: &Path, request: &AdminRequest) -> Result<Value, ClientError> {
    let bytes = exchange(socket, request).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Forbidden { path: socket.to_owned(), source },
        _ => ClientError::Unreachable { path: socket.to_owned(), source },
    })?;
    match serde_json::from_slice(&bytes).map_err(ClientError::Garbled)? {
        Reply::Ok(answer) => Ok(answer),
        Reply::Error(fault) => Err(ClientError::Fault(fault)),
    }
}

fn exchange(socket: &Path, request: &AdminRequest) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE + PATIENCE / 8))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // One who is turned away is told so, and may find that they can no longer write.
    let sent = stream.write_all(&line);
    let mut reply = Vec::new();
    BufReader::new(stream).take(REPLY_BYTES_MAX as u64).read_until(b'\n', &mut reply)?;
    if reply.is_empty() {
        sent?;
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended without an answer"));
    }
    Ok(reply)
}

/// If even this cannot be written, the exit code has to say it all.
fn complain(what: &str, next_step: &str, err: &mut dyn Write) {
    let next =
        if next_step.is_empty() { String::new() } else { format!("next: {}\n", words::line(next_step)) };
    write!(err, "error: {}\n{next}", words::line(what)).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_can_tell_faults_apart() {
        let fault = |kind| ClientError::Fault(Fault::new(kind, "")).exit() as u8;
        assert_eq!(fault(FaultKind::Failed), 1);
        assert_eq!(fault(FaultKind::NotFound), 1);
        assert_eq!(fault(FaultKind::NotAvailable), 1);
        assert_eq!(fault(FaultKind::Invalid), 2);
        assert_eq!(fault(FaultKind::Busy), 4);
        assert_eq!(fault(FaultKind::Refused), 5);
        assert_eq!(fault(FaultKind::Conflict), 6);
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(ClientError::Forbidden { path: PathBuf::new(), source }.exit() as u8, 5);
    }

    #[test]
    fn an_error_says_what_where_why_and_what_next() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = ClientError::Unreachable { path: PathBuf::from("/run/polygate.sock"), source };
        let mut err = Vec::new();
        complain(&chain(&error), error.next_step(), &mut err);
        let expected = "error: no hub answers at /run/polygate.sock: no such file\n\
                        next: is polygate running? systemctl status polygate\n";
        assert_eq!(String::from_utf8(err).unwrap(), expected);
    }

    #[test]
    fn the_exit_code_survives_when_nothing_can_be_written() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let nowhere = Path::new("/nonexistent/socket");
        let exit = run(nowhere, &AdminRequest::Queue, Output::default(), &mut Closed, &mut Closed);
        assert_eq!(exit, Exit::Unreachable);
    }
}
