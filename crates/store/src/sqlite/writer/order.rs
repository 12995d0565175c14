//! Deliveries that must stay in order: at most one of a key is on its way.

use spillway_model::{DeliveryId, DeliveryState, NewDelivery, OrderKey, Settlement, UnixMillis};
use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::{Failure, Writer, add, pad};
use crate::sqlite::statements::{Kind, LARGEST, size};

/// A delivery with an order key that has ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::sqlite) struct Ended {
    pub(in crate::sqlite) key: OrderKey,
    pub(in crate::sqlite) delivery: DeliveryId,
    pub(in crate::sqlite) at: UnixMillis,
}

impl Ended {
    /// What a settlement ends; `None` when it has no key, or the delivery stays pending.
    pub(super) fn of(settlement: &Settlement) -> Option<Self> {
        let key = settlement.order.filter(|_| settlement.next.state() != DeliveryState::Pending)?;
        Some(Self { key, delivery: settlement.lease.delivery, at: settlement.next.at() })
    }
}

impl Writer {
    /// `deliveries` have keys and are in the order of their ids.
    pub(super) async fn append_ordered(&mut self, deliveries: &[&NewDelivery]) -> Result<(), Failure> {
        for deliveries in deliveries.chunks(LARGEST) {
            let rows = size(deliveries.len());
            let padding = rows - deliveries.len();
            let mut values = SqliteArguments::default();
            values.reserve(14 * rows, 0);
            add_places(&mut values, deliveries)?;
            pad(&mut values, 3 * padding)?;
            for delivery in deliveries {
                self.add_delivery(&mut values, delivery)?;
                add(&mut values, delivery.order.map(|key| key.0))?;
            }
            pad(&mut values, 8 * padding)?;
            add_places(&mut values, deliveries)?;
            pad(&mut values, 3 * padding)?;
            self.execute(Kind::Ordered(rows), false, values).await?;
        }
        Ok(())
    }

    /// Lets the next delivery of each key go out, where the one that ended was on its way.
    pub(super) async fn advance(&mut self, ended: &[Ended]) -> Result<(), Failure> {
        for ended in ended.chunks(LARGEST) {
            let rows = size(ended.len());
            let mut values = SqliteArguments::default();
            values.reserve(16 * rows, 0);
            for _ in 0..Kind::Advance(rows).statements() {
                for one in ended {
                    add(&mut values, one.key.0)?;
                    add(&mut values, one.delivery.event().sequence())?;
                    add(&mut values, i64::from(one.delivery.ordinal()))?;
                    add(&mut values, one.at)?;
                }
                pad(&mut values, 4 * (rows - ended.len()))?;
            }
            self.execute(Kind::Advance(rows), false, values).await?;
        }
        Ok(())
    }
}

fn add_places(values: &mut SqliteArguments, deliveries: &[&NewDelivery]) -> Result<(), Failure> {
    for delivery in deliveries {
        add(values, delivery.order.map(|key| key.0))?;
        add(values, delivery.id.event().sequence())?;
        add(values, i64::from(delivery.id.ordinal()))?;
    }
    Ok(())
}
