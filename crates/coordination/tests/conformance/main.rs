//! What every engine promises, on both engines; and what the Redis engines do when the server fails.

mod cache;
mod changes;
mod examination;
mod faults;
mod nodes;
mod rate;
mod ready;
mod slots;

/// Runs each named test on both engines.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&$crate::nodes::Nodes::in_process()).await;
            })+
        }
        mod redis {
            $(#[tokio::test]
            async fn $test() {
                super::$test(&$crate::nodes::Nodes::redis().await).await;
            })+
        }
    };
}
pub(crate) use on_both_engines;
