//! The bucket of a region that templates go through which CloudFormation does not
//! take in a request.

/// Where templates lie in a bucket, when the file does not say.
pub(super) const USUAL_PREFIX: &str = "towline/";

/// A key has at most 1,024 bytes; a stack's name and a hash follow the prefix.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const LONGEST_PREFIX: usize = 512;

/// A bucket and the place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateBucket {
    /// The bucket's name; it lies in the region that it is written for.
    pub name: String,
    /// What every key begins with; may be empty.
    pub prefix: String,
}

/// What a bucket's name breaks, if anything.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_well = |end: Option<u8>| end.is_some_and(plain);
    let reserved = ["xn--", "sthree-", "amzn-s3-demo-"];
    let of_others = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    if !(3..=63).contains(&name.len()) {
        Some("is no bucket's name: they have 3 to 63 characters")
    } else if !name.bytes().all(|b| plain(b) || b == b'.' || b == b'-') {
        Some("is no bucket's name: they have small letters, digits, dots and hyphens only")
    } else if !ends_well(name.bytes().next()) || !ends_well(name.bytes().next_back()) {
        Some("is no bucket's name: they begin and end with a letter or a digit")
    } else if name.contains("..") {
        Some("is no bucket's name: two dots in a row")
    } else if name.parse::<std::net::Ipv4Addr>().is_ok() {
        Some("is an IP address")
    } else if reserved.iter().any(|start| name.starts_with(start))
        || of_others.iter().any(|end| name.ends_with(end))
    {
        Some("is no general purpose bucket's name: AWS keeps it for something else")
    } else {
        None
    }
}

/// What a prefix breaks, if anything. Only characters that stand for themselves in
/// a URL, so that nobody has to escape one.
pub(super) fn prefix_fault(prefix: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    if prefix.len() > LONGEST_PREFIX {
        Some("is longer than 512 characters")
    } else if !prefix.bytes().all(plain) {
        Some("has other characters than letters, digits and - _ . /")
    } else if prefix.starts_with('/') || prefix.contains("//") {
        Some("has an empty part: it begins with no slash and has no two in a row")
    } else if prefix.split('/').any(|part| part == "." || part == "..") {
        Some("has a part . or .., which a URL would lose")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_named_by_amazons_rules() {
        for name in ["abc", "shop-towline-templates", "a.b.c", "1a1", &"x".repeat(63)] {
            assert_eq!(name_fault(name), None, "{name}");
        }
        let long = "x".repeat(64);
        let bad = [
            "ab",
            &long,
            "Shop",
            "shop_templates",
            "-shop",
            "shop.",
            "a..b",
            "192.168.5.4",
            "xn--shop",
            "shop--x-s3",
            "arn:aws:s3:::shop",
            "s3://shop",
            "",
        ];
        for name in bad {
            assert!(name_fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_prefix_needs_no_escaping() {
        for prefix in ["", "towline/", "a/b_c.d/e-"] {
            assert_eq!(prefix_fault(prefix), None, "{prefix}");
        }
        for prefix in ["/a", "a//b", "a b/", "a/../b", "ü/", &"x".repeat(513)] {
            assert!(prefix_fault(prefix).is_some(), "{prefix}");
        }
    }
}
