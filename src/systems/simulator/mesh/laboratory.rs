//! A hospital laboratory that reports over MESH, as PMIP NHS003.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::watch, time::sleep};

use crate::{
    codec::edifact::{
        Header, Interchange, Partner, Segments, Writer, nhsack,
        pmip::{self, Code, Investigation, Kind, Link, Party, Patient, Range, Report, Specimen, Value},
    },
    domain::time::Timestamp,
    sys::{clock::Clock, entropy::Entropy},
    systems::{
        mesh::{MeshClient, MeshError, Outgoing, local_digits},
        simulator::people::Person,
    },
};

/// Read code, name, unit, usual range, and by how much a value strays.
const TESTS: [(&str, &str, &str, f64, f64); 5] = [
    ("44I5.", "Serum sodium", "mmol/L", 133.0, 146.0),
    ("44I4.", "Serum potassium", "mmol/L", 3.5, 5.3),
    ("44J3.", "Serum creatinine", "umol/L", 45.0, 110.0),
    ("44J9.", "Serum urea level", "mmol/L", 2.5, 7.8),
    ("44CS.", "Serum C reactive protein level", "mg/L", 0.0, 5.0),
];

/// How a simulated laboratory works.
#[derive(Clone, Debug)]
pub struct Routine {
    /// How often it reports.
    pub every: Duration,
    /// The mailbox it reports to.
    pub to: String,
    /// The practice that asks for its reports.
    pub practice: String,
    /// How many people it examines, one after another, from 0.
    pub people: u64,
}

/// A laboratory's side of its mailbox: what it sends next.
#[derive(Debug)]
pub struct Laboratory {
    from: String,
    to: String,
    sequence: u32,
    entropy: Entropy,
}

impl Laboratory {
    /// A laboratory with this EDI code, reporting to that one; the same numbers for the same seed.
    pub fn new(from: &str, to: &str, seed: u64) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), sequence: 0, entropy: Entropy::from_seed(seed) }
    }

    /// Reports to a mailbox, one person after another, and collects what is answered, until `stop` changes.
    pub async fn run(
        mut self,
        client: MeshClient,
        clock: Arc<dyn Clock>,
        routine: Routine,
        mut stop: watch::Receiver<bool>,
    ) {
        for number in (0..routine.people.max(1)).cycle() {
            let body = self.report(&Person::of(number), &routine.practice, clock.now());
            if let Err(error) = self.talk(&client, &routine.to, body).await {
                tracing::debug!(%error, "a simulated laboratory cannot reach its mailbox");
            }
            tokio::select! {
                () = sleep(routine.every) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn talk(&self, client: &MeshClient, to: &str, body: Bytes) -> Result<(), MeshError> {
        let local_id = format!("lab-{}", self.sequence);
        let (workflow, content_type) = ("PATH_MEDRPT_V3", "application/edifact");
        client.send(Outgoing { to, workflow, local_id: &local_id, content_type, body }).await?;
        for id in client.inbox().await? {
            if let Some(message) = client.get(&id).await? {
                let segments = Segments::of(&message.body).ok();
                let interchange = segments.as_ref().and_then(|segments| Interchange::of(segments).ok());
                for ack in interchange.iter().flat_map(nhsack::read_all) {
                    tracing::debug!(interchange = ack.interchange, verdict = ack.verdict.code(), "NHSACK");
                }
            }
            client.acknowledge(&id).await?;
        }
        Ok(())
    }

    /// A report on a person as an interchange of its own, for which an NHSACK is wanted.
    pub fn report(&mut self, person: &Person, practice: &str, now: Timestamp) -> Bytes {
        self.sequence += 1;
        let digits = local_digits(now);
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().to_owned();
        let partner = |id: &str| Partner { id: id.to_owned(), qualifier: "80".to_owned() };
        let mut writer = Writer::new(&Header {
            syntax: "UNOC".to_owned(),
            version: "3".to_owned(),
            sender: partner(&self.from),
            recipient: partner(&self.to),
            prepared: (part(2, 8), part(8, 12)),
            control_reference: self.sequence.to_string(),
            application: "MEDRPT".to_owned(),
            acknowledgement_requested: true,
            test: false,
        });
        let report = self.content(person, practice, &digits);
        pmip::write(&mut writer, "1", Kind::Pathology, &report);
        Bytes::from(writer.finish().0)
    }

    fn content(&mut self, person: &Person, practice: &str, now: &str) -> Report {
        let text = str::to_owned;
        let named = |name: &str| Code { name: text(name), ..Code::default() };
        let party = |role: &str, sort: &str, who: Code| Party { role: text(role), sort: text(sort), who };
        let of_practice = || Code { value: text(practice), list: text("901"), name: String::new() };
        let moment = now.get(..12).unwrap_or_default().to_owned();
        let mut investigations = vec![Investigation {
            code: named("UREA AND ELECTROLYTES"),
            sequence: text("1"),
            link: Link::Specimen(text("1")),
            ..Investigation::default()
        }];
        investigations.extend(TESTS.map(|test| self.test(test)));
        Report {
            prepared: moment.clone(),
            id: format!("{}{:05}", now.get(2..8).unwrap_or_default(), self.sequence),
            issued: moment.clone(),
            status: text("UN"),
            parties: vec![
                party("PO", "ORG", of_practice()),
                party("MR", "ORG", of_practice()),
                party("SLA", "DPT", named("CLINICAL BIOCHEMISTRY")),
                party("SLA", "ORG", named("QUEEN'S INVENTED HOSPITAL")),
            ],
            patient: patient(person),
            specimens: vec![Specimen {
                sequence: text("1"),
                kind: named("VENOUS BLOOD"),
                id: format!("S{:06}", self.sequence),
                collected: moment.clone(),
                received: moment,
                ..Specimen::default()
            }],
            investigations,
            ..Report::default()
        }
    }

    fn test(&mut self, (code, name, unit, low, high): (&str, &str, &str, f64, f64)) -> Investigation {
        let text = str::to_owned;
        // Up to a fifth of the range beyond either end: one value in seven or so is abnormal.
        let place = f64::from(u32::try_from(self.entropy.below(1_400)).unwrap_or(700)) / 1_000.0 - 0.2;
        let value = (low + (high - low) * place).max(0.1);
        let flag = if value < low {
            "LO"
        } else if high < value {
            "HI"
        } else {
            ""
        };
        Investigation {
            code: Code { value: text(code), list: text("911"), name: text(name) },
            value: Value::Numeric(format!("{value:.1}"), String::new(), text(unit)),
            flag: text(flag),
            ranges: vec![Range { low: low.to_string(), high: high.to_string(), ..Range::default() }],
            link: Link::Group(text("1")),
            ..Investigation::default()
        }
    }
}

fn patient(person: &Person) -> Patient {
    Patient {
        nhs_number: person.nhs_number.as_str().to_owned(),
        family_name: person.family_name.to_owned(),
        given_name: person.given_name.to_owned(),
        birth_date: person.birth_date.clone(),
        gender: person.sex.to_owned(),
        address: vec![person.address.clone(), "LONDON".to_owned()],
        ..Patient::default()
    }
}
