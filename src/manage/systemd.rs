//! Tells systemd that the program is ready, alive or stopping (sd_notify(3)), without its library.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::Arc,
    time::Duration,
};

use crate::flow::{
    operate::{Operate, ask},
    status::{Condition, HubStatus},
    words,
};

use super::health::is_alive;

/// How often the line in `systemctl status` is renewed where no watchdog asks for more.
const STATUS_PERIOD: Duration = Duration::from_secs(10);
/// A status that takes longer is left out; the watchdog does not depend on it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the service manager, or to nobody.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`. Talks to nobody if not started
    /// by systemd.
    ///
    /// # Errors
    /// systemd named an address, and it cannot be used.
    pub fn from_environment() -> io::Result<Self> {
        let Ok(address) = env::var("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let own = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let microseconds = env::var("WATCHDOG_USEC").ok().filter(|_| own).and_then(|text| text.parse().ok());
        Self::new(&address, microseconds.filter(|period| 0 < *period).map(Duration::from_micros))
    }

    /// A path, or `@` and an abstract name; and the period after which systemd takes silence for death.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn new(address: &str, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        Ok(Self { socket: Some((UnixDatagram::unbound()?, address)), watchdog })
    }

    /// The hub takes messages now.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The hub is about to end in good order.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", words::line(text)));
    }

    /// Feeds the watchdog as long as every hub's journal answers, and keeps the status line fresh; for ever.
    /// Run it beside the hubs, and drop it to end it. `WatchdogSec=` should be 60 s or more: a slow disk may
    /// keep the journal silent for [`SILENCE_MAX`](super::health::SILENCE_MAX) and still be well.
    pub async fn watch(&self, hubs: &[Arc<dyn Operate>]) {
        // Half the period, as sd_watchdog_enabled(3) recommends.
        let period = self.watchdog.map_or(STATUS_PERIOD, |period| (period / 2).min(STATUS_PERIOD));
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.beat(hubs).await;
        }
    }

    async fn beat(&self, hubs: &[Arc<dyn Operate>]) {
        if hubs.iter().all(|hub| is_alive(hub.as_ref())) {
            if self.watchdog.is_some() {
                self.send("WATCHDOG=1");
            }
        } else {
            tracing::error!("the journal does not answer; systemd's watchdog is not fed");
        }
        let mut lines = Vec::with_capacity(hubs.len());
        for hub in hubs {
            if let Ok(status) = ask(hub, PATIENCE, |hub| hub.status()).await {
                lines.push(summary(&status));
            }
        }
        self.status(&lines.join("; "));
    }

    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, "systemd could not be told");
        }
    }
}

fn summary(status: &HubStatus) -> String {
    let waiting = status.queue.iter().map(|queue| queue.entries).sum();
    let condition = match status.condition {
        Condition::Ok => "ok",
        Condition::Degraded => "degraded",
        Condition::Refusing => "refusing",
    };
    let alarms: Vec<&str> = status.alarms.iter().map(|alarm| alarm.code.code()).collect();
    let alarms = if alarms.is_empty() { String::new() } else { format!(", {}", alarms.join(" ")) };
    format!(
        "{}: {condition}, {} for the centre{alarms}",
        status.hub,
        words::counted(waiting, "entry", "entries")
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::flow::fake::{self, FakeHub};

    fn systemd(address: &SocketAddr) -> UnixDatagram {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 1024];
        std::iter::from_fn(|| {
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
        .collect()
    }

    #[test]
    fn speaks_to_abstract_and_ordinary_addresses() {
        let name = format!("polygate-test-{}", std::process::id());
        let abstract_one = systemd(&SocketAddr::from_abstract_name(&name).unwrap());
        let notifier = Notifier::new(&format!("@{name}"), None).unwrap();
        notifier.ready();
        notifier.status("one\nREADY=1");
        notifier.stopping();
        assert_eq!(heard(&abstract_one), ["READY=1", "STATUS=one\\u{a}READY=1", "STOPPING=1"]);

        let path = env::temp_dir().join(format!("{name}.sock"));
        let ordinary = systemd(&SocketAddr::from_pathname(&path).unwrap());
        Notifier::new(path.to_str().unwrap(), None).unwrap().ready();
        assert_eq!(heard(&ordinary), ["READY=1"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_systemd_nobody_is_told() {
        Notifier::default().ready();
    }

    #[tokio::test]
    async fn the_watchdog_is_fed_only_while_every_journal_answers() {
        let name = format!("polygate-watchdog-{}", std::process::id());
        let socket = systemd(&SocketAddr::from_abstract_name(&name).unwrap());
        let notifier = Notifier::new(&format!("@{name}"), Some(Duration::from_secs(60))).unwrap();
        let fakes = [Arc::new(FakeHub::new(fake::calm())), Arc::new(FakeHub::new(fake::troubled()))];
        let hubs: Vec<Arc<dyn Operate>> =
            fakes.iter().map(|hub| Arc::clone(hub) as Arc<dyn Operate>).collect();
        notifier.beat(&hubs).await;
        let line = "STATUS=westminster-south: ok, 0 entries for the centre; \
                    tower-hamlets: degraded, 1,572 entries for the centre, PG-201 PG-301";
        assert_eq!(heard(&socket), ["WATCHDOG=1", line]);
        fakes[1].silence_seconds.store(60, Ordering::SeqCst);
        notifier.beat(&hubs).await;
        assert_eq!(heard(&socket), [line]);
    }
}
