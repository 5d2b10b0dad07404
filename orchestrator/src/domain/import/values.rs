//! What differs between targets, as values that the file's texts refer to.

use std::collections::BTreeMap;

use super::names;

/// A text for each of some targets, by their index.
pub type PerTarget = BTreeMap<usize, String>;

/// A text of the file: pieces, some of which are values of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Piece {
    Literal(String),
    Value(String),
}

impl Text {
    pub fn literal(text: &str) -> Self {
        Self::default().and(text)
    }

    pub fn value(name: &str) -> Self {
        Self(vec![Piece::Value(name.to_owned())])
    }

    /// With a literal text behind it.
    pub fn and(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.0.push(Piece::Literal(text.to_owned()));
        }
        self
    }

    pub fn then(mut self, text: Self) -> Self {
        self.0.extend(text.0);
        self
    }

    /// As the file writes it.
    pub fn written(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Literal(text) => text.replace("${", "$${"),
            Piece::Value(name) => format!("${{target.{name}}}"),
        };
        self.0.iter().map(piece).collect()
    }
}

/// The values of all targets, by name, in the order in which they were needed.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(String, PerTarget)>);

impl Values {
    /// A value that many texts share, where they agree: its name is `base`, or
    /// `base_2` … for those that do not agree with the first.
    pub fn share(&mut self, base: &str, texts: &PerTarget) -> String {
        let mut of_base = self.0.iter_mut().filter(|(name, _)| is_of(name, base));
        if let Some((name, known)) = of_base.find(|(_, known)| agree(known, texts)) {
            known.extend(texts.clone());
            return name.clone();
        }
        let taken = |name: &str| self.0.iter().any(|(known, _)| known == name);
        let name = names::free(base, "_", taken);
        self.0.push((name.clone(), texts.clone()));
        name
    }

    /// The value of this base that has exactly these texts on their targets.
    pub fn with(&self, base: &str, texts: &PerTarget) -> Option<&str> {
        let holds = |known: &PerTarget| texts.iter().all(|(target, text)| known.get(target) == Some(text));
        let mut of_base = self.0.iter().filter(|(name, _)| is_of(name, base));
        of_base
            .find(|(_, known)| holds(known))
            .map(|(name, _)| name.as_str())
    }

    /// The values of one target.
    pub fn of(&self, target: usize) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.iter();
        entries.filter_map(move |(name, texts)| Some((name.as_str(), texts.get(&target)?.as_str())))
    }
}

fn is_of(name: &str, base: &str) -> bool {
    let rest = name.strip_prefix(base);
    rest.is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('_')
                .is_some_and(|number| number.parse::<u32>().is_ok())
    })
}

fn agree(known: &PerTarget, texts: &PerTarget) -> bool {
    texts
        .iter()
        .all(|(target, text)| known.get(target).is_none_or(|there| there == text))
}

/// One text for all of the targets, where only a word of the stage differs, or
/// nothing at all.
pub fn common(values: &mut Values, texts: &PerTarget, words: &[Vec<String>]) -> Option<Text> {
    let mut all = texts.values();
    let first = all.next()?;
    if all.all(|text| text == first) {
        return Some(Text::literal(first));
    }
    let mut stages = PerTarget::new();
    let mut around: Option<(String, String)> = None;
    for (target, text) in texts {
        let stem = names::Stem::of(text, words.get(*target)?)?;
        let here = (stem.before, stem.after);
        if around.get_or_insert_with(|| here.clone()) != &here {
            return None;
        }
        stages.insert(*target, stem.word);
    }
    let (before, after) = around?;
    let stage = values.share("stage", &stages);
    Some(Text::literal(&before).then(Text::value(&stage)).and(&after))
}
