#!/usr/bin/env bash
# Fails if the tests enable a feature of a dependency that the programs don't enable.
#
# Cargo unifies features across the workspace, but it includes dev-dependencies only when it builds
# tests. If a dev-dependency adds a feature, that dependency and everything that depends on it are
# compiled twice: once for `cargo build` and `make run`, and once for `make test`. To fix this,
# declare the feature in [workspace.dependencies], or declare the dependency in [dependencies] of a
# crate under tests/.
set -euo pipefail
cd "$(dirname "$0")/.."

features() {
  cargo tree --quiet --locked --workspace --edges "$1" --prefix none --format '{p} [{f}]' |
    sed 's/ ([^)]*)//g' | sort --unique
}

difference=$(
  awk -F ' \\[' '
    NR == FNR { programs[$1] = programs[$1] $2; next }
    { tests[$1] = tests[$1] $2 }
    END { for (name in tests) if (name in programs && programs[name] != tests[name])
      print "  " name ": programs [" programs[name] ", tests [" tests[name] }
  ' <(features normal,build) <(features normal,build,dev)
)
if [ -n "$difference" ]; then
  echo "one-feature-set: tests build these dependencies with other features than programs:" >&2
  echo "$difference" >&2
  exit 1
fi
