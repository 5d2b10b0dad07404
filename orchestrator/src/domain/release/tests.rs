use super::*;
use crate::domain::project;

const SHOP: &str = include_str!("../../../../examples/shop/towline.yaml");

fn choose_from(file: &str, chosen: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
    let project = project::parse(file, "f").unwrap();
    let chosen: Vec<_> = chosen
        .iter()
        .map(|(image, tag)| ((*image).to_owned(), (*tag).to_owned()))
        .collect();
    choose_images(&project, &"stable".parse().unwrap(), &chosen)
        .map(|images| {
            images
                .iter()
                .map(|(key, image)| format!("{key}={}", image.tag))
                .collect()
        })
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn choose(chosen: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
    choose_from(SHOP, chosen)
}

#[test]
fn a_release_holds_every_image_with_its_tag() {
    let images = choose(&[("orders", "1.0.0"), ("web", "v1.2.0")]).unwrap();
    assert_eq!(images, ["web=v1.2.0", "orders=1.0.0", "envoy=v1.31.0"]);
}

#[test]
fn everything_wrong_with_a_choice_is_told_at_once() {
    let faults = choose(&[("web", "0.9.0"), ("envoy", "v2"), ("wep", "1")]).unwrap_err();
    assert_eq!(
        faults,
        [
            "the project has no image wep",
            "image web: tag 0.9.0 breaks the rule range of channel stable: it is not in >=1.0.0",
            "image orders has no tag",
            "image envoy cannot be chosen: the project fixes its tag v1.31.0",
        ]
    );
    let faults = choose(&[("web", "latest"), ("orders", "1.1.0-rc.1")]).unwrap_err();
    assert_eq!(
        faults,
        [
            "image web: tag latest breaks the rule range of channel stable: it is no version, and the range is >=1.0.0",
            "image orders: tag 1.1.0-rc.1 breaks the rule range of channel stable: it is not in >=1.0.0",
        ]
    );
}

#[test]
fn all_rules_of_all_images_are_told_by_name() {
    let file = SHOP.replace(
        r#"rules: { web: ">=1.0.0", orders: ">=1.0.0" }"#,
        r#"rules: { web: "[1.0,2.0)", orders: { range: "[1.0,2.0)", pre_release: "^(rc\\.\\d+)?$", tag: "^v" } }"#,
    );
    assert_ne!(file, SHOP);
    choose_from(&file, &[("web", "1.9.0"), ("orders", "v1.1.0-rc.1")]).unwrap();
    let faults = choose_from(&file, &[("web", "2.0.0"), ("orders", "2.0.0-beta")]).unwrap_err();
    assert_eq!(
        faults,
        [
            "image web: tag 2.0.0 breaks the rule range of channel stable: it is not in [1.0.0,2.0.0)",
            "image orders: tag 2.0.0-beta breaks the rule range of channel stable: it is not in [1.0.0,2.0.0)",
            r#"image orders: tag 2.0.0-beta breaks the rule pre_release of channel stable: "beta" does not match ^(rc\.\d+)?$"#,
            "image orders: tag 2.0.0-beta breaks the rule tag of channel stable: it does not match ^v",
        ]
    );
}

#[test]
fn the_only_channel_need_not_be_named() {
    let project = project::parse(SHOP, "f").unwrap();
    assert_eq!(choose_channel(&project, None).unwrap().as_str(), "stable");
    assert_eq!(choose_channel(&project, Some("")).unwrap().as_str(), "stable");
    let fault = choose_channel(&project, Some("beta")).unwrap_err();
    assert_eq!(
        (fault.to_string().as_str(), fault.hint().as_str()),
        ("the project has no channel beta", "channels: stable")
    );
}

fn found(tags: &[(&str, Option<&str>)]) -> Vec<FoundTag> {
    let tag = |(tag, pushed): &(&str, Option<&str>)| FoundTag {
        tag: tag.parse().unwrap(),
        digest: None,
        pushed: pushed.map(|at| format!("2026-11-{at}T12:00:00Z").parse().unwrap()),
    };
    tags.iter().map(tag).collect()
}

fn newest_of(rules: Option<Rules>, tags: &[FoundTag]) -> Result<String, ChoiceFault> {
    let (channel, image) = ("stable".parse().unwrap(), "web".parse().unwrap());
    newest(
        (&channel, rules.as_ref()),
        &image,
        "registry.example/shop/web",
        tags,
    )
    .map(|tag| tag.tag.to_string())
}

fn range(range: &str) -> Option<Rules> {
    Some(Rules {
        range: Some(range.parse().unwrap()),
        ..Rules::default()
    })
}

#[test]
fn the_newest_tag_is_the_highest_version_that_the_rules_allow() {
    let tags = found(&[
        ("1.9.0", Some("20")),
        ("1.10.0", Some("10")),
        ("2.0.0-rc.1", Some("21")),
        ("2.1.0", Some("22")),
        ("latest", Some("24")),
        ("main-4f2a", Some("23")),
    ]);
    let newest_of = |rules| newest_of(rules, &tags).unwrap();
    assert_eq!(newest_of(None), "2.1.0");
    assert_eq!(newest_of(range("[1.0,2.0)")), "1.10.0");
    assert_eq!(newest_of(range("<1.10")), "1.9.0");
    let candidates = Rules {
        pre_release: Some("^rc".parse().unwrap()),
        ..Rules::default()
    };
    assert_eq!(newest_of(Some(candidates)), "2.0.0-rc.1");
    let by_name = |pattern: &str| Rules {
        tag: Some(pattern.parse().unwrap()),
        ..Rules::default()
    };
    assert_eq!(newest_of(Some(by_name("^(main|latest)"))), "latest");
    assert_eq!(newest_of(Some(by_name("^main-"))), "main-4f2a");
}

#[test]
fn tags_that_are_no_versions_and_equal_versions_are_ordered_by_their_push() {
    let tags = found(&[("main-2", Some("02")), ("main-1", Some("09")), ("main-3", None)]);
    assert_eq!(newest_of(None, &tags).unwrap(), "main-1");
    let tags = found(&[("1.0.0_b", None), ("v1.0.0", Some("02")), ("1.0.0", Some("01"))]);
    assert_eq!(newest_of(None, &tags).unwrap(), "v1.0.0");
    // Without a rule about them, a pre-release is taken only where there is nothing else.
    let tags = found(&[("1.0.0", None), ("1.1.0-rc.1", None)]);
    assert_eq!(newest_of(None, &tags).unwrap(), "1.0.0");
    assert_eq!(newest_of(None, &tags[1..]).unwrap(), "1.1.0-rc.1");
}

#[test]
fn when_no_tag_is_allowed_the_nearest_miss_is_told() {
    let tags = found(&[("0.9.0", None), ("latest", None)]);
    let fault = newest_of(range(">=1.0.0"), &tags).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "image web: none of the 2 tags in registry.example/shop/web is allowed in channel stable; \
         the newest is 0.9.0, which breaks the rule range: it is not in >=1.0.0"
    );
    let none = newest_of(None, &[]).unwrap_err();
    assert!(
        none.to_string()
            .ends_with("none of the 0 tags in registry.example/shop/web is allowed in channel stable")
    );
}

