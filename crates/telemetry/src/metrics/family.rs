//! Metrics with a closed label set.

use std::{fmt, marker::PhantomData, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

use super::LabelSet;

/// One metric `M` for each combination of the labels `L`. All of them exist from the start, so a series is zero rather
/// than absent before its first observation, and finding one is an array access.
pub struct Family<L, M> {
    series: Arc<[Series<M>]>,
    labels: PhantomData<fn(L)>,
}

#[derive(Debug)]
struct Series<M> {
    pairs: Vec<(&'static str, &'static str)>,
    metric: M,
}

impl<L: LabelSet, M> Family<L, M> {
    /// The series with these labels.
    #[must_use]
    pub fn get(&self, labels: L) -> &M {
        &self.series[labels.position()].metric
    }
}

impl<L: LabelSet, M: Default> Default for Family<L, M> {
    fn default() -> Self {
        let series = L::all().into_iter().map(|labels| Series { pairs: labels.pairs(), metric: M::default() });
        Self { series: series.collect(), labels: PhantomData }
    }
}

impl<L, M> Clone for Family<L, M> {
    fn clone(&self) -> Self {
        Self { series: Arc::clone(&self.series), labels: PhantomData }
    }
}

impl<L, M: fmt::Debug> fmt::Debug for Family<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.series.iter()).finish()
    }
}

impl<L, M: EncodeMetric + TypedMetric> EncodeMetric for Family<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.series.iter().try_for_each(|series| series.metric.encode(encoder.encode_family(&series.pairs)?))
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
