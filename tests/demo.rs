//! The demo is a test too: it ends well as it is, and notices a planted wrong verdict.

use std::process::{Command, Output};

use towline_tests::program::binary;

fn demo(arguments: &[&str]) -> Output {
    Command::new(binary("demo")).args(arguments).output().unwrap()
}

fn all(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_demo_ends_well() {
    let output = demo(&[]);
    assert!(output.status.success(), "{}", all(&output));
    assert!(all(&output).contains("All came out as it should"));
}

/// Needs the feature `planted-faults` in the agent that was built.
#[test]
fn a_rolled_back_deployment_called_a_success_fails_the_demo() {
    let output = demo(&["--planted-verdict"]);
    assert!(!output.status.success(), "not noticed:\n{}", all(&output));
    assert!(
        all(&output).contains("this did not hold: it failed"),
        "{}",
        all(&output)
    );
}
