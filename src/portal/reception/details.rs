//! The words and needs of a booking, as the desk enters them: nothing is ever cut off.

use serde::Deserialize;

use crate::{
    domain::{
        booking::Needs,
        slot::{COMMENT_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX},
    },
    portal::frame::Errors,
};

use super::{
    form::{characters, plain},
    person::{LINE_CHARACTERS_MAX, telephone},
};

/// The form.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct DetailsForm {
    pub description: String,
    pub comment: String,
    pub interpreter: String,
    pub transport: String,
    pub adjustments: String,
    /// `yes` if the patient agrees to a reminder.
    pub reminder: String,
    pub reminder_number: String,
}

/// What it says.
pub(super) struct Details {
    pub description: String,
    pub comment: String,
    pub needs: Needs,
}

impl DetailsForm {
    /// Filled in with what is known.
    pub fn of(description: &str, comment: &str, needs: &Needs) -> Self {
        let yes = |agreed: bool| if agreed { "yes".to_owned() } else { String::new() };
        Self {
            description: description.to_owned(),
            comment: comment.to_owned(),
            interpreter: needs.interpreter.clone(),
            transport: yes(needs.transport),
            adjustments: needs.adjustments.clone(),
            reminder: yes(!needs.reminder.is_empty()),
            reminder_number: needs.reminder.clone(),
        }
    }

    /// What it says, or what is wrong with it.
    pub fn read(&self) -> Result<Details, Errors> {
        let mut errors = Errors::default();
        for (id, text, most) in [
            ("description", &self.description, DESCRIPTION_CHARACTERS_MAX),
            ("comment", &self.comment, COMMENT_CHARACTERS_MAX),
            ("interpreter", &self.interpreter, LINE_CHARACTERS_MAX),
            ("adjustments", &self.adjustments, COMMENT_CHARACTERS_MAX),
        ] {
            let length = characters(text);
            if most < length {
                errors.add(
                    id,
                    format!("Shorten this to {most} characters: it has {length}. Nothing was cut off"),
                );
            }
        }
        let reminder = self.read_reminder(&mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let text = |text: &str| plain(text).trim().to_owned();
        Ok(Details {
            description: text(&self.description),
            comment: text(&self.comment),
            needs: Needs {
                interpreter: text(&self.interpreter),
                transport: self.transport == "yes",
                adjustments: text(&self.adjustments),
                reminder,
            },
        })
    }

    fn read_reminder(&self, errors: &mut Errors) -> String {
        if self.reminder != "yes" {
            return String::new();
        }
        telephone(&self.reminder_number).unwrap_or_else(|| {
            errors.add(
                "reminder-number",
                "Enter the number for the reminder, 10 or 11 digits, or untick the reminder",
            );
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_in_characters_and_nothing_is_cut_off() {
        let form = DetailsForm {
            description: "é".repeat(100),
            comment: "a\r\n".repeat(250),
            ..DetailsForm::default()
        };
        let details = form.read().unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(details.comment.chars().count(), 499, "the last line's end is nothing");
        let form = DetailsForm { description: "é".repeat(101), comment: "x".repeat(501), ..form };
        let Err(errors) = form.read() else { panic!("too long") };
        assert!(errors.of("description").unwrap().contains("it has 101"));
        assert!(errors.of("comment").is_some());
    }

    #[test]
    fn a_reminder_needs_consent_and_a_number() {
        let form = |reminder: &str, number: &str| DetailsForm {
            reminder: reminder.to_owned(),
            reminder_number: number.to_owned(),
            ..DetailsForm::default()
        };
        let read = |form: DetailsForm| form.read().map(|details| details.needs.reminder).ok();
        assert_eq!(read(form("yes", "07700 900123")).as_deref(), Some("07700900123"));
        assert_eq!(read(form("", "07700 900123")).as_deref(), Some(""));
        assert_eq!(read(form("yes", "")), None);
        let needs = Needs { interpreter: "Somali".to_owned(), transport: true, ..Needs::default() };
        let again = DetailsForm::of("a", "b", &needs).read().map(|details| details.needs == needs);
        assert_eq!(again.ok(), Some(true));
    }
}
