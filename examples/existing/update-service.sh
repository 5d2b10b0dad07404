#!/bin/sh
# Updates one existing service through an agent, without the orchestrator, and
# ends as the update did: 0 succeeded or unchanged, 3 failed, 4 errored,
# 5 cancelled, 1 when the agent refused the request.
#
#   AGENT=agent.prod.example.com:8444 CREDENTIALS=~/.config/towline/credentials \
#       examples/existing/update-service.sh eu-west-1 main orders app 1.2.0
#
# CREDENTIALS is a directory with an operator's key.pem, cert.pem and ca.pem.
# The agent's agent.toml must allow that operator to deploy.
set -eu
if [ $# -ne 5 ]; then
    echo "usage: update-service.sh REGION CLUSTER SERVICE CONTAINER TAG" >&2
    exit 1
fi
: "${AGENT:?set it to HOST:PORT of a listening agent}"
: "${CREDENTIALS:?set it to the directory of your key.pem, cert.pem and ca.pem}"

request=$(printf '{"region":"%s","cluster":"%s","service":"%s","containers":[{"name":"%s","tag":"%s"}],"on_failure":"ON_FAILURE_ROLL_BACK","timeout":"1800s"}' "$@")
events=$(mktemp)
trap 'rm -f "$events"' EXIT

# Every event is printed as it comes; the last one has the verdict.
"${GRPCURL:-grpcurl}" -cacert "$CREDENTIALS/ca.pem" -cert "$CREDENTIALS/cert.pem" -key "$CREDENTIALS/key.pem" \
    -d "$request" "$AGENT" towline.agent.v1.AgentService/UpdateService | tee "$events"
[ -s "$events" ] || exit 1
case $(sed -n 's/.*"verdict": "\(VERDICT_[A-Z]*\)".*/\1/p' "$events" | tail -n 1) in
    VERDICT_SUCCEEDED | VERDICT_UNCHANGED) exit 0 ;;
    VERDICT_FAILED) exit 3 ;;
    VERDICT_CANCELLED) exit 5 ;;
    # Also a connection that broke: the agent carries on, ListOperations shows it.
    *) exit 4 ;;
esac
