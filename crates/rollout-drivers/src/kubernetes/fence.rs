//! Who may write: the process that holds the lease, and only while it does.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client};
use spillway_model::{Clock, UnixMillis};
use spillway_rollout::ports::PortError;

use super::call::{CALL_DEADLINE, call};

/// The right to write. Asked before every write, it reads the lease itself: an election that was lost unnoticed (a paused process, a
/// partition) ends here.
#[derive(Clone, Default)]
pub(crate) struct Fence(Option<Arc<Held>>);

struct Held {
    leases: Api<Lease>,
    name: String,
    identity: String,
    clock: Arc<dyn Clock>,
}

impl Fence {
    /// No election: this process is the only one.
    pub(crate) fn open() -> Self {
        Self(None)
    }

    /// Writes are for the holder `identity` of this lease.
    pub(crate) fn of(client: Client, namespace: &str, name: &str, identity: &str, clock: Arc<dyn Clock>) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self(Some(Arc::new(Held { leases, name: name.to_owned(), identity: identity.to_owned(), clock })))
    }

    /// Whether this process holds the lease, long enough for one more call.
    pub(crate) async fn check(&self) -> Result<(), PortError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let lease = call(&format!("read the lease {}", held.name), held.leases.get(&held.name)).await?;
        let spec = lease.spec.unwrap_or_default();
        if is_held(&spec, &held.identity, held.clock.now()) {
            Ok(())
        } else {
            Err(PortError::Temporary(format!(
                "nothing is written: this process does not hold the lease {} (any more), {} does",
                held.name,
                spec.holder_identity.as_deref().unwrap_or("nobody")
            )))
        }
    }
}

/// Whether `identity` holds the lease, and for longer than one call takes at most.
fn is_held(spec: &LeaseSpec, identity: &str, now: UnixMillis) -> bool {
    let (Some(holder), Some(renewed), Some(seconds)) =
        (&spec.holder_identity, &spec.renew_time, spec.lease_duration_seconds)
    else {
        return false;
    };
    let deadline = i64::try_from(CALL_DEADLINE.as_millis()).unwrap_or(i64::MAX);
    let ends = renewed.0.as_millisecond().saturating_add(i64::from(seconds) * 1000);
    holder == identity && now.saturating_add(deadline) < ends
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn lease(holder: &str, renewed: UnixMillis) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            renew_time: Some(MicroTime(Timestamp::from_millisecond(renewed).expect("a time"))),
            lease_duration_seconds: Some(30),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_write_is_allowed_only_while_a_whole_call_fits_into_the_lease() {
        assert!(is_held(&lease("a", 1_000_000), "a", 1_000_000));
        assert!(is_held(&lease("a", 1_000_000), "a", 1_019_999));
        assert!(!is_held(&lease("a", 1_000_000), "a", 1_020_000), "a call may take 10 s, and the lease ends in 10 s");
        assert!(!is_held(&lease("b", 1_000_000), "a", 1_000_000), "someone else's");
        assert!(!is_held(&LeaseSpec::default(), "a", 0), "nobody's");
    }

    #[tokio::test]
    async fn without_an_election_writing_is_allowed() {
        assert_eq!(Fence::open().check().await, Ok(()));
    }
}
