//! The admin socket as its clients meet it, on a real socket with a hub that is not there.

use std::{os::unix::fs::symlink, process::Command};

use tokio::task::JoinHandle;

use crate::{
    flow::fake::{self, FakeHub},
    manage::client::{self, ClientError, Exit, Output},
};

use super::*;

/// A directory of its own that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("polygate-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("run/polygate.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn serve(place: &Place, hub: FakeHub) -> JoinHandle<()> {
    let socket = AdminSocket::bind(&place.socket(), None).unwrap();
    tokio::spawn(socket.serve(Arc::new(hub)))
}

async fn say(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    // The other side may close as soon as it has heard too much.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut heard = Vec::new();
    drop(stream.read_to_end(&mut heard).await);
    String::from_utf8(heard).unwrap()
}

async fn run(path: &Path, request: AdminRequest) -> (Exit, String, String) {
    let path = path.to_owned();
    let command = move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = client::run(&path, &request, Output::default(), &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    tokio::task::spawn_blocking(command).await.unwrap()
}

#[tokio::test]
async fn a_command_reaches_the_hub_and_says_who_gave_it() {
    let place = Place::new("command");
    let hub = Arc::new(FakeHub::new(fake::troubled()));
    let socket = AdminSocket::bind(&place.socket(), None).unwrap();
    let uid = socket.own_uid;
    let serving = tokio::spawn(socket.serve(Arc::clone(&hub) as Arc<dyn Operate>));
    let (exit, out, err) = run(&place.socket(), AdminRequest::Status).await;
    assert_eq!((exit, err.as_str()), (Exit::Degraded, ""));
    assert!(out.starts_with("Tower Hamlets polyclinic (tower-hamlets, 5LC01): degraded\n"));
    assert_eq!(run(&place.socket(), AdminRequest::ParkedRelease { number: 3 }).await.0, Exit::Ok);
    assert_eq!(*hub.deeds.lock().unwrap(), [format!("release 3 by uid {uid}")]);
    let (exit, out, err) = run(&place.socket(), AdminRequest::ParkedRelease { number: 9 }).await;
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.starts_with("error: parked entry 9 was not found\nnext: "), "{err}");
    serving.abort();
}

#[tokio::test]
async fn one_connection_may_ask_again() {
    let place = Place::new("again");
    let serving = serve(&place, FakeHub::new(fake::calm()));
    let heard =
        say(&place.socket(), b"{\"request\":\"queue\"}\nrubbish\n{\"request\":\"parked-list\"}\n").await;
    let replies: Vec<Reply> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(matches!(replies.as_slice(), [Reply::Ok(_), Reply::Error(_), Reply::Ok(_)]), "{heard}");
    serving.abort();
}

#[tokio::test]
async fn rubbish_is_refused_in_words() {
    let place = Place::new("rubbish");
    let serving = serve(&place, FakeHub::new(fake::calm()));
    for rubbish in [
        &b"\xff\xfe\n"[..],
        b"{}\n",
        b"[[[[\n",
        b"{\"request\":\"shutdown\"}\n",
        b"{\"request\":\"message-find\",\"filter\":{\"patient\":\"x\"}}\n",
        b"{\"request\":\"queue\"",
    ] {
        let reply: Reply = serde_json::from_str(&say(&place.socket(), rubbish).await).unwrap();
        let Reply::Error(fault) = reply else { panic!("{rubbish:?} was taken") };
        assert_eq!(fault.kind, FaultKind::Invalid);
    }
    assert_eq!(say(&place.socket(), b"").await, "");
    assert_eq!(run(&place.socket(), AdminRequest::Queue).await.0, Exit::Ok);
    serving.abort();
}

#[tokio::test]
async fn a_request_has_a_largest_size() {
    let place = Place::new("oversize");
    let serving = serve(&place, FakeHub::new(fake::calm()));
    let mut fitting = b"{\"request\":\"queue\"}".to_vec();
    fitting.resize(REQUEST_BYTES_MAX - 1, b' ');
    fitting.push(b'\n');
    assert!(say(&place.socket(), &fitting).await.starts_with("{\"ok\""));
    let heard = say(&place.socket(), &vec![b' '; REQUEST_BYTES_MAX]).await;
    assert!(heard.contains("at most 65536 bytes"), "{heard}");
    serving.abort();
}

