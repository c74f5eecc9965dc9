#!/usr/bin/env bash
# ci/engines.sh NAME [NAME …] [-- PYTEST OPTIONS]: test the adapters of third-party engines, each NAME in
# a virtual environment of its own; NAME,NAME are tested together in one. Names: the engines among the
# extras of pyproject.toml, as bt, backtrader, backtesting, zipline, vectorbt and nautilus.
#
# An environment has the newest versions that the first suitable Python can have (FINBOT_PYTHON=3.12
# names another one) and is kept in ${FINBOT_ENGINES_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pytest-finbot/engines}
# under a hash of all that decides what is in it: the Python, what pyproject.toml says of the package, and
# the settings of pip with the files of constraints that they name (PIP_CONSTRAINT). It can be removed at
# any time. The code tested is always that of this checkout, whichever made the environment.
#
# What is run: tests/engines/test_NAME*.py and tests/engines/NAME/, where the engine has to be there and at
# least one test has to pass; then its runs of examples/engines/finbot_engines.yaml.
#
# Exit status: 0 all of it passed; 1 something failed, or could not be installed for a reason that another
# try may mend (no network, say); 2 no such name; 3 nothing failed, and at least one engine cannot be had on
# the Pythons of this machine. That is not success: whoever calls has to tell it, as .ci/run does at its end.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
cache=${FINBOT_ENGINES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pytest-finbot/engines}
export PIP_DISABLE_PIP_VERSION_CHECK=1
# shellcheck source=ci/pythons.sh
. ci/pythons.sh

# Pythons to try, in this order.
pythons_for() {
    if [ -n "${FINBOT_PYTHON:-}" ]; then echo "$FINBOT_PYTHON"; return; fi
    case ,$1, in
        *,nautilus,*) echo 3.13 3.12 3.11 ;; # its newest versions need 3.12
        *) echo 3.11 3.12 3.13 ;;
    esac
}

# decides PYTHON NAMES: everything that decides what is installed, as text.
decides() {
    "$1" - "$2" <<'PY'
import json
import os
import sys
import tomllib

names = sys.argv[1].split(",")
with open("pyproject.toml", "rb") as file:
    read = tomllib.load(file)
project = read["project"]
known = project.pop("optional-dependencies")
unknown = [name for name in names if name not in known]
if unknown:
    sys.exit(f"no engine {', '.join(unknown)} among the extras of pyproject.toml")
print(sys.version, sys.executable)
print(json.dumps([read["build-system"], project, {name: known[name] for name in [*names, "test"]}], sort_keys=True))
for name in sorted(os.environ):
    if name.startswith("PIP_"):
        print(name, os.environ[name])
for name in os.environ.get("PIP_CONSTRAINT", "").split():
    if os.path.isfile(name):
        print(open(name, encoding="utf-8").read())
PY
}

# make_environment PYTHON FOLDER NAMES: 0 made, 3 that Python cannot have it, 1 failed.
make_environment() {
    local python=$1 folder=$2 names=$3 said
    # The mark is written last: without it, a folder is what an earlier try left.
    rm -rf "$folder"
    said=$folder.log
    if ! "$python" -m venv "$folder" >"$said" 2>&1; then cat "$said" >&2; rm -f "$said"; return 1; fi
    if ! "$folder/bin/pip" install -q -e "$root[$names,test]" >"$said" 2>&1; then
        rm -rf "$folder"
        if grep -qE 'No matching distribution|requires a different Python|ResolutionImpossible|Failed (to build|building)' "$said" \
            && ! grep -qE 'connection|Temporary failure|Read timed out|Max retries|No space' "$said"; then
            grep -E '^ERROR' "$said" | tail -n 1 >"$said.why" || true
            rm -f "$said"
            return 3
        fi
        cat "$said" >&2
        rm -f "$said"
        return 1
    fi
    rm -f "$said"
    "$folder/bin/pip" freeze --exclude-editable >"$folder/installed.txt" && mv "$folder/installed.txt" "$folder/made"
}

