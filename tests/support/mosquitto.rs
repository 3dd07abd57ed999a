//! The system's mosquitto with mutual TLS and the protocol's access list, on a free port of loopback.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// A running mosquitto; killed at the end.
#[derive(Debug)]
pub struct Mosquitto {
    child: Child,
    port: u16,
}

/// Another process may take a free port before mosquitto does: then another is tried.
const ATTEMPTS: usize = 5;

const ACCESS_LIST: &str = "\
user centre
topic read polygate/1/+/up/+
topic read polygate/1/+/status
topic write polygate/1/+/receipt/+
topic write polygate/1/+/down/+
pattern write polygate/1/%u/up/+
pattern write polygate/1/%u/status
pattern read polygate/1/%u/receipt/+
pattern read polygate/1/%u/down/+
";

impl Mosquitto {
    /// Starts one with the certificates in `directory` (see `super::issue_all`), on `port` or a free one. None, and
    /// a word about it, where mosquitto is not installed.
    pub fn start(directory: &Path, port: Option<u16>) -> Option<Self> {
        let Some(program) = find("mosquitto") else {
            println!("skipped: mosquitto is not installed (Debian package `mosquitto`)");
            return None;
        };
        for _ in 0..ATTEMPTS {
            let port = port.unwrap_or_else(free_port);
            let mut mosquitto = Self { child: spawn(&program, directory, port), port };
            if mosquitto.answers() {
                return Some(mosquitto);
            }
        }
        panic!("mosquitto did not start");
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn answers(&mut self) -> bool {
        for _ in 0..200 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            sleep(Duration::from_millis(25));
        }
        false
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn spawn(program: &Path, directory: &Path, port: u16) -> Child {
    let at = |name: &str| directory.join(name).display().to_string();
    fs::write(directory.join("acl"), ACCESS_LIST).unwrap();
    let configuration = format!(
        "user root\nper_listener_settings false\nlistener {port} 127.0.0.1\nset_tcp_nodelay true\n\
         cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\n\
         allow_anonymous false\nacl_file {}\npersistence false\nmax_inflight_messages 64\n\
         log_dest file {}\nlog_type all\n",
        at("ca.pem"),
        at("broker.pem"),
        at("broker.key"),
        at("acl"),
        at("mosquitto.log"),
    );
    let file = directory.join(format!("mosquitto-{port}.conf"));
    fs::write(&file, configuration).unwrap();
    // With util-linux's setpriv it dies with this process even if that is killed.
    let mut command = match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories =
        std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}
