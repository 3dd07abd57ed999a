//! An Adastra that reports urgent-care contacts of invented people: as ITK over SOAP, withdrawn now and then, and as
//! case exports.

use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use tokio::time::sleep;

use crate::{
    codec::xml::escape,
    domain::time::Timestamp,
    sys::{entropy::Entropy, http::HttpClient},
    systems::mesh::local_digits,
};

use super::people::Person;

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(200);
const SERVICE: &str = "urn:nhs-itk:services:201005:SendNHS111Report-v2-0";
const SNOMED_CT: &str = "2.16.840.1.113883.2.1.3.2.4.15";
/// Complaint, SNOMED CT code and words, disposition code and words.
const CONTACTS: [(&str, &str, &str, &str, &str); 5] = [
    (
        "Earache since yesterday",
        "301354004",
        "Pain of ear",
        "Dx07",
        "To be seen by a primary care service within 12 hours",
    ),
    (
        "Sore throat and fever",
        "162397003",
        "Pain in throat",
        "Dx08",
        "To contact a primary care service within 24 hours",
    ),
    (
        "Twisted ankle",
        "44465007",
        "Sprain of ankle",
        "Dx02",
        "Attend emergency treatment centre within 4 hours",
    ),
    (
        "Cough for a week",
        "49727002",
        "Cough",
        "Dx09",
        "For persistent or recurrent symptoms: speak to own practice",
    ),
    (
        "Rash on both arms",
        "271807003",
        "Eruption of skin",
        "Dx08",
        "To contact a primary care service within 24 hours",
    ),
];

/// A message and what it is known by.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its path at the listener.
    pub path: &'static str,
    /// The tracking id, or the case's reference.
    pub id: String,
    /// The document set it reports or withdraws; empty for a case.
    pub set_id: String,
    /// The message.
    pub body: String,
}

/// One Adastra system.
#[derive(Debug)]
pub struct SimulatedAdastra {
    own: String,
    to: String,
    entropy: Entropy,
}

impl SimulatedAdastra {
    /// A system of the organisation with the ODS code `own`, which reports to `to`; the same for the same seed.
    pub fn new(own: &str, to: &str, seed: u64) -> Self {
        Self { own: own.to_owned(), to: to.to_owned(), entropy: Entropy::from_seed(seed) }
    }

    /// A report of a contact with a person registered at `practice`.
    pub fn report(&mut self, person: &Person, practice: &str, now: Timestamp) -> Sent {
        let set_id = self.id();
        let document = self.document(person, practice, &set_id, now);
        self.soap("urn:nhs-en:profile:nhs111CDADocument-v2-0", &set_id, &document, now)
    }

    /// Withdraws a report.
    pub fn nullify(&mut self, report: &Sent, person: &Person, now: Timestamp) -> Sent {
        let (id, moment) = (self.id(), local_digits(now));
        let document = format!(
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><id root=\"{id}\"/><title>Nullification</title>\
             <effectiveTime value=\"{moment}\"/><setId root=\"{id}\"/><versionNumber value=\"1\"/>{}\
             <relatedDocument typeCode=\"RPLC\"><parentDocument><id root=\"{set}\"/><setId root=\"{set}\"/>\
             </parentDocument></relatedDocument></ClinicalDocument>",
            record_target(person, ""),
            set = report.set_id,
        );
        let mut sent = self.soap("urn:nhs-en:profile:nullificationDocument-v5-0", &id, &document, now);
        sent.set_id.clone_from(&report.set_id);
        sent
    }

