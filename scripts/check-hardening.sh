#!/usr/bin/env bash
# What the linker and the compiler put into a release binary for the case that we are wrong:
#
#   scripts/check-hardening.sh build/release/src/app/livetea
#
# position independent, relocations read-only and bound at the start, no executable stack, canaries,
# the checked variants of libc's functions, marks where jumps may land, and large frames touched page by page.
set -euo pipefail

program=${1:?the binary is missing}
[ -f "$program" ] || {
    echo "$program: no such file" >&2
    exit 1
}

wrong=0
must() { # what, pattern, text
    grep -qE "$2" <<<"$3" && return
    echo "$program: $1" >&2
    wrong=1
}

header=$(readelf -hW "$program")
segments=$(readelf -lW "$program")
dynamic=$(readelf -dW "$program")
symbols=$(readelf --dyn-syms -W "$program")

must "is not position independent (PIE)" 'Type: +DYN' "$header"
must "has no interpreter: a library, no program" INTERP "$segments"
must "relocations stay writable (RELRO)" GNU_RELRO "$segments"
must "relocations are bound late (BIND_NOW)" 'BIND_NOW|FLAGS_1.*NOW' "$dynamic"
must "has an executable stack" 'GNU_STACK.* RW ' "$segments"
must "has no stack canaries" __stack_chk_fail "$symbols"
must "has no fortified functions" '__(mem|str|sn|vsn|f|vf)[a-z]+_chk' "$symbols"
case $(uname -m) in
x86_64)
    code=$(objdump -d --no-show-raw-insn "$program")
    # glibc's own start files have a few marks too.
    [ "$(grep -c endbr64 <<<"$code")" -gt 100 ] || {
        echo "$program: functions do not mark where a jump may land (-fcf-protection)" >&2
        wrong=1
    }
    # shellcheck disable=SC2016
    must "does not touch large frames page by page (-fstack-clash-protection)" 'or[lq] +\$0x0,(0x[0-9a-f]+)?\(%rsp' "$code"
    ;;
esac
if grep -qE 'R(UN)?PATH' <<<"$dynamic"; then
    echo "$program: looks for libraries in a place of the build" >&2
    wrong=1
fi
if grep -qE '__asan_|__tsan_|__ubsan_|__gcov_' <<<"$symbols"; then
    echo "$program: has a sanitizer or coverage in it" >&2
    wrong=1
fi
exit "$wrong"
