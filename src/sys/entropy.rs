//! Random numbers: from the kernel in production, from a seed in tests and simulations.

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Entropy(u64);

impl Entropy {
    /// Seeded by the kernel; by the process id where the kernel gives nothing (early boot).
    pub fn from_system() -> Self {
        Self(getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
    }

    /// The same numbers for the same seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (SplitMix64: Steele, Lea and Flood, 2014). Not for keys or tokens.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero when `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// One of `items`; none when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        items.get(index)
    }
}

/// 32 bytes from the kernel that nobody can guess: for keys.
///
/// # Errors
/// The kernel gives none.
pub fn secret() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_the_bound() {
        let mut one = Entropy::from_seed(7);
        let mut other = Entropy::from_seed(7);
        for bound in 1..200 {
            let number = one.below(bound);
            assert_eq!(number, other.below(bound));
            assert!(number < bound);
        }
        assert_eq!(one.below(0), 0);
    }
}
