//! The sections of the settings, one type each.

pub(crate) mod declared;
pub(crate) mod delivery;
pub(crate) mod intake;
pub(crate) mod retention;
pub(crate) mod rules;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod worker;

/// A closed set of words: an enum with `FromStr`, `Display` and the error text that lists them.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $expected:literal { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl std::str::FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(concat!("must be ", $expected)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }

        crate::value::text_settings! { $name: $expected, }
    };
}
pub(crate) use words;
