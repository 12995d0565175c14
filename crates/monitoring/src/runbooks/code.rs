//! Blocks of code in a page of Markdown, and the commands in them.
//!
//! Needs nothing but the standard library: the tests of every program read it to parse the commands that the pages tell people to type.

use std::io;
use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the opening fence, such as `sh`.
    pub language: String,
    /// The line of the file that its first line is, from 1.
    pub line: u64,
    /// Its lines.
    pub lines: Vec<String>,
}

/// The fenced blocks of a text, in order.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Block)> = None;
    for (n, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        match open.take() {
            None => {
                let ticks: String = trimmed.chars().take_while(|c| *c == '`').collect();
                if ticks.len() >= 3 {
                    let language = trimmed[ticks.len()..].split_whitespace().next().unwrap_or_default().to_owned();
                    open = Some((ticks, Block { language, line: n + 1, lines: Vec::new() }));
                }
            }
            Some((fence, block)) if trimmed.starts_with(&fence) && trimmed.trim_end().bytes().all(|b| b == b'`') => {
                blocks.push(block);
            }
            Some((fence, mut block)) => {
                block.lines.push(line.to_owned());
                open = Some((fence, block));
            }
        }
    }
    blocks
}

/// A command as somebody types it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// The page.
    pub file: PathBuf,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The program's name first. Of a name of several words, such as `cargo xtask slo`, all of them are one word here.
    pub words: Vec<String>,
}

/// Every command of this program in the `sh` blocks of the pages below `folder`. A name may have several words.
///
/// # Errors
/// When a page cannot be read.
pub fn commands(folder: &Path, program: &str) -> io::Result<Vec<Typed>> {
    let name: Vec<&str> = program.split(' ').collect();
    let mut found = Vec::new();
    for file in pages(folder)? {
        let text = std::fs::read_to_string(&file)?;
        for block in blocks(&text).into_iter().filter(|block| block.language == "sh") {
            for (line, command) in simple_commands(&block) {
                let words = command.iter().position(|word| word == name[0]).filter(|at| is_begun(&command[..*at]));
                let words = words.map(|at| &command[at..]).filter(|words| words.len() >= name.len());
                let Some(words) = words.filter(|words| words.iter().zip(&name).all(|(word, part)| word == part)) else {
                    continue;
                };
                let words = std::iter::once(program.to_owned()).chain(words[name.len()..].iter().cloned()).collect();
                found.push(Typed { file: file.clone(), line, words });
            }
        }
    }
    Ok(found)
}

/// What `parse` refuses, each as `FILE:LINE: what is wrong`.
pub fn refused(commands: &[Typed], parse: impl Fn(&[String]) -> Result<(), String>) -> Vec<String> {
    let refused = |Typed { file, line, words }: &Typed| {
        let problem = parse(words).err()?;
        Some(format!("{}:{line}: {}: {}", file.display(), words.join(" "), problem.trim()))
    };
    commands.iter().filter_map(refused).collect()
}

/// Every page below a folder, in the order of their names.
///
/// # Errors
/// When a folder cannot be read.
pub fn pages(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pages.extend(self::pages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Whether a command may begin behind these words: variables, words that run the rest, or what a container is entered with.
fn is_begun(before: &[String]) -> bool {
    const RUNNERS: [&str; 6] = ["sudo", "env", "exec", "time", "watch", "--"];
    before.last().is_none_or(|last| last.contains('=') || RUNNERS.contains(&last.as_str()))
}

/// Commands without pipes and lists: the words of each, and the line on which it begins.
fn simple_commands(block: &Block) -> Vec<(u64, Vec<String>)> {
    let mut commands = Vec::new();
    let mut line = block.line;
    let mut joined = String::new();
    for (n, text) in (block.line..).zip(&block.lines) {
        if joined.is_empty() {
            line = n;
        }
        match text.strip_suffix('\\') {
            Some(part) => {
                joined.push_str(part);
                joined.push(' ');
            }
            None => {
                joined.push_str(text);
                commands.extend(split(&joined).into_iter().map(|words| (line, words)));
                joined.clear();
            }
        }
    }
    commands.extend(split(&joined).into_iter().map(|words| (line, words)));
    commands
}

/// Splits a line of shell at pipes and lists, and each part into words. Quotes are taken off; redirections and comments are left out.
fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut letters = line.chars().peekable();
    let mut is_target = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                let quoted = letters.by_ref().take_while(|c| *c != letter).collect::<String>();
                word.get_or_insert_default().push_str(&quoted);
            }
            '#' if word.is_none() => break,
            ' ' | '\t' | '|' | ';' | '&' | '>' | '<' | '(' | ')' => {
                if let Some(word) = word.take().filter(|_| !std::mem::take(&mut is_target)) {
                    commands.last_mut().into_iter().for_each(|command| command.push(word.clone()));
                }
                match letter {
                    '|' | ';' | '&' | '(' | ')' => commands.push(Vec::new()),
                    '>' | '<' => is_target = true,
                    _ => {}
                }
            }
            letter => word.get_or_insert_default().push(letter),
        }
    }
    if let (Some(word), Some(command)) = (word.filter(|_| !is_target), commands.last_mut()) {
        command.push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}
