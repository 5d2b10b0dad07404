//! A whole installation on loopback: the simulated AWS, an orchestrator, and
//! the three agents of the shop example, joined as a person would join them.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    cli::{Ran, line_of},
    program::{Program, binary},
    proxy::Proxy,
    sim::Sim,
    wait_for,
};

/// The agents of the shop: name, AWS account, what it serves, whether it listens.
pub const AGENTS: [AgentPlan; 3] = [
    AgentPlan {
        name: "dev",
        account: "111111111111",
        serves: &["eu-west-1/main"],
        listens: false,
    },
    AgentPlan {
        name: "staging",
        account: "222222222222",
        serves: &["eu-west-1/main"],
        listens: true,
    },
    AgentPlan {
        name: "prod",
        account: "333333333333",
        serves: &["eu-west-1/main", "eu-central-1/main"],
        listens: false,
    },
];

/// Stands for the process id of the first agent in an argument of `towline serve`.
pub const AGENT_PID: &str = "AGENT-PID";

/// One agent of the installation.
#[derive(Clone, Copy, Debug)]
pub struct AgentPlan {
    pub name: &'static str,
    pub account: &'static str,
    pub serves: &'static [&'static str],
    pub listens: bool,
}

/// How an installation differs from the usual one.
#[derive(Clone, Debug)]
pub struct Options {
    /// Simulated seconds per second.
    pub speed: u32,
    /// Print each command before it runs.
    pub narrate: bool,
    /// Lines for every agent's `agent.toml`.
    pub agent_extra: String,
    /// Arguments for `towline serve`.
    pub serve_arguments: Vec<String>,
    /// The agents that there may be; those of the shop by default.
    pub fleet: Vec<AgentPlan>,
    /// Names of agents that are joined; all by default.
    pub agents: Vec<&'static str>,
    /// Another world than the shop's.
    pub seed: Option<PathBuf>,
    /// Names of agents whose link goes through a proxy that the test can cut.
    pub proxied: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 40,
            narrate: false,
            agent_extra: String::new(),
            serve_arguments: Vec::new(),
            fleet: AGENTS.to_vec(),
            agents: AGENTS.iter().map(|agent| agent.name).collect(),
            seed: None,
            proxied: Vec::new(),
        }
    }
}

/// A running installation.
#[derive(Debug)]
pub struct World {
    // Fields are dropped in this order: agents and orchestrator before their AWS.
    pub agents: Vec<Agent>,
    pub orchestrator: Option<Program>,
    pub sim: Sim,
    pub address: String,
    options: Options,
    directory: Directory,
}

/// An agent that has joined.
#[derive(Debug)]
pub struct Agent {
    pub plan: AgentPlan,
    pub program: Option<Program>,
    /// Where it listens, when it does.
    pub listen: Option<String>,
    /// What its link goes through, when the test asked for it.
    pub proxy: Option<Proxy>,
}

#[derive(Debug)]
enum Directory {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The top of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the repository")
        .to_owned()
}

