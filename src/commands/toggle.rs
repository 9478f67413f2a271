//! Options that are off, on, or turned off again: `--name` and `--no-name`; the last one counts.

/// Defines the arguments `--$on` and `--$off`.
macro_rules! toggle {
    ($(#[$doc:meta])* $name:ident, $on:ident, $off:literal $(, $short:literal)?) => {
        #[doc = "An option that can be turned off again."]
        #[derive(Debug, Clone, Copy, Default, clap::Args)]
        pub struct $name {
            $(#[$doc])*
            #[arg(long, overrides_with = $off $(, short = $short)?)]
            $on: bool,
            #[arg(id = $off, long = $off, help = format!("Negates --{}", $off.trim_start_matches("no-")))]
            off: bool,
        }

        impl $name {
            /// Whether it is on; `None` if it was not given.
            #[allow(dead_code, reason = "some options have no third state")]
            fn given(self) -> Option<bool> {
                match (self.$on, self.off) {
                    (true, _) => Some(true),
                    (false, true) => Some(false),
                    (false, false) => None,
                }
            }

            /// Whether it is on; off if it was not given.
            #[allow(dead_code, reason = "some options have three states")]
            fn is_on(self) -> bool {
                self.$on
            }
        }
    };
}
pub(crate) use toggle;
