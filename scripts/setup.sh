# shellcheck shell=bash
# Set-up that serve.sh and test.sh share: a Python, a virtual environment, pinned packages.
# It is sourced; the caller has set `root`, the top of the checkout.
: "${root:?}"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Prints the first CPython 3.11 to 3.13 that really runs; $PYTHON, where set, is the only candidate.
find_python() {
    local candidate candidates=(python3.13 python3.12 python3.11 python3 python)
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        # a version manager's stand-in is on PATH without being installed, so ask each to run
        if "$candidate" -c "$python_fits" >/dev/null 2>&1; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    if [[ -n ${PYTHON:-} ]]; then
        die "PYTHON=$PYTHON is not a CPython 3.11, 3.12 or 3.13 that runs; set it to one, or unset it."
    fi
    die "No CPython 3.11, 3.12 or 3.13 found; install one (Debian, Ubuntu: 'apt install python3" \
        "python3-venv') or set PYTHON to its path."
}

python_fits='import platform, sys
sys.exit(platform.python_implementation() != "CPython" or not (3, 11) <= sys.version_info < (3, 14))'

# Brings .venv up to date with requirements/$1.txt; quick when nothing has changed.
prepare_environment() {
    local kind=$1 venv=$root/.venv wanted python
    [[ $(uname -s)-$(uname -m) == Linux-x86_64 ]] ||
        die "This needs Linux on x86-64; here is $(uname -s) on $(uname -m)."
    wanted=$(fingerprint "$kind")
    if [[ $(installed "$kind") == "$wanted" ]] && "$venv/bin/python" -c "$python_fits" 2>/dev/null; then
        return
    fi
    mkdir -p "$root/run"
    exec 9>"$root/run/setup.lock"
    if command -v flock >/dev/null && ! flock -n 9; then
        say "Waiting for another set-up of this checkout to finish ..."
        flock 9
    fi
    if [[ $(installed "$kind") != "$wanted" ]] || ! "$venv/bin/python" -c "$python_fits" 2>/dev/null; then
        if [[ -e $root/run/installing ]] || ! "$venv/bin/python" -c "$python_fits" 2>/dev/null; then
            python=$(find_python)
            check_disk
            touch "$root/run/installing" # stays behind where this is cut off
            say "Making a virtual environment in .venv with $("$python" --version) ..."
            "$python" -m venv --clear "$venv" >"$root/run/setup.log" 2>&1 ||
                die "Python's venv module failed (Debian, Ubuntu: 'apt install python3-venv'):" \
                    "$(tail -n 3 "$root/run/setup.log")"
        fi
        touch "$root/run/installing"
        install_packages "$kind"
        printf '%s\n' "$wanted" >"$venv/.installed-$kind"
        fingerprint serve >"$venv/.installed-serve" # every kind includes it
        rm "$root/run/installing"
    fi
    exec 9>&-
}

# What decides whether an installation is up to date.
fingerprint() {
    local files=(serve.txt constraints.txt)
    [[ $1 == serve ]] || files+=("$1.txt")
    (cd "$root/requirements" && sha256sum "${files[@]}" | sha256sum | cut -d ' ' -f 1)
}

# The fingerprint of what stands in .venv: empty where an installation was cut off.
installed() {
    [[ ! -e $root/run/installing ]] || return 0
    cat "$root/.venv/.installed-$1" 2>/dev/null || true
}

check_disk() {
    local free
    free=$(df -Pk "$root" | awk 'NR == 2 { print int($4 / 1024 / 1024) }')
    ((free >= 7)) ||
        die "Only $free GB of disk are free at $root, and set-up needs 10; free some and run this again."
    ((free >= 10)) || say "warning: only $free GB of disk are free, and set-up may need 10."
}

install_packages() {
    local log=$root/run/setup.log pip seconds=0
    say "Installing the pinned packages of requirements/$1.txt (torch with its CUDA libraries is 6 GB on" \
        "disk; the first time takes 2 to 15 minutes) ..."
    "$root/.venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
        --retries 3 --timeout 30 --constraint "$root/requirements/constraints.txt" \
        --requirement "$root/requirements/$1.txt" >"$log" 2>&1 9>&- &
    pip=$!
    # a background job ignores Ctrl-C, so it is ended from here
    # shellcheck disable=SC2064 # the process that runs now is meant
    trap "kill $pip 2>/dev/null || true" EXIT
    while kill -0 "$pip" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        ((seconds % 10)) || say "  ${seconds} s: $(pip_step "$log"), $(megabytes) MB in .venv"
    done
    trap - EXIT
    if ! wait "$pip"; then
        tail -n 5 "$log" >&2
        # what stands in .venv is whole as long as pip had not begun to change it
        grep -q '^Installing collected packages' "$log" || rm "$root/run/installing"
        die "pip could not install the packages (its last lines are above, all of them in $log);" \
            "check the network, the disk and pip's index settings, and run this again."
    fi
}

megabytes() { du -sm "$root/.venv" 2>/dev/null | cut -f 1; }

# The last thing that pip began, in few words.
pip_step() {
    grep -oE '^ *(Collecting|Downloading|Using cached|Installing collected packages|Building) *[^ ,;]*' "$1" |
        sed -E -e 's|^ +||' -e 's|https?://[^ ]*/||' -e 's|packages:.*|packages|' | tail -n 1
}
