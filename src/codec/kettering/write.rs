//! From a letter to XML.

use super::{Letter, Party, Text, dates::DateOrder};

/// Writes a letter as ISO 8859-1; characters it does not have are written as references.
///
/// `order` is how its reader wants dates.
pub fn write(letter: &Letter, order: DateOrder) -> Vec<u8> {
    let mut out = Out::default();
    out.raw("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\r\n<!DOCTYPE ReportMsg SYSTEM \"ReportMsg03.dtd\">\r\n");
    out.raw("<ReportMsg MsgStatus=\"Live\" MsgUrgency=\"Normal\" MsgRcptAckRequest=\"Always\">\r\n");
    out.text("MsgId", &letter.message_id);
    out.text("MsgIssueDate", &super::dates::write(&letter.issued, order));
    out.text("MsgSender", &letter.sender);
    out.text("MsgRecipient", &letter.recipient);
    out.raw("<ServiceRequester><IdValue>1</IdValue></ServiceRequester>\r\n");
    out.raw("<ServiceProvider><IdValue>2</IdValue></ServiceProvider>\r\n");
    out.patient(letter, order);
    out.raw("<Parties>\r\n");
    out.party("1", &letter.to);
    out.party("2", &letter.from);
    out.raw("</Parties>\r\n");
    out.coded(letter);
    out.report(letter, order);
    out.raw("</ReportMsg>\r\n");
    out.0
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Character data. What XML 1.0 has no place for is left out.
    fn data(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.raw("&amp;"),
                '<' => self.raw("&lt;"),
                '>' => self.raw("&gt;"),
                '"' => self.raw("&quot;"),
                '\n' | '\t' => self.0.push(if character == '\n' { b'\n' } else { b'\t' }),
                '\u{fffe}' | '\u{ffff}' => {}
                _ if u32::from(character) < 0x20 => {}
                _ => match u8::try_from(character) {
                    Ok(byte) if !(0x7f..0xa0).contains(&byte) => self.0.push(byte),
                    _ => self.raw(&format!("&#{};", u32::from(character))),
                },
            }
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.attributed(name, "", text);
    }

    /// An element, unless it has nothing to say.
    fn attributed(&mut self, name: &str, attributes: &str, text: &str) {
        if !text.is_empty() {
            self.raw(&format!("<{name}{attributes}>"));
            self.data(text);
            self.raw(&format!("</{name}>\r\n"));
        }
    }

    fn sorted(&mut self, name: &str, code: &(String, String)) {
        if !code.0.is_empty() {
            self.raw(&format!("<{name} IdType=\""));
            self.data(&code.1);
            self.raw("\">");
            self.data(&code.0);
            self.raw(&format!("</{name}>\r\n"));
        }
    }

    fn patient(&mut self, letter: &Letter, order: DateOrder) {
        let patient = &letter.patient;
        self.raw("<PatientMatchingInfo>\r\n<PatientId>\r\n");
        let nhs = (!patient.nhs_number.is_empty()).then(|| ("Nhs".to_owned(), patient.nhs_number.clone()));
        for (sort, value) in nhs.iter().chain(&patient.numbers) {
            self.raw("<Id>");
            self.text("IdType", sort);
            self.text("IdValue", value);
            self.raw("</Id>\r\n");
        }
        self.raw(
            "</PatientId>\r\n<PersonName_s>\r\n<PersonNameType>CU</PersonNameType>\r\n<StructPersonName>\r\n",
        );
        self.text("FamilyName", &patient.family_name);
        self.text("GivenName", &patient.given_name);
        self.text("Title", &patient.title);
        self.raw("</StructPersonName>\r\n</PersonName_s>\r\n");
        self.text("BirthDate", &super::dates::write(&patient.birth_date, order));
        self.text(
            "Sex",
            match patient.gender.as_str() {
                "M" => "1",
                "F" => "2",
                "O" => "9",
                _ => "0",
            },
        );
        self.raw("<Address_u AddrType=\"Current\">\r\n");
        self.text("PostCode", &patient.postcode);
        self.raw("<UnstructAddress>\r\n");
        patient.address.iter().for_each(|line| self.text("UnstructAddressLine", line));
        self.raw("</UnstructAddress>\r\n</Address_u>\r\n</PatientMatchingInfo>\r\n");
    }

    fn party(&mut self, agent: &str, party: &Party) {
        self.raw(&format!("<Party AgentId=\"{agent}\">\r\n"));
        self.sorted("HcpCode", &party.person);
        self.text("HcpName", &party.person_name);
        self.text("DepartmentName", &party.department);
        self.sorted("OrgCode", &party.organisation);
        self.text("OrgName", &party.organisation_name);
        self.raw("</Party>\r\n");
    }

    fn coded(&mut self, letter: &Letter) {
        if letter.coded.is_empty() {
            return;
        }
        self.raw("<CodedData>\r\n");
        for (at, coded) in letter.coded.iter().enumerate() {
            let (kind, version) = coded.scheme.rsplit_once(' ').unwrap_or((coded.scheme.as_str(), ""));
            self.raw("<ClinicalCode Type=\"");
            self.data(kind);
            self.raw("\" Schema=\"");
            self.data(version);
            self.raw("\">\r\n");
            self.text("TermID", &(at + 1).to_string());
            self.text("Term60", &coded.term);
            self.text("CodeName", &coded.code);
            self.text("Value1", &coded.value.0);
            self.text("Unit1", &coded.value.1);
            self.raw("</ClinicalCode>\r\n");
        }
        self.raw("</CodedData>\r\n");
    }

    fn report(&mut self, letter: &Letter, order: DateOrder) {
        self.raw("<ClinicalReport>\r\n");
        self.text("ReportID", &letter.report_id);
        self.text("ReportType", &letter.report_type);
        self.text("ReportCode", &letter.report_code);
        self.text("ReportContributor", &letter.contributor);
        self.text("ServiceEventType", &letter.service_event_type);
        self.text("EventDate", &super::dates::write(&letter.event_date, order));
        self.text("DocCreationDate", &super::dates::write(&letter.created, order));
        letter.texts.iter().for_each(|text| self.item(text));
        self.raw("</ClinicalReport>\r\n");
    }

    fn item(&mut self, text: &Text) {
        self.raw("<TextItem RcStatus=\"Current\">\r\n<Cuid IdScope=\"Message\"/>\r\n");
        self.text("TextMarkupIndicator", &text.markup);
        self.text("TextBlock", &text.block);
        self.raw("</TextItem>\r\n");
    }
}
