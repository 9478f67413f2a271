#!/bin/sh
# What the GitHub action runs: `reconcile.sh plan` and `reconcile.sh apply`.
#
# Environment:
#   MANIFESTS            the folder of the manifests
#   SET, POLICIES        the name of the set and a folder of rules; may be empty
#   ARGUMENTS            more arguments of `meshagent plan`, one per line; may be empty
#   PLAN                 a saved plan that `apply` performs; without it, the one that `plan` saved
#   MESHAGENT_API_KEY    without it, a pull request is planned on an empty embedded platform
#   RUNNER_TEMP, GITHUB_EVENT_NAME, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY    as the runner sets them
#
# `plan` writes plan.md to $RUNNER_TEMP and, outside of pull requests, plan.json.
set -eu

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

if [ "$GITHUB_EVENT_NAME" = pull_request_target ]; then
    fail "pull_request_target gives secrets to what a pull request contains" "use \`on: pull_request\`"
fi
command -v meshagent >/dev/null ||
    fail "there is no meshagent on the PATH" "set \`release\` and \`sha256\`, or install it in a step before"

is_proposal=false
[ "$GITHUB_EVENT_NAME" != pull_request ] || is_proposal=true
mode="$1"
set -- -f "$MANIFESTS"
[ -z "${SET:-}" ] || set -- "$@" --set "$SET"
while IFS= read -r argument; do
    [ -z "$argument" ] || set -- "$@" "$argument"
done <<END
${ARGUMENTS:-}
END
if [ -z "${MESHAGENT_API_KEY:-}" ]; then
    "$is_proposal" || fail "there is no API key" "set \`api-key\` to a secret of the environment of this job"
    echo "There is no API key, so the plan is for an empty embedded platform."
    set -- "$@" "--embedded=$RUNNER_TEMP/embedded"
fi

case "$mode" in
plan)
    rm -f "$RUNNER_TEMP/plan.md" "$RUNNER_TEMP/plan.json"
    [ -z "${POLICIES:-}" ] || set -- "$@" --policy "$POLICIES"
    # A plan without the secrets of the manifests cannot be applied, so it is only shown.
    "$is_proposal" || set -- "$@" --out "$RUNNER_TEMP/plan.json"
    code=0
    meshagent plan "$@" --output markdown --exit-code >"$RUNNER_TEMP/plan.md" || code=$?
    cat "$RUNNER_TEMP/plan.md" >>"$GITHUB_STEP_SUMMARY"
    case "$code" in
    0) echo "changes=false" >>"$GITHUB_OUTPUT" ;;
    3) echo "changes=true" >>"$GITHUB_OUTPUT" ;;
    *) exit "$code" ;;
    esac
    "$is_proposal" || echo "plan=$RUNNER_TEMP/plan.json" >>"$GITHUB_OUTPUT"
    ;;
apply)
    ! "$is_proposal" || fail "a pull request is never applied" "apply on the main branch"
    meshagent apply "${PLAN:-$RUNNER_TEMP/plan.json}"
    # Whatever else would still change fails the job.
    meshagent plan "$@" --exit-code
    ;;
*) fail "\`$mode\` is not plan or apply" "ci/reconcile.sh plan" ;;
esac
