//! The key of ordered delivery as it is stored.

use ring::digest::{Context, SHA256};
use spillway_model::{ConnectionId, OrderKey};

/// The key `text` of this connection, hashed: the same on every node and in every version.
#[must_use]
pub fn order_key(connection: ConnectionId, text: &str) -> OrderKey {
    let mut context = Context::new(&SHA256);
    context.update(&connection.to_bytes());
    context.update(text.as_bytes());
    let digest = context.finish();
    OrderKey(digest.as_ref().first_chunk().map_or(0, |first| i64::from_be_bytes(*first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_its_connection_and_stays_the_same() {
        let one: ConnectionId = "con_0000000000000000000000000a".parse().expect("an id");
        let other: ConnectionId = "con_0000000000000000000000000b".parse().expect("an id");
        assert_eq!(order_key(one, "\"cus_1\""), order_key(one, "\"cus_1\""));
        assert_ne!(order_key(one, "\"cus_1\""), order_key(one, "\"cus_2\""));
        assert_ne!(order_key(one, "\"cus_1\""), order_key(other, "\"cus_1\""));
    }
}
