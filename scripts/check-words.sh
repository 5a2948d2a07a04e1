#!/usr/bin/env bash
# Words that our C does without, or has in one place only. Comments and string literals do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

# pattern (of awk) | where it is allowed (patterns, - for nowhere) | why
rules='
(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|gets|alloca)[[:space:]]*\( | - | writes without knowing how much room there is
(atoi|atol|atof)[[:space:]]*\( | - | cannot say that its input was no number
(rand|srand|random|srandom|drand48)[[:space:]]*\( | - | base/crypto has random bytes
(time|gettimeofday|localtime|gmtime)[[:space:]]*\( | src/base/clock.c | what time it is, base/clock says
(malloc|calloc|realloc|free|strdup|strndup|asprintf)[[:space:]]*\( | src/base/mem.c src/tools/* | base/mem gives memory or ends the process
(ctime|asctime|gethostbyname|getpwnam|getgrnam|inet_ntoa|setlocale|setenv|putenv|unsetenv)[[:space:]]*\( | src/app/config_commands.c | is not safe while other threads run
(volatile|_Atomic|stdatomic|uv_mutex_t|uv_mutex_[a-z]+|pthread_mutex_t|uv_rwlock_t|uv_cond_t)([^a-z_]|$) | src/base/shared.* src/base/mailbox.* src/base/log.c | threads share by base/shared and base/mailbox only
goto[[:space:]]+([^f]|f[^a]|fa[^i]|fai[^l]|fail[^;[:space:]]) | - | the one label is fail
NDEBUG | - | asserts stay on in every build
'

files=$(git ls-files --cached --others --exclude-standard -- \
    'src/*.c' 'src/*.h' 'cluster/*.c' 'cluster/*.h')
[ -n "$files" ] || exit 0

wrong=0
# Blank out comments, strings and characters; keep the lines.
# shellcheck disable=SC2016
strip='
FNR == 1 { inside = 0 }
{
    out = ""
    n = length($0)
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1); two = substr($0, i, 2)
        if (inside) { if (two == "*/") { inside = 0; i++ } continue }
        if (two == "/*") { inside = 1; i++; out = out " "; continue }
        if (two == "//") break
        if (c == "\"" || c == "\047") {
            for (i++; i <= n && substr($0, i, 1) != c; i++) if (substr($0, i, 1) == "\\") i++
            out = out "\"\""
            continue
        }
        out = out c
    }
    print FILENAME ":" FNR ":" out
}'
# shellcheck disable=SC2086
stripped=$(awk "$strip" $files)

while IFS='|' read -r -a fields; do
    # The pattern may hold bars itself: the last two fields are place and reason.
    count=${#fields[@]}
    [ "$count" -ge 3 ] || continue
    why=${fields[count - 1]# }
    allowed=${fields[count - 2]}
    pattern=$(
        IFS='|'
        echo "${fields[*]:0:count-2}"
    )
    pattern=${pattern% }
    hits=$(echo "$stripped" | grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>]|)$pattern" || true)
    while IFS=: read -r file line text; do
        [ -n "$file" ] || continue
        fine=
        set -f
        for place in $allowed; do
            # shellcheck disable=SC2254
            case $file in $place) fine=yes ;; esac
        done
        set +f
        [ -z "$fine" ] || continue
        echo "$file:$line: ${text#"${text%%[![:space:]]*}"}  <- $why" >&2
        wrong=1
    done <<<"$hits"
done <<<"$rules"
exit "$wrong"
