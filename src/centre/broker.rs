//! The demonstration's broker: rmqtt inside this process, with mutual TLS and the access list of the protocol.
//!
//! rmqtt alone accepts shared subscriptions and then delivers nothing, and forgets retained messages: the two
//! extension points are filled here, and so is the access list. It runs on a runtime of its own, because its
//! connections' tasks end only with their runtime.

use std::{
    num::NonZeroU16,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rmqtt::{
    codec::{types::QoS, v5::SubscribeAckReason},
    context::ServerContext,
    hook::{Handler, HookResult, Parameter, ReturnType, Type},
    net::{Builder, Listener},
    retain::{DefaultRetainStorage, RetainStorage},
    server::MqttServer,
    subscribe::SharedSubscription,
    types::{
        AuthResult, ClientId, ConnectInfo, Id, IsOnline, LastWill, NodeId, PublishAclResult, Retain,
        SharedGroup, SubscribeReturn, SubscriptionIdentifier, SubscriptionOptions, TopicFilter, TopicName,
    },
};
use tokio::{runtime::Runtime, sync::oneshot};

/// The largest packet taken: what the centre's workers announce that they take.
const PACKET_BYTES_MAX: u32 = 20 << 20;
/// Unacknowledged messages per client.
const IN_FLIGHT_MAX: NonZeroU16 = NonZeroU16::new(64).expect("not zero");
/// Messages waiting per client. What does not fit is dropped, and hubs send again what has no receipt.
const QUEUE_MAX: usize = 1000;
/// A demonstration has a handful of clients.
const CONNECTIONS_MAX: usize = 256;
/// One receipt per hub and class, and one status per hub, for a few hundred hubs.
const RETAINED_MAX: isize = 4096;
/// Longer than any identifier of ours.
const CLIENT_ID_BYTES_MAX: usize = 128;
/// How long connections may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// No session outlives this.
const SESSION_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The files the broker is made of, and where it listens.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// The authority that issued the clients' certificates, as PEM.
    pub ca: PathBuf,
    /// The broker's certificate, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// The port on 127.0.0.1; a free one if none is given.
    pub port: Option<u16>,
}

impl BrokerOptions {
    /// With the files that `polycentre pki` leaves in `directory`, on a free port.
    pub fn from_pki(directory: &Path) -> Self {
        Self {
            ca: directory.join("ca.pem"),
            certificate: directory.join("broker.pem"),
            key: directory.join("broker.key"),
            port: None,
        }
    }
}

/// The broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No threads.
    #[error("the broker's threads cannot be started")]
    Threads(#[source] std::io::Error),
    /// The port or the files.
    #[error("the broker on port {port} cannot be started: {reason}")]
    Start {
        /// The port asked for; 0 for any.
        port: u16,
        /// The library's reason.
        reason: String,
    },
}

/// A running broker. Dropping it stops it.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    runtime: Option<Runtime>,
}

