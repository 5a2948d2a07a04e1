#!/usr/bin/env bash
# The floors of the house (docs/architecture.md): which may include which, and which module is the
# one door to each library. The two tables are the rule; the rest reads them.
set -euo pipefail
cd "$(dirname "$0")/.."

# a file in | may include
floors='
base    base
chat    base chat
store   base chat store
cluster base chat store cluster
web     base web
live    base chat live
pages   base chat live pages
cli     base chat store cli
app     base chat store cluster web live pages cli app
tools   base tools
'

# header (a pattern) | files that may include it (patterns)
doors='
llhttp.h        src/web/http.*
wslay/*         src/web/ws.*
lmdb.h          src/store/event_store_inside.h src/store/fault.*
msgpack.h       src/chat/event.c
msgpack/*       src/chat/event.c
jansson.h       src/base/json.*
openssl/*       src/base/crypto.* src/tools/embed.c
md4c.h          src/pages/markdown.c
utf8proc.h      src/base/text.c
ini.h           src/app/config.c
raft.h          cluster/*
raft/*          cluster/*
zlib.h          src/tools/embed.c
brotli/*        src/tools/embed.c
uv.h            src/base/* src/web/* cluster/* src/app/*
uthash.h        src/base/hash_table.h tests/*
utlist.h        *
'

wrong=0
complain() {
    echo "$1" >&2
    wrong=1
}

may_include() { # floor, included floor
    local floor allowed
    while read -r floor allowed; do
        [ "$floor" = "$1" ] || continue
        [[ " $allowed " == *" $2 "* ]]
        return
    done <<<"$floors"
    complain "floor '$1' is not in the table of scripts/check-floors.sh"
}

check_door() { # place, file, header
    local header files pattern
    while read -r header files; do
        # shellcheck disable=SC2254
        case $3 in
        $header) ;;
        *) continue ;;
        esac
        set -f
        for pattern in $files; do
            # shellcheck disable=SC2254
            case $2 in $pattern) set +f && return ;; esac
        done
        set +f
        complain "$1: <$3> is included by $files only"
        return
    done <<<"$doors"
}

sources=$(git ls-files --cached --others --exclude-standard -- \
    'src/*.c' 'src/*.h' 'cluster/*.c' 'cluster/*.h')
[ -n "$sources" ] || exit 0

# file:line:#include "floor/name.h" or <header>
includes=$(echo "$sources" | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]' || true)
while IFS=: read -r file line text; do
    [ -n "$file" ] || continue
    floor=${file#src/}
    floor=${floor%%/*}
    target=${text#*[<\"]}
    target=${target%%[>\"]*}
    case $text in
    *\"*/*\"*)
        may_include "$floor" "${target%%/*}" ||
            complain "$file:$line: '$floor' must not include '$target'"
        ;;
    *\"*\"*) ;; # beside it, or made by the build
    *) check_door "$file:$line" "$file" "$target" ;;
    esac
done <<<"$includes"
exit "$wrong"
