use spillway_model::ConnectionId;
use spillway_transform::order_key;

#[test]
fn a_key_never_changes_between_versions() {
    // Deliveries that wait in the store carry it.
    assert_eq!(order_key(ConnectionId::from_u128(1), "\"cus_1\"").0, 1_524_237_885_847_639_657);
}
