//! Generates the gRPC code without protoc, and from the same descriptors an
//! enum of all RPCs, so that the table of who may call what must name each.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 15] = [
    "towline/agent/v1/agent.proto",
    "towline/agent/v1/event.proto",
    "towline/agent/v1/image.proto",
    "towline/agent/v1/service.proto",
    "towline/agent/v1/value.proto",
    "towline/orchestrator/v1/audit.proto",
    "towline/orchestrator/v1/backup.proto",
    "towline/orchestrator/v1/deployment.proto",
    "towline/orchestrator/v1/environment.proto",
    "towline/orchestrator/v1/fleet.proto",
    "towline/orchestrator/v1/freeze.proto",
    "towline/orchestrator/v1/notification.proto",
    "towline/orchestrator/v1/project.proto",
    "towline/orchestrator/v1/release.proto",
    "towline/orchestrator/v1/variable.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=towline");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let descriptors = protox::compile(FILES, ["."])?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("rpcs.rs"), rpc_enums(&descriptors)?)?;
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}

fn rpc_enums(descriptors: &prost_types::FileDescriptorSet) -> Result<String, std::fmt::Error> {
    let mut agent = Vec::new();
    let mut orchestrator = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let rpc = (method.name().to_owned(), path);
                match file.package() {
                    "towline.agent.v1" => agent.push(rpc),
                    _ => orchestrator.push(rpc),
                }
            }
        }
    }
    let mut code = String::new();
    write_enum(&mut code, "AgentRpc", "An RPC of `towline.agent.v1`.", &agent)?;
    write_enum(
        &mut code,
        "OrchestratorRpc",
        "An RPC of `towline.orchestrator.v1`.",
        &orchestrator,
    )?;
    Ok(code)
}

fn write_enum(code: &mut String, name: &str, doc: &str, rpcs: &[(String, String)]) -> std::fmt::Result {
    writeln!(
        code,
        "/// {doc}\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum {name} {{"
    )?;
    for (variant, path) in rpcs {
        writeln!(code, "    /// `{path}`\n    {variant},")?;
    }
    writeln!(
        code,
        "}}\n\nimpl {name} {{\n    /// Every RPC, in the order of the files.\n    pub const ALL: &[Self] = &["
    )?;
    for (variant, _) in rpcs {
        writeln!(code, "        Self::{variant},")?;
    }
    writeln!(
        code,
        "    ];\n\n    /// The HTTP/2 path of the RPC.\n    pub fn path(self) -> &'static str {{\n        match self {{"
    )?;
    for (variant, path) in rpcs {
        writeln!(code, "            Self::{variant} => \"{path}\",")?;
    }
    writeln!(
        code,
        "        }}\n    }}\n\n    /// The RPC of an HTTP/2 path.\n    pub fn of_path(path: &str) -> Option<Self> {{\n        Self::ALL.iter().copied().find(|rpc| rpc.path() == path)\n    }}\n}}\n"
    )
}
