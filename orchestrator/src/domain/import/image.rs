//! Image references, as far as an import looks into them.

/// A reference in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Empty for Docker Hub.
    pub registry: String,
    pub path: String,
    pub tag: Option<String>,
}

impl Reference {
    pub fn of(text: &str) -> Self {
        let (name, _digest) = text.split_once('@').unwrap_or((text, ""));
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let colon = name.get(last..).and_then(|it| it.find(':')).map(|at| last + at);
        let (repository, tag) = match colon {
            Some(colon) => (name.get(..colon).unwrap_or(name), name.get(colon + 1..)),
            None => (name, None),
        };
        let (registry, path) = match repository.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => ("", repository),
        };
        // Without a tag and a digest it is `latest`; a digest counts more than a tag.
        let tag = match (tag, text.contains('@')) {
            (_, true) => None,
            (None, false) => Some("latest"),
            (tag, false) => tag,
        };
        Self {
            registry: registry.to_owned(),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
        }
    }

    /// Without its tag.
    pub fn repository(&self) -> String {
        match self.registry.as_str() {
            "" => self.path.clone(),
            registry => format!("{registry}/{}", self.path),
        }
    }
}

/// Whether a registry is an account's own in ECR: what is in there is the user's.
pub fn is_own(registry: &str) -> bool {
    let digits = registry.bytes().take_while(u8::is_ascii_digit).count();
    digits == 12 && registry.contains(".dkr.ecr.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_all_forms() {
        let parts = |text: &str| {
            let it = Reference::of(text);
            (it.registry, it.path, it.tag.unwrap_or_default())
        };
        let of =
            |registry: &str, path: &str, tag: &str| (registry.to_owned(), path.to_owned(), tag.to_owned());
        assert_eq!(parts("nginx"), of("", "nginx", "latest"));
        assert_eq!(parts("library/nginx:1.27"), of("", "library/nginx", "1.27"));
        assert_eq!(parts("localhost:5000/a/b:1"), of("localhost:5000", "a/b", "1"));
        let own = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(
            parts(&format!("{own}/shop/web@sha256:00")),
            of(own, "shop/web", "")
        );
        assert!(is_own(own) && !is_own("public.ecr.aws"));
    }
}
