//! What pages are made of.

pub(crate) mod charts;
pub(crate) mod fields;
pub(crate) mod icons;
pub(crate) mod layout;
pub(crate) mod parts;
pub(crate) mod pretty;
pub(crate) mod rail;
pub(crate) mod time;
