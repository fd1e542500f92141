#!/bin/sh
# Compiles the models of a config, and fails where one of them no longer keeps its budget or has lost too much since the
# baseline. What changed is written as Markdown, for a comment on the change.
#
#   gate.sh <config> <model> <out> <baseline.json> <comment.md>
#
# QUANTC    the command (default: npx quantc)
# FAIL_ON   limits on the change, as of `quantc diff --fail-on` (default: size>+5%,top1<-0.5%)
set -eu
config=$1 model=$2 out=$3 baseline=$4 comment=$5
quantc=${QUANTC:-npx quantc}
report=$out/$model/quantc.report.json

# Ends with 1 where a budget of the config is not met: nothing is written then, and the message says how near it came.
if ! $quantc build --config "$config" --out "$out" >"$comment.log" 2>&1; then
  cat "$comment.log" >&2
  {
    printf '### The budget is not met\n\n```\n'
    cat "$comment.log"
    printf '```\n'
  } >"$comment"
  rm -f "$comment.log"
  exit 1
fi
rm -f "$comment.log"

# The first run has nothing to compare with.
if [ ! -f "$baseline" ]; then
  printf 'No baseline yet: %s is the first.\n' "$report" | tee "$comment"
  exit 0
fi

status=0
$quantc diff "$baseline" "$report" --fail-on "${FAIL_ON:-size>+5%,top1<-0.5%}" >"$comment" || status=$?
cat "$comment"
exit $status