#[tokio::test]
async fn more_than_sixteen_are_told_to_come_back() {
    let place = Place::new("crowd");
    let serving = serve(&place, FakeHub::new(fake::calm()));
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = UnixStream::connect(place.socket()).await.unwrap();
        stream.write_all(b"{\"request\":\"queue\"}\n").await.unwrap();
        // An answer means that the connection has its slot.
        assert_ne!(stream.read_u8().await.unwrap(), 0);
        crowd.push(stream);
    }
    let (exit, _, err) = run(&place.socket(), AdminRequest::Queue).await;
    assert_eq!(exit, Exit::Unreachable);
    assert!(err.contains("16 others are connected"), "{err}");
    serving.abort();
}

#[tokio::test]
async fn only_owner_and_group_may_open_it_and_it_goes_with_the_hub() {
    let place = Place::new("mode");
    let serving = serve(&place, FakeHub::new(fake::calm()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.socket()), 0o660);
    assert_eq!(mode(place.socket().parent().unwrap()), 0o700);
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert!(!place.socket().exists());
    let (exit, out, err) = run(&place.socket(), AdminRequest::Status).await;
    assert_eq!((exit, out.as_str()), (Exit::Unreachable, ""));
    assert!(err.contains("no hub answers at") && err.contains("systemctl status polygate"), "{err}");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let place = Place::new("stale");
    fs::create_dir(place.socket().parent().unwrap()).unwrap();
    // Dropping a listener leaves its file, as a killed program does.
    drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
    let living = AdminSocket::bind(&place.socket(), None).unwrap();
    assert!(matches!(AdminSocket::bind(&place.socket(), None), Err(SocketError::InUse(_))));
    drop(living);
    fs::write(place.socket(), "notes").unwrap();
    assert!(matches!(AdminSocket::bind(&place.socket(), None), Err(SocketError::NotASocket(_))));
    fs::remove_file(place.socket()).unwrap();
    symlink("/nowhere", place.socket()).unwrap();
    assert!(matches!(AdminSocket::bind(&place.socket(), None), Err(SocketError::NotASocket(_))));
}

#[test]
fn root_owner_and_members_are_admitted_and_nobody_else() {
    let peer = |uid, gid| Peer { uid, gid, pid: None };
    assert!(peer(ROOT_UID, 0).is_admitted(900, None));
    assert!(peer(900, 900).is_admitted(900, None));
    assert!(peer(1000, 950).is_admitted(900, Some(950)));
    assert!(!peer(1000, 950).is_admitted(900, Some(951)));
    assert!(!peer(1000, 950).is_admitted(900, None));
    assert!(!peer(1000, 900).is_admitted(900, None));
}

#[test]
fn supplementary_groups_make_members() {
    let own = i32::try_from(std::process::id()).unwrap();
    let groups = Command::new("id").arg("-G").output().unwrap();
    let groups = String::from_utf8(groups.stdout).unwrap();
    let listed = fs::read_to_string("/proc/self/status").unwrap();
    let listed = listed.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap().trim().to_owned();
    for group in listed.split_whitespace() {
        assert!(groups.split_whitespace().any(|known| known == group));
        assert!(is_member(own, group.parse().unwrap()));
    }
    assert!(!is_member(own, u32::MAX - 1));
    assert!(!is_member(i32::MAX, 0));
}

#[tokio::test]
async fn a_refusal_ends_with_five() {
    let (here, there) = UnixStream::pair().unwrap();
    turn_away(here, Fault::new(FaultKind::Refused, "user 7 may not operate this hub"));
    let mut heard = String::new();
    BufReader::new(there).read_to_string(&mut heard).await.unwrap();
    let Reply::Error(fault) = serde_json::from_str(&heard).unwrap() else { panic!("{heard}") };
    assert_eq!(ClientError::Fault(fault).exit(), Exit::Refused);
}
