//! A clinic that keeps its own book, as RiO and hospital systems do: it is told of appointments over HL7 v2 (SIU),
//! refuses a time that is taken, books times itself, and says who came. It reads messages without the product's help.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::domain::time::Timestamp;

use super::{
    people::Person,
    receiver::{CONNECTIONS_MAX, MESSAGE_BYTES_MAX, acknowledgement, field, next_message},
    traffic::Message,
};

/// A book holds no more; a day of the demonstration makes less.
const HELD_MAX: usize = 10_000;
/// Answers that are remembered, for messages that come again.
const ANSWERS_MAX: usize = 10_000;
/// How it writes times: HL7 v2.4, TS.
const TIME: &str = "%Y%m%d%H%M%S%z";

/// How it deals with what it is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Manner {
    /// It answers.
    #[default]
    Answers,
    /// It answers, and says how it names the appointment (SCH-2).
    Names,
    /// It does as it is told, and its answer is lost on the way.
    Mute,
    /// It hears nothing and says nothing.
    Deaf,
}

/// What has become of an appointment in its book.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// The patient is expected.
    Booked,
    /// It is cancelled: the time is free again.
    Cancelled,
    /// The patient has come.
    Arrived,
    /// The patient was seen.
    Done,
    /// The patient did not come.
    DidNotAttend,
}

/// One appointment in its book.
#[derive(Clone, Eq, PartialEq)]
pub struct Held {
    /// How whoever asked for it names it (SCH-1.1); empty if the clinic has booked it itself.
    pub placer: String,
    /// How the clinic names it (SCH-2.1).
    pub filler: String,
    /// What it takes: a session, else a place, else a service, by its code.
    pub resource: String,
    /// From when.
    pub start: Timestamp,
    /// Until when.
    pub end: Timestamp,
    /// What has become of it.
    pub state: State,
    /// PID as it came.
    patient: String,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({}, {}, {}, {:?})", self.filler, self.resource, self.start, self.state)
    }
}

/// A clinic's book and manner; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Clinic(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    manner: Manner,
    book: Vec<Held>,
    /// By sender and MSH-10, the oldest first in `order`.
    answers: BTreeMap<String, Vec<u8>>,
    order: VecDeque<String>,
    received: Vec<String>,
    messages: Vec<Vec<u8>>,
    said: u64,
}