#[test]
fn the_newest_is_wanted_of_images_that_nobody_chose() {
    let project = project::parse(SHOP, "f").unwrap();
    let wanted = |chosen: &[(&str, &str)], named: &[&str], all| {
        let chosen: Vec<_> = chosen
            .iter()
            .map(|(k, t)| ((*k).to_owned(), (*t).to_owned()))
            .collect();
        let named: Vec<_> = named.iter().map(|k| (*k).to_owned()).collect();
        newest_wanted(&project, &chosen, &named, all)
            .map(|keys| keys.iter().map(ToString::to_string).collect::<Vec<_>>())
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(
        wanted(&[("web", "1.0.0")], &["orders"], false).unwrap(),
        ["orders"]
    );
    assert_eq!(wanted(&[("web", "1.0.0")], &[], true).unwrap(), ["orders"]);
    assert_eq!(wanted(&[], &[], true).unwrap(), ["web", "orders"]);
    assert_eq!(
        wanted(&[("web", "1.0.0")], &["web", "envoy", "wep"], false).unwrap_err(),
        [
            "the project has no image wep",
            "image web has the tag 1.0.0, and is to have the newest one",
            "image envoy cannot be chosen: the project fixes its tag v1.31.0",
        ]
    );
}

#[test]
fn an_image_is_resolved_on_the_first_target_that_uses_it() {
    let told = |file: &str| -> Vec<String> {
        let project = project::parse(file, "f").unwrap();
        let origins = origins(&project, &"stable".parse().unwrap());
        let told = |origin: &Origin| format!("{} {} {:?}", origin.image, origin.target, origin.place);
        origins.iter().map(told).collect()
    };
    let ecr = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(
        told(SHOP),
        [
            format!("web 111111111111/eu-west-1/main Repository(\"{ecr}/shop/web\")"),
            "orders 111111111111/eu-west-1/main Running { service: EcsServiceName(\"orders\"), \
             container: ContainerName(\"app\") }"
                .to_owned(),
            format!("envoy 111111111111/eu-west-1/main Repository(\"{ecr}/envoy\")"),
        ]
    );
    let only_prod = SHOP.replace(
        "  web:\n    kind: fargate\n",
        "  web:\n    kind: fargate\n    only_in: [prod]\n",
    );
    assert!(told(&only_prod)[0].starts_with("web 333333333333/eu-west-1/main"));
}

#[test]
fn registries_of_ecr_are_known_by_their_hosts() {
    for repository in [
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/shop/web",
        "111111111111.dkr.ecr-fips.us-gov-west-1.amazonaws.com/web",
        "111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn/web",
        "111111111111.dkr-ecr.eu-west-1.on.aws/web",
    ] {
        assert!(is_ecr(repository), "{repository}");
    }
    for repository in [
        "envoyproxy/envoy",
        "public.ecr.aws/nginx/nginx",
        "localhost:5000/web",
        "ghcr.io/a/b",
    ] {
        assert!(!is_ecr(repository), "{repository}");
    }
}
