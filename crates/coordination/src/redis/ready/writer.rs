use std::sync::Arc;

use spillway_model::Claimed;
use tokio::sync::mpsc;

use super::codec;
use super::stream::Stream;
use crate::Reservation;

/// One pipeline takes no further batch above this size.
const PIPELINE_BYTES: usize = 1 << 20;

/// A batch on its way to the stream, with its room.
pub(super) struct Parcel {
    pub(super) reservation: Reservation,
    pub(super) batch: Vec<Claimed>,
}

/// Writes what is pushed, in order, until the queue is dropped. While Redis is lost, batches are dropped.
pub(super) async fn write(stream: Arc<Stream>, mut parcels: mpsc::Receiver<Parcel>) {
    while let Some(first) = parcels.recv().await {
        let mut entries = Vec::new();
        let mut payload_bytes = 0;
        let mut reservations = Vec::new();
        let mut next = Some(first);
        while let Some(parcel) = next {
            for claimed in &parcel.batch {
                let entry = codec::encode(claimed);
                payload_bytes += entry.len();
                entries.push(entry);
            }
            reservations.push(parcel.reservation);
            next = if payload_bytes < PIPELINE_BYTES { parcels.try_recv().ok() } else { None };
        }
        let Some(live) = stream.link.live() else { continue };
        if let Err(error) = stream.append(&live, &entries, payload_bytes).await {
            stream.refuse(&live, &error);
        }
        // The room is free now: what was written counts as part of the stream.
        drop(reservations);
    }
}
