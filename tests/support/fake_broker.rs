//! An MQTT 5 broker that does only what a test tells it to, misbehaviour above all. No TLS; loopback.

use std::{net::Ipv4Addr, time::Duration};

use polygate::sys::url::BrokerUrl;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long a test waits for the client before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listening socket.
#[derive(Debug)]
pub struct FakeBroker(TcpListener);

/// One client's connection.
#[derive(Debug)]
pub struct Connection(TcpStream);

/// What a client sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    /// CONNECT.
    Connect {
        /// Client identifier.
        client_id: String,
        /// Whether the session is to be forgotten.
        clean_start: bool,
    },
    /// PUBLISH at QoS 1.
    Publish {
        /// Packet identifier.
        id: u16,
        /// Topic.
        topic: String,
    },
    /// PUBACK.
    PubAck {
        /// Packet identifier.
        id: u16,
    },
    /// SUBSCRIBE.
    Subscribe {
        /// Packet identifier.
        id: u16,
    },
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect,
    /// The end of the connection.
    End,
}

/// Properties of a CONNACK.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept {
    /// Whether a session was resumed.
    pub session_present: bool,
    /// Receive Maximum.
    pub receive_max: Option<u16>,
    /// Maximum Packet Size.
    pub packet_bytes_max: Option<u32>,
    /// Server Keep Alive.
    pub keep_alive: Option<u16>,
}

impl FakeBroker {
    /// Listens on a free port.
    pub async fn bind() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap())
    }

    /// Where.
    pub fn url(&self) -> BrokerUrl {
        let port = self.0.local_addr().unwrap().port();
        BrokerUrl { host: "127.0.0.1".to_owned(), port, tls: false }
    }

    /// The next client's connection.
    pub async fn accept(&self) -> Connection {
        Connection(timeout(PATIENCE, self.0.accept()).await.expect("nobody dialled").unwrap().0)
    }

    /// The next client's connection, past CONNECT and one SUBSCRIBE. A broker that asks for no keep-alive may be pinged
    /// once before: rumqttc's first sleep is of the broker's zero, and what it does next is chance.
    pub async fn welcome(&self, accept: Accept) -> Connection {
        let mut connection = self.accept().await;
        assert!(matches!(connection.read().await, Packet::Connect { .. }));
        connection.connack(accept).await;
        let id = loop {
            match connection.read().await {
                Packet::Subscribe { id } => break id,
                Packet::Ping => connection.send(&[0xd0, 0]).await,
                other => panic!("{other:?} instead of a SUBSCRIBE"),
            }
        };
        connection.suback(id, &[1]).await;
        connection
    }
}

impl Connection {
    /// The next packet, whatever it is.
    pub async fn read(&mut self) -> Packet {
        timeout(PATIENCE, self.read_packet()).await.expect("the client says nothing")
    }

    /// The next packet's identifier, which must be a PUBLISH on this topic. Pings are answered meanwhile.
    pub async fn expect_publish(&mut self, wanted: &str) -> u16 {
        loop {
            match self.read().await {
                Packet::Publish { id, topic } if topic == wanted => return id,
                Packet::Ping => self.send(&[0xd0, 0]).await,
                other => panic!("{other:?} instead of a PUBLISH on {wanted}"),
            }
        }
    }

    /// Whether the client says nothing for this long.
    pub async fn is_silent_for(&mut self, duration: Duration) -> bool {
        let mut byte = [0];
        timeout(duration, self.0.peek(&mut byte)).await.is_err()
    }

    /// Reads to the end, and says whether a DISCONNECT came.
    pub async fn ends_with_goodbye(&mut self) -> bool {
        let mut goodbye = false;
        loop {
            match self.read().await {
                Packet::End => return goodbye,
                packet => goodbye = packet == Packet::Disconnect,
            }
        }
    }

    /// Accepts the connection.
    pub async fn connack(&mut self, accept: Accept) {
        let mut properties = Vec::new();
        if let Some(receive_max) = accept.receive_max {
            properties.push(0x21);
            properties.extend(receive_max.to_be_bytes());
        }
        if let Some(packet_bytes_max) = accept.packet_bytes_max {
            properties.push(0x27);
            properties.extend(packet_bytes_max.to_be_bytes());
        }
        if let Some(keep_alive) = accept.keep_alive {
            properties.push(0x13);
            properties.extend(keep_alive.to_be_bytes());
        }
        let mut body = vec![u8::from(accept.session_present), 0, u8::try_from(properties.len()).unwrap()];
        body.extend(properties);
        self.send_packet(0x20, &body).await;
    }

    /// Refuses the connection.
    pub async fn refuse(&mut self, reason: u8) {
        self.send_packet(0x20, &[0, reason, 0]).await;
    }

    /// Answers a SUBSCRIBE.
    pub async fn suback(&mut self, id: u16, reasons: &[u8]) {
        let mut body = id.to_be_bytes().to_vec();
        body.push(0);
        body.extend(reasons);
        self.send_packet(0x90, &body).await;
    }

    /// Answers a PUBLISH.
    pub async fn puback(&mut self, id: u16, reason: u8) {
        let [high, low] = id.to_be_bytes();
        self.send_packet(0x40, &[high, low, reason, 0]).await;
    }

    /// Sends a message at QoS 1.
    pub async fn publish(&mut self, id: u16, topic: &str, payload: &[u8]) {
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        body.extend(id.to_be_bytes());
        body.push(0);
        body.extend(payload);
        self.send_packet(0x32, &body).await;
    }

    /// Says goodbye.
    pub async fn disconnect(&mut self, reason: u8) {
        self.send_packet(0xe0, &[reason, 0]).await;
    }

    /// Sends raw bytes. The client may have gone: that is for the test to find out at its end.
    pub async fn send(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).await);
    }

    async fn send_packet(&mut self, first: u8, body: &[u8]) {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let digit = u8::try_from(length % 128).unwrap();
            length /= 128;
            packet.push(if length == 0 { digit } else { digit | 0x80 });
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        self.send(&packet).await;
    }

    async fn read_packet(&mut self) -> Packet {
        let Ok(first) = self.0.read_u8().await else { return Packet::End };
        let (mut length, mut shift) = (0, 0);
        loop {
            let Ok(digit) = self.0.read_u8().await else { return Packet::End };
            length |= usize::from(digit & 0x7f) << shift;
            shift += 7;
            if digit & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        if self.0.read_exact(&mut body).await.is_err() {
            return Packet::End;
        }
        parse(first, &body)
    }
}

fn parse(first: u8, body: &[u8]) -> Packet {
    let number = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let text = |at: usize| {
        let end = at + 2 + usize::from(number(at));
        (String::from_utf8(body[at + 2..end].to_vec()).unwrap(), end)
    };
    match first >> 4 {
        1 => {
            // Name (6 bytes), level, flags, keep-alive (2), and properties shorter than 128 bytes.
            assert_eq!((&body[2..6], body[6]), (&b"MQTT"[..], 5), "MQTT 5");
            let (client_id, _) = text(11 + usize::from(body[10]));
            Packet::Connect { client_id, clean_start: body[7] & 2 != 0 }
        }
        3 => {
            assert_eq!(first & 6, 2, "QoS 1");
            let (topic, end) = text(0);
            Packet::Publish { id: number(end), topic }
        }
        4 => Packet::PubAck { id: number(0) },
        8 => Packet::Subscribe { id: number(0) },
        12 => Packet::Ping,
        14 => Packet::Disconnect,
        other => panic!("packet type {other}"),
    }
}
