//! The uplink against a broker that misbehaves in every way we know of.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use polygate::{
    sync::{
        mqtt::{HUB_PACKET_BYTES_MAX as PACKET_BYTES_MAX, MqttOptions, MqttUplink},
        uplink::{Command, Event, Publication, RefusalReason, Session, Ticket, Uplink, UplinkError},
    },
    sys::url::BrokerUrl,
};
use support::{
    Directory,
    fake_broker::{Accept, Connection, FakeBroker, Packet},
    hub, mosquitto,
};
use tokio::time::timeout;

/// How long a test waits for the uplink before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A PUBACK deadline that a test can wait for.
const SHORT: Duration = Duration::from_secs(1);

fn options(broker: BrokerUrl, directory: &Directory) -> MqttOptions {
    MqttOptions {
        subscriptions: vec!["polygate/1/soho/receipt/+".to_owned()],
        window: 4,
        connect_deadline: Duration::from_secs(5),
        suback_deadline: Duration::from_secs(2),
        puback_deadline: PATIENCE,
        socket_directory: directory.path().to_owned(),
        ..MqttOptions::hub(broker, None, &hub("soho"))
    }
}

/// An uplink in conversation with a fake broker.
struct Talk {
    session: Session,
    connection: Connection,
    broker: FakeBroker,
    uplink: MqttUplink,
    directory: Directory,
}

async fn talk(accept: Accept) -> Talk {
    patient_talk(accept, PATIENCE).await
}

/// With this PUBACK deadline.
async fn patient_talk(accept: Accept, puback_deadline: Duration) -> Talk {
    let directory = Directory::new();
    let broker = FakeBroker::bind().await;
    let options = options(broker.url(), &directory);
    let mut uplink = MqttUplink::new(MqttOptions { puback_deadline, ..options });
    let (session, connection) = tokio::join!(uplink.connect(), broker.welcome(accept));
    Talk { session: session.unwrap(), connection, broker, uplink, directory }
}

impl Talk {
    async fn publish(&self, number: u64) {
        publish(&self.session, number, 10).await;
    }

    async fn event(&mut self) -> Event {
        event(&mut self.session).await
    }

    async fn closed(mut self) -> UplinkError {
        loop {
            if let Event::Closed(error) = self.event().await {
                assert!(self.session.events.recv().await.is_none(), "Closed is the last event");
                return error;
            }
        }
    }
}

async fn event(session: &mut Session) -> Event {
    timeout(PATIENCE, session.events.recv())
        .await
        .expect("the uplink says nothing")
        .expect("Closed comes first")
}

async fn publish(session: &Session, number: u64, bytes: usize) {
    let publication = Publication {
        topic: format!("polygate/1/soho/up/{number}"),
        payload: Bytes::from(vec![0; bytes]),
        content_type: Some("application/cbor"),
        retain: false,
        user_properties: vec![("epoch", "1".to_owned())],
    };
    let sent = session.commands.send(Command::Publish(Ticket(number), publication));
    timeout(PATIENCE, sent).await.expect("the uplink takes nothing").unwrap();
}

fn topic(number: u64) -> String {
    format!("polygate/1/soho/up/{number}")
}

