//! What one window says: the e-values of Turner, Ly & Grünwald 2024 (arXiv 2106.02693), in logarithms.

/// Requests of one slot in one window, and how many of them were bad.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) requests: f64,
    pub(super) bad: f64,
}

/// Both slots in the same window. Neither has zero requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) candidate: Sample,
    pub(super) live: Sample,
}

/// The bad ratios that a test bets on, each strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bet {
    pub(super) candidate: f64,
    pub(super) live: f64,
}

/// A candidate is too bad when its ratio is at least `ratio` times the live one's plus `difference`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    pub(super) ratio: f64,
    pub(super) difference: f64,
}

/// No ratio is nearer to 0 or 1 than this.
const LEAST_RATIO: f64 = 1e-12;
/// Halvings until the projection is found; each is exact to the last bits that matter long before.
const HALVINGS: usize = 60;
/// Width of the bracket, relative, at which the projection is near enough: its error enters the e-value squared.
const NEAR_ENOUGH: f64 = 1e-9;

impl Window {
    /// ln of the e-value against "the candidate is no worse", for a bet that it is. Its e-value has an expectation of at most 1 when both
    /// ratios are equal, whatever they are, or the candidate's is lower.
    pub(super) fn against_no_worse(&self, bet: Bet) -> f64 {
        let (n_c, n_b) = (self.candidate.requests, self.live.requests);
        let pooled = (n_c * bet.candidate + n_b * bet.live) / (n_c + n_b);
        self.candidate.ln_likelihood_ratio(bet.candidate, pooled) + self.live.ln_likelihood_ratio(bet.live, pooled)
    }

    /// ln of the e-value against "the candidate is worse than tolerated", for a bet that it is not. Zero when the bet itself is too bad.
    /// Its e-value has an expectation of at most 1 whenever the candidate is worse than tolerated.
    pub(super) fn against_too_bad(&self, bet: Bet, tolerance: Tolerance) -> f64 {
        match self.projection(bet, tolerance) {
            None => 0.0,
            Some(nearest) => {
                self.candidate.ln_likelihood_ratio(bet.candidate, nearest.candidate)
                    + self.live.ln_likelihood_ratio(bet.live, nearest.live)
            }
        }
    }

    /// The pair of ratios that is just too bad and nearest to the bet: it minimises n_c·KL(candidate) + n_b·KL(live) over
    /// (ρx+ε, x), which is convex in x. `None` when the bet is too bad itself.
    fn projection(&self, bet: Bet, Tolerance { ratio, difference }: Tolerance) -> Option<Bet> {
        if bet.candidate >= ratio * bet.live + difference {
            return None;
        }
        let at = |live: f64| {
            let within = |value: f64| value.clamp(LEAST_RATIO, 1.0 - LEAST_RATIO);
            Bet { candidate: within(ratio * live + difference), live: within(live) }
        };
        let slope = |pair: Bet| {
            let pull = |bet: f64, ratio: f64| (ratio - bet) / (ratio * (1.0 - ratio));
            self.candidate.requests * ratio * pull(bet.candidate, pair.candidate)
                + self.live.requests * pull(bet.live, pair.live)
        };
        let (mut low, mut high) =
            (((bet.candidate - difference) / ratio).max(0.0), bet.live.min((1.0 - difference) / ratio));
        for _ in 0..HALVINGS {
            if high - low <= NEAR_ENOUGH * high {
                break;
            }
            let middle = f64::midpoint(low, high);
            if slope(at(middle)) < 0.0 { low = middle } else { high = middle }
        }
        Some(at(f64::midpoint(low, high)))
    }
}

impl Sample {
    /// ln of the sample's likelihood at `ratio` over that at `reference`.
    fn ln_likelihood_ratio(&self, ratio: f64, reference: f64) -> f64 {
        self.bad * (ratio / reference).ln()
            + (self.requests - self.bad) * ((reference - ratio) / (1.0 - reference)).ln_1p()
    }
}

/// ln of the weighted mean of e-values that are given as (weight, ln); zero, no evidence, without any.
pub(super) fn ln_mean(values: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let largest = values.clone().map(|(_, ln_e)| ln_e).fold(f64::NEG_INFINITY, f64::max);
    let (sum, weights) = values
        .fold((0.0, 0.0), |(sum, weights), (weight, ln_e)| (sum + weight * (ln_e - largest).exp(), weights + weight));
    if weights > 0.0 { largest + (sum / weights).ln() } else { 0.0 }
}

/// ln(eᵃ + eᵇ).
pub(super) fn ln_sum(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}
