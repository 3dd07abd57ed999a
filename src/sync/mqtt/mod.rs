//! Speaks MQTT 5 to a broker through rumqttc, so that nothing it does can lose or double a message.
//!
//! rumqttc drops what is unacknowledged when a session is not resumed, reuses packet identifiers across
//! connections, has no deadline for a PUBACK, and can block for ever in a write. So one of its event loops
//! serves one connection and is thrown away with it; it is polled by a task of its own, because its `poll`
//! must not be cancelled and continued; what is in flight is matched to tickets within that connection only;
//! and every wait has an end. The owner's journal is the truth, and sends again what has no receipt.

use std::{path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use rumqttc::{
    Outgoing, Transport,
    v5::{
        self as client, AsyncClient, Event as ClientEvent, Incoming,
        mqttbytes::{
            QoS,
            v5::{
                ConnAck, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Publish, SubAck,
                SubscribeReasonCode,
            },
        },
    },
};
use tokio::time::{Instant, timeout_at};

use super::uplink::{Publication, Session, Uplink, UplinkError};
use crate::{
    domain::{entry::WIRE_VERSION, ids::HubId},
    sys::{
        clock::{Clock, SystemClock},
        tls::{ClientFiles, ClientTls, ReloadingClient},
        tunnel::{Tunnel, TunnelError},
        url::BrokerUrl,
    },
};
use conversation::Conversation;
use driver::{Driver, Notice};
use goodbye::Goodbye;
use window::Window;

mod conversation;
mod driver;
mod goodbye;
mod window;
mod words;

/// The largest packet a hub takes, announced to the broker: receipts and commands are small.
pub const HUB_PACKET_BYTES_MAX: u32 = 1 << 20;
/// The largest packet a worker of the centre takes: a batch of one message of 16 MiB, with room to spare.
/// A broker drops what is larger than its receiver announced, so this must not be less than a hub may send.
const CENTRE_PACKET_BYTES_MAX: u32 = 20 << 20;
/// How many received messages may await our acknowledgement, announced to the broker: what a session may
/// hold in memory besides the window.
const RECEIVE_MAX: u16 = 32;
/// The largest packet MQTT can express (MQTT 5, section 2.1.4), where the broker states no limit.
const PACKET_BYTES_LARGEST: usize = 268_435_460;
/// rumqttc panics below five seconds.
const KEEP_ALIVE_LEAST: Duration = Duration::from_secs(5);

/// How to reach a broker, as whom, and how patient to be.
#[derive(Clone, Debug)]
pub struct MqttOptions {
    /// Where.
    pub broker: BrokerUrl,
    /// With which certificate. Needed for `mqtts`.
    pub tls: Option<ClientFiles>,
    /// Judges certificates' validity.
    pub clock: Arc<dyn Clock>,
    /// The session's name at the broker; a second client with it throws the first out.
    pub client_id: String,
    /// Sent along; brokers that take the certificate's common name as user name ignore it.
    pub username: Option<String>,
    /// Topic filters, at QoS 1; `$share/GROUP/FILTER` for several workers.
    pub subscriptions: Vec<String>,
    /// Whether the broker forgets what it kept for us.
    pub clean_start: bool,
    /// How long the broker keeps messages for us after we are gone.
    pub session_expiry: Duration,
    /// What the broker publishes if we go without a word.
    pub last_will: Option<Publication>,
    /// How often to ask an idle broker whether it is there; at least five seconds.
    pub keep_alive: Duration,
    /// The largest packet taken, in bytes.
    pub packet_bytes_max: u32,
    /// How many publications may await their PUBACK.
    pub window: u16,
    /// How long name resolution, TLS and CONNACK may take, each.
    pub connect_deadline: Duration,
    /// How long the SUBACK may take.
    pub suback_deadline: Duration,
    /// How long nothing may be acknowledged or sent while publications wait.
    pub puback_deadline: Duration,
    /// Where the private socket to rumqttc is made: a directory of this service's own.
    pub socket_directory: PathBuf,
}

impl MqttOptions {
    /// A hub's options: its session is kept for a day, so that commands sent meanwhile wait at the broker.
    pub fn hub(broker: BrokerUrl, tls: Option<ClientFiles>, hub: &HubId) -> Self {
        Self {
            broker,
            tls,
            clock: Arc::new(SystemClock),
            client_id: hub.to_string(),
            username: Some(hub.to_string()),
            subscriptions: ["receipt", "down"]
                .map(|kind| format!("polygate/{WIRE_VERSION}/{hub}/{kind}/+"))
                .to_vec(),
            clean_start: false,
            session_expiry: Duration::from_secs(24 * 3600),
            last_will: None,
            keep_alive: Duration::from_secs(15),
            packet_bytes_max: HUB_PACKET_BYTES_MAX,
            window: 16,
            connect_deadline: Duration::from_secs(30),
            suback_deadline: Duration::from_secs(20),
            puback_deadline: Duration::from_secs(30),
            socket_directory: std::env::temp_dir(),
        }
    }

    /// One of the centre's workers. Its session ends with the connection: brokers keep queueing to an absent
    /// member of a group, and hubs send again what has no receipt.
    pub fn centre(
        broker: BrokerUrl,
        tls: Option<ClientFiles>,
        worker: &str,
        subscriptions: Vec<String>,
    ) -> Self {
        Self {
            broker,
            tls,
            clock: Arc::new(SystemClock),
            client_id: format!("centre/{worker}"),
            username: Some("centre".to_owned()),
            subscriptions,
            clean_start: true,
            session_expiry: Duration::ZERO,
            last_will: None,
            keep_alive: Duration::from_secs(15),
            packet_bytes_max: CENTRE_PACKET_BYTES_MAX,
            window: 32,
            connect_deadline: Duration::from_secs(30),
            suback_deadline: Duration::from_secs(20),
            puback_deadline: Duration::from_secs(30),
            socket_directory: std::env::temp_dir(),
        }
    }
}

/// [`Uplink`] over rumqttc.
#[derive(Debug)]
pub struct MqttUplink {
    options: MqttOptions,
    credentials: Option<ReloadingClient>,
}

impl MqttUplink {
    /// Nothing is read or dialled yet.
    pub fn new(options: MqttOptions) -> Self {
        let follow = |files: &ClientFiles| ReloadingClient::new(files.clone(), Arc::clone(&options.clock));
        let credentials = options.tls.as_ref().map(follow);
        Self { options, credentials }
    }

    async fn open(&mut self) -> Result<Session, UplinkError> {
        let tls = self.credentials()?;
        let options = &self.options;
        let goodbye = Goodbye::default();
        let opened = Tunnel::open(
            &options.broker,
            tls.as_ref(),
            &options.socket_directory,
            options.connect_deadline,
            Box::new(goodbye.watch()),
        );
        let tunnel = opened.await.map_err(|error| self.unreachable(&error))?;
        let window = self.options.window.max(1);
        // Acknowledgements and publications share rumqttc's queue: it holds all there can be of both.
        let capacity = 2 * usize::from(window) + usize::from(RECEIVE_MAX) + 8;
        let (client, event_loop) = AsyncClient::new(self.client_options(&tunnel), capacity);
        let driver = Driver::spawn(event_loop, self.options.keep_alive.max(KEEP_ALIVE_LEAST));
        let link = Link { client, driver, tunnel, goodbye };
        let mut opening = Opening { link, options: &self.options };
        let accepted = opening.accepted().await?;
        opening.link.tunnel.hide();
        let (packet_id, early) = opening.subscribed().await?;
        let link = opening.link;
        let receive_max = accepted.receive_max;
        // One place less than the broker allows, where it can be spared: rumqttc sends no acknowledgement
        // while the broker's whole allowance is used up.
        let size = window.min(receive_max.saturating_sub(1)).max(1);
        let cycle = receive_max.min(in_flight_limit(window));
        let window = Window::new(size, cycle, packet_id, self.options.puback_deadline);
        Ok(Conversation::start(link, window, accepted.packet_bytes_max, early))
    }

    fn credentials(&mut self) -> Result<Option<ClientTls>, UplinkError> {
        match (&mut self.credentials, self.options.broker.tls) {
            (_, false) => Ok(None),
            (None, true) => Err(UplinkError::Credentials(format!(
                "{} needs a certificate, key and CA",
                self.options.broker
            ))),
            (Some(credentials), true) => {
                let found =
                    credentials.current().map_err(|error| UplinkError::Credentials(error.to_string()))?;
                if let Some(complaint) = found.complaint {
                    tracing::error!(error = %complaint, "the new certificate files are not used");
                }
                Ok(Some(found.tls))
            }
        }
    }

    fn unreachable(&self, error: &TunnelError) -> UplinkError {
        let cause = std::error::Error::source(error).map(|source| format!(": {source}"));
        let reason = format!("{error}{}", cause.unwrap_or_default());
        UplinkError::Unreachable { broker: place(&self.options.broker), reason }
    }

    fn client_options(&self, tunnel: &Tunnel) -> client::MqttOptions {
        let options = &self.options;
        // With the Unix transport the "host" is the socket's path, and the port is not used.
        let path = tunnel.path().to_string_lossy();
        let mut client = client::MqttOptions::new(&options.client_id, path, 0);
        client
            .set_transport(Transport::unix())
            .set_keep_alive(options.keep_alive.max(KEEP_ALIVE_LEAST))
            .set_clean_start(options.clean_start)
            .set_session_expiry_interval(Some(seconds(options.session_expiry)))
            .set_receive_maximum(Some(RECEIVE_MAX))
            .set_max_packet_size(Some(self.options.packet_bytes_max))
            .set_manual_acks(true)
            .set_outgoing_inflight_upper_limit(in_flight_limit(options.window.max(1)))
            .set_connection_timeout(options.connect_deadline.as_secs().max(1));
        if let Some(username) = &options.username {
            client.set_credentials(username, "");
        }
        if let Some(will) = &options.last_will {
            client.set_last_will(last_will(will));
        }
        client
    }
}

impl Uplink for MqttUplink {
    fn connect(&mut self) -> Pin<Box<dyn Future<Output = Result<Session, UplinkError>> + Send + '_>> {
        Box::pin(self.open())
    }
}

