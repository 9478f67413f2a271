//! The one printer: data on stdout, everything else on stderr.
