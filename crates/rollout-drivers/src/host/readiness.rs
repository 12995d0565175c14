//! Whether slots can take traffic.

use std::time::Duration;

use spillway_rollout::slot::Slots;
use spillway_rollout::spec::HostSlot;
use tokio::task::JoinSet;

use crate::http::HttpClient;

/// Longest wait for the answer of one address.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Path that is asked when a plan names none.
const READY_PATH: &str = "/readyz";

/// Asks every address of both slots at once: for each, whether it answers 2xx.
pub(crate) async fn probe(http: &HttpClient, slots: &Slots<HostSlot>) -> Slots<Vec<bool>> {
    let mut answers = Slots::make(|slot| vec![false; slots.get(slot).addresses.len()]);
    let mut asked = JoinSet::new();
    for slot in spillway_rollout::Slot::BOTH {
        let place = slots.get(slot);
        let path = place.ready_path.as_deref().unwrap_or(READY_PATH);
        let slash = if path.starts_with('/') { "" } else { "/" };
        for (position, address) in place.addresses.iter().enumerate() {
            let url = format!("http://{address}{slash}{path}");
            let http = http.clone();
            asked.spawn(async move {
                let answer = http.get(&url, TIMEOUT).await;
                (slot, position, answer.is_ok_and(|answer| answer.status.is_success()))
            });
        }
    }
    while let Some(answer) = asked.join_next().await {
        if let Ok((slot, position, is_ready)) = answer {
            answers.get_mut(slot)[position] = is_ready;
        }
    }
    answers
}
