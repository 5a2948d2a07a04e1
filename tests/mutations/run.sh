#!/usr/bin/env bash
# Would the tests notice if the program were wrong? Copies the tree, breaks it in one place, builds there and
# runs the one test that must fail; then puts it back and goes on with the next place.
#
#   tests/mutations/run.sh LIST [PATTERN]    tests/mutations/run.sh tests/mutations/security.txt '^S-1:'
#
# A line of LIST, and # begins a comment:  name @ test @ title @ file @ perl expression [@ file @ perl expression]
#   test    as ctest names it (unit.conn, sim.guard, e2e.attacks), or a script with its arguments
#   title   of an e2e test a part of its title, of a unit test the function's name; empty: any failure will do
# PATTERN (grep -E) chooses lines. A test has to pass before anything is broken, and has to run: else a
# failure would show nothing. Ends with 1 when a mistake was not found, changed nothing or does not build.
set -euo pipefail
list=$(realpath -e "${1:?the list is missing}")
pattern=${2-.}
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/livetea-mutations.XXXXXX")
trap 'rm -rf "$copy"' EXIT
(cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$copy")
cd "$copy"
git init -q # what looks for the files of the tree asks git
if [ -e "$root/node_modules" ]; then ln -s "$root/node_modules" node_modules; fi

# A compiler cache, where there is one, knows most of it already, wherever the copy lies.
export CCACHE_BASEDIR=$copy CCACHE_NOHASHDIR=1
if command -v ccache >/dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache; fi
build=build/release
cmake --preset release -DLIVETEA_TESTS=ON -DLIVETEA_WERROR=OFF >/dev/null

targets() { # test
    case $1 in
    unit.* | sim.soak_* | golden.*) echo "test_${1#unit.}" | sed 's/test_sim.soak_.*/soak/; s/test_golden.*/golden_live/' ;;
    sim.*) echo "test_${1#sim.}" ;;
    fuzz.*) echo "fuzz_${1#fuzz.}" ;;
    e2e.history) echo livetea bench_fill ;;
    *) echo livetea echo_server ;;
    esac
}
build() { # test; what it says goes to build.log
    local names
    read -ra names <<<"$(targets "$1")"
    cmake --build $build -j "$(nproc)" --target "${names[@]}" >build.log 2>&1
}
# Runs the test; true when it passed. What it says goes to test.log.
passes() { # test, title
    case $1 in
    e2e.*)
        LIVETEA_BIN=$copy/$build/src/app/livetea LIVETEA_ECHO_SERVER=$copy/$build/tests/lib/echo_server \
            timeout -k 5 300 node --test-name-pattern="$2" --test-reporter=tap "tests/e2e/${1#e2e.}.mjs" >test.log 2>&1 || return 1
        ;;
    scripts/*)
        local words
        read -ra words <<<"$1"
        "${words[@]}" >test.log 2>&1 || return 1
        ;;
    *) timeout -k 5 300 ctest --test-dir $build -R "^$1\$" --no-tests=error -V >test.log 2>&1 || return 1 ;;
    esac
}
# Of what passed: did what is meant run at all? Of what failed: was it that, or did it never come to an end?
has_run() { # test, title
    case $1 in
    e2e.*) grep -qE '^# pass [1-9]' test.log ;;
    *) [ -z "$2" ] || grep -qE "(OK|RUN) .* $2\$" test.log ;;
    esac
}
is_its_failure() { # test, title
    case $1 in
    e2e.* | scripts/*) true ;;
    *) [ -z "$2" ] || grep -qE "FAILED .* $2\$" test.log || grep -E 'RUN ' test.log | tail -1 | grep -qE "$2\$" ;;
    esac
}
# The first words of what the test says about it, for people.
reason() {
    { grep -m 1 -A 3 -E "^ +error: " test.log | tr -s '\n ' ' ' | sed -E "s/^ *error: (\|-)? ?//" ||
        grep -m 1 -E 'LINE|ERROR|[Aa]ssert|fail|not ' test.log || tail -1 test.log; } | cut -c 1-110
}

declare -A before # tests that pass as long as nothing is broken
wrong=0
found=0
count=0
say() {
    echo "$1"
    wrong=1
}
while IFS=@ read -r name test title file expression file2 expression2; do
    count=$((count + 1))
    if [ -z "${before[$test@$title]-}" ]; then
        before[$test@$title]=no
        if ! build "$test"; then
            before[$test@$title]="does not build: $(grep -m 1 -E 'error|unknown' build.log)"
        elif ! passes "$test" "$title"; then
            before[$test@$title]="fails already: $(reason)"
        elif ! has_run "$test" "$title"; then
            before[$test@$title]="has no test of that title"
        else
            before[$test@$title]=yes
        fi
    fi
    if [ "${before[$test@$title]}" != yes ]; then
        say "NO TEST    $name: $test $title ${before[$test@$title]}"
        continue
    fi
    kept=()
    applied=yes
    for pair in 1 2; do
        if [ $pair = 2 ]; then
            [ -n "${file2-}" ] || continue
            file=$file2 expression=$expression2
        fi
        if [ ! -e kept/"$file" ]; then
            mkdir -p kept
            cp --parents "$file" kept
            kept+=("$file")
        fi
        cp "$file" before.txt
        perl -0pi -e "$expression" "$file" || true # then it is as it was
        if cmp -s "$file" before.txt; then applied=$file; fi
        touch "$file"
    done
    start=$SECONDS
    if [ "$applied" != yes ]; then
        say "NOT APPLIED $name: $applied is as it was"
    elif ! build "$test"; then
        say "DOES NOT BUILD $name: $(grep -m 1 error build.log || tail -1 build.log)"
    elif passes "$test" "$title" || ! is_its_failure "$test" "$title"; then
        say "NOT FOUND  $name: $test $title"
    else
        found=$((found + 1))
        echo "found      $name ($((SECONDS - start)) s): $(reason)"
    fi
    for one in "${kept[@]}"; do
        cp kept/"$one" "$one"
        rm kept/"$one"
        touch "$one"
    done
done < <(grep -vE '^(#|$)' "$list" | grep -E "$pattern")
echo "$found of $count found"
[ "$count" -gt 0 ] || say "no line of $list fits '$pattern'"
exit "$wrong"
