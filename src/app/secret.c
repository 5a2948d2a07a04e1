#include "app/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { SECRET_RANDOM = 32, FILE_MAX = SECRETS_MAX * (SECRET_MAX + 2) };

void secret_generate(struct buf *out)
{
    uint8_t random[SECRET_RANDOM];
    crypto_random(random, sizeof random);
    crypto_add_base64(out, random, sizeof random);
    buf_add_char(out, '\n');
    crypto_forget(random, sizeof random);
}

static int add_line(struct secret *secret, struct slice line, const char *path,
                    struct errmsg *errmsg)
{
    const char *problem = NULL;
    for (size_t i = 0; i < line.len; i++) {
        if (line.at[i] < 0x21 || line.at[i] > 0x7e)
            problem = "may hold visible ASCII characters only";
    }
    if (line.len < SECRET_MIN) problem = "is shorter than 32 characters";
    if (line.len > SECRET_MAX) problem = "is longer than 256 characters";
    if (secret->count == SECRETS_MAX) problem = "is one too many: at most two lines, newest first";
    if (problem != NULL) {
        errmsg_set(errmsg, "%s: secret %zu %s", path, secret->count + 1, problem);
        return ERR_FORMAT;
    }
    memcpy(secret->bytes[secret->count], line.at, line.len);
    secret->lens[secret->count++] = line.len;
    return 0;
}

static int parse(struct secret *secret, struct slice text, const char *path, struct errmsg *errmsg)
{
    *secret = (struct secret){0};
    while (text.len > 0) {
        struct slice line = slice_cut(&text, '\n');
        if (line.len > 0 && line.at[line.len - 1] == '\r') line.len--;
        line = slice_trim(line);
        if (line.len == 0) continue;
        int rv = add_line(secret, line, path, errmsg);
        if (rv != 0) return rv;
    }
    if (secret->count > 0) return 0;
    errmsg_set(errmsg, "%s: no secret in it", path);
    return ERR_FORMAT;
}

/* Ours: for us alone. Root's, given to us by systemd or an orchestrator: through our group. */
static mode_t forbidden_bits(const struct stat *about)
{
    return about->st_uid == 0 && geteuid() != 0 ? 037 : 077;
}

int secret_read(struct secret *secret, const char *path, struct errmsg *errmsg)
{
    char text[FILE_MAX + 1];
    size_t len;
    struct stat about;
    /* A pipe in its place must not hang us: what is no file is refused below. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        errmsg_set(errmsg, "%s: %s", path, strerror(errno));
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    }
    int rv = 0;
    if (fstat(file, &about) != 0) {
        errmsg_set(errmsg, "%s: %s", path, strerror(errno));
        rv = ERR_IO;
    } else if (!S_ISREG(about.st_mode)) {
        errmsg_set(errmsg, "%s: not a file", path);
        rv = ERR_FORMAT;
    } else if ((about.st_mode & forbidden_bits(&about)) != 0) {
        errmsg_set(errmsg, "%s: mode %04o lets others read it; chmod 600 it", path,
                   (unsigned)(about.st_mode & 07777));
        rv = ERR_DENIED;
    } else if (file_read(file, text, sizeof text, &len) != 0) {
        errmsg_set(errmsg, "%s: %s", path, strerror(errno));
        rv = ERR_IO;
    } else if (len > FILE_MAX) {
        errmsg_set(errmsg, "%s: longer than two secrets can be", path);
        rv = ERR_FORMAT;
    } else {
        rv = parse(secret, slice_make(text, len), path, errmsg);
    }
    close(file);
    crypto_forget(text, sizeof text);
    return rv;
}

/* The file is either there with all of it or not at all: a node that dies here makes another. */
static int write_new(const char *path, struct slice text, struct errmsg *errmsg)
{
    char fresh[1100];
    int len = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof fresh) {
        errmsg_set(errmsg, "%s: the path is too long", path);
        return ERR_CONFIG;
    }
    unlink(fresh);
    int file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) goto fail;
    if (file_write(file, text) != 0 || fsync(file) != 0) goto fail;
    if (rename(fresh, path) != 0) goto fail;
    close(file);
    return 0;

fail:
    errmsg_set(errmsg, "%s: %s", path, strerror(errno));
    if (file >= 0) close(file);
    return ERR_IO;
}

int secret_read_or_make(struct secret *secret, const char *path, struct errmsg *errmsg)
{
    int rv = secret_read(secret, path, errmsg);
    if (rv != ERR_NOT_FOUND) return rv;

    struct buf text;
    buf_init(&text, SECRET_MAX);
    secret_generate(&text);
    rv = write_new(path, buf_slice(&text), errmsg);
    crypto_forget(text.at, text.len);
    buf_close(&text);
    return rv != 0 ? rv : secret_read(secret, path, errmsg);
}
