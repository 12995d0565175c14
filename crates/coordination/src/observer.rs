use crate::CacheKind;

/// Told what happens, so that metrics need no knowledge of the engines. Called on hot paths: it must not block.
pub trait CoordinationObserver: Send + Sync + 'static {
    /// The cache was asked; `hit` says whether it knew the answer.
    fn cache(&self, kind: CacheKind, hit: bool) {
        let _ = (kind, hit);
    }

    /// A value in this process had to make room for another one before it had expired.
    fn evicted(&self, kind: CacheKind) {
        let _ = kind;
    }

    /// `true` when Redis is lost, `false` when it is back. Never called twice in a row with the same value, nor in process.
    fn degraded(&self, degraded: bool) {
        let _ = degraded;
    }

    /// Entries of the ready queue that could not be read were dropped. Their deliveries come back when their leases end.
    fn malformed_ready_entries(&self, n_entries: usize) {
        let _ = n_entries;
    }
}

/// Watches nothing.
impl CoordinationObserver for () {}