impl Broker {
    /// Starts a broker, and returns once it listens.
    ///
    /// # Errors
    /// See [`BrokerError`].
    pub async fn start(options: &BrokerOptions) -> Result<Self, BrokerError> {
        let asked = options.port.unwrap_or(0);
        let failed = |reason: String| BrokerError::Start { port: asked, reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("broker")
            .enable_all()
            .build()
            .map_err(BrokerError::Threads)?;
        let mut broker = Self { port: asked, runtime: None };
        let (sender, receiver) = oneshot::channel();
        let options = options.clone();
        runtime.spawn(async move { serve(options, sender).await });
        broker.runtime = Some(runtime);
        match receiver.await {
            Ok(Ok(port)) => broker.port = port,
            Ok(Err(reason)) => return Err(failed(reason)),
            Err(_) => return Err(failed("it stopped at once".to_owned())),
        }
        Ok(broker)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops: every connection breaks, and what the broker kept is forgotten.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_DEADLINE));
            if stopped.await.is_err() {
                tracing::warn!("the broker did not stop in order");
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Serves until the runtime ends. Says through `started` which port it got, or why none.
async fn serve(options: BrokerOptions, started: oneshot::Sender<Result<u16, String>>) {
    let listening = listen(&options)
        .and_then(|listener| listener.local_addr().map(|address| (listener, address.port())))
        .map_err(|error| format!("{error:#}"));
    let (listener, port) = match listening {
        Ok(listening) => listening,
        Err(reason) => return drop(started.send(Err(reason))),
    };
    let context = ServerContext::new().busy_check_enable(false).build().await;
    *context.extends.shared_subscription_mut().await = Box::new(TakeTurns::default());
    *context.extends.retain_mut().await = Box::new(Retained(DefaultRetainStorage::new()));
    let hooks = context.extends.hook_mgr().register();
    for kind in [Type::ClientAuthenticate, Type::ClientSubscribeCheckAcl, Type::MessagePublishCheckAcl] {
        hooks.add(kind, Box::new(AccessList)).await;
    }
    hooks.start().await;
    let server = MqttServer::new(context).listener_by_id(listener, port).build();
    if started.send(Ok(port)).is_ok()
        && let Err(error) = server.run().await
    {
        tracing::error!(%error, "the broker stopped");
    }
}

fn listen(options: &BrokerOptions) -> rmqtt::Result<Listener> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let address = ([127, 0, 0, 1], options.port.unwrap_or(0)).into();
    let mut builder = Builder::new()
        .name("broker")
        .laddr(address)
        .nodelay(true)
        .reuseaddr(Some(true))
        .max_connections(CONNECTIONS_MAX)
        .max_packet_size(PACKET_BYTES_MAX)
        .max_inflight(IN_FLIGHT_MAX)
        .max_mqueue_len(QUEUE_MAX)
        .max_clientid_len(CLIENT_ID_BYTES_MAX)
        .max_qos_allowed(QoS::AtLeastOnce)
        .max_session_expiry_interval(SESSION_LIFE_MAX)
        .message_expiry_interval(Duration::ZERO)
        .allow_anonymous(false)
        .tls_cross_certificate(true)
        .cert_cn_as_username(true)
        .collect_cert_info(true);
    builder.tls_cert = Some(text(&options.certificate));
    builder.tls_key = Some(text(&options.key));
    builder.tls_client_ca_certs = Some(text(&options.ca));
    builder.bind()?.tls()
}

/// Who may connect, publish and subscribe (`docs/protocol.md`).
struct AccessList;

#[expect(elided_lifetimes_in_paths, reason = "the trait's own signature, through async_trait, needs it so")]
#[async_trait]
impl Handler for AccessList {
    async fn hook(&self, parameter: &Parameter, so_far: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::ClientAuthenticate(connect) => {
                let answer = match may_connect(connect) {
                    true => AuthResult::Allow(false, None),
                    false => AuthResult::NotAuthorized,
                };
                (false, Some(HookResult::AuthResult(answer)))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => {
                let name = session.username().map_or("", |name| name);
                let answer = match may_publish(name, &publish.topic) {
                    true => PublishAclResult::allow(),
                    false => PublishAclResult::rejected(false, None),
                };
                (false, Some(HookResult::PublishAclResult(answer)))
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let name = session.username().map_or("", |name| name);
                let group = subscribe.opts.has_shared_group();
                let answer = match may_subscribe(name, &subscribe.topic_filter, group) {
                    true => SubscribeReturn::new_success(subscribe.opts.qos(), None),
                    false => SubscribeReturn::new_failure(SubscribeAckReason::NotAuthorized),
                };
                (false, Some(HookResult::SubscribeAclResult(answer)))
            }
            _ => (true, so_far),
        }
    }
}

/// MQTT 5 with a named certificate, under a client identifier of the same name (or `NAME/…`, for several
/// workers): another's identifier would throw that client out. The last will passes no other check.
fn may_connect(connect: &ConnectInfo) -> bool {
    let name = connect.cert().and_then(|certificate| certificate.common_name.as_deref());
    let (ConnectInfo::V5(..), Some(name)) = (connect, name) else { return false };
    let id: &str = connect.client_id();
    let own_id = id == name || id.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    let own_will = match connect.last_will() {
        None => true,
        Some(LastWill::V5(will)) => may_publish(name, &will.topic),
        Some(LastWill::V3(_)) => false,
    };
    own_id && own_will
}

/// `name` is the certificate's common name.
fn may_publish(name: &str, topic: &str) -> bool {
    let levels: Vec<&str> = topic.split('/').collect();
    match (name, levels.as_slice()) {
        (super::pki::CENTRE, ["polygate", "1", _, "receipt" | "down", _]) => true,
        (super::pki::CENTRE, _) => false,
        (hub, ["polygate", "1", level, "up", _]) | (hub, ["polygate", "1", level, "status"]) => *level == hub,
        _ => false,
    }
}

/// `filter` is without `$share/GROUP/`; `group` says whether there was one.
fn may_subscribe(name: &str, filter: &str, group: bool) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    match (name, levels.as_slice()) {
        (_, levels) if levels.contains(&"#") => false,
        (super::pki::CENTRE, ["polygate", "1", _, "up", _] | ["polygate", "1", _, "status"]) => true,
        (super::pki::CENTRE, _) => false,
        (hub, ["polygate", "1", level, "receipt" | "down", _]) => *level == hub && !group,
        _ => false,
    }
}

