//! What someone's work at the hub is, and with it what they may see.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of work. One person may have several.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Books, receives and queues patients; is never sent clinical content.
    Reception,
    /// Sees and treats patients.
    Clinician,
    /// Counts activity, and sees no names.
    Analyst,
    /// Looks after the hub, its links and its accounts.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Reception, Self::Clinician, Self::Analyst, Self::Administrator];

    /// The word for configuration, commands and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reception => "reception",
            Self::Clinician => "clinician",
            Self::Analyst => "analyst",
            Self::Administrator => "administrator",
        }
    }

    /// The word on pages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Reception => "Reception",
            Self::Clinician => "Clinician",
            Self::Analyst => "Analyst",
            Self::Administrator => "Administrator",
        }
    }

    /// What it lets people do, as a sentence.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Reception => "Books appointments and receives patients. Sees no clinical content.",
            Self::Clinician => "Sees the patients who are booked with the service, and their records.",
            Self::Analyst => "Sees what was done, in numbers. Sees no names.",
            Self::Administrator => "Looks after the hub, its links and its accounts.",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// The word names no role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a role is reception, clinician, analyst or administrator")]
pub struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
