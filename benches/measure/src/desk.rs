//! Receptionists at their screens: each finds, looks, searches for times and watches the board, and how long pages take.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

/// The demonstration's accounts and one of its patients.
const USER: &str = "reception";
const PASSWORD: &str = "demonstration+only";
const PATIENT: &str = "999+000+0018";
/// People look at a page for so long before they press the next button; spread evenly between the two.
const THINKS: (u64, u64) = (2_000, 4_000);
/// The board asks for its news so often (`board.html`).
const REFRESH: Duration = Duration::from_secs(15);
/// So many sign in at a time: passwords are made to take long.
const SIGN_IN_AT_ONCE: usize = 4;

/// `count` people work for `seconds` at the desk at `address`; prints how long pages took.
pub async fn load(address: &str, count: usize, seconds: u64) {
    let mut people = Vec::with_capacity(count);
    let mut left = count;
    while left > 0 {
        let mut signing_in = JoinSet::new();
        for _ in 0..left.min(SIGN_IN_AT_ONCE) {
            signing_in.spawn(Browser::signed_in(address.to_owned()));
        }
        people.extend(signing_in.join_all().await);
        left = count - people.len();
    }
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut working = JoinSet::new();
    for (number, browser) in people.into_iter().enumerate() {
        let board = browser.beside().await;
        working.spawn(work(browser, number as u64, until));
        working.spawn(watch(board, number as u64, until));
    }
    let mut took: Vec<Duration> = working.join_all().await.concat();
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("desk_people {count}\ndesk_pages {}", took.len());
    println!("desk_pages_per_second {:.0}", took.len() as f64 / seconds as f64);
    println!("desk_p50_ms {:.1}\ndesk_p99_ms {:.1}\ndesk_max_ms {:.1}", at(0.5), at(0.99), at(1.0));
}

/// One errand after the other: whom, what for, when, and what else is on the lists.
async fn work(mut browser: Browser, seed: u64, until: Instant) -> Vec<Duration> {
    let (mut took, mut dice) = (Vec::new(), seed);
    while Instant::now() < until {
        for path in ["/reception", "/patients", "/waiting", "/queue", "/provisional"] {
            took.push(browser.get(path).await);
            think(&mut dice).await;
        }
        for (path, fields) in [
            ("/patients", format!("errand=book&words={PATIENT}")),
            ("{at}/choose", "who=0".to_owned()),
            ("{at}", "service=podiatry&slots=1&from={from}&until={until}".to_owned()),
        ] {
            let path = path.replace("{at}", &browser.at);
            let fields =
                fields.replace("{from}", browser.field("from")).replace("{until}", browser.field("until"));
            took.extend(browser.post(&path, &fields).await);
            think(&mut dice).await;
        }
        assert!(
            browser.at.ends_with("/slots") && browser.shows("/slots\" method=\"post\""),
            "no times: {}",
            browser.at
        );
    }
    took
}

/// The board of the same person in another tab.
async fn watch(mut browser: Browser, seed: u64, until: Instant) -> Vec<Duration> {
    let (mut took, mut dice) = (Vec::new(), seed ^ 0x5bd1_e995);
    think(&mut dice).await;
    while Instant::now() < until {
        took.push(browser.get("/reception").await);
        sleep(REFRESH).await;
    }
    took
}

async fn think(dice: &mut u64) {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    sleep(Duration::from_millis(THINKS.0 + (*dice >> 33) % (THINKS.1 - THINKS.0))).await;
}

/// A connection that is kept, a cookie and a form's token: as much of a browser as it takes.
struct Browser {
    stream: BufReader<TcpStream>,
    host: String,
    cookie: String,
    csrf: String,
    /// The page it is at.
    at: String,
    /// What that page says.
    page: String,
}

struct Page {
    status: u16,
    location: String,
    body: String,
}

impl Browser {
    async fn signed_in(address: String) -> Self {
        let host = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = connect(&host).await;
        let mut browser = Self {
            stream,
            host,
            cookie: String::new(),
            csrf: String::new(),
            at: String::new(),
            page: String::new(),
        };
        let answer = browser.ask("POST", "/sign-in", &format!("user={USER}&password={PASSWORD}&next=")).await;
        assert_eq!(answer.status, 303, "not signed in: {}", answer.body);
        browser.get("/reception").await;
        browser
    }

    /// Another tab.
    async fn beside(&self) -> Self {
        Self {
            stream: connect(&self.host).await,
            host: self.host.clone(),
            cookie: self.cookie.clone(),
            csrf: self.csrf.clone(),
            at: String::new(),
            page: String::new(),
        }
    }

    async fn get(&mut self, path: &str) -> Duration {
        let began = Instant::now();
        let page = self.ask("GET", path, "").await;
        let took = began.elapsed();
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        if let Some((_, rest)) = page.body.split_once("name=\"csrf\" value=\"") {
            self.csrf = rest.split('"').next().unwrap_or_default().to_owned();
        }
        self.page = page.body;
        took
    }

    /// What a field of the page holds.
    fn field(&self, name: &str) -> &str {
        let tag = self.page.split('<').find(|tag| tag.contains(&format!(" name=\"{name}\"")));
        let value = tag.and_then(|tag| tag.split_once(" value=\""));
        value.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
    }

    fn shows(&self, text: &str) -> bool {
        self.page.contains(text)
    }

    /// A form and the page to which it leads.
    async fn post(&mut self, path: &str, fields: &str) -> Vec<Duration> {
        let began = Instant::now();
        let answer = self.ask("POST", path, &format!("csrf={}&{fields}", self.csrf)).await;
        let took = began.elapsed();
        if answer.status != 303 {
            // The form again, with what is wrong with it.
            assert_eq!(answer.status, 422, "{path}: {}", answer.body);
            return vec![took];
        }
        self.at = answer.location.clone();
        vec![took, self.get(&answer.location).await]
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> Page {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: {1}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {2}\r\n\r\n{body}",
            self.host,
            self.cookie,
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await.expect("sent");
        let mut page = Page { status: 0, location: String::new(), body: String::new() };
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).await.expect("an answer"), 0, "{path}: closed");
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() {
                    break;
                }
                page.status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().expect("a length"),
                "location" => page.location = value.to_owned(),
                "set-cookie" => self.cookie = value.split(';').next().unwrap_or_default().to_owned(),
                _ => {}
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.expect("a page");
        page.body = String::from_utf8(bytes).expect("text");
        page
    }
}

async fn connect(host: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(host).await.expect("a desk");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    BufReader::new(stream)
}