    /// A finished case with one consultation and its appointment.
    pub fn case(&mut self, person: &Person, practice: &str, now: Timestamp) -> Sent {
        let reference = self.id().to_lowercase();
        let (complaint, code, words, ..) = self.contact();
        let moment = now.to_string();
        let number = self.entropy.below(90_000) + 10_000;
        let born = &person.birth_date;
        let born = [born.get(..4), born.get(4..6), born.get(6..8)].map(Option::unwrap_or_default).join("-");
        let gender = if person.sex == "F" { "Female" } else { "Male" };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <adastraCaseDataExport xmlns=\"http://www.adastra.com/dataExport\">\
             <adastraCaseReference>{reference}</adastraCaseReference><adastraCaseNumber>{number}</adastraCaseNumber>\
             <patient><firstName>{first}</firstName><lastName>{last}</lastName>\
             <dateOfBirth dataOfBirthType=\"Exact\"><dobValue>{born}</dobValue></dateOfBirth><gender>{gender}</gender>\
             <nationalNumber nationalNumberStatus=\"Confirmed\"><number>{nhs}</number></nationalNumber>\
             <address addressType=\"Home\"><line1>{address}</line1><line2></line2><locality></locality>\
             <town>London</town><county></county><postcode>E17 1AA</postcode></address>\
             <gpRegistration><registrationStatus>Registered</registrationStatus>\
             <surgeryNationalCode>{practice}</surgeryNationalCode></gpRegistration></patient>\
             <presentingCondition><symptoms>{complaint}</symptoms></presentingCondition>\
             <priority><code>3</code><description>Routine</description></priority>\
             <caseType><code>1</code><description>Walk-in</description></caseType><caseStatus>COMPLETE</caseStatus>\
             <activeDate>{moment}</activeDate><completedDate>{moment}</completedDate>\
             <latestAppointment><appointmentTime>{moment}</appointmentTime><location>Walk-in centre</location>\
             <status>Arrived</status></latestAppointment>\
             <consultation><startTime>{moment}</startTime><endTime>{moment}</endTime>\
             <consultationBy providerType=\"Doctor\"><name>Dr Example</name></consultationBy>\
             <location>Walk-in centre</location><summary>{complaint}: examined, advice given.</summary>\
             <eventOutcome><code>1</code><description>Advice</description></eventOutcome>\
             <clinicalCode codeScheme=\"SNOMED CT\"><code>{code}</code><description>{words}</description>\
             </clinicalCode></consultation>\
             <outcome><code>1</code><description>No follow-up</description></outcome></adastraCaseDataExport>\n",
            first = escape(person.given_name),
            last = escape(person.family_name),
            nhs = person.nhs_number.as_str(),
            address = escape(&person.address),
        );
        Sent { path: "/case-data-export", id: reference, set_id: String::new(), body }
    }

    /// Sends a message until it is accepted; gives up only when the future is dropped. Returns how often it had to
    /// be sent again.
    pub async fn deliver(&self, client: &HttpClient, sent: &Sent) -> u64 {
        let mut repeats = 0;
        loop {
            let request = Request::post(sent.path)
                .header("content-type", "text/xml; charset=utf-8")
                .header("soapaction", SERVICE)
                .body(Bytes::from(sent.body.clone()));
            let answer = match request {
                Ok(request) => client.send(request).await,
                Err(_) => return repeats,
            };
            match answer {
                Ok(answer) if answer.status() == 200 => return repeats,
                Ok(answer) => {
                    tracing::debug!(status = answer.status().as_u16(), "not accepted: trying again")
                }
                Err(error) => tracing::debug!(%error, "no answer: trying again"),
            }
            repeats += 1;
            sleep(PAUSE).await;
        }
    }

    fn document(&mut self, person: &Person, practice: &str, set_id: &str, now: Timestamp) -> String {
        let (complaint, code, words, disposition, said) = self.contact();
        let (moment, case) = (local_digits(now), self.entropy.below(9_000_000) + 1_000_000);
        let id = self.id();
        format!(
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><id root=\"{id}\"/>\
             <code code=\"819551000000100\" codeSystem=\"{SNOMED_CT}\"/><title>NHS 111 Report</title>\
             <effectiveTime value=\"{moment}\"/><setId root=\"{set_id}\"/><versionNumber value=\"1\"/>{target}\
             <author><time value=\"{moment}\"/><assignedAuthor><assignedPerson><name><prefix>Dr</prefix>\
             <given>Alex</given><family>EXAMPLE</family></name></assignedPerson><representedOrganization>\
             <name>Out-of-hours service</name></representedOrganization></assignedAuthor></author>\
             <componentOf><encompassingEncounter><id root=\"2.16.840.1.113883.2.1.3.2.4.18.34\" extension=\"{case}\"/>\
             <effectiveTime><low value=\"{moment}\"/><high value=\"{moment}\"/></effectiveTime>\
             <dischargeDispositionCode code=\"{disposition}\" displayName=\"{said}\" \
             codeSystem=\"2.16.840.1.113883.2.1.3.2.4.17.325\"/></encompassingEncounter></componentOf>\
             <component><structuredBody><component><section><title>Patient’s reported condition</title>\
             <text><paragraph>{complaint}</paragraph></text><entry><observation classCode=\"OBS\" moodCode=\"EVN\">\
             <code code=\"{code}\" codeSystem=\"{SNOMED_CT}\" displayName=\"{words}\"/>\
             <effectiveTime value=\"{moment}\"/></observation></entry></section></component>\
             <component><section><title>Advice given</title><text><list><item>{said}</item>\
             <item>Call back if it gets worse</item></list></text></section></component></structuredBody></component>\
             </ClinicalDocument>",
            target = record_target(person, practice),
        )
    }

    /// A document in its envelopes.
    pub fn soap(&mut self, profile: &str, set_id: &str, document: &str, now: Timestamp) -> Sent {
        let (message_id, tracking, payload) = (self.id(), self.id(), self.id());
        let (created, expires) = (now.to_string(), now.plus(Duration::from_secs(600)).to_string());
        let (own, to) = (&self.own, &self.to);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:wsa=\"http://www.w3.org/2005/08/addressing\"><soap:Header><wsa:MessageID>{message_id}</wsa:MessageID>\
             <wsa:Action>{SERVICE}</wsa:Action><wsa:To>https://hub.example/itk</wsa:To>\
             <wsa:ReplyTo><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address></wsa:ReplyTo>\
             <wsse:Security xmlns:wsse=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\" \
             xmlns:wsu=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">\
             <wsu:Timestamp><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>\
             <wsse:UsernameToken><wsse:Username>adastra</wsse:Username></wsse:UsernameToken></wsse:Security></soap:Header>\
             <soap:Body><itk:DistributionEnvelope xmlns:itk=\"urn:nhs-itk:ns:201005\">\
             <itk:header service=\"{SERVICE}\" trackingid=\"{tracking}\"><itk:addresslist>\
             <itk:address uri=\"urn:nhs-uk:addressing:ods:{to}\"/></itk:addresslist><itk:auditIdentity>\
             <itk:id uri=\"urn:nhs-uk:identity:ods:{own}\"/></itk:auditIdentity><itk:manifest count=\"1\">\
             <itk:manifestitem mimetype=\"text/xml\" id=\"uuid_{payload}\" profileid=\"{profile}\"/></itk:manifest>\
             <itk:senderAddress uri=\"urn:nhs-uk:addressing:ods:{own}\"/><itk:handlingSpecification>\
             <itk:spec key=\"urn:nhs-itk:ns:201005:interaction\" \
             value=\"urn:nhs-itk:interaction:primaryOutofHourRecipientNHS111CDADocument-v2-0\"/>\
             </itk:handlingSpecification></itk:header><itk:payloads count=\"1\"><itk:payload id=\"uuid_{payload}\">\
             {document}</itk:payload></itk:payloads></itk:DistributionEnvelope></soap:Body></soap:Envelope>\n"
        );
        Sent { path: "/itk", id: tracking, set_id: set_id.to_owned(), body }
    }

    fn contact(&mut self) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
        self.entropy.pick(&CONTACTS).copied().unwrap_or_default()
    }

    fn id(&mut self) -> String {
        let hex = format!("{:016X}{:016X}", self.entropy.next_u64(), self.entropy.next_u64());
        [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
    }
}

fn record_target(person: &Person, practice: &str) -> String {
    let provider = match practice {
        "" => String::new(),
        code => format!(
            "<providerOrganization><id root=\"2.16.840.1.113883.2.1.3.2.4.19.1\" extension=\"{code}\"/>\
             </providerOrganization>"
        ),
    };
    format!(
        "<recordTarget><patientRole><id root=\"2.16.840.1.113883.2.1.4.1\" extension=\"{}\"/><addr use=\"H\">\
         <streetAddressLine>{}</streetAddressLine><streetAddressLine>London</streetAddressLine>\
         <postalCode>E17 1AA</postalCode></addr><patient><name><given>{}</given><family>{}</family></name>\
         <administrativeGenderCode code=\"{}\"/><birthTime value=\"{}\"/></patient>{provider}</patientRole>\
         </recordTarget>",
        person.nhs_number.as_str(),
        escape(&person.address),
        escape(person.given_name),
        escape(person.family_name),
        if person.sex == "F" { "2" } else { "1" },
        person.birth_date,
    )
}
