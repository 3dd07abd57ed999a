//! A private PostgreSQL on a free port of loopback.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use super::{
    Directory,
    program::{find, lasting_port},
};

/// A PostgreSQL; killed and removed at the end.
#[derive(Debug)]
pub struct Postgres {
    server: Option<std::process::Child>,
    bin: PathBuf,
    port: u16,
    directory: Directory,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts a new one. None, and a word about it, where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a new one with settings such as `synchronous_commit=off`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        let Some(bin) = newest_bin() else {
            super::skipped("PostgreSQL is not installed (Debian package `postgresql`)");
            return None;
        };
        if is_root() && find("setpriv").is_none() {
            super::skipped("PostgreSQL does not run as root, and setpriv is not installed");
            return None;
        }
        let directory = Directory::new();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(directory.path()).status().unwrap();
            assert!(owned.success(), "chown to postgres");
        }
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut postgres = Self { server: None, bin, port: lasting_port(), directory, settings };
        let data = postgres.data();
        let mut initdb = postgres.command("initdb", false);
        initdb
            .args(["-U", "polygate", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(data);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.restart();
        Some(postgres)
    }

    /// What to write in a configuration.
    pub fn url(&self) -> String {
        format!("postgres://polygate@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements that answer nothing, each of which must succeed.
    pub async fn run(&self, statements: &str) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// kill -9, of every process of it: as if the machine had gone.
    pub fn kill9(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let children =
            fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap_or_default();
        server.kill().unwrap();
        // Those that are left over see the death of their master; this makes it sooner.
        let mut kill = Command::new("kill");
        kill.arg("-9").args(children.split_whitespace()).stdout(Stdio::null()).stderr(Stdio::null());
        drop(kill.status());
        server.wait().unwrap();
    }

    /// Starts it again, and returns once it answers.
    pub fn restart(&mut self) {
        for _ in 0..20 {
            let mut command = self.command("postgres", true);
            command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
            command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-c", "max_connections=40"]);
            command.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
            let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let mut server = command.spawn().unwrap();
            if self.answers(&mut server) {
                self.server = Some(server);
                return;
            }
            // The shared memory of the one that was killed may still be held for a moment.
            drop(server.kill());
            drop(server.wait());
            sleep(Duration::from_millis(200));
        }
        panic!("PostgreSQL does not start: {}", fs::read_to_string(self.log()).unwrap_or_default());
    }

    fn answers(&self, server: &mut std::process::Child) -> bool {
        for _ in 0..400 {
            if server.try_wait().unwrap().is_some() {
                return false;
            }
            // It takes connections before it has recovered; this program tells the two apart.
            let mut ready = Command::new(self.bin.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return true;
            }
            sleep(Duration::from_millis(25));
        }
        false
    }

    /// A server that was killed leaves its shared memory to the next, and here there is none: its identifier
    /// is on the seventh line of the process file (PostgreSQL, `utils/pidfile.h`).
    fn remove_shared_memory(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let segment = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        if let (Some(segment), Some(ipcrm)) = (segment, find("ipcrm")) {
            let mut remove = Command::new(ipcrm);
            drop(remove.args(["-m", segment]).stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("postgres.log")
    }

    /// One of PostgreSQL's programs, as the user postgres where this is root; it dies with this process.
    fn command(&self, program: &str, dies_with_us: bool) -> Command {
        let program = self.bin.join(program);
        let mut command = match find("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                if is_root() {
                    command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
                }
                if dies_with_us {
                    command.args(["--pdeathsig", "KILL"]);
                }
                command.arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir("/");
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill9();
        self.remove_shared_memory();
    }
}

/// Whether this is root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

fn newest_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let path = version.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            let bin = path.join("bin");
            has_server(&bin).then_some((number, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn has_server(bin: &Path) -> bool {
    ["initdb", "pg_isready", "postgres"].iter().all(|program| bin.join(program).is_file())
}
