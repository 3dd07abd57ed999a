//! Writing interchanges: escaping, and the counts that UNT and UNZ carry.

use super::{
    interchange::{Header, MessageType},
    segment::{Delimiters, released},
};

/// An interchange being written.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    control_reference: String,
    /// The open message's reference, and how many segments it has.
    open: Option<(String, usize)>,
    messages: usize,
    lost: usize,
}

impl Writer {
    /// Begins with UNA and UNB.
    pub fn new(header: &Header) -> Self {
        let mut writer = Self {
            out: b"UNA:+.? '".to_vec(),
            control_reference: header.control_reference.clone(),
            open: None,
            messages: 0,
            lost: 0,
        };
        let flag = |set: bool| if set { "1" } else { "" };
        writer.segment(
            "UNB",
            &[
                &[&header.syntax, &header.version],
                &[&header.sender.id, &header.sender.qualifier],
                &[&header.recipient.id, &header.recipient.qualifier],
                &[&header.prepared.0, &header.prepared.1],
                &[&header.control_reference],
                &[],
                &[&header.application],
                &[],
                &[flag(header.acknowledgement_requested)],
                &[],
                &[flag(header.test)],
            ],
        );
        writer
    }

    /// Begins a message.
    pub fn begin(&mut self, reference: &str, kind: &MessageType) {
        self.open = Some((reference.to_owned(), 0));
        let kind = [&kind.name, &kind.version, &kind.release, &kind.agency, &kind.association];
        self.segment("UNH", &[&[reference], &kind.map(String::as_str)]);
    }

    /// Writes a segment: elements of components. Empty ones at the end are left out, as the syntax wants.
    pub fn segment(&mut self, tag: &str, elements: &[&[&str]]) {
        let delimiters = Delimiters::default();
        if let Some((_, count)) = &mut self.open {
            *count += 1;
        }
        self.out.extend_from_slice(tag.as_bytes());
        let used =
            |element: &&[&str]| element.iter().rposition(|text| !text.is_empty()).map_or(0, |at| at + 1);
        let last = elements.iter().rposition(|element| 0 < used(element)).map_or(0, |at| at + 1);
        for element in &elements[..last] {
            self.out.push(delimiters.element);
            for (at, text) in element[..used(element)].iter().enumerate() {
                if 0 < at {
                    self.out.push(delimiters.component);
                }
                let (bytes, lost) = released(text, delimiters);
                self.out.extend_from_slice(&bytes);
                self.lost += lost;
            }
        }
        self.out.push(delimiters.terminator);
    }

    /// Adds a whole message, UNH to UNT, as it came. Its service characters must be those of level A.
    pub fn copy(&mut self, message: &[u8]) {
        self.end();
        self.out.extend_from_slice(message);
        self.messages += 1;
    }

    /// Ends the open message.
    pub fn end(&mut self) {
        let Some((reference, count)) = self.open.take() else { return };
        self.messages += 1;
        self.segment("UNT", &[&[&(count + 1).to_string()], &[&reference]]);
    }

    /// Ends the interchange. The second value is how many characters ISO 8859-1 could not say.
    pub fn finish(mut self) -> (Vec<u8>, usize) {
        self.end();
        let reference = std::mem::take(&mut self.control_reference);
        self.segment("UNZ", &[&[&self.messages.to_string()], &[&reference]]);
        (self.out, self.lost)
    }
}
