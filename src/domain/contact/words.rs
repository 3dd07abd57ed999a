//! Enums of plain values with a word for each, by which they are stored, shown and sorted.

/// An enum of plain values, with every value in order and a word for each, by which it is serialised.
macro_rules! words {
    ($(#[$of_all:meta])* $visible:vis enum $name:ident { $($(#[$of_one:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$of_all])*
        #[derive(
            Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize,
        )]
        $visible enum $name {
            $($(#[$of_one])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word for it in files, tables and configuration; it never changes.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// The value that a word is for; none if it is for none.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

pub(crate) use words;
