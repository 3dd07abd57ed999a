//! Kettering letters as events, and events as Kettering letters.

use crate::{
    codec::{
        hl7v2::parse_moment,
        kettering::{self, Coded, Letter, Patient, Text},
    },
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::NhsNumber,
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
    },
};

/// What [`Received::format`](crate::flow::receive::Received) says of Kettering letters.
pub const FORMAT: &str = "kettering";

/// What a letter says. Its `MsgId` is its identity with its sender.
pub fn translate(letter: &Letter) -> Event {
    let patient = &letter.patient;
    let organisation = &letter.from.organisation;
    let sender = if organisation.0.is_empty() { &letter.sender } else { &organisation.0 };
    let dates = [&letter.event_date, &letter.created, &letter.issued];
    let items = std::iter::once(demographics(letter)).chain(documents(letter)).chain(observations(letter));
    Event {
        kind: "ReportMsg".to_owned(),
        class: Class::Document,
        source_id: letter.message_id.clone(),
        sender: sender.clone(),
        occurred: dates.into_iter().find_map(|date| parse_moment(date.as_bytes())),
        nhs_number: NhsNumber::parse(&patient.nhs_number),
        identifiers: identifiers(patient, sender),
        merged: Vec::new(),
        items: items.filter(|item| !item.fields.is_empty()).collect(),
        withdraws: Vec::new(),
        faults: letter.faults.clone(),
    }
}

/// Reads a journalled letter again.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    kettering::read(entry.raw.as_ref()?).ok().map(|letter| translate(&letter))
}

fn identifiers(patient: &Patient, sender: &str) -> Vec<Identifier> {
    let of_nhs = (!patient.nhs_number.is_empty()).then(|| Identifier {
        value: patient.nhs_number.clone(),
        authority: "NHS".to_owned(),
        kind: "NH".to_owned(),
    });
    let local = patient.numbers.iter().map(|(sort, value)| Identifier {
        value: value.clone(),
        authority: sender.to_owned(),
        kind: sort.clone(),
    });
    of_nhs.into_iter().chain(local).collect()
}

fn set(fields: impl IntoIterator<Item = (&'static str, String)>) -> Vec<(&'static str, FieldChange)> {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name, FieldChange::Set(value))).collect()
}

fn demographics(letter: &Letter) -> ItemChange {
    let patient = &letter.patient;
    let line = |number: usize| patient.address.get(number).cloned().unwrap_or_default();
    let practice = (letter.to.organisation.1 == "PRA").then(|| letter.to.organisation.0.clone());
    let fields = [
        ("family_name", patient.family_name.clone()),
        ("given_name", patient.given_name.clone()),
        ("title", patient.title.clone()),
        ("birth_date", patient.birth_date.clone()),
        ("gender", patient.gender.clone()),
        ("address_line_1", line(0)),
        ("address_line_2", line(1)),
        ("city", patient.address.get(2..).unwrap_or_default().join(", ")),
        ("postcode", patient.postcode.clone()),
        ("general_practice", practice.unwrap_or_default()),
    ];
    ItemChange::new(ItemKind::Demographics, String::new(), set(fields))
}

fn author(letter: &Letter) -> String {
    if letter.from.person_name.is_empty() {
        letter.contributor.clone()
    } else {
        letter.from.person_name.clone()
    }
}

fn documents(letter: &Letter) -> impl Iterator<Item = ItemChange> + '_ {
    letter.texts.iter().enumerate().map(|(at, text)| {
        let fields = [
            ("title", letter.report_type.clone()),
            ("type", letter.report_code.clone()),
            ("created", letter.created.clone()),
            ("recorded", letter.issued.clone()),
            ("author", author(letter)),
            ("organisation", letter.from.organisation_name.clone()),
            ("media_type", text.media_type().to_owned()),
            ("encoding", "text".to_owned()),
            ("content", text.block.clone()),
        ];
        let key = format!("{}|{}", letter.message_id, at + 1);
        let mut item = ItemChange::new(ItemKind::Document, key, set(fields));
        item.part_of.clone_from(&letter.message_id);
        item
    })
}

fn observations(letter: &Letter) -> impl Iterator<Item = ItemChange> + '_ {
    letter.coded.iter().enumerate().map(|(at, coded)| {
        let system = match coded.scheme.to_ascii_lowercase().as_str() {
            "read 2" | "read" | "read2" => "read-2".to_owned(),
            "read 3" | "ctv3" => "ctv3".to_owned(),
            "" => String::new(),
            _ => coded.scheme.clone(),
        };
        let fields = [
            ("code", coded.code.clone()),
            ("code_system", system),
            ("name", coded.term.clone()),
            ("value", coded.value.0.clone()),
            ("units", coded.value.1.clone()),
            ("observed", letter.event_date.clone()),
            ("author", author(letter)),
            ("organisation", letter.from.organisation_name.clone()),
        ];
        let key = format!("{}|code|{}", letter.message_id, at + 1);
        let mut item = ItemChange::new(ItemKind::Observation, key, set(fields));
        item.part_of.clone_from(&letter.message_id);
        item
    })
}

