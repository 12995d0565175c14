//! The ready queues of the worker slots.

use std::sync::Arc;

use spillway_model::Slot;

use crate::ReadyQueue;

type Find = dyn Fn(Slot) -> Option<Arc<dyn ReadyQueue>> + Send + Sync;

/// Finds the queue of a slot.
#[derive(Clone)]
pub(crate) struct SlotQueues(Arc<Find>);

impl SlotQueues {
    /// Only the workers of this process can be reached: those of `own`, through `ready`.
    pub(crate) fn in_process(own: Option<Slot>, ready: &Arc<dyn ReadyQueue>) -> Self {
        let ready = ready.clone();
        Self(Arc::new(move |slot| (own == Some(slot)).then(|| ready.clone())))
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<Arc<dyn ReadyQueue>> {
        (self.0)(slot)
    }
}

#[cfg(feature = "redis")]
impl SlotQueues {
    /// Each queue is made when it is first asked for.
    pub(crate) fn started_by(start: impl Fn(Slot) -> Arc<dyn ReadyQueue> + Send + Sync + 'static) -> Self {
        use std::sync::OnceLock;

        let queues: [OnceLock<Arc<dyn ReadyQueue>>; 2] = Default::default();
        Self(Arc::new(move |slot| Some(queues[slot as usize].get_or_init(|| start(slot)).clone())))
    }
}
