#!/usr/bin/env bash
# Sets everything up and runs all checks.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
# shellcheck source=scripts/setup.sh
source "$root/scripts/setup.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<'HELP'
usage: ./scripts/test.sh [PYTEST ARGUMENT ...]

Installs what is missing into .venv, then runs the formatter check, the linter, the type checker and
every test, live servers included. All four run even when one fails; the exit status is 0 only if
none did.

examples:
  ./scripts/test.sh
  ./scripts/test.sh -m 'not live'          without the tests that start a TorchServe
  ./scripts/test.sh tests/test_labels.py   one file
HELP
    exit
fi
prepare_environment dev
cd "$root"
failed=()

check() {
    local name=$1
    shift
    say "== $name: $*"
    ".venv/bin/python" -m "$@" || failed+=("$name")
}

check formatter ruff format --check .
check linter ruff check .
check types mypy
check tests pytest "$@"

if ((${#failed[@]})); then
    die "failed: ${failed[*]}; what each found is above."
fi
say "All checks passed."
