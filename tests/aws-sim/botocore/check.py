"""Checks the simulated AWS against AWS's own service models.

    check.py                       starts aws-sim, drives it through every action that it has,
                                   and checks every raw answer and every recorded request
    check.py --endpoint URL        the same against one that runs (with --record-wire)
    check.py --recorded DIR        checks what other runs recorded: DIR/*.jsonl
    check.py --self-test           shows that planted violations are found

Prints `N passed, M failed`; ends with 1 on any violation. Needs Python 3.11 and
the packages of requirements.txt; sends nothing to anything but the simulator.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import driver
import models
import planted
import scenarios

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Simulated seconds a second: the scenarios move the clock themselves.
SPEED = "1"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", help="a running aws-sim, http://127.0.0.1:PORT")
    parser.add_argument("--binary", help="the aws-sim to start", default=str(_binary()))
    parser.add_argument("--recorded", help="a directory of *.jsonl that aws-sim recorded", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true", help="check the checks")
    options = parser.parse_args()
    report = driver.Report()
    if options.self_test:
        planted.run(report)
    elif options.recorded:
        check_recorded(_lines(options.recorded), report)
    elif options.endpoint:
        drive(options.endpoint, report)
    else:
        planted.run(report)
        with_own_simulator(options.binary, report)
    return report.print_and_code()


def drive(url, report):
    """Every scenario, and then: every action that there is was answered well once."""
    simulator = driver.Simulator(url, report)
    scenarios.run(simulator)
    check_recorded(simulator.control("wire"), report)
    for service, action in sorted(driver.implemented(simulator) - simulator.seen):
        report.expect(f"{service}.{action} is driven", False)
    print(f"{len(simulator.seen)} actions driven")


def check_recorded(exchanges, report):
    """Requests and answers that a simulator wrote down."""
    count = 0
    for exchange in exchanges:
        count += 1
        service, action, status = exchange["service"], exchange["action"], exchange["status"]
        if service not in models.SERVICES:
            report.add(f"recorded {service}.{action}", [f"no service model for {service}"])
            continue
        report.add(f"recorded {service}.{action}", models.check_request(service, action, exchange["request"]))
        if exchange.get("response"):
            report.add(
                f"recorded {service}.{action} answers {status}",
                models.check_answer(service, action, status, exchange["response"]),
            )
    report.expect("something was recorded", count > 0)
    print(f"{count} recorded exchanges")


def with_own_simulator(binary, report):
    """Starts a simulator of the repository's seed for as long as the check lasts."""
    seed = ROOT / "tests/aws-sim/seeds/shop.toml"
    command = [binary, "--seed", str(seed), "--listen", "127.0.0.1:0", "--speed", SPEED, "--record-wire"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            drive(_address(process), report)
        finally:
            process.terminate()


def _address(process):
    for line in process.stdout:
        if "listening on http" in line:
            return line.split("listening on ", 1)[1].strip()
    raise SystemExit("aws-sim ended before it listened")


def _lines(directory):
    for path in sorted(directory.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def _binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "debug/aws-sim"


if __name__ == "__main__":
    sys.exit(main())
