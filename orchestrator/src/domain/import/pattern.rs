//! Patterns of names: `*` stands for any characters, `?` for one.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    pub fn of(text: &str) -> Self {
        Self(text.chars().collect())
    }

    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut in_name) = (0, 0);
        // Where to go on when what follows the last star does not fit.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at, in_name));
                    at += 1;
                }
                Some(wanted) if *wanted == '?' || name.get(in_name) == Some(wanted) => {
                    at += 1;
                    in_name += 1;
                }
                _ => match star {
                    Some((after, from)) => {
                        star = Some((after, from + 1));
                        at = after + 1;
                        in_name = from + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0.iter().skip(at).all(|rest| *rest == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let matches = |pattern: &str, name| Glob::of(pattern).matches(name);
        assert!(matches("shop-*", "shop-orders") && matches("*", "") && matches("a*b*c", "a-b-b-c"));
        assert!(matches("orders-?", "orders-1") && matches("*-web", "a-web-web"));
        assert!(
            !matches("shop-*", "ship-orders") && !matches("orders-?", "orders-12") && !matches("a", "ab")
        );
    }
}
