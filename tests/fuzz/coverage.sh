#!/usr/bin/env bash
# Which lines do the corpora reach? For scripts/fuzz --coverage TARGET...
#
# For each target the files that it is aimed at (tests/fuzz/aims), and how many of their lines its corpus and what
# was found here (build/fuzz/runs) reach; and the functions that are never entered.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=build/fuzz-coverage
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DLIVETEA_FUZZ=ON \
    -DLIVETEA_SANITIZE=undefined "-DCMAKE_C_FLAGS=-fprofile-instr-generate -fcoverage-mapping" >/dev/null
cmake --build "$build" -j "$(nproc)" --target "${@/#/fuzz_}" >&2

for target in "$@"; do
    program=$build/tests/fuzz/fuzz_$target
    corpora=("tests/fuzz/corpus/$target")
    [ ! -d "build/fuzz/runs/$target/corpus" ] || corpora+=("build/fuzz/runs/$target/corpus")
    LLVM_PROFILE_FILE=$build/$target.profraw "$program" -runs=0 "${corpora[@]}" >"$build/$target.log" 2>&1
    llvm-profdata merge -o "$build/$target.profdata" "$build/$target.profraw"
    mapfile -t aims < <(awk -v target="$target" '$1 == target { for (i = 2; i <= NF; i++) print $i }' tests/fuzz/aims)
    [ ${#aims[@]} -gt 0 ] || continue
    llvm-cov export "$program" "-instr-profile=$build/$target.profdata" |
        node tests/fuzz/coverage.mjs "$target" "$build" "${aims[@]}"
done
