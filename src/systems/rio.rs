//! RiO: community and mental health. Speaks the ITK subset of HL7 v2.4 over MLLP, both ways: ADT and SIU in, what it
//! subscribes to out.
//!
//! **SOAP.** RiO is said to offer the same messages over web services too; how is not publicly specified, so nothing of
//! it is here. What carries messages is apart from what they mean, and another carrier plugs in at two places:
//!
//! - in: whatever takes a message out of its envelope gives it, as [`Frame::Message`], to [`hl7::answer`] with
//!   [`DIALECT`], and puts the acknowledgement that comes back into the reply. It is durable by then.
//! - out: a [`Destination`] of its own asks [`hl7::Outgoing`] for the message, sends it in whatever envelope is wanted,
//!   and leaves it to [`hl7::read_acknowledgement`] and [`hl7::AckPolicy`] what the reply means. Lanes, order and
//!   repetition are the same.
//!
//! [`Destination`]: crate::flow::deliver::Destination
//! [`Frame::Message`]: crate::codec::mllp::Frame::Message
//! [`hl7::answer`]: super::hl7::answer
//! [`hl7::AckPolicy`]: super::hl7::AckPolicy
//! [`hl7::Outgoing`]: super::hl7::Outgoing
//! [`hl7::read_acknowledgement`]: super::hl7::read_acknowledgement

use super::hl7::Dialect;

/// What RiO sends: encounters, identity and appointments. Results do not come from it.
pub const DIALECT: Dialect = Dialect { kind: "RiO", message_types: &["ADT", "SIU"], processing: Some('P') };
