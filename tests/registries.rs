//! Registries that are none of Amazon ECR's: Debian's docker-registry, started
//! here on loopback, with a password. A release resolves tags in it through the
//! OCI API, finds the newest, and keeps what a tag held when it moves.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use towline_tests::{
    excluded,
    program::Program,
    world::{Options, World, free_port, shop_file},
};

const PATIENCE: Duration = Duration::from_secs(20);
const REPOSITORY: &str = "mesh/envoy";
const USER: &str = "ann";
const PASSWORD: &str = "s3cret";
/// As `htpasswd -B` writes it.
const HTPASSWD: &str = "ann:$2b$05$KI6h5FV7Z/7iZO279OF8aOnjqaBc/CCgzVRcjxmvYB58g3nzb.YBe\n";
/// `ann:s3cret` in base64.
const BASIC: &str = "YW5uOnMzY3JldA==";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Registry {
    host: String,
    _program: Program,
}

impl Registry {
    fn start(program: &str, directory: &Path) -> Self {
        let host = format!("127.0.0.1:{}", free_port());
        fs::write(directory.join("htpasswd"), HTPASSWD).unwrap();
        let data = directory.join("registry");
        let config = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp: {{ addr: '{host}' }}\n\
             auth: {{ htpasswd: {{ realm: towline, path: {} }} }}\n",
            data.display(),
            directory.join("htpasswd").display(),
        );
        let file = directory.join("registry.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&file);
        let mut program = Program::start("docker-registry", command, &directory.join("registry.log"));
        program.wait_for_line("listening on", 0);
        Self {
            host,
            _program: program,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{REPOSITORY}/{path}", self.host)
    }

    /// Pushes a blob; its digest.
    fn push_blob(&self, content: &str) -> String {
        let began = ureq::post(self.url("blobs/uploads/"))
            .header("Authorization", format!("Basic {BASIC}"))
            .send_empty()
            .unwrap();
        let location = began.headers()["location"].to_str().unwrap().to_owned();
        let digest = digest(content);
        let sign = if location.contains('?') { '&' } else { '?' };
        ureq::put(format!("{location}{sign}digest={digest}"))
            .header("Authorization", format!("Basic {BASIC}"))
            .header("Content-Type", "application/octet-stream")
            .send(content)
            .unwrap();
        digest
    }

    /// Pushes an image of this content under a tag; its digest.
    fn push(&self, tag: &str, content: &str) -> String {
        let config = json!({ "architecture": "amd64", "os": "linux", "author": content }).to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.push_blob(&config),
                "size": config.len(),
            },
            "layers": [],
        })
        .to_string();
        ureq::put(self.url(&format!("manifests/{tag}")))
            .header("Authorization", format!("Basic {BASIC}"))
            .header("Content-Type", MANIFEST)
            .send(manifest.as_str())
            .unwrap();
        digest(&manifest)
    }
}

fn digest(content: &str) -> String {
    use sha2::{Digest as _, Sha256};
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// Tells the orchestrator how to reach the registry, and starts it anew.
fn introduce(world: &mut World, registry: &Registry, password: &str) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let directory = world.path().join("orchestrator");
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let docker = json!({ "auths": { (registry.host.as_str()): { "auth": auth } } });
    fs::write(directory.join("docker.json"), docker.to_string()).unwrap();
    let file = directory.join("towline.toml");
    let text = fs::read_to_string(&file).unwrap();
    let end = text.find("[registry]").expect("a section for registries");
    let section = format!(
        "[registry]\ndocker_config = 'docker.json'\ninsecure = ['{}']\n",
        registry.host
    );
    let rest: String = text[end..]
        .split_once("\n[")
        .map_or(String::new(), |(_, rest)| format!("\n[{rest}"));
    fs::write(file, format!("{}{section}{rest}", &text[..end])).unwrap();
    world.kill_orchestrator();
    world.start_orchestrator();
    world.wait_for_agents();
}

/// The shop with its envoy in the registry; nothing begins by itself.
fn apply(world: &World, registry: &Registry) {
    let text = fs::read_to_string(shop_file()).unwrap();
    let changed = text
        .replace(
            "envoy: { repository: \"${target.registry}/envoy\", tag: v1.31.0 }",
            &format!("envoy: {{ repository: \"{}/{REPOSITORY}\" }}", registry.host),
        )
        .replace("automatic: true", "automatic: false")
        .replace(
            "orders: \">=1.0.0\" }",
            "orders: \">=1.0.0\", envoy: \"[1.31,2.0)\" }",
        );
    assert_ne!(text, changed);
    let file = world.path().join("shop.yaml");
    fs::write(&file, changed).unwrap();
    world.run(["apply", "-f", file.to_str().unwrap()]).expect_code(0);
}

fn envoy(release: &Value) -> &Value {
    let images = release["release"]["images"].as_array().unwrap();
    images.iter().find(|image| image["image"] == "envoy").unwrap()
}

#[test]
fn a_release_resolves_tags_through_the_oci_api() {
    let Some(program) = excluded::program("DOCKER_REGISTRY") else {
        return;
    };
    let mut world = World::start(Options::default());
    let registry = Registry::start(&program, world.path());
    let first = registry.push("v1.31.0", "one");
    registry.push("v2.0.0", "two");
    registry.push("latest", "two");
    introduce(&mut world, &registry, PASSWORD);
    apply(&world, &registry);
    let create = |version: &'static str, tag: &str| {
        let envoy = format!("envoy={tag}");
        let arguments = [
            "release",
            "create",
            "--version",
            version,
            "--image",
            "web=1.0.0",
            "--image",
            "orders=1.0.0",
            "--image",
            envoy.as_str(),
            "--no-wait",
            "--output",
            "json",
        ];
        world.run(arguments)
    };
    // The newest that the rule allows; what ECR holds comes through the agent.
    let created = create("1.0.0", "newest").expect_code(0).json();
    let found = envoy(&created);
    assert_eq!(found["tag"], "v1.31.0");
    assert_eq!(found["digest"], first);
    assert_eq!(found["repository"], format!("{}/{REPOSITORY}", registry.host));
    for image in created["release"]["images"].as_array().unwrap() {
        assert!(
            image["digest"].as_str().unwrap().starts_with("sha256:"),
            "{image}"
        );
    }

    // The tag moves: the release keeps what it held, and it is told.
    let second = registry.push("v1.31.0", "one, but better");
    create("1.0.0", "v1.31.0").expect_code(0);
    towline_tests::wait_for("the moved tag is seen", PATIENCE, || {
        let shown = world.run(["release", "show", "1.0.0", "--output", "json"]);
        let shown = shown.expect_code(0).json();
        assert_eq!(envoy(&shown)["digest"], first);
        let moved = envoy(&shown)["moved"].get(0)?.get("digest")?.clone();
        (moved == second.as_str()).then_some(())
    });
    let shown = world.run(["release", "show", "1.0.0"]).expect_code(0);
    assert!(
        shown.stdout.contains("tag v1.31.0 of envoy has moved"),
        "{}",
        shown.stdout
    );

    let refused = create("1.1.0", "v1.99.0").expect_code(1);
    assert!(refused.stderr.contains("is not there"), "{}", refused.stderr);
    introduce(&mut world, &registry, "wrong");
    let refused = world.run(["release", "create", "--version", "1.2.0", "--newest", "--no-wait"]);
    let refused = refused.expect_code(1);
    assert!(
        refused.stderr.contains("does not let us look"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("docker_config"), "{}", refused.stderr);
}
