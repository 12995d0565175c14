//! YAML with lines.

use granit_parser::{Event, Parser, Span};

use crate::manifests::object::Step;

/// Deeper is no manifest.
const MOST_DEPTH: usize = 64;

/// A value, and the line that it begins on, from 1.
#[derive(Debug, Clone)]
pub(super) struct Node {
    line: usize,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    /// Key, the key's line, value.
    Fields(Vec<(String, usize, Node)>),
    Items(Vec<Node>),
    /// What stands in another place.
    Alias,
}

/// The documents of a text; those after one that is no YAML are left out. Lines count from `before`.
pub(super) fn parse(text: &str, before: usize) -> Vec<Node> {
    let mut reader = Reader { parser: Parser::new_from_str(text), before };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next() {
        if matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)) {
            match reader.node(event, span, 0) {
                Some(node) => documents.push(node),
                None => break,
            }
        }
    }
    documents
}

impl Node {
    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.field(key).map(|(_, node)| node)
    }

    /// Of a list; nothing of anything else.
    pub(super) fn items(&self) -> impl Iterator<Item = &Self> {
        let items = match &self.content {
            Content::Items(items) => items.as_slice(),
            _ => &[],
        };
        items.iter()
    }

    /// How many steps of a path there are, and the line where the last of them begins.
    pub(super) fn follow(&self, path: &[(Step, Option<String>)]) -> (usize, usize) {
        let (mut at, mut line) = (self, self.line);
        for (depth, (step, name)) in path.iter().enumerate() {
            let next = match step {
                Step::Key(key) => at.field(key),
                Step::Index(index) => at.item(*index, name.as_deref()).map(|node| (node.line, node)),
            };
            let Some((at_line, node)) = next else { return (depth, line) };
            (at, line) = (node, at_line);
        }
        (path.len(), line)
    }

    fn field(&self, wanted: &str) -> Option<(usize, &Self)> {
        let Content::Fields(fields) = &self.content else { return None };
        fields.iter().find(|(key, ..)| key == wanted).map(|(_, line, node)| (*line, node))
    }

    fn item(&self, index: usize, name: Option<&str>) -> Option<&Self> {
        let named = |node: &&Self| node.get("name").and_then(Self::text) == name;
        match name {
            Some(_) => self.items().find(named),
            None => self.items().nth(index),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    before: usize,
}

impl<'a> Reader<'a> {
    /// The next event that is no comment.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            let (event, span) = self.parser.next_event()?.ok()?;
            if !matches!(event, Event::Comment(..)) {
                return Some((event, span));
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Option<Node> {
        if depth > MOST_DEPTH {
            return None;
        }
        let content = match event {
            Event::Scalar(text, ..) => Content::Text(text.into_owned()),
            Event::Alias(_) => Content::Alias,
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Content::Items(items),
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut fields = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if matches!(event, Event::MappingEnd) {
                        break Content::Fields(fields);
                    }
                    let key = self.node(event, span, depth + 1)?;
                    let (event, span) = self.next()?;
                    let value = self.node(event, span, depth + 1)?;
                    fields.push((key.text().unwrap_or_default().to_owned(), key.line, value));
                }
            }
            _ => return None,
        };
        Some(Node { line: self.before + span.start.line(), content })
    }
}
