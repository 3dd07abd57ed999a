//! What a search asks for: parameters read, and resources held against them (R4, section 3.1.1).

use serde_json::Value;

use crate::{codec::fhir::names, domain::nhs_number::NhsNumber};

use super::{
    Issue, ResourceType, moment,
    resource_type::{Parameter, Sort},
    terms::encoded,
};

/// Parameters of one search.
pub const PARAMETERS_MAX: usize = 30;
/// Bytes of one value, and alternatives in it.
const VALUE_BYTES_MAX: usize = 2_000;
const ALTERNATIVES_MAX: usize = 50;
/// Resources on one page, and on one that names no count.
const COUNT_MAX: usize = 100;
const COUNT_USUAL: usize = 50;

/// Whose resources are asked for.
#[derive(Clone, Eq, PartialEq)]
pub enum Subject {
    /// The patient with this number.
    NhsNumber(NhsNumber),
    /// The patient whose resource has this id.
    Id(String),
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NhsNumber(_) => "Subject(NHS number)",
            Self::Id(_) => "Subject(id)",
        })
    }
}

/// A search that cannot be done: 400. No value is quoted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{words}")]
pub struct Fault {
    /// FHIR's code (R4, issue-type).
    pub code: &'static str,
    /// In words.
    pub words: String,
}

impl Fault {
    fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }

    /// As an issue of an OperationOutcome.
    pub fn issue(&self) -> Issue {
        Issue::error(self.code, self.words.clone())
    }
}

/// A search, read. Its `Debug` shows its type alone.
#[derive(Clone)]
pub struct Search {
    kind: ResourceType,
    subject: Option<Subject>,
    ids: Vec<Vec<String>>,
    updated: Vec<Vec<Bound>>,
    tests: Vec<(&'static Parameter, Test)>,
    count: usize,
    offset: usize,
    with_provenance: bool,
    /// Names of parameters that nobody here knows.
    ignored: Vec<String>,
    /// What goes into links: names and values that were heeded, and that name no patient.
    heeded: Vec<(String, String)>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Search({})", self.kind.name())
    }
}

/// One of several must fit.
#[derive(Clone)]
enum Test {
    Tokens(Vec<Token>),
    Dates(Vec<Bound>),
}

/// `system|code`, `|code`, `system|` or `code`.
#[derive(Clone)]
struct Token {
    /// Any if none; none at all if blank.
    system: Option<String>,
    /// Any if blank.
    code: String,
}

/// A date with its prefix: the span of milliseconds it may mean.
#[derive(Clone, Copy)]
struct Bound {
    prefix: Prefix,
    from: i64,
    until: i64,
}

#[derive(Clone, Copy)]
enum Prefix {
    Equal,
    AtLeast,
    AtMost,
    After,
    Before,
}

