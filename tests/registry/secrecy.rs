//! Texts of secret fields are shown nowhere.
