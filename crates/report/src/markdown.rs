//! The deployment report: a Markdown file with a section for each run and each rollout.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::text::plain;

const HEADING: &str = "# Deployment report\n";

/// Appends a section to a Markdown file, which is made with a heading when it is not there.
///
/// A reader sees the file with the whole section or without it, also after a crash. Programs that append at the same time wait for each other.
///
/// # Errors
/// When the file cannot be read or its folder cannot be written; then the file is as it was.
pub fn append(path: &Path, section: &str) -> io::Result<()> {
    // A link keeps being one: what it leads to is replaced.
    let path = match std::fs::canonicalize(path) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let guard = File::open(folder)?;
    guard.lock()?;
    let (mut text, permissions) = match std::fs::read(&path) {
        Ok(text) => (text, Some(std::fs::metadata(&path)?.permissions())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => return Err(error),
    };
    if text.iter().all(u8::is_ascii_whitespace) {
        text = HEADING.as_bytes().to_vec();
    }
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(section.as_bytes());
    let draft = Draft::new(folder, &path);
    let mut file = File::create(&draft.0)?;
    file.write_all(&text)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()?;
    std::fs::rename(&draft.0, &path)
}

/// A report with one section more and at most `limit` bytes: the oldest sections are left out first, the new one never.
///
/// A section begins with a heading of the second level.
#[must_use]
pub fn with_section(report: &str, section: &str, limit: usize) -> String {
    const BEGIN: &str = "\n## ";
    let room = limit.saturating_sub(HEADING.len() + section.len() + 2);
    let mut older = report.find(BEGIN).map_or("", |first| &report[first..]).trim_end();
    while older.len() > room {
        older = older.get(1..).and_then(|rest| rest.find(BEGIN)).map_or("", |next| &older[next + 1..]);
    }
    let gap = if older.is_empty() { "" } else { "\n" };
    format!("{HEADING}{older}{gap}\n{}\n", section.trim_end())
}

/// Text of others in a line or a cell, at most 300 characters: nothing in it is markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text, 300).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' | '!' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The new file before it has its name; removed if it never gets it.
struct Draft(PathBuf);

impl Draft {
    fn new(folder: &Path, path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self(folder.join(format!(".{name}.{}.draft", std::process::id())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is not there when it got its name.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_in_memory_keeps_its_newest_sections() {
        let mut report = String::new();
        for n in 0..10 {
            report = with_section(&report, &format!("## run {n}\n\ntext\n"), 120);
        }
        assert!(report.len() <= 120 && report.starts_with(HEADING), "{report}");
        assert!(report.ends_with("\n\n## run 9\n\ntext\n") && report.contains("\n\n## run 8\n"), "{report}");
        assert!(!report.contains("## run 0\n"), "{report}");
        let long = with_section(&report, &format!("## {}\n", "x".repeat(500)), 120);
        assert!(long.contains(&"x".repeat(500)), "the newest one is always there");
    }

    #[test]
    fn sections_follow_each_other_and_nothing_is_lost_when_two_append_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deployment_report.md");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || append(path, &format!("## run {n}\n")).expect("written"));
            }
        });
        let text = std::fs::read_to_string(&path).expect("the report");
        assert!(text.starts_with("# Deployment report\n\n## run "), "{text}");
        assert_eq!(text.matches("\n\n## run ").count(), 8, "{text}");
        assert!(append(&folder.path().join("missing/report.md"), "x").is_err());
    }

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(escape("<b>|[x](y)*"), "&lt;b&gt;\\|\\[x\\](y)\\*");
    }
}
