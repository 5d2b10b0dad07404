//! Names that differ from account to account by a word of the stage:
//! `orders-dev` and `orders-prod`.

/// Words that mean the same stage, in the usual order of stages.
const STAGES: [&[&str]; 7] = [
    &["sandbox", "sbx"],
    &["dev", "develop", "development"],
    &["test", "testing", "tst", "ci", "integration"],
    &["qa"],
    &["stg", "stage", "staging", "uat", "acceptance"],
    &["preprod", "preproduction"],
    &["prod", "production", "prd", "live"],
];

/// What may stand around a word.
const SEPARATORS: [char; 4] = ['-', '_', '/', '.'];

/// Where an environment usually stands in a lifecycle; what is not known comes before production.
pub fn rank(environment: &str) -> usize {
    let mut words = environment.split('-');
    let found = words.find_map(|word| STAGES.iter().position(|words| words.contains(&word)));
    // Twice, so that there is room between the last two.
    found.map_or(2 * STAGES.len() - 3, |stage| 2 * stage)
}

/// The words that may stand for a cluster's stage in names, longest first.
pub fn stage_words(environment: &str, agent: &str) -> Vec<String> {
    let mut words = vec![environment.to_owned(), agent.to_owned()];
    for stage in STAGES {
        if environment.split('-').any(|word| stage.contains(&word)) {
            words.extend(stage.iter().map(|word| (*word).to_owned()));
        }
    }
    words.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    words.dedup();
    words
}

/// A name around its word of the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stem {
    pub before: String,
    pub word: String,
    pub after: String,
}

impl Stem {
    /// The name around the first of the words that is in it; `None` when none is, or nothing else is.
    pub fn of(name: &str, words: &[String]) -> Option<Self> {
        words.iter().find_map(|word| {
            let edge = |c: Option<char>| c.is_none_or(|c| SEPARATORS.contains(&c));
            let (start, _) = name.match_indices(word.as_str()).find(|(start, found)| {
                let before = name.get(..*start).and_then(|it| it.chars().next_back());
                let after = name.get(start + found.len()..).and_then(|it| it.chars().next());
                edge(before) && edge(after) && found.len() < name.len()
            })?;
            Some(Self {
                before: name.get(..start)?.to_owned(),
                word: word.clone(),
                after: name.get(start + word.len()..)?.to_owned(),
            })
        })
    }

    /// The name without the word.
    pub fn plain(&self) -> String {
        match (self.before.as_str(), self.after.as_str()) {
            ("", after) => after.trim_start_matches(SEPARATORS).to_owned(),
            (before, after) => format!("{}{after}", before.trim_end_matches(SEPARATORS)),
        }
    }
}

/// The key that a name makes in the file.
pub fn label(name: &str) -> String {
    let mut label: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    while label.contains("--") {
        label = label.replace("--", "-");
    }
    let label: String = label.trim_matches('-').chars().take(60).collect();
    match label.trim_end_matches('-') {
        "" => "unnamed".to_owned(),
        label => label.to_owned(),
    }
}

/// The name that a key makes for a value.
pub fn value_name(key: &str) -> String {
    let name = key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    match name.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{name}"),
        false => name,
    }
}

/// The first of `name`, `name-2`, `name-3` … that is not taken.
pub fn free(name: &str, separator: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    let mut number = 2_u32;
    while taken(&free) {
        free = format!("{name}{separator}{number}");
        number += 1;
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_the_stage_is_found_between_separators_only() {
        let words = stage_words("prod-eu", "agent-7");
        let plain = |name: &str| Stem::of(name, &words).map(|stem| stem.plain());
        assert_eq!(plain("orders-prod-eu").as_deref(), Some("orders"));
        assert_eq!(plain("production_orders").as_deref(), Some("orders"));
        assert_eq!(plain("shop-prd-orders").as_deref(), Some("shop-orders"));
        assert_eq!(plain("products"), None);
        assert_eq!(plain("prod"), None);
    }

    #[test]
    fn stages_come_in_their_usual_order() {
        let mut names = ["prod-eu", "mars", "dev", "staging", "live", "qa"];
        names.sort_by_key(|name| (rank(name), *name));
        assert_eq!(names, ["dev", "qa", "staging", "mars", "live", "prod-eu"]);
    }
}
