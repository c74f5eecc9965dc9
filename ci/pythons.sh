# Sourced: finds the Pythons of this machine.
# shellcheck shell=bash

# python_of 3.12: prints the interpreter of that version, or nothing where the machine has none.
python_of() {
    local version=$1 candidate have
    if candidate=$(command -v "python$version") && "$candidate" -c '' 2>/dev/null; then
        # Not a virtual environment's, which may be gone tomorrow.
        "$candidate" -c 'import sys; print(sys._base_executable)'
    elif command -v pyenv >/dev/null; then
        have=$(pyenv versions --bare | grep "^$version\." | tail -n 1 || true)
        if [ -z "$have" ]; then return; fi
        candidate=$(pyenv prefix "$have")/bin/python
        if [ -x "$candidate" ]; then echo "$candidate"; fi
    fi
}

# any_python: prints one that this package supports.
any_python() {
    local version found
    for version in 3.13 3.12 3.11; do
        found=$(python_of "$version")
        if [ -n "$found" ]; then echo "$found"; return; fi
    done
    return 1
}

# sha256_of: the first 16 digits of the hash of stdin.
sha256_of() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-16
}
