//! One part of a resource, there or not: what every view is made of.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::time::Timestamp;

static ABSENT: Value = Value::Null;

/// A part of a resource. Blank text counts as absent, and one value as a list of one: EMIS sends the first,
/// several providers the second.
#[derive(Clone, Copy)]
pub struct Element<'a>(&'a Value);

impl<'a> Element<'a> {
    /// A view of a tree.
    pub const fn of(value: &'a Value) -> Self {
        Self(value)
    }

    /// The tree itself.
    pub const fn value(self) -> &'a Value {
        self.0
    }

    /// Whether there is anything.
    pub fn is_present(self) -> bool {
        match self.0 {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Array(values) => values.iter().any(|value| Element(value).is_present()),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        }
    }

    /// A part by name; the first of several.
    #[must_use]
    pub fn get(self, name: &str) -> Self {
        match self.0.get(name) {
            Some(Value::Array(values)) => Self(values.first().unwrap_or(&ABSENT)),
            Some(value) => Self(value),
            None => Self(&ABSENT),
        }
    }

    /// A part by a path of names; the first of several at each.
    #[must_use]
    pub fn at(self, path: &[&str]) -> Self {
        path.iter().fold(self, |element, name| element.get(name))
    }

    /// Each part of a name that is there.
    pub fn each(self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        let values = match self.0.get(name) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        values.iter().map(Self).filter(|element| element.is_present())
    }

    /// Its text without blanks around it.
    pub fn text(self) -> Option<&'a str> {
        self.0.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The text of a part.
    pub fn text_of(self, name: &str) -> Option<&'a str> {
        self.get(name).text()
    }

    /// Its text, number or truth, as it was written.
    pub fn word(self) -> Option<Cow<'a, str>> {
        match self.0 {
            Value::Bool(_) | Value::Number(_) => Some(Cow::Owned(self.0.to_string())),
            _ => self.text().map(Cow::Borrowed),
        }
    }

    /// Whether it is true, as a truth or in letters.
    pub fn is_true(self) -> bool {
        self.0.as_bool().unwrap_or(false) || self.text() == Some("true")
    }

    /// A moment, if it is written as FHIR writes one.
    pub fn moment(self) -> Option<Moment<'a>> {
        Moment::parse(self.text()?)
    }

    /// The extensions whose URL ends with `/` and this name, or is it. Suppliers differ in what goes before:
    /// `fhir.nhs.uk` or `fhir.hl7.org.uk`.
    pub fn extensions(self, name: &'static str) -> impl Iterator<Item = Self> + use<'a> {
        self.each("extension").filter(move |extension| {
            extension.text_of("url").is_some_and(|url| url.rsplit('/').next() == Some(name))
        })
    }

    /// The first of them.
    #[must_use]
    pub fn extension(self, name: &'static str) -> Self {
        self.extensions(name).next().unwrap_or(Self(&ABSENT))
    }
}

/// A FHIR date, dateTime or instant, as precise as it was given and no more (STU3, section 2.24).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment<'a>(&'a str);

impl<'a> Moment<'a> {
    /// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or a day and time. A time without an offset is borne, as it was meant
    /// locally; anything else is no moment.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let whole = match day.len() {
            4 if time.is_none() => format!("{day}-01-01"),
            7 if time.is_none() => format!("{day}-01"),
            10 => day.to_owned(),
            _ => return None,
        };
        whole.parse::<jiff::civil::Date>().ok()?;
        if let Some(time) = time {
            let clock = time.split(['Z', '+', '-']).next().unwrap_or_default();
            clock.parse::<jiff::civil::Time>().ok()?;
            let offset = time.get(clock.len()..).unwrap_or_default();
            if !offset.is_empty() {
                text.parse::<jiff::Timestamp>().ok()?;
            }
        }
        Some(Self(text))
    }

    /// As it came.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The day, if it is that precise: `YYYY-MM-DD`.
    pub fn day(self) -> Option<&'a str> {
        self.0.get(..10)
    }

    /// The moment itself, if a time and an offset were given.
    pub fn timestamp(self) -> Option<Timestamp> {
        let moment: jiff::Timestamp = self.0.parse().ok()?;
        Some(Timestamp(moment.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blanks_are_absent_and_one_is_a_list_of_one() {
        let value = json!({"a": " ", "b": "x", "c": [{"d": ""}, {"d": "y"}], "e": [], "n": 7, "t": "true"});
        let element = Element::of(&value);
        assert_eq!(element.text_of("a"), None);
        assert!(!element.get("a").is_present() && !element.get("e").is_present());
        assert_eq!(element.each("b").count(), 1);
        assert_eq!(element.each("c").filter_map(|c| c.text_of("d")).collect::<Vec<_>>(), ["y"]);
        assert_eq!(element.get("n").word().as_deref(), Some("7"));
        assert!(element.get("t").is_true());
        assert!(!element.at(&["c", "d", "zz"]).is_present());
    }

    #[test]
    fn moments_keep_their_precision() {
        for good in [
            "1987",
            "1987-04",
            "1987-04-30",
            "2026-11-23T09:00:00Z",
            "2026-11-23T09:00:00.123+01:00",
            "2026-11-23T09:00:00",
        ] {
            assert_eq!(Moment::parse(good).map(Moment::as_str), Some(good));
        }
        for bad in
            ["", "87", "1987-13", "1987-02-30", "22/02/1982", "1987T09:00", "2026-11-23T25:00:00Z", "é987"]
        {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
        let stamp = |text| Moment::parse(text).and_then(Moment::timestamp);
        assert_eq!(stamp("1970-01-01T01:00:01+01:00"), Some(Timestamp(1000)));
        assert_eq!(stamp("1970-01-01T01:00:01"), None);
        assert_eq!(stamp("1970-01-01"), None);
    }

    #[test]
    fn extensions_are_known_by_the_end_of_their_name() {
        let value = json!({"extension": [
            {"url": "https://fhir.hl7.org.uk/STU3/StructureDefinition/Extension-X-1", "valueCode": "a"},
            {"url": "Extension-X-1", "valueCode": "b"}, {"url": "https://x/NotExtension-X-1", "valueCode": "c"}]});
        let element = Element::of(&value);
        assert_eq!(element.extensions("Extension-X-1").count(), 2);
        assert_eq!(element.extension("Extension-X-1").text_of("valueCode"), Some("a"));
        assert!(!element.extension("Extension-Y-1").is_present());
    }
}
