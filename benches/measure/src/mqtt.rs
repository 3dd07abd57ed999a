//! The least of an MQTT 3.1.1 client: publishers that wait for each PUBACK, and a subscriber that counts.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};

use crate::{MESSAGE_BYTES, report};

const TOPIC: &str = "load/1";

/// Each client publishes its share at QoS 1, one message at a time.
pub async fn publish(port: u16, clients: usize, count: usize) {
    let share = count / clients;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for client in 0..clients {
        tasks.spawn(async move {
            let mut stream = connect(port, &format!("load-{client}")).await;
            let mut answer = [0; 4];
            for number in 0..share {
                let identifier = u16::try_from(number % 65_535).expect("small") + 1;
                let mut payload = format!("{client}-{number} ").into_bytes();
                payload.resize(MESSAGE_BYTES, b'x');
                let mut body = string(TOPIC);
                body.extend_from_slice(&identifier.to_be_bytes());
                body.extend_from_slice(&payload);
                stream.write_all(&packet(0x32, &body)).await.expect("sent");
                stream.read_exact(&mut answer).await.expect("a PUBACK");
                assert_eq!(answer[0], 0x40, "a PUBACK");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("published");
    }
    report("published_per_second", share * clients, began);
}

/// Counts what comes until nothing has come for a while.
pub async fn count(port: u16, quiet: Duration) {
    let mut stream = connect(port, "counter").await;
    let mut body = vec![0, 1];
    body.extend(string("load/#"));
    body.push(1);
    stream.write_all(&packet(0x82, &body)).await.expect("sent");
    let (mut seen, mut total, mut first, mut last) = (HashSet::new(), 0_u64, None, Instant::now());
    println!("counting");
    while let Ok(Some((kind, body))) = timeout(quiet, read(&mut stream)).await {
        if kind & 0xf0 != 0x30 {
            continue;
        }
        let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let quality = kind & 6;
        let at = 2 + topic;
        let payload = if quality == 0 { &body[at..] } else { &body[at + 2..] };
        if quality != 0 {
            stream.write_all(&[0x40, 2, body[at], body[at + 1]]).await.expect("sent");
        }
        seen.insert(payload.split(|byte| *byte == b' ').next().unwrap_or_default().to_vec());
        total += 1;
        last = Instant::now();
        first.get_or_insert(last);
    }
    let seconds = first.map_or(0.0, |first| last.duration_since(first).as_secs_f64());
    println!("received {total}\nreceived_distinct {}\nreceived_seconds {seconds:.3}", seen.len());
}

async fn connect(port: u16, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a broker");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut body = string("MQTT");
    body.extend_from_slice(&[4, 2, 0, 0]);
    body.extend(string(name));
    stream.write_all(&packet(0x10, &body)).await.expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.expect("a CONNACK");
    assert_eq!(answer[3], 0, "accepted");
    stream
}

async fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = body.len();
    loop {
        let byte = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        bytes.push(if 0 < length { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}
