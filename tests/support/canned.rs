//! A web server that gives one answer to whatever it is asked, and remembers what that was.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What is answered.
#[derive(Clone, Debug)]
pub struct Canned {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub media_type: &'static str,
    /// Other headers, each with its line end.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value; empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

/// The server. It ends with the test's process.
pub struct Server {
    /// Where it listens, on loopback.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// One that answers so.
    pub fn start(answer: Canned) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&asked);
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let (answer, all) = (answer.clone(), Arc::clone(&all));
                spawn(move || converse(stream, &answer, &all));
            }
        };
        spawn(serve);
        Self { port, asked }
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name("canned".to_owned()).spawn(work).unwrap();
}

/// Answers every request of a connection, until there are no more.
fn converse(mut stream: TcpStream, answer: &Canned, all: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(asked) = request(&mut reader) {
        all.lock().unwrap().push(asked);
        let Canned { status, media_type, headers, body } = answer;
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Canned\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        if stream.write_all(&[head.as_bytes(), body].concat()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<Asked> {
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).ok().filter(|bytes| 0 < *bytes)?;
    asked.line = asked.line.trim().to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| 0 < *bytes)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        asked.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    asked.body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}
