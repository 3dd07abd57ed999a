//! A SOAP request with a distribution envelope, read and held to the rules.

use roxmltree::{Document, Node};

use crate::codec::xml::{XmlError, at, attribute, child, children, text_at};

/// Elements, attributes and pieces of text of one message. The longest seen, a repeat caller's of 437 KB, has
/// 12,000.
pub const NODES_MAX: u32 = 400_000;
/// What an operation's identity must look like (ITK Distribution Envelope, auditIdentity).
const AUDIT_IDENTITY: &str = "urn:nhs-uk:identity:ods:";
/// What an address of an organisation looks like.
const ODS_ADDRESS: &str = "urn:nhs-uk:addressing:ods:";
const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
/// Payloads of one message.
const PAYLOADS_MAX: usize = 100;

/// What a payload is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Profile {
    /// A report of NHS 111, a post-event message, or an integrated urgent care document.
    Report,
    /// Withdraws an earlier report.
    Nullification,
}

/// The profiles that are understood, by their ids.
pub const PROFILES: [(&str, Profile); 4] = [
    ("urn:nhs-en:profile:nhs111CDADocument-v2-0", Profile::Report),
    ("urn:nhs-en:profile:nhs111CDADocument-v3-1", Profile::Report),
    ("urn:nhs-en:profile:IntegratedUrgentCareCDADocument-v3-1", Profile::Report),
    ("urn:nhs-en:profile:nullificationDocument-v5-0", Profile::Nullification),
];

/// A rule that a message breaks: the sender's fault, and permanent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// No XML, or no SOAP.
    #[error("The message is not a SOAP 1.1 envelope")]
    NotSoap,
    /// wsa:MessageID is missing.
    #[error("wsa:MessageID is missing")]
    MessageId,
    /// wsa:Action is missing.
    #[error("wsa:Action is missing")]
    Action,
    /// wsa:Action is not the service of the distribution envelope.
    #[error("wsa:Action and the service of the DistributionEnvelope differ")]
    ActionIsNotService,
    /// wsa:To is missing.
    #[error("wsa:To is missing")]
    To,
    /// wsa:To names another endpoint.
    #[error("wsa:To is not this endpoint")]
    ToOther,
    /// wsa:ReplyTo asks for an asynchronous answer.
    #[error("wsa:ReplyTo is not the anonymous address: only synchronous responses are given")]
    ReplyTo,
    /// wsu:Timestamp is missing.
    #[error("wsu:Timestamp is missing")]
    Timestamp,
    /// wsu:Timestamp has no readable Created before Expires.
    #[error("wsu:Timestamp is invalid")]
    TimestampInvalid,
    /// wsse:Username is missing.
    #[error("wsse:Username is missing")]
    Username,
    /// A header that must be understood is not.
    #[error("A header marked mustUnderstand is not understood")]
    MustUnderstand,
    /// There is no distribution envelope.
    #[error("The DistributionEnvelope is missing")]
    Envelope,
    /// It has no tracking id.
    #[error("The trackingid is missing")]
    TrackingId,
    /// auditIdentity is there, and is no ODS identity.
    #[error("auditIdentity is not an ODS identity")]
    AuditIdentity,
    /// It is addressed to others.
    #[error("The message is not addressed to this organisation")]
    NotAddressed,
    /// The manifest's count attribute does not count its items.
    #[error("The manifest count does not match its manifestitems")]
    ManifestCount,
    /// The payloads' count attribute does not count them.
    #[error("The payload count does not match its payloads")]
    PayloadCount,
    /// Manifest and payloads differ in number.
    #[error("Manifest count does not equal payload count")]
    Counts,
    /// Manifest and payloads differ in their ids.
    #[error("Payload IDs do not map to Manifest IDs")]
    Ids,
    /// A manifest item has no profile id.
    #[error("A manifestitem has no profileid")]
    ProfileMissing,
    /// A manifest item has a profile id that is not understood.
    #[error("A manifestitem has a profileid that is not supported")]
    ProfileUnknown,
    /// A payload holds no clinical document.
    #[error("A payload is no ClinicalDocument")]
    NoDocument,
    /// Its documents are about several people.
    #[error("The documents are about more than one patient")]
    SeveralPatients,
    /// A document has no id: nobody could tell it from another.
    #[error("A ClinicalDocument has no id")]
    DocumentId,
}

