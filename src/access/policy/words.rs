//! Small enums that have a word for each of their values, so that tables and tests can list them.

/// An enum of plain values, with every value in order and a word for each.
macro_rules! words {
    ($(#[$of_all:meta])* $visible:vis enum $name:ident { $($(#[$of_one:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        $visible enum $name {
            $($(#[$of_one])* $value,)+
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word for it in tables, on audit lines and in configuration; it never changes.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }
    };
}

pub(super) use words;
