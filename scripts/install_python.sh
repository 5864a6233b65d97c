#!/usr/bin/env bash
# Make .venv with everything that uv.lock names. Needs Python 3.11 to 3.13, nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.9
unset PYTHONDONTWRITEBYTECODE # without bytecode every start costs twice as much

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
        2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if fits "$name"; then
            command -v "$name"
            return
        fi
    done
    echo "No Python 3.11, 3.12 or 3.13 found: install one (Debian: python3," \
        "Fedora: python3.13, macOS: brew install python@3.13) and run this again." >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    echo "making .venv with $("$python" --version)"
    if "$python" -m venv --clear .venv >/dev/null 2>&1; then
        return
    fi
    uv venv --quiet --clear --seed -p "$python" .venv
}

if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || ! fits .venv/bin/python; then
    make_venv
fi
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        "uv==$UV_VERSION"
fi
# --inexact: uv itself lives in this environment and is in no lock
.venv/bin/uv sync --quiet --frozen --inexact --compile-bytecode
.venv/bin/python -c "import geo_assets.h3.warm, geo_assets.vector.warm" # machine code of Numba, once
echo "Python packages are installed in .venv"