/// Why a message cannot be read, and what the answer must refer to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ItkError {
    /// The rule.
    pub broken: Broken,
    /// wsa:MessageID, where there is one.
    pub message_id: String,
    /// The tracking id, where there is one.
    pub tracking_id: String,
}

/// Whom messages may be addressed to, and what is asked of their senders.
#[derive(Clone, Debug, Default)]
pub struct Addressed {
    /// ODS codes and service ids.
    pub to: Vec<String>,
    /// What wsa:To may be; anything, if there is none.
    pub endpoints: Vec<String>,
    /// Whether wsse:Username and wsu:Timestamp may be missing, for senders whose TLS certificate says who they are.
    pub security_optional: bool,
}

/// A message that keeps the rules.
#[derive(Debug)]
pub struct Distribution<'a, 'input> {
    /// wsa:MessageID.
    pub message_id: &'a str,
    /// The service, which is wsa:Action too.
    pub service: &'a str,
    /// The tracking id.
    pub tracking_id: &'a str,
    /// Whom it is from.
    pub sender: &'a str,
    /// Each payload's profile and its document.
    pub documents: Vec<(Profile, Node<'a, 'input>)>,
}

/// Reads a message, and holds it to the rules.
///
/// # Errors
/// The first rule that it breaks.
pub fn read<'a, 'input>(
    document: &'a Document<'input>,
    addressed: &Addressed,
) -> Result<Distribution<'a, 'input>, ItkError> {
    let root = document.root_element();
    let header = child(root, "Header");
    let message_id = header.map(|header| text_at(header, &["MessageID"])).unwrap_or_default();
    let envelope = at(root, &["Body", "DistributionEnvelope"]);
    let inner = envelope.and_then(|envelope| child(envelope, "header"));
    let tracking_id = inner.map(|header| attribute(header, "trackingid")).unwrap_or_default();
    let broken =
        |broken| ItkError { broken, message_id: message_id.to_owned(), tracking_id: tracking_id.to_owned() };
    let header = match header {
        Some(header) if root.tag_name().name() == "Envelope" => header,
        _ => return Err(broken(Broken::NotSoap)),
    };
    check_soap(header, addressed).map_err(broken)?;
    let (Some(envelope), Some(inner)) = (envelope, inner) else { return Err(broken(Broken::Envelope)) };
    let service = attribute(inner, "service");
    check_header(inner, addressed).map_err(broken)?;
    if service != text_at(header, &["Action"]) {
        return Err(broken(Broken::ActionIsNotService));
    }
    let documents = payloads(envelope, inner).map_err(broken)?;
    Ok(Distribution { message_id, service, tracking_id, sender: sender(inner), documents })
}

/// Bytes that are no tree at all break the first rule.
impl From<XmlError> for ItkError {
    fn from(_: XmlError) -> Self {
        Self { broken: Broken::NotSoap, message_id: String::new(), tracking_id: String::new() }
    }
}

fn check_soap(header: Node<'_, '_>, addressed: &Addressed) -> Result<(), Broken> {
    let known = ["MessageID", "Action", "To", "From", "ReplyTo", "FaultTo", "RelatesTo", "Security"];
    let demanding = |node: &Node<'_, '_>| {
        let said = node.attributes().find(|attribute| attribute.name() == "mustUnderstand");
        said.is_some_and(|said| matches!(said.value().trim(), "1" | "true"))
    };
    let unknown = |node: &Node<'_, '_>| !known.contains(&node.tag_name().name());
    let present = |path: &[&str], broken| if text_at(header, path).is_empty() { Err(broken) } else { Ok(()) };
    if header.children().filter(Node::is_element).any(|node| demanding(&node) && unknown(&node)) {
        return Err(Broken::MustUnderstand);
    }
    present(&["MessageID"], Broken::MessageId)?;
    present(&["Action"], Broken::Action)?;
    present(&["To"], Broken::To)?;
    let to = text_at(header, &["To"]);
    if !addressed.endpoints.is_empty() && !addressed.endpoints.iter().any(|endpoint| endpoint == to) {
        return Err(Broken::ToOther);
    }
    if child(header, "ReplyTo").is_some() && text_at(header, &["ReplyTo", "Address"]) != ANONYMOUS {
        return Err(Broken::ReplyTo);
    }
    check_security(child(header, "Security"), addressed.security_optional)
}

