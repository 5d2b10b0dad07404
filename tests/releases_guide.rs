//! docs/releases.md as its readers would try it: every scenario in an
//! installation of its own, and every line that it shows as it is printed.

use towline_tests::{
    transcript::Page,
    world::{AGENTS, Options, World, repository},
};

#[test]
fn what_the_guide_shows_is_what_happens() {
    let mut page = Page::read(&repository().join("docs/releases.md"));
    let only = std::env::var("SCENARIO").ok();
    let mut differences = Vec::new();
    for (scenario, agents) in page.scenarios() {
        if only.as_ref().is_some_and(|only| *only != scenario) {
            continue;
        }
        let named = AGENTS.iter().map(|agent| agent.name);
        let world = World::start(Options {
            agents: named
                .filter(|name| agents.is_empty() || agents.iter().any(|agent| agent == name))
                .collect(),
            ..Options::default()
        });
        differences.extend(page.play(&scenario, &world));
        world.stop();
    }
    page.keep();
    assert!(
        differences.is_empty(),
        "{} commands print something else than docs/releases.md shows (TRANSCRIPTS=overwrite writes it anew; read what changed):\n\n{}",
        differences.len(),
        differences.join("\n")
    );
}
