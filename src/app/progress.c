#include "app/progress.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"

enum { TELL_EVERY_MS = 200 };

void progress_begin(struct progress *progress, const struct cli *cli, const char *what)
{
    int fd = fileno(cli->err);
    *progress = (struct progress){.what = what, .told_ms = clock_ms()};
    if (fd >= 0 && isatty(fd) == 1) progress->out = cli->err;
}

const char *progress_grouped(char out[GROUPED_SIZE], uint64_t value)
{
    char *at = out + GROUPED_SIZE - 1;
    *at = '\0';
    for (size_t digits = 0; digits == 0 || value > 0; digits++, value /= 10) {
        if (digits > 0 && digits % 3 == 0) *--at = ',';
        *--at = (char)('0' + value % 10);
    }
    return at;
}

void progress_tell(void *progress, uint64_t number, uint64_t of)
{
    struct progress *self = progress;
    char done[GROUPED_SIZE], all[GROUPED_SIZE];
    if (self->out == NULL) return;
    uint64_t now_ms = clock_ms();
    if (now_ms - self->told_ms < TELL_EVERY_MS) return;
    self->told_ms = now_ms;
    self->is_shown = true;
    fprintf(self->out, "\r%s  %s", self->what, progress_grouped(done, number));
    if (of > 0)
        fprintf(self->out, " of %s  %" PRIu64 " %%", progress_grouped(all, of), 100 * number / of);
    fputs("\x1b[K", self->out);
    fflush(self->out);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown) fputs("\r\x1b[K", progress->out);
    progress->is_shown = false;
}
