/* Build time: files into C, for src/web/assets.c.
 *
 *     livetea_embed OUTPUT.c name=path ...
 *
 * Each file is written as it is, compressed with gzip (level 9, without a time, so that equal files
 * give equal output) and with brotli (quality 11); an encoding that saves nothing is left out. Its
 * hash is the first 16 hex digits of SHA-256 over its content.
 */
#include <brotli/encode.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <openssl/sha.h>

enum { HASH_DIGITS = 16, FILE_MAX = 16 * 1024 * 1024, GZIP_WINDOW = 15 + 16, COLUMNS = 24 };

struct bytes {
    unsigned char *at;
    size_t len;
};

static void die(const char *what, const char *which)
{
    (void)fprintf(stderr, "livetea_embed: %s: %s\n", which, what);
    exit(1);
}

static struct bytes bytes_new(size_t size)
{
    struct bytes bytes = {.at = calloc(1, size + 1), .len = size};
    if (bytes.at == NULL) die("out of memory", "memory");
    return bytes;
}

static struct bytes read_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) die(strerror(errno), path);
    struct bytes bytes = bytes_new(FILE_MAX);
    bytes.len = fread(bytes.at, 1, FILE_MAX, file);
    if (ferror(file) != 0 || fgetc(file) != EOF) die("cannot be read, or is too large", path);
    (void)fclose(file);
    if (bytes.len == 0) die("is empty", path);
    return bytes;
}

static struct bytes gzip(struct bytes plain)
{
    z_stream stream = {.next_in = plain.at, .avail_in = (uInt)plain.len};
    gz_header header = {.os = 255};

    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        die("cannot start", "zlib");
    }
    (void)deflateSetHeader(&stream, &header);
    struct bytes out = bytes_new(deflateBound(&stream, (uLong)plain.len) + 64);
    stream.next_out = out.at;
    stream.avail_out = (uInt)out.len;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) die("cannot compress", "zlib");
    out.len = (size_t)stream.total_out;
    (void)deflateEnd(&stream);
    return out;
}

static struct bytes brotli(struct bytes plain)
{
    struct bytes out = bytes_new(BrotliEncoderMaxCompressedSize(plain.len) + 64);

    if (BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT,
                              plain.len, plain.at, &out.len, out.at) == BROTLI_FALSE) {
        die("cannot compress", "brotli");
    }
    return out;
}

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".txt", "text/plain; charset=utf-8"},
        {".html", "text/html; charset=utf-8"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
    };
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending != NULL && i < sizeof types / sizeof *types; i++) {
        if (strcmp(ending, types[i].ending) == 0) return types[i].type;
    }
    die("a file of unknown type", name);
    return NULL;
}

static void write_array(FILE *out, const char *kind, int number, struct bytes bytes)
{
    (void)fprintf(out, "static const unsigned char %s_%d[] = {", kind, number);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)fprintf(out, "%s%u,", i % COLUMNS == 0 ? "\n" : "", bytes.at[i]);
    }
    (void)fprintf(out, "\n};\n");
}

/* A file as its arrays, and its line of the table into `table`. */
static void embed(FILE *out, FILE *table, const char *name, const char *path, int number)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct bytes plain = read_file(path);
    struct bytes gzipped = gzip(plain);
    struct bytes brotlied = brotli(plain);
    bool has_gzip = gzipped.len < plain.len;
    bool has_brotli = brotlied.len < plain.len;

    (void)SHA256(plain.at, plain.len, digest);
    write_array(out, "plain", number, plain);
    if (has_gzip) write_array(out, "gzip", number, gzipped);
    if (has_brotli) write_array(out, "brotli", number, brotlied);

    (void)fprintf(table, "    {.name = \"%s\",\n     .type = \"%s\",\n     .hash = \"", name,
                  type_of(name));
    for (size_t i = 0; i < HASH_DIGITS / 2; i++)
        (void)fprintf(table, "%02x", digest[i]);
    (void)fprintf(table, "\",\n     .plain = plain_%d,\n     .plain_len = sizeof plain_%d", number,
                  number);
    if (has_gzip) {
        (void)fprintf(table, ",\n     .gzip = gzip_%d,\n     .gzip_len = sizeof gzip_%d", number,
                      number);
    }
    if (has_brotli) {
        (void)fprintf(table, ",\n     .brotli = brotli_%d,\n     .brotli_len = sizeof brotli_%d",
                      number, number);
    }
    (void)fprintf(table, "},\n");
    free(plain.at);
    free(gzipped.at);
    free(brotlied.at);
}

int main(int argc, char **argv)
{
    char *text = NULL;
    size_t len = 0;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: livetea_embed OUTPUT.c name=path ...\n");
        return 1;
    }
    FILE *out = fopen(argv[1], "wb");
    if (out == NULL) die(strerror(errno), argv[1]);
    FILE *table = open_memstream(&text, &len);
    if (table == NULL) die(strerror(errno), "memory");
    (void)fprintf(out,
                  "/* Made by livetea_embed; not to be edited. */\n#include \"web/assets.h\"\n\n");
    for (int i = 2; i < argc; i++) {
        char *path = strchr(argv[i], '=');
        if (path == NULL || path == argv[i]) die("is not of the form name=path", argv[i]);
        *path++ = '\0';
        embed(out, table, argv[i], path, i);
    }
    if (fclose(table) != 0) die(strerror(errno), "memory");
    (void)fprintf(out, "\nconst struct asset assets[] = {\n%s};\n", text);
    (void)fprintf(out, "const size_t assets_count = sizeof assets / sizeof *assets;\n");
    free(text);
    if (fclose(out) != 0) die(strerror(errno), argv[1]);
    return 0;
}
