use super::*;
use crate::people::sample;

/// No line is wider than the terminal, and none ends with blanks.
fn screen(view: &View) -> String {
    for width in [72, 80, 120] {
        for line in render(view, width, false).lines() {
            assert!(line.chars().count() <= width, "{} columns of {width}: {line}", line.chars().count());
            assert_eq!(line, line.trim_end());
        }
    }
    render(view, 80, false)
}

#[test]
fn a_good_rollout_shows_where_it_is_and_what_it_is_judged_by() {
    insta::assert_snapshot!(screen(&sample::good()));
}

#[test]
fn a_failed_rollout_says_why_first() {
    insta::assert_snapshot!(screen(&sample::failed()));
}

#[test]
fn a_held_rollout_says_what_to_do() {
    insta::assert_snapshot!(screen(&sample::held()));
}

#[test]
fn a_promoted_version_is_watched() {
    insta::assert_snapshot!(screen(&sample::promoted()));
}

#[test]
fn nothing_was_seen_yet() {
    insta::assert_snapshot!(screen(&sample::no_data()));
}

#[test]
fn the_first_line_is_the_verdict() {
    for (view, first) in [
        (sample::good(), "▶ progressing: v1.5.0 has 25 % of the traffic, 1 of 7 guards without evidence"),
        (sample::failed(), "✗ rolled back: v1.4.0 has all traffic again; errors of v1.5.0 are proven worse:"),
        (sample::held(), "! held: step 2 ended without enough evidence: errors-compared, latency-compared"),
        (sample::paused(), "‖ paused: v1.5.0 has 25 % of the traffic"),
        (sample::frozen(), "! frozen: the error budget `budget` is spent: 104 % of 30d (v1.5.0 has 25 % of"),
        (sample::promoted(), "✓ promoted: v1.5.0 is live and watched for 48m more"),
        (sample::no_data(), "– idle: nothing was seen of it yet"),
    ] {
        assert_eq!(screen(&view).lines().next(), Some(first));
    }
}

#[test]
fn an_exception_from_the_freeze_is_told_and_ends_the_frozen_state() {
    let mut view = sample::frozen();
    view.state.held = None;
    view.state.override_until = Some(view.at + 7_200_000);
    let text = screen(&view);
    assert!(text.starts_with("▶ progressing"), "{text}");
    assert!(text.contains("a frozen budget holds nothing for 2h more"), "{text}");
}

#[test]
fn colour_changes_nothing_but_the_colour() {
    for view in [sample::good(), sample::failed(), sample::held()] {
        let coloured = render(&view, 80, true);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), render(&view, 80, false));
    }
}

#[test]
fn text_of_others_neither_commands_the_terminal_nor_breaks_lines() {
    let evil = "\u{1b}[2J\u{7}evil\nname".repeat(40);
    let mut view = sample::failed();
    view.name.clone_from(&evil);
    view.troubles = vec![evil.clone(); 50];
    view.guards[2].name.clone_from(&evil);
    view.state.live_revision = Some(evil.clone());
    if let Some(rollout) = &mut view.state.rollout {
        rollout.revision.clone_from(&evil);
        rollout.failure = Some(evil.clone());
        rollout.gates[0].summary.clone_from(&evil);
        rollout.gates[0].name = evil;
    }
    let text = screen(&view);
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    assert!(text.lines().count() < 80, "{text}");
}

#[test]
fn a_pipe_is_told_what_is_new() {
    let view = sample::good();
    let all = happened(&view, None);
    assert_eq!(all[0], "11:36:00  v1.5.0 is rolled out in green; v1.4.0 stays live in blue.");
    assert_eq!(happened(&view, Some(view.state.history[2].at)).len(), 2);
    assert!(line_of(&view).starts_with("12:00:00  ▶ progressing"), "{}", line_of(&view));
    assert!(line_of(&view).ends_with(", 18m left"), "{}", line_of(&view));
}
