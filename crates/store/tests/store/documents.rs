//! Documents are written whole, found by kind and key, and bounded.

use bytes::Bytes;
use spillway_store::{DOCUMENT_LIMIT_BYTES, DOCUMENT_NAME_LIMIT_BYTES, Document, StoreErrorKind};

use crate::support::{TestStore, on_every_engine};

on_every_engine! {
    a_document_is_read_as_it_was_written_and_replaced_by_the_next_one
    the_newest_documents_of_a_kind_come_first
    a_removed_document_is_gone_and_removing_it_again_is_no_error
    a_document_that_is_too_large_or_has_no_name_is_refused
}

fn document(kind: &str, key: &str, at: i64, body: &[u8]) -> Document {
    Document { kind: kind.to_owned(), key: key.to_owned(), at, body: Bytes::copy_from_slice(body) }
}

async fn a_document_is_read_as_it_was_written_and_replaced_by_the_next_one(test: TestStore) {
    let first = document("rollout", "api/ä", 5, b"\0\xff{}");
    test.store.put_document(first.clone()).await.unwrap();
    assert_eq!(test.store.document("rollout", "api/ä").await.unwrap(), Some(first));
    let second = document("rollout", "api/ä", 4, b"");
    test.store.put_document(second.clone()).await.unwrap();
    let test = test.crash().await;
    assert_eq!(test.store.document("rollout", "api/ä").await.unwrap(), Some(second.clone()));
    assert_eq!(test.store.documents("rollout", 10).await.unwrap(), [second]);
    assert_eq!(test.store.document("trend", "api/ä").await.unwrap(), None);
    assert_eq!(test.store.document("rollout", "api").await.unwrap(), None);
}

async fn the_newest_documents_of_a_kind_come_first(test: TestStore) {
    for (key, at) in [("b", 10), ("a", 10), ("c", 30), ("d", -5)] {
        test.store.put_document(document("load_test", key, at, key.as_bytes())).await.unwrap();
    }
    test.store.put_document(document("trend", "z", 99, b"")).await.unwrap();
    let keys = async |limit| {
        let documents = test.store.documents("load_test", limit).await.unwrap();
        documents.into_iter().map(|document| document.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(10).await, ["c", "b", "a", "d"]);
    assert_eq!(keys(2).await, ["c", "b"]);
    assert_eq!(keys(0).await, [""; 0]);
    assert_eq!(keys(usize::MAX).await.len(), 4);
    assert!(test.store.documents("nothing", 10).await.unwrap().is_empty());
}

async fn a_removed_document_is_gone_and_removing_it_again_is_no_error(test: TestStore) {
    test.store.put_document(document("trend", "a", 1, b"1")).await.unwrap();
    test.store.put_document(document("trend", "b", 1, b"2")).await.unwrap();
    for _ in 0..2 {
        test.store.delete_document("trend", "a").await.unwrap();
        assert_eq!(test.store.document("trend", "a").await.unwrap(), None);
    }
    assert_eq!(test.store.documents("trend", 10).await.unwrap().len(), 1);
}

async fn a_document_that_is_too_large_or_has_no_name_is_refused(test: TestStore) {
    let largest = document("trend", "a", 1, &vec![7; DOCUMENT_LIMIT_BYTES]);
    test.store.put_document(largest.clone()).await.unwrap();
    assert_eq!(test.store.document("trend", "a").await.unwrap(), Some(largest));
    let long = "x".repeat(DOCUMENT_NAME_LIMIT_BYTES + 1);
    for refused in [
        document("trend", "a", 2, &vec![7; DOCUMENT_LIMIT_BYTES + 1]),
        document("", "a", 2, b""),
        document("trend", "", 2, b""),
        document("trend", &long, 2, b""),
        document("trend", "a\0b", 2, b""),
    ] {
        let error = test.store.put_document(refused).await.unwrap_err();
        assert_eq!((error.kind(), error.is_transient()), (StoreErrorKind::TooLarge, false), "{error}");
    }
    assert_eq!(test.store.document("trend", "a").await.unwrap().map(|document| document.at), Some(1));
}
