//! The deployment report: a file with a section for each run.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::RunSummary;
use super::markdown::section;

const HEADING: &str = "# Deployment report\n";

/// Appends the run to a Markdown file, which is made with a heading when it is not there.
///
/// A reader sees the file with the whole section or without it, also after a crash. Runs that end at the same time wait for each other.
///
/// # Errors
/// When the file cannot be read or its folder cannot be written; then the file is as it was.
pub fn append_markdown(path: &Path, summary: &RunSummary) -> io::Result<()> {
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
    text.extend_from_slice(section(summary).as_bytes());
    let draft = Draft::new(folder, &path);
    let mut file = File::create(&draft.0)?;
    file.write_all(&text)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.sync_all()?;
    std::fs::rename(&draft.0, &path)
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
