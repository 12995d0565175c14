//! Small drawings: lines of one width on a field of 16 by 16.

use maud::{Markup, html};

/// An icon; it says nothing that does not stand beside it.
pub(crate) fn icon(path: &str) -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" { path d=(path) {} }
    }
}

/// The mark: water over an edge.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
            path.edge d="M3 7h7.5c3 0 4.2 1.6 4.2 4.4V17" {}
            path.fall d="M3 11.5h5.6c1.6 0 2.2.8 2.2 2.4V17" {}
            path.base d="M3 20.5c1.5 0 1.5-1 3-1s1.5 1 3 1 1.5-1 3-1 1.5 1 3 1 1.5-1 3-1 1.5 1 3 1" {}
        }
    }
}
