#!/usr/bin/env bash
# Which lines do the corpora reach? For scripts/fuzz --coverage TARGET...
#
# For each target the files that it is aimed at (tests/fuzz/aims), and how many of their lines its corpus and what
# was found here (build/fuzz/runs) reach. Functions that are never entered are named with their file.
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
    # shellcheck disable=SC2016
    llvm-cov export -summary-only "$program" "-instr-profile=$build/$target.profdata" "${aims[@]}" |
        node -e '
            const { data } = JSON.parse(require("fs").readFileSync(0));
            for (const { filename, summary } of data[0].files) {
                const name = filename.replace(process.cwd() + "/", "").padEnd(30);
                const { lines, functions } = summary;
                console.log(process.argv[1].padEnd(10), name, `${lines.percent.toFixed(1)} %`.padStart(8),
                    `${lines.covered} of ${lines.count} lines,`.padStart(20),
                    `${functions.covered} of ${functions.count} functions`);
            }' "$target"
    # "COUNT|name|" of functions that were never run
    llvm-cov report -show-functions "$program" "-instr-profile=$build/$target.profdata" "${aims[@]}" |
        awk -v target="$target" '
            /^File / { file = $2; gsub(/[\x27:]/, "", file); sub(/.*\/(src|cluster)\//, "", file) }
            NF >= 7 && $7 == "0.00%" && $1 != "TOTAL" { name = $1; sub(/.*:/, "", name)
                missed[file] = missed[file] " " name }
            END { for (file in missed) printf "%-10s %s: never entered:%s\n", target, file, missed[file] }'
done