/// rumqttc's own limit: four times ours, so that its packet identifiers come round late.
fn in_flight_limit(window: u16) -> u16 {
    window.saturating_mul(4)
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn place(broker: &BrokerUrl) -> String {
    format!("{}:{}", broker.host, broker.port)
}

fn last_will(will: &Publication) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: None,
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: will.content_type.map(str::to_owned),
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(&will.topic, will.payload.to_vec(), QoS::AtLeastOnce, will.retain, Some(properties))
}

/// What the CONNACK allows.
struct Accepted {
    receive_max: u16,
    packet_bytes_max: usize,
}

/// One connection's parts. Dropping them ends it.
struct Link {
    client: AsyncClient,
    driver: Driver,
    tunnel: Tunnel,
    goodbye: Goodbye,
}

impl Link {
    /// Why a connection broke, as far as anybody knows: the broker's own word, or what befell TCP and TLS.
    fn why(&self, guess: String) -> UplinkError {
        match (self.goodbye.reason(), self.tunnel.failure()) {
            (Some(DisconnectReasonCode::SessionTakenOver), _) => UplinkError::TakenOver,
            (Some(code), _) => UplinkError::Broken(format!("the broker ended it: {}", words::goodbye(code))),
            (None, Some(failure)) => UplinkError::Broken(failure.to_owned()),
            (None, None) => UplinkError::Broken(guess),
        }
    }
}