# environment_of NAMES: sets `environment` to a whole one. 3 where no Python here can have it.
environment_of() {
    local names=$1 version python hash folder status
    environment=
    mkdir -p "$cache"
    for version in $(pythons_for "$names"); do
        python=$(python_of "$version")
        if [ -z "$python" ]; then
            echo "engine $names: no Python $version on this machine"
            continue
        fi
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "engine $names: not installable on Python $version: pytest-finbot needs 3.11 or later"
            continue
        fi
        hash=$(decides "$python" "$names") || return 1
        hash=$(sha256_of <<<"$hash")
        folder=$cache/$names-$hash
        status=0
        if [ ! -f "$folder/made" ]; then
            (
                # Another session may be making the same one: it is made once.
                if command -v flock >/dev/null; then flock 9; fi
                if [ ! -f "$folder/made" ]; then make_environment "$python" "$folder" "$names"; fi
            ) 9>"$folder.lock" || status=$?
        fi
        if [ "$status" -eq 0 ]; then
            environment=$folder
            echo "engine $names: Python $version, $(installed "$folder" "$names") in $folder"
            return 0
        elif [ "$status" -ne 3 ]; then
            echo "engine $names: could not be installed on Python $version"
            return 1
        fi
        echo "engine $names: not installable on Python $version: $(cat "$folder.log.why" 2>/dev/null || true)"
    done
    echo "engine $names: cannot be had on this machine, not tested"
    return 3
}

# installed FOLDER NAMES: the engines' versions.
installed() {
    "$1/bin/python" - "$2" <<'PY'
import re
import sys
import tomllib
from importlib.metadata import version

with open("pyproject.toml", "rb") as file:
    known = tomllib.load(file)["project"]["optional-dependencies"]
packages = [re.match(r"[\w.-]+", line)[0] for name in sys.argv[1].split(",") for line in known[name]]
print(", ".join(f"{package} {version(package)}" for package in packages))
PY
}

# test_in FOLDER NAME [PYTEST OPTIONS]: the engine's tests, and its examples.
test_in() {
    local folder=$1 name=$2 files report batch
    shift 2
    shopt -s nullglob
    files=(tests/engines/test_"$name"*.py tests/engines/"$name"/test_*.py)
    shopt -u nullglob
    if [ "${#files[@]}" -eq 0 ]; then
        echo "engine $name: no test in tests/engines/test_$name*.py or tests/engines/$name/"
        return 1
    fi
    report=$(mktemp)
    PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} FINBOT_TEST_ENGINES=$name NO_COLOR=1 \
        "$folder/bin/python" -m pytest -q -p no:cacheprovider --junitxml="$report" "${files[@]}" "$@" \
        || { rm -f "$report"; return 1; }
    "$folder/bin/python" - "$report" "$name" <<'PY' || { rm -f "$report"; return 1; }
import sys
from xml.etree import ElementTree

suites = ElementTree.parse(sys.argv[1]).getroot().iter("testsuite")
asked = skipped = 0
for suite in suites:
    asked += int(suite.get("tests"))
    skipped += int(suite.get("skipped"))
if asked == skipped:
    sys.exit(f"engine {sys.argv[2]}: none of its tests was run ({skipped} skipped)")
PY
    rm -f "$report"
    PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} "$folder/bin/python" -m pytest -q -p no:cacheprovider \
        --finbot-batch examples/engines/finbot_engines.yaml -m "portfolio or $name"
}

asked=()
while [ "$#" -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        -*) echo "unknown option $1; pytest's own come behind --" >&2; exit 2 ;;
        *) asked+=("$1"); shift ;;
    esac
done
if [ "${#asked[@]}" -eq 0 ]; then
    echo "usage: ci/engines.sh NAME [NAME …] [-- PYTEST OPTIONS]" >&2
    exit 2
fi
for names in "${asked[@]}"; do
    any=$(any_python) || { echo "no Python 3.11 or later on this machine" >&2; exit 1; }
    decides "$any" "$names" >/dev/null || exit 2
done

failed=0 missing=0
for names in "${asked[@]}"; do
    printf '\n== engine %s\n' "$names"
    status=0
    environment_of "$names" || status=$?
    if [ "$status" -eq 3 ]; then missing=1; continue; fi
    if [ "$status" -ne 0 ]; then failed=1; continue; fi
    for name in ${names//,/ }; do
        test_in "$environment" "$name" "$@" || { echo "engine $name: failed"; failed=1; }
    done
done
if [ "$failed" -ne 0 ]; then exit 1; fi
if [ "$missing" -ne 0 ]; then exit 3; fi
