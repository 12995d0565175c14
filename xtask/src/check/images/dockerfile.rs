//! Rules of the Dockerfile: a target for each program, bases that cannot change under us, no root.

const TARGETS: [&str; 3] = ["gateway", "loadgen", "rollout-controller"];

/// One sentence for each, with the line where there is one.
pub(super) fn violations(text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let mut say = |line: usize, what: &str| violations.push(format!("{}:{line}: {what}", super::DOCKERFILE));
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        let default = line.strip_prefix("ARG ").and_then(|argument| argument.split_once('='));
        let is_stage = |name: &str| stages(text).any(|stage| stage == name);
        if let Some((name, _)) = default.filter(|(name, image)| name.ends_with("_IMAGE") && !is_stage(image)) {
            say(
                number,
                &format!("the default of {name} is no stage of this file, where its digest is kept up to date"),
            );
        }
        let base = line.strip_prefix("FROM ").and_then(|from| from.split_whitespace().next());
        if let Some(base) = base.filter(|base| !base.contains("${") && !is_stage(base) && !is_pinned(base)) {
            say(number, &format!("{base} can change: write IMAGE:TAG@sha256:DIGEST"));
        }
        if line.strip_prefix("USER ").is_some_and(|user| !user.split(':').all(is_number_of_nobody_special)) {
            say(number, "USER takes numbers, and not 0, so that Kubernetes can see that it is not root");
        }
    }
    for target in TARGETS.iter().filter(|target| !stages(text).any(|stage| stage == **target)) {
        say(1, &format!("there is no target {target}"));
    }
    if !text.lines().any(|line| line.starts_with("USER ")) {
        say(1, "there is no USER: the images would run as root");
    }
    let has_check = |line: &&str| line.trim_start().starts_with("HEALTHCHECK") && !line.contains("NONE");
    if !text.lines().any(|line| has_check(&line)) {
        say(1, "the gateway has no HEALTHCHECK");
    }
    violations
}

fn is_number_of_nobody_special(id: &str) -> bool {
    id.parse::<u32>().is_ok_and(|id| id != 0)
}

/// A tag and a digest.
fn is_pinned(image: &str) -> bool {
    let Some((name, digest)) = image.split_once("@sha256:") else { return false };
    name.contains(':') && digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn stages(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| Some(line.strip_prefix("FROM ")?.split_once(" AS ")?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::violations;

    const GOOD: &str = include_str!("../../../../infra/docker/Dockerfile");

    #[test]
    fn ours_is_good() {
        assert_eq!(violations(GOOD), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("bookworm@sha256:", "bookworm@sha512:", "can change: write IMAGE:TAG@sha256:"),
            ("RUST_IMAGE=pinned-rust", "RUST_IMAGE=rust:1", "the default of RUST_IMAGE is no stage"),
            ("USER 65532:65532", "USER nonroot", "USER takes numbers"),
            ("USER 65532:65532", "USER 0:0", "USER takes numbers"),
            ("USER 65532:65532", "", "there is no USER"),
            ("FROM runtime AS loadgen", "FROM debian:12 AS loadgen", "debian:12 can change"),
            ("AS rollout-controller\n", "AS controller\n", "there is no target rollout-controller"),
            ("HEALTHCHECK --interval", "# ", "the gateway has no HEALTHCHECK"),
        ];
        for (good, bad, says) in cases {
            assert!(GOOD.contains(good), "{good}");
            let found = violations(&GOOD.replace(good, bad));
            assert!(found.iter().any(|violation| violation.contains(says)), "{bad}: {found:?}");
            assert!(found.iter().all(|violation| violation.starts_with("infra/docker/Dockerfile:")), "{found:?}");
        }
    }
}
