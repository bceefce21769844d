# Which packages are built: all of them, but for the ml service where libtorch is not there.
# shellcheck shell=bash
# shellcheck disable=SC2034  # `scope` is read by the scripts that source this one

# Sets `scope`, the packages for cargo, and where the ml service finds libtorch while it is built and tested.
choose_scope() {
    local folder why=''
    scope=(--workspace)
    if [ "${STACK_ML:-yes}" = no ]; then
        why='STACK_ML=no'
    elif ! folder=$(scripts/setup.sh --print-path libtorch 2>/dev/null); then
        why="libtorch is not there ('scripts/setup.sh libtorch' gets it)"
    elif ! have "${CXX:-c++}"; then
        why="it needs a C++ compiler, and there is no '${CXX:-c++}'"
    fi
    if [ -n "$why" ]; then
        scope+=(--exclude tasklane-ml)
        say_note "without the ml service: $why"
        return 0
    fi
    export LIBTORCH=$folder
    # Programs know their libtorch; what cargo runs by itself (tests of documentation) asks the environment.
    export LD_LIBRARY_PATH=$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}
