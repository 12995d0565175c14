use super::*;

#[test]
fn stat_is_read_past_any_name() {
    let rest = "S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 12 0 987654 1000000 345 18446744073709551615 1";
    for name in ["spillway", "a b", "(sd-pam) S 9", ") R 1 1 ("] {
        let stat = Stat::parse(&format!("4711 ({name}) {rest}"));
        let wanted = Stat { state: 'S', cpu_ticks: 300, threads: 12, started_ticks: 987_654, resident_pages: 345 };
        assert_eq!(stat, Some(wanted), "{name}");
    }
    for wrong in ["", "4711 (x", "4711 (x) S 1 2", "4711 (x) S 1 2 3 4 5 6 7 8 9 10 y 50 0 0 20 0 12 0 1 1 1"] {
        assert_eq!(Stat::parse(wrong), None, "{wrong}");
    }
}
