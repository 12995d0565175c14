//! Secrets by reference.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use spillway_model::Secret;

use crate::{Environment, SettingsError};

/// Larger files are no secrets.
const MAX_SECRET_FILE_BYTES: u64 = 64 * 1024;

/// Whether the secret is `env:NAME` or `file:PATH`, and so may be shown.
#[must_use]
pub fn is_secret_reference(secret: &Secret) -> bool {
    secret.expose().starts_with("env:") || secret.expose().starts_with("file:")
}

/// The secret itself: the value of the variable for `env:NAME`, the content of the file for `file:PATH` without one
/// trailing newline, and any other text as it is. A file is read anew each time, at most 64 KiB of UTF-8.
///
/// Whoever may choose the reference may read any variable and file of this process: resolve only what an operator or an
/// administrator wrote.
///
/// # Errors
/// [`SettingsError::SecretVariableMissing`] and [`SettingsError::SecretFileUnreadable`], also when the variable or the
/// file is empty.
pub fn resolve_secret(secret: &Secret, environment: &Environment) -> Result<Secret, SettingsError> {
    let text = secret.expose();
    if let Some(name) = text.strip_prefix("env:") {
        let value = environment.get(name);
        value.map(Secret::new).ok_or_else(|| SettingsError::SecretVariableMissing { name: name.to_owned() })
    } else if let Some(path) = text.strip_prefix("file:") {
        read_secret_file(Path::new(path))
            .map_err(|source| SettingsError::SecretFileUnreadable { path: path.into(), source })
    } else {
        Ok(secret.clone())
    }
}

fn read_secret_file(path: &Path) -> io::Result<Secret> {
    let text = read_bounded(path, MAX_SECRET_FILE_BYTES)?;
    let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(Secret::new(text))
}

/// The file's text, if it is UTF-8 of at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is larger than {limit} bytes")));
    }
    Ok(text)
}
