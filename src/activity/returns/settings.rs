//! Who sends a return to whom, and which items must be there: configuration, never code.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    activity::codes::{LoadError, csv},
    domain::contact::Code,
};

use super::{Item, ReturnKind};

/// What a hub's returns need beside the contacts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// ODS code of the organisation whose activity it is: part of every CDS UNIQUE IDENTIFIER, and so never changed.
    pub provider: Code,
    /// Address of the sender of interchanges, up to 15 characters.
    pub interchange_sender: Code,
    /// Address of their receiver.
    pub interchange_receiver: Code,
    /// CDS SENDER IDENTITY.
    pub sender: Code,
    /// CDS PRIME RECIPIENT IDENTITY, of the addressing grid.
    pub recipient: Code,
    /// CDS COPY RECIPIENT IDENTITY, at most [`Settings::COPY_RECIPIENTS_MAX`].
    pub copy_recipients: Vec<Code>,
    /// False puts test indicator 1 into every interchange.
    pub is_production: bool,
    /// ACTIVITY LOCATION TYPE CODE where a contact has none of its own: B02, a polyclinic.
    pub location_type: Code,
    /// ODS codes of who gives local patient identifiers, by the system's configured name.
    pub local_issuers: BTreeMap<Arc<str>, Code>,
    /// Which items must be there.
    pub requirements: Requirements,
}

impl Settings {
    /// Version 6.2 has room for seven.
    pub const COPY_RECIPIENTS_MAX: usize = 7;
    /// The provider's code stands in seven characters of a message's record identifier.
    pub const PROVIDER_LENGTH_MAX: usize = 6;

    /// Whether returns can be built of them.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let long = |code: Code, most: usize| most < code.as_str().len();
        if long(self.provider, Self::PROVIDER_LENGTH_MAX) {
            return Err(InvalidSettings::Provider);
        }
        if long(self.interchange_sender, 15) || long(self.interchange_receiver, 15) {
            return Err(InvalidSettings::Interchange);
        }
        if long(self.sender, 12) || long(self.recipient, 12) {
            return Err(InvalidSettings::Identity);
        }
        if Self::COPY_RECIPIENTS_MAX < self.copy_recipients.len()
            || self.copy_recipients.iter().any(|code| long(*code, 12))
        {
            return Err(InvalidSettings::CopyRecipients);
        }
        Ok(())
    }
}

/// Why no return can be built of settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSettings {
    /// [`Settings::provider`].
    #[error("the provider's code is longer than {} characters", Settings::PROVIDER_LENGTH_MAX)]
    Provider,
    /// [`Settings::interchange_sender`] or [`Settings::interchange_receiver`].
    #[error("the address of sender or receiver of interchanges is longer than 15 characters")]
    Interchange,
    /// [`Settings::sender`] or [`Settings::recipient`].
    #[error("the identity of sender or prime recipient is longer than 12 characters")]
    Identity,
    /// [`Settings::copy_recipients`].
    #[error("more than {} copy recipients, or one longer than 12 characters", Settings::COPY_RECIPIENTS_MAX)]
    CopyRecipients,
}

/// Which items a record of each return must have: without one it is not sent, and is counted as omitted.
///
/// The standard ones were not checked against a release of the NHS Data Dictionary: load the flags of one before live
/// use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirements {
    mandatory: BTreeMap<ReturnKind, BTreeSet<Item>>,
}

impl Requirements {
    /// As the field lists that were seen have it.
    pub fn standard() -> Self {
        let of = |items: &[Item]| items.iter().copied().collect();
        Self {
            mandatory: BTreeMap::from([
                (ReturnKind::Outpatient, of(&OUTPATIENT)),
                (ReturnKind::EmergencyCare, of(&EMERGENCY_CARE)),
                (ReturnKind::CommunityServices, of(&COMMUNITY_SERVICES)),
                (ReturnKind::Contract, of(&CONTRACT)),
            ]),
        }
    }

    /// Takes a CSV file with the columns `return,item,flag` in place of what stands for the returns it names; the flag
    /// is M, R or O, and only M keeps a record back. Gives how many flags were taken.
    ///
    /// # Errors
    /// Says on which line what is wrong; then nothing is taken.
    pub fn load(&mut self, file: &[u8]) -> Result<usize, LoadError> {
        let mut taken: BTreeMap<ReturnKind, BTreeSet<Item>> = BTreeMap::new();
        let mut count = 0;
        for (line, cells) in csv::read(file, &["return", "item", "flag"])? {
            let fault = |what| LoadError::Value { line, what };
            let [kind, item, flag] = cells.as_slice() else { continue };
            let kind = ReturnKind::of(kind.trim()).ok_or(fault("there is no such return"))?;
            let item = Item::of(item.trim()).ok_or(fault("there is no such data item"))?;
            let items = taken.entry(kind).or_default();
            match flag.trim() {
                "M" => drop(items.insert(item)),
                "R" | "O" => {}
                _ => return Err(fault("a flag is M, R or O")),
            }
            count += 1;
        }
        self.mandatory.extend(taken);
        Ok(count)
    }

    /// The items that a record of a return must have.
    pub fn of(&self, kind: ReturnKind) -> impl Iterator<Item = Item> + '_ {
        self.mandatory.get(&kind).into_iter().flatten().copied()
    }
}

const OUTPATIENT: [Item; 9] = [
    Item::UniqueIdentifier,
    Item::ActivityDate,
    Item::NumberStatus,
    Item::Provider,
    Item::Commissioner,
    Item::Attendance,
    Item::Attended,
    Item::FirstAttendance,
    Item::AppointmentDate,
];
const EMERGENCY_CARE: [Item; 7] = [
    Item::UniqueIdentifier,
    Item::ActivityDate,
    Item::NumberStatus,
    Item::Site,
    Item::DepartmentType,
    Item::Attendance,
    Item::ArrivedAt,
];
const COMMUNITY_SERVICES: [Item; 6] = [
    Item::LocalPatientExtended,
    Item::LocalPatientIssuer,
    Item::Practice,
    Item::Referral,
    Item::CareContact,
    Item::ActivityDate,
];
const CONTRACT: [Item; 3] = [Item::Provider, Item::Commissioner, Item::PointOfDelivery];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaded_flags_take_the_place_of_the_standard_ones() {
        let mut requirements = Requirements::standard();
        let file = "return,item,flag\ncds-6.2-outpatient,APPOINTMENT DATE,M\ncds-6.2-outpatient,APPOINTMENT TIME,R\n";
        assert_eq!(requirements.load(file.as_bytes()), Ok(2));
        assert_eq!(requirements.of(ReturnKind::Outpatient).collect::<Vec<_>>(), [Item::AppointmentDate]);
        assert_eq!(requirements.of(ReturnKind::Contract).count(), 3);
        for (row, said) in [
            ("x,APPOINTMENT DATE,M", "line 2: there is no such return"),
            ("csds,SHOE SIZE,M", "line 2: there is no such data item"),
            ("csds,NHS NUMBER,X", "line 2: a flag is M, R or O"),
        ] {
            let file = format!("return,item,flag\n{row}\n");
            assert_eq!(requirements.load(file.as_bytes()).unwrap_err().to_string(), said);
        }
    }
}
