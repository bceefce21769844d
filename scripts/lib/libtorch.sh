# libtorch, the library that models run on: where it is, and how it is had. A folder with include/ and lib/.
# shellcheck shell=bash

libtorch_cached=$cache/libtorch/$libtorch_version

# The version that a libtorch's own headers state, or nothing.
libtorch_version_of() { # FOLDER
    local header=$1/include/torch/headeronly/version.h
    [ -f "$header" ] || header=$1/include/torch/csrc/api/include/torch/version.h
    [ -f "$header" ] || return 0
    awk '$2 == "TORCH_VERSION_MAJOR" { a = $3 } $2 == "TORCH_VERSION_MINOR" { b = $3 } $2 == "TORCH_VERSION_PATCH" { c = $3 }
        END { if (a != "") print a "." b "." c }' "$header"
}

# The code that calls libtorch is written for one version: another one does not compile, or worse.
fits_libtorch() { # FOLDER
    local found
    found=$(libtorch_version_of "$1")
    if [ "${found%.*}" = "${libtorch_version%.*}" ]; then return 0; fi
    say_note "the libtorch in $1 is ${found:-no libtorch}; needed is ${libtorch_version%.*}" >&2
    return 1
}

# What LIBTORCH names comes first, one for CUDA among them; if it does not fit nothing else is taken silently.
where_libtorch() {
    if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$libtorch_cached" ]; then
        fits_libtorch "$LIBTORCH" && echo "$LIBTORCH"
        return
    fi
    [ -f "$libtorch_cached/lib/libtorch_cpu.so" ] && fits_libtorch "$libtorch_cached" && echo "$libtorch_cached"
}

get_libtorch() {
    if [ -n "${LIBTORCH:-}" ] && [ "$LIBTORCH" != "$libtorch_cached" ]; then
        way_failures+=("LIBTORCH names $LIBTORCH, which is no libtorch ${libtorch_version%.*}: unset it or name another")
        return 1
    fi
    way "the Python wheel torch (0.5 GB), its libraries for the CPU" libtorch_from_wheel ||
        way "the official archive for the CPU" libtorch_from_archive
}

# A wheel's libraries are those of the archive, but for CUDA. What is here runs without Python and without a GPU:
# `libtorch_cpu` alone, with what it was linked against.
libtorch_from_wheel() {
    local dir=$scratch/libtorch built=$scratch/libtorch/built out=$scratch/libtorch/out file
    if [ "$platform" != linux-amd64 ]; then
        echo "the wheel was only tried on Linux on x86-64; name a libtorch ${libtorch_version%.*} by LIBTORCH"
        return 1
    fi
    mkdir -p "$dir/wheels" "$built/lib"
    wheels_of_libtorch "$dir/wheels" || return 1
    for file in "$dir"/wheels/*.whl; do
        unpack "$file" "$out" || return 1
    done
    for file in torch/lib/libtorch_cpu.so torch/lib/libc10.so torch/lib/libgomp.so.1 torch/lib/libshm.so \
        nvidia/cu13/lib/libcudart.so.13 nvidia/cu13/lib/libcupti.so.13; do
        mv "$out/$file" "$built/lib/" || return 1
    done
    mv "$out/torch/include" "$built/include"
    # The linker is told of `libtorch`, which with CUDA is more than this one.
    echo 'INPUT(-ltorch_cpu)' >"$built/lib/libtorch.so"
    install_folder "$built" "$libtorch_cached"
}

wheels_of_libtorch() { # FOLDER
    local wheel
    pip_command || return 1
    # Of one Python and platform, whatever runs here, so that the checksums below hold.
    within 900 "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --timeout 10 --retries 2 \
        --python-version 3.11 --implementation cp --abi cp311 --abi none --platform manylinux_2_28_x86_64 \
        --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 --dest "$1" "torch==$libtorch_version" \
        "nvidia-cuda-runtime==$libtorch_cudart_version" "nvidia-cuda-cupti==$libtorch_cupti_version" 2>&1 || return 1
    for wheel in torch nvidia-cuda-runtime nvidia-cuda-cupti; do
        verify_sha256 "$(find "$1" -name "${wheel//-/_}-*.whl")" "$(wheel_sha256 "$wheel")" || return 1
    done
}

libtorch_from_archive() {
    local dir=$scratch/libtorch-archive
    mkdir -p "$dir"
    if [ "$platform" != linux-amd64 ]; then
        echo "there is one for Linux on x86-64 only; name a libtorch ${libtorch_version%.*} by LIBTORCH"
        return 1
    fi
    download "$libtorch_archives/libtorch-shared-with-deps-$libtorch_version%2Bcpu.zip" "$dir/libtorch.zip" || return 1
    unpack "$dir/libtorch.zip" "$dir/out" || return 1
    if [ "$(libtorch_version_of "$dir/out/libtorch")" != "$libtorch_version" ]; then
        echo "the archive holds another version"
        return 1
    fi
    install_folder "$dir/out/libtorch" "$libtorch_cached"
}
