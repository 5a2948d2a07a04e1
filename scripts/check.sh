#!/usr/bin/env bash
# What is run before a commit, in about a minute: form, floors, words, scripts, spelling, the systemd unit,
# cppcheck, headers, build, quick tests. `git config core.hooksPath scripts/hooks` makes it the pre-commit hook.
#
#   scripts/check.sh            all of it
#   scripts/check.sh --form     what needs no build: format, floors, words, scripts, spelling, cppcheck
#   scripts/check.sh --tidy     clang-tidy alone, in some minutes
#   scripts/check.sh --valgrind the unit tests of the release preset under memcheck, in some minutes
set -euo pipefail
cd "$(dirname "$0")/.."

part=all
case ${1-} in
'') ;;
--form | --tidy | --valgrind) part=${1#--} ;;
*)
    echo "check: unknown argument '$1'" >&2
    exit 2
    ;;
esac

failed=()
step() { # name, command...; in which bash does not end by itself where something fails
    local name=$1
    shift
    printf '%-12s' "$name"
    if out=$("$@" 2>&1); then
        echo ok
    else
        echo FAILED
        printf '%s\n' "$out" | tail -n 60 | sed 's/^/    /'
        failed+=("$name")
    fi
}

tracked() { git ls-files -- "$@"; }

check_format() { tracked '*.c' '*.h' | xargs -r clang-format --dry-run -Werror; }

check_shell() {
    tracked 'scripts/*' '.ci/*' 'tests/*.sh' | while read -r file; do
        head -n 1 "$file" | grep -q '^#!.*sh$' && echo "$file"
    done | xargs -r shellcheck
}

check_spelling() {
    tracked '*.c' '*.h' '*.md' '*.mjs' '*.heex' '*.html' '*.txt' 'scripts/*' |
        xargs -r codespell --ignore-words-list=ons,te,fo,crate,clen,statics,nin,ines,upto,befor
}

# Left out: members that only templates use, scopes that could be narrower, variables named like a
# function, and a loop that is only waited for. uthash's headers are given to it, for their loops.
check_cpp() {
    cppcheck -q -j "$(nproc)" --language=c --std=c11 --inline-suppr --error-exitcode=1 \
        --enable=warning,style,performance,portability --suppress=missingIncludeSystem \
        --suppress=unusedStructMember --suppress=variableScope --suppress=shadowFunction \
        --suppress=redundantContinue --include=/usr/include/uthash.h --include=/usr/include/utlist.h \
        '-Duthash_fatal(words)=' -D_GNU_SOURCE -DLIVETEA_CLIENT_VERSION=x -Isrc -I. src cluster
}

# S-53. What systemd thinks of the unit, from 0 (safe) to 100; what it must say is in tests/e2e/attacks.mjs.
check_service() {
    systemd-analyze security --offline=true --threshold=20 --no-pager deploy/livetea.service
}

# One file at a time: clang-tidy 14 takes va_lists of a second one for uninitialised.
check_tidy() {
    cmake --preset clang >/dev/null || return
    cmake --build --preset clang -j "$(nproc)" >/dev/null || return
    tracked 'src/*.c' 'cluster/*.c' | xargs -P "$(nproc)" -n 1 clang-tidy -p build/clang --quiet
}

# Each header says by itself all that it needs.
check_headers() {
    local flags
    flags=$(pkg-config --cflags libuv raft lmdb jansson libutf8proc libcrypto)
    # shellcheck disable=SC2016
    tracked 'src/*.h' 'cluster/*.h' | xargs -r -P "$(nproc)" -I {} sh -c \
        'echo "#include \"$1\"" | cc -std=c17 -D_GNU_SOURCE -Wall -Werror -fsyntax-only -Isrc -I. '"$flags"' -x c - ||
            exit 255' _ {}
}

# What the address sanitizer does not see: values that were never set. Built as a release, but for the address space
# of a store, of which valgrind has not enough. Not unit.memory, which has an allocator of its own in front of
# valgrind's, not unit.faults, which start hundreds of times, and not unit.conn, whose deadlines are too near then.
check_valgrind() {
    local in=build/valgrind
    cmake --preset release -B "$in" -DLIVETEA_TESTS=ON -DCMAKE_C_FLAGS=-DSTORE_MAP_DEFAULT=1073741824 >/dev/null || return
    ctest --test-dir "$in" -N -L '^unit$' | sed -n 's/.*: unit\.\([a-z_]*\)$/\1/p' |
        grep -vx -e memory -e hardening -e faults -e faults_commands -e conn >"$in/list" || return
    sed 's/^/test_/' "$in/list" | xargs cmake --build "$in" -j "$(nproc)" --target || return
    # shellcheck disable=SC2016
    xargs -P "$(nproc)" -I {} sh -c '
        valgrind -q --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
            --error-exitcode=99 "$2/tests/unit/test_$1" >"$2/said.$1" 2>&1 || {
            echo "unit.$1: $?"
            grep -E "^==|FAILED|Could not" "$2/said.$1" | head -n 40
            exit 1
        }' _ {} "$in" <"$in/list"
}

build() {
    [ -f build/dev/build.ninja ] || cmake --preset dev
    cmake --build --preset dev -j "$(nproc)"
}

case $part in
tidy) step tidy check_tidy ;;
valgrind) step valgrind check_valgrind ;;
*)
    step format check_format
    step floors scripts/check-floors.sh
    step words scripts/check-words.sh
    step scripts check_shell
    step spelling check_spelling
    if command -v systemd-analyze >/dev/null; then
        step service check_service
    else
        printf '%-12sskipped: no systemd-analyze\n' service
    fi
    step cppcheck check_cpp
    ;;
esac
if [ "$part" = all ]; then
    step headers check_headers
    step build build
    [ ${#failed[@]} -gt 0 ] || step quick ctest --preset quick --no-tests=error -j "$(nproc)"
fi

[ ${#failed[@]} -eq 0 ] || {
    echo "check: ${failed[*]} failed" >&2
    exit 1
}