/// A connection on its way: dialled, and not yet accepted and subscribed.
struct Opening<'a> {
    link: Link,
    options: &'a MqttOptions,
}

impl Opening<'_> {
    async fn accepted(&mut self) -> Result<Accepted, UplinkError> {
        let deadline = self.options.connect_deadline;
        match self.next(Instant::now() + deadline, deadline, "the broker's answer to CONNECT").await? {
            ClientEvent::Incoming(Incoming::ConnAck(acknowledgement)) => self.allowed(&acknowledgement),
            _ => Err(UplinkError::Broken("the broker answered CONNECT with something else".to_owned())),
        }
    }

    fn allowed(&self, acknowledgement: &ConnAck) -> Result<Accepted, UplinkError> {
        let properties = acknowledgement.properties.as_ref();
        let rejected = |reason: &str| {
            Err(UplinkError::Rejected { broker: place(&self.options.broker), reason: reason.to_owned() })
        };
        if properties.and_then(|properties| properties.max_qos) == Some(0) {
            return rejected("it takes QoS 0 only, and QoS 1 is needed");
        }
        let receive_max = properties.and_then(|properties| properties.receive_max).unwrap_or(u16::MAX);
        if receive_max == 0 {
            return rejected("it announces a Receive Maximum of 0, which MQTT 5 forbids");
        }
        let packet_bytes_max = properties.and_then(|properties| properties.max_packet_size);
        let packet_bytes_max = packet_bytes_max.and_then(|size| usize::try_from(size).ok());
        Ok(Accepted { receive_max, packet_bytes_max: packet_bytes_max.unwrap_or(PACKET_BYTES_LARGEST) })
    }

    /// Subscribes. Returns the packet identifier that took, and the messages that came meanwhile.
    async fn subscribed(&mut self) -> Result<(u16, Vec<Publish>), UplinkError> {
        let (mut packet_id, mut early) = (0, Vec::new());
        if self.options.subscriptions.is_empty() {
            return Ok((packet_id, early));
        }
        let filters = self.options.subscriptions.iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        self.link
            .client
            .try_subscribe_many(filters)
            .map_err(|_| UplinkError::Credentials("a subscription is no legal topic filter".to_owned()))?;
        let deadline = self.options.suback_deadline;
        let until = Instant::now() + deadline;
        loop {
            match self.next(until, deadline, "the broker's SUBACK").await? {
                ClientEvent::Outgoing(Outgoing::Subscribe(id)) => packet_id = id,
                ClientEvent::Incoming(Incoming::SubAck(answer)) => {
                    self.granted(&answer)?;
                    return Ok((packet_id, early));
                }
                ClientEvent::Incoming(Incoming::Publish(publish))
                    if early.len() < usize::from(RECEIVE_MAX) =>
                {
                    early.push(publish);
                }
                ClientEvent::Incoming(Incoming::Publish(_)) => {
                    return Err(UplinkError::Broken(words::RECEIVE_MAX_EXCEEDED.to_owned()));
                }
                _ => {}
            }
        }
    }

    fn granted(&self, answer: &SubAck) -> Result<(), UplinkError> {
        let answers = answer.return_codes.iter().map(Some).chain(std::iter::repeat(None));
        for (filter, code) in self.options.subscriptions.iter().zip(answers) {
            if !matches!(code, Some(SubscribeReasonCode::Success(QoS::AtLeastOnce | QoS::ExactlyOnce))) {
                let why = code.map_or("no answer", words::subscription);
                let reason = format!("it does not let us subscribe to {filter}: {why}");
                return Err(UplinkError::Rejected { broker: place(&self.options.broker), reason });
            }
        }
        Ok(())
    }

    async fn next(
        &mut self,
        until: Instant,
        deadline: Duration,
        waiting_for: &'static str,
    ) -> Result<ClientEvent, UplinkError> {
        match timeout_at(until, self.link.driver.next()).await {
            Err(_) => Err(UplinkError::Stalled { seconds: deadline.as_secs(), waiting_for }),
            Ok(Notice::Event(event)) => Ok(event),
            Ok(Notice::Ended(end)) => Err(self.refused(end)),
        }
    }

    /// Before the broker has accepted, a broken connection means it cannot be reached.
    fn refused(&self, end: driver::End) -> UplinkError {
        let broker = place(&self.options.broker);
        match end {
            driver::End::Rejected(reason) => UplinkError::Rejected { broker, reason },
            driver::End::Broken(guess) => match self.link.why(guess) {
                // Not every refusal of a certificate arrives as an alert.
                UplinkError::Broken(reason) if self.options.broker.tls && !reason.contains("certificate") => {
                    let reason = format!("{reason}: does it take our certificate?");
                    UplinkError::Unreachable { broker, reason }
                }
                UplinkError::Broken(reason) => UplinkError::Unreachable { broker, reason },
                error => error,
            },
            driver::End::Error(error) => error,
            driver::End::Disconnected => UplinkError::Requested,
        }
    }
}
