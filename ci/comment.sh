#!/bin/sh
# Shows $RUNNER_TEMP/plan.md as the one comment of a pull request: it is written once and updated
# by later runs, which find it by its first line. The workflow that `meshagent init` writes
# contains these lines, too.
#
# Environment:
#   NUMBER               the number of the pull request
#   GH_TOKEN             a token with `pull-requests: write`
#   RUNNER_TEMP, GITHUB_REPOSITORY    as the runner sets them
set -eu

plan="$RUNNER_TEMP/plan.md"
[ -s "$plan" ] || exit 0
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
mine="map(select(.user.login == \"github-actions[bot]\"))"   # not comments of others that begin alike
mine="$mine | map(select(.body | startswith(\"$(head -n 1 "$plan")\"))) | .[].id"
id="$(gh api "$comments" --paginate --jq "$mine" | head -n 1)"
if [ -n "$id" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F body="@$plan" --silent
else
  gh pr comment "$NUMBER" --repo "$GITHUB_REPOSITORY" --body-file "$plan"
fi
