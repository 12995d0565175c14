//! Certificates in files.

use spillway_model::UnixMillis;
use spillway_report::text::instant;

use super::level::Level;
use crate::certificates::{Certificate, CertificateFile};
use crate::{Check, Finding, Verdict};

/// Days until it expires: those of the alert.
const DAYS: Level = Level::new(7.0, 1.0);
const DAY_MS: f64 = 86_400_000.0;

/// What a file with certificates comes to.
#[must_use]
pub fn certificate(file: &CertificateFile, read: &Result<Vec<Certificate>, String>, now: UnixMillis) -> Finding {
    let place = format!("{} ({})", file.path.display(), file.setting);
    let certificates = match read {
        Ok(certificates) => certificates,
        Err(reason) => {
            return Finding::new(Check::Certificate, Verdict::Critical, format!("{place} cannot be used: {reason}"))
                .advise(format!(
                    "Correct {}, or put a PEM file there that the gateway's user may read.",
                    file.setting
                ));
        }
    };
    let Some(first) = certificates.iter().min_by_key(|certificate| certificate.expires_at) else {
        return Finding::new(Check::Certificate, Verdict::Critical, format!("{place} holds no certificate"))
            .advise("Put a PEM file there, the server's certificate first, then those of its authorities.");
    };
    let days = first.expires_at.saturating_sub(now) as f64 / DAY_MS;
    let early = certificates.iter().find(|certificate| certificate.valid_from > now);
    let verdict = if early.is_some() { Verdict::Critical } else { DAYS.below(days) };
    let summary = match early {
        Some(early) => format!("{place}: {} is not valid before {}", early.subject, instant(early.valid_from)),
        None if days <= 0.0 => format!("{place}: {} expired at {}", first.subject, instant(first.expires_at)),
        None => format!(
            "{place}: {} is valid for {:.0} days, until {}",
            first.subject,
            days.floor(),
            instant(first.expires_at)
        ),
    };
    let finding = Finding::new(Check::Certificate, verdict, summary).number("days_left", days);
    let lines = certificates.iter().map(|it| format!("{} until {}", it.subject, instant(it.expires_at)));
    let finding = finding.evidence_of(lines.take(10));
    match verdict {
        Verdict::Ok => finding,
        _ if early.is_some() => {
            finding.advise("Look whether this machine's clock is right; if it is, use another certificate.")
        }
        _ => finding
            .advise(
                "Renew it. The gateway reads it when it starts: replace the file, then restart the nodes one by one.",
            )
            .run("Look at the new one:", format!("openssl x509 -enddate -noout -in {}", file.path.display())),
    }
}