fn acknowledged(event: &Event) -> Option<u64> {
    match event {
        Event::Acknowledged(Ticket(number)) => Some(*number),
        _ => None,
    }
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left() {
    let mut talk = patient_talk(Accept::default(), SHORT).await;
    talk.publish(1).await;
    talk.connection.expect_publish(&topic(1)).await;
    let error = talk.closed().await;
    assert!(matches!(error, UplinkError::Stalled { waiting_for: "the broker's PUBACK", .. }), "{error:?}");
}

#[tokio::test]
async fn acknowledgements_out_of_order_reach_their_tickets() {
    let mut talk = talk(Accept::default()).await;
    let mut ids = Vec::new();
    for number in 1..=3 {
        talk.publish(number).await;
        ids.push(talk.connection.expect_publish(&topic(number)).await);
    }
    for place in [2, 0, 1] {
        talk.connection.puback(ids[place], 0).await;
        let event = talk.event().await;
        assert_eq!(acknowledged(&event), Some(place as u64 + 1), "{event:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_lost_session_is_sent_in_the_next() {
    let mut talk = talk(Accept::default()).await;
    talk.publish(1).await;
    talk.publish(2).await;
    let stale = talk.connection.expect_publish(&topic(1)).await;
    drop(talk.connection);
    loop {
        match event(&mut talk.session).await {
            Event::Closed(error) => {
                assert!(matches!(error, UplinkError::Broken(_)), "{error:?}");
                break;
            }
            other => assert!(acknowledged(&other).is_none(), "{other:?} was never acknowledged"),
        }
    }
    for session_present in [false, true] {
        let accept = Accept { session_present, ..Accept::default() };
        let (session, connection) = tokio::join!(talk.uplink.connect(), talk.broker.welcome(accept));
        let (mut session, mut connection) = (session.unwrap(), connection);
        assert!(connection.is_silent_for(Duration::from_millis(100)).await, "the owner has sent nothing");
        publish(&session, 7, 10).await;
        let id = connection.expect_publish(&topic(7)).await;
        connection.puback(id, 0).await;
        assert_eq!(acknowledged(&event(&mut session).await), Some(7), "and not what {stale} was before");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_the_rest_goes_on() {
    let mut talk = talk(Accept::default()).await;
    for (number, reason, expected) in [
        (1, 0x10, None),
        (2, 0x87, Some(RefusalReason::NotAuthorised)),
        (3, 0x90, Some(RefusalReason::TopicNameInvalid)),
        (4, 0x99, Some(RefusalReason::PayloadFormatInvalid)),
        (5, 0x00, None),
    ] {
        talk.publish(number).await;
        let id = talk.connection.expect_publish(&topic(number)).await;
        talk.connection.puback(id, reason).await;
        let event = talk.event().await;
        match (&event, expected) {
            (Event::Acknowledged(ticket), None) => assert_eq!(*ticket, Ticket(number)),
            (Event::Refused(ticket, reason), Some(expected)) => {
                assert_eq!((*ticket, *reason), (Ticket(number), expected));
            }
            _ => panic!("{event:?} after {reason:#x}"),
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_full_is_left_for_a_while() {
    for reason in [0x80, 0x83, 0x91, 0x97] {
        let mut talk = talk(Accept::default()).await;
        talk.publish(1).await;
        let id = talk.connection.expect_publish(&topic(1)).await;
        talk.connection.puback(id, reason).await;
        let error = talk.closed().await;
        assert!(
            matches!(&error, UplinkError::Broken(text) if text.contains("now")),
            "{reason:#x}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_receive_maximum_of_one_is_kept() {
    let mut talk = talk(Accept { receive_max: Some(1), ..Accept::default() }).await;
    assert_eq!(talk.session.limits.in_flight_max, 1);
    talk.publish(1).await;
    talk.publish(2).await;
    for number in 1..=2 {
        let id = talk.connection.expect_publish(&topic(number)).await;
        assert!(talk.connection.is_silent_for(Duration::from_millis(50)).await, "one at a time");
        talk.connection.puback(id, 0).await;
        assert_eq!(acknowledged(&talk.event().await), Some(number));
    }
}

#[tokio::test]
async fn one_forgotten_acknowledgement_does_not_mix_up_the_others() {
    // rumqttc's identifiers go round 1 to 3 here, and 1 stays in flight: it must not be used again.
    let mut talk = patient_talk(Accept { receive_max: Some(3), ..Accept::default() }, SHORT).await;
    talk.publish(1).await;
    talk.connection.expect_publish(&topic(1)).await;
    let mut passed = 0;
    for number in 2..=9 {
        talk.publish(number).await;
        if talk.connection.is_silent_for(Duration::from_millis(100)).await {
            break;
        }
        let id = talk.connection.expect_publish(&topic(number)).await;
        talk.connection.puback(id, 0).await;
        assert_eq!(acknowledged(&talk.event().await), Some(number));
        passed += 1;
    }
    assert!(passed >= 1, "the others pass");
    assert!(matches!(talk.closed().await, UplinkError::Stalled { .. }));
}

#[tokio::test]
async fn a_half_open_connection_is_left() {
    let talk = patient_talk(Accept::default(), SHORT).await;
    // Nobody reads: the buffers of both kernels fill, and rumqttc's write never ends.
    for number in 1..=8 {
        publish(&talk.session, number, 900_000).await;
    }
    let Talk { session, connection, broker, uplink, directory } = talk;
    let (broker_end, rest) = (connection, (broker, uplink, directory));
    let mut session = session;
    let error = loop {
        if let Event::Closed(error) = event(&mut session).await {
            break error;
        }
    };
    assert!(matches!(error, UplinkError::Stalled { .. }), "{error:?}");
    drop((broker_end, rest));
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_of_a_packet_is_broken() {
    let mut talk = talk(Accept::default()).await;
    talk.publish(1).await;
    let id = talk.connection.expect_publish(&topic(1)).await;
    talk.connection.puback(id, 0).await;
    talk.connection.send(&[0x32, 0x50, 0, 4, b'p']).await;
    assert_eq!(acknowledged(&talk.event().await), Some(1));
    let Talk { mut session, connection, .. } = talk;
    drop(connection);
    assert!(matches!(event(&mut session).await, Event::Closed(UplinkError::Broken(_))));
}

#[tokio::test]
async fn what_is_too_large_for_the_broker_is_not_even_sent() {
    let mut talk = talk(Accept { packet_bytes_max: Some(200), ..Accept::default() }).await;
    assert_eq!(talk.session.limits.packet_bytes_max, 200);
    publish(&talk.session, 1, 200).await;
    let refused = talk.event().await;
    assert!(matches!(refused, Event::Refused(Ticket(1), RefusalReason::PacketTooLarge)), "{refused:?}");
    talk.publish(2).await;
    let id = talk.connection.expect_publish(&topic(2)).await;
    talk.connection.puback(id, 0).await;
    assert_eq!(acknowledged(&talk.event().await), Some(2));
}

#[tokio::test]
async fn the_largest_packet_allowed_is_sent() {
    // Two bytes of topic length, the topic, the identifier, and the properties with their length.
    let size = |payload: usize| 1 + 2 + 2 + topic(1).len() + 2 + 1 + (3 + 16) + (1 + 2 + 5 + 2 + 1) + payload;
    let mut talk = talk(Accept { packet_bytes_max: Some(300), ..Accept::default() }).await;
    let fits = 300 - size(0);
    publish(&talk.session, 1, fits + 1).await;
    assert!(matches!(talk.event().await, Event::Refused(Ticket(1), RefusalReason::PacketTooLarge)));
    publish(&talk.session, 1, fits).await;
    talk.connection.expect_publish(&topic(1)).await;
}

#[tokio::test]
async fn topics_that_no_broker_takes_are_refused_here() {
    let mut talk = talk(Accept::default()).await;
    for topic in ["", "polygate/1/+/up/urgent", "polygate/#", &"x".repeat(65_536)] {
        let publication = Publication {
            topic: topic.to_owned(),
            payload: Bytes::new(),
            content_type: None,
            retain: false,
            user_properties: Vec::new(),
        };
        talk.session.commands.send(Command::Publish(Ticket(1), publication)).await.unwrap();
        assert!(matches!(talk.event().await, Event::Refused(Ticket(1), RefusalReason::TopicNameInvalid)));
    }
    talk.publish(2).await;
    talk.connection.expect_publish(&topic(2)).await;
}

#[tokio::test]
async fn a_refused_subscription_is_no_connection() {
    let directory = Directory::new();
    let broker = FakeBroker::bind().await;
    let mut uplink = MqttUplink::new(options(broker.url(), &directory));
    for reason in [0x80, 0x87, 0x00] {
        let refuse = async {
            let mut connection = broker.accept().await;
            connection.read().await;
            connection.connack(Accept::default()).await;
            let Packet::Subscribe { id } = connection.read().await else { panic!("no SUBSCRIBE") };
            connection.suback(id, &[reason]).await;
            connection.ends_with_goodbye().await
        };
        let (session, _) = tokio::join!(uplink.connect(), refuse);
        let error = session.unwrap_err();
        assert!(matches!(&error, UplinkError::Rejected { .. }), "{reason:#x}: {error:?}");
        assert!(error.to_string().contains("polygate/1/soho/receipt/+"), "{error}");
    }
}

#[tokio::test]
async fn a_subscription_without_an_answer_is_no_connection() {
    let directory = Directory::new();
    let broker = FakeBroker::bind().await;
    let mut uplink = MqttUplink::new(options(broker.url(), &directory));
    let ignore = async {
        let mut connection = broker.accept().await;
        connection.read().await;
        connection.connack(Accept::default()).await;
        while connection.read().await != Packet::End {}
    };
    let (session, ()) = tokio::join!(uplink.connect(), ignore);
    assert!(matches!(session, Err(UplinkError::Stalled { waiting_for: "the broker's SUBACK", .. })));
}

#[tokio::test]
async fn a_second_box_with_the_same_identity_is_named() {
    let mut talk = talk(Accept::default()).await;
    talk.connection.disconnect(0x8e).await;
    assert_eq!(talk.closed().await, UplinkError::TakenOver);

    // A DISCONNECT may end after the reason; rumqttc alone would lose it.
    let Talk { mut session, mut connection, .. } = self::talk(Accept::default()).await;
    connection.send(&[0xe0, 1, 0x8e]).await;
    drop(connection);
    assert!(matches!(event(&mut session).await, Event::Closed(UplinkError::TakenOver)));
}

#[tokio::test]
async fn the_brokers_reasons_reach_the_operator() {
    let mut talk = talk(Accept::default()).await;
    talk.connection.disconnect(0x8b).await;
    let error = talk.closed().await;
    assert!(matches!(&error, UplinkError::Broken(text) if text.contains("shutting down")), "{error:?}");

    let directory = Directory::new();
    let broker = FakeBroker::bind().await;
    let mut uplink = MqttUplink::new(options(broker.url(), &directory));
    let refuse = async {
        let mut connection = broker.accept().await;
        connection.read().await;
        connection.refuse(0x87).await;
        connection
    };
    let (session, _connection) = tokio::join!(uplink.connect(), refuse);
    let error = session.unwrap_err();
    assert!(
        matches!(&error, UplinkError::Rejected { reason, .. } if reason.contains("access list")),
        "{error:?}"
    );

    let port = mosquitto::free_port();
    let nobody = BrokerUrl { host: "127.0.0.1".to_owned(), port, tls: false };
    let error = MqttUplink::new(options(nobody, &directory)).connect().await.unwrap_err();
    assert!(
        matches!(&error, UplinkError::Unreachable { reason, .. } if reason.contains("refused")),
        "{error:?}"
    );

    let unknown = BrokerUrl { host: "broker.invalid".to_owned(), port, tls: false };
    let error = MqttUplink::new(options(unknown, &directory)).connect().await.unwrap_err();
    assert!(
        matches!(&error, UplinkError::Unreachable { reason, .. } if reason.contains("resolved")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_broker_that_asks_for_no_keep_alive_is_not_left() {
    let mut talk = talk(Accept { keep_alive: Some(0), ..Accept::default() }).await;
    talk.publish(1).await;
    let id = talk.connection.expect_publish(&topic(1)).await;
    talk.connection.puback(id, 0).await;
    assert_eq!(acknowledged(&talk.event().await), Some(1));
}

#[tokio::test]
async fn a_message_is_acknowledged_when_its_owner_says_so() {
    let mut talk = talk(Accept::default()).await;
    talk.connection.publish(9, "polygate/1/soho/receipt/urgent", b"one").await;
    let Event::Received(delivery, inbound) = talk.event().await else { panic!("nothing received") };
    assert_eq!((&*inbound.topic, &*inbound.payload), ("polygate/1/soho/receipt/urgent", &b"one"[..]));
    talk.connection.publish(9, "polygate/1/soho/receipt/urgent", b"one").await;
    assert!(talk.connection.is_silent_for(Duration::from_millis(100)).await, "not before it is durable");
    talk.session.commands.send(Command::Acknowledge(delivery)).await.unwrap();
    assert_eq!(talk.connection.read().await, Packet::PubAck { id: 9 });
    talk.session.commands.send(Command::Acknowledge(delivery)).await.unwrap();
    talk.connection.publish(10, "polygate/1/soho/receipt/urgent", b"two").await;
    let Event::Received(_, inbound) = talk.event().await else { panic!("nothing received") };
    assert_eq!(&*inbound.payload, b"two", "the repetition of the first was not delivered again");
    assert!(talk.connection.is_silent_for(Duration::from_millis(100)).await, "one acknowledgement each");
}

#[tokio::test]
async fn a_broker_that_floods_us_is_left() {
    let mut talk = talk(Accept::default()).await;
    for id in 1..=40 {
        talk.connection.publish(id, "polygate/1/soho/receipt/urgent", b"x").await;
    }
    let error = talk.closed().await;
    assert!(matches!(&error, UplinkError::Broken(text) if text.contains("more messages")), "{error:?}");
}

#[tokio::test]
async fn a_message_larger_than_announced_ends_the_connection() {
    let mut talk = talk(Accept::default()).await;
    let large = vec![0; usize::try_from(PACKET_BYTES_MAX).unwrap() + 1];
    talk.connection.publish(1, "polygate/1/soho/receipt/urgent", &large).await;
    assert!(matches!(talk.closed().await, UplinkError::Broken(_)));
}

#[tokio::test]
async fn a_goodbye_is_said_after_what_was_handed_over_and_only_then() {
    let mut polite = talk(Accept::default()).await;
    for number in 1..=3 {
        polite.publish(number).await;
    }
    polite.session.commands.send(Command::Disconnect).await.unwrap();
    for number in 1..=3 {
        polite.connection.expect_publish(&topic(number)).await;
    }
    assert_eq!(polite.connection.read().await, Packet::Disconnect);
    assert_eq!(polite.connection.read().await, Packet::End);
    drop(polite.connection);
    assert!(matches!(event(&mut polite.session).await, Event::Closed(UplinkError::Requested)));

    let Talk { session, mut connection, .. } = talk(Accept::default()).await;
    drop(session);
    assert!(
        !connection.ends_with_goodbye().await,
        "an owner that is gone says nothing: the last will is due"
    );
}

#[tokio::test]
async fn an_owner_that_reads_late_holds_nothing_up() {
    let mut talk = talk(Accept::default()).await;
    // More than the channel to the owner holds, and less than a session keeps for it.
    let expected = 1..=60;
    for number in expected.clone() {
        talk.publish(number).await;
        let id = talk.connection.expect_publish(&topic(number)).await;
        talk.connection.puback(id, 0).await;
    }
    for number in expected {
        assert_eq!(acknowledged(&talk.event().await), Some(number));
    }
}

#[tokio::test]
async fn the_private_socket_leaves_nothing_behind() {
    let talk = talk(Accept::default()).await;
    let left: Vec<_> = std::fs::read_dir(talk.directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
