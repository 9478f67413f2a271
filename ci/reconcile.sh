#!/bin/sh
# What the GitHub action runs: `reconcile.sh plan` and `reconcile.sh apply`.
#
# Environment:
#   MANIFESTS            the folder of the manifests
#   SET, POLICIES        the name of the set and a folder of rules; may be empty
#   ARGUMENTS            more arguments of `meshagent plan`, one per line; may be empty
#   PLAN                 the saved plan that `apply` performs
#   BRANCH               the branch that `apply` may run on
#   MESHAGENT_API_KEY    without it, a pull request is planned on an empty embedded platform
#   RUNNER_TEMP, GITHUB_EVENT_NAME, GITHUB_REF, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY    as the runner sets them
#
# `plan` writes plan.md to $RUNNER_TEMP. Outside of pull requests it also saves the plan and writes
# its path to the outputs.
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

# Every other event may be about a pull request, and run what is in it.
case "$GITHUB_EVENT_NAME" in
push | schedule | workflow_dispatch) is_proposal=false ;;
*) is_proposal=true ;;
esac
mode="${1:-}"
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
    # Each plan of a job has a file of its own, so that none is applied in the place of another.
    rm -f "$RUNNER_TEMP/plan.md"
    saved="$(mktemp -d "$RUNNER_TEMP/meshagent.XXXXXX")/plan.json"
    [ -z "${POLICIES:-}" ] || set -- "$@" --policy "$POLICIES"
    # A plan without the secrets of the manifests cannot be applied, so it is only shown.
    "$is_proposal" || set -- "$@" --out "$saved"
    code=0
    meshagent plan "$@" --output markdown --exit-code >"$RUNNER_TEMP/plan.md" || code=$?
    cat "$RUNNER_TEMP/plan.md" >>"$GITHUB_STEP_SUMMARY"
    case "$code" in
    0) echo "changes=false" >>"$GITHUB_OUTPUT" ;;
    3) echo "changes=true" >>"$GITHUB_OUTPUT" ;;
    *) exit "$code" ;;
    esac
    "$is_proposal" || echo "plan=$saved" >>"$GITHUB_OUTPUT"
    ;;
apply)
    ! "$is_proposal" || fail "nothing is applied on the event $GITHUB_EVENT_NAME" "apply on push, schedule or workflow_dispatch"
    [ -n "${BRANCH:-}" ] || fail "there is no branch to apply on" "set \`branch\`"
    [ "${GITHUB_REF:-}" = "refs/heads/$BRANCH" ] ||
        fail "nothing is applied from ${GITHUB_REF:-no branch}" "apply on the branch $BRANCH, or set \`branch\`"
    [ -n "${PLAN:-}" ] || fail "there is no plan to apply" "set PLAN to the path that \`plan\` printed"
    meshagent apply "$PLAN"
    # Whatever else would still change fails the job.
    meshagent plan "$@" --exit-code
    ;;
*) fail "the mode must be plan or apply, not \`$mode\`" "ci/reconcile.sh plan" ;;
esac
