//! The text of `/metrics`.

/// Samples of one scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scrape {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// A histogram: how many observations were at most so large.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper bound and cumulated count, in order.
    buckets: Vec<(f64, f64)>,
    /// All observations.
    pub count: f64,
}

/// Samples that are read at most; the gateway exports some thousand.
const MOST_SAMPLES: usize = 100_000;

impl Scrape {
    /// Reads OpenMetrics or Prometheus text; lines that are neither are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self { samples: lines.filter_map(sample).take(MOST_SAMPLES).collect() }
    }

    /// Whether there is any sample of the gateway's own.
    #[must_use]
    pub fn is_of_spillway(&self) -> bool {
        self.samples.iter().any(|sample| sample.name.starts_with("spillway_"))
    }

    /// The value of the first sample with this name and these labels.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.of(name, labels).map(|sample| sample.value).next().filter(|value| value.is_finite())
    }

    /// The sum over all samples with this name and these labels; zero without one.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|sample| sample.value).filter(|value| value.is_finite()).sum()
    }

    /// A label of the first sample with this name.
    #[must_use]
    pub fn label(&self, name: &str, label: &str) -> Option<&str> {
        let sample = self.samples.iter().find(|sample| sample.name == name)?;
        sample.labels.iter().find(|(known, _)| known == label).map(|(_, value)| value.as_str())
    }

    /// The histogram of this name, over all labels together.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Option<Histogram> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.of(&format!("{name}_bucket"), &[]) {
            let bound = sample.labels.iter().find(|(label, _)| label == "le")?.1.parse().ok()?;
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = buckets.last()?.1;
        Some(Histogram { buckets, count })
    }

    fn of<'s>(&'s self, name: &'s str, labels: &'s [(&str, &str)]) -> impl Iterator<Item = &'s Sample> {
        let has = |sample: &Sample, label: &str, value: &str| {
            sample.labels.iter().any(|(known, has)| known == label && has == value)
        };
        self.samples
            .iter()
            .filter(move |sample| sample.name == name && labels.iter().all(|(label, value)| has(sample, label, value)))
    }
}

impl Histogram {
    /// The value that this share of the observations does not exceed, interpolated within its bucket as Prometheus does; not a number when
    /// there is none. What lies above the last bound counts as that bound.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = share * self.count;
        let mut below = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= rank && *count > below.1 {
                if bound.is_infinite() {
                    return below.0;
                }
                return below.0 + (bound - below.0) * (rank - below.1) / (count - below.1);
            }
            below = (*bound, *count);
        }
        f64::NAN
    }
}

/// `name{label="value",…} value [time] [# exemplar]`.
fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = match line.find(['{', ' ']) {
        Some(at) if line.as_bytes().get(at) == Some(&b'{') => (&line[..at], &line[at + 1..]),
        Some(at) => {
            let value = line[at..].split_whitespace().next()?.parse().ok()?;
            return Some(Sample { name: line[..at].to_owned(), labels: Vec::new(), value });
        }
        None => return None,
    };
    let (labels, rest) = labels(rest)?;
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the closing brace, and what comes after it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE a counter\na_total{x=\"1\",y=\"q\\\"}\"} 3 # {t=\"9\"} 1\na_total{x=\"2\"} 4.5\nb 7 1700\nc{} NaN\nbroken{x=\"\n\
        h_bucket{le=\"0.1\"} 50\nh_bucket{le=\"0.2\"} 90\nh_bucket{le=\"+Inf\"} 100\nh_count 100\n# EOF\n";

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let scrape = Scrape::read(TEXT);
        assert_eq!(scrape.value("a_total", &[("x", "2")]), Some(4.5));
        assert_eq!(scrape.sum("a_total", &[]), 7.5);
        assert_eq!(scrape.label("a_total", "y"), Some("q\"}"));
        assert_eq!(scrape.value("b", &[]), Some(7.0));
        assert_eq!((scrape.value("c", &[]), scrape.value("broken", &[])), (None, None));
        assert!(!scrape.is_of_spillway());
    }

    #[test]
    fn quantiles_are_interpolated_and_end_at_the_last_bound() {
        let histogram = Scrape::read(TEXT).histogram("h").expect("a histogram");
        assert_eq!(histogram.count, 100.0);
        assert!((histogram.quantile(0.5) - 0.1).abs() < 1e-9);
        assert!((histogram.quantile(0.7) - 0.15).abs() < 1e-9);
        assert!((histogram.quantile(0.99) - 0.2).abs() < 1e-9);
        assert!(Histogram { buckets: Vec::new(), count: 0.0 }.quantile(0.5).is_nan());
        assert_eq!(Scrape::default().histogram("h"), None);
    }
}