/// An event's documents as one letter: everything but who sends it, to whom, and when.
///
/// # Errors
/// Why no letter can be made of it, without content.
pub fn letter(event: &Event) -> Result<Letter, String> {
    let documents: Vec<&ItemChange> =
        event.items.iter().filter(|item| item.kind == ItemKind::Document).collect();
    let Some(first) = documents.first() else { return withdrawal(event) };
    let mut texts = Vec::new();
    for document in &documents {
        if !matches!(field(document, "encoding"), "" | "text") {
            return Err("a Kettering letter carries text, and this document is none".to_owned());
        }
        let markup = match field(document, "media_type") {
            "text/html" => "-//IETF//DTD HTML//EN",
            _ => "",
        };
        let block = field(document, "content").to_owned();
        if !block.trim().is_empty() {
            texts.push(Text { markup: markup.to_owned(), block });
        }
    }
    if texts.is_empty() {
        return Err("its documents have no text".to_owned());
    }
    if !event.withdraws.is_empty() {
        let block =
            format!("This replaces what its sender has withdrawn: report {}.", event.withdraws.join(", "));
        texts.push(Text { markup: String::new(), block });
    }
    let occurred = event.occurred.map(super::local_time);
    let created = field(first, "created");
    let text = |name: &str, otherwise: &str| {
        let given = field(first, name);
        if given.is_empty() { otherwise.to_owned() } else { given.to_owned() }
    };
    Ok(Letter {
        patient: patient(event)?,
        report_id: event.source_id.clone(),
        report_type: text("title", "Report"),
        report_code: text("type", "REPORT"),
        contributor: text("author", ""),
        event_date: occurred.clone().unwrap_or_else(|| created.to_owned()),
        created: if created.is_empty() { occurred.unwrap_or_default() } else { created.to_owned() },
        service_event_type: "UN".to_owned(),
        texts,
        coded: coded(event),
        ..Letter::default()
    })
}

/// A letter about reports that their sender has withdrawn: a practice has filed them, and must be told.
fn withdrawal(event: &Event) -> Result<Letter, String> {
    if event.withdraws.is_empty() {
        return Err("there is no document in it".to_owned());
    }
    let occurred = event.occurred.map(super::local_time).unwrap_or_default();
    let withdrawn = event.withdraws.join(", ");
    let block = format!(
        "This was withdrawn by its sender: report {withdrawn}. Do not act on it, and mark the copy on file as \
         withdrawn."
    );
    Ok(Letter {
        patient: patient(event)?,
        report_id: event.source_id.clone(),
        report_type: "Withdrawal of a report".to_owned(),
        report_code: "WITHDRAWAL".to_owned(),
        event_date: occurred.clone(),
        created: occurred,
        service_event_type: "UN".to_owned(),
        texts: vec![Text { markup: String::new(), block }],
        ..Letter::default()
    })
}

fn patient(event: &Event) -> Result<Patient, String> {
    let told = event.items.iter().find(|item| item.kind == ItemKind::Demographics);
    let of = |name: &str| told.map(|item| field(item, name).to_owned()).unwrap_or_default();
    let nhs_number = event.nhs_number.map(|number| number.as_str().to_owned()).unwrap_or_default();
    if nhs_number.is_empty() && of("family_name").is_empty() {
        return Err("it names no patient".to_owned());
    }
    let lines = ["address_line_1", "address_line_2", "city", "county"].map(of);
    Ok(Patient {
        nhs_number,
        numbers: Vec::new(),
        family_name: of("family_name"),
        given_name: of("given_name"),
        title: of("title"),
        birth_date: of("birth_date"),
        gender: of("gender"),
        address: lines.into_iter().filter(|line| !line.is_empty()).collect(),
        postcode: of("postcode"),
    })
}

fn coded(event: &Event) -> Vec<Coded> {
    let is_read =
        |item: &&ItemChange| item.kind == ItemKind::Observation && field(item, "code_system") == "read-2";
    let of = |item: &ItemChange, name: &str| field(item, name).to_owned();
    let coded = event.items.iter().filter(is_read).map(|item| Coded {
        code: of(item, "code"),
        scheme: "Read 2".to_owned(),
        term: of(item, "name"),
        value: (of(item, "value"), of(item, "units")),
    });
    coded.collect()
}

/// A field's value; empty if it is not set.
pub(super) fn field<'a>(item: &'a ItemChange, name: &str) -> &'a str {
    let found = item.fields.iter().find_map(|(own, change)| match change {
        FieldChange::Set(value) if *own == name => Some(value.as_str()),
        _ => None,
    });
    found.unwrap_or_default()
}
