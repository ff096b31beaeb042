#!/usr/bin/env bash
# Sets everything up and serves a model; scripts/serve.py has the options.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
# shellcheck source=scripts/setup.sh
source "$root/scripts/setup.sh"

for argument in "$@"; do
    if [[ $argument == -h || $argument == --help ]]; then
        python=$(find_python)
        exec "$python" "$root/scripts/serve.py" --help
    fi
done
prepare_environment serve
exec "$root/.venv/bin/python" "$root/scripts/serve.py" "$@"
