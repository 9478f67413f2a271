#!/bin/sh
# Shows $RUNNER_TEMP/plan.md as the one comment of a pull request: it is written once and updated
# by later runs, which find it by its first line, with the set and the project. Where the plan
# failed, the comment says so, unless there are several that may be meant. The workflow that `meshagent init` writes contains these lines, too.
#
# Environment:
#   NUMBER               the number of the pull request
#   COMMIT               the commit that was planned
#   SET                  the name of the set; `default` without it
#   GH_TOKEN             a token with `pull-requests: write`
#   RUNNER_TEMP, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_SERVER_URL    as the runner sets them
set -eu

plan="$RUNNER_TEMP/plan.md" shown="$RUNNER_TEMP/comment.md"
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
host="${GITHUB_SERVER_URL#https://}"                         # GitHub, or an enterprise's own
[ "$host" = github.com ] || export GH_HOST="$host" GH_ENTERPRISE_TOKEN="$GH_TOKEN"
first="$(head -n 1 "$plan" 2>/dev/null || true)"
first="${first:-<!-- meshagent-plan set=${SET:-default} }"   # no plan: the comment must not show an older one
mine="map(select(.user.login == \"github-actions[bot]\"))"   # not comments of others that begin alike
mine="$mine | map(select(.body | startswith(\"$first\"))) | .[] | \"\(.id) \" + (.body | split(\"\n\")[0])"
found="$(gh api "$comments" --paginate --jq "$mine")"
if [ -s "$plan" ]; then
  found="$(printf '%s\n' "$found" | head -n 1)"
  cat "$plan" > "$shown"
else
  count="$(printf '%s\n' "$found" | grep -c . || true)"
  [ "$count" != 0 ] || exit 0
  [ "$count" = 1 ] || { echo "::warning::The plan failed. Of $count comments about this set, none is known to be its own."; exit 0; }
  printf '%s\n### The plan failed\n' "${found#* }" > "$shown"
fi
run="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"
printf '\nCommit %s, [run](%s)\n' "$COMMIT" "$run" >> "$shown"
if [ -n "$found" ]; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/${found%% *}" -F body="@$shown" --silent
else
  gh pr comment "$NUMBER" --repo "$GITHUB_REPOSITORY" --body-file "$shown"
fi
