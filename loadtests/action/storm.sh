#!/usr/bin/env bash
# Runs a storm, adds its verdict to the summary of the job and to the pull request, and ends with
# the exit code of the storm: 0 passed, 1 broken, 3 void. Anywhere else it is a plain script:
#
#   ARGUMENTS="--app shop:app --config linqi.toml --seconds 30" bash storm.sh
#
# Settings, as environment variables: ARGUMENTS, LOCUSTFILE, BASELINE, AGAINST, RESULTS, COMMENT,
# PULL_REQUEST, LINQI_PYTHON (see action.yml).
set -euo pipefail

python=${LINQI_PYTHON:-python3}
results=${RESULTS:-linqi-storm}
summary=$results/storm.md
mkdir -p "$results"

# The words of ARGUMENTS as a shell would split them, with nothing expanded or executed.
words=()
while IFS= read -r -d '' word; do
  words+=("$word")
done < <("$python" -c 'import os, shlex
for word in shlex.split(os.environ.get("ARGUMENTS", "")):
    print(word, end="\0")')

code=0
if [[ -n ${LOCUSTFILE:-} ]]; then
  "$python" -m locust -f "$LOCUSTFILE" --headless --only-summary \
    --json-file "$results/storm" ${words[@]+"${words[@]}"} || code=$?
  "$python" -m linqi_storm.report.locust_markdown "$results/storm.json" "$code" > "$summary"
else
  options=(--output "$results/storm.json" --report "$results/storm.html")
  options+=(--junit "$results/storm.xml" --csv "$results/storm.csv" --markdown "$summary")
  [[ -z ${BASELINE:-} ]] || options+=(--baseline "$BASELINE")
  [[ -z ${AGAINST:-} ]] || options+=(--against "$AGAINST")
  "$python" -m linqi storm ${words[@]+"${words[@]}"} "${options[@]}" || code=$?
  [[ -e $summary ]] || echo "### linqi storm did not run (exit code $code)" > "$summary"
fi

cat "$summary" >> "${GITHUB_STEP_SUMMARY:-/dev/stdout}"
if [[ ${COMMENT:-false} == true && -n ${PULL_REQUEST:-} ]]; then
  gh pr comment "$PULL_REQUEST" --edit-last --create-if-none --body-file "$summary" ||
    echo "::warning::the verdict could not be posted; the job needs pull-requests: write" >&2
fi
exit "$code"
