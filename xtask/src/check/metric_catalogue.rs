//! The page about metrics is what the program says about itself.

use xshell::{Shell, cmd};

use crate::failure::{Failure, Result};

const PAGE: &str = "runbooks/metrics.md";

/// Compares the page with the output of `spillway metrics --markdown`, or rewrites it.
pub(super) fn check(sh: &Shell, fix: bool) -> Result<()> {
    let catalogue =
        cmd!(sh, "cargo run --quiet --package spillway-gateway --bin spillway -- metrics --markdown").read()?;
    if catalogue.trim().is_empty() {
        return Err(Failure::new("`spillway metrics --markdown` printed nothing"));
    }
    let page = sh.read_file(PAGE).unwrap_or_default();
    let Some(line) = first_difference(&page, &catalogue) else { return Ok(()) };
    if fix {
        sh.write_file(PAGE, format!("{}\n", catalogue.trim_end()))?;
        eprintln!("rewrote {PAGE}");
        return Ok(());
    }
    Err(Failure::new(format!(
        "{PAGE} differs from the metrics in the code at line {line}: run `cargo xtask check --fix`"
    )))
}

/// Number of the first line, from 1, that is not the same in both. Blank space at the end of the texts does not count.
fn first_difference(page: &str, catalogue: &str) -> Option<usize> {
    let (page, catalogue) = (page.trim_end(), catalogue.trim_end());
    if page == catalogue {
        return None;
    }
    let n_equal = page.lines().zip(catalogue.lines()).take_while(|(left, right)| left == right).count();
    Some(n_equal + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn first_different_line_is_found() {
        assert_eq!(first_difference("a\nb\n", "a\nb"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }
}
