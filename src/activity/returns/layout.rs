//! Which elements a record has in XML, in which order: a table, that an official schema can be held against.

use std::io;

use super::{
    Item,
    record::{Coded, Identity, Record},
    xml::Xml,
};

/// A part of a record.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// An element around others; left out if nothing in it is known.
    Group(&'static str, &'static [Self]),
    /// An element with an item's value; left out if it is not known.
    Text(&'static str, Item),
    /// An element around others for one way of identifying the patient, with the number's status as an attribute.
    Identity(Identity, &'static str, &'static [Self]),
    /// An element for each code of a list after the first ones, around the code and, if wanted, its number in the list.
    Codes {
        /// Which list.
        list: Coded,
        /// How many of its first codes stand elsewhere.
        skip: usize,
        /// The element around each; empty for none.
        group: &'static str,
        /// The element of the code.
        element: &'static str,
        /// The element of its number from 1; empty for none.
        sequence: &'static str,
    },
    /// The first code of a list.
    First(Coded, &'static str),
    /// An element with the same text always, if the list has codes.
    Scheme(Coded, &'static str, &'static str),
}

/// Writes a record's parts.
///
/// # Errors
/// If the bytes cannot be written.
pub fn write<W: io::Write>(xml: &mut Xml<W>, nodes: &[Node], record: &Record) -> io::Result<()> {
    for node in nodes.iter().filter(|node| node.is_known(record)) {
        match *node {
            Node::Group(name, nodes) => {
                xml.open(name, &[])?;
                write(xml, nodes, record)?;
                xml.close()?;
            }
            Node::Text(name, item) => xml.text(name, record.get(item))?,
            Node::Identity(_, name, nodes) => {
                let status = record.get(Item::NumberStatus);
                xml.open(name, &[("NHSNumberStatusIndicatorCode", status)])?;
                write(xml, nodes, record)?;
                xml.close()?;
            }
            Node::Codes { list, skip, group, element, sequence } => {
                for (number, code) in record.codes(list).iter().enumerate().skip(skip) {
                    if !group.is_empty() {
                        xml.open(group, &[])?;
                    }
                    xml.text(element, code.as_str())?;
                    if !sequence.is_empty() {
                        xml.text(sequence, &(number + 1).to_string())?;
                    }
                    if !group.is_empty() {
                        xml.close()?;
                    }
                }
            }
            Node::First(list, element) => {
                xml.text(element, record.codes(list).first().map(|code| code.as_str()).unwrap_or_default())?;
            }
            Node::Scheme(_, element, text) => xml.text(element, text)?,
        }
    }
    Ok(())
}

impl Node {
    fn is_known(&self, record: &Record) -> bool {
        match self {
            Self::Group(_, nodes) => nodes.iter().any(|node| node.is_known(record)),
            Self::Text(_, item) => !record.get(*item).is_empty(),
            Self::Identity(identity, ..) => record.identity() == *identity,
            Self::Codes { list, skip, .. } => *skip < record.codes(*list).len(),
            Self::First(list, _) | Self::Scheme(list, ..) => !record.codes(*list).is_empty(),
        }
    }
}
