//! Whether two releases are the same but for their names and times: asked for
//! twice, a release is there once.

use super::Release;

/// Something in which two releases differ, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference(pub String);

/// In what a release that is there differs from one that is asked for. A tag
/// that has moved since is no difference: the release keeps what it holds.
pub fn differences(there: &Release, asked: &Release) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut differs = |what: &str, there: &str, asked: &str| {
        if there != asked {
            all.push(Difference(format!(
                "{what} {} instead of {}",
                named(there),
                named(asked)
            )));
        }
    };
    differs("channel", there.channel.as_str(), asked.channel.as_str());
    for (key, image) in &asked.images {
        let tag = there.images.get(key).map(|image| image.tag.to_string());
        differs(
            &format!("image {key}"),
            &tag.unwrap_or_default(),
            image.tag.as_str(),
        );
    }
    let version = |release: &Release| release.project_version.to_string();
    differs("project version", &version(there), &version(asked));
    differs("notes", &there.notes, &asked.notes);
    differs("build", &there.build_url, &asked.build_url);
    differs("commit", &there.commit, &asked.commit);
    all
}

fn named(text: &str) -> String {
    match text {
        "" => "none".to_owned(),
        text if text.len() > 60 => "another text".to_owned(),
        text => text.to_owned(),
    }
}