/// The example project that the demo and the tests release.
pub fn shop_file() -> PathBuf {
    repository().join("examples/shop/towline.yaml")
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("an address")
        .port()
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the directory can be made");
    for entry in fs::read_dir(from).expect("the directory can be listed").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

impl World {
    /// Starts everything in a temporary directory and applies the shop.
    pub fn start(options: Options) -> Self {
        let directory = Directory::Temporary(tempfile::tempdir().expect("a temporary directory"));
        Self::start_in(directory, options)
    }

    /// The same in a directory that stays.
    pub fn start_at(path: &Path, options: Options) -> Self {
        fs::create_dir_all(path).expect("the directory can be made");
        Self::start_in(Directory::Kept(path.to_owned()), options)
    }

    fn start_in(directory: Directory, options: Options) -> Self {
        let shop = repository().join("tests/aws-sim/seeds/shop.toml");
        let seed = options.seed.clone().unwrap_or(shop);
        if options.narrate {
            println!(
                "$ aws-sim --seed tests/aws-sim/seeds/shop.toml --speed {} &",
                options.speed
            );
        }
        let sim = Sim::start(&seed, options.speed, &directory.path().join("aws-sim.log"));
        let address = format!("127.0.0.1:{}", free_port());
        let mut world = Self {
            agents: Vec::new(),
            orchestrator: None,
            sim,
            address,
            options,
            directory,
        };
        world.install_orchestrator();
        for plan in world.options.fleet.clone() {
            if world.options.agents.contains(&plan.name) {
                world.join_agent(plan);
            }
        }
        world.wait_for_agents();
        world
    }

    /// Where everything of this installation lies.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn narrate(&self, command: &Command, background: bool) {
        if self.options.narrate {
            println!("$ {}{}", line_of(command), if background { " &" } else { "" });
        }
    }

    /// `towline` with the first admin's certificate.
    pub fn towline<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.towline_as("admin", arguments)
    }

    /// `towline` with the certificate of an operator who has joined.
    pub fn towline_as<'a>(&self, operator: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(binary("towline"));
        command
            .args(arguments)
            .env("TOWLINE_CONFIG", self.cli_config(operator))
            .env("NO_COLOR", "1");
        command
    }

    /// The CLI's context file of an operator.
    pub fn cli_config(&self, operator: &str) -> PathBuf {
        self.path().join(format!("cli-{operator}/cli.toml"))
    }

    /// The directory with an operator's key, certificate and CA certificate.
    pub fn credentials(&self, operator: &str) -> PathBuf {
        self.path().join(format!("cli-{operator}/cli-credentials"))
    }

    /// Runs `towline` and says so when narrating; returns what it printed.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Ran {
        let command = self.towline(arguments);
        self.narrate(&command, false);
        Ran::run(command)
    }

    fn orchestrator_directory(&self) -> PathBuf {
        self.path().join("orchestrator")
    }

    fn install_orchestrator(&mut self) {
        let directory = self.orchestrator_directory();
        let listen = self.address.clone();
        let mut command = self.towline(["init", "--listen", &listen, "--admin", "admin", "--dir"]);
        command.arg(&directory);
        self.narrate(&command, false);
        Ran::run(command).expect_code(0);
        self.start_orchestrator();
    }

    /// Starts `towline serve`; after a kill it is the same database again.
    pub fn start_orchestrator(&mut self) {
        let log = self.path().join("orchestrator.log");
        let from = fs::metadata(&log).map_or(0, |metadata| metadata.len() as usize);
        let mut command = self.towline(["serve", "--dir"]);
        command
            .arg(self.orchestrator_directory())
            .args(self.serve_arguments());
        self.narrate(&command, true);
        let mut program = Program::start("towline serve", command, &log);
        program.wait_for_line("serving on", from);
        self.orchestrator = Some(program);
    }

    fn serve_arguments(&self) -> Vec<String> {
        let first = self.agents.iter().find_map(|agent| agent.program.as_ref());
        let pid = first.map_or_else(String::new, |program| program.pid().to_string());
        self.options
            .serve_arguments
            .iter()
            .map(|argument| argument.replace(AGENT_PID, &pid))
            .collect()
    }

    /// Other arguments for the next `towline serve`.
    pub fn set_serve_arguments(&mut self, arguments: Vec<String>) {
        self.options.serve_arguments = arguments;
    }

    /// What the orchestrator has logged.
    pub fn orchestrator_log(&self) -> String {
        fs::read_to_string(self.path().join("orchestrator.log")).unwrap_or_default()
    }

    /// What an agent has logged.
    pub fn agent_log(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(format!("agent-{name}.log"))).unwrap_or_default()
    }

    /// An agent's directory.
    pub fn agent_directory(&self, name: &str) -> PathBuf {
        self.path().join(format!("agent-{name}"))
    }

    /// `towline-agent` with the credentials of an account of the simulated AWS.
    pub fn towline_agent(&self, account: &str) -> Command {
        let mut command = Command::new(binary("towline-agent"));
        command
            .env("AWS_ENDPOINT_URL", self.sim.url())
            .env("AWS_ACCESS_KEY_ID", account)
            .env("AWS_SECRET_ACCESS_KEY", "simulated")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_COLOR", "1");
        command
    }

    fn join_agent(&mut self, plan: AgentPlan) {
        let listen = plan.listens.then(|| format!("127.0.0.1:{}", free_port()));
        let proxied = self.options.proxied.contains(&plan.name);
        let proxy = proxied.then(|| Proxy::start(listen.as_ref().unwrap_or(&self.address)));
        let mut invite = vec!["agent".to_owned(), "invite".to_owned(), plan.name.to_owned()];
        if let Some(listen) = &listen {
            invite.push("--listening".to_owned());
            invite.push(proxy.as_ref().map_or_else(|| listen.clone(), Proxy::address));
        }
        invite.extend(["--output".to_owned(), "json".to_owned()]);
        let invitation = self.run(invite.iter().map(String::as_str)).expect_code(0).json();
        let token = invitation["join_token"]
            .as_str()
            .expect("a join token")
            .to_owned();
        let mut join = self.towline_agent(plan.account);
        join.args(["join", &token, "--dir"])
            .arg(self.agent_directory(plan.name));
        for cluster in plan.serves {
            join.args(["--serves", cluster]);
        }
        if let Some(listen) = &listen {
            join.args(["--listen", listen, "--listen-name", "127.0.0.1"]);
        }
        self.narrate(&join, false);
        Ran::run(join).expect_code(0);
        self.adjust_agent(plan, proxy.as_ref());
        self.agents.push(Agent {
            plan,
            program: None,
            listen,
            proxy,
        });
        self.start_agent(plan.name);
    }

    /// Adds the simulation's pace to an agent's file: simulated AWS runs faster
    /// than AWS, so it is asked more often.
    fn adjust_agent(&self, plan: AgentPlan, proxy: Option<&Proxy>) {
        let path = self.agent_directory(plan.name).join("agent.toml");
        let mut text = fs::read_to_string(&path).expect("join wrote agent.toml");
        assert!(!text.contains("\n[timing]"), "join's agent.toml sets no timing");
        if let Some(proxy) = proxy
            && !plan.listens
        {
            assert!(
                text.contains(&self.address),
                "agent.toml names the orchestrator's address"
            );
            text = text.replace(&self.address, &proxy.address());
        }
        text.push_str("\n[timing]\npoll = \"100ms\"\nsettle = \"500ms\"\n");
        text.push_str(&self.options.agent_extra);
        fs::write(path, text).expect("agent.toml is written");
    }

    /// Starts an agent that has joined.
    pub fn start_agent(&mut self, name: &str) {
        let plan = self.agent(name).plan;
        let log = self.path().join(format!("agent-{name}.log"));
        let mut command = self.towline_agent(plan.account);
        command.args(["serve", "--dir"]).arg(self.agent_directory(name));
        self.narrate(&command, true);
        let program = Program::start(&format!("agent {name}"), command, &log);
        self.agent_mut(name).program = Some(program);
    }

    /// `kill -9` of an agent.
    pub fn kill_agent(&mut self, name: &str) {
        if let Some(mut program) = self.agent_mut(name).program.take() {
            program.kill();
        }
    }

    /// `kill -9` of the orchestrator.
    pub fn kill_orchestrator(&mut self) {
        if let Some(mut program) = self.orchestrator.take() {
            program.kill();
        }
    }

    /// Stops the orchestrator and keeps a copy of all that it has.
    pub fn take_snapshot(&mut self) {
        if let Some(mut program) = self.orchestrator.take() {
            program.stop();
        }
        copy_directory(&self.orchestrator_directory(), &self.path().join("snapshot"));
        self.start_orchestrator();
    }

    /// Puts everything back to where [`World::take_snapshot`] was: the simulated
    /// AWS, the orchestrator's files; orchestrator and agents start again.
    pub fn restore_snapshot(&mut self) {
        let names: Vec<&str> = self.agents.iter().map(|agent| agent.plan.name).collect();
        names.iter().for_each(|name| self.kill_agent(name));
        self.kill_orchestrator();
        self.sim.reset();
        fs::remove_dir_all(self.orchestrator_directory()).expect("the directory can be removed");
        copy_directory(&self.path().join("snapshot"), &self.orchestrator_directory());
        for log in fs::read_dir(self.path())
            .expect("the directory can be listed")
            .flatten()
        {
            let path = log.path();
            if path.extension().is_some_and(|e| e == "log") && !path.ends_with("aws-sim.log") {
                fs::remove_file(path).expect("a log can be removed");
            }
        }
        names.iter().for_each(|name| self.start_agent(name));
        self.start_orchestrator();
        self.wait_for_agents();
    }

    /// One agent.
    pub fn agent(&self, name: &str) -> &Agent {
        self.agents
            .iter()
            .find(|agent| agent.plan.name == name)
            .expect("an agent of this name has joined")
    }

    /// The process of an agent, when it was started.
    pub fn agent_program(&mut self, name: &str) -> Option<&mut Program> {
        self.agent_mut(name).program.as_mut()
    }

    fn agent_mut(&mut self, name: &str) -> &mut Agent {
        self.agents
            .iter_mut()
            .find(|agent| agent.plan.name == name)
            .expect("an agent of this name has joined")
    }

    /// Waits until every agent that runs is connected.
    pub fn wait_for_agents(&mut self) {
        let expected = self.agents.iter().filter(|agent| agent.program.is_some()).count();
        wait_for("all agents are connected", Duration::from_secs(30), || {
            for agent in &mut self.agents {
                if let Some(program) = &mut agent.program
                    && let Some(status) = program.ended()
                {
                    panic!(
                        "agent {} ended with {status}:\n{}",
                        agent.plan.name,
                        program.said()
                    );
                }
            }
            let ran = Ran::run(self.towline(["agent", "list", "--output", "json"]));
            if ran.code != 0 {
                return None;
            }
            let listed = ran.json();
            let connected = listed["agents"]
                .as_array()?
                .iter()
                .filter(|agent| agent["state"] == "connected");
            (connected.count() == expected).then_some(())
        });
    }

    /// Applies a project file.
    pub fn apply_file(&self, file: &Path) {
        self.run(["apply", "-f", file.to_str().expect("a path in UTF-8")])
            .expect_code(0);
    }

    /// Stops agents, orchestrator and simulator, each by SIGTERM, and checks that they did.
    pub fn stop(mut self) {
        for agent in &mut self.agents {
            if let Some(mut program) = agent.program.take() {
                let status = program.stop();
                assert!(
                    status.success(),
                    "agent {} stopped with {status}",
                    agent.plan.name
                );
            }
        }
        if let Some(mut program) = self.orchestrator.take() {
            let status = program.stop();
            assert!(status.success(), "towline serve stopped with {status}");
        }
        self.sim.program().stop();
    }
}
