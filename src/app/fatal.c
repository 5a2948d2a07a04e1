#include "app/fatal.h"

#include <unistd.h>

#include "base/log.h"

void fatal(int exit_code, const char *words, const char *sentence)
{
    char quoted[4096];
    log_error(words, "reason=%s exit=%d", log_quote(quoted, sizeof quoted, slice_from(sentence)),
              exit_code);
    _exit(exit_code);
}
