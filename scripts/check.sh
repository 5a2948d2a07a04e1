#!/usr/bin/env bash
# What is run before a commit, in about a minute: form, floors, words, scripts, spelling, cppcheck,
# headers, build, quick tests. `git config core.hooksPath scripts/hooks` makes it the pre-commit hook.
#
#   scripts/check.sh            all of it
#   scripts/check.sh --form     what needs no build: format, floors, words, scripts, spelling, cppcheck
#   scripts/check.sh --tidy     clang-tidy alone, in some minutes
set -euo pipefail
cd "$(dirname "$0")/.."

form_only=
tidy_only=
case ${1-} in
'') ;;
--form) form_only=yes ;;
--tidy) tidy_only=yes ;;
*)
    echo "check: unknown argument '$1'" >&2
    exit 2
    ;;
esac

failed=()
step() { # name, command...
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
    { tracked 'scripts/*' '.ci/*'; } | while read -r file; do
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

# One file at a time: clang-tidy 14 takes va_lists of a second one for uninitialised.
check_tidy() {
    cmake --preset clang >/dev/null
    cmake --build --preset clang -j "$(nproc)" >/dev/null
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

build() {
    [ -f build/dev/build.ninja ] || cmake --preset dev
    cmake --build --preset dev -j "$(nproc)"
}

if [ -n "$tidy_only" ]; then
    step tidy check_tidy
else
    step format check_format
    step floors scripts/check-floors.sh
    step words scripts/check-words.sh
    step scripts check_shell
    step spelling check_spelling
    step cppcheck check_cpp
fi
if [ -z "$form_only$tidy_only" ]; then
    step headers check_headers
    step build build
    [ ${#failed[@]} -gt 0 ] || step quick ctest --preset quick --no-tests=error -j "$(nproc)"
fi

[ ${#failed[@]} -eq 0 ] || {
    echo "check: ${failed[*]} failed" >&2
    exit 1
}
