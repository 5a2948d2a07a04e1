#!/usr/bin/env bash
# What would the simulation find if the program itself were wrong? Copies the tree, breaks it in one place,
# builds the simulation there and runs seeds until one fails; then the next place.
#
#   tests/sim/mutations.sh [SEEDS [PATTERN]]    (default 3000 seeds for each)
#
# PATTERN (grep -E) chooses by name. "masked": another part does the same work again, so that alone it does no
# harm; the ones with two places show that one of the two is needed. Ends with 1 when something is not as it is
# written here.
set -euo pipefail
seeds=${1-3000}
pattern=${2-.}
root=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d "${TMPDIR:-/tmp}/livetea-mutations.XXXXXX")
trap 'rm -rf "$copy"' EXIT
(cd "$root" && git ls-files -z -- CMakeLists.txt CMakePresets.json cmake src cluster tests assets scripts |
    xargs -0 cp --parents -t "$copy")
cd "$copy"
if [ -e "$root/node_modules" ]; then ln -s "$root/node_modules" node_modules; fi
cmake --preset release -DLIVETEA_TESTS=ON -DLIVETEA_WERROR=OFF >/dev/null
cmake --build build/release -j "$(nproc)" --target soak test_scenarios >/dev/null

# name @ found or masked @ file @ perl expression [@ file @ perl expression]
mutations=$(
    cat <<'END'
apply decides what was searched too little for@found@src/chat/chat.c@s/return command->unseen_up_to >= chat->window.first - 1;/return command != NULL \&\& chat != NULL;/
apply looks for no duplicates@found@src/chat/chat.c@s/if \(known != NULL\) \{/if (known != NULL \&\& index == 0) {/
execute looks for no duplicates@masked@src/chat/chat.c@s/if \(known != NULL\) return known->content/if (known != NULL \&\& chat->number == 0) return known->content/
neither apply nor execute looks for duplicates@found@src/chat/chat.c@s/if \(known != NULL\) \{/if (known != NULL \&\& index == 0) {/; s/if \(known != NULL\) return known->content/if (known != NULL \&\& chat->number == 0) return known->content/
apply does not look, and a new leader judges too early@found@src/chat/chat.c@s/if \(known != NULL\) \{/if (known != NULL \&\& index == 0) {/@cluster/guard.c@s/guard->ready_term == raft->current_term && //
a new leader judges too early@masked@cluster/guard.c@s/guard->ready_term == raft->current_term && //
the log is cut before the store has it@found@cluster/guard.c@s/return put->trailing > 0 && guard->durable < guard->manifest;/return put->trailing > 0 \&\& guard->durable > guard->manifest + (1 << 30);/
a snapshot goes with the term of an earlier one@found@cluster/guard.c@s/if \(term != 0\) install->last_term = term;//
a snapshot is let in while one is written@found@cluster/guard.c@s/if \(raft->legacy.snapshot_taking \|\| is_again/if (is_again/
a change of members is not cut off@found@cluster/guard.c@s/if \(message->entries\[i\].type != RAFT_CHANGE\) continue;/if (i > 0) continue;/
a snapshot has the members of another index@found@cluster/machine.c@s/if \(change != 0 && change <= applied\) return RAFT_BUSY;/if (change > applied + 1000) return RAFT_BUSY;/
what waits behind a gap is decided at once@found@cluster/machine.c@s/if \(machine->has_gap\) \{\n        add_waiting/if (machine->has_gap \&\& entry.len == 0) {\n        add_waiting/
a manifest is given within a gap@found@cluster/machine.c@s/if \(machine->has_gap \|\| applied < machine->chat->index\) return RAFT_BUSY;//
a gap is not told@found@cluster/machine.c@s/open_gap\(machine, manifest\);\n        return 0;/return 0;/
entries that the store has are applied again@masked@cluster/machine.c@s/if \(index <= machine->stored_index\) return;//
a failed write does not end the process@found@cluster/guard.c@s/fatal\(append.guard, "the log could not be written", status\);/;/
what raft tells of its disk in a trace is passed over@found@cluster/guard.c@s/fatal\(guard, message, RAFT_IOERR\);/(void)message;/
a log that could not be cut is gone on with@found@cluster/guard.c@s/fatal\(guard, "the log could not be cut", RAFT_IOERR\);//
a snapshot that cannot be read is passed over@found@cluster/guard.c@s/if \(status != 0 && !is_closing\) fatal\(get.guard, "the snapshot could not be read", status\);/(void)is_closing;/
a log that stands still ends nobody@found@cluster/watchdog.c@s/return is_still \? WATCHDOG_NOT_STORED : WATCHDOG_WELL;/return is_still \&\& view == 0 ? WATCHDOG_NOT_STORED : WATCHDOG_WELL;/
a slow disk counts as one that hangs@found@cluster/watchdog.c@s/\|\| moves \|\|/|| (moves \&\& tick_ms == 0) ||/
a full disk counts as one that hangs@found@cluster/watchdog.c@s/ \|\| view->lacks_room\)/)/
an entry that comes again too early is let in@found@cluster/guard.c@s/if \(is_new && is_held\(guard, index, term\)\) return true;/if (is_new \&\& is_held(guard, index, term) \&\& term == 0) return true;/
time goes back with the clock@found@src/chat/chat.c@s/command->at_ms > chat->at_ms \? command->at_ms : chat->at_ms/command->at_ms/
what was in flight is told as never sent@found@cluster/propose.c@s/drop_all\(propose, in_flight, true\);/drop_all(propose, in_flight, false);/
who gives up says that it was refused@found@cluster/forward.c@s/if \(request->state == REQUEST_NEW\) \{\n        refuse/if (request != NULL) {\n        refuse/
a retry is told as refused@found@cluster/forward.c@s/case CHAT_RETRY: answer\(forward, request, &\(struct answer\)\{.kind = ANSWER_RETRY\}, false\); break;/case CHAT_RETRY: refuse(forward, request, CHAT_BUSY, 0); break;/
that an id is used counts at once@found@cluster/forward.c@s/if \(request->state == REQUEST_SENT\) \{\n        refuse/if (request->state == REQUEST_SENT || refusal == CHAT_ID_USED) {\n        refuse/
the other message under an id is told as this one@found@cluster/forward.c@s/if \(command_content\(&event->sender_id, event->room, event->text\) != request->content\)/if (event->number == 0)/
two messages under one id are not told apart@masked@src/chat/chat.c@s/if \(known->content != content\) return CHAT_USED;//
a duplicate is told with another number@masked@src/chat/chat.c@s/\{.number = known->number\};/{.number = chat->number};/
END
)

cp -r src src.kept
cp -r cluster cluster.kept
wrong=0
count=0
put_back() { # files
    for back in "$@"; do
        cp "${back/\//.kept/}" "$back"
        touch "$back"
    done
}

while IFS=@ read -r name expected file expression file2 expression2; do
    count=$((count + 1))
    perl -0pi -e "$expression" "$file"
    if cmp -s "$file" "${file/\//.kept/}"; then
        echo "NOT APPLIED: $name"
        wrong=1
        continue
    fi
    if [ -n "${file2-}" ]; then perl -0pi -e "$expression2" "$file2"; fi
    touch "$file" ${file2:+"$file2"}
    if ! cmake --build build/release -j "$(nproc)" --target soak test_scenarios >build.log 2>&1; then
        echo "DOES NOT BUILD: $name"
        grep -m 3 error build.log || true
        put_back "$file" ${file2:+"$file2"}
        wrong=1
        continue
    fi
    found=masked
    out=$(timeout 300 build/release/tests/sim/soak --seeds "$seeds" --until-failure 2>&1) || found=found
    first=$(grep -m 1 '^seed [0-9]*: [A-Z]' <<<"$out" | cut -c 1-100) || first="the process ends"
    if [ "$found" = masked ] && ! build/release/tests/sim/test_scenarios >/dev/null 2>&1; then
        found=found
        first="a scenario"
    fi
    [ "$found" = masked ] && first="nothing in $seeds seeds"
    verdict=
    if [ "$found" != "$expected" ]; then
        verdict="NOT AS EXPECTED ($expected): "
        wrong=1
    fi
    echo "$verdict$name: $first"
    put_back "$file" ${file2:+"$file2"}
done < <(grep -E "^[^@]*($pattern)" <<<"$mutations")
[ "$count" -gt 0 ] || {
    echo "no name fits '$pattern'"
    wrong=1
}
exit "$wrong"
