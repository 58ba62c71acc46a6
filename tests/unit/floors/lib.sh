# What check-headers and check-floors share: arguments and a compile of one line.
# Arguments: COMPILER INCLUDE SRC ROOM:USED,USED... -- ROOM/HEADER...
compiler=$1 include=$2 src=$3
shift 3
rooms=() headers=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do rooms+=("$1"); shift; done
shift
headers=("$@")
passed=0 failed=0

# compile ROOM:USES TEXT: compiles TEXT as the room's sources are; what the compiler said is left in $said.
compile() {
    local room=${1%%:*} uses=${1#*:} flags=() used
    flags=(-I "$include/$room")
    for used in ${uses//,/ }; do flags+=(-I "$include/$used"); done
    said=$(printf '%s\n' "$2" | "$compiler" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only "${flags[@]}" -x c - 2>&1)
}

pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    printf '%s\n' "$1" "$said"
}
finish() {
    printf '%s: %d passed, %d failed\n' "$1" "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
