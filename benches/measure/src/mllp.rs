//! Senders that wait for each acknowledgement, and what bare appends of the same bytes reach.

use std::{
    fs::OpenOptions,
    io::{Seek, SeekFrom, Write},
    time::Instant,
};

use polygate::{
    domain::time::Timestamp,
    systems::simulator::traffic::{Traffic, Voice},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{MESSAGE_BYTES, report};

/// Each connection sends its share, one message at a time, and waits for AA.
pub async fn load(port: u16, connections: usize, count: usize, prefix: &str) {
    let share = count / connections;
    let mut shares = Vec::new();
    for connection in 0..connections {
        let seed = connection as u64;
        let name = format!("{prefix}{connection}-");
        let mut traffic = Traffic::new(Voice::SecondaryCare, &name, 5000, seed).padded_to(MESSAGE_BYTES);
        let framed = (0..share).map(|second| {
            let message = traffic.next(Timestamp(1_790_000_000_000 + second as i64 * 1000));
            [b"\x0b".as_slice(), &message.bytes, b"\x1c\r"].concat()
        });
        shares.push(framed.collect::<Vec<_>>());
    }
    let bytes: usize = shares.iter().flatten().map(|message| message.len() - 3).sum();
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for messages in shares {
        senders.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a hub");
            stream.set_nodelay(true).expect("TCP_NODELAY");
            let mut answer = Vec::with_capacity(1024);
            for message in messages {
                stream.write_all(&message).await.expect("sent");
                answer.clear();
                while !answer.ends_with(b"\x1c\r") {
                    assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "closed");
                }
                assert!(
                    answer.windows(6).any(|part| part == b"MSA|AA"),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.expect("every message accepted");
    }
    report("accepted_per_second", share * connections, began);
    println!("accepted_bytes {bytes}");
}

/// As many tasks append as many bytes to a preallocated file; one thread writes what has come in and
/// synchronises it once.
pub async fn append(path: &str, concurrency: usize, count: usize) {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
    let (requests, mut inbox) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(1024);
    let total = (count * (MESSAGE_BYTES + 64)) as u64;
    file.set_len(total).expect("room");
    file.seek(SeekFrom::Start(0)).expect("the beginning");
    let writer = std::thread::spawn(move || {
        let (mut buffer, mut waiting) = (Vec::new(), Vec::new());
        while let Some(first) = inbox.blocking_recv() {
            let mut next = Some(first);
            while let Some((bytes, reply)) = next {
                buffer.extend_from_slice(&bytes);
                waiting.push(reply);
                next = if buffer.len() < 4 << 20 { inbox.try_recv().ok() } else { None };
            }
            file.write_all(&buffer).expect("written");
            file.sync_data().expect("synchronised");
            buffer.clear();
            waiting
                .drain(..)
                .for_each(|reply: oneshot::Sender<()>| reply.send(()).expect("a task that waits"));
        }
    });
    let share = count / concurrency;
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..concurrency {
        let requests = requests.clone();
        tasks.spawn(async move {
            for _ in 0..share {
                let (reply, done) = oneshot::channel();
                requests.send((vec![b'x'; MESSAGE_BYTES], reply)).await.expect("the writer");
                done.await.expect("synchronised");
            }
        });
    }
    drop(requests);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("appended");
    }
    report("appended_per_second", share * concurrency, began);
    writer.join().expect("the writer");
    std::fs::remove_file(path).expect("removed");
}
