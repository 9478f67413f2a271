//! Rendering of service templates.
