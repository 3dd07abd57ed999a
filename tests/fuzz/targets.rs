//! What is done with any bytes at all, for each format. Nothing may panic or disagree with itself.

use std::time::Duration;

use bytes::Bytes;
use polygate::{
    access,
    codec::{
        bars as codec_bars,
        edifact::{self, Interchange, Segments},
        fhir, fuzz,
        hl7v2::Message,
        kettering,
        lis2::link::{Action, Conversation, Role, Verdict},
        mllp::Deframer,
        poct1a,
    },
    domain::{
        entry::Entry,
        time::{ClockQuality, Timestamp},
    },
    systems::{adastra, analyser, bars as systems_bars, hl7, mesh, secondary_care},
};

/// A codec, and what is done with it.
pub struct Target {
    /// Its name: that of its fuzz target.
    pub name: &'static str,
    /// Reads the bytes to the last part, writes what came out, and reads that again: for fuzzers.
    pub try_all: fn(&[u8]),
    /// Reads and understands the bytes as a hub does, and nothing else: what `tests/bounded.rs` measures.
    pub take_in: fn(&[u8]),
}

/// One for each codec.
pub const TARGETS: [Target; 13] = [
    Target { name: "adastra-case", try_all: adastra_case, take_in: adastra_case },
    Target { name: "audit", try_all: access::audit::fuzz, take_in: access::audit::fuzz },
    Target { name: "bars", try_all: all_of_bars, take_in: bars },
    Target { name: "cbor", try_all: fuzz::cbor, take_in: fuzz::cbor },
    Target { name: "edifact", try_all: all_of_edifact, take_in: edifact },
    Target { name: "fhir-json", try_all: all_of_fhir_json, take_in: fhir },
    Target { name: "fhir-xml", try_all: all_of_fhir_xml, take_in: fhir },
    Target { name: "hl7v2", try_all: all_of_hl7v2, take_in: hl7v2 },
    Target { name: "itk", try_all: itk, take_in: itk },
    Target { name: "kettering", try_all: kettering::fuzzing::kettering, take_in: kettering },
    Target { name: "lis2", try_all: all_of_lis2, take_in: lis2 },
    Target { name: "mllp", try_all: fuzz::mllp, take_in: mllp },
    Target { name: "poct1a", try_all: poct1a::fuzzing::fuzz, take_in: poct1a },
];

/// The target of a name.
///
/// # Panics
/// If there is none.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).expect("a target of this name")
}

/// A journal entry with these bytes.
fn entry(data: &[u8]) -> Entry {
    Entry {
        kind: String::new(),
        system: "fuzz".to_owned(),
        source_id: "1".to_owned(),
        patient: None,
        at: Timestamp(0),
        clock: ClockQuality::default(),
        body: Bytes::new(),
        raw: Some(Bytes::copy_from_slice(data)),
    }
}

fn adastra_case(data: &[u8]) {
    drop(adastra::translate_case(&entry(data)));
}

fn itk(data: &[u8]) {
    drop(adastra::translate_itk(&entry(data)));
}

fn all_of_bars(data: &[u8]) {
    codec_bars::fuzzing::fuzz(data);
    bars(data);
}

/// Everything that a receiver does with a message but keep it, and what the record does with one that was kept.
fn bars(data: &[u8]) {
    if let Ok(tree) = fhir::read_json(data)
        && let Ok(message) = codec_bars::read(&tree)
    {
        drop(codec_bars::essence(&tree));
        let service = codec_bars::Service { name: "Hub", id: "1", books: false };
        drop(codec_bars::accepted(&message, service, None, Timestamp(0)).to_string());
    }
    drop(systems_bars::translate_entry(&entry(data)));
}

fn all_of_edifact(data: &[u8]) {
    edifact::fuzzing::edifact(data);
    edifact(data);
}

fn edifact(data: &[u8]) {
    let Ok(segments) = Segments::of(data) else { return };
    let Ok(interchange) = Interchange::of(&segments) else { return };
    for message in &interchange.messages {
        drop(mesh::translate(&interchange.header, message));
    }
}

fn kettering(data: &[u8]) {
    if let Ok(letter) = kettering::read(data) {
        drop(mesh::letters::translate(&letter));
    }
}

fn all_of_fhir_json(data: &[u8]) {
    if data.first() != Some(&b'<') {
        fhir::fuzzing::one_input(data);
    }
}

fn all_of_fhir_xml(data: &[u8]) {
    if data.first() == Some(&b'<') {
        fhir::fuzzing::one_input(data);
    }
}

fn fhir(data: &[u8]) {
    drop(fhir::read(data));
}

fn all_of_hl7v2(data: &[u8]) {
    fuzz::hl7v2(data);
    hl7v2(data);
}

fn hl7v2(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        drop(hl7::translate(&message, &secondary_care::DIALECT));
    }
}

/// The line may cut what it brings anywhere. Behind a message that is not decided only so much may wait.
fn all_of_lis2(data: &[u8]) {
    let data = data.get(..data.len().min(4096)).unwrap_or_default();
    let whole = conversation(data, data.len().max(1));
    assert_eq!(whole, conversation(data, 1), "what is received depends on how the line cuts it");
    lis2(data);
    understood(&Bytes::copy_from_slice(data));
}

fn lis2(data: &[u8]) {
    for message in conversation(data, 4096) {
        understood(&message);
    }
}

/// The messages that a host makes of what the line brings, in pieces of a size. It decides each at once.
fn conversation(data: &[u8], piece_bytes: usize) -> Vec<Bytes> {
    let now = Duration::ZERO;
    let mut host = Conversation::new(Role::Host, 16 << 20);
    let mut messages = Vec::new();
    for piece in data.chunks(piece_bytes) {
        host.receive(piece, now);
        while let Some(action) = host.next_action() {
            if let Action::Message(message) = action {
                messages.push(message);
                host.decide(Verdict::Taken, now);
            }
        }
    }
    messages
}

/// Each patient's part, of which nobody else's result is a part.
fn understood(message: &Bytes) {
    drop(analyser::by_patient(message));
}

fn mllp(data: &[u8]) {
    // As much as a hub takes in a message, in pieces as a socket brings them.
    let mut deframer = Deframer::new(16 << 20);
    for piece in data.chunks(64 << 10) {
        deframer.push(piece);
        while deframer.next_frame().is_some() {}
    }
}

fn poct1a(data: &[u8]) {
    let now = poct1a::conversation::Now { since: Duration::ZERO, clock: Timestamp(0) };
    let mut hub = poct1a::conversation::Conversation::new(16 << 20);
    for piece in data.chunks(4096) {
        hub.receive(piece, now);
        while let Some(action) = hub.next_action() {
            if matches!(action, poct1a::conversation::Action::Message(..)) {
                hub.decide(poct1a::conversation::Verdict::Taken, now);
            }
        }
    }
}
