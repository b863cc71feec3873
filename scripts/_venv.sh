# shellcheck shell=sh
# Sourced by the scripts. Needs $root, the checkout; sets $PYTHON.
#
#   need_python              stop unless $PYTHON is Python 3.11 or newer
#   make_venv NAME ARGS...   have $root/NAME-<major.minor> with `pip install ARGS...` in it, and
#                            put its programs first on PATH; sets $venv

PYTHON=${PYTHON:-python3}

# Dependency groups came to pip with 25.1; a fresh Python 3.11 has 23.2.
pip_bound='pip>=25.1'

die() {
    printf '%s: %s\n' "$0" "$1" >&2
    exit 1
}

need_python() {
    python_version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        die "cannot run '$PYTHON'; set PYTHON to a Python 3.11 or newer"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "'$PYTHON' is Python $python_version, niicache needs 3.11 or newer; set PYTHON"
}

# All that decides what is in an environment, as one checksum: the project's file, what was asked
# for, which Python, and the path, for an environment cannot be moved.
venv_checksum() {
    "$PYTHON" - "$root" "$pip_bound" "$@" <<'PYTHON_END'
import hashlib, pathlib, sys
parts = [*sys.argv[1:], sys.version, sys.base_prefix]
parts.append(pathlib.Path(sys.argv[1], "pyproject.toml").read_text(encoding="utf-8"))
print(hashlib.sha256("\0".join(parts).encode()).hexdigest())
PYTHON_END
}

venv_is_whole() {
    [ "$(cat "$venv/made-from" 2>/dev/null)" = "$1" ] &&
        "$venv/bin/python" -m pip check >/dev/null 2>&1
}

make_venv() {
    need_python
    venv=$root/$1-$python_version
    shift
    checksum=$(venv_checksum "$@")
    if ! venv_is_whole "$checksum"; then
        printf '%s: making %s; this takes a few minutes\n' "$0" "$venv" >&2
        # The stamp is written last: an environment without it is never used, but made anew.
        rm -rf "$venv"
        "$PYTHON" -m venv "$venv"
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --upgrade "$pip_bound"
        (cd "$root" && "$venv/bin/python" -m pip install -qq "$@")
        printf '%s\n' "$checksum" >"$venv/made-from"
    fi
    export PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv"
    unset PYTHONPATH PYTHONHOME
}
