//! Views of STU3's data types.

use super::{Element, Moment, names::extension};

macro_rules! data_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(pub(super) Element<'a>);

        impl<'a> $name<'a> {
            /// A view of a part, which may be absent.
            pub const fn of(element: Element<'a>) -> Self {
                Self(element)
            }

            /// The part itself.
            pub const fn element(self) -> Element<'a> {
                self.0
            }
        }
    };
}

data_type! {
    /// A code from one code system.
    Coding
}
data_type! {
    /// Codes for one thing, and words.
    CodeableConcept
}
data_type! {
    /// A business identifier.
    Identifier
}
data_type! {
    /// A pointer to another resource.
    Reference
}
data_type! {
    /// From when to when.
    Period
}
data_type! {
    /// A measured amount.
    Quantity
}

impl<'a> Coding<'a> {
    /// The code system's URI.
    pub fn system(self) -> Option<&'a str> {
        self.0.text_of("system")
    }

    /// The code.
    pub fn code(self) -> Option<&'a str> {
        self.0.text_of("code")
    }

    /// What the code means.
    pub fn display(self) -> Option<&'a str> {
        self.0.text_of("display")
    }

    /// Whether this is the code somebody chose, the others having been derived from it.
    pub fn is_chosen(self) -> bool {
        self.0.get("userSelected").is_true()
    }

    /// The SNOMED CT description that was chosen: its id and its words.
    pub fn description(self) -> (Option<&'a str>, Option<&'a str>) {
        let parts = self.0.extension(extension::DESCRIPTION);
        let part = |name: &str, value: &str| {
            let found = parts
                .each("extension")
                .find(|part| part.text_of("url").is_some_and(|url| url.eq_ignore_ascii_case(name)));
            found.and_then(|part| part.text_of(value))
        };
        let id = part("descriptionId", "valueId").or_else(|| part("descriptionId", "valueString"));
        (id, part("descriptionDisplay", "valueString"))
    }
}

impl<'a> CodeableConcept<'a> {
    /// Every code given.
    pub fn codings(self) -> impl Iterator<Item = Coding<'a>> {
        self.0.each("coding").map(Coding)
    }

    /// The words to show: the free text, else the words that were chosen, else what the codes mean.
    pub fn words(self) -> Option<&'a str> {
        let codings = || self.codings();
        let chosen = || codings().find(|coding| coding.is_chosen());
        self.0
            .text_of("text")
            .or_else(|| chosen().and_then(|coding| coding.description().1.or(coding.display())))
            .or_else(|| codings().find_map(|coding| coding.description().1))
            .or_else(|| codings().find_map(Coding::display))
    }

    /// The first code of a system.
    pub fn code_in(self, system: &str) -> Option<&'a str> {
        self.codings().find(|coding| coding.system() == Some(system)).and_then(Coding::code)
    }

    /// The first code of any system.
    pub fn any_code(self) -> Option<&'a str> {
        self.codings().find_map(Coding::code)
    }
}

impl<'a> Identifier<'a> {
    /// Who issued it, as a URI.
    pub fn system(self) -> Option<&'a str> {
        self.0.text_of("system")
    }

    /// The identifier itself.
    pub fn value(self) -> Option<&'a str> {
        self.0.text_of("value")
    }

    /// The value, if it is of this system.
    pub fn value_in(self, system: &str) -> Option<&'a str> {
        self.value().filter(|_| self.system() == Some(system))
    }
}

impl<'a> Reference<'a> {
    /// Where it points: `Patient/1`, `#1` or an address.
    pub fn target(self) -> Option<&'a str> {
        self.0.text_of("reference")
    }

    /// What is there, in words.
    pub fn display(self) -> Option<&'a str> {
        self.0.text_of("display")
    }

    /// The id after `Type/`, also at the end of a whole address; a version after it is left off.
    pub fn id_of(self, kind: &str) -> Option<&'a str> {
        let target = self.target()?;
        let target = target.split("/_history/").next().unwrap_or(target);
        let (before, id) = target.rsplit_once('/')?;
        let found = before.rsplit('/').next()?;
        (found == kind && !id.is_empty()).then_some(id)
    }
}

impl<'a> Period<'a> {
    /// When it began.
    pub fn start(self) -> Option<Moment<'a>> {
        self.0.get("start").moment()
    }

    /// When it ended.
    pub fn end(self) -> Option<Moment<'a>> {
        self.0.get("end").moment()
    }
}

impl<'a> Quantity<'a> {
    /// The number, with the digits it came with.
    pub fn number(self) -> Option<String> {
        self.0.get("value").word().map(std::borrow::Cow::into_owned)
    }

    /// `<`, `<=`, `>=` or `>`.
    pub fn comparator(self) -> Option<&'a str> {
        self.0.text_of("comparator")
    }

    /// The unit as shown, else its code.
    pub fn unit(self) -> Option<&'a str> {
        self.0.text_of("unit").or_else(|| self.0.text_of("code"))
    }

    /// Comparator, number and unit as one reads them.
    pub fn words(self) -> Option<String> {
        let number = self.number()?;
        let comparator = self.comparator().unwrap_or_default();
        let unit = self.unit().map(|unit| format!(" {unit}")).unwrap_or_default();
        Some(format!("{comparator}{number}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_words_that_were_chosen_come_first() {
        let value = json!({"coding": [
            {"system": "http://read.info/readv2", "code": "F4F14", "display": "Dry eyes", "userSelected": true},
            {"system": "http://snomed.info/sct", "code": "46152009", "display": "Tear film insufficiency",
             "extension": [{"url": "https://x/Extension-coding-sctdescid", "extension": [
                 {"url": "DescriptionID", "valueId": "76953011"}, {"url": "descriptionDisplay", "valueString": "Dryness"}]}]}
        ]});
        let concept = CodeableConcept::of(Element::of(&value));
        assert_eq!(concept.words(), Some("Dry eyes"));
        assert_eq!(concept.code_in("http://snomed.info/sct"), Some("46152009"));
        let snomed = concept.codings().nth(1).unwrap();
        assert_eq!(snomed.description(), (Some("76953011"), Some("Dryness")));
    }

    #[test]
    fn references_are_read_by_type() {
        for (text, kind, id) in [
            ("Patient/1", "Patient", Some("1")),
            ("https://gp.example/fhir/Patient/1/_history/3", "Patient", Some("1")),
            ("Location/1", "Patient", None),
            ("#1", "Patient", None),
            ("Patient/", "Patient", None),
        ] {
            let value = json!({"reference": text});
            assert_eq!(Reference::of(Element::of(&value)).id_of(kind), id, "{text}");
        }
    }

    #[test]
    fn quantities_are_read_as_written() {
        let value = json!({"value": "7.10", "comparator": "<", "unit": "mmol/L"});
        assert_eq!(Quantity::of(Element::of(&value)).words().as_deref(), Some("<7.10 mmol/L"));
        let bare = json!({"value": 28, "code": "d"});
        assert_eq!(Quantity::of(Element::of(&bare)).words().as_deref(), Some("28 d"));
    }
}