/// Shared subscriptions: each message goes to the next of the group's members that is connected.
#[derive(Default)]
struct TakeTurns(AtomicUsize);

type Member = (NodeId, ClientId, SubscriptionOptions, Option<Vec<SubscriptionIdentifier>>, Option<IsOnline>);

#[async_trait]
impl SharedSubscription for TakeTurns {
    fn is_supported(&self) -> bool {
        true
    }

    async fn choice(
        &self,
        context: &ServerContext,
        _group: &SharedGroup,
        _publisher: &Id,
        _topic: &TopicName,
        members: &[Member],
    ) -> Option<(usize, IsOnline)> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        for offset in 0..members.len() {
            let index = turn.wrapping_add(offset) % members.len();
            let (node, client, _, _, online) = members.get(index)?;
            let online = match online {
                Some(online) => *online,
                None => context.extends.router().await.is_online(*node, client).await,
            };
            if online {
                return Some((index, true));
            }
        }
        // Nobody is connected: the first member's session, if it is kept, takes it.
        (!members.is_empty()).then_some((0, false))
    }
}

/// Retained messages in memory. A full store takes no new topics, and still replaces those it has.
struct Retained(DefaultRetainStorage);

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(&self, topic: &TopicName, retain: Retain, expiry: Option<Duration>) -> rmqtt::Result<()> {
        if RETAINED_MAX <= self.0.count().await && self.get(topic).await?.is_empty() {
            tracing::warn!(topic = &**topic, "the broker keeps no more retained messages");
            return Ok(());
        }
        self.0.set_with_timeout(topic, retain, expiry.filter(|expiry| !expiry.is_zero())).await
    }

    async fn get(&self, filter: &TopicFilter) -> rmqtt::Result<Vec<(TopicName, Retain)>> {
        self.0.get_message(filter).await
    }

    async fn count(&self) -> isize {
        self.0.count().await
    }

    async fn max(&self) -> isize {
        self.0.max().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_publishes_and_reads_its_own_topics_only() {
        for topic in ["polygate/1/soho/up/urgent", "polygate/1/soho/status"] {
            assert!(may_publish("soho", topic), "{topic}");
            assert!(!may_publish("camden", topic), "{topic}");
            assert!(!may_publish("centre", topic), "{topic}");
        }
        for topic in
            ["polygate/1/soho/receipt/urgent", "polygate/2/soho/up/urgent", "up", "polygate/1/soho/up"]
        {
            assert!(!may_publish("soho", topic), "{topic}");
        }
        for filter in ["polygate/1/soho/receipt/+", "polygate/1/soho/down/+", "polygate/1/soho/down/command"]
        {
            assert!(may_subscribe("soho", filter, false), "{filter}");
            assert!(!may_subscribe("soho", filter, true), "{filter}");
            assert!(!may_subscribe("camden", filter, false), "{filter}");
        }
        for filter in ["#", "polygate/1/+/receipt/+", "polygate/1/soho/#", "polygate/1/soho/up/+", "$SYS/#"] {
            assert!(!may_subscribe("soho", filter, false), "{filter}");
        }
    }

    #[test]
    fn the_centre_reads_what_hubs_send_and_answers() {
        for filter in ["polygate/1/+/up/+", "polygate/1/+/up/urgent", "polygate/1/+/status"] {
            assert!(
                may_subscribe("centre", filter, false) && may_subscribe("centre", filter, true),
                "{filter}"
            );
        }
        assert!(!may_subscribe("centre", "#", false));
        assert!(may_publish("centre", "polygate/1/soho/receipt/urgent"));
        assert!(may_publish("centre", "polygate/1/soho/down/command"));
        assert!(!may_publish("centre", "polygate/1/soho/up/urgent"));
    }
}