impl Search {
    /// Reads the parameters of a search, decoded, in their order. `strict` is what `Prefer: handling=strict` asks for:
    /// then a parameter that is not known is a fault, and else it is left out and told of.
    ///
    /// # Errors
    /// A value that is none, or too much at once.
    pub fn parse<'p>(
        kind: ResourceType,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
        strict: bool,
    ) -> Result<Self, Fault> {
        let mut search = Self {
            kind,
            subject: None,
            ids: Vec::new(),
            updated: Vec::new(),
            tests: Vec::new(),
            count: COUNT_USUAL,
            offset: 0,
            with_provenance: false,
            ignored: Vec::new(),
            heeded: Vec::new(),
        };
        for (number, (name, value)) in parameters.into_iter().enumerate() {
            if PARAMETERS_MAX <= number {
                return Err(Fault::new("too-costly", format!("more than {PARAMETERS_MAX} parameters")));
            }
            if VALUE_BYTES_MAX < value.len() {
                return Err(Fault::new(
                    "too-long",
                    format!("a value is longer than {VALUE_BYTES_MAX} bytes"),
                ));
            }
            // A parameter without a value asks for nothing (R4, section 3.1.1.3).
            if !value.is_empty() && !search.heed(name, value)? {
                if strict {
                    return Err(Fault::new("not-supported", "a parameter of this name is not supported"));
                }
                search.ignored.push(name.chars().filter(|one| !one.is_control()).take(40).collect());
            }
        }
        Ok(search)
    }

    /// Takes one parameter in; says whether it is known.
    fn heed(&mut self, name: &str, value: &str) -> Result<bool, Fault> {
        let is_patient = self.kind == ResourceType::Patient;
        match name {
            "_count" => self.count = count(value)?.min(COUNT_MAX),
            "_offset" => self.offset = count(value)?,
            "_format" if is_json(value) => {}
            "_format" => return Err(Fault::new("not-supported", "only JSON is given")),
            "_revinclude" if value == "Provenance:target" && !is_patient => self.with_provenance = true,
            "_id" => {
                if is_patient && self.subject.is_none() {
                    self.be_of(Subject::Id(id(value)?))?;
                }
                self.ids.push(alternatives(value)?.iter().map(|one| id(one)).collect::<Result<_, _>>()?);
            }
            "_lastUpdated" => self.updated.push(bounds(value)?),
            "identifier" if is_patient => self.be_of(by_number(value)?)?,
            "patient.identifier" | "subject.identifier" | "patient:identifier" if !is_patient => {
                self.be_of(by_number(value)?)?;
            }
            "patient" | "subject" | "patient:Patient" | "subject:Patient" if !is_patient => {
                let bare = value.strip_prefix("Patient/").unwrap_or(value);
                self.be_of(Subject::Id(id(bare)?))?;
            }
            _ => {
                let known = self.kind.parameters().iter().find(|known| known.name == name);
                let Some(parameter) = known else { return Ok(false) };
                let test = match parameter.sort {
                    Sort::Token => Test::Tokens(
                        alternatives(value)?.iter().map(|one| token(one)).collect::<Result<_, _>>()?,
                    ),
                    Sort::Date => Test::Dates(bounds(value)?),
                };
                self.tests.push((parameter, test));
            }
        }
        let is_linked = !matches!(name, "_offset" | "_format")
            && !name.contains("identifier")
            && !name.starts_with("patient")
            && !name.starts_with("subject");
        if is_linked && !(is_patient && name == "_id") {
            self.heeded.push((name.to_owned(), value.to_owned()));
        }
        Ok(true)
    }

    /// One search is about one patient.
    fn be_of(&mut self, subject: Subject) -> Result<(), Fault> {
        match &self.subject {
            Some(known) if *known != subject => {
                Err(Fault::new("multiple-matches", "a search is about one patient, named once"))
            }
            _ => {
                self.subject = Some(subject);
                Ok(())
            }
        }
    }

    /// The type that is searched for.
    pub const fn kind(&self) -> ResourceType {
        self.kind
    }

    /// Whose resources are asked for.
    ///
    /// # Errors
    /// Nobody's: searches across patients are not done.
    pub fn subject(&self) -> Result<&Subject, Fault> {
        let words = "name a patient: patient, or patient.identifier; of a Patient, _id or identifier";
        self.subject.as_ref().ok_or_else(|| Fault::new("required", words))
    }

    /// Resources on a page: 100 at most.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Resources on the pages before.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Whether it is also asked where resources come from.
    pub const fn with_provenance(&self) -> bool {
        self.with_provenance
    }

    /// What was not known, and left out.
    pub fn ignored(&self) -> Vec<Issue> {
        let told = self.ignored.iter().map(|name| Issue {
            severity: "warning",
            code: "not-supported",
            words: format!("the parameter {name} is not supported and was left out"),
        });
        told.collect()
    }

    /// Whether a resource fits.
    pub fn takes(&self, resource: &Value) -> bool {
        let id = resource["id"].as_str().unwrap_or_default();
        // What other systems say of a patient comes with the patient.
        let by_id =
            self.kind == ResourceType::Patient || self.ids.iter().all(|ids| ids.iter().any(|one| one == id));
        let updated = resource["meta"]["lastUpdated"].as_str().and_then(moment::span);
        let by_update = self.updated.iter().all(|bounds| fits(bounds, updated));
        by_id && by_update && self.tests.iter().all(|(parameter, test)| test.takes(parameter, resource))
    }

    /// The address of a page: what was heeded, and the patient by an id that tells nothing.
    pub fn link(&self, base: &str, patient: &str, offset: usize) -> String {
        let whose = if self.kind == ResourceType::Patient { "_id" } else { "patient" };
        let mut link = format!("{base}/{}?{whose}={}", self.kind.name(), encoded(patient));
        for (name, value) in &self.heeded {
            link.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        }
        if 0 < offset {
            link.push_str(&format!("&_offset={offset}"));
        }
        link
    }
}

impl Test {
    fn takes(&self, parameter: &Parameter, resource: &Value) -> bool {
        let element = Some(&resource[parameter.element]).filter(|element| !element.is_null());
        match (self, element) {
            (_, None) => false,
            (Self::Tokens(tokens), Some(element)) => tokens.iter().any(|token| token.is_in(element)),
            (Self::Dates(bounds), Some(element)) => fits(bounds, span(element)),
        }
    }
}

impl Token {
    /// Whether a code, a coding, a concept, or any of several has it.
    fn is_in(&self, element: &Value) -> bool {
        match element {
            Value::Array(all) => all.iter().any(|one| self.is_in(one)),
            Value::String(code) => self.system.as_ref().is_none_or(String::is_empty) && *code == self.code,
            Value::Object(parts) => match (parts.get("coding"), parts.get("code")) {
                (Some(codings), _) => self.is_in(codings),
                (None, Some(code)) => {
                    let system = parts.get("system").and_then(Value::as_str).unwrap_or_default();
                    let by_system = self.system.as_ref().is_none_or(|wanted| wanted == system);
                    by_system && (self.code.is_empty() || *code == self.code.as_str())
                }
                (None, None) => false,
            },
            _ => false,
        }
    }
}

