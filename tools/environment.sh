#!/usr/bin/env bash
# Makes the virtual environment $VENV with both extras and the tools of development. Called by make.
set -eu
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

if ! command -v "$PYTHON" >/dev/null; then
    echo "make: there is no $PYTHON here. Do: apt-get install python3 python3-venv" >&2
    exit 1
fi
if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "make: $("$PYTHON" --version) is too old, Python 3.11 or newer is needed. Do: make PYTHON=python3.11" >&2
    exit 1
fi

make_venv() { "$PYTHON" -m venv "$VENV" >"$VENV.log" 2>&1; }

if [ ! -x "$VENV/bin/pip" ]; then
    echo "make: the environment in $VENV ..." >&2
    rm -rf "$VENV"
    if ! make_venv; then
        rm -rf "$VENV"
        package=python3-venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "make: python3 -m venv failed; installing $package" >&2
            apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$package" >/dev/null
            make_venv || { cat "$VENV.log" >&2; exit 1; }
        else
            cat "$VENV.log" >&2
            echo "make: python3 -m venv failed. Do: sudo apt-get install $package" >&2
            rm -f "$VENV.log"
            exit 1
        fi
    fi
    rm -f "$VENV.log"
fi

echo "make: installing the product with both extras (a few minutes on a small machine) ..." >&2
"$VENV/bin/pip" install -q --disable-pip-version-check -c constraints.txt -e '.[edge,collector,dev]'
