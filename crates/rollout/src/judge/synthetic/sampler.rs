//! Seeded random numbers.

/// A stream of random numbers: SplitMix64. For simulations only.
#[derive(Debug, Clone)]
pub struct Sampler(u64);

/// Expected counts below this are drawn by the gaps between them; above, by rejection.
const FEW: f64 = 10.0;

impl Sampler {
    /// Stream number `stream` of this seed. Streams of one seed have nothing to do with each other.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GAMMA)) ^ mix(stream.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1))))
    }

    /// Uniform between 0 and 1, without either.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GAMMA);
        ((mix(self.0) >> 11) as f64 + 0.5) * (-53f64).exp2()
    }

    /// How many of `n` happen, each with probability `p`, which is taken as within 0 and 1.
    pub fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p.is_nan() || p <= 0.0 {
            0
        } else if p >= 1.0 {
            n
        } else if p > 0.5 {
            n - self.binomial(n, 1.0 - p)
        } else if n as f64 * p < FEW {
            self.few(n, p)
        } else {
            self.many(n as f64, p) as u64
        }
    }

    /// By geometric gaps.
    fn few(&mut self, n: u64, p: f64) -> u64 {
        let ln_rest = (-p).ln_1p();
        let (mut count, mut place) = (0, 0.0);
        loop {
            place += (self.uniform().ln() / ln_rest).ceil();
            if place > n as f64 {
                return count;
            }
            count += 1;
        }
    }

    /// Transformed rejection with squeeze: algorithm BTRS of Hörmann 1993, "The generation of binomial random variates".
    fn many(&mut self, n: f64, p: f64) -> f64 {
        let deviation = (n * p * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * deviation;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let centre = n * p + 0.5;
        let squeeze = 0.92 - 4.2 / b;
        let odds = p / (1.0 - p);
        let alpha = (2.83 + 5.1 / b) * deviation;
        let mode = ((n + 1.0) * p).floor();
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + centre).floor();
            if us >= 0.07 && v <= squeeze {
                return k;
            }
            if k < 0.0 || k > n {
                continue;
            }
            let v = (v * alpha / (a / (us * us) + b)).ln();
            let bound = (mode + 0.5) * ((mode + 1.0) / (odds * (n - mode + 1.0))).ln()
                + (n + 1.0) * ((n - mode + 1.0) / (n - k + 1.0)).ln()
                + (k + 0.5) * (odds * (n - k + 1.0) / (k + 1.0)).ln()
                + stirling_rest(mode)
                + stirling_rest(n - mode)
                - stirling_rest(k)
                - stirling_rest(n - k);
            if v <= bound {
                return k;
            }
        }
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What Stirling's formula leaves of ln k!.
fn stirling_rest(k: f64) -> f64 {
    const SMALL: [f64; 10] = [
        0.081_061_466_795_327_8,
        0.041_340_695_955_409_3,
        0.027_677_925_684_998_3,
        0.020_790_672_103_765_1,
        0.016_644_691_189_821_2,
        0.013_876_128_823_070_7,
        0.011_896_709_945_891_8,
        0.010_411_265_261_972_1,
        0.009_255_462_182_712_73,
        0.008_330_563_433_362_87,
    ];
    if k <= 9.0 {
        return SMALL[k as usize];
    }
    let square = (k + 1.0) * (k + 1.0);
    (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of a binomial, by both ways of drawing and through the mirror at one half.
    #[test]
    fn counts_have_mean_and_variance_of_a_binomial() {
        for (n, p) in [(75, 0.003), (750, 0.001), (75, 0.3), (750, 0.1), (6_750, 0.03), (100, 0.9), (12, 0.5)] {
            let mut sampler = Sampler::new(7, n);
            const DRAWS: usize = 40_000;
            let draws: Vec<f64> = (0..DRAWS).map(|_| sampler.binomial(n, p) as f64).collect();
            let mean = draws.iter().sum::<f64>() / DRAWS as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / DRAWS as f64;
            let (expected_mean, expected_variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
            let error = (expected_variance / DRAWS as f64).sqrt();
            assert!((mean - expected_mean).abs() < 4.5 * error, "{n} {p}: mean {mean}");
            assert!((variance / expected_variance - 1.0).abs() < 0.05, "{n} {p}: variance {variance}");
        }
    }

    #[test]
    fn the_edges_are_certain() {
        let mut sampler = Sampler::new(1, 1);
        assert_eq!([(0, 0.5), (9, 0.0), (9, -1.0), (9, f64::NAN)].map(|(n, p)| sampler.binomial(n, p)), [0; 4]);
        assert_eq!([(9, 1.0), (9, 2.0)].map(|(n, p)| sampler.binomial(n, p)), [9; 2]);
    }

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let first = |seed, stream| Sampler::new(seed, stream).uniform();
        assert!(first(1, 1) == first(1, 1) && first(1, 1) != first(1, 2) && first(1, 1) != first(2, 1));
    }
}
