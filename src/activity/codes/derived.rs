//! The codes of a contact that follow from its facts: those of CDS 6.2 and 6.3 side by side, each with its rule.

use jiff::civil::Date;

use crate::domain::contact::{
    ConsultationType, Contact, Mechanism, OutcomeOfAttendance, Priority, Punctuality, State,
};

/// A code, and the rule that gave it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Derived {
    /// The code.
    pub code: &'static str,
    /// The rule, as a sentence.
    pub rule: &'static str,
}

/// Why there is no code: the contact cannot be sent in that version as it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoCode {
    /// The fact is not known.
    #[error("it is not known how they met")]
    NoMechanism,
    /// The fact is not known.
    #[error("it is not known whether it was the first of its series")]
    NoConsultationType,
    /// CDS 6.2 has no code for it: a data-quality error, and it is not sent.
    #[error("version 6.2 has no code for how they met")]
    NotInVersion,
    /// Its day is over and nobody has entered what became of it.
    #[error("nobody has entered what became of it")]
    NoOutcome,
    /// Only CDS 6.2 has future appointments.
    #[error("it has not happened yet, and version 6.3 has no future appointments")]
    Future,
    /// It was entered in error, or ended unseen: no outpatient contact.
    #[error("it is no appointment that was kept or missed")]
    NoAppointment,
    /// A clock stop is no consultation.
    #[error("an administrative event is no consultation")]
    Administrative,
}

/// What follows, or why nothing does.
pub type Code = Result<Derived, NoCode>;

/// One fact's codes in both versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SideBySide {
    /// The data item of CDS 6.2.
    pub item_6_2: &'static str,
    /// Its code.
    pub code_6_2: Code,
    /// The data item of CDS 6.3 in its place.
    pub item_6_3: &'static str,
    /// Its code.
    pub code_6_3: Code,
}

/// The codes that differ between the versions. `today` decides whether a contact is still to come.
pub fn side_by_side(contact: &Contact, today: Date) -> [SideBySide; 3] {
    let mechanism = contact.facts.mechanism.map(|fact| fact.value);
    let consultation = contact.facts.consultation.map(|fact| fact.value);
    let punctuality = contact.facts.punctuality.map(|fact| fact.value);
    let is_to_come = today <= contact.day;
    [
        SideBySide {
            item_6_2: "ATTENDED OR DID NOT ATTEND CODE",
            code_6_2: attended_or_did_not_attend(contact.state, punctuality, is_to_come),
            item_6_3: "ATTENDANCE STATUS",
            code_6_3: attendance_status(contact.state, punctuality, is_to_come),
        },
        SideBySide {
            item_6_2: "FIRST ATTENDANCE CODE",
            code_6_2: first_attendance(consultation, mechanism),
            item_6_3: "CONSULTATION TYPE",
            code_6_3: consultation_type(consultation),
        },
        SideBySide {
            item_6_2: "CONSULTATION MEDIUM USED",
            code_6_2: consultation_medium_used(mechanism),
            item_6_3: "CONSULTATION MECHANISM",
            code_6_3: consultation_mechanism(mechanism),
        },
    ]
}

/// ATTENDED OR DID NOT ATTEND CODE: of what became of it, and of whether they came in time.
///
/// # Errors
/// Says why there is none.
pub const fn attended_or_did_not_attend(
    state: State,
    punctuality: Option<Punctuality>,
    is_to_come: bool,
) -> Code {
    Ok(match (state, punctuality) {
        (State::Attended, Some(Punctuality::LateSeen)) => {
            Derived { code: "6", rule: "It took place, and the patient came late." }
        }
        (State::Attended, _) => {
            Derived { code: "5", rule: "It took place; nobody says that the patient came late." }
        }
        (State::NotSeen, _) => Derived { code: "7", rule: "The patient came, and could not be seen." },
        (State::DidNotAttend, _) => {
            Derived { code: "3", rule: "The patient did not come and gave no warning." }
        }
        (State::CancelledByPatient, _) => {
            Derived { code: "2", rule: "It was cancelled by the patient, or on their behalf." }
        }
        (State::CancelledByProvider, _) => Derived { code: "4", rule: "It was cancelled by the provider." },
        (State::Outstanding, _) if is_to_come => Derived { code: "0", rule: "Its day is not over." },
        (State::Outstanding, _) => return Err(NoCode::NoOutcome),
        (State::ClosedUnseen | State::Withdrawn, _) => return Err(NoCode::NoAppointment),
    })
}

/// ATTENDANCE STATUS: the same codes, without future appointments.
///
/// # Errors
/// Says why there is none.
pub fn attendance_status(state: State, punctuality: Option<Punctuality>, is_to_come: bool) -> Code {
    match attended_or_did_not_attend(state, punctuality, is_to_come) {
        Ok(Derived { code: "0", .. }) => Err(NoCode::Future),
        other => other,
    }
}