/// The span of a moment, or of a period; a period without an end goes on.
fn span(element: &Value) -> Option<(i64, i64)> {
    if let Some(text) = element.as_str() {
        return moment::span(text);
    }
    let part = |name: &str| element[name].as_str().and_then(moment::span);
    match (part("start"), part("end")) {
        (None, None) => None,
        (start, end) => {
            Some((start.map_or(i64::MIN, |(from, _)| from), end.map_or(i64::MAX, |(_, until)| until)))
        }
    }
}

/// Whether any bound takes the span (R4, section 3.1.1.4.4).
fn fits(bounds: &[Bound], span: Option<(i64, i64)>) -> bool {
    let Some((from, until)) = span else { return false };
    bounds.iter().any(|bound| match bound.prefix {
        Prefix::Equal => bound.from <= from && until <= bound.until,
        Prefix::AtLeast => bound.from < until,
        Prefix::AtMost => from < bound.until,
        Prefix::After => bound.until < until,
        Prefix::Before => from < bound.from,
    })
}

fn bounds(value: &str) -> Result<Vec<Bound>, Fault> {
    let bad =
        || Fault::new("value", "a date is no date of FHIR, or its prefix is none of eq, ge, gt, le, lt");
    let read = |text: &String| {
        let prefixes = [
            ("eq", Prefix::Equal),
            ("ge", Prefix::AtLeast),
            ("le", Prefix::AtMost),
            ("gt", Prefix::After),
            ("lt", Prefix::Before),
        ];
        let prefixed = prefixes.iter().find_map(|(name, prefix)| Some((*prefix, text.strip_prefix(name)?)));
        let (prefix, date) = prefixed.unwrap_or((Prefix::Equal, text.as_str()));
        let is_dashed = date.len() == 4 || date.get(4..5) == Some("-");
        // A `+` that nobody encoded arrives as a space.
        let date = date.replace(' ', "+");
        let (from, until) = moment::span(&date).filter(|_| is_dashed).ok_or_else(bad)?;
        Ok(Bound { prefix, from, until })
    };
    alternatives(value)?.iter().map(read).collect()
}

/// `one,other` with `\,` for a comma that belongs to the value.
fn alternatives(value: &str) -> Result<Vec<String>, Fault> {
    let mut all = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => all.push(String::new()),
            // A bar that belongs to a value stays escaped until the token is read.
            '\\' => match characters.next() {
                Some('|') => push(&mut all, "\\|"),
                Some(escaped) => push(&mut all, escaped.encode_utf8(&mut [0; 4])),
                None => return Err(Fault::new("value", "a value ends in the middle")),
            },
            other => push(&mut all, other.encode_utf8(&mut [0; 4])),
        }
    }
    if ALTERNATIVES_MAX < all.len() {
        return Err(Fault::new("too-costly", format!("more than {ALTERNATIVES_MAX} alternatives")));
    }
    if all.iter().any(String::is_empty) {
        return Err(Fault::new("value", "an alternative is empty"));
    }
    Ok(all)
}

fn push(all: &mut [String], text: &str) {
    if let Some(last) = all.last_mut() {
        last.push_str(text);
    }
}

fn token(text: &str) -> Result<Token, Fault> {
    let plain = |text: &str| text.replace("\\|", "|");
    let bar = text
        .char_indices()
        .find(|(at, one)| *one == '|' && !text.get(..*at).unwrap_or_default().ends_with('\\'));
    let Some((at, _)) = bar else { return Ok(Token { system: None, code: plain(text) }) };
    let (system, code) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
    if system.is_empty() && code.is_empty() {
        return Err(Fault::new("value", "a token has neither a system nor a code"));
    }
    Ok(Token { system: Some(plain(system)), code: plain(code) })
}

/// An NHS number with its system before it.
fn by_number(value: &str) -> Result<Subject, Fault> {
    let bad = |words: &str| Fault::new("value", words);
    let (system, number) =
        value.split_once('|').ok_or_else(|| bad("an identifier needs its system: system|value"))?;
    if system != names::NHS_NUMBER {
        return Err(Fault::new("not-supported", "patients are found by their NHS numbers alone"));
    }
    NhsNumber::parse(number).map(Subject::NhsNumber).map_err(|_| bad("this is no NHS number"))
}

/// An id as FHIR has them (R4, section 2.24, id).
fn id(text: &str) -> Result<String, Fault> {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let is_id = (1..=64).contains(&text.len()) && text.bytes().all(is_right);
    if is_id { Ok(text.to_owned()) } else { Err(Fault::new("value", "this is no id of a resource")) }
}

fn count(text: &str) -> Result<usize, Fault> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        text.parse::<u32>().ok().filter(|_| is_digits).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Fault::new("value", "this is no count"))
}

fn is_json(value: &str) -> bool {
    matches!(value, "json" | "application/json" | "application/fhir+json" | "application/fhir json")
}