/// The moment itself is not held against the hub's clock: a hub whose clock is wrong must go on taking messages, and
/// one that comes twice does no harm.
fn check_security(security: Option<Node<'_, '_>>, optional: bool) -> Result<(), Broken> {
    let Some(security) = security else {
        return if optional { Ok(()) } else { Err(Broken::Timestamp) };
    };
    let Some(timestamp) = child(security, "Timestamp") else {
        return if optional { Ok(()) } else { Err(Broken::Timestamp) };
    };
    let moment = |name: &str| text_at(timestamp, &[name]).parse::<jiff::Timestamp>().ok();
    match (moment("Created"), moment("Expires"), child(timestamp, "Expires")) {
        (Some(created), Some(expires), _) if created < expires => {}
        (Some(_), None, None) => {}
        _ => return Err(Broken::TimestampInvalid),
    }
    let named = !text_at(security, &["UsernameToken", "Username"]).is_empty();
    if named || optional { Ok(()) } else { Err(Broken::Username) }
}

fn check_header(header: Node<'_, '_>, addressed: &Addressed) -> Result<(), Broken> {
    if attribute(header, "trackingid").is_empty() {
        return Err(Broken::TrackingId);
    }
    let identity = at(header, &["auditIdentity", "id"]).map(|id| attribute(id, "uri"));
    if identity.is_some_and(|uri| uri.strip_prefix(AUDIT_IDENTITY).is_none_or(str::is_empty)) {
        return Err(Broken::AuditIdentity);
    }
    let is_ours = |uri: &str| {
        // An ODS address may name a part of the organisation: `…:ods:5LC01:reception`.
        let code =
            uri.strip_prefix(ODS_ADDRESS).map_or(uri, |rest| rest.split(':').next().unwrap_or_default());
        addressed.to.iter().any(|ours| ours.eq_ignore_ascii_case(code))
    };
    if let Some(list) = child(header, "addresslist")
        && !children(list, "address").any(|address| is_ours(attribute(address, "uri")))
    {
        return Err(Broken::NotAddressed);
    }
    Ok(())
}

/// Whom it is from: the sender's address, else the identity it is audited under.
fn sender<'a>(header: Node<'a, '_>) -> &'a str {
    let address = child(header, "senderAddress").map(|node| attribute(node, "uri"));
    let identity = || at(header, &["auditIdentity", "id"]).map(|id| attribute(id, "uri"));
    address.filter(|uri| !uri.is_empty()).or_else(identity).unwrap_or_default()
}

fn payloads<'a, 'input>(
    envelope: Node<'a, 'input>,
    header: Node<'a, 'input>,
) -> Result<Vec<(Profile, Node<'a, 'input>)>, Broken> {
    let manifest = child(header, "manifest").ok_or(Broken::ManifestCount)?;
    let payloads = child(envelope, "payloads").ok_or(Broken::PayloadCount)?;
    let items: Vec<_> = children(manifest, "manifestitem").collect();
    let carried: Vec<_> = children(payloads, "payload").take(PAYLOADS_MAX + 1).collect();
    let counts = |node, number: usize| attribute(node, "count").parse() == Ok(number);
    if items.is_empty() || !counts(manifest, items.len()) {
        return Err(Broken::ManifestCount);
    }
    if PAYLOADS_MAX < carried.len() || !counts(payloads, carried.len()) {
        return Err(Broken::PayloadCount);
    }
    if items.len() != carried.len() {
        return Err(Broken::Counts);
    }
    let mut documents = Vec::new();
    for item in items {
        let id = attribute(item, "id");
        let mut matching = carried.iter().filter(|payload| attribute(**payload, "id") == id);
        let (Some(payload), None) = (matching.next(), matching.next()) else { return Err(Broken::Ids) };
        let profile = match attribute(item, "profileid") {
            "" => return Err(Broken::ProfileMissing),
            id => PROFILES.iter().find(|(known, _)| *known == id).ok_or(Broken::ProfileUnknown)?.1,
        };
        let document = child(*payload, "ClinicalDocument").ok_or(Broken::NoDocument)?;
        let has_id = child(document, "id").is_some_and(|id| !attribute(id, "root").is_empty());
        if !has_id {
            return Err(Broken::DocumentId);
        }
        documents.push((profile, document));
    }
    Ok(documents)
}
