//! Definitions of the standard library, and which of them a program needs.

use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::load::parse::{Def, Term};

use super::check::{Signature, Walk};
use crate::natives::DEFINITIONS_LEFT_OUT;

/// A definition with its guard, and what it uses.
pub(super) struct Definition {
    pub(super) signature: Signature<'static>,
    pub(super) uses: HashSet<Signature<'static>>,
    pub(super) is_recursive: bool,
    pub(super) def: Def<&'static str>,
}

static LIBRARY: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|def| !DEFINITIONS_LEFT_OUT.contains(&def.name)).map(guarded).collect()
});

fn guarded(mut def: Def<&'static str>) -> Definition {
    let signature = (def.name, def.args.len());
    let mut walk = Walk::default();
    let body = std::mem::replace(&mut def.body, Term::Id);
    // The library's own terms are not nested too deep.
    def.body = walk.definition(signature, body);
    Definition { signature, uses: walk.uses, is_recursive: walk.is_recursive, def }
}

/// The definitions that are needed for these uses, in their order.
pub(super) fn needed(uses: &HashSet<Signature<'_>>) -> Vec<&'static Definition> {
    let mut wanted: HashSet<Signature<'_>> = uses.clone();
    let mut found = vec![false; LIBRARY.len()];
    loop {
        let before = wanted.len();
        for (place, definition) in LIBRARY.iter().enumerate() {
            if !found[place] && wanted.contains(&definition.signature) {
                found[place] = true;
                wanted.extend(&definition.uses);
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    LIBRARY.iter().zip(found).filter(|(_, found)| *found).map(|(definition, _)| definition).collect()
}
