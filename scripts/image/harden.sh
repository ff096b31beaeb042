#!/bin/sh
# Takes from a base what serving does not need, and adds the user that serves. The Dockerfile runs it
# as root, before anything of ours is there; a folder as the first argument stands in for the root.
set -eu

case ${1:-} in -h | --help)
    echo "usage: harden.sh [ROOT]"
    echo "example, in a Dockerfile: RUN sh /tmp/harden.sh"
    exit
    ;;
esac
root=${1:-}

# what installs packages, wherever the base's Python has it
find "$root/usr" -xdev -depth -path '*/python3*' \
    \( -name pip -o -name 'pip-*' -o -name ensurepip -o -name setuptools -o -name 'setuptools-*' \
    -o -name wheel -o -name 'wheel-*' -o -name pkg_resources -o -name _distutils_hack \
    -o -name distutils-precedence.pth \) -exec rm -rf {} +
find "$root/usr" -xdev -path '*/bin/*' \( -name 'pip' -o -name 'pip[0-9]*' -o -name wheel \) -exec rm -f {} +

# nobody becomes another user here
find "${root:-/}" -xdev -type f -perm /6000 -exec chmod a-s {} +

# some libraries ask for the user's name and home; any other number of group 0 works too
echo 'gradcam:x:10001:0::/run/gradcam:/usr/sbin/nologin' >>"$root/etc/passwd"

# where volumes go, so that a root that cannot be written to has a place for them
mkdir -p "$root/run/gradcam" "$root/etc/gradcam/keys"
chmod 0770 "$root/run/gradcam"
