//! The admin socket: a Unix socket through which operators on this machine, and nobody else, run the hub.
//!
//! The file's mode keeps strangers out; the peer's credentials are checked as well, and are what goes on record.

use std::{
    fs::{self, DirBuilder, Permissions},
    io::{self, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::UnixStream as BlockingStream,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};

use crate::flow::operate::{Operate, ask};

use super::{
    commands,
    protocol::{AdminRequest, Fault, FaultKind, REQUEST_BYTES_MAX, Reply},
};

/// People at keyboards and a monitoring script or two.
const CONNECTIONS_MAX: usize = 16;
/// A client that says nothing for so long is gone, or never meant to.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A search through a full journal on a slow disk ends sooner.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// After a failed accept (no descriptors left, most likely) things need a moment to improve.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
const ROOT_UID: u32 = 0;

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another program answers on it: a second polygate with the same state directory.
    #[error("{} is in use: another polygate runs with this state directory", .0.display())]
    InUse(PathBuf),
    /// Something else is at its place, which is not ours to remove.
    #[error("{} is not a socket, and is left alone", .0.display())]
    NotASocket(PathBuf),
    /// The operating system refused a step.
    #[error("{step} {}", .path.display())]
    Io {
        /// The step.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A bound admin socket; its file goes when this does.
#[derive(Debug)]
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    own_uid: u32,
    members_gid: Option<u32>,
}

impl AdminSocket {
    /// Makes the socket and its directory, for root, this program's own user and the members of a group. Must be
    /// called within a tokio runtime; blocks for a moment.
    ///
    /// # Errors
    /// See [`SocketError`].
    pub fn bind(path: &Path, members_gid: Option<u32>) -> Result<Self, SocketError> {
        let failed = |step| move |source| SocketError::Io { step, path: path.to_owned(), source };
        if let Some(directory) = path.parent() {
            make_directory(directory, members_gid).map_err(|source| SocketError::Io {
                step: "making",
                path: directory.to_owned(),
                source,
            })?;
        }
        remove_stale(path)?;
        let listener = UnixListener::bind(path).map_err(failed("binding"))?;
        if members_gid.is_some() {
            chown(path, None, members_gid).map_err(failed("giving the group"))?;
        }
        fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed("setting the mode of"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("looking at"))?;
        let (inode, own_uid) = (metadata.ino(), metadata.uid());
        Ok(Self { listener, path: path.to_owned(), inode, own_uid, members_gid })
    }

    /// Serves for ever. Dropping the future ends every connection and removes the socket.
    pub async fn serve(self, hub: Arc<dyn Operate>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "admin connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let admitted = self.admit(&stream).and_then(|by| match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => Ok((by, slot)),
                Err(_) => Err(Fault::new(FaultKind::Busy, format!("{CONNECTIONS_MAX} others are connected"))
                    .then("try again in a minute")),
            });
            match admitted {
                Ok((by, slot)) => {
                    let hub = Arc::clone(&hub);
                    connections.spawn(async move {
                        converse(stream, hub, by).await;
                        drop(slot);
                    });
                }
                Err(fault) => turn_away(stream, fault),
            }
        }
    }

    /// Who is there, if they may be.
    fn admit(&self, stream: &UnixStream) -> Result<String, Fault> {
        let peer = stream
            .peer_cred()
            .map_err(|error| Fault::new(FaultKind::Refused, format!("who asks cannot be told: {error}")))?;
        let peer = Peer { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() };
        if peer.is_admitted(self.own_uid, self.members_gid) {
            return Ok(format!("uid {}", peer.uid));
        }
        tracing::warn!(uid = peer.uid, "admin connection refused");
        let what = format!("user {} may not operate this hub", peer.uid);
        Err(Fault::new(FaultKind::Refused, what)
            .then("ask for membership of the hub's operators' group, or use sudo"))
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // If the file is another's by now, it is not ours to remove.
        let own = fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "admin socket could not be removed");
        }
    }
}

fn make_directory(directory: &Path, members_gid: Option<u32>) -> io::Result<()> {
    let mode = if members_gid.is_some() { 0o750 } else { 0o700 };
    if let Err(error) = DirBuilder::new().mode(mode).create(directory)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    if members_gid.is_some() {
        chown(directory, None, members_gid)?;
    }
    fs::set_permissions(directory, Permissions::from_mode(mode))
}

/// Removes a socket that a killed program left; one that answers is left alone.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |step| move |source| SocketError::Io { step, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match BlockingStream::connect(path) {
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("removing the stale"))
        }
        Err(error) => Err(failed("trying")(error)),
    }
}

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy)]
struct Peer {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl Peer {
    fn is_admitted(self, own_uid: u32, members_gid: Option<u32>) -> bool {
        if self.uid == ROOT_UID || self.uid == own_uid {
            return true;
        }
        let Some(members) = members_gid else { return false };
        self.gid == members || self.pid.is_some_and(|pid| is_member(pid, members))
    }
}

/// Whether a process has a supplementary group. The socket's mode has let it in already, so that nothing is won
/// by another process taking over the number meanwhile.
fn is_member(pid: i32, gid: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    groups.split_whitespace().any(|group| group.parse() == Ok(gid))
}

/// A line for one who may not stay. It fits the socket's buffer, and no time is spent on one who does not read it:
/// the standard library's stream stays non-blocking, and needs no turn of the reactor before its first write.
fn turn_away(stream: UnixStream, fault: Fault) {
    let written = stream.into_std().and_then(|mut stream| stream.write_all(&line(&Reply::Error(fault))));
    if let Err(error) = written {
        tracing::debug!(%error, "nobody heard why they were turned away");
    }
}

async fn converse(stream: UnixStream, hub: Arc<dyn Operate>, by: String) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    while let Ok(Ok(Some(bytes))) = timeout(IDLE_MAX, read_line(&mut reader)).await {
        let whole = bytes.last() == Some(&b'\n');
        let reply = match parse(&bytes, whole) {
            Ok(request) => answer(&hub, request, by.clone()).await,
            Err(fault) => Reply::Error(fault),
        };
        if !matches!(timeout(IDLE_MAX, send(&mut writer, &reply)).await, Ok(Ok(()))) || !whole {
            return;
        }
    }
}

/// One line with its newline; without, if it is too long or the stream ends within it; nothing at the end.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(REQUEST_BYTES_MAX as u64).read_until(b'\n', &mut bytes).await?;
    Ok(if bytes.is_empty() { None } else { Some(bytes) })
}

fn parse(bytes: &[u8], whole: bool) -> Result<AdminRequest, Fault> {
    if !whole && REQUEST_BYTES_MAX <= bytes.len() {
        return Err(Fault::new(
            FaultKind::Invalid,
            format!("a request has at most {REQUEST_BYTES_MAX} bytes"),
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::new(FaultKind::Invalid, format!("the request is not one: {error}")))
}

async fn answer(hub: &Arc<dyn Operate>, request: AdminRequest, by: String) -> Reply {
    match ask(hub, PATIENCE, move |hub| commands::answer(hub, request, &by)).await {
        Ok(Ok(value)) => Reply::Ok(value),
        Ok(Err(fault)) => Reply::Error(fault),
        Err(error) => {
            Reply::Error(Fault::new(FaultKind::Busy, error.to_string()).then("journalctl -u polygate"))
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    writer.write_all(&line(reply)).await
}

fn line(reply: &Reply) -> Vec<u8> {
    // A reply is made of strings, numbers and maps with string keys, which JSON always takes.
    let mut bytes = serde_json::to_vec(reply).unwrap_or_else(|_| br#"{"error":{"kind":"failed"}}"#.to_vec());
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