/// Why it does not take something: table 0357, and in words.
type No = (u16, &'static str);

const UNKNOWN: No = (204, "No such appointment");
const TAKEN: No = (204, "That time is taken");

impl Clinic {
    /// From now on it is like this.
    pub fn shall(&self, manner: Manner) {
        self.inside().manner = manner;
    }

    /// Its book, in the order in which it was written.
    pub fn book(&self) -> Vec<Held> {
        self.inside().book.clone()
    }

    /// The control ids of all that came, repetitions included.
    pub fn received(&self) -> Vec<String> {
        self.inside().received.clone()
    }

    /// Books a time itself, and gives the message that says so (SIU^S12); none if the time is taken.
    pub fn books(
        &self,
        resource: &str,
        start: Timestamp,
        length: Duration,
        who: &Person,
        now: Timestamp,
    ) -> Option<Message> {
        let patient = format!(
            "PID|1||{}^^^NHS^NH||{}^{}||{}|{}",
            who.nhs_number.as_str(),
            who.family_name,
            who.given_name,
            who.birth_date,
            who.sex
        );
        let mut inside = self.inside();
        let held = Held {
            placer: String::new(),
            filler: inside.next_filler(),
            resource: resource.to_owned(),
            start,
            end: start.plus(length),
            state: State::Booked,
            patient,
        };
        inside.write(held.clone()).ok()?;
        Some(inside.schedule("S12", "Booked", &held, now))
    }

    /// The patient of an appointment, by either name of it, has come: ADT^A04; none if there is no such appointment.
    pub fn arrives(&self, name: &str, now: Timestamp) -> Option<Message> {
        let mut inside = self.inside();
        let held = inside.find(name)?;
        held.state = State::Arrived;
        let held = held.clone();
        let visit = format!(
            "EVN|A04|{0}||||{0}\r{1}\rPV1|1|O|{2}{3}{4}",
            time(now),
            held.patient,
            held.resource,
            "|".repeat(19 - 3),
            held.filler
        );
        Some(inside.message("ADT^A04^ADT_A01", &visit, now))
    }

    /// The patient of an appointment, by either name of it, did not come: SIU^S26; none if there is no such one.
    pub fn misses(&self, name: &str, now: Timestamp) -> Option<Message> {
        let mut inside = self.inside();
        let held = inside.find(name)?;
        held.state = State::DidNotAttend;
        let held = held.clone();
        Some(inside.schedule("S26", "Noshow", &held, now))
    }

    /// It gives an appointment, by either name of it, another time (SIU^S13); none if there is no such one, or the time is
    /// taken.
    pub fn moves(&self, name: &str, start: Timestamp, now: Timestamp) -> Option<Message> {
        let mut inside = self.inside();
        let before = inside.find(name)?.clone();
        let moved = Held { start, end: start.plus(before.end.since(before.start)), ..before.clone() };
        if inside.is_in_the_way(&moved) {
            return None;
        }
        *inside.find(name)? = moved.clone();
        Some(inside.schedule("S13", "Booked", &moved, now))
    }

    /// It cancels an appointment, by either name of it (SIU^S15); none if there is no such one.
    pub fn cancels(&self, name: &str, now: Timestamp) -> Option<Message> {
        let mut inside = self.inside();
        let held = inside.find(name)?;
        held.state = State::Cancelled;
        let held = held.clone();
        Some(inside.schedule("S15", "Cancelled", &held, now))
    }

    /// All that it was sent, as it came.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.inside().messages.clone()
    }

    /// Serves until it is dropped.
    pub async fn run(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            if connections.len() < CONNECTIONS_MAX {
                let clinic = self.clone();
                connections.spawn(async move {
                    if let Err(error) = clinic.serve(stream).await {
                        tracing::debug!(%error, "a sender went away");
                    }
                });
            }
        }
    }

    async fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        loop {
            let Some(message) = next_message(&mut buffer) else {
                if MESSAGE_BYTES_MAX < buffer.len() || stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            // The lock is gone before anything is written.
            let answer = self.inside().take(&message);
            if let Some(answer) = answer {
                stream.write_all(&answer).await?;
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Does what a message says, once, and gives the answer to be sent; none if none is to be.
    fn take(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let of = |number| field(message, "MSH", number);
        let control_id = of(10);
        self.received.push(control_id.clone());
        if self.messages.len() < ANSWERS_MAX {
            self.messages.push(message.to_vec());
        }
        if self.manner == Manner::Deaf {
            return None;
        }
        let name = format!("{}|{}|{control_id}", of(3), of(4));
        if !self.answers.contains_key(&name) {
            let said = match self.heed(message) {
                Ok(filler) if self.manner == Manner::Names => {
                    format!("MSA|AA|{control_id}\rSCH|{}|{filler}\r", field(message, "SCH", 1))
                }
                Ok(_) => format!("MSA|AA|{control_id}\r"),
                Err((number, words)) => {
                    format!("MSA|AE|{control_id}|{words}\rERR|AIS^1^4^{number}&{words}&HL70357\r")
                }
            };
            self.answers.insert(name.clone(), acknowledgement(message, &said));
            self.order.push_back(name.clone());
            if ANSWERS_MAX < self.order.len() {
                let oldest = self.order.pop_front();
                oldest.and_then(|oldest| self.answers.remove(&oldest));
            }
        }
        let answer = self.answers.get(&name).cloned();
        answer.filter(|_| self.manner != Manner::Mute)
    }

    /// Writes into the book what a message says; how the clinic names the appointment.
    fn heed(&mut self, message: &[u8]) -> Result<String, No> {
        let kind = field(message, "MSH", 9);
        let Some(trigger) = kind.strip_prefix("SIU^").and_then(|rest| rest.split('^').next()) else {
            return Err((200, "Only SIU is taken here"));
        };
        let [placer, filler] = [1, 2].map(|number| part(&field(message, "SCH", number), 1));
        if placer.is_empty() && filler.is_empty() {
            return Err((101, "SCH-1 is missing"));
        }
        let state = match trigger {
            "S12" if placer.is_empty() => return Err((101, "SCH-1 is missing")),
            "S12" => return self.book_for(&placer, message),
            "S13" => State::Booked,
            "S14" => match part(&field(message, "SCH", 25), 1).as_str() {
                "Started" => State::Arrived,
                "Complete" => State::Done,
                _ => State::Booked,
            },
            "S15" | "S17" => State::Cancelled,
            "S26" => State::DidNotAttend,
            _ => return Err((201, "No such event here")),
        };
        let name = if placer.is_empty() { filler } else { placer };
        let held = self.find(&name).ok_or(UNKNOWN)?;
        held.state = state;
        Ok(held.filler.clone())
    }

    fn book_for(&mut self, placer: &str, message: &[u8]) -> Result<String, No> {
        if self.find(placer).is_some() {
            return Err((205, "It is booked already"));
        }
        let timing = field(message, "SCH", 11);
        let (Some(start), Some(end)) = (moment(&part(&timing, 4)), moment(&part(&timing, 5))) else {
            return Err((102, "SCH-11 says no time"));
        };
        let resources = ["AIG", "AIL", "AIS"].map(|name| part(&field(message, name, 3), 1));
        let resource =
            resources.into_iter().find(|code| !code.is_empty()).ok_or((101, "Nothing is taken"))?;
        let patient = message.split(|byte| *byte == b'\r').find(|segment| segment.starts_with(b"PID|"));
        let held = Held {
            placer: placer.to_owned(),
            filler: self.next_filler(),
            resource,
            start,
            end,
            state: State::Booked,
            patient: patient.map(|pid| String::from_utf8_lossy(pid).into_owned()).unwrap_or_default(),
        };
        let filler = held.filler.clone();
        self.write(held).map(|()| filler)
    }

    fn write(&mut self, new: Held) -> Result<(), No> {
        if self.is_in_the_way(&new) {
            return Err(TAKEN);
        }
        if HELD_MAX <= self.book.len() {
            return Err((207, "The book is full"));
        }
        self.book.push(new);
        Ok(())
    }

    /// Whether another has some of its time.
    fn is_in_the_way(&self, new: &Held) -> bool {
        let in_the_way = |held: &Held| {
            held.filler != new.filler
                && held.state != State::Cancelled
                && held.resource == new.resource
                && held.start < new.end
                && new.start < held.end
        };
        self.book.iter().any(in_the_way)
    }

    fn find(&mut self, name: &str) -> Option<&mut Held> {
        self.book.iter_mut().find(|held| held.placer == name || held.filler == name)
    }

    fn next_filler(&self) -> String {
        format!("F{}", self.book.len() + 1)
    }

    fn schedule(&mut self, trigger: &str, status: &str, held: &Held, now: Timestamp) -> Message {
        let Held { placer, filler, resource, patient, .. } = held;
        let minutes = held.end.since(held.start).as_secs() / 60;
        let (start, end) = (time(held.start), time(held.end));
        let clerk = "K1^Brown^Sam";
        let text = format!(
            "SCH|{placer}|{filler}||||{}|||{minutes}|MIN|^^M{minutes}^{start}^{end}|||||{clerk}||||{clerk}|||||{status}\r\
             {patient}\rRGS|1|A\rAIG|1|A|{resource}|CLINIC",
            status.to_ascii_uppercase()
        );
        self.message(&format!("SIU^{trigger}^SIU_S12"), &text, now)
    }

    fn message(&mut self, kind: &str, segments: &str, now: Timestamp) -> Message {
        self.said += 1;
        let control_id = format!("CLINIC-{}", self.said);
        let text =
            format!("MSH|^~\\&|CLINIC|RV5|POLYGATE||{}||{kind}|{control_id}|P|2.4\r{segments}\r", time(now));
        Message { control_id, bytes: text.into_bytes() }
    }
}

/// A component of a field's first repetition, from 1.
fn part(field: &str, number: usize) -> String {
    let first = field.split('~').next().unwrap_or_default();
    first.split('^').nth(number - 1).unwrap_or_default().to_owned()
}

fn moment(text: &str) -> Option<Timestamp> {
    jiff::Timestamp::strptime(TIME, text).ok().map(|moment| Timestamp(moment.as_millisecond()))
}

fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().strftime(TIME).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NINE: Timestamp = Timestamp(1_795_000_000_000);
    const TWENTY_MINUTES: Duration = Duration::from_secs(20 * 60);

    #[test]
    fn a_time_is_booked_once_and_free_again_when_it_is_cancelled() {
        let clinic = Clinic::default();
        let books = |start| clinic.books("foot", start, TWENTY_MINUTES, &Person::of(1), NINE);
        assert!(books(NINE).is_some());
        assert!(books(NINE.plus(TWENTY_MINUTES / 2)).is_none(), "half of it is taken");
        assert!(books(NINE.plus(TWENTY_MINUTES)).is_some());
        assert!(clinic.books("hand", NINE, TWENTY_MINUTES, &Person::of(2), NINE).is_some());
        clinic.inside().find("F1").unwrap().state = State::Cancelled;
        assert!(books(NINE).is_some());
        assert_eq!(clinic.book().len(), 4);
    }

    #[test]
    fn it_reads_the_times_it_writes_and_others_that_are_the_same() {
        assert_eq!(moment(&time(NINE)), Some(NINE));
        assert_eq!(moment("20260715093000+0100"), moment("20260715083000+0000"));
        assert_eq!(moment("tomorrow"), None);
    }

    #[test]
    fn what_is_no_booking_is_refused_and_says_why() {
        let clinic = Clinic::default();
        let answer = |text: &str| {
            let answer = clinic.inside().take(text.as_bytes()).unwrap();
            String::from_utf8(answer).unwrap()
        };
        for (kind, rest, number) in [
            ("ADT^A04^ADT_A01", "SCH|P1", "200"),
            ("SIU^S99^SIU_S12", "SCH|P1", "201"),
            ("SIU^S15^SIU_S12", "SCH|P1", "204"),
            ("SIU^S12^SIU_S12", "SCH|", "101"),
            ("SIU^S12^SIU_S12", "SCH|P1||||||||||^^^soon", "102"),
        ] {
            let text = format!("MSH|^~\\&|A|B|C|D|2026||{kind}|{number}{}|P|2.4\r{rest}\r", kind.len());
            let found = answer(&text);
            assert!(found.contains("\rMSA|AE|"), "{found}");
            assert!(found.contains(&format!("\rERR|AIS^1^4^{number}&")), "{found}");
        }
    }
}