/// FIRST ATTENDANCE CODE: of the consultation type and the mechanism together.
///
/// # Errors
/// Says why there is none.
pub const fn first_attendance(consultation: Option<ConsultationType>, mechanism: Option<Mechanism>) -> Code {
    let is_first = match consultation {
        Some(ConsultationType::ClockStop) => {
            return Ok(Derived {
                code: "5",
                rule: "A clock of referral to treatment is stopped, without the patient.",
            });
        }
        Some(ConsultationType::Initial) => true,
        Some(ConsultationType::FollowUp) => false,
        None => return Err(NoCode::NoConsultationType),
    };
    let is_face_to_face = match mechanism {
        Some(Mechanism::FaceToFace) => true,
        Some(Mechanism::Telephone | Mechanism::Telemedicine | Mechanism::Video | Mechanism::TalkType) => {
            false
        }
        Some(_) => return Err(NoCode::NotInVersion),
        None => return Err(NoCode::NoMechanism),
    };
    Ok(match (is_first, is_face_to_face) {
        (true, true) => Derived { code: "1", rule: "Initial (01) and face to face." },
        (false, true) => Derived { code: "2", rule: "Follow-up (02) and face to face." },
        (true, false) => {
            Derived { code: "3", rule: "Initial (01) by telephone, video, telemedicine or talk type." }
        }
        (false, false) => {
            Derived { code: "4", rule: "Follow-up (02) by telephone, video, telemedicine or talk type." }
        }
    })
}

/// CONSULTATION TYPE.
///
/// # Errors
/// Says why there is none.
pub const fn consultation_type(consultation: Option<ConsultationType>) -> Code {
    Ok(match consultation {
        Some(ConsultationType::Initial) => {
            Derived { code: "01", rule: "The first of its series that took place." }
        }
        Some(ConsultationType::FollowUp) => {
            Derived { code: "02", rule: "One of its series took place before." }
        }
        Some(ConsultationType::ClockStop) => return Err(NoCode::Administrative),
        None => return Err(NoCode::NoConsultationType),
    })
}

/// CONSULTATION MEDIUM USED as CDS 6.2 takes it.
///
/// # Errors
/// Says why there is none: electronic mail and messages are not valid in that version.
pub const fn consultation_medium_used(mechanism: Option<Mechanism>) -> Code {
    Ok(match mechanism {
        Some(Mechanism::FaceToFace) => Derived { code: "01", rule: "Face to face." },
        Some(Mechanism::Telephone) => Derived { code: "02", rule: "By telephone." },
        Some(Mechanism::Telemedicine) => Derived { code: "03", rule: "By telemedicine." },
        Some(Mechanism::Video) => Derived { code: "03", rule: "Video is telemedicine in version 6.2." },
        Some(Mechanism::TalkType) => Derived { code: "04", rule: "By talk type." },
        Some(_) => return Err(NoCode::NotInVersion),
        None => return Err(NoCode::NoMechanism),
    })
}

/// CONSULTATION MECHANISM.
///
/// # Errors
/// Says why there is none.
pub const fn consultation_mechanism(mechanism: Option<Mechanism>) -> Code {
    Ok(match mechanism {
        Some(Mechanism::FaceToFace) => Derived { code: "01", rule: "Face to face." },
        Some(Mechanism::Telephone) => Derived { code: "02", rule: "By telephone." },
        Some(Mechanism::Telemedicine) => Derived { code: "03", rule: "By telemedicine; to be confirmed." },
        Some(Mechanism::TalkType) => Derived { code: "04", rule: "By talk type." },
        Some(Mechanism::Email) => Derived { code: "05", rule: "By electronic mail." },
        Some(Mechanism::TextMessage) => Derived { code: "09", rule: "By text message." },
        Some(Mechanism::InstantMessage) => Derived { code: "10", rule: "By instant message." },
        Some(Mechanism::Video) => Derived { code: "11", rule: "By video." },
        Some(Mechanism::MessageBoard) => Derived { code: "12", rule: "On a message board." },
        Some(Mechanism::ChatRoom) => Derived { code: "13", rule: "In a chat room." },
        Some(Mechanism::Other) => Derived { code: "98", rule: "In another way." },
        None => return Err(NoCode::NoMechanism),
    })
}

/// PRIORITY TYPE CODE.
pub const fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Routine => "1",
        Priority::Urgent => "2",
        Priority::TwoWeekWait => "3",
    }
}

/// OUTCOME OF ATTENDANCE CODE.
pub const fn outcome(outcome: OutcomeOfAttendance) -> &'static str {
    match outcome {
        OutcomeOfAttendance::Discharged => "1",
        OutcomeOfAttendance::AnotherGiven => "2",
        OutcomeOfAttendance::AnotherToBeMade => "3",
    }
}
