#!/usr/bin/env bash
# Runs an image and checks it; scripts/check_image.py has the options. Needs Python 3.11 to 3.13 only.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
# shellcheck source=scripts/setup.sh
source "$root/scripts/setup.sh"
python=$(find_python)
exec "$python" "$root/scripts/check_image.py" "$@"
